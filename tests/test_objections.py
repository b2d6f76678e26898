"""Objections and help: a clock, somebody else decides, both scores side by side, the answer kept; on both databases."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from features.histories.store import load_histories
from features.months import month_text
from serving.access.accounts import NewAccount, account_named, add_account
from serving.access.audit import SYSTEM, Actor, faults
from serving.access.roles import Role
from serving.access.sight import WHOLE, Sight
from serving.access.tables import AuditRow
from serving.answers.problems import Kind, Problem
from serving.app import create_app
from serving.cli import main
from serving.database import open_database, transaction
from serving.decisions.consents import withdraw
from serving.decisions.flags import flag_of, raise_flags
from serving.decisions.held import held_of
from serving.decisions.help import Wanted, answer_help, ask_for_help, asked, waiting
from serving.decisions.objections import (
    Against,
    Contested,
    Decided,
    Outcome,
    contest,
    counts,
    decide_objection,
    keep_rerun,
    objections_seen,
    to_correct,
)  # fmt: skip
from serving.decisions.reruns import in_force, rerun
from serving.decisions.rescored import rescore_upheld, rescore_withdrawn
from serving.decisions.reviews import Decision, Verdict, decide
from serving.decisions.tables import Flag, Objection, Rescored
from serving.decisions.unlogged import unlogged
from serving.months.replay import past_list
from serving.months.rerun import as_of_now, without_records
from serving.persons.seen import health_groups
from serving.scored.queries import batch_of, person_risks
from serving.tables import Batch, Score
from tests.serving_fixtures import last_month, signed_in_client
from tests.test_reviews import JUNE, listed

WANG, CHEN, LI = Actor("wang", "officer"), Actor("chen", "wellness"), Actor("li", "wellness")
WELLNESS, HR = Sight(Role.WELLNESS), Sight(Role.HR)
MADE = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
MINE = {"officer_id": "a", "against": Against.SCORE, "told": "那几天我在休假", "risk": "burnout"}


def made(store, *, now=MADE, **changed):
    with transaction(store) as session:
        return contest(session, WANG, Contested(**{**MINE, **changed}), days=15, now=now).id


def decided(store, number, actor=LI, *, version=0, outcome=Outcome.REJECTED, sight=WELLNESS, now=None):
    with transaction(store) as session:
        given = Decided(number, version, outcome, "经核实，记录无误")
        return decide_objection(session, actor, given, sight, now=now)


def reviewed(store, actor, officer="a"):
    with transaction(store) as session:
        flag = flag_of(session, "burnout", officer)
        decide(session, actor, Verdict(flag.id, flag.version, Decision.WATCH, flag.raised_on))


def refused(kind):
    return pytest.raises(Problem, check=lambda problem: problem.kind is kind)


def test_an_objection_has_a_clock_of_the_policys_days_and_one_audit_row(store):
    listed(store, JUNE, people="ab")
    number = made(store)
    with transaction(store) as session:
        row = objections_seen(session, WELLNESS)[0]
        assert (row.id, row.status, row.purpose) == (number, "open", "wellness")
        assert row.due_on == dt.date(2026, 1, 20)
        audit = session.scalars(select(AuditRow).where(AuditRow.subject == f"objection {number}")).all()
        assert [(each.action, each.details["due"]) for each in audit] == [("objection made", "2026-01-20")]


def test_the_first_reviewer_of_the_flag_may_not_decide_and_another_may(store):
    listed(store, JUNE, people="ab")
    reviewed(store, CHEN)
    reviewed(store, LI)  # the second reviewer is not the first
    number = made(store)
    with refused(Kind.FORBIDDEN):
        decided(store, number, CHEN)
    assert decided(store, number, LI).decided_by == "li"
    with transaction(store) as session:
        told = session.scalars(select(AuditRow.action).where(AuditRow.subject == f"objection {number}")).all()
        assert told == ["objection made", "objection decided"]
        assert faults(session) == []


def test_a_contested_record_concerns_every_flag_of_the_person_and_nobody_elses(store):
    listed(store, JUNE, people="ab")
    reviewed(store, CHEN)
    reviewed(store, LI, "b")
    number = made(store, against=Against.RECORD, risk=None, records=("E1",), measure="night_shift")
    with refused(Kind.FORBIDDEN):
        decided(store, number, CHEN)
    assert decided(store, number, LI).decided_by == "li"


def test_nobody_decides_an_objection_of_their_own(store):
    listed(store, JUNE, people="ab")
    number = made(store)
    with refused(Kind.FORBIDDEN):
        decided(store, number, LI, sight=Sight(Role.WELLNESS, officer_id="a"))
    assert decided(store, number, LI, sight=Sight(Role.WELLNESS, officer_id="b")).decided_by == "li"


def test_the_account_that_sent_an_objection_does_not_decide_it_though_it_is_tied_to_no_officer(store):
    listed(store, JUNE, people="ab")
    number = made(store)
    with refused(Kind.FORBIDDEN):
        decided(store, number, Actor(WANG.name, "wellness"))
    assert decided(store, number, LI).decided_by == "li"


@pytest.mark.parametrize("first", ["reviewed", "sent"])
def test_nor_does_another_account_of_the_same_officer(store, first):
    listed(store, JUNE, people="ab")
    with transaction(store) as session:
        for name in ("chen", "chen the second"):
            add_account(session, SYSTEM, NewAccount(name, Role.WELLNESS, officer_id="c"))
    if first == "reviewed":
        reviewed(store, CHEN)
    with transaction(store) as session:
        by = CHEN if first == "sent" else WANG
        number = contest(session, by, Contested(**MINE), days=15, now=MADE).id
    with refused(Kind.FORBIDDEN):
        decided(store, number, Actor("chen the second", "wellness"), sight=Sight(Role.WELLNESS, officer_id="c"))
    assert decided(store, number, LI, sight=Sight(Role.WELLNESS, officer_id="d")).decided_by == "li"


def test_the_same_objection_sent_several_times_at_once_is_taken_once(store):
    listed(store, JUNE, people="ab")

    def once(_):
        try:
            made(store)
        except Problem:
            return 0
        return 1

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(once, range(5))) == 1


def test_hr_decides_where_only_scores_change_that_it_may_see(store):
    listed(store, JUNE, people="ab")
    number = made(store, against=Against.RECORD, risk=None, records=("E1",), measure="night_shift")
    score = {"probability": 0.4, "low": 0.3, "high": 0.5, "evidence": "sufficient"}
    with transaction(store) as session:
        keep_rerun(session, LI, number, before={"burnout": score}, without={"burnout": {**score, "made_with": 1}})
    decided(store, number, sight=HR)
    other = made(store, against=Against.RECORD, risk=None, records=("E2",), measure="night_shift")
    moved = {**score, "probability": 0.3}
    with transaction(store) as session:
        keep_rerun(session, LI, other, before={"burnout": score}, without={"burnout": {**moved, "made_with": 1}})
    with refused(Kind.FORBIDDEN):
        decided(store, other, sight=HR)
    assert decided(store, other).id == other


def test_the_second_of_two_deciders_is_told_and_the_answer_stays(store):
    listed(store, JUNE, people="ab")
    number = made(store)
    decided(store, number, LI, outcome=Outcome.PARTLY)
    with refused(Kind.DECIDED_MEANWHILE):
        decided(store, number, CHEN)
    with transaction(store) as session:
        row = objections_seen(session, WELLNESS)[0]
        assert (row.status, row.answer, row.decided_by) == ("partly", "经核实，记录无误", "li")


def test_hr_sees_no_objection_to_a_wellness_score_nor_to_a_health_record(store):
    listed(store, JUNE, people="ab")
    number = made(store)
    made(store, against=Against.RECORD, risk=None, records=("E1",), measure="sick_days", health=True)
    plain = made(store, against=Against.RECORD, risk=None, records=("E2",), measure="night_shift")
    with transaction(store) as session:
        assert [row.id for row in objections_seen(session, HR)] == [plain]
        assert len(objections_seen(session, WELLNESS)) == 3
        assert objections_seen(session, Sight(Role.OFFICER, officer_id="b")) == []
    with refused(Kind.NOT_FOUND):
        decided(store, number, sight=HR)


@pytest.mark.parametrize("changed", [
    {"told": "  "}, {"risk": None}, {"risk": "no_such_risk"}, {"officer_id": "nobody"},
    {"against": Against.RECORD}, {"against": Against.WARNING}, {"as_of": dt.date(2019, 1, 31)},
])  # fmt: skip
def test_an_objection_that_says_nothing_that_can_be_decided_is_refused(store, changed):
    listed(store, JUNE, people="ab")
    with refused(Kind.INVALID):
        made(store, **changed)
    with transaction(store) as session:
        assert objections_seen(session, WELLNESS) == []


def test_the_same_objection_is_not_taken_twice_while_it_is_open(store):
    listed(store, JUNE, people="ab")
    number = made(store)
    with refused(Kind.INVALID):
        made(store)
    decided(store, number)
    assert made(store) > number


def test_the_figures_of_d4_count_what_was_made_what_came_of_it_and_in_time(store):
    listed(store, JUNE, people="abcd")
    first, second, _ = (made(store, officer_id=who) for who in "abc")
    decided(store, first, outcome=Outcome.UPHELD, now=MADE + dt.timedelta(days=3))
    decided(store, second, now=MADE + dt.timedelta(days=20))
    with transaction(store) as session:
        found = counts(session, today=dt.date(2026, 3, 1))
        assert (found.made, found.upheld, found.rejected, found.open, found.overdue) == (3, 1, 1, 1, 1)
        assert (found.in_time, found.mean_days) == (1, 11.5)
        assert counts(session, since=dt.date(2026, 2, 1)).made == 0


def test_a_request_for_help_raises_a_flag_above_all_ranks_and_outlives_the_next_lists(store):
    listed(store, JUNE, people="ab")
    with transaction(store) as session:
        row = ask_for_help(session, WANG, "z", kind=Wanted.REST, told="很累")
        assert [flag.officer_id for flag in asked(session, "burnout")] == ["z"]
        assert [each.id for each in waiting(session)] == [row.id]
    for month in range(1, 5):
        listed(store, JUNE + month, people="b")
    with transaction(store) as session:
        assert [(flag.officer_id, flag.status) for flag in asked(session, "burnout")] == [("z", "open")]
        answer_help(session, CHEN, row.id, "下周起调休三天")
        assert asked(session, "burnout") == []
        assert waiting(session) == []
    with transaction(store) as session, refused(Kind.DECIDED_MEANWHILE):
        answer_help(session, LI, row.id, "另一个答复")
    with transaction(store) as session:
        assert session.scalars(select(AuditRow.action).where(AuditRow.subject == f"request {row.id}")).all() == [
            "help asked for", "help answered",
        ]  # fmt: skip


def test_a_dismissed_flag_opens_again_when_the_person_asks_for_help(store):
    listed(store, JUNE, people="ab")
    with transaction(store) as session:
        flag = flag_of(session, "burnout", "a")
        decide(session, CHEN, Verdict(flag.id, flag.version, Decision.DISMISS, flag.raised_on, reason="on leave"))
        seen = flag.version
        ask_for_help(session, WANG, "a", kind=Wanted.TALK)
    with transaction(store) as session:
        flag = session.get_one(Flag, flag.id)
        assert (flag.status, flag.asked, flag.version > seen) == ("open", True, True)


def test_help_can_be_asked_for_before_any_list_was_made(store):
    with transaction(store) as session:
        ask_for_help(session, WANG, "a", kind=Wanted.OTHER)
        assert len(waiting(session)) == 1


@pytest.fixture(scope="module")
def contested(made_home, engine):
    """A person of the served force with nights on record that weigh in the score, and the records' names."""
    given = load_histories(made_home)
    with transaction(engine, writes=False) as session:
        past = past_list(session, "burnout", last_month(given))
    for who in given.officers:
        rows = held_of(made_home, str(who)).of("night_shift")
        names = tuple(row.name for row in rows[:12])
        parts = ((), names, names[:6], names[6:]) if len(rows) > 20 else ()
        if len({without_records(made_home, past, str(who), each).probability for each in parts}) == 4:
            return str(who), names
    raise AssertionError("nobody works at night")


