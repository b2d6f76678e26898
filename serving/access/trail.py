"""The audit chain as a person reads it: pages of rows by what they say, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from serving.access.tables import AuditRow


@dataclass(frozen=True)
class Wanted:
    """Which rows: of one account, one kind of action, one subject, from a day, to a day; '' for all."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""


def trail(session: Session, wanted: Wanted, *, before: int | None = None, limit: int = 100) -> Sequence[AuditRow]:
    """Return so many rows, the newest first, below a number where given."""
    statement = select(AuditRow)
    for column, value in (
        (AuditRow.actor, wanted.actor),
        (AuditRow.action, wanted.action),
        (AuditRow.subject, wanted.subject),
    ):
        if value:
            statement = statement.where(column == value)
    if wanted.since:
        statement = statement.where(AuditRow.at >= wanted.since)
    if wanted.until:
        statement = statement.where(AuditRow.at <= f"{wanted.until}T99")
    if before is not None:
        statement = statement.where(AuditRow.number < before)
    return session.scalars(statement.order_by(AuditRow.number.desc()).limit(limit)).all()


def actions(session: Session) -> list[tuple[str, int]]:
    """Return each kind of action with how many rows it has, by name."""
    statement = select(AuditRow.action, func.count()).group_by(AuditRow.action).order_by(AuditRow.action)
    return [(action, number) for action, number in session.execute(statement)]


def how_many(session: Session) -> int:
    """Return how many rows there are."""
    return session.scalar(select(func.count()).select_from(AuditRow)) or 0
