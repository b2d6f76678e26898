"""The effects page: what is stored is shown in both languages, to whom it may be, and expected benefit is read back."""

import datetime as dt
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.months import month_end, parse_month
from features.profile import load_profile
from serving.access.audit import Actor, faults
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.database import transaction
from serving.effects.band import at_the_edge, drawn, lot
from serving.effects.reading import benefits, effect_of
from serving.effects.storing import store_effect, store_tracked
from serving.effects.tables import BandDraw
from tests.serving_fixtures import signed_in_client
from training.effects.benefit import GroupEffect
from training.effects.estimate import Effect, Figure, Overlap, WhyNot
from training.effects.staggered import EventStudy, Point
from training.effects.tracked import Tracked

AS_OF = parse_month("2024-06")
DAY = month_end(AS_OF)
PROFILE = load_profile("gongan")
ACTOR = Actor("the tests", "wellness")
HELPS = Effect(
    "recuperation", "burnout", 8000, 1900, 820, 0.04, 0.13, 0.09, Figure(0.04, 0.02, 0.06),
    Figure(-0.045, -0.064, -0.026), Overlap(0.7, 0.0, 4600.0, 0.02), (),
)  # fmt: skip
UNTOLD = replace(HELPS, action="injury_and_sickness_aid", average=None, helped=12, naive=None,
                 why_not=(WhyNot("few_helped", 12, 40),))  # fmt: skip
MENTORED = replace(HELPS, action="one_to_one_mentoring", risk="efficiency_decline", average=Figure(-0.01, -0.03, 0.01))
STUDY = EventStudy(
    "recuperation", "burnout", "burnout_episode", None, (AS_OF - 47, AS_OF), 1500, 400, 30, 21, 0.02,
    Figure(-0.004, -0.007, -0.001), Figure(0.001, -0.001, 0.003), Figure(0.004, 0.001, 0.007), 0.01,
    tuple(Point(month, Figure(0.001 * month, -0.01, 0.01), 390) for month in range(-12, 12)), (),
)  # fmt: skip


@pytest.fixture
def told(store: Engine) -> Engine:
    """A store with three effects, a policy, expected benefits and tracked figures."""
    table = pd.DataFrame(
        [("P1", 0.05, 0.01, 0.09, True), ("P2", np.nan, np.nan, np.nan, False)],
        columns=["officer_id", "benefit", "low", "high", "estimable"],
    )
    groups = [GroupEffect("post", "traffic", 90, Figure(-0.05, -0.09, -0.01)), GroupEffect("risk", "low", 4, None)]
    store_effect(store, PROFILE, AS_OF, study=STUDY, effect=HELPS, groups=groups, benefits=table)
    store_effect(store, PROFILE, AS_OF, study=None, effect=UNTOLD)
    store_effect(store, PROFILE, AS_OF, study=None, effect=MENTORED)
    store_effect(store, PROFILE, AS_OF, study=replace(STUDY, since=AS_OF - 12))
    store_tracked(
        store,
        PROFILE,
        AS_OF,
        [Tracked("burnout", AS_OF, 1900, 38, 0.02), Tracked("lying_flat", AS_OF, 900, None, None)],
    )
    return store


@pytest.fixture
def caller(told: Engine, tmp_path) -> TestClient:  # type: ignore[no-untyped-def]
    return signed_in_client(create_app(tmp_path, told), told, "wellness")


def _number(told: Engine) -> int:
    with transaction(told, writes=False) as session:
        row = effect_of(session, DAY, "recuperation", "burnout")
    assert row is not None
    return row.id


def test_the_page_says_what_helps_what_cannot_be_told_and_the_naive_figure_beside_it(caller: TestClient) -> None:
    text = caller.get("/effects?lang=en").text
    assert "some 4.5 fewer came to the outcome (2.6 to 6.4)" in text
    assert "only 12 times on record; it takes 40." in text
    assert "Plain difference: 13.0 in a hundred of those helped, 9.0 of the others: +4.0 (before rounding)." in text
    assert "under 5" in text
    chinese = caller.get("/effects?lang=zh").text
    assert "约少 4.5 人" in chinese
    assert "无法估计" in chinese


def test_one_effect_shows_groups_and_before_and_after_with_the_warning_of_a_drift(
    caller: TestClient, told: Engine
) -> None:
    text = caller.get(f"/effects/{_number(told)}?lang=en").text
    assert "−5.0 (−9.0 – −1.0)" in text
    assert "too few" in text
    assert "−0.40 per hundred a month (−0.70 to −0.10)" in text
    assert "the two sides went apart before it began (p = 0.01)" in text


def test_the_pictures_are_drawings(caller: TestClient, told: Engine) -> None:
    for picture in ("overview.svg", "tracked.svg", f"{_number(told)}/study.svg"):
        for size in ("wide", "narrow"):
            answer = caller.get(f"/effects/{picture}?size={size}")
            assert answer.headers["content-type"] == "image/svg+xml"
            assert ET.fromstring(answer.text).tag.endswith("svg")


