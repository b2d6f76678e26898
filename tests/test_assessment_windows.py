"""Elastic windows, warnings of the negative list, the three-month rules: who is judged, over what, and when not."""

import numpy as np
import pandas as pd
import pytest

from features.assessment.negative_list import Appeal
from features.months import parse_month
from tests.assessment_force import MONTHS, NOW, Row, force, roster, rules, table, work

LONG_CASE = ("D00", "solved", "2021-11-20", 1, "2021-11-20", "2021-05-03", "LONG")
CASE_FROM, CLOSED = "2021-05", parse_month("2021-11")


def without(rows: list[Row], names: set[str], since: str) -> list[Row]:
    """The rows less everything that some officers did from a month on."""
    return [row for row in rows if row[0] not in names or str(row[2]) < since]


@pytest.fixture(scope="module")
def quiet() -> list[Row]:
    """D00 (seven months on one case) and D01 (who does nothing) leave no other record from May 2021 on."""
    return without(work(skill={"D00": 0.3, "D01": 0.3}), {"D00", "D01"}, CASE_FROM)


def in_hand(until: str) -> list[Row]:
    return [("D00", "in_hand", f"{month}-28", 1) for month in MONTHS if CASE_FROM <= str(month) <= until]


@pytest.mark.parametrize("as_of", ["2021-07", "2021-08", "2021-09", "2021-10"])
def test_a_detective_in_a_seven_month_case_is_not_declining_and_an_idle_colleague_is(
    quiet: list[Row], as_of: str
) -> None:
    given = force([*quiet, *in_hand("2021-10"), LONG_CASE])
    falling = set(table(given, "declines", parse_month(as_of))["officer_id"])
    assert "D01" in falling
    assert "D00" not in falling
    people = table(given, "people", parse_month(as_of)).set_index("officer_id")
    assert people.loc["D00", "status"] == "in_hand"
    assert people.loc["D01", "index_percentile"] < 10


@pytest.mark.parametrize("as_of", ["2021-11", "2021-12"])
def test_at_the_closing_the_case_is_judged_over_its_seven_months_and_is_no_decline(
    quiet: list[Row], as_of: str
) -> None:
    extra = [("D00", "hard", "2021-11-20", 1), ("D00", "rating", "2021-11-22", 92)]
    given = force([*quiet, LONG_CASE, *extra])
    people = table(given, "people", parse_month(as_of)).set_index("officer_id")
    assert str(people.loc["D00", "window_from"].date()) == "2021-05-01"
    assert people.loc["D00", "status"] == "assessed"
    assert people.loc["D00", "quality_level"] > people.loc["D01", "quality_level"]
    falling = set(table(given, "declines", parse_month(as_of))["officer_id"])
    assert ("D01" in falling, "D00" in falling) == (True, False)


def test_without_the_case_review_the_same_detective_would_be_declining(quiet: list[Row]) -> None:
    given = force([*quiet, LONG_CASE], rules(posts={"detective": {"review": "month"}}))
    assert "D00" in set(table(given, "declines", CLOSED)["officer_id"])


def test_leave_is_left_out_and_is_no_zero() -> None:
    away = [("P00", "leave", f"{month}-28", 30) for month in ("2021-10", "2021-11", "2021-12")]
    rows = [row for row in work(skill={"P00": 0.0, "P01": 0.0}) if row[0] != "P00" or str(row[2]) < "2021-10"]
    rows = without(rows, {"P01"}, "2021-10")
    people = table(force([*rows, *away]), "people").set_index("officer_id")
    assert people.loc["P00", "status"] == "exempt"
    assert np.isnan(people.loc["P00", "index_level"])
    falling = set(table(force([*rows, *away]), "declines")["officer_id"])
    assert ("P00" in falling, "P01" in falling) == (False, True)


