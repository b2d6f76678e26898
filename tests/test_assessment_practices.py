"""Stars, honours, ladders, the cockpit, blind spots, gaming and hidden performance, each on a force that has it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from features.assessment.assess import assess
from features.assessment.cockpit import suppressed
from features.assessment.ground.indicators import Series, credibility, estimate, percentile
from features.errors import Refusal
from features.months import parse_month
from tests.assessment_force import MONTHS, NOW, Row, force, roster, rules, table, work


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return work(skill={"P07": 5.0, "D03": 5.0})


def test_the_best_of_a_quarter_is_a_star_with_rank_and_reasons(rows: list[Row]) -> None:
    stars = table(force(rows), "stars").set_index("officer_id")
    assert stars.loc["P07", "rank"] == 1
    assert bool(stars.loc["P07", "star"])
    assert stars.loc["P07", "quarter"] == "2021-Q4"
    assert stars.loc["P07", "state"] == "final"
    assert stars.loc["P07", "reason_zh"].startswith("突出")
    assert stars["star"].sum() == 2
    assert set(table(force(rows), "stars", NOW - 1)["state"]) == {"running"}


def test_two_ratings_never_make_a_star(rows: list[Row]) -> None:
    few = [row for row in rows if not (row[0] == "P07" and row[1] == "rating" and str(row[2]) >= "2021-10-10")]
    few += [("P07", "rating", "2021-12-19", 100.0)]
    stars = table(force(few), "stars").set_index("officer_id")
    assert stars.loc["P07", "barred"] == "ratings"
    assert pd.isna(stars.loc["P07", "rank"])
    assert not stars.loc["P07", "star"]


def test_a_standing_warning_bars_from_the_star_and_a_lifted_one_does_not(rows: list[Row]) -> None:
    warned = [*rows, ("P07", "complaint", "2021-11-05", 1, "2021-11-06", None, "C")]
    assert table(force(warned), "stars").set_index("officer_id").loc["P07", "barred"] == "warning"
    lifted = [*warned, ("P07", "complaint", "2021-11-05", None, "2021-12-06", None, "C")]
    assert bool(table(force(lifted), "stars").set_index("officer_id").loc["P07", "star"])
    assert bool(
        table(force(warned, rules(warning_bars_star=False)), "stars").set_index("officer_id").loc["P07", "star"]
    )


def test_who_ties_shares_rank_and_star(rows: list[Row]) -> None:
    twin = [("P08", *row[1:]) for row in rows if row[0] == "P07"]
    stars = table(force([row for row in rows if row[0] != "P08"] + twin), "stars").set_index("officer_id")
    assert list(stars.loc[["P07", "P08"], "rank"]) == [1, 1]
    assert stars.loc[["P07", "P08"], ["tied", "star"]].to_numpy().all()
    assert stars[stars["post"] == "patrol"]["star"].sum() == 2


def test_the_honour_ledger_lists_honours_and_a_letter_has_content_only_with_consent(rows: list[Row]) -> None:
    given = force([*rows, ("P07", "star", "2021-09-30", 1), ("P07", "star", "2021-12-30", 1, "2022-01-02")])
    assert list(table(given, "honours")["occurred_on"].dt.strftime("%Y-%m-%d")) == ["2021-09-30"]
    letters = table(given, "letters", NOW, consents=["P07"]).set_index("officer_id")
    assert bool(letters.loc["P07", "agreed"])
    assert any(deed.startswith("hazard") for deed in letters.loc["P07", "deeds_en"])
    assert not letters.loc["D03", "agreed"]
    assert letters.loc["D03", "deeds_zh"] == []
    agreed = force([*rows, ("D03", "course", "2021-12-01", 1)], rules(letter_consent="course"))
    assert bool(table(agreed, "letters").set_index("officer_id").loc["D03", "agreed"])


def test_the_ladder_follows_the_record_of_steady_strong_performers_only() -> None:
    lists = {"technical": ["hard"], "leading": ["mentoring"], "equal_ranks": [{"technical": "T1", "leading": "L1"}]}
    rows = work(skill={"P05": 3.0, "P06": 3.0})
    rows += [("P05", "mentoring", f"{month}-15", 6) for month in MONTHS]
    rows += [("P06", "hard", f"{month}-15", 2) for month in MONTHS]
    ladders = table(force(rows, rules(**lists)), "ladders").set_index("officer_id")
    assert ladders.loc["P05", "ladder"] == "leading"
    assert ladders.loc["P06", "ladder"] == "technical"
    assert "hard" in ladders.loc["P06", "reason_en"]
    assert ladders.loc["P06", "equal_ranks"][0]["technical"]["zh"] == "T1"
    weak = table(force(work(skill={"P05": -1.0}), rules(**lists)), "ladders")
    assert "P05" not in set(weak["officer_id"])


def test_few_observations_are_shrunk_to_the_middle_and_noise_moves_nobody() -> None:
    generator = np.random.default_rng(5)
    true = generator.normal(0, 1, 60)
    z = true + generator.normal(0, 1, (12, 60))
    weight = np.ones_like(z)
    weight[:-1, 0] = 0
    real = Series(z, z, weight)
    learned = credibility(real)
    assert learned.between == pytest.approx(1.0, abs=0.4)
    found = estimate(real, np.ones(z.shape, dtype=bool), learned)
    assert found.credibility[0] < found.credibility[1]
    assert abs(found.level[0]) < abs(z[-1, 0])
    assert found.variance[0] > found.variance[1]
    noise = Series(generator.normal(0, 1, (12, 60)), z, np.ones_like(z))
    assert np.abs(estimate(noise, np.ones(z.shape, dtype=bool), credibility(noise)).level).max() < 0.35


def test_levels_come_closer_to_the_truth_than_the_unshrunk_means() -> None:
    generator = np.random.default_rng(6)
    true = generator.normal(0, 0.5, 200)
    number = generator.integers(1, 9, (12, 200)).astype(float)
    z = true + generator.normal(0, 1.5, (12, 200)) / np.sqrt(number)
    window = np.zeros(z.shape, dtype=bool)
    window[-1] = True
    series = Series(z, z, number)
    shrunk = estimate(series, window, credibility(series)).level
    assert ((shrunk - true) ** 2).mean() < 0.7 * ((z[-1] - true) ** 2).mean()


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(7)
    true = generator.normal(0, 0.5, 400)
    z = true + generator.normal(0, 1, (12, 400))
    series = Series(z, z, np.ones_like(z))
    window = np.zeros(z.shape, dtype=bool)
    window[-3:] = True
    found = estimate(series, window, credibility(series))
    inside = np.abs(found.level - true) <= 1.645 * np.sqrt(found.variance)
    assert 0.85 < inside.mean() < 0.95


def test_percentiles_put_ties_in_the_middle_and_need_five_peers() -> None:
    level = np.array([0.0, 0.0, 1.0, 2.0, np.nan, -1.0])
    assert list(percentile(level, level)[:4]) == [40.0, 40.0, 70.0, 90.0]
    assert np.isnan(percentile(level[:4], level[:4])).all()


def test_a_person_has_level_interval_percentile_trend_and_what_changed(rows: list[Row]) -> None:
    drop = [
        (*row[:3], 1.0) if row[0] == "P01" and row[1] == "hazard" and str(row[2]) >= "2021-12" else row for row in rows
    ]
    found = assess(force(drop), NOW).tables
    person = found["people"].set_index("officer_id").loc["P07"]
    assert person["index_low"] < person["index_level"] < person["index_high"]
    assert person["index_percentile_low"] <= person["index_percentile"] <= person["index_percentile_high"]
    assert person["index_percentile"] > 90
    assert len(found["history"].query("officer_id == 'P07'")) == 12
    why = found["reasons"].query("officer_id == 'P01' and indicator == 'hazard'").iloc[0]
    assert why["now"] < why["before"]
    assert why["moved"] == pytest.approx(why["now"] - why["before"])


def test_units_of_fewer_than_five_are_hidden_and_can_not_be_had_by_subtraction() -> None:
    assert list(suppressed(np.array([9, 3, 7, 6]))) == [False, True, False, True]
    assert list(suppressed(np.array([9, 3, 4, 6]))) == [False, True, True, False]
    assert list(suppressed(np.array([9, 0, 7, 6]))) == [False, False, False, False]
    people = roster(units=1)
    people.loc[people["officer_id"].isin(["P00", "P01", "P02"]), "unit"] = "SMALL"
    people.loc[people["officer_id"].isin([f"D{number:02d}" for number in range(8)]), "unit"] = "OTHER"
    units = table(force(work(), people=people), "units").query("score == 'index'").set_index("unit")
    assert not units.loc["SMALL", "shown"]
    assert np.isnan(units.loc["SMALL", "level"])
    assert not units.loc["OTHER", "shown"]
    assert units.loc["U0", "shown"]
    assert units.loc["", "persons"] == 24
    months = table(force(work(), people=people), "unit_months")
    assert set(months["unit"]) == {"", "U0"}


def test_blind_spots_name_whom_superiors_and_residents_see_differently() -> None:
    rows = [
        (*row[:3], 99.0)
        if row[0] == "P04" and row[1] == "boss"
        else (*row[:3], 60.0)
        if row[:2] == ("P04", "rating")
        else row
        for row in work(skill={"P04": 0.0})
    ]
    spots = table(force(rows), "blind_spots")
    officers = spots[spots["scope"] == "officer"].set_index("officer_id")
    assert officers.loc["P04", "difference"] > 1
    assert officers.loc["P04", "low"] > 0
    assert officers.loc["P04", "says_en"] == "superiors rate higher than residents"
    units = spots[spots["scope"] == "unit"]
    assert (units["persons"] >= 5).all()
    assert (units["low"] < units["high"]).all()


def test_the_lint_adds_up_and_speaks_where_presence_weighs_much() -> None:
    lint = table(force(work()), "lint")
    assert lint.groupby("post")["share"].sum().tolist() == pytest.approx([1, 1])
    shares = lint[lint["post"] == "detective"].set_index("kind")["share"]
    assert shares["attendance"] == pytest.approx(1 / 3)
    assert shares["residents"] == pytest.approx(1 / 3)
    said = lint[(lint["post"] == "detective") & (lint["kind"] == "attendance")].iloc[0]
    assert "33%" in said["says_en"]
    assert "33%" in said["says_zh"]


def jumping(*, everywhere: bool) -> list[Row]:
    """Hazards found by patrols double from July 2021 on; everywhere: by detectives too."""
    return [
        (*row[:3], float(row[3]) * 2.5)
        if row[1] == "hazard" and str(row[2]) >= "2021-07" and (everywhere or str(row[0]).startswith("P"))
        else row
        for row in work()
    ]


PATROL = {"workload": {"call": 0.6, "duty": 0.4}, "quality": {"hazard": 1.0}, "satisfaction": {"rating": 0.2}}


def heavier(month: str) -> dict[str, object]:
    weights = {**PATROL, "quality": {"hazard": 3.0}}
    return {"patrol": {"versions": [{"valid_from": month, "indicators": weights}], "indicators": PATROL}}


def test_a_measure_that_jumps_only_where_it_came_to_count_for_more_is_listed() -> None:
    profile = rules(posts=heavier("2021-07"))
    gaming = table(force(jumping(everywhere=False), profile), "gaming").set_index("measure")
    assert bool(gaming.loc["hazard", "listed"])
    assert gaming.loc["hazard", "changed_from"] == "2021-07"
    assert gaming.loc["hazard", "jump"] > 1
    assert abs(gaming.loc["hazard", "neighbours"]) < 0.5
    still = table(force(work(), profile), "gaming").set_index("measure")
    assert not still.loc["hazard", "listed"]
    assert table(force(jumping(everywhere=False)), "gaming").empty


def test_hidden_performance_is_found_where_nothing_is_counted() -> None:
    rows = [row for row in work(skill={"D05": -0.5}) if row[1] != "call"]
    rows += [
        (f"D{n:02d}", "call", f"{month}-15", 20.0 if n == 5 else 2.0 + n % 3) for n in range(12) for month in MONTHS
    ]
    hidden = table(force(rows, rules(hidden=["call"])), "hidden").set_index("officer_id")
    assert list(hidden.index) == ["D05"]
    assert hidden.loc["D05", "measures"] == ["call"]
    assert hidden.loc["D05", "difference"] > 1


def test_every_table_has_its_columns_and_a_month_outside_the_histories_is_refused() -> None:
    found = assess(force(work()), parse_month("2020-03"))
    assert len(found.tables["people"]) == 24
    with pytest.raises(Exception, match="2019-01 can't be assessed"):
        assess(force(work()), parse_month("2019-01"))


def test_where_most_are_alike_nobody_leads_and_nobody_is_a_star() -> None:
    alike = [(f"P{n:02d}", "call", f"{month}-15", 5.0) for n in range(11) for month in MONTHS]
    alike += [("P11", "call", f"{month}-15", 1.0) for month in MONTHS]
    weights = {"indicators": {"workload": {"call": 1.0}}}
    found = assess(force(alike, rules(posts={"patrol": weights}, star_min_credibility=0)), NOW).tables
    assert set(found["leaders"]["post"]) == set()
    assert not found["stars"]["star"].any()
    assert set(found["stars"].query("officer_id != 'P11'")["rank"]) == {1}


def test_work_that_shows_little_stands_beside_the_counted_indicators_with_weight_zero() -> None:
    rows = [*work(), *[(f"P{n:02d}", "solved", f"{month}-15", float(n % 4)) for n in range(12) for month in MONTHS]]
    indicators = table(force(rows, rules(hidden=["solved"])), "indicators")
    beside = indicators[(indicators["post"] == "patrol") & (indicators["indicator"] == "solved")]
    assert set(beside["weight"]) == {0.0}
    assert beside["level"].notna().all()


def test_a_letter_is_the_profiles_text_with_the_name_left_open() -> None:
    letter = {"zh": "{name}，{unit}，{deeds}", "en": "{name} of {post}: {deeds}"}
    given = force(work(skill={"P07": 5.0}), rules(letter=letter))
    found = table(given, "letters", NOW, consents=["P07"]).set_index("officer_id").loc["P07"]
    assert found["letter_zh"].startswith("{name}，U1，")
    assert found["letter_en"] == "{name} of patrol: " + "; ".join(found["deeds_en"])


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ({"posts": {"patrol": {"versions": [{"valid_from": "2021-13"}]}}}, "not a month"),
        ({"posts": {"patrol": {"versions": [{"valid_from": "2021-05"}, {"valid_from": "2021-05"}]}}}, "valid_from"),
        ({"posts": {"patrol": {"versions": [{"valid_from": "2021-05", "bonus": {"ghost": 1}}]}}}, "ghost"),
        ({"posts": {"patrol": {"indicators": {"quality": {"sick": 1}}}}}, "sensitive"),
        ({"measures": {"solved": {"versions": [{"valid_from": "2021-05", "colour": 1}]}}}, "colour"),
        ({"letter": {"zh": "{age}", "en": ""}}, "filled in"),
        ({"hidden": ["sick"]}, "sensitive"),
        ({"technical": ["ghost"]}, "ghost"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(overlay: dict[str, Any], said: str) -> None:
    with pytest.raises((Refusal, ValidationError), match=said):
        rules(**overlay)
