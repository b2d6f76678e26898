"""The efficiency index: long cases, exempt time, weights and shrinkage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.asknown import KnownCube, Parted
from features.efficiency import monthly_index, read_by_index
from features.histories.tables import Histories, histories
from features.labels import labels
from features.months import month_of_day, parse_month
from features.profile import load_profile
from features.simulation import simulate
from tests.forces import SMALL, events_of, force, small_profile, squad

MONTHS = pd.period_range("2020-01", "2022-12", freq="M")


def work(
    names: list[str], measure: str, rng: np.random.Generator, *, mean: float, months: pd.PeriodIndex = MONTHS
) -> list[tuple[object, ...]]:
    rows = []
    for name in names:
        for month in months:
            rows.append((name, measure, f"{month}-15", float(np.round(max(0.0, rng.normal(mean, mean / 4)), 2))))
    return rows


def detectives(extra: list[tuple[object, ...]], *, quiet: dict[str, str]) -> Histories:
    """Twenty steady detectives; those in ``quiet`` stop all ordinary records from that month on."""
    rng = np.random.default_rng(1)
    names = [f"P{number:02d}" for number in range(20)]
    rows = work(names, "duty_hours", rng, mean=160) + work(names, "case_solved", rng, mean=3)
    kept = [row for row in rows if not (row[0] in quiet and str(row[2]) >= quiet[str(row[0])])]
    return force(squad(20, post="detective"), events_of(*kept, *extra))


def decline(given: Histories, officer: str, as_of: str, until: str | None = None) -> float:
    found = labels(given, "efficiency_decline", [parse_month(as_of)], until=parse_month(until) if until else None)
    return float(found.label[list(given.officers[found.officer]).index(officer)])


def test_a_detective_in_the_middle_of_a_long_case_is_not_labelled_as_declining_and_an_idle_colleague_is() -> None:
    long_case = ("P00", "case_solved", "2022-01-20", 1, "2022-01-20", "2021-07-02", "LONG")
    given = detectives([long_case], quiet={"P00": "2021-07", "P01": "2021-07"})
    for as_of in ("2021-06", "2021-08", "2021-10"):
        assert decline(given, "P00", as_of) != 1, as_of
    assert decline(given, "P01", "2021-06") == 1


def test_a_long_case_that_is_not_closed_yet_is_known_by_its_record_in_hand() -> None:
    in_hand = [("P00", "case_in_hand", f"{month}-28", 1) for month in MONTHS if str(month) >= "2021-07"]
    given = detectives(in_hand, quiet={"P00": "2021-07", "P01": "2021-07"})
    assert decline(given, "P00", "2021-06", until="2021-09") != 1
    assert decline(given, "P01", "2021-06", until="2021-09") == 1


def test_a_health_record_that_spans_months_is_no_long_work_and_moves_no_index() -> None:
    treated = ("P00", "strain_survey", "2022-01-20", 7, "2022-01-20", "2021-07-02", "TREATED")
    given, plain = (detectives(extra, quiet={"P00": "2021-07", "P01": "2021-07"}) for extra in ([treated], []))
    assert decline(given, "P00", "2021-06") == 1
    np.testing.assert_array_equal(index_of(given), index_of(plain))


def test_time_off_under_a_health_measure_has_no_part_in_the_index() -> None:
    given = detectives([("P00", "strain_survey", "2021-07-20", 25)], quiet={})
    measures = dict(given.profile.measures)
    measures["strain_survey"] = measures["strain_survey"].model_copy(update={"exempt": True, "aggregate": "sum"})
    profile = given.profile.model_copy(update={"measures": measures})
    np.testing.assert_array_equal(index_of(replace(given, profile=profile)), index_of(detectives([], quiet={})))


def test_a_decline_is_unknown_until_its_horizon_is_over() -> None:
    given = detectives([], quiet={"P01": "2021-07"})
    assert np.isnan(decline(given, "P01", "2021-06", until="2021-08"))
    assert decline(given, "P01", "2021-06", until="2021-09") == 1


def test_the_long_case_rule_is_what_protects_the_detective() -> None:
    long_case = ("P00", "case_solved", "2022-01-20", 1, "2022-01-20", "2021-07-02", "LONG")
    rows = detectives([long_case], quiet={"P00": "2021-07"})
    plain = rows.profile.model_copy(
        update={"posts": {k: v.model_copy(update={"review": "month"}) for k, v in rows.profile.posts.items()}}
    )
    by_month = Histories(plain, rows.officers, rows.posts, rows.units, rows.postings, rows.events, rows.people)
    assert decline(by_month, "P00", "2021-06") == 1


def test_exempt_months_are_left_out_and_not_counted_as_zero() -> None:
    away = [("P00", "leave_days", f"{month}-20", 25) for month in ("2021-07", "2021-08")]
    given = detectives(away, quiet={"P00": "2021-07"})
    index = index_of(given)
    july = parse_month("2021-07") - parse_month("2020-01")
    assert np.isnan(index[july : july + 2, 0]).all()
    assert index[july + 2, 0] < -1


def index_of(given: Histories) -> np.ndarray:
    last = parse_month("2022-12")
    cube = KnownCube(given, last_month=last)
    for month in range(cube.base, last + 1):
        cube.advance(month)
    return monthly_index(given, cube, range(parse_month("2020-01"), last + 1))


def test_the_index_has_mean_zero_and_deviation_one_within_post_and_month() -> None:
    index = index_of(detectives([], quiet={}))
    np.testing.assert_allclose(index.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(index.std(axis=1), 1, atol=1e-9)


def test_part_exempt_time_is_adjusted_for_exposure() -> None:
    half = detectives([("P00", "leave_days", "2021-07-20", 10)], quiet={})
    full = detectives([], quiet={})
    july = parse_month("2021-07") - parse_month("2020-01")
    assert index_of(half)[july, 0] > index_of(full)[july, 0] + 0.3


def test_two_ratings_move_the_index_less_than_twenty() -> None:
    rng = np.random.default_rng(2)
    names = [f"P{number:02d}" for number in range(20)]
    rows = [(name, "citizen_rating", "2021-07-10", float(rng.normal(4, 0.3))) for name in names for _ in range(5)]
    few = [("P00", "citizen_rating", "2021-08-10", 5.0)] * 2 + [("P01", "citizen_rating", "2021-08-10", 5.0)] * 20
    rest = [(name, "citizen_rating", "2021-08-10", float(rng.normal(4, 0.3))) for name in names[2:] for _ in range(5)]
    profile = small_profile()
    only = profile.posts["patrol"].model_copy(update={"indicators": {"satisfaction": {"citizen_rating": 1.0}}})
    given = force(
        squad(20),
        events_of(*rows, *few, *rest),
        profile.model_copy(update={"posts": {**profile.posts, "patrol": only}}),
    )
    august = index_of(given)[parse_month("2021-08") - parse_month("2020-01")]
    assert 0 < august[0] < august[1]


def test_fewer_than_five_peers_give_no_index() -> None:
    rng = np.random.default_rng(1)
    names = [f"P{number:02d}" for number in range(4)]
    given = force(squad(4), events_of(*work(names, "duty_hours", rng, mean=160)))
    assert np.isnan(index_of(given)).all()


def test_a_profile_without_posts_gives_every_post_the_same_indicators() -> None:
    profile = small_profile().model_copy(update={"posts": {}})
    rng = np.random.default_rng(1)
    names = [f"P{number:02d}" for number in range(10)]
    given = force(squad(10, post="anything"), events_of(*work(names, "case_solved", rng, mean=3)), profile)
    assert not np.isnan(index_of(given)).all()
    assert SMALL.is_dir()


def index_from(given: Histories, measures: np.ndarray, last: int, *, since: int = 0) -> np.ndarray:
    export = Parted(given, last).of_measures(measures, len(given.officers), since=since)
    cube = KnownCube(given, last_month=last, export=export)
    for month in range(cube.now + 1, last + 1):
        cube.advance(month)
    return monthly_index(given, cube, range(last - 11, last + 1))


@pytest.mark.parametrize("simulated", [True, False])
def test_the_index_reads_no_measure_but_those_that_it_names_and_nothing_before_its_months(simulated: bool) -> None:
    if simulated:
        made = simulate(officers=80, months=20, seed=5)
        given = histories(profile=load_profile("gongan"), roster=made.roster, events=made.events)
        last = int(month_of_day(given.last_recorded))
    else:
        long_case = ("P00", "case_solved", "2022-01-20", 1, "2022-01-20", "2021-07-02", "LONG")
        in_hand = [("P01", "case_in_hand", f"{month}-28", 1) for month in MONTHS[18:]]
        given = detectives([long_case, *in_hand], quiet={"P00": "2021-07", "P01": "2021-07"})
        last = parse_month("2022-03")
    read = read_by_index(given)
    assert 0 < read.sum() < len(read)
    whole = index_from(given, np.ones(len(read), dtype=bool), last)
    assert np.isfinite(whole).any()
    np.testing.assert_array_equal(index_from(given, read, last), whole)
    np.testing.assert_array_equal(index_from(given, read, last, since=last - 11), whole)
    missed = [number for number in np.flatnonzero(read) if (given.events.measure == number).any()]
    differs = [not np.array_equal(index_from(given, read & (np.arange(len(read)) != n), last), whole, equal_nan=True)
               for n in missed]  # fmt: skip
    assert any(differs)
