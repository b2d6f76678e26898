"""A plan's life, on both databases: pins are kept, strikes never come back, nobody overtakes anybody unseen."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from sqlalchemy import select

from features.errors import Refusal
from features.profile import load_profile
from features.profile_checks import inconsistencies
from features.rest_rules import RestRules
from serving.access.audit import Actor, faults
from serving.access.sight import WHOLE
from serving.access.tables import AuditRow
from serving.answers.problems import Kind, Problem
from serving.database import transaction
from serving.rest.asking import Asked, PlanRequest, asked_again
from serving.rest.days import Blackout, Calendar, Days, next_monday
from serving.rest.kinds import kinds_of
from serving.rest.lifecycle import Change, Decision, decide, solve_again
from serving.rest.outcome import outcome
from serving.rest.reading import left_out, rests_of, staffing_of
from serving.rest.storing import new_plan
from serving.rest.tables import RestDecision, RestEntry, RestPlan
from serving.rest.wishes import Staff, Wishes

AS_OF = dt.date(2024, 6, 30)
LI, WANG = Actor("li", "wellness"), Actor("wang", "wellness")
PEOPLE = 20
LEAVE, CHECK_UP = "compensatory_leave", "health_checkup"


def asking(*, quota=4, due=(3, 7), places=None, blackouts=(), weeks=4):
    """Twenty people in two units: all gain by leave, the first most; two are due a check-up by right."""
    request = PlanRequest(
        AS_OF, quota=quota, weeks=weeks, blackouts=tuple(blackouts), places={LEAVE: PEOPLE, **(places or {})}
    )
    kinds = kinds_of(load_profile("gongan"), people=PEOPLE, weeks=weeks, places=request.places)
    number = [kind.key for kind in kinds]
    officers = np.array([f"P{row:02d}" for row in range(PEOPLE)])
    away = np.zeros((PEOPLE, weeks), dtype=bool)
    staff = Staff(officers, np.repeat(["U1", "U2"], PEOPLE // 2), np.full(PEOPLE, "patrol"), away, away.copy())
    count = PEOPLE + len(due)
    wishes = Wishes(
        officer=np.array([*range(PEOPLE), *due]),
        kind=np.array([number.index(LEAVE)] * PEOPLE + [number.index(CHECK_UP)] * len(due)),
        benefit=np.array([*np.linspace(0.1, 0.02, PEOPLE), *[np.nan] * len(due)]),
        low=np.full(count, np.nan), high=np.full(count, np.nan), basis=np.array(["assumed"] * count),
        due=np.array([""] * PEOPLE + ["calendar"] * len(due)), wait=np.full(count, 6.0),
    )  # fmt: skip
    posts = {"patrol": {"zh": "巡特警", "en": "Patrol"}}
    quota = request.quota or 0
    return request, Asked(request.calendar, kinds, quota, 1.0, staff, [], wishes, np.full(count, -1), False, posts)


def made(store, **changed):
    request, asked = asking(**changed)
    with transaction(store) as session:
        return new_plan(session, "li", request, outcome(asked)).id


def entries(store, plan_id, state="planned"):
    with transaction(store, writes=False) as session:
        plan = session.get(RestPlan, plan_id)
        return {(one.officer_id, one.kind): one for one in rests_of(session, WHOLE, plan) if one.state == state}


def version(store, plan_id):
    with transaction(store, writes=False) as session:
        return session.get(RestPlan, plan_id).version


def decided(store, plan_id, decision, officer=None, kind=None, week=None, actor=LI, seen=None):
    seen = version(store, plan_id) if seen is None else seen
    with transaction(store) as session:
        return decide(session, actor, Change(plan_id, seen, Decision(decision), officer, kind, week))


def solved(store, plan_id, **options):
    return solve_again(store, LI, plan_id, version(store, plan_id), **options)


def test_a_plan_serves_the_greatest_benefit_and_every_right(store):
    found = entries(store, made(store))
    assert {officer for officer, kind in found if kind == LEAVE} == {"P00", "P01", "P10", "P11"}
    assert {officer for officer, kind in found if kind == CHECK_UP} == {"P03", "P07"}
    leave = found["P00", LEAVE]
    assert leave.first_day.weekday() < 5
    assert (leave.last_day - leave.first_day).days == 2


def test_pins_are_kept_moves_are_followed_and_strikes_never_come_back(store):
    plan = made(store)
    decided(store, plan, "strike", "P00", LEAVE)
    decided(store, plan, "move", "P01", LEAVE, week=3)
    decided(store, plan, "pin", "P15", LEAVE, week=2)
    for _ in range(2):
        solved(store, plan)
        found = entries(store, plan)
        assert ("P00", LEAVE) not in found
        assert found["P01", LEAVE].week == 3
        assert found["P15", LEAVE].week == 2
        assert sum(kind == LEAVE for _, kind in found) == 4
    decided(store, plan, "release", "P00", LEAVE)
    solved(store, plan)
    assert ("P00", LEAVE) in entries(store, plan)


def test_whoever_stays_in_the_same_week_keeps_the_days(store):
    plan = made(store)
    before = {key: (one.week, one.first_day) for key, one in entries(store, plan).items()}
    decided(store, plan, "strike", "P02", LEAVE)
    solved(store, plan)
    after = {key: (one.week, one.first_day) for key, one in entries(store, plan).items()}
    same = [key for key in before if key in after and after[key][0] == before[key][0]]
    assert same
    assert all(after[key] == before[key] for key in same)


def test_the_second_of_two_who_change_a_plan_is_told_and_nothing_of_it_is_written(store):
    plan = made(store)
    seen = version(store, plan)
    decided(store, plan, "strike", "P00", LEAVE, seen=seen)
    with pytest.raises(Problem) as problem:
        decided(store, plan, "strike", "P01", LEAVE, actor=WANG, seen=seen)
    assert problem.value.kind is Kind.DECIDED_MEANWHILE
    assert "li: strike" in problem.value.detail
    with pytest.raises(Problem) as problem:
        solve_again(store, WANG, plan, seen)
    assert problem.value.kind is Kind.DECIDED_MEANWHILE
    solved(store, plan)
    assert ("P01", LEAVE) in entries(store, plan)


def test_a_change_between_reading_and_writing_of_a_solution_is_not_lost(store, monkeypatch):
    plan = made(store)

    def meanwhile(asked, limits=None):
        decided(store, plan, "strike", "P01", LEAVE, actor=WANG)
        return outcome(asked, limits)

    monkeypatch.setattr("serving.rest.lifecycle.outcome", meanwhile)
    with pytest.raises(Problem) as problem:
        solved(store, plan)
    assert problem.value.kind is Kind.DECIDED_MEANWHILE
    with transaction(store, writes=False) as session:
        assert session.get(RestPlan, plan).pending


def test_pins_that_clash_are_explained_and_the_plan_before_stays(store):
    plan = made(store)
    before = entries(store, plan)
    for officer in ("P10", "P11", "P12"):
        decided(store, plan, "pin", officer, LEAVE, week=0)
    found = solved(store, plan)
    assert found.solution is None
    assert len(found.conflict) == 3
    assert "U2" in found.conflict[-1]["zh"] or "U2" in found.conflict[-1]["en"]
    assert entries(store, plan) == before
    with pytest.raises(Problem) as problem:
        decided(store, plan, "confirm")
    assert problem.value.kind is Kind.INVALID


def test_rights_that_can_not_be_held_are_explained_and_can_be_postponed(store):
    plan = made(store, due=(0, 1, 2, 3, 10, 11, 12, 13), places={CHECK_UP: 5})
    with transaction(store, writes=False) as session:
        row = session.get(RestPlan, plan)
        assert row.solved is None
        assert "5" in row.conflict[-1]["en"]
        assert "5" in row.conflict[-1]["zh"]
        assert "6" in row.conflict[0]["en"]
    found = solved(store, plan, rights_first=True)
    assert len(found.postponed) == 3
    assert sum(kind == CHECK_UP for _, kind in entries(store, plan)) == 5
    held = {officer for officer, kind in entries(store, plan) if kind == CHECK_UP}
    assert len(solved(store, plan).why) == len(row.conflict)  # and it says still what stands against them
    assert {officer for officer, kind in entries(store, plan) if kind == CHECK_UP} == held
    gone = min(held)
    decided(store, plan, "strike", gone, CHECK_UP)
    again = solved(store, plan)
    now = {officer for officer, kind in entries(store, plan) if kind == CHECK_UP}
    assert held - {gone} < now
    assert len(now) == 5  # the place that was freed goes to one who waits
    assert len(again.postponed) == 2
    with transaction(store, writes=False) as session:
        waiting = [one.officer_id for one in left_out(session, WHOLE, session.get_one(RestPlan, plan)) if one.postponed]
        assert len(waiting) == 2
        assert not now & set(waiting)


def test_confirmed_entries_are_away_in_every_later_plan(store):
    plan = made(store)
    decided(store, plan, "confirm")
    held = entries(store, plan, "confirmed")
    assert len(held) == 6
    other = made(store)
    with transaction(store, writes=False) as session:
        _, again = asked_again(session, other)
        away = again.there.away
        for one in held.values():
            if one.kind == LEAVE:
                assert away[int(one.officer_id[1:]), one.week]


def test_a_plan_solved_before_another_was_confirmed_for_the_same_weeks_must_be_solved_again(store):
    one, other = made(store), made(store)
    with transaction(store) as session:
        row = session.get(RestPlan, other)
        row.solved = {**row.solved, "at": "2024-01-01T00:00:00+00:00"}
    decided(store, one, "confirm")
    with pytest.raises(Problem) as problem:
        decided(store, other, "confirm")
    assert "solve again" in problem.value.detail
    solved(store, other)
    decided(store, other, "confirm")


def test_of_two_plans_for_the_same_weeks_confirmed_at_once_one_stands(store):
    first, second = made(store), made(store)
    with ThreadPoolExecutor(1) as beside:
        with transaction(store) as session:
            decide(session, LI, Change(first, version(store, first), Decision.CONFIRM))
            later = beside.submit(decided, store, second, "confirm", actor=WANG, seen=1)
            with pytest.raises(TimeoutError):  # it waits for the first
                later.result(timeout=0.5)
        with pytest.raises(Problem) as problem:
            later.result()
    assert f"Plan {first}" in problem.value.detail
    assert entries(store, second, "confirmed") == {}


def test_a_plan_that_read_nothing_of_a_confirmed_one_is_solved_again_whatever_the_clock_says(store):
    """What was confirmed, and not yet written, while the other was read: told by number, not by time."""
    first = made(store)
    decided(store, first, "confirm")
    second = made(store)  # read later by the clock, without the entries of the first
    with pytest.raises(Problem) as problem:
        decided(store, second, "confirm")
    assert str(first) in problem.value.detail
    solved(store, second)
    decided(store, second, "confirm")


def test_what_was_taken_and_declined_is_kept_and_a_draft_knows_neither(store):
    plan = made(store)
    with pytest.raises(Problem):
        decided(store, plan, "taken", "P00", LEAVE)
    decided(store, plan, "confirm")
    decided(store, plan, "taken", "P00", LEAVE)
    decided(store, plan, "declined", "P01", LEAVE)
    assert set(entries(store, plan, "taken")) == {("P00", LEAVE)}
    assert set(entries(store, plan, "declined")) == {("P01", LEAVE)}
    with pytest.raises(Problem):
        decided(store, plan, "strike", "P02", LEAVE)
    decided(store, plan, "withdraw")
    assert set(entries(store, plan, "taken")) == {("P00", LEAVE)}
    assert entries(store, plan, "confirmed") == {}


def test_every_change_is_one_audit_row_and_one_decision(store):
    plan = made(store)
    decided(store, plan, "strike", "P00", LEAVE)
    solved(store, plan)
    decided(store, plan, "confirm")
    with transaction(store, writes=False) as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.number)).all()
        assert [row.action for row in rows] == ["rest plan decided", "rest plan solved", "rest plan decided"]
        assert {row.subject for row in rows} == {f"rest plan {plan}"}
        assert faults(session) == []
        decisions = session.scalars(select(RestDecision.decision).order_by(RestDecision.id)).all()
        assert decisions == ["strike", "solve", "confirm"]


def test_staffing_is_told_as_the_entries_leave_it(store):
    plan = made(store)
    with transaction(store, writes=False) as session:
        row = session.get(RestPlan, plan)
        told = {(one.unit, one.week): one for one in staffing_of(session, WHOLE, row)}
        off = session.execute(select(RestEntry.unit, RestEntry.week).where(RestEntry.takes == "duty")).all()
    for (unit, week), one in told.items():
        assert one.present == 10 - sum((unit, week) == tuple(place) for place in off)
        assert one.present >= one.needed == 9


def test_an_unknown_plan_wish_or_week_is_a_problem_in_words(store):
    plan = made(store)
    for attempt, kind in (
        (lambda: decided(store, 999, "confirm", seen=1), Kind.NOT_FOUND),
        (lambda: decided(store, plan, "strike", "nobody", LEAVE), Kind.NOT_FOUND),
        (lambda: decided(store, plan, "pin", "P00", LEAVE, week=40), Kind.INVALID),
        (lambda: decided(store, plan, "pin", "P19", LEAVE), Kind.NOT_FOUND),
    ):
        with pytest.raises(Problem) as problem:
            attempt()
        assert problem.value.kind is kind


KINDS = {kind.key: kind for kind in kinds_of(load_profile("gongan"), people=1000, weeks=8, places={})}


def test_places_are_the_profiles_for_these_people_and_weeks():
    assert KINDS[LEAVE].places == 74
    assert KINDS[CHECK_UP].places is None
    with pytest.raises(Refusal, match="no kinds of rest"):
        kinds_of(load_profile("gongan"), people=10, weeks=8, places={"holiday": 1})


def test_no_day_of_a_rest_is_closed():
    closed = (
        Blackout(dt.date(2024, 7, 3), dt.date(2024, 7, 3)),
        Blackout(dt.date(2024, 7, 8), dt.date(2024, 7, 14), "U1"),
    )
    calendar = Calendar(dt.date(2024, 7, 1), 8, closed)
    assert calendar.beginnings(KINDS[LEAVE], "U2", 0) == []
    assert calendar.beginnings(KINDS["recuperation"], "U2", 0) == []
    assert len(calendar.beginnings(KINDS[CHECK_UP], "U2", 0)) == 4
    assert not calendar.open(KINDS[LEAVE], "U1")[1]
    assert calendar.open(KINDS[LEAVE], "U2")[1]
    october = Calendar(dt.date(2024, 9, 30), 2)
    assert october.open(KINDS[LEAVE], "U1").tolist() == [False, True]
    assert not Calendar(dt.date(2025, 1, 6), 8).open(KINDS["recuperation"], "U1")[3:6].any()


def test_rests_of_a_unit_spread_over_the_days_of_their_week():
    days = Days(Calendar(dt.date(2024, 7, 1), 2))
    first = [days.of(KINDS[CHECK_UP], "U1", 0)[0] for _ in range(5)]
    assert sorted(day.weekday() for day in first) == [0, 1, 2, 3, 4]


def test_a_plan_begins_on_the_monday_after_the_as_of():
    assert next_monday(dt.date(2024, 6, 30)) == dt.date(2024, 7, 1)
    assert next_monday(dt.date(2024, 7, 1)) == dt.date(2024, 7, 8)


def test_a_request_that_can_not_be_is_refused():
    for wrong in ({"as_of": dt.date(2024, 6, 29)}, {"weeks": 0}, {"quota": -1}, {"places": {LEAVE: -2}}):
        with pytest.raises(Refusal):
            PlanRequest(**{"as_of": AS_OF, **wrong})
    with pytest.raises(Refusal):
        Blackout(dt.date(2024, 7, 2), dt.date(2024, 7, 1))
    assert replace(PlanRequest(AS_OF), weeks=4).calendar.last_day == dt.date(2024, 7, 28)


def test_rights_that_facts_stand_against_are_postponed_with_the_smallest_explanation(store):
    request, asked = asking(due=(3, 13))
    asked.staff.away[13] = True
    found = outcome(asked)
    assert found.solution is not None
    assert [int(asked.wishes.officer[wish]) for wish in found.postponed] == [13]
    assert [words["en"].split(":")[0] for words in found.why][-1] == "P13"
    assert len(found.why) == 2
    with transaction(store) as session:
        plan = new_plan(session, "li", request, found)
        assert plan.conflict is None
        assert plan.solved["postponed"] == 1
        assert [row.officer_id for row in left_out(session, WHOLE, plan)] == ["P13"]


def test_rules_of_rest_that_can_not_be_are_refused():
    for wrong in (
        {"unit_present": 1.5},
        {"unit_present": 0},
        {"blackouts": ["13-01"]},
        {"blackouts": ["may"]},
        {"takes": "x"},
    ):
        with pytest.raises(ValidationError):
            RestRules.model_validate(wrong)
    rules = RestRules(blackouts=("12-28/01-03", "05-01"))
    assert [rules.closed(*day) for day in ((12, 27), (12, 28), (1, 3), (1, 4), (5, 1))] == [
        False,
        True,
        True,
        False,
        True,
    ]
    profile = load_profile("gongan")
    rest, training = profile.actions["recuperation"], profile.actions["training_first"]
    long = rest.model_copy(update={"rest": RestRules(discreet=True)})
    alien = training.model_copy(update={"rest": RestRules(takes="nights")})
    told = inconsistencies(profile.model_copy(update={"actions": {"stay": long, "course": alien}}))
    assert len(told) == 2
    assert "stay.rest.discreet" in told[0]
    assert "course.rest" in told[1]
