"""An old assessment stays what it was; a weight moves what carries it; nothing of the wellness side is ever read."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from features.asknown import KnownCube
from features.assessment.assess import Assessment, assess
from features.assessment.ground import assessable as door
from features.assessment.ground.assessable import MONTHS as KEPT
from features.assessment.ground.assessable import assessable
from features.assessment.ground.levels import INDEX, monthly_scores
from features.efficiency import monthly_index
from features.histories.tables import Histories
from features.months import month_of_day
from tests.assessment_force import MONTHS, NOW, Row, force, roster, rules, same, work
from tests.forces import force as small_force
from tests.forces import random_force, random_tables

FOLDER = Path(__file__).parents[1] / "features" / "assessment"
THEN = NOW - 6
"""2021-06: the old assessment."""
LATER = [
    ("D00", "hazard", "2021-03-03", 90, "2021-07-01"),
    ("D01", "complaint", "2021-06-03", 1, "2021-07-20"),
    ("D02", "complaint", "2021-04-03", None, "2021-08-01", None, "C1"),
    ("D03", "solved", "2021-08-08", 1, "2021-08-09", "2021-02-01", "LONG"),
    ("NEW", "duty", "2021-09-01", 500),
    ("A_NEW", "hard", "2021-09-01", 5),
]
KNOWN = [("D02", "complaint", "2021-04-03", 1, "2021-04-05", None, "C1"), ("P01", "complaint", "2021-05-03", 1)]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [*work(), *KNOWN]


@pytest.fixture(scope="module")
def old(rows: list[Row]) -> Assessment:
    return assess(force([row for row in rows if str(row[4] if len(row) > 4 else row[2]) <= "2021-06-30"]), THEN)


def test_an_old_assessment_stays_to_the_bit_after_new_rows_corrections_officers_and_rules(
    rows: list[Row], old: Assessment
) -> None:
    newer = rules(
        measures={"solved": {"versions": [{"valid_from": "2021-07", "points": 50}]}},
        posts={
            "detective": {
                "versions": [{"valid_from": "2021-07", "indicators": {"quality": {"hazard": 1}}, "review": "month"}]
            }
        },
        versions=[{"valid_from": "2021-07", "star_percent": 50, "leader_percent": 60, "warning_months": 1}],
    )
    people = pd.concat([roster(), _joiners()], ignore_index=True)
    again = assess(force([*rows, *LATER], newer, people), THEN)
    assert same(old, again) == []
    assert assess(force([*rows, *LATER], newer, people), NOW).tables["people"]["review"].tolist()[0] == "month"


def _joiners() -> pd.DataFrame:
    since = pd.Timestamp("2021-08-01")
    table = pd.DataFrame({"officer_id": ["NEW", "A_NEW"], "valid_from": since, "post": "detective", "unit": "A_UNIT"})
    return table.assign(valid_to=pd.NaT)


def test_what_was_recorded_by_then_does_count(rows: list[Row], old: Assessment) -> None:
    changed = assess(force([*rows, ("D00", "hazard", "2021-03-03", 90, "2021-06-30")]), THEN)
    assert "indicators" in same(old, changed)


def test_an_assessment_of_last_march_has_the_weights_of_last_march(rows: list[Row]) -> None:
    weights = {"workload": {"call": 0.1, "duty": 0.9}, "quality": {"hazard": 1.0}, "satisfaction": {"rating": 1}}
    profile = rules(posts={"patrol": {"versions": [{"valid_from": "2021-04", "indicators": weights}]}})
    march, april = (assess(force(rows, profile), NOW - back).tables["indicators"] for back in (9, 8))
    assert set(march[(march["post"] == "patrol") & (march["indicator"] == "call")]["weight"]) == {0.6}
    assert set(april[(april["post"] == "patrol") & (april["indicator"] == "call")]["weight"]) == {0.1}


def test_changing_one_weight_changes_exactly_the_indicators_that_carry_it(rows: list[Row]) -> None:
    before = assess(force(rows), NOW).tables
    weights = {"workload": {"duty": 1.0}, "quality": {"solved": 0.2, "hazard": 0.3}, "satisfaction": {"rating": 1}}
    after = assess(force(rows, rules(posts={"detective": {"indicators": weights}})), NOW).tables
    changed = before["indicators"].compare(after["indicators"], keep_shape=True).notna().any(axis=1)
    touched = before["indicators"][changed.to_numpy()]
    assert set(zip(touched["post"], touched["indicator"], strict=True)) == {("detective", "solved")}
    assert before["indicators"]["level"].equals(after["indicators"]["level"])
    detective = before["people"]["post"] == "detective"
    moved = {name for name in before["people"] if not before["people"][name].equals(after["people"][name])}
    assert {name.split("_")[0] for name in moved} <= {"quality", "index", "credibility"}
    assert before["people"][~detective].equals(after["people"][~detective])


SECRET = st.tuples(
    st.sampled_from([f"{post}{number:02d}" for post in "DP" for number in range(12)]),
    st.sampled_from(["sick", "climate"]),
    st.sampled_from([f"{month}-{day}" for month in MONTHS[-8:] for day in ("03", "27")]),
    st.floats(0.5, 40),
    st.just("2021-12-29"),
    st.none() | st.just("2021-03-01"),
)


@pytest.fixture(scope="module")
def now(rows: list[Row]) -> Assessment:
    return assess(force(rows), NOW)


@settings(max_examples=4, deadline=None)
@examples(secret=st.lists(SECRET, min_size=3, max_size=60))
def test_no_health_or_wellbeing_row_changes_a_bit_of_the_assessment(
    rows: list[Row], now: Assessment, secret: list[Row]
) -> None:
    assert same(now, assess(force([*rows, *secret]), NOW)) == []


def test_without_the_wall_the_same_rows_would_be_seen(
    rows: list[Row], now: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "may_be_assessed", lambda measure: True)
    leaky = assess(force([*rows, ("D00", "sick", "2021-12-03", 5)]), NOW)
    assert {"points", "warnings"} <= set(same(now, leaky))


def test_behind_the_wall_there_is_no_wellness_measure_no_risk_and_no_later_row(rows: list[Row]) -> None:
    view = assessable(force([*rows, ("D00", "sick", "2021-06-03", 5), ("D00", "climate", "2021-06-03", 5)]), THEN)
    assert {"sick", "climate"}.isdisjoint(view.profile.measures)
    assert (view.profile.risks, view.profile.actions) == ({}, {})
    assert view.given.events.measure.max() < len(view.profile.measures)
    assert int(month_of_day(view.given.events.recorded.max())) == THEN


def test_no_module_of_the_assessment_imports_what_knows_of_health_risks_or_models() -> None:
    forbidden = ("training", "serving", "features.engine", "features.labels", "features.simulation")
    doors = {"commands.py": ("features.histories.store",)}
    for path in FOLDER.rglob("*.py"):
        for name in _imports(path):
            assert not name.startswith(forbidden), f"{path.name} imports {name}"
            assert not name.startswith("features.histories.store") or name in doors.get(path.name, ()), path.name


def _imports(path: Path) -> list[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]


def test_only_the_door_touches_histories_before_the_wall() -> None:
    for path in FOLDER.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        users = {"assessable.py", "assess.py", "commands.py", "points.py"}
        assert "Histories" not in text or path.name in users, path.name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_cells_and_the_index_are_those_of_the_efficiency_index_to_the_bit(seed: int) -> None:
    people, events = random_tables(seed, officers=40)
    given = small_force(people, events[~events["measure"].isin(["strain_survey", "burnout_episode"])])
    view = assessable(given, int(month_of_day(given.last_recorded)) - 3)
    cube = _cube(given, view.as_of)
    kept, rows = min(KEPT, cube.months), [given.profile.measure_number[key] for key in view.profile.measures]
    for name in ("value", "count", "direct", "spans"):
        np.testing.assert_array_equal(getattr(view.cells, name)[:, -kept:], getattr(cube, name)[rows, -kept:])
    months = monthly_scores(view)
    assert months.scores[INDEX].tobytes() == monthly_index(given, cube, months.months).tobytes()


@pytest.mark.parametrize("officers", [3, 14, 30])
def test_any_month_of_any_histories_can_be_assessed(officers: int) -> None:
    given = random_force(officers, officers=officers)
    first, last = int(month_of_day(given.events.occurred.min())), int(month_of_day(given.last_recorded))
    for as_of in (first, first + 1, first + 10, last - 3, last):
        found = assess(given, as_of)
        assert found.tables["people"]["status"].isin(["assessed", "in_hand", "exempt", "unknown"]).all()


def _cube(given: Histories, as_of: int) -> KnownCube:
    cube = KnownCube(given.until(as_of), last_month=as_of)
    for month in range(cube.base, as_of + 1):
        cube.advance(month)
    return cube
