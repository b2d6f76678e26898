"""Hours, shifts, surveys, care and culture on record: what every officer's month leaves behind, day by day."""

import numpy as np

from features.histories.tables import Floats, Ints
from features.months import first_day, last_day
from features.simulation.ledger import Ledger
from features.simulation.mechanism import Month, State, sigmoid

KINDS = ("compensatory_leave", "recuperation", "counselling", "roster_relief")


def record_hours(ledger: Ledger, *, month: int, who: Ints, seen: Month, presence: Floats) -> None:
    """Write duty, overtime, nights in runs, quick returns, long shifts, rest days worked, major incidents."""
    rng = ledger.rng
    burden, end = seen.burden, np.full(len(who), last_day(month))
    duty = np.maximum(8.0, (172.0 + 4.0 * rng.standard_normal(len(who))) * presence)
    weekly = np.maximum(0.0, 8.0 * np.exp(0.3 * burden[:, None] + 0.15 * rng.standard_normal((len(who), 3))))
    weekly = weekly * presence[:, None]
    ledger.add("duty_hours", who, end, duty)
    ledger.add("hours_worked", who, end, duty + weekly.sum(axis=1))
    for part in range(3):
        ledger.add("overtime_hours", who, np.full(len(who), first_day(month) + 8 + 9 * part), weekly[:, part])
    _in_runs(ledger, "night_shift", month=month, who=who, number=_thinned(rng, seen.nights, presence))
    days = {
        "quick_return": _thinned(rng, seen.quick_returns, presence),
        "major_incident": seen.incidents,
        "long_shift": _counted(rng, 0.5 * np.exp(0.4 * burden)),
        "rest_day_worked": _counted(rng, 0.8 * np.exp(0.3 * burden)),
    }
    for measure, number in days.items():
        _on_days(ledger, measure, month=month, who=who, number=number)


def _thinned(rng: np.random.Generator, number: Ints, presence: Floats) -> Ints:
    return rng.binomial(number, np.clip(presence, 0.0, 1.0)).astype(np.int32)


def _counted(rng: np.random.Generator, mean: Floats) -> Ints:
    return rng.poisson(mean).astype(np.int32)


