"""Cohort and labels, by the contract's section 3."""

import numpy as np
import pandas as pd
import pytest

from features.cohort import cohort
from features.errors import Refusal
from features.histories.tables import Histories
from features.labels import labels, latest_labelled
from features.months import month_text, parse_month
from tests.forces import events_of, force, roster_of, squad

END = ("P09", "duty_hours", "2022-12-31", 1)


def label(given: Histories, risk: str, as_of: str, *, officer: str = "P00", until: str | None = None) -> float:
    found = labels(given, risk, [parse_month(as_of)], until=parse_month(until) if until else None)
    return float(found.label[list(given.officers[found.officer]).index(officer)])


def test_cohort_is_everyone_posted_on_the_last_day_with_enough_tenure() -> None:
    roster = roster_of(
        ("A", "2021-01-31", None, "patrol", "U1"),
        ("B", "2021-01-01", "2021-07-30", "patrol", "U1"),
        ("C", "2021-01-01", "2021-07-31", "patrol", "U1"),
        ("D", "2021-02-01", None, "patrol", "U1"),
    )
    given = force(roster, events_of())
    assert [list(given.officers[cohort(given, parse_month(m)).officer]) for m in ("2021-06", "2021-07", "2021-08")] == [
        [], ["A", "C"], ["A", "D"]
    ]  # fmt: skip


def test_of_overlapping_postings_the_one_that_began_last_counts() -> None:
    roster = roster_of(("A", "2020-01-01", None, "patrol", "U1"), ("A", "2020-06-01", "2020-12-31", "detective", "U2"))
    given = force(roster, events_of())
    posts = [given.posts[cohort(given, parse_month(month)).post[0]] for month in ("2020-12", "2021-01")]
    assert posts == ["detective", "patrol"]


def test_tenure_counts_from_hiring_and_transfer_from_the_present_posting() -> None:
    roster = roster_of(("A", "2020-01-01", "2020-05-31", "patrol", "U1"), ("A", "2020-06-01", None, "patrol", "U2"))
    roster["hired_on"] = pd.to_datetime("2019-01-15")
    found = cohort(force(roster, events_of()), parse_month("2020-12"))
    assert (found.tenure[0], found.transfer[0]) == (23, 6)
    staying = cohort(force(squad(1), events_of()), parse_month("2020-12"))
    assert staying.tenure[0] == 11
    assert np.isnan(staying.transfer[0])


def test_a_label_looks_at_what_occurred_in_the_horizon_and_not_around_it() -> None:
    days = [("2021-06-30", 0), ("2021-07-01", 1), ("2021-12-31", 1), ("2022-01-01", 0)]
    for day, expected in days:
        given = force(squad(10), events_of(("P00", "burnout_episode", day), END))
        assert label(given, "burnout", "2021-06") == expected, day


def test_a_label_counts_only_what_was_recorded_by_the_day_it_is_asked_for() -> None:
    given = force(squad(10), events_of(("P00", "burnout_episode", "2021-07-05", 1, "2022-05-01"), END))
    assert label(given, "burnout", "2021-06", until="2022-04") == 0
    assert label(given, "burnout", "2021-06", until="2022-05") == 1


def test_a_retracted_outcome_is_not_counted_once_the_retraction_is_recorded() -> None:
    rows = [
        ("P00", "burnout_episode", "2021-07-05", 1, "2021-07-05", None, "E"),
        ("P00", "burnout_episode", "2021-07-05", None, "2022-03-01", None, "E"),
    ]
    given = force(squad(10), events_of(*rows, END))
    assert label(given, "burnout", "2021-06", until="2022-02") == 1
    assert label(given, "burnout", "2021-06", until="2022-03") == 0


def test_an_outcome_not_reached_is_unknown_for_leavers_and_known_for_those_who_reached_it_first() -> None:
    roster = roster_of(
        ("A", "2020-01-01", "2021-12-30", "patrol", "U1"),
        ("B", "2020-01-01", "2021-12-31", "patrol", "U1"),
        ("C", "2020-01-01", "2021-10-01", "patrol", "U1"),
    )
    given = force(roster, events_of(("C", "burnout_episode", "2021-09-01"), ("B", "duty_hours", "2022-12-31", 1)))
    assert np.isnan(label(given, "burnout", "2021-06", officer="A"))
    assert label(given, "burnout", "2021-06", officer="B") == 0
    assert label(given, "burnout", "2021-06", officer="C") == 1


@pytest.mark.parametrize(("last", "expected"), [("2021-12-30", np.nan), ("2021-12-31", 0.0)])
def test_a_horizon_is_over_only_when_its_last_day_was_recorded(last: str, expected: float) -> None:
    given = force(squad(10), events_of(("P09", "duty_hours", last, 1)))
    np.testing.assert_equal(label(given, "burnout", "2021-06"), expected)


def test_maturity_keeps_a_label_unknown_for_as_long_again() -> None:
    given = force(squad(10), events_of(END))
    assert np.isnan(label(given, "complaints_late", "2021-06", until="2021-10"))
    assert label(given, "complaints_late", "2021-06", until="2021-11") == 0
    assert month_text(latest_labelled(given, "complaints_late", until=parse_month("2021-11"))) == "2021-06"


def test_an_outcome_reached_is_known_before_the_horizon_is_over() -> None:
    given = force(squad(10), events_of(("P00", "burnout_episode", "2021-07-05")))
    assert label(given, "burnout", "2021-06") == 1
    assert np.isnan(label(given, "burnout", "2021-06", officer="P01"))


def test_long_work_is_an_outcome_when_it_occurs_and_in_whole() -> None:
    rows = events_of(("P00", "complaint", "2021-08-05", 2, "2021-08-05", "2021-01-01"), END)
    assert label(force(squad(10), rows), "complaints_late", "2021-06") == 1
    assert label(force(squad(10), rows), "complaints_late", "2021-03") == 0


def test_labels_stand_in_the_order_of_officers_and_as_ofs() -> None:
    given = force(squad(3), events_of(END[:0] or ("P01", "duty_hours", "2022-12-31", 1)))
    found = labels(given, "burnout", [parse_month("2021-07"), parse_month("2021-06")])
    table = found.frame(given)
    assert table.equals(table.sort_values(["officer_id", "as_of"]))
    assert str(table["label"].dtype) == "Int8"


def test_an_unknown_risk_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refusal, match="burnout"):
        labels(force(squad(1), events_of()), "boredom", [parse_month("2021-06")])
