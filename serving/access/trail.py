"""The audit chain as a person reads it: pages of rows by what they say, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from serving.access.tables import AuditRow

HELD = "digest"
"""Of what somebody decided or said: whoever guesses the words could tell by it."""
WITHHELD: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        "help asked for": frozenset({"kind", "flag", HELD}),
        "help answered": frozenset({HELD}),
        "rest plan decided": frozenset({"kind"}),
        "offer made": frozenset({"action"}),
        "flag decided": frozenset({"action", HELD}),
        "feedback given": frozenset({"measure", HELD}),
        "what-if asked": frozenset({"risks"}),
        "objection made": frozenset({"risk", HELD}),
        "objection decided": frozenset({HELD}),
        "score rerun": frozenset({"risks", HELD}),
        "consent given": frozenset({HELD}),
        "consent withdrawn": frozenset({HELD}),
        "letter agreed to": frozenset({HELD}),
        "letter withdrawn": frozenset({HELD}),
        "rescored without health data": frozenset({HELD}),
        "rescored without upheld records": frozenset({HELD}),
        "month monitored": frozenset({"risk"}),
        "effect told": frozenset({"action", "risk"}),
    }
)
"""Action -> details that tell of somebody's health, or let it be guessed.

They stay in the chain, and no reader of the log is shown them.
"""


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
    statement = select(AuditRow).where(*_conditions(wanted))
    if before is not None:
        statement = statement.where(AuditRow.number < before)
    return session.scalars(statement.order_by(AuditRow.number.desc()).limit(limit)).all()


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (AuditRow.actor, wanted.actor),
        (AuditRow.action, wanted.action),
        (AuditRow.subject, wanted.subject),
    ):
        if value:
            found.append(column == value)
    if wanted.since:
        found.append(AuditRow.at >= wanted.since)
    if wanted.until:
        found.append(AuditRow.at <= f"{wanted.until}T99")
    return found


def details_shown(row: AuditRow) -> tuple[dict[str, Any], list[str]]:
    """Return a row's details as a reader sees them, and the names of those that are withheld.

    The hash covers all of them: whether the chain is whole is checked where it lies (``audit.faults``).
    """
    withheld = WITHHELD.get(row.action, frozenset())
    shown = {name: value for name, value in row.details.items() if name not in withheld}
    return shown, sorted(withheld & set(row.details))


def actions(session: Session) -> list[tuple[str, int]]:
    """Return each kind of action with how many rows it has, by name."""
    statement = select(AuditRow.action, func.count()).group_by(AuditRow.action).order_by(AuditRow.action)
    return [(action, number) for action, number in session.execute(statement)]


def how_many(session: Session, wanted: Wanted | None = None) -> int:
    """Return how many rows there are, of those that are wanted."""
    conditions = _conditions(wanted) if wanted is not None else []
    return session.scalar(select(func.count()).select_from(AuditRow).where(*conditions)) or 0
