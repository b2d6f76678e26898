"""A plan is begun, answered and solved afterwards: it is never lost, never solved twice, and says so if it fails."""

import datetime as dt
import html
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from serving.access.audit import Actor, faults
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.database import open_database, transaction
from serving.rest.asking import PlanRequest
from serving.rest.solving import TRIES, Underway, begin, finish
from serving.rest.storing import begun_plan
from serving.rest.tables import RestDecision, RestEntry, RestPlan
from serving.words import say
from tests.serving_fixtures import signed_in_client
from tests.test_rest_lifecycle import LI, asking


def begun(store, tries=0):
    """A plan of twenty people that waits to be solved, as it is after so many tries; and what it asks for."""
    request, everyone = asking()
    with transaction(store) as session:
        plan = begun_plan(session, LI.name, request, everyone, state="solving")
        plan.staff = {**plan.staff, "request": {"rights_first": False, "role": LI.role, "tries": tries}}
        return plan.id, everyone


def told(store, plan_id):
    """State, number of entries, how often it was made, and what the log did."""
    with transaction(store, writes=False) as session:
        entries = select(func.count()).select_from(RestEntry).where(RestEntry.plan_id == plan_id)
        made = select(func.count()).select_from(RestDecision).where(RestDecision.plan_id == plan_id)
        done = session.scalars(select(AuditRow.action).where(AuditRow.subject == f"rest plan {plan_id}")).all()
        assert faults(session) == []
        return session.get_one(RestPlan, plan_id).state, session.scalar(entries), session.scalar(made), done


def test_a_plan_that_waits_is_solved_once_and_stays_as_it_is(store, made_home):
    number, everyone = begun(store)
    assert told(store, number) == ("solving", 0, 0, [])
    finish(store, made_home, Underway(), number, everyone)
    solved = told(store, number)
    assert solved == ("draft", 6, 1, ["rest plan made"])
    finish(store, made_home, Underway(), number, everyone)
    assert told(store, number) == solved


def test_of_two_servers_that_solve_the_same_plan_one_stores(store, made_home):
    number, everyone = begun(store)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(finish, store, made_home, Underway(), number, everyone) for _ in range(2)]
    assert [each.exception() for each in both] == [None, None]
    assert told(store, number) == ("draft", 6, 1, ["rest plan made"])


def test_within_a_server_nobody_begins_a_plan_that_is_under_way(store, made_home):
    number, everyone = begun(store)
    underway = Underway()
    with underway.alone(number) as first:
        assert first
        finish(store, made_home, underway, number, everyone)
        assert told(store, number)[0] == "solving"
        with underway.alone(number + 1) as other:
            assert other
    finish(store, made_home, underway, number, everyone)
    assert told(store, number)[0] == "draft"


def test_what_was_broken_off_again_and_again_is_given_up_and_says_so(store, made_home):
    number, everyone = begun(store, tries=TRIES - 1)
    finish(store, made_home, Underway(), number, everyone)
    assert told(store, number)[0] == "draft"
    number, everyone = begun(store, tries=TRIES)
    finish(store, made_home, Underway(), number, everyone)
    assert told(store, number) == ("failed", 0, 0, ["rest plan failed"])
    with transaction(store, writes=False) as session:
        why = session.get_one(RestPlan, number).conflict
    assert why == [{language: say("rest_failed_tries", language, n=TRIES) for language in ("zh", "en")}]


def test_what_can_t_be_asked_for_any_more_ends_in_words(store, made_home):
    """The lists that it was begun from are gone: in this store there are none."""
    number, _ = begun(store)
    finish(store, made_home, Underway(), number)
    state, entries, _, _ = told(store, number)
    assert (state, entries) == ("failed", 0)
    with transaction(store, writes=False) as session:
        why = session.get_one(RestPlan, number).conflict
    assert [set(each) for each in why] == [{"zh", "en"}]
    assert all(text for each in why for text in each.values())


@pytest.fixture
def wellness(made_home, tmp_path):
    home = Path(shutil.copytree(made_home, tmp_path / "home"))
    engine = open_database(home)
    app = create_app(home, engine)
    yield home, engine, signed_in_client(app, engine, "wellness"), signed_in_client(app, engine, "hr")
    engine.dispose()


def test_the_page_of_a_plan_that_a_killed_server_left_says_so_and_has_it_solved(wellness):
    home, engine, page, hr = wellness
    asked = PlanRequest(dt.date(2024, 12, 31), quota=5, places={"recuperation": 2}, rights_first=True)
    number, _ = begin(engine, home, Actor("chen", "wellness"), asked)  # and the server is killed
    assert say("rest_solving", "en") in page.get("/rest?lang=en").text
    assert hr.get(f"/rest/{number}").status_code == 404
    waiting = page.get(f"/rest/{number}?lang=zh")  # what it owes is done after this answer
    assert (waiting.status_code, waiting.headers["refresh"]) == (200, "5")
    assert say("rest_solving_text", "zh", weeks=8, quota=5) in waiting.text
    solved = page.get(f"/rest/{number}?lang=en")
    assert "refresh" not in solved.headers
    assert say("rest_calendar", "en") in solved.text
    with transaction(engine, writes=False) as session:
        plan = session.get_one(RestPlan, number)
        assert (plan.state, plan.made_by, plan.quota, plan.places["recuperation"]) == ("draft", "chen", 5, 2)
        rows = session.execute(select(AuditRow.action, AuditRow.actor).where(AuditRow.subject == f"rest plan {number}"))
        assert rows.all() == [("rest plan begun", "chen"), ("rest plan made", "chen")]


def test_a_plan_that_waits_can_t_be_decided_or_solved_by_hand(wellness):
    home, engine, page, _ = wellness
    number, _ = begin(engine, home, Actor("chen", "wellness"), PlanRequest(dt.date(2024, 12, 31), quota=5))
    for decision in ("solve", "confirm", "withdraw"):
        answer = page.post(f"/api/v1/rest-plans/{number}/decision", json={"version": 1, "decision": decision})
        assert answer.status_code == 409, decision


def test_a_failed_plan_tells_why_and_leads_to_a_new_one(wellness):
    home, engine, page, _ = wellness
    number, _ = begin(engine, home, Actor("chen", "wellness"), PlanRequest(dt.date(2024, 12, 31), quota=5))
    with transaction(engine) as session:
        plan = session.get_one(RestPlan, number)
        plan.staff = {**plan.staff, "request": {**plan.staff["request"], "tries": TRIES}}
    for language in ("zh", "en"):
        page.get(f"/rest/{number}?lang={language}")
        failed = page.get(f"/rest/{number}?lang={language}")
        assert say("rest_failed_tries", language, n=TRIES) in html.unescape(failed.text)
        assert 'role="alert"' in failed.text
        assert "refresh" not in failed.headers