def test_a_post_reviewed_by_the_week_has_a_row_for_each_week_that_ended_in_the_month() -> None:
    weekly = [(f"P{n:02d}", "call", f"2021-12-{day:02d}", n + day) for n in range(12) for day in (1, 8, 15, 22)]
    week_off = [("P03", "leave", "2021-12-12", 7)]
    weeks = table(force([*work(), *weekly, *week_off]), "weeks")
    starts = sorted({str(day.date()) for day in weeks["period_from"]})
    assert starts == ["2021-11-29", "2021-12-06", "2021-12-13", "2021-12-20"]
    assert set(weeks["post"]) == {"patrol"}
    second = weeks[weeks["period_from"] == "2021-12-06"].set_index("officer_id")
    assert second.loc["P03", "exempt_days"] == 7
    assert np.isnan(second.loc["P03", "index"])
    assert second.loc["P11", "workload"] > second.loc["P00", "workload"]


def test_a_quarterly_review_looks_at_three_months_and_a_monthly_at_one() -> None:
    given = force(work(), rules(posts={"detective": {"review": "quarter"}, "patrol": {"review": "month"}}))
    people = table(given, "people").set_index("officer_id")
    assert str(people.loc["D00", "window_from"].date()) == "2021-10-01"
    assert str(people.loc["P00", "window_from"].date()) == "2021-12-01"


COMPLAINT = ("P00", "complaint", "2021-08-03", 1, "2021-08-10", None, "C1")


def test_one_event_of_the_negative_list_raises_a_warning_with_date_reason_and_appeal() -> None:
    given = force([*work(), COMPLAINT])
    found = table(given, "warnings", NOW, appeals=[Appeal("P00", "complaint", "2021-08-03")])
    assert list(found["state"]) == ["appealed"]
    assert str(found.loc[0, "raised_on"].date()) == "2021-08-10"
    assert str(found.loc[0, "appeal_until"].date()) == "2021-10-09"
    assert "2021-08-03" in found.loc[0, "reason_zh"]
    assert "2021-10-09" in found.loc[0, "reason_en"]


@pytest.mark.parametrize(("value", "states"), [(None, ["lifted"]), (0, ["lifted"]), (2, ["standing", "lifted"])])
def test_a_corrected_or_retracted_record_lifts_the_warning_from_that_day(
    value: float | None, states: list[str]
) -> None:
    correction = ("P00", "complaint", "2021-08-03", value, "2021-10-05", None, "C1")
    given = force([*work(), COMPLAINT, correction])
    assert list(table(given, "warnings", parse_month("2021-09"))["state"]) == ["standing"]
    after = table(given, "warnings", parse_month("2021-10"))
    assert list(after["state"]) == states
    assert str(after[after["state"] == "lifted"]["lifted_on"].iloc[0].date()) == "2021-10-05"


def test_a_warning_ends_with_its_months() -> None:
    given = force([*work(), COMPLAINT], rules(warning_months=3))
    assert len(table(given, "warnings", parse_month("2021-10"))) == 1
    assert len(table(given, "warnings", parse_month("2021-11"))) == 0


@pytest.mark.parametrize(
    ("course", "recommended"), [([], "training"), ([("P07", "course", "2021-05-05", 1)], "rotation")]
)
def test_three_months_of_leading_recommend_training_and_after_training_rotation(
    course: list[Row], recommended: str
) -> None:
    leaders = table(force([*work(skill={"P07": 6.0}), *course]), "leaders").set_index("officer_id")
    assert leaders.loc["P07", "recommended"] == recommended
    assert len(leaders.loc["P07", "levels"]) == 3
    assert min(leaders.loc["P07", "levels"]) > 0


def test_two_months_of_leading_are_not_enough() -> None:
    rows = work(skill={"P07": 6.0})
    dull = [row for row in rows if not (row[0] == "P07" and str(row[2]).startswith("2021-11"))]
    assert "P07" not in set(table(force(dull), "leaders")["officer_id"])


def test_officers_of_a_former_post_are_judged_by_their_months_in_the_present_one() -> None:
    people = roster()
    moved = people[people["officer_id"] == "D00"].assign(valid_from=pd.Timestamp("2021-11-01"), post="patrol")
    people.loc[people["officer_id"] == "D00", "valid_to"] = pd.Timestamp("2021-10-31")
    given = force(work(), people=pd.concat([people, moved], ignore_index=True))
    indicators = table(given, "indicators").query("officer_id == 'D00'").set_index("indicator")
    assert "solved" not in indicators.index
    assert indicators.loc["rating", "evidence"] == 2
