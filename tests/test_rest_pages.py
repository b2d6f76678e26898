"""Rest plans through the command, the API and the page: each role sees what it may, and nobody a stack trace."""

import datetime as dt
import html
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from serving.access.audit import Actor
from serving.app import create_app
from serving.cli import main
from serving.database import open_database, transaction
from serving.effects.tables import ExpectedBenefit
from serving.rest.asking import PlanRequest
from serving.rest.lifecycle import make_plan
from serving.rest.tables import RestEntry, RestPlan, RestWish
from serving.tables import Batch, Score
from serving.words import say
from tests.serving_fixtures import signed_in_client

AS_OF = dt.date(2024, 12, 31)
DISCREET = {"counselling", "health_checkup"}
PLANS = "/api/v1/rest-plans"
BEFORE = {"as_of": "2024-11", "quota": 3, "weeks": 4}
"""A plan whose weeks end before those of the confirmed one begin: its rights are still open."""


@pytest.fixture(scope="module")
def home(made_home, tmp_path_factory):
    return Path(shutil.copytree(made_home, tmp_path_factory.mktemp("rest") / "home"))


@pytest.fixture(scope="module")
def engine(home):
    engine = open_database(home)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def plan(home, engine):
    """A confirmed plan of twelve places, with rights; made by the wellness officer."""
    made, _ = make_plan(engine, home, Actor("li", "wellness"), PlanRequest(AS_OF, quota=12))
    wellness = signed_in_client(create_app(home, engine), engine, "wellness")
    answer = wellness.post(f"{PLANS}/{made}/decision", json={"version": 1, "decision": "confirm"})
    assert answer.status_code == 200
    return answer.json()


@pytest.fixture(scope="module")
def signed(home, engine, plan):
    app = create_app(home, engine)
    unit = plan["entries"][0]["unit"]
    more = {"commander": {"units": (unit,)}, "officer": {"officer_id": plan["entries"][0]["officer_id"]}}
    return {
        role: signed_in_client(app, engine, role, **more.get(role, {}))
        for role in ("wellness", "hr", "commander", "officer", "data_scientist", "auditor", "admin")
    }


def test_the_wellness_team_sees_kinds_rights_and_benefits(plan):
    assert len([one for one in plan["entries"] if not one["by_right"]]) == 12
    assert {one["basis"] for one in plan["entries"] if not one["by_right"]} == {"assumed"}
    assert all(one["benefit"] > 0 for one in plan["entries"] if not one["by_right"])
    assert {one["kind"] for one in plan["entries"]} & DISCREET
    assert plan["figures"]["optimal"]
    assert all(one["present"] >= one["needed"] for one in plan["staffing"])


@pytest.mark.parametrize("role", ["hr", "commander"])
def test_hr_and_commanders_see_who_rests_when_and_nothing_of_health(signed, plan, role):
    seen = signed[role].get(f"{PLANS}/{plan['plan_id']}").json()
    reach = [one for one in plan["entries"] if role == "hr" or one["unit"] == plan["entries"][0]["unit"]]
    mine = [one for one in reach if one["kind"] not in DISCREET]
    days = [(one["officer_id"], one["first_day"], one["last_day"]) for one in mine]
    assert [(one["officer_id"], one["first_day"], one["last_day"]) for one in seen["entries"]] == days
    assert len({one["kind"] for one in mine}) > 1 or role == "commander"
    for one in seen["entries"]:
        assert one["kind"] == "rest"
        assert {one[name] for name in ("benefit", "low", "high", "basis", "by_right", "why")} == {None}
        assert one["pinned"] is False
    assert seen["figures"] is None
    assert seen["conflict"] == []
    assert seen["kinds"] == []
    page = signed[role].get(f"/rest/{plan['plan_id']}?lang=en").text
    assert not [kind["label"]["en"] for kind in plan["kinds"] if kind["label"]["en"] in page]
    assert not [kind["kind"] for kind in plan["kinds"] if f"rest-{kind['kind']}" in page]
    only_health = {one["officer_id"] for one in reach} - {one["officer_id"] for one in mine}
    assert only_health or role == "commander"
    assert not [officer for officer in only_health if officer in page]
    assert "burnout" not in page.split("<footer")[0].split("<main")[1].lower()


