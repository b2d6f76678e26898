"""The tables of a stored assessment: its head, a row a person, and the rows of what is listed. No query lives here."""

import datetime as dt
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables import Table


class AssessmentHead(Table):
    """One month's assessment; a later one of the same month takes its place."""

    __tablename__ = "assessments"

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date] = mapped_column(unique=True)
    profile: Mapped[str] = mapped_column(String(120))
    assessed_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    officers: Mapped[int]
    columns: Mapped[dict[str, Any]]
    """Table -> its columns, as they were when it was stored: the names of the cells below."""
    labels: Mapped[dict[str, Any]]
    """Posts, measures, rates and purchases in both languages, so that a page needs no profile."""


class AssessedPerson(Table):
    """All that the assessment says of one person."""

    __tablename__ = "assessed_people"
    __table_args__ = (Index("ix_assessed_people_assessment_id_unit", "assessment_id", "unit"),)

    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    post: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20))
    levels: Mapped[list[Any]]
    """The row of the table ``people``, so that a unit's page needs not read the whole."""
    tables: Mapped[dict[str, Any]]
    """Table -> the person's rows, each a list of cells."""


class AssessedRow(Table):
    """One row of a table that is read as a whole: units, warnings, stars, leaders, and what to look at."""

    __tablename__ = "assessed_rows"
    __table_args__ = (Index("ix_assessed_rows_assessment_id_name_unit", "assessment_id", "name", "unit"),)

    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    unit: Mapped[str | None] = mapped_column(String(200))
    cells: Mapped[list[Any]]
