"""Who looked at whom: what the audit chain holds of it (caller.looked writes it), for the person to read."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.tables import AuditRow

LOOKED = "looked"
READ = 2_000
REPORTS = ("/cockpit", "/points", "/events", "/letter", "/report")


@dataclass(frozen=True)
class Look:
    """An account that opened one kind of a person's pages on a day (UTC): ``what`` is person, report or objection."""

    day: str
    actor: str
    role: str
    what: str


def who_looked(session: Session, names: Sequence[str], *, limit: int = 200) -> list[Look]:
    """Return who looked at a person known under ``names`` (the number, and the pseudonym), the newest first."""
    statement = select(AuditRow).where(AuditRow.action == LOOKED, AuditRow.subject.in_(names))
    rows = session.scalars(statement.order_by(AuditRow.number.desc()).limit(READ))
    found = [Look(row.at[:10], row.actor, row.role, _what(str(row.details.get("at", "")))) for row in rows]
    return list(dict.fromkeys(found))[:limit]


def _what(route: str) -> str:
    if "/objections" in route:
        return "objection"
    return "report" if route.endswith(REPORTS) else "person"
