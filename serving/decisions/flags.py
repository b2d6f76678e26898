"""Flags: raised by a list, renewed by the next ones, expired when nobody renews them."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from features.months import month_end, month_of
from serving.access.audit import SYSTEM, record
from serving.decisions.tables import Flag
from serving.tables import Batch, Score

ALIVE = ("open", "acted", "watched", "dismissed")


@dataclass(frozen=True)
class Raised:
    """What a list did to the flags of its risk."""

    new: int
    renewed: int
    expired: int


def raise_flags(session: Session, batch: Batch, *, expires_months: int) -> Raised:
    """Raise a flag for everyone within the list's capacity, renew those that live, expire those not renewed.

    A flag ends ``expires_months`` after the last list that named the person; the next list then raises a new
    one. One audit row tells how many. Asked twice for one list, the second time changes nothing.
    """
    expired = _expire(session, batch, expires_months)
    named = set(
        session.scalars(select(Score.officer_id).where(Score.batch_id == batch.id, Score.rank <= batch.capacity))
    )
    living = {
        flag.officer_id: flag
        for flag in session.scalars(select(Flag).where(Flag.risk == batch.risk, Flag.status.in_(ALIVE)))
    }
    renewed = [flag for officer, flag in living.items() if officer in named and flag.renewed_on < batch.as_of]
    for flag in renewed:
        flag.renewed_on = batch.as_of
    new = sorted(named - set(living))
    session.add_all(_flag(batch, officer) for officer in new)
    session.flush()
    found = Raised(len(new), len(renewed), expired)
    if new or renewed or expired:
        record(session, SYSTEM, "flags raised", batch.risk, as_of=str(batch.as_of), **vars(found))
    return found


def flag_of(session: Session, risk: str, officer_id: str) -> Flag | None:
    """Return a person's newest flag of a risk."""
    statement = select(Flag).where(Flag.risk == risk, Flag.officer_id == officer_id)
    return session.scalar(statement.order_by(Flag.raised_on.desc(), Flag.id.desc()).limit(1))


def _flag(batch: Batch, officer_id: str) -> Flag:
    return Flag(
        risk=batch.risk,
        purpose=batch.purpose,
        officer_id=officer_id,
        raised_on=batch.as_of,
        renewed_on=batch.as_of,
        status="open",
        version=0,
        asked=False,
    )


def _expire(session: Session, batch: Batch, months: int) -> int:
    last = month_end(month_of(batch.as_of) - months)
    statement = (
        update(Flag)
        .where(Flag.risk == batch.risk, Flag.status.in_(ALIVE), Flag.renewed_on <= last, Flag.asked.is_(False))
        .values(status="expired", version=Flag.version + 1)
        .returning(Flag.id)
    )
    return len(session.execute(statement, execution_options={"synchronize_session": False}).all())
