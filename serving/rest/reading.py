"""What pages and API read of rest plans, by the caller's sight: who may not see health sees who rests when, not why.

For them every kind is read as ``rest`` and rests whose kind tells of health are not there at all: neither a name nor a
length nor a second row tells one. Benefit, right, wish and conflict are read for the wellness team only.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, null, select
from sqlalchemy.orm import Session

from serving.access.roles import Field, Role
from serving.access.sight import Sight
from serving.rest.tables import RestDecision, RestEntry, RestPlan, RestStaffing, RestWish

ANY = "rest"
"""What every kind is called for who may not see health."""
HELD = ("planned", "confirmed", "taken")
"""States of entries that others than the wellness team see: who declined is nobody else's business."""


@dataclass(frozen=True)
class Rest:
    """One rest as the caller may see it."""

    officer_id: str
    unit: str
    post: str
    kind: str
    """The key of the kind; ``rest`` for who may not see health."""
    week: int
    first_day: dt.date
    last_day: dt.date
    state: str
    pinned: bool
    by_right: bool | None
    why: str | None
    benefit: float | None
    low: float | None
    high: float | None
    basis: str | None


@dataclass(frozen=True)
class UnitWeek:
    """A unit in a week: how many there are, how many are present, how many must be."""

    unit: str
    week: int
    people: int
    present: int
    resting: int
    off_nights: int
    needed: int


def sees_health(sight: Sight) -> bool:
    """Return whether the caller may see why somebody rests."""
    return Field.HEALTH in sight.fields("wellness") and sight.role is not Role.OFFICER and not sight.pseudonymous


def plans(session: Session, sight: Sight) -> Sequence[RestPlan]:
    """Return the plans that the caller may see, the newest first: drafts are seen by those who make them only."""
    return session.scalars(select(RestPlan).where(_shown(sight)).order_by(RestPlan.id.desc())).all()


def plan_of(session: Session, sight: Sight, plan_id: int) -> RestPlan | None:
    """Return a plan, or None where there is none that the caller may see."""
    return session.scalar(select(RestPlan).where(RestPlan.id == plan_id, _shown(sight)))


def rests_of(session: Session, sight: Sight, plan: RestPlan) -> list[Rest]:
    """Return the rests of a plan within the caller's reach, by week, unit and officer.

    Who may not see health gets none that is discreet, and of the others who rests when.
    """
    full = sees_health(sight)
    kind = RestEntry.kind if full else literal(ANY)
    hidden: list[Any] = [null() for _ in range(6)]
    told = [RestEntry.by_right, RestWish.why, RestWish.benefit, RestWish.low, RestWish.high, RestWish.basis]
    statement: Select[Any] = select(
        RestEntry.officer_id, RestEntry.unit, RestEntry.post, kind, RestEntry.week, RestEntry.first_day,
        RestEntry.last_day, RestEntry.state, RestEntry.pinned if full else literal(False), *(told if full else hidden),
    ).where(RestEntry.plan_id == plan.id, sight.persons(officer=RestEntry.officer_id, unit=RestEntry.unit))  # fmt: skip
    if full:
        wished = and_(
            RestWish.plan_id == RestEntry.plan_id,
            RestWish.officer_id == RestEntry.officer_id,
            RestWish.kind == RestEntry.kind,
        )
        statement = statement.join(RestWish, wished)
    else:
        statement = statement.where(RestEntry.state.in_(HELD), RestEntry.discreet.is_(False))
    rows = session.execute(
        statement.order_by(RestEntry.week, RestEntry.unit, RestEntry.officer_id, RestEntry.first_day)
    )
    found = []
    for *before, why, gain, low, high, basis in rows:
        officer, unit, post, key, week, first, last, state, pinned, by_right = before
        found.append(
            Rest(
                officer_id=officer, unit=unit, post=post, kind=key, week=week, first_day=first, last_day=last,
                state=state, pinned=pinned, by_right=by_right, why=(why or {}).get("code"), benefit=gain, low=low,
                high=high, basis=basis,
            )
        )  # fmt: skip
    return found


