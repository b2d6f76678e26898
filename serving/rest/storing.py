"""Puts a plan into SQL: when it is made, and when it is solved again."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from serving.rest.asking import Asked, PlanRequest, staff_as_json
from serving.rest.outcome import Outcome, Staffed, days_of, names, staffed
from serving.rest.tables import RestEntry, RestPlan, RestStaffing, RestWish

CHUNK = 2_000


def new_plan(session: Session, by: str, request: PlanRequest, found: Outcome) -> RestPlan:
    """Store a plan with its wishes, entries and staffing, and return it."""
    plan = begun_plan(session, by, request, found.asked, state="draft")
    keep_solved(session, plan, found)
    return plan


def begun_plan(session: Session, by: str, request: PlanRequest, asked: Asked, *, state: str) -> RestPlan:
    """Store what a plan is asked for and return it; wishes, entries and staffing come with ``keep_solved``."""
    plan = RestPlan(
        as_of=request.as_of,
        first_monday=asked.calendar.first_monday,
        weeks=asked.calendar.weeks,
        slack=asked.slack,
        blackouts=[{"first": str(one.first), "last": str(one.last), "unit": one.unit} for one in request.blackouts],
        state=state,
        version=1,
        pending=False,
        made_by=by,
        made_at=dt.datetime.now(dt.UTC),
        solved=None,
        conflict=None,
        **_of_the_force(asked),
    )
    session.add(plan)
    session.flush()
    return plan


def keep_solved(session: Session, plan: RestPlan, found: Outcome) -> None:
    """Store what came of a plan for the first time, with the force as it was when it was solved."""
    for name, value in _of_the_force(found.asked).items():
        setattr(plan, name, value)
    _in_chunks(session, RestWish, _wishes(plan.id, found))
    store_outcome(session, plan, found)


def _of_the_force(asked: Asked) -> dict[str, Any]:
    return {
        "quota": asked.quota,
        "places": {kind.key: kind.places for kind in asked.kinds if kind.places is not None},
        "kinds": [kind.as_json() for kind in asked.kinds],
        "posts": {key: dict(label) for key, label in asked.posts.items()},
        "staff": staff_as_json(asked.staff),
    }


def store_outcome(session: Session, plan: RestPlan, found: Outcome) -> None:
    """Store what came of a plan: where there is a conflict the entries before stay, and say so by ``pending``."""
    plan.conflict = found.conflict
    plan.pending = found.solution is None
    if found.solution is None:
        if plan.solved is None:
            _in_chunks(session, RestStaffing, _staffing(plan.id, staffed(found)))
        return
    plan.solved = found.figures
    session.execute(update(RestWish).where(RestWish.plan_id == plan.id).values(postponed=False))
    for officer, kind in names(found.asked, found.postponed.tolist()):
        wish = session.get_one(RestWish, (plan.id, officer, kind), populate_existing=True)
        wish.postponed = True
    fixed = _fixed(session, plan)
    session.execute(delete(RestEntry).where(RestEntry.plan_id == plan.id))
    session.execute(delete(RestStaffing).where(RestStaffing.plan_id == plan.id))
    _in_chunks(session, RestEntry, _entries(plan.id, found, fixed))
    _in_chunks(session, RestStaffing, _staffing(plan.id, staffed(found)))


def _fixed(session: Session, plan: RestPlan) -> dict[tuple[str, str, int], dt.date]:
    """The first days that the entries had before: who stays in the same week keeps the days."""
    columns = RestEntry.officer_id, RestEntry.kind, RestEntry.week, RestEntry.first_day
    return {
        (row[0], row[1], row[2]): row[3]
        for row in session.execute(select(*columns).where(RestEntry.plan_id == plan.id))
    }


def _wishes(plan_id: int, found: Outcome) -> Iterator[dict[str, Any]]:
    asked, wishes = found.asked, found.asked.wishes
    for one in found.kept.tolist():
        person = int(wishes.officer[one])
        yield {
            "plan_id": plan_id,
            "officer_id": str(asked.staff.officer_id[person]),
            "kind": asked.kinds[wishes.kind[one]].key,
            "unit": str(asked.staff.unit[person]),
            "post": str(asked.staff.post[person]),
            "benefit": _number(wishes.benefit[one]),
            "low": _number(wishes.low[one]),
            "high": _number(wishes.high[one]),
            "basis": str(wishes.basis[one]),
            "by_right": bool(wishes.due[one] != ""),
            "why": {"code": str(wishes.due[one])} if wishes.due[one] else {},
            "wait_months": _number(wishes.wait[one]),
            "pin": None,
            "struck": False,
            "postponed": False,
        }


def _entries(plan_id: int, found: Outcome, fixed: Mapping[tuple[str, str, int], dt.date]) -> Iterator[dict[str, Any]]:
    asked, wishes = found.asked, found.asked.wishes
    for wish, week, first, last in days_of(found, fixed):
        kind, person = asked.kinds[wishes.kind[wish]], int(wishes.officer[wish])
        yield {
            "plan_id": plan_id,
            "officer_id": str(asked.staff.officer_id[person]),
            "unit": str(asked.staff.unit[person]),
            "post": str(asked.staff.post[person]),
            "kind": kind.key,
            "measure": kind.measure,
            "takes": kind.rules.takes,
            "discreet": kind.rules.discreet,
            "by_right": bool(wishes.due[wish] != ""),
            "week": week,
            "first_day": first,
            "last_day": last,
            "pinned": bool(asked.pin[wish] >= 0),
            "state": "planned",
        }


def _staffing(plan_id: int, found: Staffed) -> Iterator[dict[str, Any]]:
    for unit, name in enumerate(found.units):
        for week in range(found.away.shape[1]):
            yield {
                "plan_id": plan_id,
                "unit": name,
                "week": week,
                "people": int(found.people[unit]),
                "away": int(found.away[unit, week]),
                "resting": int(found.resting[unit, week]),
                "discreet": int(found.discreet[unit, week]),
                "off_nights": int(found.off_nights[unit, week]),
                "needed": int(found.needed[unit, week]),
            }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _in_chunks(session: Session, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    kept = list(rows)
    for start in range(0, len(kept), CHUNK):
        session.execute(insert(table), kept[start : start + CHUNK])


def set_entries(session: Session, plan_id: int, *, state: str, before: str) -> int:
    """Move all entries of a plan from one state to another; return how many."""
    statement = update(RestEntry).where(RestEntry.plan_id == plan_id, RestEntry.state == before).values(state=state)
    return len(
        session.execute(statement.returning(RestEntry.id), execution_options={"synchronize_session": False}).all()
    )
