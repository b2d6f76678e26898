"""What people answer for themselves, and what others may know of it: mentorships, letters, tokens, the log, units."""

import datetime as dt
import json
import re
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from features.histories.store import load_roster
from serving.access import credentials
from serving.access.audit import SYSTEM, faults, record
from serving.access.roles import Permission, Role
from serving.access.sight import WHOLE, Sight
from serving.app import create_app
from serving.assessed.letters import letter_agreed
from serving.assessed.storing import consented
from serving.database import open_database, transaction
from serving.mentoring.candidates import commanding
from serving.mentoring.reading import pairs_seen
from serving.mentoring.tables import MentoringRound, Mentorship, SaidNo
from serving.offers.standing import help_standing
from serving.scored.queries import batch_of, entries
from serving.tables import Facts
from tests.serving_fixtures import HERE, signed_in_client

HTML = {"accept": "text/html"}
TODAY = dt.date(2024, 12, 31)


@pytest.fixture
def served(own_home):
    engine = open_database(own_home)
    app = create_app(own_home, engine)
    with transaction(engine, writes=False) as session:
        people = session.execute(
            select(Facts.officer_id, Facts.post, Facts.unit).order_by(Facts.as_of.desc(), Facts.officer_id).limit(120)
        ).all()
    yield SimpleNamespace(home=own_home, engine=engine, app=app, people=people)
    engine.dispose()


def pair_of(served, mentee, mentor, status="offered"):
    with transaction(served.engine) as session:
        made = MentoringRound(
            as_of=TODAY, risk="efficiency_decline", purpose="development", made_at=dt.datetime.now(dt.UTC), by="hr",
            mentees=1, mentors=1, pairs=1, kept=0, total_fit=0.5, labels={}, one_more=[],
        )  # fmt: skip
        session.add(made)
        session.flush()
        pair = Mentorship(
            round_id=made.id, risk=made.risk, purpose=made.purpose, as_of=TODAY,
            mentee_id=mentee.officer_id, mentee_post=mentee.post, mentee_unit=mentee.unit,
            mentor_id=mentor.officer_id, mentor_post=mentor.post, mentor_unit=mentor.unit, fit=0.5,
            parts=dict.fromkeys(("strengths", "same_post", "near", "tenure_gap", "shared_shifts"), 0.1),
            reason={"zh": "所需", "en": "what is needed"}, instead=[], status=status, version=0,
        )  # fmt: skip
        session.add(pair)
        session.flush()
        return pair.id


def apart(served):
    """Two persons of different units, neither above the other."""
    roster, one = load_roster(served.home), served.people[0]
    return one, next(
        row for row in served.people if row.unit != one.unit and not commanding(roster, one.officer_id, row.officer_id)
    )


def officer_of(served, person):
    return signed_in_client(served.app, served.engine, "officer", officer_id=person.officer_id)


def status_of(served, number):
    with transaction(served.engine, writes=False) as session:
        row = session.get_one(Mentorship, number)
        return row.status, row.version


def test_a_mentorship_is_accepted_when_both_said_yes_on_their_own_records(served):
    mentee, mentor = apart(served)
    number = pair_of(served, mentee, mentor)
    officer = officer_of(served, mentee)
    page = officer.get("/my-record?lang=en", headers=HTML).text
    assert mentor.officer_id in page
    assert "what is needed" in page
    answer = officer.post(f"/my-record/mentorships/{number}", data={"version": 0, "step": "agree"})
    assert answer.headers["location"].startswith("/my-record?done=pair_agreed")
    assert status_of(served, number) == ("offered", 1)
    again = officer.post(f"/my-record/mentorships/{number}", data={"version": 1, "step": "agree"}, headers=HTML)
    assert again.status_code == 422
    officer = officer_of(served, mentor)
    page = officer.get("/my-record?lang=en", headers=HTML).text
    assert "what is needed" not in page  # the mentee's reasons are the mentee's
    officer.post(f"/my-record/mentorships/{number}", data={"version": 1, "step": "agree"})
    assert status_of(served, number) == ("accepted", 2)


