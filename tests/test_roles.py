"""Role by route, role by field, and attacks on the purpose firewall, against literals."""

import csv
import io
import re
import shutil
from urllib.parse import quote

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import select

from features.assessment.assess import assess
from features.months import month_of_day
from serving.access.caller import Needs
from serving.access.roles import PERMISSIONS_OF, Role
from serving.access.roles import Permission as P
from serving.access.sight import WHOLE
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.database import open_database, transaction
from serving.scored.queries import batch_of
from serving.tables import Batch, Reasons, Score
from tests.serving_fixtures import HERE, an_officer, signed_in_client

ROUTES = {
    "GET /": P.OPEN,
    "GET /accounts": P.MANAGE_ACCOUNTS,
    "POST /accounts": P.MANAGE_ACCOUNTS,
    "POST /accounts/tokens/{token_id}/revoke": P.MANAGE_ACCOUNTS,
    "POST /accounts/{account_id}/close": P.MANAGE_ACCOUNTS,
    "POST /accounts/{account_id}/password": P.MANAGE_ACCOUNTS,
    "POST /accounts/{account_id}/tokens": P.MANAGE_ACCOUNTS,
    "GET /api/v1/audit": P.SEE_AUDIT,
    "GET /api/v1/audit/verify": P.SEE_AUDIT,
    "GET /api/v1/cockpit": P.SEE_ASSESSMENT,
    "GET /api/v1/effects": P.SEE_EFFECTS,
    "POST /api/v1/feedback": P.REVIEW,
    "GET /api/v1/feedback/{risk}": P.SEE_MODELS,
    "GET /api/v1/flags/{flag_id}": P.REVIEW,
    "GET /api/v1/mentorships": P.SEE_MENTORING,
    "POST /api/v1/mentorships/kept-apart": P.DECIDE_MENTORING,
    "POST /api/v1/mentorships/proposals": P.DECIDE_MENTORING,
    "POST /api/v1/mentorships/{mentorship_id}/decision": P.DECIDE_MENTORING,
    "GET /api/v1/models": P.SEE_MODELS,
    "POST /api/v1/models/{risk}/promote": P.PROMOTE,
    "POST /api/v1/models/{risk}/rollback": P.PROMOTE,
    "GET /api/v1/objections": P.DECIDE_OBJECTIONS,
    "POST /api/v1/objections": P.OBJECT,
    "GET /api/v1/objections/own": P.OBJECT,
    "GET /api/v1/objections/{objection_id}": P.DECIDE_OBJECTIONS,
    "POST /api/v1/objections/{objection_id}/decision": P.DECIDE_OBJECTIONS,
    "GET /api/v1/offers": P.SEE_RECOMMENDATIONS,
    "POST /api/v1/offers": P.SEE_RECOMMENDATIONS,
    "POST /api/v1/offers/{offer_id}/decision": P.SEE_RECOMMENDATIONS,
    "GET /api/v1/officers/{officer_id}": P.SEE_PERSON,
    "GET /api/v1/officers/{officer_id}/points": P.SEE_ASSESSMENT,
    "GET /api/v1/officers/{officer_id}/recommendations": P.SEE_RECOMMENDATIONS,
    "GET /api/v1/officers/{officer_id}/report": P.SEE_ASSESSMENT,
    "POST /api/v1/officers/{officer_id}/what-if": P.ASK_WHAT_IF,
    "POST /api/v1/predictions": P.SCORE_GIVEN_HISTORIES,
    "POST /api/v1/predictions/{risk}": P.SCORE_GIVEN_HISTORIES,
    "GET /api/v1/rest-plans": P.SEE_REST_PLANS,
    "POST /api/v1/rest-plans": P.DECIDE_REST_PLANS,
    "GET /api/v1/rest-plans/{plan_id}": P.SEE_REST_PLANS,
    "POST /api/v1/rest-plans/{plan_id}/decision": P.DECIDE_REST_PLANS,
    "POST /api/v1/reviews": P.REVIEW,
    "GET /api/v1/reviews/summary": P.SEE_MONITOR,
    "GET /api/v1/risk-lists/{risk}": P.SEE_LISTS,
    "POST /api/v1/risk-lists/{risk}/publication": P.PUBLISH,
    "GET /api/v1/stars": P.SEE_STARS,
    "GET /arrivals": P.SEE_DATA,
    "POST /arrivals": P.UPLOAD,
    "GET /arrivals/picture.svg": P.SEE_DATA,
    "GET /assessment": P.SEE_ASSESSMENT,
    "GET /cockpit": P.SEE_ASSESSMENT,
    "GET /cockpit/force.svg": P.SEE_ASSESSMENT,
    "GET /cockpit/months.svg": P.SEE_ASSESSMENT,
    "GET /effects": P.SEE_EFFECTS,
    "GET /effects/overview.svg": P.SEE_EFFECTS,
    "GET /effects/tracked.svg": P.SEE_EFFECTS,
    "GET /effects/{number}": P.SEE_EFFECTS,
    "GET /effects/{number}/study.svg": P.SEE_EFFECTS,
    "POST /feedback": P.REVIEW,
    "POST /flags/decision": P.REVIEW,
    "GET /healthz": P.OPEN,
    "GET /lists": P.SEE_LISTS,
    "GET /lists/{risk}": P.SEE_LISTS,
    "GET /lists/{risk}/export.{form}": P.SEE_LISTS,
    "GET /log": P.SEE_AUDIT,
    "GET /mentorships": P.SEE_MENTORING,
    "POST /mentorships/kept-apart": P.DECIDE_MENTORING,
    "POST /mentorships/proposals": P.DECIDE_MENTORING,
    "POST /mentorships/{mentorship_id}/decision": P.DECIDE_MENTORING,
    "GET /metrics": P.OPEN,
    "GET /models": P.SEE_MODELS,
    "POST /models/{risk}/rollback": P.PROMOTE,
    "GET /models/{risk}/{version}": P.SEE_MODELS,
    "GET /models/{risk}/{version}/calibration.svg": P.SEE_MODELS,
    "GET /models/{risk}/{version}/card": P.SEE_MODELS,
    "POST /models/{risk}/{version}/promote": P.PROMOTE,
    "GET /monitor": P.SEE_MONITOR,
    "GET /monitor/arrivals.svg": P.SEE_MONITOR,
    "GET /months": P.SEE_LISTS,
    "POST /months/notices": P.PUBLISH,
    "POST /months/publish": P.PUBLISH,
    "POST /months/seen": P.SEE_LISTS,
    "GET /my-record": P.SEE_OWN_RECORD,
    "POST /my-record/consent": P.CONSENT,
    "POST /my-record/letter": P.CONSENT,
    "POST /my-record/mentorships/{mentorship_id}": P.SEE_OWN_RECORD,
    "POST /my-record/help": P.ASK_FOR_HELP,
    "POST /my-record/objections": P.OBJECT,
    "POST /my-record/offers/{offer_id}": P.SEE_OWN_RECORD,
    "GET /my-record/records": P.SEE_OWN_RECORD,
    "GET /my-record/risk.svg": P.SEE_OWN_RECORD,
    "GET /notice": P.OPEN,
    "GET /objections": P.DECIDE_OBJECTIONS,
    "POST /objections/help/{request_id}": P.REVIEW,
    "GET /objections/{objection_id}": P.DECIDE_OBJECTIONS,
    "POST /objections/{objection_id}/decision": P.DECIDE_OBJECTIONS,
    "GET /offers": P.SEE_RECOMMENDATIONS,
    "POST /offers": P.SEE_RECOMMENDATIONS,
    "POST /offers/{offer_id}/decision": P.SEE_RECOMMENDATIONS,
    "GET /officers/{officer_id}": P.SEE_PERSON,
    "GET /officers/{officer_id}/cockpit": P.SEE_ASSESSMENT,
    "GET /officers/{officer_id}/cockpit.svg": P.SEE_ASSESSMENT,
    "GET /officers/{officer_id}/events": P.SEE_ASSESSMENT,
    "GET /officers/{officer_id}/history.svg": P.SEE_PERSON,
    "GET /officers/{officer_id}/letter": P.SEE_ASSESSMENT,
    "GET /officers/{officer_id}/points": P.SEE_ASSESSMENT,
    "GET /officers/{officer_id}/risk.svg": P.SEE_PERSON,
    "GET /officers/{officer_id}/timeline.svg": P.SEE_PERSON,
    "GET /officers/{officer_id}/what-if": P.ASK_WHAT_IF,
    "POST /officers/{officer_id}/what-if": P.ASK_WHAT_IF,
    "GET /openapi.json": P.OPEN,
    "GET /password": P.OPEN,
    "POST /password": P.OPEN,
    "GET /readyz": P.OPEN,
    "GET /rest": P.SEE_REST_PLANS,
    "POST /rest": P.DECIDE_REST_PLANS,
    "GET /rest/{plan_id}": P.SEE_REST_PLANS,
    "POST /rest/{plan_id}": P.DECIDE_REST_PLANS,
    "GET /reviews": P.SEE_MONITOR,
    "GET /sign-in": P.OPEN,
    "POST /sign-in": P.OPEN,
    "GET /sign-in/provider": P.OPEN,
    "GET /sign-in/provider/back": P.OPEN,
    "POST /sign-out": P.OPEN,
    "GET /stars": P.SEE_STARS,
    "GET /static/{name}": P.OPEN,
    "GET /units/{risk}/{unit:path}": P.SEE_UNITS,
    "GET /warnings": P.SEE_ASSESSMENT,
}
"""Every route and the permission that it needs. OPEN: anyone, without personal data."""

