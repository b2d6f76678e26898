"""My record: all that is held and predicted of oneself, who looked; objections, help and consent by plain forms."""

import datetime as dt
import re

import pytest
from sqlalchemy import select

from features.asknown import NEVER, lifetimes
from features.histories.store import load_histories, load_officer
from serving.access.accounts import account_named
from serving.access.audit import Actor
from serving.access.sight import WHOLE
from serving.app import create_app
from serving.database import open_database, transaction
from serving.decisions.consents import basis_of, withdraw
from serving.decisions.held import held_of
from serving.decisions.help import waiting
from serving.decisions.tables import Flag, Objection, Rescored
from serving.scored.queries import batch_of, entries
from serving.words import WORDS, percent, say
from tests.serving_fixtures import signed_in_client

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def person(made_home, engine):
    """Somebody of the burnout list, high up."""
    with transaction(engine, writes=False) as session:
        return entries(session, WHOLE, batch_of(session, WHOLE, "burnout"), limit=1)[0].score


def officer_client(app, engine, officer_id):
    """The officer's client, whose own record is this one's."""
    client = signed_in_client(app, engine, "officer", officer_id=officer_id)
    with transaction(engine) as session:
        account_named(session, "the officer").officer_id = officer_id
    return client


@pytest.fixture
def served(own_home, person):
    """A home of one's own, the officer's client, the wellness officer's, and the engine."""
    engine = open_database(own_home)
    app = create_app(own_home, engine)
    officer = officer_client(app, engine, person.officer_id)
    wellness = signed_in_client(app, engine, "wellness")
    yield own_home, engine, officer, wellness
    engine.dispose()


def test_what_is_held_is_what_the_store_holds_measure_by_measure(made_home, person):
    held = held_of(made_home, person.officer_id)
    own, _ = load_officer(made_home, person.officer_id)
    assert len(held.records) == len(own.events)
    counting = own.events.measure[lifetimes(own.events).died == NEVER]
    by_measure = {row.measure: row.records for row in held.by_measure()}
    assert by_measure == {own.profile.measure_keys[n]: int((counting == n).sum()) for n in sorted(set(counting))}
    last = held.months()[-1]
    nights = next(row for row in held.by_measure() if row.measure == "duty_hours")
    assert nights.months[-1] == pytest.approx(
        sum(r.value for r in held.of("duty_hours") if r.occurred_on.strftime("%Y-%m") == last)
    )


def test_the_page_shows_health_data_scores_reasons_and_every_measure_in_both_languages(served, person):
    home, _, officer, _ = served
    held = held_of(home, person.officer_id)
    for language in ("zh", "en"):
        page = officer.get(f"/my-record?lang={language}", headers=HTML).text
        assert WORDS["health_data"][language] in page
        assert percent(person.probability) in page
        for row in held.by_measure():
            assert held.profile.label(row.measure, language).replace("'", "&#39;") in page
        assert person.officer_id in page
        assert "[" not in re.sub(r"<[^>]+>", "", page)[:50]


def test_who_looked_stands_on_the_page_of_the_person_looked_at(served, person):
    _, _, officer, wellness = served
    before = officer.get("/my-record?lang=zh", headers=HTML).text.split('id="looked"')[1].split("</section>")[0]
    assert WORDS["mine_looked_none"]["zh"] in before or before.count("the wellness") == 1  # by a test before, maybe
    assert wellness.get(f"/officers/{person.officer_id}").status_code == 200
    wellness.get(f"/officers/{person.officer_id}")
    after = officer.get("/my-record", headers=HTML).text
    part = after.split('id="looked"')[1].split("</section>")[0]
    assert part.count("the wellness") == 1  # once an account and day


def test_an_officer_reads_no_other_record_whatever_is_asked_for(served, person):
    home, _, officer, _ = served
    other = next(str(who) for who in load_histories(home).officers if who != person.officer_id)
    for path in (f"/officers/{other}", f"/api/v1/officers/{other}", f"/officers/{person.officer_id}", "/lists/burnout",
                 "/objections", "/objections/1", "/arrivals", "/log", "/api/v1/objections"):  # fmt: skip
        assert officer.get(path).status_code == 403, path
    page = officer.get(f"/my-record?officer_id={other}", headers=HTML).text
    assert f"警号 {person.officer_id}" in page
    assert f"警号 {other}" not in page


def test_who_has_no_record_of_their_own_has_no_such_page(as_role):
    for role in ("wellness", "hr", "commander", "data_scientist", "auditor", "admin"):
        assert as_role(role).get("/my-record").status_code == 403


def test_a_form_contests_records_and_the_person_sees_both_scores_and_the_answer(served, person):
    _, engine, officer, wellness = served
    page = officer.get("/my-record/records?measure=night_shift", headers=HTML).text
    records = re.findall(r'name="record" value="([^"]+)"', page)[:5]
    assert len(records) == 5
    sent = officer.post("/my-record/objections", data={"against": "record", "told": "当天未值班", "record": records})
    assert (sent.status_code, sent.headers["location"]) == (303, "/my-record?done=objection#done")
    with transaction(engine, writes=False) as session:
        row = session.scalars(select(Objection)).one()
        assert row.event_ids == records
    todo = wellness.get("/objections?lang=zh", headers=HTML).text
    assert f"/objections/{row.id}" in todo
    assert WORDS["rerun_title"]["zh"] in wellness.get(f"/objections/{row.id}", headers=HTML).text
    form = {"version": "0", "outcome": "rejected", "answer": "考勤系统显示当天在岗"}
    assert wellness.post(f"/objections/{row.id}/decision", data=form).status_code == 303
    page = officer.get("/my-record?lang=zh", headers=HTML).text
    assert "考勤系统显示当天在岗" in page
    assert WORDS["rerun_title"]["zh"] in page
    with transaction(engine, writes=False) as session:
        assert session.scalars(select(Rescored)).all() == []