def test_the_score_without_no_record_is_the_score_of_the_list_to_the_bit(made_home, engine, contested):
    who, _ = contested
    with transaction(engine, writes=False) as session:
        month = last_month(load_histories(made_home))
        past = past_list(session, "burnout", month)
        risk = next(r for r in person_risks(session, WHOLE, who, batch_of(session, WHOLE, "burnout").as_of)
                    if r.batch.risk == "burnout")  # fmt: skip
    score = without_records(made_home, past, who, ())
    assert score.exact
    assert (score.probability, score.low, score.high, score.rank) == (
        risk.score.probability, risk.score.low, risk.score.high, risk.score.rank,
    )  # fmt: skip
    assert score.contributions == list(risk.reasons.contributions)


def test_the_rerun_takes_only_the_disputed_records_of_this_person_away(made_home, engine, contested):
    who, records = contested
    with transaction(engine, writes=False) as session:
        past = past_list(session, "burnout", last_month(load_histories(made_home)))
    nights = next(r for r in without_records(made_home, past, who, ()).strongest if r["measure"] == "night_shift")
    score = without_records(made_home, past, who, records)
    told = {reason["measure"]: reason for reason in score.strongest}
    if "night_shift" in told and nights["window"] == told["night_shift"]["window"]:
        assert told["night_shift"]["value"] < nights["value"]
    assert score.contributions != without_records(made_home, past, who, ()).contributions
    assert without_records(made_home, past, who, ("no-such-record",)).contributions == (
        without_records(made_home, past, who, ()).contributions
    )