MAY = {
    "officer": {P.OPEN, P.SEE_OWN_RECORD, P.SEE_STARS, P.OBJECT, P.ASK_FOR_HELP, P.CONSENT},
    "wellness": {P.OPEN, P.SEE_LISTS, P.SEE_PERSON, P.SEE_UNITS, P.SEE_EFFECTS, P.SEE_RECOMMENDATIONS, P.ASK_WHAT_IF,
                 P.REVIEW, P.SEE_REST_PLANS, P.DECIDE_REST_PLANS, P.SEE_MENTORING, P.DECIDE_OBJECTIONS, P.PUBLISH,
                 P.SEE_MONITOR, P.SEE_STARS},
    "hr": {P.OPEN, P.SEE_LISTS, P.SEE_PERSON, P.SEE_UNITS, P.SEE_EFFECTS, P.SEE_RECOMMENDATIONS, P.REVIEW,
           P.SEE_ASSESSMENT, P.SEE_STARS, P.SEE_MENTORING, P.DECIDE_MENTORING, P.SEE_REST_PLANS, P.DECIDE_OBJECTIONS,
           P.PUBLISH},
    "commander": {P.OPEN, P.SEE_LISTS, P.SEE_PERSON, P.SEE_UNITS, P.SEE_EFFECTS, P.SEE_RECOMMENDATIONS, P.ASK_WHAT_IF,
                  P.SEE_ASSESSMENT, P.SEE_STARS, P.SEE_MENTORING, P.SEE_REST_PLANS},
    "data_scientist": {P.OPEN, P.SEE_LISTS, P.SEE_PERSON, P.SCORE_GIVEN_HISTORIES, P.SEE_MODELS, P.PROMOTE,
                       P.SEE_MONITOR, P.SEE_DATA, P.SEE_EFFECTS},
    "auditor": {P.OPEN, P.SEE_AUDIT, P.SEE_MODELS, P.SEE_MONITOR},
    "admin": {P.OPEN, P.MANAGE_ACCOUNTS, P.SEE_DATA, P.UPLOAD},
}  # fmt: skip
ROLES = tuple(MAY)
RISKS = {"wellness": "burnout", "development": "efficiency_decline"}
ALL = {"number", "place", "score", "reasons", "history", "offers"}
SEES = {
    ("wellness", "wellness"): ALL | {"health"},
    ("wellness", "development"): ALL,
    ("hr", "wellness"): None,
    ("hr", "development"): ALL,
    ("commander", "wellness"): None,
    ("commander", "development"): ALL,
    ("data_scientist", "wellness"): {"pseudonym", "score", "reasons", "history", "health"},
    ("data_scientist", "development"): {"pseudonym", "score", "reasons", "history"},
    ("officer", "wellness"): "refused",
    ("officer", "development"): "refused",
    ("auditor", "wellness"): "refused",
    ("auditor", "development"): "refused",
    ("admin", "wellness"): "refused",
    ("admin", "development"): "refused",
}
"""What a role sees of a person in the answers of the API; None: the list is not there; refused: by permission."""
HEALTH = "sick_days"
"""A health measure planted among the reasons of both risks."""


