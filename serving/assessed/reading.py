"""Questions to a stored assessment. Nothing here reads a list, a score or a reason."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import Session

from serving.access.sight import Sight
from serving.assessed.storing import LETTER
from serving.assessed.tables import AssessedPerson, AssessedRow, AssessmentHead
from serving.decisions.tables import Consent, Objection

Record = dict[str, Any]
CONTESTED = ("record", "warning")
OF_THE_FORCE = ("units", "unit_months", "force_months")
"""Figures of at least five persons: those of the whole force may be seen beside those of one's own units."""
WALL = "stars"
"""Honours are for everybody who may see the wall."""


@dataclass(frozen=True)
class Report:
    """One person's assessment: ``levels`` is the row of the table people, ``tables`` the rows of the others."""

    levels: Record
    tables: dict[str, list[Record]]

    def rows(self, name: str) -> list[Record]:
        """Return the person's rows of a table; none where it says nothing of them."""
        return self.tables.get(name, [])

    def one(self, name: str) -> Record | None:
        """Return the person's row of a table that has one at most."""
        return next(iter(self.rows(name)), None)


def head_of(session: Session, as_of: dt.date | None) -> AssessmentHead | None:
    """Return the assessment of a month, the newest when none is given."""
    statement = select(AssessmentHead).order_by(AssessmentHead.as_of.desc()).limit(1)
    return session.scalar(statement.where(AssessmentHead.as_of == as_of) if as_of else statement)


def months_assessed(session: Session) -> list[dt.date]:
    """Return the months that were assessed, the newest first."""
    return list(session.scalars(select(AssessmentHead.as_of).order_by(AssessmentHead.as_of.desc())))


def report_of(session: Session, sight: Sight, head: AssessmentHead, officer_id: str) -> Report | None:
    """Return one person's report, warnings under appeal marked; None for someone in no post, or out of reach."""
    table = AssessedPerson
    reached = sight.persons(officer=table.officer_id, unit=table.unit)
    person = session.scalar(
        select(table).where(table.assessment_id == head.id, table.officer_id == officer_id, reached)
    )
    if person is None:
        return None
    tables = {name: [_record(head, name, row) for row in rows] for name, rows in person.tables.items()}
    tables["warnings"] = _with_appeals(session, tables.get("warnings", []), [officer_id])
    return Report(_record(head, "people", person.levels), tables)


def rows_of(
    session: Session,
    sight: Sight,
    head: AssessmentHead,
    name: str,
    *,
    unit: str | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Return the rows of a table that is kept as a whole, in their order; of one unit, the first few where given."""
    statement = select(AssessedRow.cells).where(*_reached(sight, head, name))
    if unit is not None:
        statement = statement.where(AssessedRow.unit == unit)
    found = session.scalars(statement.order_by(AssessedRow.position).limit(limit))
    return [_record(head, name, cells) for cells in found]


def how_many(session: Session, sight: Sight, head: AssessmentHead, name: str, *, unit: str | None = None) -> int:
    """Return how many rows such a table has, of one unit where given."""
    statement = select(func.count()).select_from(AssessedRow)
    statement = statement.where(*_reached(sight, head, name))
    return session.scalar(statement if unit is None else statement.where(AssessedRow.unit == unit)) or 0


def warnings_of(
    session: Session, sight: Sight, head: AssessmentHead, *, unit: str | None = None, limit: int | None = None
) -> list[Record]:
    """Return the warnings, the newest first, those under appeal marked; the first few where given."""
    return _with_appeals(session, rows_of(session, sight, head, "warnings", unit=unit, limit=limit), None)


def standings_of(session: Session, sight: Sight, head: AssessmentHead, units: Sequence[str]) -> list[Record]:
    """Return the rows of the table units of some units; '' is the force."""
    statement = select(AssessedRow.cells).where(*_reached(sight, head, "units"))
    found = session.scalars(statement.where(AssessedRow.unit.in_(units)).order_by(AssessedRow.position))
    return [_record(head, "units", cells) for cells in found]


def units_of(session: Session, sight: Sight, head: AssessmentHead) -> list[str]:
    """Return the units within reach in which somebody was assessed."""
    seen = sight.units_seen(AssessedPerson.unit)
    statement = select(AssessedPerson.unit).where(AssessedPerson.assessment_id == head.id, seen)
    return list(session.scalars(statement.distinct().order_by(AssessedPerson.unit)))


def members_of(session: Session, sight: Sight, head: AssessmentHead, unit: str) -> list[Record]:
    """Return the rows of the table people of one unit, by number."""
    reached = sight.persons(officer=AssessedPerson.officer_id, unit=AssessedPerson.unit)
    statement = select(AssessedPerson.levels).where(AssessedPerson.assessment_id == head.id, reached)
    found = session.scalars(statement.where(AssessedPerson.unit == unit).order_by(AssessedPerson.officer_id))
    return [_record(head, "people", levels) for levels in found]


def letter_allowed(session: Session, officer_id: str) -> bool:
    """Return whether no consent to a letter was withdrawn without another that holds."""
    statement = select(Consent).where(Consent.officer_id == officer_id, Consent.basis == LETTER)
    found = list(session.scalars(statement))
    return not found or any(each.withdrawn_on is None for each in found)


def _reached(sight: Sight, head: AssessmentHead, name: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions for the rows of a table that the caller may see."""
    table = AssessedRow
    within = true() if name == WALL else sight.units_seen(table.unit)
    if name in OF_THE_FORCE:
        within = or_(within, table.unit.is_(None), table.unit == "")
    return (table.assessment_id == head.id, table.name == name, within)


def _record(head: AssessmentHead, name: str, cells: list[Any]) -> Record:
    return dict(zip(head.columns[name], cells, strict=True))


def _with_appeals(session: Session, warnings: list[Record], officers: list[str] | None) -> list[Record]:
    """An open objection to a record of this measure is an appeal."""
    statement = select(Objection.officer_id, Objection.measure)
    statement = statement.where(Objection.status == "open", Objection.against.in_(CONTESTED))
    if officers is not None:
        statement = statement.where(Objection.officer_id.in_(officers))
    contested = {(officer, measure) for officer, measure in session.execute(statement)} if warnings else set()
    return [
        {**row, "state": "appealed"}
        if row["state"] == "standing" and (row["officer_id"], row["measure"]) in contested
        else row
        for row in warnings
    ]