def test_an_objection_goes_from_the_officer_to_the_decision_through_the_api(own_home, contested):
    who, records = contested
    engine = open_database(own_home)
    app = create_app(own_home, engine)
    officer = signed_in_client(app, engine, "officer", officer_id=who)
    with transaction(engine) as session:
        account_named(session, "the officer").officer_id = who
    wellness, hr = signed_in_client(app, engine, "wellness"), signed_in_client(app, engine, "hr")
    strange = officer.post("/api/v1/objections", json={"against": "record", "told": "不是我的", "event_ids": ["E-0"]})
    assert strange.status_code == 422
    told = {"against": "record", "told": "这些夜班由他人值守", "event_ids": list(records)}
    answer = officer.post("/api/v1/objections", json=told)
    assert answer.status_code == 201, answer.text
    number = answer.json()["id"]
    assert officer.post(f"/api/v1/objections/{number}/decision", json={}).status_code == 403
    seen = wellness.get(f"/api/v1/objections/{number}").json()
    assert set(seen["before"]) == set(seen["without"]) == {"burnout", "efficiency_decline"}
    assert seen["before"]["burnout"]["probability"] != seen["without"]["burnout"]["probability"]
    by_hr = hr.get(f"/api/v1/objections/{number}").json()
    assert set(by_hr["before"]) == {"efficiency_decline"}  # the firewall holds for the rerun too
    with transaction(engine, writes=False) as session:
        health = health_groups(session, batch_of(session, WHOLE, "efficiency_decline"))
    for told_to in (by_hr, seen):  # nobody but the officer sees health reasons of a risk of development
        for scores in (told_to["before"], told_to["without"]):
            assert not health & {reason["measure"] for reason in scores["efficiency_decline"]["strongest"]}
    verdict = {"version": seen["version"], "outcome": "upheld", "answer": "经核实，登记有误"}
    refused_ = hr.post(f"/api/v1/objections/{number}/decision", json=verdict)  # it moves a score of wellness
    assert (refused_.status_code, "may not see" in refused_.json()["detail"]) == (403, True)
    assert "无权查看" in hr.get(f"/objections/{number}?lang=zh").text
    assert "may not see" not in hr.get(f"/objections/{number}?lang=zh").text
    assert wellness.post(f"/api/v1/objections/{number}/decision", json={**verdict, "version": 7}).status_code == 409
    assert wellness.post(f"/api/v1/objections/{number}/decision", json=verdict).json()["status"] == "upheld"
    own = officer.get("/api/v1/objections/own").json()["objections"][0]
    assert (own["answer"], own["decided_by"]) == ("经核实，登记有误", "the wellness")
    with transaction(engine, writes=False) as session:
        assert {row.risk for row in session.scalars(select(Rescored))} == {"burnout", "efficiency_decline"}
        as_of = session.scalar(select(Batch.as_of).order_by(Batch.as_of.desc()).limit(1))
        shown = {risk.batch.risk: risk.score.probability for risk in person_risks(session, WHOLE, who, as_of)}
        assert shown["burnout"] == own["without"]["burnout"]["probability"]
        assert to_correct(session)[0][:2] == ("night_shift", list(records))
        rows = session.scalars(select(AuditRow.action).where(AuditRow.subject == f"objection {number}")).all()
        assert rows == ["objection made", "score rerun", "objection decided"]
        assert faults(session) == []
    engine.dispose()