def _in_runs(ledger: Ledger, measure: str, *, month: int, who: Ints, number: Ints) -> None:
    """Nights come in runs of one to three, the runs spread over the month."""
    length = int(last_day(month) - first_day(month)) + 1
    run = ledger.rng.integers(1, 4, len(who))
    gap = np.maximum(length // np.maximum(-(-number // run), 1), run)
    start = (ledger.rng.random(len(who)) * np.maximum(gap - run, 1)).astype(np.int32)
    row = np.repeat(np.arange(len(who)), number)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    day = start[row] + (nth // run[row]) * gap[row] + nth % run[row]
    inside = day < length
    ledger.add(measure, who[row[inside]], first_day(month) + day[inside].astype(np.int32), 1.0)


def _on_days(ledger: Ledger, measure: str, *, month: int, who: Ints, number: Ints) -> None:
    """So many different days of the month, drawn at random."""
    some = np.flatnonzero(number > 0)
    length = int(last_day(month) - first_day(month)) + 1
    ranks = ledger.rng.random((len(some), length)).argsort(axis=1)
    row, day = np.nonzero(ranks < np.minimum(number[some], length)[:, None])
    ledger.add(measure, who[some[row]], first_day(month) + day.astype(np.int32), 1.0)


def record_wellbeing(
    ledger: Ledger, *, month: int, who: Ints, state: State, seen: Month, episode: np.ndarray, injured: np.ndarray
) -> None:
    """Write surveys, absence, injuries and burnout episodes, all of which follow strain."""
    rng, strain = ledger.rng, state.strain
    answers = np.flatnonzero(rng.random(len(who)) < 0.97)
    middle, noise = np.full(len(answers), first_day(month) + 20), rng.standard_normal((2, len(answers)))
    felt = np.clip(45 + 14 * strain[answers] + 3.5 * noise[0], 0, 100)
    slept = np.clip(6.8 - 0.4 * strain[answers] + 0.35 * noise[1], 3, 10)
    ledger.add("strain_survey", who[answers], middle, felt)
    ledger.add("sleep_hours", who[answers], middle, slept)
    absent = _counted(rng, 0.08 * np.exp(0.5 * strain))
    _on_days(ledger, "single_day_absence", month=month, who=who, number=absent)
    sick = np.flatnonzero(rng.random(len(who)) < sigmoid(-3.6 + 0.4 * strain + 0.06 * seen.quick_returns))
    ledger.add("sick_days", who[sick], _some_day(rng, month, len(sick)), rng.integers(1, 6, len(sick)).astype(float))
    hurt, ill = np.flatnonzero(injured), np.flatnonzero(episode)
    ledger.add("injury", who[hurt], _some_day(rng, month, len(hurt)), 1.0)
    ledger.add("injury_aid", who[hurt], np.full(len(hurt), last_day(month)), 1.0)
    ledger.add("burnout_episode", who[ill], _some_day(rng, month, len(ill)), 1.0)


def _some_day(rng: np.random.Generator, month: int, size: int) -> Ints:
    length = int(last_day(month) - first_day(month)) + 1
    return (first_day(month) + rng.integers(0, length, size)).astype(np.int32)


def record_climate(ledger: Ledger, *, month: int, who: Ints, state: State) -> None:
    """Write the quarterly survey of the unit's climate: pressure from above, support among peers."""
    rng = ledger.rng
    day = np.full(len(who), last_day(month) - 5)
    pressure = 50 + 14 * state.pressure + 6 * rng.standard_normal(len(who))
    support = 65 + 8 * state.morale - 4 * state.pressure + 5 * rng.standard_normal(len(who))
    ledger.add("organisational_pressure", who, day, np.clip(pressure, 0, 100))
    ledger.add("peer_support", who, day, np.clip(support, 0, 100))


def record_rest(ledger: Ledger, *, month: int, who: Ints, seen: Month) -> None:
    """Write rest taken and mentoring received."""
    for kind, measure in enumerate(KINDS):
        taken = np.flatnonzero(seen.rest[:, kind] > 0)
        value = 4.0 if measure == "roster_relief" else seen.rest[taken, kind]
        ledger.add(measure, who[taken], _some_day(ledger.rng, month, len(taken)), value)
    met = np.flatnonzero(seen.mentored)
    ledger.add("mentoring_received", who[met], _some_day(ledger.rng, month, len(met)), 1.0)


def record_faults(ledger: Ledger, *, month: int, who: Ints, state: State, seen: Month) -> None:
    """Write complaints and enforcement faults: more where performance is low and strain is high."""
    rng = ledger.rng
    level = -0.35 * seen.performance + 0.15 * state.strain
    for measure, usual in (("complaint", 0.035), ("enforcement_fault", 0.008), ("assessment_objection", 0.006)):
        number = rng.poisson(usual * np.exp(np.clip(level, -2.0, 2.0)))
        some = np.flatnonzero(number > 0)
        ledger.add(measure, who[some], _some_day(rng, month, len(some)), number[some].astype(np.float64))


CULTURE = {
    "story_session": 0.006, "open_day": 0.02, "family_alliance": 0.025, "veteran_session": 0.02,
    "young_workshop": 0.012, "schooling_help": 0.004, "family_help": 0.005, "health_checkup": 0.075,
    "technical_title": 0.002, "management_post": 0.001, "merit_citation": 0.002,
}  # fmt: skip


def record_culture(ledger: Ledger, *, month: int, who: Ints) -> None:
    """Write care and culture, which have no effect in this mechanism."""
    for measure, chance in CULTURE.items():
        some = np.flatnonzero(ledger.rng.random(len(who)) < chance)
        ledger.add(measure, who[some], _some_day(ledger.rng, month, len(some)), 1.0)


def injuries(rng: np.random.Generator, seen: Month) -> np.ndarray:
    """Return who is injured: quick returns and nights before incidents raise the chance (IRR 1.4 and 2.3)."""
    active = 1.0 + 1.3 * seen.incidents * seen.nights / 15.0
    return np.asarray(rng.random(len(seen.nights)) < 0.002 * 1.15 ** np.minimum(seen.quick_returns, 6) * active)


def presence_of(leave: Floats, month: int) -> Floats:
    """Return the share of the month at the own post."""
    length = float(last_day(month) - first_day(month)) + 1.0
    return np.clip(1.0 - leave / length, 0.0, 1.0)