def staffing_of(session: Session, sight: Sight, plan: RestPlan) -> list[UnitWeek]:
    """Return the units within the caller's reach, week by week.

    Who may not see health counts no rest whose kind is hidden: the difference would tell it.
    """
    hidden = literal(0) if sees_health(sight) else RestStaffing.discreet
    resting = RestStaffing.resting - hidden
    present = RestStaffing.people - RestStaffing.away - resting
    statement = select(
        RestStaffing.unit,
        RestStaffing.week,
        RestStaffing.people,
        present,
        resting,
        RestStaffing.off_nights,
        RestStaffing.needed,
    ).where(RestStaffing.plan_id == plan.id, sight.units_seen(RestStaffing.unit))
    return [UnitWeek(*row) for row in session.execute(statement.order_by(RestStaffing.unit, RestStaffing.week))]


def waiting_of(session: Session, sight: Sight, plan: RestPlan, *, limit: int) -> tuple[Sequence[RestWish], int]:
    """Return the first wishes by benefit of those who get nothing by benefit, and how many there are.

    Each person is told once, with the kind that promises most; for the wellness team only.
    """
    if not sees_health(sight):
        return [], 0
    served = select(RestEntry.officer_id).where(RestEntry.plan_id == plan.id, RestEntry.by_right.is_(False))
    best = (
        func.row_number()
        .over(partition_by=RestWish.officer_id, order_by=(RestWish.benefit.desc(), RestWish.kind))
        .label("place")
    )
    wishes = (
        select(RestWish.officer_id, RestWish.kind, best)
        .where(RestWish.plan_id == plan.id, RestWish.by_right.is_(False), RestWish.officer_id.not_in(served))
        .subquery()
    )
    first = select(RestWish).join(
        wishes,
        and_(RestWish.officer_id == wishes.c.officer_id, RestWish.kind == wishes.c.kind, wishes.c.place == 1),
    )
    mine = first.where(RestWish.plan_id == plan.id)
    count = session.scalar(select(func.count()).select_from(mine.subquery())) or 0
    return session.scalars(mine.order_by(RestWish.benefit.desc(), RestWish.officer_id).limit(limit)).all(), count


def left_out(session: Session, sight: Sight, plan: RestPlan) -> Sequence[RestWish]:
    """Return the wishes that a person struck out, and the rights that were postponed; for the wellness team only."""
    if not sees_health(sight):
        return []
    out = RestWish.struck.is_(True) | RestWish.postponed.is_(True)
    statement = select(RestWish).where(RestWish.plan_id == plan.id, out)
    return session.scalars(statement.order_by(RestWish.kind, RestWish.officer_id)).all()


def decisions_of(session: Session, sight: Sight, plan: RestPlan) -> Sequence[RestDecision]:
    """Return every change of a plan, the newest first; for the wellness team only."""
    if not sees_health(sight):
        return []
    return session.scalars(
        select(RestDecision).where(RestDecision.plan_id == plan.id).order_by(RestDecision.id.desc())
    ).all()


def kinds_seen(sight: Sight, plan: RestPlan) -> list[dict[str, Any]]:
    """Return the kinds of a plan as kept; none for who may not see health: by its length a kind would be known."""
    return plan.kinds if sees_health(sight) else []


def _shown(sight: Sight) -> ColumnElement[bool]:
    everything: ColumnElement[bool] = RestPlan.id > 0
    return everything if sees_health(sight) else RestPlan.state == "confirmed"


def wish_of(session: Session, sight: Sight, plan: RestPlan, officer_id: str, kind: str) -> RestWish | None:
    """Return one wish of a plan; for the wellness team only."""
    return session.get(RestWish, (plan.id, officer_id, kind)) if sees_health(sight) else None