def test_a_home_without_effects_says_so_and_an_unknown_month_is_not_found(store: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    calls = signed_in_client(create_app(tmp_path, store), store, "wellness")
    assert "Ask the administrator or the data scientist" in calls.get("/effects?lang=en").text
    assert calls.get("/api/v1/effects").status_code == 404
    assert calls.get("/effects/99").status_code == 404
    assert calls.get("/effects/overview.svg").status_code == 404


def test_hr_sees_effects_on_development_only(told: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    calls = signed_in_client(create_app(tmp_path, told), told, "hr")
    answer = calls.get("/api/v1/effects").json()
    assert {one["risk"] for one in answer["effects"]} == {"efficiency_decline"}
    assert {one["name"] for one in answer["tracked"]} == {"lying_flat"}
    assert "recuperation" not in calls.get("/effects?lang=en").text
    with transaction(told, writes=False) as session:
        hidden = effect_of(session, DAY, "recuperation", "burnout")
    assert hidden is not None
    assert calls.get(f"/effects/{hidden.id}").status_code == 404
    assert calls.get(f"/effects/{hidden.id}/study.svg").status_code == 404


@pytest.mark.parametrize("role", ["officer", "auditor", "admin"])
def test_other_roles_may_not_see_effects(told: Engine, tmp_path, role: str) -> None:  # type: ignore[no-untyped-def]
    calls = signed_in_client(create_app(tmp_path, told), told, role)
    assert calls.get("/effects").status_code == 403
    assert calls.get("/api/v1/effects").status_code == 403


def test_benefits_are_read_as_of_the_newest_month_up_to_a_day(told: Engine) -> None:
    with transaction(told, writes=False) as session:
        found = benefits(session, DAY + dt.timedelta(days=40), "recuperation")
        assert benefits(session, DAY - dt.timedelta(days=1), "recuperation") == {}
        assert benefits(session, DAY, "recuperation", risk="efficiency_decline") == {}
    assert found["P1"].benefit == pytest.approx(0.05)
    assert found["P1"].risk == "burnout"
    assert found["P2"].benefit is None
    assert not found["P2"].estimable


def test_storing_again_replaces(told: Engine) -> None:
    store_effect(told, PROFILE, AS_OF, study=None, effect=replace(HELPS, average=None))
    with transaction(told, writes=False) as session:
        row = effect_of(session, DAY, "recuperation", "burnout")
    assert row is not None
    assert not row.estimable
    assert row.figures["study"] is None


# --- the draw by lot ---

BENEFIT = {"A": 0.30, "B": 0.21, "C": 0.20, "D": 0.20, "E": 0.19, "F": 0.10}


def test_only_equals_at_the_edge_are_left_to_a_lot() -> None:
    band = at_the_edge(BENEFIT, 3, width=0.01 + 1e-9)
    assert band.outright == ("A",)
    assert set(band.equals) == {"B", "C", "D", "E"}
    assert band.places == 2
    assert band.chance == 0.5


def test_without_a_width_nothing_is_left_to_a_lot() -> None:
    assert at_the_edge(BENEFIT, 3, width=0.0).outright == ("A", "B", "C")
    assert at_the_edge(BENEFIT, 3, width=0.0).equals == ()
    assert at_the_edge(BENEFIT, 9, width=0.1).outright == ("A", "B", "C", "D", "E", "F")
    assert at_the_edge(BENEFIT, 6, width=0.1).equals == ()


def test_a_draw_is_in_the_log_with_its_seed_can_be_repeated_and_not_drawn_again(store: Engine) -> None:
    band = at_the_edge(BENEFIT, 3, width=0.011)
    with transaction(store) as session:
        first = drawn(session, ACTOR, DAY, "recuperation", band=band)
    with transaction(store) as session:
        assert drawn(session, ACTOR, DAY, "recuperation", band=band) == first
        rows = session.scalars(select(BandDraw)).all()
        logged = session.scalars(select(AuditRow).where(AuditRow.action == "drew_by_lot")).all()
        assert faults(session) == []
    assert len(first) == 3
    assert "A" in first
    assert len(logged) == 1
    assert {row.officer_id for row in rows} == set(band.equals)
    assert {row.officer_id for row in rows if row.drawn} == lot(band, logged[0].details["seed"])
    assert {row.chance for row in rows} == {0.5}
    assert not set(band.equals) & set(str(logged[0].details).split("'"))


def test_a_failing_log_leaves_no_draw(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: Session, *_: object, **__: object) -> None:
        raise RuntimeError("the log cannot be written")

    monkeypatch.setattr("serving.effects.band.record", broken)
    band = at_the_edge(BENEFIT, 3, width=0.011)
    with pytest.raises(RuntimeError), transaction(store) as session:
        drawn(session, ACTOR, DAY, "recuperation", band=band)
    with transaction(store, writes=False) as session:
        assert session.scalars(select(BandDraw)).all() == []


def test_a_lot_is_fair() -> None:
    band = at_the_edge(BENEFIT, 3, width=0.011)
    times = {officer: sum(officer in lot(band, str(seed)) for seed in range(400)) for officer in band.equals}
    assert all(140 < number < 260 for number in times.values())
