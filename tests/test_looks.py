"""Every look at a person is in the log, a page's pictures with it; nobody decides on oneself."""

import pytest
from sqlalchemy import func, select, update

from serving.access.audit import Actor, record
from serving.access.sight import WHOLE
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.database import open_database, transaction
from serving.decisions import help, objections
from serving.decisions.objections import Against, Contested
from serving.decisions.tables import Flag, HelpRequest, Review
from serving.scored.queries import batch_of
from serving.tables import Score
from tests.serving_fixtures import an_officer, signed_in_client


@pytest.fixture
def served(own_home):
    engine = open_database(own_home)
    yield create_app(own_home, engine), engine
    engine.dispose()


@pytest.fixture
def somebody(served):
    """An officer of the commander's unit, and one of another unit."""
    _, engine = served
    with transaction(engine, writes=False) as session:
        officer, unit = an_officer(session)
        batch = batch_of(session, WHOLE, "burnout")
        outside = select(Score.officer_id).where(Score.batch_id == batch.id, Score.unit != unit)
        return officer, session.scalar(outside.order_by(Score.officer_id).limit(1)), unit


def written(engine, action):
    with transaction(engine, writes=False) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == action).order_by(AuditRow.number))
        return [(row.actor, row.subject) for row in rows]


PICTURES = ("risk.svg?risk=burnout", "history.svg?risk=burnout", "timeline.svg")


def test_a_picture_asked_for_without_its_page_is_a_look(served, somebody):
    app, engine = served
    client = signed_in_client(app, engine, "wellness")
    for picture in PICTURES:
        before = len(written(engine, "looked"))
        with transaction(engine) as session:  # what was looked at before lies long back
            session.execute(update(AuditRow).values(at="2024-01-01T00:00:00.000000+00:00"))
        client.get(f"/officers/{somebody[1]}/{picture}")
        assert written(engine, "looked")[before:] == [("the wellness", somebody[1])], picture


def test_a_page_with_its_pictures_is_one_look(served, somebody):
    app, engine = served
    client = signed_in_client(app, engine, "wellness")
    for path in ("", *(f"/{picture}" for picture in PICTURES)):
        client.get(f"/officers/{somebody[1]}{path}")
    assert written(engine, "looked") == [("the wellness", somebody[1])]


def test_another_accounts_look_hides_none(served, somebody):
    app, engine = served
    for role in ("hr", "wellness"):
        client = signed_in_client(app, engine, role)
        client.get(f"/officers/{somebody[1]}/risk.svg?risk=efficiency_decline")
    assert written(engine, "looked") == [("the hr", somebody[1]), ("the wellness", somebody[1])]


@pytest.mark.parametrize("path", [
    "/officers/{}", "/officers/{}/risk.svg?risk=efficiency_decline", "/officers/{}/timeline.svg",
    "/officers/{}/history.svg?risk=efficiency_decline", "/api/v1/officers/{}", "/officers/{}/what-if",
    "/api/v1/offers?officer_id={}",
])  # fmt: skip
def test_a_commander_who_asks_for_a_person_of_another_unit_leaves_a_refusal(served, somebody, path):
    app, engine = served
    answer = signed_in_client(app, engine, "commander").get(path.format(somebody[1]))
    assert answer.status_code == (200 if "offers" in path else 404)
    assert [actor for actor, _ in written(engine, "refused")] == ["the commander"]
    assert written(engine, "looked") == []


def test_units_offers_of_a_person_and_objections_are_looks_too(served, somebody):
    app, engine = served
    with transaction(engine) as session:
        told = Contested(somebody[0], Against.WARNING, "not so at all", measure="complaint")
        number = objections.contest(session, Actor("x", "officer"), told, days=15).id
    wellness, hr = (signed_in_client(app, engine, role) for role in ("wellness", "hr"))
    assert wellness.get(f"/units/burnout/{somebody[2]}").status_code == 200
    assert wellness.get("/units/burnout/nowhere").status_code == 404
    assert wellness.get(f"/api/v1/offers?officer_id={somebody[0]}").status_code == 200
    assert hr.get(f"/api/v1/objections/{number}").status_code == 200
    assert hr.get(f"/api/v1/objections/{number + 1}").status_code == 404
    assert written(engine, "looked") == [
        ("the wellness", f"unit {somebody[2]}"), ("the wellness", somebody[0]), ("the hr", somebody[0]),
    ]  # fmt: skip
    assert [actor for actor, _ in written(engine, "refused")] == ["the wellness", "the hr"]


def test_who_asked_what_if_stands_among_those_who_looked(served, somebody):
    app, engine = served
    with transaction(engine) as session:
        record(session, Actor("chen", "wellness"), "what-if asked", somebody[0], risks=["burnout"])
    page = signed_in_client(app, engine, "officer").get("/my-record?lang=en").text
    part = page.split('id="looked"')[1].split("</section>")[0]
    assert "chen" in part
    assert "what if" in part


def test_nobody_decides_on_the_own_flag_or_answers_the_own_request(served, somebody):
    app, engine = served
    with transaction(engine) as session:
        asked = help.ask_for_help(session, Actor("x", "officer"), somebody[0], kind=help.Wanted.TALK).id
        flag = session.scalar(select(Flag.id).where(Flag.officer_id == somebody[0], Flag.asked.is_(True)))
    own = signed_in_client(app, engine, "wellness", officer_id=somebody[0])
    verdict = {"flag_id": flag, "version": 0, "decision": "dismiss", "reason": "nothing to see here"}
    assert own.post("/api/v1/reviews", json=verdict).status_code == 403
    assert own.post("/flags/decision", data=verdict).status_code == 403
    assert own.post(f"/objections/help/{asked}", data={"answer": "all is well"}).status_code == 403
    with transaction(engine, writes=False) as session:
        assert session.scalar(select(func.count()).select_from(Review)) == 0
        assert session.get_one(HelpRequest, asked).answered_at is None
    other = signed_in_client(app, engine, "wellness", officer_id=somebody[1])
    assert other.post(f"/objections/help/{asked}", data={"answer": "we talked"}).status_code == 303


def test_the_page_of_mentorships_names_no_list_that_its_readers_do_not_know_of(served):
    app, engine = served
    for role in ("hr", "commander"):
        for language in ("zh", "en"):
            page = signed_in_client(app, engine, role).get(f"/mentorships?lang={language}").text
            assert "倦怠" not in page
            assert "burnout" not in page.lower()
