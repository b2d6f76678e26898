"""Who looked at whom: what the audit chain holds of it (caller.looked writes it), for the person to read."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.audit import Actor
from serving.access.tables import AuditRow

LOOKED, WHAT_IF = "looked", "what-if asked"
A_MINUTE = dt.timedelta(minutes=1)
READ = 2_000
REPORTS = ("/cockpit", "/points", "/events", "/letter", "/report")


@dataclass(frozen=True)
class Look:
    """An account that looked at a person on a day (UTC): ``what`` is person, report, objection or what_if."""

    day: str
    actor: str
    role: str
    what: str


def who_looked(session: Session, names: Sequence[str], *, limit: int = 200) -> list[Look]:
    """Return who looked at a person known under ``names`` (the number, and the pseudonym), the newest first."""
    statement = select(AuditRow).where(AuditRow.action.in_((LOOKED, WHAT_IF)), AuditRow.subject.in_(names))
    rows = session.scalars(statement.order_by(AuditRow.number.desc()).limit(READ))
    found = [Look(row.at[:10], row.actor, row.role, _what(row)) for row in rows]
    return list(dict.fromkeys(found))[:limit]


def looked_lately(session: Session, actor: Actor, name: str) -> bool:
    """Return whether an account looked at a person within the last minute: a page's pictures are the same look."""
    since = (dt.datetime.now(dt.UTC) - A_MINUTE).isoformat(timespec="microseconds")
    statement = select(AuditRow.number).where(
        AuditRow.subject == name, AuditRow.action == LOOKED, AuditRow.actor == actor.name, AuditRow.at >= since
    )
    return session.scalar(statement.limit(1)) is not None


def _what(row: AuditRow) -> str:
    if row.action == WHAT_IF:
        return "what_if"
    route = str(row.details.get("at", ""))
    if "/objections" in route:
        return "objection"
    return "report" if route.endswith(REPORTS) else "person"