def test_the_staffing_of_others_does_not_tell_hidden_rests(signed, plan):
    seen = signed["hr"].get(f"{PLANS}/{plan['plan_id']}").json()
    hidden = [one for one in plan["entries"] if one["kind"] == "health_checkup"]
    whole = {(one["unit"], one["week"]): one for one in plan["staffing"]}
    assert hidden
    for one in seen["staffing"]:
        here = sum(each["unit"] == one["unit"] and each["week"] == one["week"] for each in hidden)
        assert one["present"] == whole[one["unit"], one["week"]]["present"] + here


def test_a_commander_sees_the_own_unit_only(signed, plan):
    seen = signed["commander"].get(f"{PLANS}/{plan['plan_id']}").json()
    unit = plan["entries"][0]["unit"]
    assert {one["unit"] for one in (*seen["entries"], *seen["staffing"])} == {unit}
    page = signed["commander"].get(f"/rest/{plan['plan_id']}").text
    others = {one["officer_id"] for one in plan["entries"] if one["unit"] != unit}
    assert not [officer for officer in others if officer in page]


def test_a_plan_and_what_is_decided_on_it_sent_twice_with_one_key_are_done_once(signed, engine):
    wellness = signed["wellness"]

    def twice(path, sent, key):
        answers = [wellness.post(path, json=sent, headers={"Idempotency-Key": key}) for _ in range(2)]
        assert answers[0].status_code == answers[1].status_code < 300
        assert answers[0].json() == answers[1].json()
        return answers[0].json()

    made = twice(PLANS, BEFORE, "plan-sent-twice")
    assert wellness.get(PLANS).json()["plans"][0] == made["plan_id"]
    with transaction(engine, writes=False) as session:
        same = select(RestPlan.id).where(RestPlan.as_of == dt.date(2024, 11, 30), RestPlan.id >= made["plan_id"])
        assert session.scalars(same).all() == [made["plan_id"]]
    path = f"{PLANS}/{made['plan_id']}/decision"
    solved = twice(path, {"version": made["version"], "decision": "solve"}, "solve-sent-twice")
    assert solved["version"] == made["version"] + 1
    gone = twice(path, {"version": solved["version"], "decision": "withdraw"}, "withdraw-sent-twice")
    assert (gone["state"], gone["version"]) == ("withdrawn", solved["version"] + 1)
    again = {"headers": {"Idempotency-Key": "plan-sent-twice"}, "json": {**BEFORE, "quota": 4}}
    assert wellness.post(PLANS, **again).status_code == 422


@pytest.mark.parametrize("role", ["officer", "data_scientist", "auditor", "admin"])
def test_other_roles_see_no_plan(signed, plan, role):
    for path in (PLANS, f"{PLANS}/{plan['plan_id']}", "/rest", f"/rest/{plan['plan_id']}"):
        assert signed[role].get(path).status_code == 403


@pytest.mark.parametrize("role", ["hr", "commander"])
def test_only_the_wellness_team_makes_and_changes_plans(signed, plan, role):
    assert signed[role].post(PLANS, json={"as_of": "2024-12"}).status_code == 403
    change = {"version": plan["version"], "decision": "withdraw"}
    assert signed[role].post(f"{PLANS}/{plan['plan_id']}/decision", json=change).status_code == 403
    assert signed[role].post("/rest", data={"as_of": "2024-12", "quota": "1"}).status_code == 403


