"""What pages are made of is kept: never for other eyes, never after a change, and every look is logged all the same."""

import inspect
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import func, select

from features.cohort import standing
from features.histories.store import load_histories
from serving.access.audit import SYSTEM, record
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.database import open_database, transaction
from serving.persons import levers
from serving.persons.levers import levers_of, rooms_of
from serving.persons.own_histories import own_histories
from serving.persons.what_if import what_if
from serving.tables import Batch, Score
from tests.serving_fixtures import last_month, signed_in_client

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def desk(made_home, tmp_path_factory):
    """A copy of the served home: its engine, its app, and clients of roles by name."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("kept") / "home")
    engine = open_database(home)
    app, made = create_app(home, engine), {}

    def client(role):
        if role not in made:
            made[role] = signed_in_client(app, engine, role)
        return made[role]

    yield home, engine, app, client
    for each in made.values():
        each.close()
    engine.dispose()


@pytest.fixture(scope="module")
def first(desk):
    """The first of the list of decline: number and unit."""
    with transaction(desk[1], writes=False) as session:
        newest = select(Batch.id).where(Batch.risk == "efficiency_decline").order_by(Batch.as_of.desc()).limit(1)
        statement = select(Score.officer_id, Score.unit).where(Score.batch_id == newest.scalar_subquery())
        return session.execute(statement.order_by(Score.rank).limit(1)).one()


def read(client, path):
    answer = client.get(path, headers=HTML)
    return answer.status_code, answer.text


def people(text):
    return set(re.findall(r'href="/officers/([^"?/]+)', text))


PAGES = (
    "/lists/efficiency_decline",
    "/lists/burnout",
    "/officers/{officer}",
    "/officers/{officer}/what-if",
    "/units/efficiency_decline/{unit}",
    "/units/burnout/{unit}",
    "/mentorships",
    "/offers",
    "/months",
)
ROLES = ("wellness", "hr", "commander", "data_scientist", "officer", "auditor", "admin")


def without_secrets(text):
    return re.sub(r'value="[0-9a-f]{64}"', "", text)


@pytest.mark.parametrize("page", PAGES)
def test_a_kept_page_tells_each_role_what_it_told_before_any_other_had_asked(desk, first, page):
    home, engine, _, client = desk
    path = page.format(officer=first.officer_id, unit=first.unit)
    alone = {}
    for role in ROLES:  # a service of one's own has kept nothing for anybody
        with signed_in_client(create_app(home, engine), engine, role) as calls:
            status, text = read(calls, path)
            alone[role] = status, people(text), without_secrets(text).count("<tr"), first.officer_id in text
    order = [*ROLES, *reversed(ROLES)]
    for role in order:
        status, text = read(client(role), path)
        assert (status, people(text), without_secrets(text).count("<tr"), first.officer_id in text) == alone[role], role


def test_what_is_kept_for_one_unit_s_commander_is_not_shown_to_another_s(desk, first):
    _, engine, app, _ = desk
    with transaction(engine, writes=False) as session:
        other = session.scalar(select(Score.unit).where(Score.unit != first.unit).limit(1))
    path = f"/officers/{first.officer_id}"
    for unit, status in ((first.unit, 200), (other, 404), (first.unit, 200)):
        with signed_in_client(app, engine, "commander", units=(unit,)) as calls:
            assert read(calls, path)[0] == status, unit


def test_a_decision_is_on_every_page_at_once(desk):
    client = desk[3]("wellness")
    entry = next(one for one in client.get("/api/v1/risk-lists/burnout").json()["entries"] if one["flag_id"])
    pages = ("/lists/burnout?lang=en", f"/officers/{entry['officer_id']}?lang=en&risk=burnout")
    before = [read(client, path)[1] for path in pages]
    told = {"flag_id": entry["flag_id"], "version": entry["flag_version"], "decision": "watch", "reason": "seen"}
    sent = {"csrf": client.headers["x-csrf-token"], "back": "/lists/burnout", **told}
    answer = client.post("/flags/decision", data=sent, headers=HTML)
    assert answer.status_code == 303, answer.text
    after = [read(client, path)[1] for path in pages]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_each_look_at_a_kept_page_is_logged(desk, first):
    _, engine, _, client = desk

    def looks():
        statement = select(func.count()).select_from(AuditRow)
        with transaction(engine, writes=False) as session:
            return session.scalar(statement.where(AuditRow.action == "looked", AuditRow.subject == first.officer_id))

    before = looks()
    for _ in range(3):
        assert read(client("wellness"), f"/officers/{first.officer_id}")[0] == 200
    assert looks() == before + 3


def test_no_route_computes_on_the_event_loop(desk):
    routes = [context.original_route for context in iter_route_contexts(desk[2].routes)]
    found = [
        route.path for route in routes if isinstance(route, APIRoute) and inspect.iscoroutinefunction(route.endpoint)
    ]
    assert found == []


def test_the_service_answers_others_while_a_page_is_made(desk, first):
    client, asked = desk[3]("wellness"), Event()

    def page():
        asked.set()
        return read(client, f"/officers/{first.officer_id}/what-if")

    levers._levers.forget()
    with ThreadPoolExecutor(1) as pool:
        with levers._one_reads:  # the page can't be made before this is let go
            made = pool.submit(page)
            asked.wait()
            with signed_in_client(desk[2], desk[1], "hr") as other:
                assert other.get("/healthz").status_code == 200
                assert read(other, "/lists/efficiency_decline")[0] == 200
            assert not made.done()
        assert made.result()[0] == 200


def test_levers_of_the_whole_force_are_those_of_who_counts_for_a_person(made_home, given):
    month = last_month(given)
    posted = given.officers[standing(given, month).post >= 0]
    for officer in posted[:: len(posted) // 7]:
        case = what_if(made_home, str(officer), month)
        own = levers_of(case.given, month).rooms(case.officer)
        for mine, all_ in zip(own, rooms_of(made_home, str(officer), month), strict=True):
            assert (mine.lever, mine.whole) == (all_.lever, all_.whole)
            numbers = ("now", "floor", "carry", "less")
            assert [getattr(mine, name) for name in numbers] == pytest.approx([getattr(all_, name) for name in numbers])


def test_with_nothing_pulled_the_what_if_is_the_list_s_own_score(desk, first):
    client = desk[3]("wellness")
    answer = client.post(f"/api/v1/officers/{first.officer_id}/what-if", json={}).json()
    told = {risk["risk"]: risk for risk in client.get(f"/api/v1/officers/{first.officer_id}").json()["risks"]}
    for risk in answer["risks"]:
        assert risk["before"] == risk["after"]
        assert risk["before"]["probability"] == told[risk["risk"]]["probability"]


def test_kept_histories_are_read_anew_where_the_store_was_changed(own_home):
    given = load_histories(own_home)
    officer = str(given.officers[0])
    held, _ = own_histories(own_home, officer)
    assert own_histories(own_home, officer)[0] is held
    version = next((own_home / "var" / "histories").glob("v*"))
    file = version / "events.parquet"
    fresh = file.with_suffix(".fresh")
    shutil.copy(file, fresh)
    fresh.replace(file)
    again, _ = own_histories(own_home, officer)
    assert again is not held
    np.testing.assert_array_equal(again.events.value, held.events.value)


def test_a_change_by_another_program_is_seen_by_the_service(desk):
    _, engine, _, client = desk
    read(client("wellness"), "/lists/burnout")
    kept = desk[2].state.unchanged
    with transaction(engine, writes=False) as session:
        one = kept.value(session, "marker", lambda _: object())
        assert kept.value(session, "marker", lambda _: object()) is one
    with transaction(engine) as session:
        record(session, SYSTEM, "lists scored", "2024-12")
    with transaction(engine, writes=False) as session:
        assert kept.value(session, "marker", lambda _: object()) is not one