@pytest.fixture(scope="module")
def home(made_home, given, tmp_path_factory):
    """The served force with an assessment, and a health measure planted among the reasons of everybody."""
    own = tmp_path_factory.mktemp("roles") / "home"
    shutil.copytree(made_home, own)
    engine = open_database(own)
    store_assessment(assess(given, int(month_of_day(given.last_recorded))), engine)
    with transaction(engine) as session:
        for batch in session.scalars(select(Batch)):
            first = next(group for group in batch.groups if group != HEALTH)
            batch.groups = [HEALTH if group == first else group for group in batch.groups if group != HEALTH] + (
                [first] if HEALTH in batch.groups else []
            )
            planted_months = [31.0] * len(batch.months)  # of every post: it tells of none
            batch.medians = {post: {**each, HEALTH: planted_months} for post, each in batch.medians.items()}
            for reasons in session.scalars(select(Reasons).where(Reasons.batch_id == batch.id)):
                planted = {
                    "measure": HEALTH,
                    "sentence_zh": "病休 31 天",
                    "sentence_en": "31 sick days",
                    "stable": True,
                }
                reasons.strongest = [{**reasons.strongest[0], **planted}, *reasons.strongest[1:]]
                reasons.history = {**reasons.history, HEALTH: planted_months}
    yield own, engine
    engine.dispose()