def test_drafts_and_those_who_declined_are_seen_by_the_wellness_team_only(signed, plan):
    made = signed["wellness"].post(PLANS, json={"as_of": "2024-12", "quota": 2})
    assert made.status_code == 201
    assert signed["hr"].get(f"{PLANS}/{made.json()['plan_id']}").status_code == 404
    assert made.json()["plan_id"] not in signed["hr"].get(PLANS).json()["plans"]
    one = next(each for each in plan["entries"] if not each["by_right"])
    path, version = f"{PLANS}/{plan['plan_id']}", signed["wellness"].get(f"{PLANS}/{plan['plan_id']}").json()["version"]
    change = {"version": version, "decision": "declined", "officer_id": one["officer_id"], "kind": one["kind"]}
    assert signed["wellness"].post(f"{path}/decision", json=change).status_code == 200
    shown = {(each["officer_id"], each["first_day"]) for each in signed["hr"].get(path).json()["entries"]}
    assert (one["officer_id"], one["first_day"]) not in shown


def test_an_impossible_plan_is_explained_in_both_languages_and_solved_by_postponing(signed):
    wellness = signed["wellness"]
    made = wellness.post(PLANS, json=BEFORE | {"places": {"counselling": 0}})
    told = made.json()
    assert made.status_code == 201
    assert (told["possible"], told["entries"]) == (False, [])
    assert any("心理咨询" in one["zh"] for one in told["conflict"])
    assert any("Counselling" in one["en"] for one in told["conflict"])
    page = wellness.get(f"/rest/{told['plan_id']}?lang=en").text
    assert "No plan is possible" in page
    decision = {"version": told["version"], "decision": "solve", "rights_first": True}
    again = wellness.post(f"{PLANS}/{told['plan_id']}/decision", json=decision).json()
    assert again["possible"]
    assert not [one for one in again["entries"] if one["kind"] == "counselling"]
    assert again["figures"]["postponed"] > 0


def test_a_plan_that_postpones_without_known_reasons_announces_none(signed, engine):
    made = signed["wellness"].post(PLANS, json=BEFORE | {"places": {"counselling": 0}, "rights_first": True}).json()
    assert made["figures"]["postponed"]
    place = f"/rest/{made['plan_id']}?lang=en"
    for reasons in ([], [{"zh": "名额不足", "en": "too few places"}]):
        with transaction(engine) as session:
            plan = session.get_one(RestPlan, made["plan_id"])
            plan.solved, plan.version = plan.solved | {"why_postponed": reasons}, plan.version + 1
        page = signed["wellness"].get(place).text
        assert "postponed (see" in page
        assert (say("rest_postponed_why", "en") in html.unescape(page)) == bool(reasons)


def test_a_plan_is_made_changed_solved_and_confirmed_on_the_page(signed, engine):
    wellness, csrf = signed["wellness"], {"csrf": signed["wellness"].headers["x-csrf-token"]}
    form = {**csrf, "as_of": "2024-12", "quota": "5", "weeks": "8", "kind": ["recuperation"], "places": ["2"]}
    place = wellness.post("/rest", data=form).headers["location"]
    assert "/rest/" in place
    number = int(place.rsplit("/", 1)[1])
    with transaction(engine, writes=False) as session:
        one = session.scalar(select(RestEntry).where(RestEntry.plan_id == number, RestEntry.by_right.is_(False)))
        assert session.get(RestPlan, number).places["recuperation"] == 2
    opened = wellness.get(f"{place}?officer={one.officer_id}&kind={one.kind}&lang=en").text
    assert 'value="strike"' in opened
    steps = (
        {"decision": "strike", "officer": one.officer_id, "kind": one.kind},
        {"decision": "solve"},
        {"decision": "confirm"},
    )
    for version, step in enumerate(steps, 1):
        answer = wellness.post(place, data={**csrf, "version": str(version), **step})
        assert answer.status_code == 303
        assert wellness.get(answer.headers["location"] + "&lang=zh").status_code == 200
    with transaction(engine, writes=False) as session:
        assert session.get(RestPlan, number).state == "confirmed"
        assert session.get(RestWish, (number, one.officer_id, one.kind)).struck
        gone = select(RestEntry).where(
            RestEntry.plan_id == number, RestEntry.officer_id == one.officer_id, RestEntry.kind == one.kind
        )
        assert session.scalar(gone) is None
    late = wellness.post(place, data={**csrf, "version": "1", "decision": "withdraw"}, headers={"accept": "text/html"})
    assert late.status_code == 409


