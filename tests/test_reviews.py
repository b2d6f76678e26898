"""Flags and reviews: nothing is lost, nothing is decided twice, flags end, on both databases."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from features.months import month_end, parse_month
from serving.access.audit import Actor, faults
from serving.access.sight import WHOLE
from serving.access.tables import AuditRow
from serving.answers.problems import Kind, Problem
from serving.database import transaction
from serving.decisions.flags import flag_of, flags_of, raise_flags
from serving.decisions.reviews import Decision, Verdict, agreeing, decide, feedback_by_measure, give_feedback
from serving.decisions.seen import progress
from serving.decisions.tables import Flag, Review
from serving.scored.lists import ScoredList, ScoredPerson, store_list
from serving.tables import Batch

JUNE = parse_month("2024-06")
CHEN = Actor("chen", "wellness")


def listed(store, month, *, people, capacity=None, risk="burnout", purpose="wellness", actions=None):
    scored = [ScoredPerson(name, "patrol", "U1", 0.5, 0.4, 0.6, rank, [0.1], []) for rank, name in enumerate(people, 1)]
    made = ScoredList(
        risk=risk, as_of=month, model_version="1", capacity=capacity or len(people), horizon_months=6,
        purpose=purpose, recorded_until=month_end(month), profile_digest="0" * 64, base_value=-2.0,
        groups=["night"], labels={"risk": {"zh": "x", "en": "x"}, "posts": {}, "measures": {}}, people=scored,
        profile={"actions": actions} if actions else {},
    )  # fmt: skip
    with transaction(store) as session:
        return raise_flags(session, store_list(session, made), expires_months=3)


def flags(store):
    with transaction(store, writes=False) as session:
        return {flag.officer_id: flag for flag in session.scalars(select(Flag).order_by(Flag.id))}


def verdict(flag, decision=Decision.ACT, **changed):
    told = {"flag_id": flag.id, "version": flag.version, "decision": decision, "as_of": dt.date(2024, 6, 30)}
    return Verdict(**{**told, **changed})


def decided(store, given, actor=CHEN):
    with transaction(store) as session:
        return decide(session, actor, given)


def test_everyone_within_capacity_is_flagged_and_nobody_else(store):
    assert listed(store, JUNE, people="abcd", capacity=2).new == 2
    assert set(flags(store)) == {"a", "b"}


def test_the_same_list_raised_twice_changes_nothing(store):
    listed(store, JUNE, people="ab")
    again = listed(store, JUNE, people="ab")
    assert (again.new, again.renewed, again.expired) == (0, 0, 0)


def test_a_flag_is_renewed_by_a_later_list_and_expires_without_one(store):
    listed(store, JUNE, people="ab")
    listed(store, JUNE + 1, people="a")
    listed(store, JUNE + 3, people="c")
    found = flags(store)
    assert (found["a"].status, found["a"].renewed_on) == ("open", month_end(JUNE + 1))
    assert found["b"].status == "expired"
    listed(store, JUNE + 4, people="b")
    with transaction(store) as session:
        newest = flag_of(session, "burnout", "b")
        assert newest is not None
        assert (newest.status, newest.raised_on) == ("open", month_end(JUNE + 4))


RULES = {"talk": {"rest": {"discreet": True}}, "leave": {"rest": {"discreet": False}}}


def test_what_is_discreet_is_not_named_on_a_flag_that_others_read(store):
    listed(store, JUNE, people="a", purpose="development", actions=RULES)
    with pytest.raises(Problem) as problem:
        decided(store, verdict(flags(store)["a"], action="talk"))
    assert (problem.value.kind, problem.value.field) == (Kind.INVALID, "action")
    assert flags(store)["a"].status == "open"
    assert decided(store, verdict(flags(store)["a"], action="leave")).action == "leave"


def test_on_a_flag_of_wellness_it_is(store):
    listed(store, JUNE, people="a", purpose="wellness", actions=RULES)
    assert decided(store, verdict(flags(store)["a"], action="talk")).action == "talk"


def test_the_second_of_two_reviewers_is_told_and_nothing_is_lost(store):
    listed(store, JUNE, people="a")
    seen = flags(store)["a"]
    decided(store, verdict(seen))
    with pytest.raises(Problem) as problem:
        decided(store, verdict(seen, Decision.DISMISS, reason="on leave already"), Actor("li", "wellness"))
    assert problem.value.kind is Kind.DECIDED_MEANWHILE
    assert "chen" in problem.value.detail
    assert flags(store)["a"].status == "acted"
    again = flags(store)["a"]
    decided(store, verdict(again, Decision.DISMISS, reason="on leave already"), Actor("li", "wellness"))
    with transaction(store) as session:
        assert [(row.by, row.decision) for row in session.scalars(select(Review).order_by(Review.id))] == [
            ("chen", "act"), ("li", "dismiss"),
        ]  # fmt: skip


def test_a_dismissal_needs_a_reason_and_an_expired_flag_no_decision(store):
    listed(store, JUNE, people="a")
    with pytest.raises(Problem) as problem:
        decided(store, verdict(flags(store)["a"], Decision.DISMISS, reason="  "))
    assert problem.value.kind is Kind.INVALID
    listed(store, JUNE + 3, people="b")
    with pytest.raises(Problem) as problem:
        decided(store, verdict(flags(store)["a"]))
    assert problem.value.kind is Kind.DECIDED_MEANWHILE
    with pytest.raises(Problem) as problem:
        decided(store, Verdict(999, 0, Decision.ACT, dt.date(2024, 6, 30)))
    assert problem.value.kind is Kind.NOT_FOUND


def test_every_decision_writes_one_audit_row(store):
    listed(store, JUNE, people="ab")
    for flag in flags(store).values():
        decided(store, verdict(flag, Decision.WATCH))
    with transaction(store) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "flag decided")).all()
        assert len(rows) == 2
        assert faults(session) == []


def test_a_reviewer_who_agrees_with_everything_is_noticed(store):
    people = [f"p{number:03d}" for number in range(100)]
    listed(store, JUNE, people=people)
    everyone = flags(store)
    with transaction(store) as session:
        for flag in everyone.values():
            decide(session, CHEN, verdict(flag))
    with transaction(store) as session:
        assert [(one.by, one.reviews, one.dismissed) for one in agreeing(session)] == [("chen", 100, 0)]
        flag = session.scalars(select(Flag).limit(1)).one()
        decide(session, CHEN, verdict(flag, Decision.DISMISS, reason="wrong person"))
        assert agreeing(session) == []


def test_feedback_reaches_the_data_scientist_by_measure_without_the_person(store):
    told = {"risk": "burnout", "as_of": dt.date(2024, 6, 30), "officer_id": "a", "note": ""}
    with transaction(store) as session:
        give_feedback(session, CHEN, {**told, "measure": "night_shift", "verdict": "wrong"})
        give_feedback(session, CHEN, {**told, "measure": "overtime", "verdict": "right"})
        assert feedback_by_measure(session, "burnout") == [("night_shift", 0, 1, 0), ("overtime", 1, 0, 0)]


REVIEWER = """
import datetime as dt, sys
from pathlib import Path
from sqlalchemy import select
from serving.access.audit import Actor
from serving.database import open_database, transaction
from serving.decisions.seen import progress
from serving.decisions.reviews import Decision, Verdict, decide
from serving.decisions.tables import Flag
from serving.answers.problems import Problem

