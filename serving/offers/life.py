"""The life of an offer: proposed, accepted or declined, done. The person may decline; nobody has to give a reason."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.access.roles import Role
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.mentoring.tables import Offer, OfferStep
from serving.offers.raising import BY_HAND
from serving.scored.lists import WELLNESS
from serving.scored.withheld import untold
from serving.words import same


class Step(StrEnum):
    """What may be decided on an offer."""

    ACCEPT = "accept"
    DECLINE = "decline"
    DONE = "done"


FROM: dict[Step, tuple[str, ...]] = {
    Step.ACCEPT: ("proposed",),
    Step.DECLINE: ("proposed", "accepted"),
    Step.DONE: ("proposed", "accepted"),
}
TO = {Step.ACCEPT: "accepted", Step.DECLINE: "declined", Step.DONE: "done"}
STATES = ("proposed", "accepted", "declined", "done", "lapsed")
MOST = 500


@dataclass(frozen=True)
class Decided:
    """A step as it is sent: on which offer, having seen which version, and on which day it happened."""

    offer_id: int
    version: int
    step: Step
    on: dt.date
    note: str = ""


@dataclass(frozen=True)
class Counted:
    """How many offers of an action are in each state."""

    action: str
    kind: str
    label: dict[str, str]
    states: dict[str, int]


def may_decide(sight: Sight, offer: Offer) -> bool:
    """Return whether the caller's role arranges or decides it; the person's own word always counts."""
    if sight.role is Role.OFFICER:
        return sight.officer_id == offer.officer_id
    return sight.role.value in (offer.owner, offer.decides)


def decide(session: Session, actor: Actor, decided: Decided) -> Offer:
    """Take a step and write its audit row; return the offer as it is now.

    Raises a Problem: no such offer, a step that its state does not allow, or somebody took one since.
    """
    if decided.on > dt.date.today():
        raise Problem(Kind.INVALID, "The day lies in the future. 日期不能晚于今天。", field="on")
    done = {"done_on": decided.on} if decided.step is Step.DONE else {}
    statement = (
        update(Offer)
        .where(Offer.id == decided.offer_id, Offer.version == decided.version, Offer.status.in_(FROM[decided.step]))
        .values(status=TO[decided.step], version=Offer.version + 1, **done)
        .returning(Offer.id)
    )
    if session.scalar(statement, execution_options={"synchronize_session": "fetch"}) is None:
        raise _missed(session, decided)
    offer = session.get_one(Offer, decided.offer_id, populate_existing=True)
    session.add(
        OfferStep(
            offer_id=offer.id,
            version=offer.version,
            step=decided.step.value,
            on=decided.on,
            by=actor.name,
            at=dt.datetime.now(dt.UTC),
            note=decided.note.strip(),
        )
    )
    session.flush()
    told = {"step": decided.step.value, "version": offer.version, "on": str(decided.on)}
    record(session, actor, "offer decided", f"offer {offer.id}", **told)
    return offer


def offers_seen(
    session: Session,
    sight: Sight,
    *,
    status: Sequence[str] = (),
    officer_id: str | None = None,
    kind: str | None = None,
    unit: str | None = None,
    after: int = 0,
    limit: int = MOST,
) -> list[Offer]:
    """Return offers within the caller's reach, of purposes that the caller may know of, by number."""
    statement = select(Offer).where(*_within(sight), Offer.id > after)
    if status:
        statement = statement.where(Offer.status.in_(status))
    if officer_id is not None:
        statement = statement.where(Offer.officer_id == officer_id)
    if kind is not None:
        statement = statement.where(Offer.kind == kind)
    if unit is not None:
        statement = statement.where(Offer.unit == unit)
    return without_reasons_withheld(session, session.scalars(statement.order_by(Offer.id).limit(limit)).all())


def units_offered(session: Session, sight: Sight, *, status: Sequence[str]) -> list[str]:
    """Return the units within the caller's reach that have offers of some states, by name."""
    statement = select(Offer.unit).where(*_within(sight), Offer.status.in_(status))
    return list(session.scalars(statement.distinct().order_by(Offer.unit)))


def offer_told(session: Session, sight: Sight, number: int) -> Offer:
    """Return an offer within reach as it is told; a Problem where there is none."""
    return without_reasons_withheld(session, [offer_seen(session, sight, number)])[0]


def without_reasons_withheld(session: Session, offers: Sequence[Offer]) -> list[Offer]:
    """Return offers as they are told: of who withdrew consent since without reasons that may name health data.

    What is told so is a copy, never to be written back.
    """
    wellness = [offer for offer in offers if offer.purpose == WELLNESS and offer.reason != BY_HAND]
    gone = untold(session, [(offer.officer_id, offer.renewed_on) for offer in wellness])
    hidden = {offer.id for offer in wellness if (offer.officer_id, offer.renewed_on) in gone}
    return [_withheld(offer) if offer.id in hidden else offer for offer in offers]


def _withheld(offer: Offer) -> Offer:
    values = {column.key: getattr(offer, column.key) for column in Offer.__table__.columns}
    return Offer(**values | {"reason": same("offer_reason_withheld"), "evidence": []})


def offer_seen(session: Session, sight: Sight, number: int) -> Offer:
    """Return an offer within reach; a Problem otherwise."""
    offer = session.scalar(select(Offer).where(*_within(sight), Offer.id == number))
    if offer is None:
        raise Problem(Kind.NOT_FOUND, "There is no such offer. 没有这一项。")
    return offer


def counted(session: Session, sight: Sight) -> list[Counted]:
    """Return how many offers of each action are in each state, within the caller's reach."""
    statement = select(Offer.action, Offer.kind, Offer.status, func.count(), func.max(Offer.id)).where(*_within(sight))
    found: dict[str, Counted] = {}
    for action, kind, status, number, newest in session.execute(
        statement.group_by(Offer.action, Offer.kind, Offer.status).order_by(Offer.kind, Offer.action)
    ):
        label = session.get_one(Offer, newest).label
        found.setdefault(action, Counted(action, kind, label, dict.fromkeys(STATES, 0))).states[status] = number
    return list(found.values())


def _within(sight: Sight) -> tuple[ColumnElement[bool], ...]:
    return sight.lists(Offer.purpose), sight.persons(officer=Offer.officer_id, unit=Offer.unit)


def _missed(session: Session, decided: Decided) -> Problem:
    offer = session.get(Offer, decided.offer_id)
    if offer is None:
        return Problem(Kind.NOT_FOUND, "There is no such offer. 没有这一项。")
    if offer.version == decided.version:
        return Problem(Kind.INVALID, f"It is {offer.status} by now. 当前状态不能进行此操作。")
    return Problem(
        Kind.DECIDED_MEANWHILE,
        f"Somebody decided since you opened it (now {offer.status}); nothing of yours was written. "
        "他人已先行处理，请重新查看；您的操作尚未写入。",
    )
