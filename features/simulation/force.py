"""simulate(): a force of so many officers over so many months, from its first day to its export."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from features.errors import Refusal
from features.histories.tables import Floats, Ints, histories
from features.months import NO_DAY, first_day, last_day, month_of_day
from features.profile import Profile, load_profile
from features.simulation.counterfactual import COLUMNS, true_benefits
from features.simulation.intervention import Help, Intervene, Recorded, Trial, extra_of, reached
from features.simulation.ledger import Ledger
from features.simulation.mechanism import (
    Extra,
    Mechanism,
    Month,
    Noise,
    State,
    Traits,
    UnitShocks,
    burnout_hazard,
    leaving_hazard,
    next_month,
)  # fmt: skip
from features.simulation.people import (
    People,
    Postings,
    first_postings,
    first_state,
    make_people,
    make_traits,
    make_units,
    roster_table,
    transfer,
)  # fmt: skip
from features.simulation.shifts import (
    injuries,
    presence_of,
    record_climate,
    record_culture,
    record_faults,
    record_hours,
    record_rest,
    record_wellbeing,
)  # fmt: skip
from features.simulation.truth import Snapshot, true_probabilities
from features.simulation.work import LONG_CASE, QUALITY, WORK, Work, record_work

LAST_MONTH = 2024 * 12 + 11
BURN_IN = 36
FEWEST_OFFICERS, FEWEST_MONTHS = 20, 8


TRUTH = ["officer_id", "as_of", "risk", "probability"]


@dataclass(frozen=True)
class SimulatedForce:
    """An export and what is true of it.

    ``truth`` has officer_id, as_of (month end), risk, probability; ``effects`` each officer's own true effect
    of an action (strain relieved by a day or session, performance gained by a month of mentoring). ``benefits`` has
    officer_id, as_of, action, risk, and the true probabilities ``without`` and ``with_help``, for the trials asked.
    """

    roster: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame
    effects: pd.DataFrame
    benefits: pd.DataFrame


def simulate(
    *,
    officers: int,
    months: int,
    seed: int,
    profile: Profile | None = None,
    mechanism: Mechanism | None = None,
    with_truth: bool = True,
    intervene: Intervene | None = None,
    trials: Sequence[Trial] = (),
    progress: Callable[[int], None] | None = None,
) -> SimulatedForce:
    """Return a simulated force whose last month is 2024-12; the same arguments give the same tables.

    Without ``with_truth`` the table of true probabilities stays empty, which halves the time. ``intervene`` chooses
    who is helped in the coming month beside the policies; the truth is that without further such help. ``trials``
    ask for the true effects of actions (table ``benefits``) and change no other byte. ``progress`` is called with 1
    after each month. The profile must have the posts and measures of ``gongan``.
    """
    profile = profile or load_profile("gongan")
    _check(profile, officers, months)
    world = _World(profile, officers, months, seed=seed, mechanism=mechanism or Mechanism())
    for month in range(world.start, LAST_MONTH + 1):
        look = partial(_recorded, world, month - 1, seed)
        world.live(month, intervene(month - 1, look) if intervene and month > world.start else None)
        if progress:
            progress(1)
    roster = roster_table(world.people, world.postings, profile=profile)
    events = world.ledger.table(world.people.officer_id, until=int(last_day(LAST_MONTH)))
    truth = _truth(world, roster, events, seed=seed) if with_truth else pd.DataFrame(columns=TRUTH)
    return SimulatedForce(roster, events, truth, _effects(world), _benefits(world, roster, events, trials, seed=seed))


def _recorded(world: "_World", as_of: int, seed: int) -> Recorded:
    """The tables at the end of a month; corrections are drawn beside the world's own random numbers."""
    ledger = replace(world.ledger, rng=np.random.default_rng([seed, 3]))
    roster = roster_table(world.people, world.postings, profile=world.profile)
    return Recorded(as_of, roster, ledger.table(world.people.officer_id, until=int(last_day(as_of))))