url, name = sys.argv[1:]
engine = open_database(Path("."), url)
with transaction(engine, writes=False) as session:
    seen = [(flag.id, flag.version) for flag in session.scalars(select(Flag).order_by(Flag.id))]
print("ready", flush=True)
sys.stdin.readline()
for number, version in seen:
    try:
        with transaction(engine) as session:
            decide(session, Actor(name, "wellness"), Verdict(number, version, Decision.ACT, dt.date(2024, 6, 30)))
        print("decided", number, flush=True)
    except Problem as problem:
        print(problem.kind.name, number, flush=True)
"""


CROWD = 4
"""Reviewers at once here; `make accept` sends ten."""


def test_reviewers_in_several_processes_lose_nothing_and_decide_nothing_twice(store, store_url):
    listed(store, JUNE, people=[f"p{number:03d}" for number in range(100)])
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", REVIEWER, store_url, f"r{number}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
        )
        for number in range(CROWD)
    ]  # fmt: skip
    for each in crowd:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    told = [each.communicate("go\n")[0].split("\n") for each in crowd]
    assert [each.returncode for each in crowd] == [0] * CROWD
    answers = [line.split() for lines in told for line in lines if line]
    assert sorted(int(number) for word, number in answers if word == "decided") == sorted(
        flag.id for flag in flags(store).values()
    )
    assert {word for word, _ in answers} == {"decided", "DECIDED_MEANWHILE"}
    assert len(answers) == 100 * CROWD
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(Review)) == 100
        assert (
            session.scalar(select(func.count()).select_from(AuditRow).where(AuditRow.action == "flag decided")) == 100
        )
        assert faults(session) == []


def test_a_draft_scored_anew_takes_back_what_only_it_had_raised_and_nobody_decided(store):
    listed(store, JUNE, people="abc")
    decided(store, verdict(flags(store)["b"], Decision.WATCH))
    listed(store, JUNE, people="ad")
    found = flags(store)
    assert {name: flag.status for name, flag in found.items()} == {
        "a": "open", "b": "watched", "c": "expired", "d": "open",
    }  # fmt: skip
    listed(store, JUNE, people="abc")
    assert {name: flag.status for name, flag in flags(store).items()} == {
        "a": "open", "b": "watched", "c": "open", "d": "expired",
    }  # fmt: skip


def test_an_earlier_month_scored_later_raises_and_ends_no_flag(store):
    listed(store, JUNE, people="ab")
    listed(store, JUNE + 5, people="c")
    before = {name: (flag.status, flag.renewed_on) for name, flag in flags(store).items()}
    assert listed(store, JUNE, people="ab").new == 0
    assert listed(store, JUNE + 1, people="xy").new == 0
    assert {name: (flag.status, flag.renewed_on) for name, flag in flags(store).items()} == before


def test_flags_of_a_past_list_are_those_that_lived_then(store):
    listed(store, JUNE, people="ab")
    listed(store, JUNE + 1, people="b")
    with transaction(store) as session:
        june = session.scalars(select(Batch).where(Batch.as_of == month_end(JUNE))).one()
        july = session.scalars(select(Batch).where(Batch.as_of == month_end(JUNE + 1))).one()
        assert set(flags_of(session, june, ["a", "b"])) == {"a", "b"}
        assert set(flags_of(session, july, ["a", "b"])) == {"b"}


def test_decided_is_counted_of_the_persons_whom_the_list_itself_names(store):
    listed(store, JUNE, people="abc", capacity=2)
    listed(store, JUNE + 1, people="cab", capacity=1)  # a and b are not on it
    listed(store, JUNE + 2, people="abc", capacity=2)
    decided(store, verdict(flags(store)["b"]))
    with transaction(store) as session:
        lists = session.scalars(select(Batch).order_by(Batch.as_of)).all()
        assert [progress(session, WHOLE, batch) for batch in lists] == [(1, 2), (0, 1), (1, 2)]
        ended = session.scalars(select(Flag).where(Flag.officer_id == "b")).one()
        ended.status = "expired"
        session.flush()
        assert progress(session, WHOLE, lists[0]) == (1, 2)  # what was decided stays decided