def test_a_form_without_its_secret_changes_nothing(served):
    _, engine, officer, _ = served
    for path, form in (("help", {"kind": "rest"}), ("consent", {"act": "withdraw"}),
                       ("objections", {"against": "score", "risk": "burnout", "told": "不同意这个评分"})):  # fmt: skip
        answer = officer.post(f"/my-record/{path}", data=form, headers={"x-csrf-token": "wrong"})
        assert answer.status_code == 403, path
    with transaction(engine, writes=False) as session:
        assert waiting(session) == []
        assert session.scalars(select(Objection)).all() == []


def test_help_that_was_asked_for_stands_before_the_list_and_the_answer_reaches_the_person(served, person):
    _, engine, officer, wellness = served
    assert officer.post("/my-record/help", data={"kind": "rest", "told": "想休息几天"}).status_code == 303
    listed = wellness.get("/lists/burnout?lang=zh", headers=HTML).text
    assert person.officer_id in listed.split('<table class="people')[0]
    page = wellness.get("/objections", headers=HTML).text
    assert "想休息几天" in page
    with transaction(engine, writes=False) as session:
        number = waiting(session)[0].id
        assert session.scalars(select(Flag.officer_id).where(Flag.asked)).all() == [person.officer_id]
    assert wellness.post(f"/objections/help/{number}", data={"answer": "下周一起休三天"}).status_code == 303
    assert "下周一起休三天" in officer.get("/my-record", headers=HTML).text


def test_the_list_and_the_page_of_a_measure_agree_on_how_many_records_count(served, person):
    home, _, officer, _ = served
    held = held_of(home, person.officer_id)
    measure, other = next(
        (key, sum(row.state != "counts" for row in held.of(key)))
        for key in held.profile.measures
        if any(row.state != "counts" for row in held.of(key)) and any(row.state == "counts" for row in held.of(key))
    )
    page = officer.get(f"/my-record/records?measure={measure}&lang=en", headers=HTML).text
    assert say("my_records_sub", "en", n=f"{len(held.of(measure)):,}") in page
    assert say("my_records_other", "en", n=other) in page
    row = next(each for each in held.by_measure() if each.measure == measure)
    assert row.records == len(held.of(measure)) - other


def test_one_who_asks_twice_is_one_person(served):
    _, _, officer, wellness = served
    for kind in ("rest", "talk"):
        assert officer.post("/my-record/help", data={"kind": kind, "told": "想休息几天"}).status_code == 303
    page = wellness.get("/objections?lang=zh", headers=HTML).text
    assert page.count("想休息几天") == 2
    assert say("requests_title", "zh", n=1) in page


def test_requests_for_help_are_for_wellness_officers_alone(served):
    _, engine, officer, wellness = served
    officer.post("/my-record/help", data={"kind": "talk", "told": "只想和人谈谈"})
    hr = signed_in_client(wellness.app, engine, "hr")
    assert "只想和人谈谈" not in hr.get("/objections", headers=HTML).text
    assert hr.post("/objections/help/1", data={"answer": "我来处理吧"}).status_code == 403
    for role in ("commander", "data_scientist", "auditor", "admin"):
        assert signed_in_client(wellness.app, engine, role).get("/objections").status_code == 403


def test_a_withdrawal_by_form_has_the_standing_scores_without_health_data_when_the_page_is_read_again(served, person):
    home, engine, officer, wellness = served
    assert officer.post("/my-record/consent", data={"act": "give"}).status_code == 422
    assert officer.post("/my-record/consent", data={"act": "withdraw"}).status_code == 303
    page = officer.get("/my-record?lang=zh", headers=HTML).text
    assert WORDS["anew_consent"]["zh"] in page
    assert WORDS["basis_computing"]["zh"] not in page
    shown = wellness.get(f"/api/v1/officers/{person.officer_id}").json()
    burnout = next(risk for risk in shown["risks"] if risk["risk"] == "burnout")
    assert burnout["probability"] != person.probability
    health = {key for key, measure in held_of(home, person.officer_id).profile.measures.items() if measure.sensitive}
    assert all(each["value"] is None for each in burnout["reasons"] if each["measure"] in health)
    assert officer.post("/my-record/consent", data={"act": "give"}).status_code == 303
    with transaction(engine, writes=False) as session:
        assert basis_of(session, person.officer_id, register=True).covered


def test_until_the_score_without_health_data_is_computed_the_page_says_that_it_waits(served, person):
    home, engine, officer, _ = served
    who = Actor("the officer", "officer")
    with transaction(engine) as session:
        withdraw(session, who, person.officer_id, register=True, home=home, today=dt.date.today())
    waits, computed = (officer.get("/my-record?lang=zh", headers=HTML).text for _ in range(2))
    assert WORDS["anew_waiting"]["zh"] in waits
    assert WORDS["anew_consent"]["zh"] not in waits
    assert WORDS["anew_consent"]["zh"] in computed
    assert WORDS["anew_waiting"]["zh"] not in computed


@pytest.mark.parametrize("path", ["/my-record/records?measure=no_such", "/my-record/risk.svg?risk=no_such"])
def test_what_is_not_there_is_not_found(as_role, path):
    assert as_role("officer").get(path).status_code == 404


def test_what_somebody_writes_is_never_markup(served):
    _, _, officer, wellness = served
    officer.post("/my-record/help", data={"kind": "other", "told": "<img src=x onerror=y>"})
    for client, path in ((officer, "/my-record"), (wellness, "/objections")):
        assert "<img src=x" not in client.get(path, headers=HTML).text