def test_a_decision_whose_audit_row_fails_changes_nothing(store, monkeypatch):
    listed(store, JUNE, people="ab")
    number = made(store)
    with transaction(store) as session:
        raise_flags(session, session.scalars(select(Batch)).one(), expires_months=3)

    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("serving.decisions.objections.record", broken)
    with pytest.raises(RuntimeError):
        decided(store, number)
    with transaction(store) as session:
        assert objections_seen(session, WELLNESS)[0].status == "open"


def test_an_objection_sent_twice_with_one_key_is_made_once(own_home, contested):
    who, _ = contested
    engine = open_database(own_home)
    app = create_app(own_home, engine)
    officer = signed_in_client(app, engine, "officer", officer_id=who)
    with transaction(engine) as session:
        account_named(session, "the officer").officer_id = who
    told = {"against": "score", "risk": "burnout", "told": "当月在休假"}
    key = {"idempotency-key": "8e03978e-40d5-43dd"}
    first, again = (officer.post("/api/v1/objections", json=told, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(officer.get("/api/v1/objections/own").json()["objections"]) == 1
    for bad in (
        {**told, "told": "x\u0000xxxx"},
        {**told, "more": 1},
        {**told, "as_of": "2024-13"},
        {"against": "score"},
    ):
        assert officer.post("/api/v1/objections", json=bad).status_code == 422
    engine.dispose()


def upheld(engine, home, who, records, *, between=None):
    """A record objection computed when it was made, then (after what came between) decided."""
    with transaction(engine) as session:
        given = Contested(who, Against.RECORD, "这些记录不对", records=tuple(records))
        number = contest(session, WANG, given, days=15).id
    rerun(engine, home, number)
    if between:
        between()
        rerun(engine, home, number)
    with transaction(engine) as session:
        row = decide_objection(session, LI, Decided(number, 0, Outcome.UPHELD, "经核实，登记有误"), WELLNESS)
        in_force(session, row)


def as_shown(engine, who):
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, "burnout")
        past = past_list(session, "burnout", batch.as_of.year * 12 + batch.as_of.month - 1)
        risks = person_risks(session, WHOLE, who, batch.as_of)
        assert unlogged(session) == []
        return past, next(risk for risk in risks if risk.batch.risk == "burnout"), health_groups(session, batch)


def test_objections_upheld_one_after_the_other_leave_out_the_records_of_all_of_them(own_home, contested):
    who, records = contested
    engine = open_database(own_home)
    first, second = records[:6], records[6:]
    upheld(engine, own_home, who, first)
    upheld(engine, own_home, who, second)
    past, risk, _ = as_shown(engine, who)
    assert risk.score.probability == without_records(own_home, past, who, records).probability
    assert list(risk.reasons.contributions) != without_records(own_home, past, who, second).contributions
    engine.dispose()


@pytest.mark.parametrize("command", [["score", "--as-of"], ["month"]])
def test_a_list_scored_anew_leaves_out_what_was_upheld_before(own_home, contested, command):
    who, records = contested
    engine = open_database(own_home)
    upheld(engine, own_home, who, records)
    past, before, _ = as_shown(engine, who)
    first = before.batch.scored_at
    done = CliRunner().invoke(main, ["--home", str(own_home), *command, month_text(past.as_of)])
    assert done.exit_code == 0, done.output
    _, after, _ = as_shown(engine, who)
    assert after.batch.scored_at > first
    assert after.score.probability == before.score.probability
    assert after.score.probability == as_of_now(own_home, past, who, disputed=records).probability
    with transaction(engine, writes=False) as session:
        stored = session.get_one(Score, (after.batch.id, who))
        assert stored.probability != after.score.probability
        assert stored.rank == after.score.rank  # the draft is in the order of what stands
        assert faults(session) == []
    assert rescore_upheld(engine, own_home, [past.as_of]) == 0
    engine.dispose()


@pytest.mark.parametrize("later", ["objection", "withdrawal"])
def test_an_objection_and_a_withdrawal_hold_together_whichever_comes_later(own_home, contested, later):
    who, records = contested
    engine = open_database(own_home)

    def withdrawn():
        with transaction(engine) as session:
            withdraw(session, WANG, who, register=True, home=own_home, today=dt.date.today())
        assert rescore_withdrawn(engine, own_home) == 1  # the list that reads health data

    upheld(engine, own_home, who, records, between=withdrawn if later == "objection" else None)
    if later == "withdrawal":
        withdrawn()
    past, risk, health = as_shown(engine, who)
    assert not health & ({reason["measure"] for reason in risk.reasons.strongest} | set(risk.reasons.history))
    told, now = list(risk.reasons.contributions), as_of_now(own_home, past, who, disputed=records).contributions
    opened = [push for group, push in zip(risk.batch.groups, now, strict=True) if group not in health]
    assert told == opened
    assert len(told) < len(now)
    assert sum(told) + risk.reasons.withheld == pytest.approx(sum(now), abs=1e-12)
    assert risk.score.probability == as_of_now(own_home, past, who, disputed=records).probability
    engine.dispose()


def rerun_before_a_withdrawal(engine, home, contested):
    """Contest the records, compute the scores without them, then withdraw consent; the objection's number."""
    who, records = contested
    with transaction(engine) as session:
        given = Contested(who, Against.RECORD, "这些记录不对", records=records)
        number = contest(session, WANG, given, days=15).id
    rerun(engine, home, number)
    with transaction(engine) as session:
        withdraw(session, WANG, who, register=True, home=home, today=dt.date.today())
    return number


def test_only_the_records_lie_between_the_two_scores_also_after_a_withdrawal(own_home, contested):
    who, records = contested
    engine = open_database(own_home)
    number = rerun_before_a_withdrawal(engine, own_home, contested)
    rerun(engine, own_home, number)  # and nobody computed the standing scores meanwhile
    past, risk, _ = as_shown(engine, who)
    with transaction(engine, writes=False) as session:
        row = session.get_one(Objection, number)
        assert row.before["burnout"]["probability"] == as_of_now(own_home, past, who).probability
        assert row.without["burnout"]["probability"] == as_of_now(own_home, past, who, disputed=records).probability
    assert risk.score.probability == row.before["burnout"]["probability"]
    engine.dispose()


def test_a_score_computed_before_a_withdrawal_is_not_put_in_force_after_it(own_home, contested):
    engine = open_database(own_home)
    number = rerun_before_a_withdrawal(engine, own_home, contested)
    with refused(Kind.DECIDED_MEANWHILE), transaction(engine) as session:
        in_force(session, decide_objection(session, LI, Decided(number, 0, Outcome.UPHELD, "经核实属实"), WELLNESS))
    with transaction(engine, writes=False) as session:
        assert session.scalars(select(Rescored)).all() == []
    engine.dispose()