def test_who_says_no_is_not_asked_again_and_nobody_answers_for_others_or_before_the_offer(served):
    mentee, mentor = apart(served)
    proposed, number = pair_of(served, mentee, mentor, "proposed"), pair_of(served, mentee, mentor)
    stranger = officer_of(served, next(row for row in served.people if row not in (mentee, mentor)))
    sent = {"version": 0, "step": "refuse", "any_mentorship": "true"}
    assert stranger.post(f"/my-record/mentorships/{number}", data=sent).status_code == 404
    officer = officer_of(served, mentee)
    assert officer.post(f"/my-record/mentorships/{proposed}", data=sent).status_code == 404
    assert officer.post(f"/my-record/mentorships/{number}", data=sent).status_code == 303
    assert status_of(served, number)[0] == "refused"
    with transaction(served.engine, writes=False) as session:
        assert session.scalar(select(SaidNo.officer_id)) == mentee.officer_id


def test_a_superior_by_now_can_not_become_the_mentor(served):
    roster = load_roster(served.home)
    people = roster.people.dropna(subset=["supervisor_id"])
    below, above = people.iloc[0][["officer_id", "supervisor_id"]]
    assert commanding(roster, above, below)
    assert commanding(roster, below, above)
    known = {row.officer_id: row for row in served.people}
    some = served.people[0]
    as_row = [
        known.get(each, SimpleNamespace(officer_id=each, post=some.post, unit=some.unit)) for each in (below, above)
    ]
    number = pair_of(served, *as_row)
    hr = signed_in_client(served.app, served.engine, "hr")
    answer = hr.post(f"/api/v1/mentorships/{number}/decision", json={"version": 0, "step": "accept"})
    assert answer.status_code == 409
    assert "chain of command" in answer.json()["detail"]
    refused = hr.post(f"/api/v1/mentorships/{number}/decision", json={"version": 0, "step": "refuse"})
    assert refused.json()["status"] == "refused"


def test_a_commander_learns_neither_unit_nor_post_of_a_mentee_elsewhere(served):
    mentee, mentor = apart(served)
    pair_of(served, mentee, mentor)
    commander = signed_in_client(served.app, served.engine, "commander", units=(mentor.unit,))
    (told,) = commander.get("/api/v1/mentorships").json()["mentorships"]
    assert (told["mentee_unit"], told["mentee_post"]) == (None, None)
    assert mentee.unit not in json.dumps(told, ensure_ascii=False)
    sight = Sight(Role.COMMANDER, units=(mentor.unit,), salt="s")
    with transaction(served.engine, writes=False) as session:
        assert pairs_seen(session, sight, unit=mentee.unit) == []  # nor by trying
        assert len(pairs_seen(session, sight, unit=mentor.unit)) == 1


def test_an_officer_agrees_to_a_letter_and_withdraws_on_the_own_record(served):
    person = served.people[0]
    officer, today = officer_of(served, person), dt.datetime.now(dt.UTC).date()
    assert 'action="/my-record/letter"' in officer.get("/my-record", headers=HTML).text
    officer.post("/my-record/letter", data={"act": "agree"})
    assert consented(served.engine, today) == {person.officer_id}
    assert officer.post("/my-record/letter", data={"act": "agree"}).status_code == 422
    officer.post("/my-record/letter", data={"act": "withdraw"})
    assert consented(served.engine, today) == set()
    with transaction(served.engine, writes=False) as session:
        assert letter_agreed(session, person.officer_id) is None


