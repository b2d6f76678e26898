"""Drift, coverage and performance as statistics: what must be found is, and what stable months do is not."""

import numpy as np
import pandas as pd
import pytest

from features.histories.tables import Histories, histories
from features.months import parse_month
from features.profile import Profile
from tests.training_force import MEASURES, RISKS, SETTINGS
from training.monitoring.coverage import arrivals_by_measure, arrivals_by_unit, artefacts, holes, roster_shrunk
from training.monitoring.drift import Drift, Series, drifts, shrunk
from training.monitoring.performance import estimated, measured

MONTHS = tuple(range(100, 127))
REFERENCE = range(100, 124)
Q = 0.01


def _force(seed: int, *, series: int = 20, officers: int = 1000, wobble: float = 0.08) -> list[Series]:
    """Persons who differ for good, months that move everyone by ``wobble``: stable, and never still."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(series):
        person = generator.normal(0, 1, officers)
        month = generator.normal(0, wobble, len(MONTHS))
        values = person + month[:, None] + generator.normal(0, 1, (len(MONTHS), officers))
        found.append(Series(f"m{number}", MONTHS, values))
    return found


def _by_subject(found: list[Drift]) -> dict[str, Drift]:
    return {one.subject: one for one in found}


def test_months_that_wobble_as_they_always_did_raise_no_alarm() -> None:
    alarms = [any(one.q <= Q for one in drifts(_force(seed, officers=500), REFERENCE)) for seed in range(12)]
    assert sum(alarms) <= 1


def test_persons_permuted_alone_would_have_raised_it() -> None:
    force = _force(1, officers=5000)
    away = [series.values[-1].mean() - series.values[:24].mean() for series in force]
    persons_only = np.sqrt(2 / 5000)  # own level apart, the error of a month's mean
    assert sum(abs(value) > 3.5 * persons_only for value in away) >= 3


def test_half_a_standard_deviation_in_one_measure_is_found_and_named() -> None:
    for seed in range(3):
        force = _force(seed)
        moved = force[7].values.copy()
        moved[-1] += 0.5 * moved[:24].std()
        force[7] = Series("m7", MONTHS, moved)
        found = drifts(force, REFERENCE)
        assert [one.subject for one in found if one.q <= Q] == ["m7"]
        assert _by_subject(found)["m7"].shift == pytest.approx(0.5, abs=0.25)
        assert _by_subject(found)["m7"].auc > 0.58


def test_a_change_of_shape_without_a_change_of_mean_is_found() -> None:
    force = _force(3)
    wider = force[2].values.copy()
    wider[-1] = (wider[-1] - wider[-1].mean()) * 2.0
    force[2] = Series("m2", MONTHS, wider)
    found = _by_subject(drifts(force, REFERENCE))["m2"]
    assert found.q <= Q
    assert found.score == "spread"


def test_the_order_of_persons_and_of_series_changes_nothing() -> None:
    force = _force(4, series=6, officers=200)
    order = np.random.default_rng(0).permutation(200)
    turned = [Series(one.subject, one.months, one.values[:, order]) for one in force[::-1]]
    first, second = (_by_subject(drifts(each, REFERENCE)) for each in (force, turned))
    assert {name: one.p for name, one in first.items()} == pytest.approx({name: one.p for name, one in second.items()})


def test_a_yearly_measure_is_compared_with_its_own_months_only() -> None:
    generator = np.random.default_rng(5)
    months = tuple(range(600, 661))
    values = np.full((len(months), 300), np.nan)
    level = generator.normal(50, 5, 300)
    for month in range(603, 661, 12):
        values[month - 600] = level + generator.normal(0, 1, 300)
    found = drifts(
        [Series("yearly", months, values), *_moved_in_time(_force(5, officers=300), months)], range(600, 650)
    )
    assert (found[0].subject, found[0].month, found[0].reference) == ("yearly", 651, (603, 615, 627, 639))


def _moved_in_time(force: list[Series], months: tuple[int, ...]) -> list[Series]:
    repeated = [np.tile(one.values, (3, 1))[: len(months)] for one in force]
    return [Series(one.subject, months, values) for one, values in zip(force, repeated, strict=True)]


def test_too_few_reference_months_are_not_judged() -> None:
    assert drifts(_force(1, series=2), range(100, 102)) == []


def test_small_variances_are_drawn_up_to_the_common_one_and_gain_degrees_of_freedom() -> None:
    generator = np.random.default_rng(0)
    freedom = np.full(200, 3)
    seen = generator.chisquare(3, (200, 1)) / 3
    drawn, total = shrunk(seen, freedom)
    assert (drawn >= seen).all()
    assert drawn.min() > 0.7
    assert (total > 10).all()


FIRST = pd.Timestamp("2020-01-01")
CHECKUP = {"dimension": "action", "label": {"zh": "体检", "en": "Check-ups"}}


def _export(*, months: int = 48, officers: int = 120, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(seed)
    ids = np.array([f"P{number:04d}" for number in range(officers)])
    units = np.array(["north", "south", "east"])[np.arange(officers) % 3]
    roster = pd.DataFrame({"officer_id": ids, "valid_from": FIRST - pd.DateOffset(years=1), "post": "patrol"})
    parts = []
    for month in range(months):
        day = FIRST + pd.DateOffset(months=month)
        parts.append(pd.DataFrame({"officer_id": ids, "measure": "night", "occurred_on": day + pd.Timedelta(days=2)}))
        moaned = ids[generator.random(officers) < 0.1]
        late = pd.Timedelta(days=45)
        complaint = pd.DataFrame({"officer_id": moaned, "measure": "complaint", "occurred_on": day})
        parts.append(complaint.assign(recorded_on=day + late))
        fell = ids[generator.random(officers) < 0.005]
        parts.append(pd.DataFrame({"officer_id": fell, "measure": "collapse", "occurred_on": day}))
        if month % 12 == 11:
            parts.append(pd.DataFrame({"officer_id": ids, "measure": "checkup", "occurred_on": day}))
    events = pd.concat(parts)
    events["recorded_on"] = events["recorded_on"].fillna(events["occurred_on"])
    return roster.assign(unit=units, valid_to=pd.NaT), events.assign(value=1.0)


def _histories(roster: pd.DataFrame, events: pd.DataFrame) -> Histories:
    parts = {"settings": SETTINGS, "measures": {**MEASURES, "checkup": CHECKUP}, "posts": {}, "risks": RISKS}
    profile = Profile.model_validate({**parts, "actions": {}})
    return histories(profile=profile, roster=roster, events=events)


def test_stable_months_late_recording_yearly_and_rare_measures_are_no_holes() -> None:
    given = _histories(*_export())
    for month in range(parse_month("2022-06"), parse_month("2024-01")):
        known = given.until(month)
        assert holes(arrivals_by_measure(known, month)) == []
        assert holes(arrivals_by_unit(known, month), at_most=0.1) == []


@pytest.mark.parametrize("left", [0.0, 0.3])
def test_a_measure_that_stops_is_a_hole_that_began_in_its_month(left: float) -> None:
    roster, events = _export()
    gone = (events["measure"] == "night") & (events["occurred_on"] >= pd.Timestamp("2023-08-01"))
    kept = np.random.default_rng(2).random(len(events)) < left
    given = _histories(roster, events[~gone | kept])
    for as_of in ("2023-08", "2023-10"):
        month = parse_month(as_of)
        (hole,) = holes(arrivals_by_measure(given.until(month), month))
        assert (hole.subject, hole.since) == ("night", parse_month("2023-08"))
        assert hole.rows <= 0.5 * hole.usual


def test_a_yearly_measure_that_stays_away_is_a_hole_when_its_month_is_past() -> None:
    roster, events = _export(months=50)
    last = (events["measure"] == "checkup") & (events["occurred_on"] >= pd.Timestamp("2023-01-01"))
    given = _histories(roster, events[~last])
    found = {}
    for month in range(parse_month("2023-06"), parse_month("2024-03")):
        found[month] = [hole.subject for hole in holes(arrivals_by_measure(given.until(month), month))]
    gone = [month for month, subjects in found.items() if subjects == ["checkup"]]
    assert gone == [parse_month("2024-01"), parse_month("2024-02")]
    assert sum(bool(subjects) for subjects in found.values()) == 2


def test_a_silent_unit_is_found_and_a_dissolved_one_is_not() -> None:
    roster, events = _export()
    south = roster.loc[roster["unit"] == "south", "officer_id"]
    late = events["officer_id"].isin(south) & (events["occurred_on"] >= pd.Timestamp("2023-11-01"))
    month = parse_month("2023-12")
    silent = _histories(roster, events[~late]).until(month)
    assert [hole.subject for hole in holes(arrivals_by_unit(silent, month), at_most=0.1)] == ["south"]
    ended = roster.assign(valid_to=pd.to_datetime(np.where(roster["unit"] == "south", "2023-10-31", None)))
    dissolved = _histories(ended, events[~late]).until(month)
    assert holes(arrivals_by_unit(dissolved, month), at_most=0.1) == []
    assert roster_shrunk(arrivals_by_measure(dissolved, month)) == (120.0, 80.0)


def test_a_file_of_persons_with_an_event_only_is_seen_and_a_whole_one_is_not() -> None:
    roster, events = _export(officers=600, months=24)
    assert artefacts(_histories(roster, events)) == []
    struck = set(events.loc[events["measure"] == "collapse", "officer_id"])
    only = _histories(roster[roster["officer_id"].isin(struck)], events[events["officer_id"].isin(struck)])
    (found,) = artefacts(only)
    assert (found.subject, found.without) == ("collapse", 0)
    assert found.expected > 50


def test_officers_hired_after_the_month_that_is_looked_at_do_not_hide_such_a_file() -> None:
    roster, events = _export(officers=600, months=24)
    struck = set(events.loc[events["measure"] == "collapse", "officer_id"])
    later = roster[~roster["officer_id"].isin(struck)].assign(valid_from=pd.Timestamp("2024-06-01"))
    only = pd.concat([roster[roster["officer_id"].isin(struck)], later])
    known = _histories(only, events[events["officer_id"].isin(struck)]).until(parse_month("2021-12"))
    (found,) = artefacts(known)
    assert (found.subject, found.people, found.without) == ("collapse", len(struck), 0)


def test_the_estimate_holds_the_figure_that_comes_where_probabilities_are_true() -> None:
    generator = np.random.default_rng(3)
    inside = 0
    for seed in range(10):
        probability = generator.beta(0.5, 4, 1500)
        label = (generator.random(1500) < probability).astype(float)
        came = measured(np.arange(1500, dtype=np.int32), label, probability, capacity=50)
        hoped = estimated(probability, capacity=50, seed=seed).average_precision
        assert came is not None
        assert came.ratio is not None
        assert came.observed == label.sum()
        inside += hoped.low <= came.average_precision.value <= hoped.high
    assert inside >= 7


def test_twice_the_outcomes_expected_show_in_the_ratio_and_its_interval() -> None:
    generator = np.random.default_rng(4)
    probability = generator.beta(0.5, 4, 3000)
    label = (generator.random(3000) < np.minimum(1, 2 * probability)).astype(float)
    label[:100] = np.nan
    came = measured(np.arange(3000, dtype=np.int32), label, probability, capacity=60)
    assert came is not None
    assert came.ratio is not None
    assert came.people == 2900
    assert 1.25 < came.ratio.low < came.ratio.value < came.ratio.high < 2.4