@pytest.fixture(scope="module")
def served(home):
    own, engine = home
    return create_app(own, engine), engine


@pytest.fixture(scope="module")
def clients(served):
    app, engine = served
    return {role: signed_in_client(app, engine, role) for role in ROLES}


@pytest.fixture(scope="module")
def somebody(served):
    """The number of an officer in the commander's unit, and of one outside."""
    _, engine = served
    with transaction(engine, writes=False) as session:
        officer, unit = an_officer(session)
        batch = batch_of(session, WHOLE, "efficiency_decline")
        outside = select(Score.officer_id).where(Score.batch_id == batch.id, Score.unit != unit)
        other = session.scalar(outside.order_by(Score.officer_id).limit(1))
        return {"inside": officer, "unit": unit, "outside": other}


def _needed(app):
    table = {}
    for context in iter_route_contexts(app.routes):
        needed = [each.call.permission for each in context.dependant.dependencies if isinstance(each.call, Needs)]
        for method in context.original_route.methods:
            table[f"{method} {context.path}"] = needed
    return table


def test_every_route_needs_exactly_the_permission_of_this_table(served):
    found = _needed(served[0])
    assert found == {route: [permission] for route, permission in ROUTES.items()}


def test_every_role_may_exactly_what_stands_here():
    assert {role.value: set(PERMISSIONS_OF[role]) for role in Role} == MAY


def _address(route):
    path = route.split(" ", 1)[1].replace("{form}", "csv").replace("{name}", "style.css")
    return re.sub(
        r"{\w+_id}|{number}", "1", re.sub(r"{\w+(:path)?}", "burnout", path.replace("{officer_id}", "P000001"))
    )


@pytest.mark.parametrize("role", ROLES)
def test_forced_browsing_meets_a_refusal_on_every_route_that_a_role_may_not_use(clients, role, served):
    before = _refusals(served[1])
    wrong, asked = [], 0
    for route, permission in ROUTES.items():
        if permission not in MAY[role]:
            asked += 1
            answer = clients[role].request(route.split()[0], _address(route))
            problem = answer.headers["content-type"] == "application/problem+json"
            if (answer.status_code, problem) != (403, True):
                wrong.append((route, answer.status_code))
    assert wrong == []
    assert _refusals(served[1]) == before + asked