def test_a_form_that_asks_for_the_impossible_is_answered_with_the_form(signed):
    wellness = signed["wellness"]
    form = {"csrf": wellness.headers["x-csrf-token"], "as_of": "2019-01", "quota": "5"}
    answer = wellness.post("/rest", data=form, headers={"accept": "text/html"})
    assert answer.status_code == 422
    assert "<form" in answer.text
    assert wellness.post(PLANS, json={"as_of": "2024-12", "weeks": 2}).status_code == 422
    assert wellness.post(PLANS, json={"as_of": "2024-12", "places": {"holiday": 3}}).status_code == 422
    assert wellness.get(f"{PLANS}/99999").status_code == 404


def test_an_estimated_benefit_replaces_the_assumed_one(signed, engine):
    """Whoever is told to gain most by leave gets it, at most the own risk; who is told to lose does not wish it."""
    with transaction(engine) as session:
        batch = session.scalar(select(Batch).where(Batch.risk == "burnout", Batch.as_of == AS_OF))
        officers = session.scalars(
            select(Score.officer_id).where(Score.batch_id == batch.id).order_by(Score.rank)
        ).all()
        own = session.get_one(Score, (batch.id, officers[70])).probability
        assert own < 0.3
        for place, officer in enumerate(officers):
            gain = 0.3 if place == 70 else -0.01
            session.add(
                ExpectedBenefit(
                    as_of=AS_OF, action="compensatory_leave", risk="burnout", officer_id=officer, position=0,
                    benefit=gain, low=gain - 0.01, high=gain + 0.01, estimable=True,
                )
            )  # fmt: skip
    made = signed["wellness"].post(PLANS, json={"as_of": "2024-12", "quota": 4}).json()
    leave = [one for one in made["entries"] if one["kind"] == "compensatory_leave"]
    assert [(one["officer_id"], one["basis"], one["benefit"]) for one in leave] == [(officers[70], "estimated", own)]
    with transaction(engine) as session:
        session.query(ExpectedBenefit).delete()


def test_the_command_plans_within_the_quota_and_tells_it_as_json(home):
    ran = CliRunner().invoke(main, ["--home", str(home), "--json", "rest", "--as-of", "2024-12", "--quota", "6"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert len(told["entries"]) <= 6
    assert all(one["by_right"] for one in told["by_right"])
    assert told["optimal"]


def test_the_command_refuses_the_impossible_in_one_message(home):
    asked = [
        "--home",
        str(home),
        "rest",
        "--as-of",
        "2024-11",
        "--quota",
        "6",
        "--weeks",
        "4",
        "--places",
        "health_checkup=1",
        "--lang",
        "zh",
    ]
    ran = CliRunner().invoke(main, asked)
    assert ran.exit_code == 1
    assert "不能同时满足" in ran.stderr
    assert "Traceback" not in ran.output
    ran = CliRunner().invoke(main, [*asked, "--postpone"])
    assert ran.exit_code == 0
    assert CliRunner().invoke(main, ["--home", str(home), "rest", "--as-of", "2018-01", "--quota", "6"]).exit_code == 1


def test_a_home_without_histories_is_refused(tmp_path):
    ran = CliRunner().invoke(main, ["--home", str(tmp_path), "rest", "--as-of", "2024-12", "--quota", "6"])
    assert ran.exit_code == 1
    assert not (tmp_path / "var" / "jingxing.db").exists()
