"""The life of a rest plan: made, changed by persons, solved again, confirmed, followed to what was taken.

Solving takes seconds: it happens between a reading and a writing transaction, and who was overtaken meanwhile is told.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from features.histories.store import stored_profile
from serving.access.audit import Actor, record
from serving.access.repeated import ANEW, Asked
from serving.answers.problems import Kind, Problem
from serving.database import one_at_a_time, transaction
from serving.rest.asking import PlanRequest, asked, asked_again, calendar_of
from serving.rest.lots import with_lots
from serving.rest.outcome import Outcome, outcome
from serving.rest.storing import new_plan, set_entries, store_outcome
from serving.rest.tables import RestDecision, RestEntry, RestPlan, RestWish


class Decision(StrEnum):
    """What a person may decide on a plan: first on its wishes, then on the whole, at last on what came of it."""

    PIN = "pin"
    MOVE = "move"
    STRIKE = "strike"
    RELEASE = "release"
    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    TAKEN = "taken"
    DECLINED = "declined"


ON_WISHES = frozenset({Decision.PIN, Decision.MOVE, Decision.STRIKE, Decision.RELEASE})
ON_ENTRIES = frozenset({Decision.TAKEN, Decision.DECLINED})
NEEDED_STATE = {
    **dict.fromkeys(ON_WISHES, ("draft",)),
    **dict.fromkeys(ON_ENTRIES, ("confirmed",)),
    Decision.CONFIRM: ("draft",),
    Decision.WITHDRAW: ("draft", "confirmed"),
}


@dataclass(frozen=True)
class Change:
    """A decision as it is sent: on which plan, having seen which version; on whom, which kind, which week (from 0)."""

    plan_id: int
    version: int
    decision: Decision
    officer_id: str | None = None
    kind: str | None = None
    week: int | None = None
    reason: str = ""


def make_plan(
    engine: Engine, home: Path, actor: Actor, request: PlanRequest, *, once: Asked = ANEW
) -> tuple[int, Outcome]:
    """Make, solve and store a plan; return its number and what came of it (a plan, or a conflict in words).

    A Refusal says what is missing: histories, a list of the month, kinds of rest. What the same key made meanwhile
    comes back instead of a second plan.
    """
    everyone, width = asked(engine, home, request), stored_profile(home).settings.policy.randomised_band
    found = outcome(with_lots(engine, actor, request, asked=everyone, width=width))
    with transaction(engine) as session:

        def store() -> int:
            plan = new_plan(session, actor.name, request, found)
            decided_first(session, actor, plan)
            return plan.id

        return once.number(session, store), found


def decided_first(session: Session, actor: Actor, plan: RestPlan) -> None:
    """Write that a plan was made, and its audit row."""
    told = {
        "as_of": str(plan.as_of),
        "quota": plan.quota,
        "weeks": plan.weeks,
        "possible": plan.conflict is None,
    }
    _decided(session, actor, plan, Change(plan.id, 0, Decision.PIN), did="make")
    record(session, actor, "rest plan made", f"rest plan {plan.id}", **told)


def solve_again(
    engine: Engine, actor: Actor, plan_id: int, version: int, *, rights_first: bool = False, once: Asked = ANEW
) -> Outcome:
    """Solve a draft with what persons pinned and struck; return what came of it.

    ``rights_first``: rights that can't be held are postponed instead of making the plan impossible. Raises a Problem
    where the plan is no draft, or was changed since ``version``; then nothing is written.
    """
    with transaction(engine, writes=False) as session:
        if session.scalar(select(RestPlan.state).where(RestPlan.id == plan_id)) not in (None, "draft"):
            raise _missed(session, plan_id, ("draft",))
        plan, again = asked_again(session, plan_id, rights_first=rights_first)
        if plan.version != version:
            raise _missed(session, plan_id, ("draft",))
    found = outcome(again)
    with transaction(engine) as session:

        def store() -> int:
            plan = _raised(session, plan_id, version, ("draft",))
            store_outcome(session, plan, found)
            _decided(session, actor, plan, Change(plan_id, version, Decision.PIN), did="solve")
            told = {"version": plan.version, "possible": found.conflict is None, "postponed": len(found.postponed)}
            record(session, actor, "rest plan solved", f"rest plan {plan_id}", **told)
            return plan_id

        once.number(session, store)
    return found


def decide(session: Session, actor: Actor, change: Change) -> RestPlan:
    """Write a decision and its audit row, and return the plan.

    Raises a Problem: no such plan or wish, a state in which this can't be decided, or somebody changed the plan since
    the version that was seen; then nothing is written.
    """
    plan = _raised(session, change.plan_id, change.version, NEEDED_STATE[change.decision])
    if change.decision in ON_WISHES:
        _mark(session, plan, change)
    elif change.decision in ON_ENTRIES:
        entry = _entry(session, change, ("confirmed", "taken", "declined"))
        entry.state = change.decision.value
    elif change.decision is Decision.CONFIRM:
        _confirm(session, plan)
    else:
        plan.state = "withdrawn"
        set_entries(session, plan.id, state="withdrawn", before="confirmed")
    if change.decision in (Decision.CONFIRM, Decision.WITHDRAW):
        plan.decided_by, plan.decided_at = actor.name, dt.datetime.now(dt.UTC)
    _decided(session, actor, plan, change, did=change.decision.value)
    whom = {"officer_id": change.officer_id, "kind": change.kind, "week": change.week}
    told = {name: value for name, value in whom.items() if value is not None}
    did = {"decision": change.decision.value, "version": plan.version}
    record(session, actor, "rest plan decided", f"rest plan {plan.id}", **did, **told)
    return plan


def _raised(session: Session, plan_id: int, version: int, states: tuple[str, ...]) -> RestPlan:
    """The plan with its version raised by one, if it still is the version that was seen."""
    statement = (
        update(RestPlan)
        .where(RestPlan.id == plan_id, RestPlan.version == version, RestPlan.state.in_(states))
        .values(version=RestPlan.version + 1)
        .returning(RestPlan.id)
    )
    if session.scalar(statement, execution_options={"synchronize_session": False}) is None:
        raise _missed(session, plan_id, states)
    return session.get_one(RestPlan, plan_id, populate_existing=True)


def _missed(session: Session, plan_id: int, states: tuple[str, ...]) -> Problem:
    plan = session.get(RestPlan, plan_id, populate_existing=True)
    if plan is None:
        return Problem(Kind.NOT_FOUND, "There is no such plan. 没有这份计划。")
    if plan.state not in states:
        return Problem(
            Kind.DECIDED_MEANWHILE,
            f"The plan is {plan.state}; this can't be decided on it any more. 计划已不在可更改的状态，不能再作此决定。",
        )
    last = session.scalar(
        select(RestDecision).where(RestDecision.plan_id == plan_id).order_by(RestDecision.id.desc()).limit(1)
    )
    who = f"{last.by}: {last.decision}" if last else "?"
    return Problem(
        Kind.DECIDED_MEANWHILE,
        f"Somebody changed the plan since you opened it ({who}); look again, nothing of yours was written. "
        f"他人已先行更改计划（{who}），请重新查看；您的更改尚未写入。",
    )


def _mark(session: Session, plan: RestPlan, change: Change) -> None:
    """Keep on the wish what the person fixed; it counts when the plan is solved again."""
    wish = session.get(RestWish, (plan.id, change.officer_id, change.kind))
    if wish is None:
        raise Problem(Kind.NOT_FOUND, "This person and kind are not among the wishes. 待选名单中没有此人此项。")
    if change.decision is Decision.STRIKE:
        wish.struck, wish.pin = True, None
    elif change.decision is Decision.RELEASE:
        wish.struck, wish.pin, wish.postponed = False, None, False
    else:
        wish.struck, wish.postponed = False, False
        wish.pin = _week(session, plan, change)
    plan.pending = True


def _week(session: Session, plan: RestPlan, change: Change) -> int:
    """The week to fix: the one given, or for a pin the one that is planned."""
    week = change.week
    if week is None and change.decision is Decision.PIN:
        week = _entry(session, change, ("planned",)).week
    if week is None or not 0 <= week < plan.weeks:
        raise Problem(Kind.INVALID, f"Give a week from 0 to {plan.weeks - 1}. 请指定计划内的周次。")
    return week


def _entry(session: Session, change: Change, states: tuple[str, ...]) -> RestEntry:
    found = session.scalar(
        select(RestEntry).where(
            RestEntry.plan_id == change.plan_id,
            RestEntry.officer_id == change.officer_id,
            RestEntry.kind == change.kind,
            RestEntry.state.in_(states),
        )
    )
    if found is None:
        raise Problem(Kind.NOT_FOUND, "This person and kind are not in the plan. 计划中没有此人此项。")
    return found


def _confirm(session: Session, plan: RestPlan) -> None:
    """Confirm what was solved last; refused where something was changed since, here or in another confirmed plan."""
    if plan.pending or plan.solved is None:
        raise Problem(
            Kind.INVALID, "Solve the plan again first: it was changed, or nothing was possible. 请先重新求解。"
        )
    one_at_a_time(session, "rest plan confirmed")  # what others confirmed is read afterwards
    calendar, known = calendar_of(plan), set(plan.solved.get("beside", ()))
    others = session.scalars(select(RestPlan).where(RestPlan.state == "confirmed", RestPlan.id != plan.id))
    for other in others:
        together = calendar_of(other).last_day >= plan.first_monday and other.first_monday <= calendar.last_day
        if other.id not in known and together:
            raise Problem(
                Kind.INVALID,
                f"Plan {other.id} was confirmed for the same weeks meanwhile: solve again first. "
                f"同期的计划 {other.id} 已先行确认，请先重新求解。",
            )
    plan.state = "confirmed"
    set_entries(session, plan.id, state="confirmed", before="planned")


def _decided(session: Session, actor: Actor, plan: RestPlan, change: Change, *, did: str) -> None:
    session.add(
        RestDecision(
            plan_id=plan.id, version=plan.version, decision=did, officer_id=change.officer_id, kind=change.kind,
            week=change.week, reason=change.reason.strip(), by=actor.name, at=dt.datetime.now(dt.UTC),
        )
    )  # fmt: skip
    session.flush()