def test_a_token_without_recommendations_meets_no_action_anywhere(served):
    signed_in_client(served.app, served.engine, "wellness")

    def program(*permissions):
        with transaction(served.engine) as session:
            token = credentials.add_token(session, SYSTEM, "the wellness", label="x", permissions=permissions)
        headers = {"authorization": f"Bearer {token}"}
        return TestClient(served.app, base_url="http://localhost", client=HERE, headers=headers)

    with transaction(served.engine, writes=False) as session:
        listed = entries(session, WHOLE, batch_of(session, WHOLE, "burnout"), limit=20)
        person = next(each.score.officer_id for each in listed if each.offers)
    whole = program(Permission.SEE_LISTS, Permission.SEE_PERSON, Permission.SEE_RECOMMENDATIONS)
    part = program(Permission.SEE_LISTS, Permission.SEE_PERSON)
    assert whole.get(f"/api/v1/officers/{person}").json()["actions"]
    assert part.get(f"/api/v1/officers/{person}").json()["actions"] == []
    rows = part.get("/api/v1/risk-lists/burnout").json()["entries"]
    assert not [row for row in rows if row["actions"]]
    label = next(offer.label["zh"] for each in listed if each.score.officer_id == person for offer in each.offers)
    assert label in whole.get(f"/officers/{person}", headers=HTML).text.split('id="offers"')[1]
    told = part.get(f"/officers/{person}", headers=HTML).text.split("<aside")[1].split("</aside>")[0]
    assert 'id="offers"' not in told
    assert label not in told


def test_the_auditor_reads_no_detail_that_tells_of_health_and_the_chain_is_whole(served):
    auditor = signed_in_client(served.app, served.engine, "auditor")
    with transaction(served.engine) as session:
        record(session, SYSTEM, "help asked for", "request 7", kind="zz-talk", flag=1)
        record(session, SYSTEM, "rest plan decided", "rest plan 1", officer_id="P1", kind="zz-recuperation", week=2)
    rows = auditor.get("/api/v1/audit?limit=2").json()["rows"]
    assert [row["withheld"] for row in rows] == [["kind"], ["flag", "kind"]]
    assert "zz-" not in json.dumps(rows)
    assert "zz-" not in auditor.get("/log", headers=HTML).text
    assert auditor.get("/api/v1/audit/verify").json()["whole"]
    with transaction(served.engine, writes=False) as session:
        assert faults(session) == []


def test_the_log_is_narrowed_by_days_under_either_name(served):
    auditor = signed_in_client(served.app, served.engine, "auditor")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    rows = lambda query: len(re.findall(r'<th scope="row" class="n">', auditor.get(f"/log?{query}", headers=HTML).text))  # noqa: E731
    assert rows(f"from={today}") == rows(f"since={today}") > 0
    assert rows("from=2999-01-01") == rows("to=2000-01-01") == 0
    assert auditor.get("/log?from=yesterday").status_code == 422


def test_what_came_of_help_is_told_to_who_may_know(served):
    mentee, mentor = apart(served)
    pair_of(served, mentee, mentor, "running")
    with transaction(served.engine, writes=False) as session:
        told = help_standing(session, Sight(Role.HR), mentee.officer_id)
        assert ("pair", "running") in {(row.kind, row.state) for row in told}
        assert help_standing(session, Sight(Role.DATA_SCIENTIST, salt="s"), mentee.officer_id) == []
        outside = Sight(Role.COMMANDER, units=(mentor.unit,))
        assert "pair" not in {row.kind for row in help_standing(session, outside, mentee.officer_id)}
    hr = signed_in_client(served.app, served.engine, "hr")
    assert "Mentoring (as mentee)" in hr.get(f"/officers/{mentee.officer_id}?lang=en", headers=HTML).text


def test_error_pages_lead_each_role_to_its_own_first_page(served):
    firsts = {"officer": "/my-record", "auditor": "/log", "admin": "/arrivals", "hr": "/lists"}
    for role, first in firsts.items():
        client = signed_in_client(served.app, served.engine, role)
        assert client.get("/nowhere", headers=HTML).text.count('class="button" href="/"') == 1  # which leads there
        assert client.get("/").headers["location"].split("?")[0] == first
        main = client.get("/log" if role == "admin" else "/accounts", headers=HTML).text.split("<main")[1]
        assert f'class="button" href="{first}"' in main