def _truth(world: "_World", roster: pd.DataFrame, events: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    return true_probabilities(
        histories(profile=world.profile, roster=roster, events=events),
        world.snapshots,
        traits=world.traits,
        mechanism=world.mechanism,
        rng=np.random.default_rng([seed, 2]),
    )


def _benefits(
    world: "_World", roster: pd.DataFrame, events: pd.DataFrame, trials: Sequence[Trial], *, seed: int
) -> pd.DataFrame:
    if not trials:
        return pd.DataFrame(columns=COLUMNS)
    return true_benefits(
        histories(profile=world.profile, roster=roster, events=events),
        world.snapshots,
        trials,
        reached=world.reached,
        traits=world.traits,
        mechanism=world.mechanism,
        seed=seed,
    )


def _check(profile: Profile, officers: int, months: int) -> None:
    if officers < FEWEST_OFFICERS or months < FEWEST_MONTHS:
        raise Refusal(
            f"A simulated force needs at least {FEWEST_OFFICERS} officers and {FEWEST_MONTHS} months.",
            hint="For the two models to be trained, take 500 officers and 36 months or more.",
        )
    if tuple(profile.posts) != tuple(WORK):
        raise Refusal("The simulated force needs a profile with the posts of gongan.", hint="Leave the profile out.")


class _World:
    """The force as it lives: the persons' states, the postings, the ledger, and snapshots for the truth."""

    def __init__(self, profile: Profile, officers: int, months: int, *, seed: int, mechanism: Mechanism) -> None:
        self.profile, self.mechanism = profile, mechanism
        self.rng = np.random.default_rng([seed, 1])
        self.start = LAST_MONTH - months + 1
        self.people: People = make_people(self.rng, officers, start=self.start, months=months)
        self.traits: Traits = make_traits(self.rng, self.people, mechanism=mechanism, start=self.start)
        units = make_units(profile, officers)
        self.postings: Postings = first_postings(self.rng, self.people, units, start=self.start)
        self.state: State = first_state(self.rng, self.postings, mechanism=mechanism)
        self.ledger = Ledger(profile.measure_keys, self.rng)
        self.snapshots: dict[int, Snapshot] = {}
        self.reached: dict[int, Ints] = {}
        size = len(self.people.joined)
        self.case_began = np.full(size, NO_DAY, dtype=np.int32)
        self.case_ends = np.zeros(size, dtype=np.int32)
        self.stars = np.zeros(size, dtype=bool)
        self.quarter = np.zeros(size)
        for month in range(self.start - BURN_IN, self.start):
            self._step(month)

    def live(self, month: int, chosen: Help | None = None) -> None:
        """Let one month pass: transfers, work, strain, records; then leavers, and a snapshot for the truth."""
        self._transfers(month)
        seen = self._step(month, self._extra(month, chosen))
        here = np.flatnonzero(self.people.joined <= month)
        here = here[self.postings.gone[here] == NO_DAY].astype(np.int32)
        episode = self.rng.random(len(here)) < burnout_hazard(self.state.strain[here], self.mechanism)
        self._record(month, here, seen, episode)
        self._recover(here[episode])
        self._honour(month, here, seen)
        self._leavers(month, here)
        self.snapshots[month] = Snapshot(self.state, seen.burden, seen.performance)

    def _extra(self, month: int, chosen: Help | None) -> Extra | None:
        """Help chosen from outside reaches those who are there; it is marked on the first day of the month."""
        there = (self.people.joined <= month) & (self.postings.gone == NO_DAY)
        who = reached(chosen, self.people.officer_id, there)
        self.reached[month] = who
        if chosen is None or not len(who):
            return None
        if chosen.recorded_as:
            self.ledger.add(chosen.recorded_as, who, np.full(len(who), first_day(month)), 1.0)
        return extra_of(chosen, who, len(there))

    def _step(self, month: int, extra: Extra | None = None) -> Month:
        load, pressure = (self.postings.units.shocks(self.rng)[self.postings.unit] for _ in range(2))
        noise, shocks = Noise(self.rng, len(self.state.post)), UnitShocks(load, pressure)
        self.state, seen = next_month(
            self.state, self.traits, month=month, mechanism=self.mechanism, noise=noise, shocks=shocks, extra=extra
        )
        return seen

    def _transfers(self, month: int) -> None:
        there = (self.people.joined < month - 3) & (self.postings.gone == NO_DAY)
        moved = there & (self.rng.random(len(there)) < self.mechanism.transfer_chance) & (self.case_ends < month)
        who = np.flatnonzero(moved).astype(np.int32)
        if month == self.start or not len(who):
            return
        self.state, rotated = transfer(
            self.rng, self.state, self.postings, who=who, day=int(first_day(month)), mechanism=self.mechanism
        )
        self.ledger.add("rotation", rotated, np.full(len(rotated), first_day(month)), 1.0)

    def _record(self, month: int, here: Ints, seen: Month, episode: np.ndarray) -> None:
        mine, state = _taken(seen, here), self.state.take(here)
        away = self._exempt_days(month, here, mine, episode)
        presence = presence_of(away, month)
        record_hours(self.ledger, month=month, who=here, seen=mine, presence=presence)
        busy = self._long_cases(month, here)
        work = mine.performance[:, None] + self.traits.aptitude[here]
        for number, post in enumerate(WORK):
            part = np.flatnonzero(state.post == number)
            if len(part):
                mine_work = Work(here[part], work[part], presence[part], busy[part])
                record_work(self.ledger, month=month, post=post, done=mine_work)
        injured = injuries(self.rng, mine)
        record_wellbeing(self.ledger, month=month, who=here, state=state, seen=mine, episode=episode, injured=injured)
        record_rest(self.ledger, month=month, who=here, seen=mine)
        record_faults(self.ledger, month=month, who=here, state=state, seen=mine)
        record_culture(self.ledger, month=month, who=here)
        if month % 3 == 2:
            record_climate(self.ledger, month=month, who=here, state=state)

    def _exempt_days(self, month: int, here: Ints, seen: Month, episode: np.ndarray) -> Floats:
        """Leave (rest taken and the yearly leave), secondments and declared operations, in days."""
        rng, size = self.rng, len(here)
        yearly = (rng.random(size) < 0.12) * rng.integers(3, 8, size)
        leave = np.minimum(yearly + seen.rest[:, 0] + seen.rest[:, 1] + 5.0 * episode, 12.0)
        lent = (rng.random(size) < 0.003) * rng.integers(12, 21, size)
        called = self._operation(month, here)
        day = first_day(month) + 4
        for measure, days in (("leave_days", leave), ("secondment_days", lent), ("major_operation_days", called)):
            some = np.flatnonzero(days > 0)
            self.ledger.add(measure, here[some], np.full(len(some), day), days[some].astype(np.float64))
        return np.asarray(leave + lent + called, dtype=np.float64)

    def _operation(self, month: int, here: Ints) -> Floats:
        """Twice a year a declared operation calls one officer in five of two posts for six to twelve days."""
        if month % 6 != 4:
            return np.zeros(len(here), dtype=np.float64)
        posts = self.rng.choice(len(WORK), 2, replace=False)
        called = np.isin(self.state.post[here], posts) & (self.rng.random(len(here)) < 0.2)
        return np.asarray(called * self.rng.integers(6, 13, len(here)), dtype=np.float64)

    def _long_cases(self, month: int, here: Ints) -> np.ndarray:
        """Open, keep in hand and close the detectives' long cases; return who is in one."""
        detective = self.state.post[here] == 0
        ending = detective & (self.case_ends[here] == month)
        self._close(month, here[ending])
        free = detective & (self.case_ends[here] < month)
        opens = here[free & (self.rng.random(len(here)) < 0.02)]
        self.case_began[opens] = first_day(month) + self.rng.integers(0, 10, len(opens))
        self.case_ends[opens] = month + self.rng.integers(3, 9, len(opens))
        busy = np.asarray((self.case_ends[here] >= month) & detective, dtype=bool)
        hand = here[busy & ~ending]
        self.ledger.add("case_in_hand", hand, np.full(len(hand), last_day(month)), 1.0)
        return busy

    def _close(self, month: int, who: Ints) -> None:
        length = month - month_of_day(self.case_began[who]) + 1
        work = self.state.morale[who] + self.traits.aptitude[who, QUALITY]
        solved = np.maximum(1, self.rng.poisson(8.0 * length * np.exp(0.3 * work)))
        day = np.full(len(who), last_day(month) - 2)
        self.ledger.add(LONG_CASE, who, day, solved.astype(np.float64), began=self.case_began[who])
        self.ledger.add("hard_case_solved", who, day, 1.0)

    def _recover(self, who: Ints) -> None:
        strain = self.state.strain.copy()
        strain[who] -= self.mechanism.burnout_relief
        self.state = replace(self.state, strain=strain)

    def _honour(self, month: int, here: Ints, seen: Month) -> None:
        """At the end of a quarter the best three in a hundred of each post become its stars."""
        noise = 0.4 * self.rng.standard_normal(len(self.quarter))
        self.quarter += seen.performance + self.traits.aptitude.mean(axis=1) + noise
        if month % 3 != 2:
            return
        chosen = []
        for post in range(len(WORK)):
            part = here[self.state.post[here] == post]
            best = np.argsort(-self.quarter[part], kind="stable")[: max(1, round(0.03 * len(part)))]
            chosen.append(part[best])
        stars = np.concatenate(chosen)
        self.quarter[:] = 0.0
        self.stars[stars] = True
        morale = self.state.morale.copy()
        morale[stars] += self.mechanism.star_on_morale
        self.state = replace(self.state, morale=morale)
        day = np.full(len(stars), last_day(month))
        for measure in ("star_quarter", "honour", "family_letter"):
            self.ledger.add(measure, stars, day, 1.0)
        self._mentors(month, here, seen)

    def _mentors(self, month: int, here: Ints, seen: Month) -> None:
        mentors = here[self.stars[here]]
        meetings = int(seen.mentored[here].sum())
        if len(mentors) and meetings:
            given = np.unique(self.rng.choice(mentors, meetings))
            self.ledger.add("mentoring_given", given.astype(np.int32), np.full(len(given), last_day(month)), 3.0)

    def _leavers(self, month: int, here: Ints) -> None:
        leaving = self.rng.random(len(here)) < leaving_hazard(self.state.strain[here], self.mechanism)
        who = here[leaving]
        if month < LAST_MONTH and len(who):
            self.postings.end(who, int(last_day(month)))
            self.postings.gone[who] = last_day(month)


def _taken(seen: Month, who: Ints) -> Month:
    return Month(seen.burden[who], seen.nights[who], seen.quick_returns[who], seen.incidents[who], seen.rest[who],
                 seen.mentored[who], seen.performance[who])  # fmt: skip


def _effects(world: _World) -> pd.DataFrame:
    m, traits = world.mechanism, world.traits
    columns = {
        "compensatory_leave": m.rest_effect[0] * traits.rest_response[:, 0],
        "recuperation": m.rest_effect[1] * traits.rest_response[:, 1],
        "counselling": m.rest_effect[2] * traits.rest_response[:, 2],
        "mentoring": m.mentoring_effect * traits.mentoring_response,
    }
    scaled = {name: m.effect_scale * column for name, column in columns.items()}
    return pd.DataFrame({"officer_id": list(world.people.officer_id), **scaled})