def test_whoever_is_not_signed_in_gets_nothing_but_the_open_pages(served):
    nobody = TestClient(served[0], base_url="http://localhost", follow_redirects=False, client=HERE)
    wrong = []
    for route, permission in ROUTES.items():
        status = nobody.request(route.split()[0], _address(route)).status_code
        if permission is not P.OPEN and status != 401:
            wrong.append((route, status))
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_no_page_that_a_role_may_open_fails(clients, role):
    failed = []
    for route, permission in ROUTES.items():
        if route.startswith("GET ") and permission in MAY[role]:
            for accept in ("text/html", "application/json"):
                status = clients[role].get(_address(route), headers={"accept": accept}).status_code
                if status >= 500 and (route, status) not in (("GET /readyz", 503),):
                    failed.append((route, status))
    assert failed == []


def _refusals(engine):
    with transaction(engine, writes=False) as session:
        return len(session.scalars(select(AuditRow.number).where(AuditRow.action == "refused")).all())


def _seen(client, purpose, somebody):
    """What of a person the list and the person's own answer show."""
    answer = client.get(f"/api/v1/risk-lists/{RISKS[purpose]}?limit=1000")
    if answer.status_code != 200:
        return "refused" if answer.status_code == 403 else None
    entries = answer.json()["entries"]
    entry = next((each for each in entries if each["officer_id"] == somebody["inside"]), entries[0])
    own = client.get(f"/api/v1/officers/{entry['officer_id']}").json()
    offers = client.get(f"/api/v1/officers/{entry['officer_id']}/recommendations")
    risk = next(each for each in own["risks"] if each["risk"] == RISKS[purpose])
    measures = {reason["measure"] for reason in [*entry["reasons"], *risk["reasons"]]} | set(risk["contributions"])
    shown = {
        "number": entry["officer_id"] == somebody["inside"] == own["officer_id"],
        "pseudonym": entry["officer_id"].startswith("P-") and own["officer_id"].startswith("P-"),
        "place": bool(entry["unit"] and entry["post"] and own["unit"] and own["post"] and own["tenure_months"]),
        "score": entry["probability"] > 0 and risk["rank"] is not None,
        "reasons": bool(entry["reasons"] and risk["reasons"]),
        "history": len(risk["trend"]) == 2,
        "health": HEALTH in measures,
        "offers": offers.status_code == 200,
    }
    return {name for name, told in shown.items() if told}


@pytest.mark.parametrize(("role", "purpose"), SEES)
def test_a_role_sees_of_a_person_exactly_the_fields_of_this_table(clients, somebody, role, purpose):
    assert _seen(clients[role], purpose, somebody) == SEES[role, purpose]


def test_what_may_not_be_known_is_answered_like_what_does_not_exist(clients, somebody):
    def told(role, path):
        answer = clients[role].get(path)
        return answer.status_code, {key: value for key, value in answer.json().items() if key != "reference"}

    for role in ("hr", "commander"):
        assert told(role, "/api/v1/risk-lists/burnout") == told(role, "/api/v1/risk-lists/unheard")
    for path in ("/api/v1/officers/{}", "/api/v1/officers/{}/recommendations", "/api/v1/officers/{}/report"):
        hidden = told("commander", path.format(somebody["outside"]))
        assert hidden == told("commander", path.format("nobody"))
        assert hidden[0] == 404
    number = told("data_scientist", f"/api/v1/officers/{somebody['inside']}")
    assert number == told("data_scientist", "/api/v1/officers/nobody")


def test_a_commander_sees_nobody_of_another_unit_on_any_list(clients, somebody):
    body = clients["commander"].get("/api/v1/risk-lists/efficiency_decline?limit=1000").json()
    people = [*body["entries"], *body["unranked"]]
    assert {person["unit"] for person in people} == {somebody["unit"]}
    assert body["total"] == len(body["entries"])
    page = clients["commander"].get("/lists/efficiency_decline").text
    assert somebody["outside"] not in page
    assert set(re.findall(r'href="/units/efficiency_decline/([^?"]+)', page)) <= {quote(somebody["unit"], safe="")}


