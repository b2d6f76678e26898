"""Flags: raised by a list, renewed by the next ones, expired when nobody renews them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from features.months import month_end, month_of
from serving.access.audit import SYSTEM, record
from serving.decisions.tables import Flag
from serving.tables import Batch, Score

ALIVE = ("open", "acted", "watched", "dismissed")
EXPIRED = "expired"


@dataclass(frozen=True)
class Raised:
    """What a list did to the flags of its risk."""

    new: int
    renewed: int
    expired: int


def raise_flags(session: Session, batch: Batch, *, expires_months: int) -> Raised:
    """Raise a flag for everyone within the list's capacity, renew those that live, expire those not renewed.

    A flag ends ``expires_months`` after the last list that named the person; the next list then raises a new
    one. A draft that is scored anew takes back the flags that only it had raised and nobody decided. Only the newest
    list of a risk raises flags: one scored later for an earlier month changes none. One audit row tells how many.
    Asked twice for one list, the second time changes nothing.
    """
    newer = select(Batch.id).where(Batch.risk == batch.risk, Batch.as_of > batch.as_of).limit(1)
    if session.scalar(newer) is not None:
        return Raised(0, 0, 0)
    expired = _expire(session, batch, expires_months)
    named = _named(session, batch)
    living = {flag.officer_id: flag for flag in _flags(session, batch) if flag.status in ALIVE}
    expired += _take_back(batch, [flag for officer, flag in living.items() if officer not in named])
    renewed = [flag for officer, flag in living.items() if officer in named and flag.renewed_on < batch.as_of]
    for flag in renewed:
        flag.renewed_on = batch.as_of
    new = sorted(named - set(living))
    _raise(session, batch, new)
    session.flush()
    found = Raised(len(new), len(renewed), expired)
    if new or renewed or expired:
        record(session, SYSTEM, "flags raised", batch.risk, as_of=str(batch.as_of), **asdict(found))
    return found


def flag_of(session: Session, risk: str, officer_id: str) -> Flag | None:
    """Return a person's newest flag of a risk."""
    statement = select(Flag).where(Flag.risk == risk, Flag.officer_id == officer_id)
    return session.scalar(statement.order_by(Flag.raised_on.desc(), Flag.id.desc()).limit(1))


def flags_of(session: Session, batch: Batch, officers: Sequence[str]) -> dict[str, Flag]:
    """Return the flags of some officers that lived when a list was made, by officer, with their present state."""
    statement = select(Flag).where(
        Flag.risk == batch.risk,
        Flag.officer_id.in_(officers),
        Flag.raised_on <= batch.as_of,
        Flag.renewed_on >= batch.as_of,
    )
    return {flag.officer_id: flag for flag in session.scalars(statement.order_by(Flag.id))}


def _named(session: Session, batch: Batch) -> set[str]:
    statement = select(Score.officer_id).where(Score.batch_id == batch.id, Score.rank <= batch.capacity)
    return set(session.scalars(statement))


def _flags(session: Session, batch: Batch) -> Iterable[Flag]:
    return session.scalars(select(Flag).where(Flag.risk == batch.risk, Flag.status.in_(ALIVE)))


def _take_back(batch: Batch, unnamed: Iterable[Flag]) -> int:
    """End what an earlier scoring of this very list raised, where nobody has decided yet."""
    gone = [flag for flag in unnamed if flag.raised_on == batch.as_of and not flag.version and not flag.asked]
    for flag in gone:
        flag.status = EXPIRED
    return len(gone)


def _raise(session: Session, batch: Batch, officers: Sequence[str]) -> None:
    """A flag for each; one that this list had raised and taken back opens again."""
    statement = select(Flag).where(Flag.risk == batch.risk, Flag.raised_on == batch.as_of, Flag.status == EXPIRED)
    ended = {flag.officer_id: flag for flag in session.scalars(statement)}
    for officer in officers:
        if officer in ended:
            ended[officer].status, ended[officer].renewed_on = "open", batch.as_of
        else:
            session.add(_flag(batch, officer))


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
        .values(status=EXPIRED, version=Flag.version + 1)
        .returning(Flag.id)
    )
    return len(session.execute(statement, execution_options={"synchronize_session": False}).all())
