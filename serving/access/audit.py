"""The audit chain: every change and every refusal is one row, hashed together with the row before it."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from serving.access.tables import AuditHead, AuditRow

BEGINNING = "0" * 64
AT_A_TIME = 5_000
HEAD = "audit head"
"""In Session.info: number and hash of the chain's last row, where a reading session has them already."""


@dataclass(frozen=True)
class Actor:
    """Who does something: an account's name and role; ``system`` for what the program does by itself."""

    name: str
    role: str


SYSTEM = Actor("system", "system")


@dataclass(frozen=True)
class Fault:
    """A row of the chain that is not as it was written; ``number`` 0 where the chain as a whole is meant."""

    number: int
    what_zh: str
    what_en: str


def record(session: Session, actor: Actor, did: str, subject: str = "", **details: Any) -> AuditRow:
    """Write one row in the caller's transaction and return it: the change and its row stand or fall together.

    ``details`` are plain JSON values without names or free text of persons. Writers queue at the chain's head.
    """
    head = session.execute(
        update(AuditHead)
        .where(AuditHead.id == 1)
        .values(number=AuditHead.number + 1)
        .returning(AuditHead.number, AuditHead.hash)
        .execution_options(synchronize_session=False)
    ).one()
    row = AuditRow(
        number=head.number,
        at=dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        actor=actor.name,
        role=actor.role,
        action=did,
        subject=subject,
        details=details,
        previous=head.hash,
        hash="",
    )
    row.hash = digest(row)
    session.add(row)
    session.flush()
    session.execute(update(AuditHead).where(AuditHead.id == 1).values(hash=row.hash))
    return row


def digest(row: AuditRow) -> str:
    """Return the SHA-256 of a row's canonical JSON with the hash before it."""
    told = [row.number, row.at, row.actor, row.role, row.action, row.subject, row.details, row.previous]
    return hashlib.sha256(canonical(told).encode()).hexdigest()


def canonical(told: Any) -> str:
    """Return plain values, days and moments as JSON of one form, whichever database gave them."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_in_utc)


def faults(session: Session) -> list[Fault]:
    """Return every row that was edited, deleted or moved; nothing when the chain is whole."""
    found: list[Fault] = []
    number, previous = 0, BEGINNING
    for row in _rows(session):
        if row.number != number + 1:
            missing = number + 1 if row.number == number + 2 else f"{number + 1}–{row.number - 1}"
            found.append(Fault(number + 1, f"第 {missing} 行缺失", f"row {missing} is missing"))
        elif row.previous != previous:
            found.append(
                Fault(
                    row.number, f"第 {row.number} 行与上一行不相连", f"row {row.number} does not follow the one before"
                )
            )
        if digest(row) != row.hash:
            found.append(Fault(row.number, f"第 {row.number} 行被改动过", f"row {row.number} was changed"))
        number, previous = row.number, row.hash
    return found + _ending(session, number, previous)


def _ending(session: Session, number: int, previous: str) -> list[Fault]:
    head = session.get(AuditHead, 1)
    if head is None:
        return [Fault(0, "日志末尾的记录不见了", "the mark of the last row is gone")]
    if head.number > number:
        what = f"{number + 1}–{head.number}" if head.number > number + 1 else str(head.number)
        return [Fault(number + 1, f"末尾第 {what} 行缺失", f"row {what} at the end is missing")]
    if (head.number, head.hash) != (number, previous):
        return [Fault(number, "日志末尾与记录不符", f"the last row ({number}) is not the one that was marked last")]
    return []


def _in_utc(value: Any) -> str:
    """A day, or a moment in UTC: SQLite gives that back without a zone, PostgreSQL in its own."""
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return moment.isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no plain form")


def _rows(session: Session) -> Iterator[AuditRow]:
    statement = select(AuditRow).order_by(AuditRow.number).execution_options(yield_per=AT_A_TIME)
    yield from session.scalars(statement)