def test_filters_tell_nothing_of_what_is_hidden(clients, somebody, served):
    with transaction(served[1], writes=False) as session:
        other = session.scalar(select(Score.unit).where(Score.unit != somebody["unit"]).limit(1))
    url = "/api/v1/risk-lists/efficiency_decline"
    there, nowhere = (clients["commander"].get(url, params={"unit": unit}).json() for unit in (other, "nowhere"))
    assert (there["entries"], there["unranked"], there["total"]) == (nowhere["entries"], nowhere["unranked"], 0)
    for name, value in (("unit", other), ("post", "patrol"), ("status", "acted"), ("status", "open")):
        assert clients["data_scientist"].get(url, params={name: value}).status_code == 403, name
    assert clients["commander"].get(url, params={"status": "acted"}).status_code == 403
    assert clients["commander"].get(f"/units/efficiency_decline/{quote(other, safe='')}").status_code == 404
    assert clients["commander"].get("/api/v1/cockpit", params={"unit": other}).status_code == 404


@pytest.mark.parametrize("form", ["csv", "json"])
def test_exports_hold_no_more_than_the_page(clients, somebody, form):
    assert clients["hr"].get(f"/lists/burnout/export.{form}").status_code in (404, 422)
    for role in ("commander", "data_scientist"):
        answer = clients[role].get(f"/lists/efficiency_decline/export.{form}")
        if answer.status_code == 200:
            assert somebody["outside"] not in answer.text
            assert "病休" not in answer.text
            assert HEALTH not in answer.text
    own = clients["data_scientist"].get("/lists/efficiency_decline/export.csv")
    if own.status_code == 200:
        assert somebody["unit"] not in own.text
        assert list(csv.reader(io.StringIO(own.text)))


def test_error_texts_say_nothing_of_what_was_asked(clients, somebody):
    for role in ROLES:
        for path in (f"/api/v1/officers/{somebody['outside']}", f"/officers/{somebody['outside']}/cockpit"):
            answer = clients[role].get(path)
            if answer.status_code != 200:
                assert somebody["outside"] not in answer.text
                assert somebody["unit"] not in answer.text


def test_who_asked_for_somebody_out_of_reach_is_written_without_the_number(clients, somebody, served):
    clients["commander"].get(f"/api/v1/officers/{somebody['outside']}")
    with transaction(served[1], writes=False) as session:
        last = session.scalar(select(AuditRow).where(AuditRow.action == "refused").order_by(AuditRow.number.desc()))
        assert (last.actor, last.subject) == ("the commander", "/api/v1/officers/{officer_id}")
        assert somebody["outside"] not in str(last.details)


def test_who_looked_at_a_person_is_written(clients, somebody, served):
    clients["hr"].get(f"/api/v1/officers/{somebody['outside']}")
    with transaction(served[1], writes=False) as session:
        last = session.scalar(select(AuditRow).where(AuditRow.action == "looked").order_by(AuditRow.number.desc()))
        assert (last.actor, last.subject) == ("the hr", somebody["outside"])


def test_a_tokens_permissions_are_a_part_of_its_accounts(clients, served):
    """A commander's token of one permission opens that route and no other one."""
    app, engine = served
    from_page = clients["admin"].get("/accounts").text
    account = re.search(r"the commander</b>.*?/accounts/(\d+)/tokens", from_page, re.S)[1]
    form = {"label": "x", "days": "1", "permission": ["see_person"]}
    page = clients["admin"].post(f"/accounts/{account}/tokens", data=form).text
    token = re.search(r'class="secret">([^<]+)<', page)[1]
    program = TestClient(app, base_url="http://localhost", client=HERE, headers={"authorization": f"Bearer {token}"})
    assert program.get("/api/v1/risk-lists/efficiency_decline").status_code == 403
    assert program.get("/api/v1/officers/nobody").status_code == 404
    with transaction(engine, writes=False) as session:
        assert session.scalar(select(AuditRow).where(AuditRow.action == "token made")) is not None
