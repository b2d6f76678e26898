"""Nothing may use a row before its recorded_on: attacked with poison, cuts, late news and a leaky engine."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asknown import Lifetimes
from features.engine import FeatureRows, feature_rows
from features.histories.tables import Events, Histories
from features.months import month_of_day, parse_month
from tests.forces import events_of, force, random_tables, squad
from tests.reference import end_of

AS_OF, LATER = parse_month("2021-03"), parse_month("2021-12")
ALL = pd.Timestamp("2000-01-01")


def rows_at(given_: Histories, as_of: int = AS_OF, *, also: int = LATER) -> FeatureRows:
    """The rows of one as-of, taken from a run over two: training and serving both do so."""
    rows = feature_rows(given_, [as_of, also])
    return rows.take(rows.as_of == as_of)


def assert_unmoved(change: Callable[[pd.DataFrame], pd.DataFrame], seed: int) -> None:
    roster, events = random_tables(seed)
    before, after = rows_at(force(roster, events)), rows_at(force(roster, change(events)))
    np.testing.assert_array_equal(before.officer, after.officer)
    assert before.values.tobytes() == after.values.tobytes()


def poisoned(events: pd.DataFrame) -> pd.DataFrame:
    """Add wild rows recorded the day after the as-of: new events in the past, and corrections of old ones."""
    news = pd.Timestamp(end_of(AS_OF)) + pd.Timedelta(days=1)
    wild = events.assign(value=1e6, recorded_on=news)
    return pd.concat([events, wild[wild["occurred_on"] <= news]], ignore_index=True)


def cut(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["recorded_on"].fillna(events["occurred_on"]) <= pd.Timestamp(end_of(AS_OF))]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_poison_recorded_after_the_as_of_changes_no_bit(seed: int) -> None:
    assert_unmoved(poisoned, seed)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_histories_cut_at_the_as_of_give_the_same_bits_as_full_ones(seed: int) -> None:
    assert_unmoved(cut, seed)


def leaky_lifetimes(events: Events) -> Lifetimes:
    """What a point-in-time join on event time does: believes that all was known when it happened."""
    born = month_of_day(events.occurred)
    return Lifetimes(born, np.full_like(born, np.iinfo(np.int32).max), np.nan_to_num(events.value, nan=1.0))


@pytest.mark.parametrize("attack", [poisoned, cut])
def test_a_leaky_engine_is_caught(
    monkeypatch: pytest.MonkeyPatch, attack: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    monkeypatch.setattr("features.asknown.lifetimes", leaky_lifetimes)
    with pytest.raises(AssertionError):
        assert_unmoved(attack, seed=1)


def value(given_: Histories, name: str, as_of: str, officer: str = "P00") -> float:
    rows = feature_rows(given_, [parse_month(as_of)], names=[name])
    return float(rows.values[list(given_.officers[rows.officer]).index(officer), 0])


def test_late_news_counts_from_the_month_it_was_recorded() -> None:
    given_ = force(squad(1), events_of(("P00", "complaint", "2021-01-10", 1, "2021-03-31")))
    assert value(given_, "complaint__sum__6m", "2021-02") == 0
    assert value(given_, "complaint__sum__6m", "2021-03") == 1
    assert value(given_, "complaint__sum__3m", "2021-03") == 1
    assert value(given_, "complaint__sum__1m", "2021-03") == 0  # it happened in January


def test_news_of_the_last_day_counts_and_of_the_next_does_not() -> None:
    on = force(squad(1), events_of(("P00", "complaint", "2021-01-10", 1, "2021-01-31")))
    after = force(squad(1), events_of(("P00", "complaint", "2021-01-10", 1, "2021-02-01")))
    assert value(on, "complaint__ever", "2021-01") == 1
    assert value(after, "complaint__ever", "2021-01") == 0


def test_a_correction_counts_from_its_own_recording_and_a_retraction_ends_it() -> None:
    rows = events_of(
        ("P00", "duty_hours", "2021-01-10", 10, "2021-01-10", None, "E1"),
        ("P00", "duty_hours", "2021-01-10", 4, "2021-03-05", None, "E1"),
        ("P00", "duty_hours", "2021-01-10", None, "2021-05-05", None, "E1"),
    )
    given_ = force(squad(1), rows)
    seen = [
        value(given_, "duty_hours__sum__12m", month)
        for month in ("2021-01", "2021-02", "2021-03", "2021-04", "2021-05")
    ]
    assert seen == [10, 10, 4, 4, 0]
    assert [value(given_, "duty_hours__ever", month) for month in ("2021-04", "2021-05")] == [1, 0]


def test_a_correction_may_move_an_event_to_another_day_measure_or_person() -> None:
    rows = events_of(
        ("P00", "complaint", "2021-01-10", 1, "2021-01-10", None, "E1"),
        ("P01", "complaint", "2021-02-01", 1, "2021-02-10", None, "E1"),
    )
    given_ = force(squad(2), rows)
    assert [value(given_, "complaint__sum__12m", m) for m in ("2021-01", "2021-02")] == [1, 0]
    assert [value(given_, "complaint__sum__12m", m, "P01") for m in ("2021-01", "2021-02")] == [0, 1]


def test_an_empty_value_without_an_earlier_row_counts_as_one() -> None:
    assert value(force(squad(1), events_of(("P00", "complaint", "2021-01-10"))), "complaint__sum__1m", "2021-01") == 1


def test_long_work_is_credited_evenly_over_its_months_once_recorded() -> None:
    rows = events_of(("P00", "case_solved", "2021-06-20", 6, "2021-06-25", "2021-01-15", "C1"))
    given_ = force(squad(1), rows)
    assert value(given_, "case_solved__sum__12m", "2021-05") == 0
    assert value(given_, "case_solved__sum__1m", "2021-06") == 1
    assert value(given_, "case_solved__sum__3m", "2021-06") == 3
    assert value(given_, "case_solved__sum__6m", "2021-06") == 6
    assert value(given_, "case_solved__months_since", "2021-08") == 2


def test_another_persons_events_change_no_row_but_through_peer_and_unit_features() -> None:
    roster, events = random_tables(5)
    mine = events["officer_id"] == "R00"
    other = events.assign(value=np.where(mine, events["value"], 50.0))
    before, after = (force(roster, table) for table in (events, other))
    rows = [feature_rows(table, [AS_OF, LATER]) for table in (before, after)]
    own = [part.take(before.officers[part.officer] == "R00") for part in rows]
    assert len(own[0]) > 0
    free = [
        i
        for i, name in enumerate(own[0].names)
        if not any(kind in name for kind in ("__vs_peers__", "__unit__", "efficiency__"))
    ]
    np.testing.assert_array_equal(own[0].values[:, free], own[1].values[:, free])
    assert not np.array_equal(own[0].values, own[1].values, equal_nan=True)


def test_an_early_as_of_gives_the_same_bits_alone_as_in_a_long_run() -> None:
    given_ = force(*random_tables(7))
    alone, run = feature_rows(given_, [AS_OF]), feature_rows(given_, list(range(AS_OF - 6, LATER + 1)))
    assert alone.values.tobytes() == run.take(run.as_of == AS_OF).values.tobytes()


def test_name_sex_and_birth_year_are_never_features() -> None:
    roster, events = random_tables(2)
    named = roster.assign(name="张三", sex="F", birth_year=1980)
    before, after = rows_at(force(roster, events)), rows_at(force(named, events))
    assert before.values.tobytes() == after.values.tobytes()
    assert not any(word in name for name in before.names for word in ("birth", "sex", "name"))


def test_sensitive_features_are_unknown_where_each_person_needs_a_basis() -> None:
    given_ = force(*random_tables(4))
    personal = given_.profile.settings.model_copy(update={"sensitive_basis": "person"})
    closed = force(*random_tables(4), profile=given_.profile.model_copy(update={"settings": personal}))
    names = [
        name
        for name in feature_rows(given_, [AS_OF]).names
        if name.startswith(("strain_survey__", "burnout_episode__"))
    ]
    assert np.isnan(feature_rows(closed, [AS_OF], names=names).values).all()
    assert not np.isnan(feature_rows(given_, [AS_OF], names=names).values).all()


def test_a_posting_that_begins_later_does_not_say_since_when_somebody_serves() -> None:
    roster, events = random_tables(3)
    roster = roster.groupby("officer_id").head(1)
    events = events[events["officer_id"].isin(roster["officer_id"])]
    before = rows_at(force(roster.assign(hired_on=pd.Timestamp("2015-03-01")), events))
    later = roster.assign(valid_from=pd.Timestamp(end_of(AS_OF)) + pd.Timedelta(days=40), hired_on=pd.NaT)
    moved = pd.concat([roster.assign(hired_on=pd.Timestamp("2015-03-01")), later], ignore_index=True)
    assert before.values.tobytes() == rows_at(force(moved, events)).values.tobytes()


def test_what_is_recorded_later_moves_nobodys_row_where_postings_began_before_the_first_event() -> None:
    rows = [("P00", "complaint", "2021-06-10", 1, "2021-06-10"), ("P01", "complaint", "2021-08-10", 1, "2021-08-10")]
    later = ("P01", "complaint", "2022-05-10", 1, "2022-05-10", "2020-01-01")
    early, late = force(squad(6), events_of(*rows)), force(squad(6), events_of(*rows, later))
    months = [parse_month(month) for month in ("2020-09", "2021-05", "2021-09")]
    for month in months:
        alone = feature_rows(early, [month]).values
        run = feature_rows(late, [*months, parse_month("2022-06")])
        assert alone.tobytes() == run.take(run.as_of == month).values.tobytes()
    assert value(early, "complaint__mean__12m", "2021-09", "P00") == np.float32(1 / 12)
