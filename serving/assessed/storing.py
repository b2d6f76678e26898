"""Puts an assessment into the score store: a row a person, and the rows of what is listed. The story of this folder."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine, delete, insert, or_, select
from sqlalchemy.orm import Session

from features.assessment.assess import TABLES, Assessment
from features.months import month_end, month_text
from serving.access.audit import SYSTEM, record
from serving.assessed.tables import AssessedPerson, AssessedRow, AssessmentHead
from serving.database import transaction
from serving.decisions.tables import Consent

OF_PERSONS = ("indicators", "reasons", "history", "weeks", "warnings", "stars", "honours", "letters", "ladders",
              "points", "offers", "leaders", "declines", "blind_spots", "hidden")  # fmt: skip
"""Tables that a person's row holds."""
LISTED = ("units", "unit_months", "force_months", "warnings", "stars", "letters", "ladders", "offers", "leaders",
          "declines", "blind_spots", "lint", "gaming", "hidden")  # fmt: skip
"""Tables that are read as wholes."""
LETTER = "letter_of_honour"
"""The basis of a consent to a letter of honour (table consents)."""
DECIMALS = 6
CHUNK = 2000


def store_assessment(found: Assessment, engine: Engine) -> None:
    """Store an assessment and its audit row in one transaction, in the place of an earlier one of the same month."""
    columns = {name: [column for column in names if column != "row"] for name, names in TABLES.items()}
    with transaction(engine) as session:
        session.execute(delete(AssessmentHead).where(AssessmentHead.as_of == month_end(found.as_of)))
        head = AssessmentHead(
            as_of=month_end(found.as_of),
            profile=found.profile,
            assessed_at=dt.datetime.now(dt.UTC),
            officers=len(found.tables["people"]),
            columns=columns,
            labels={key: dict(label) for key, label in found.labels.items()},
        )
        session.add(head)
        session.flush()
        _in_chunks(session, AssessedPerson, _people(found, head))
        for name in LISTED:
            _in_chunks(session, AssessedRow, _rows(_of_note(name, found.tables[name]), name, head))
        record(session, SYSTEM, "month assessed", month_text(found.as_of), officers=head.officers)


def consented(engine: Engine, day: dt.date) -> set[str]:
    """Return the officers whose consent to a letter of honour, given by a day, holds at that day."""
    holds = or_(Consent.withdrawn_on.is_(None), Consent.withdrawn_on > day)
    statement = select(Consent.officer_id).where(Consent.basis == LETTER, Consent.given_on <= day, holds)
    with transaction(engine, writes=False) as session:
        return set(session.scalars(statement))


def _of_note(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that say something, in the order in which they are read."""
    if name == "stars":
        return table[table["star"].astype(bool)].sort_values(["post", "rank", "officer_id"], kind="stable")
    if name == "warnings":
        return table.sort_values(["raised_on", "officer_id"], ascending=[False, True], kind="stable")
    return table[table["listed"].astype(bool)] if "listed" in table else table


def _people(found: Assessment, head: AssessmentHead) -> Iterator[dict[str, Any]]:
    people = found.tables["people"]
    own = {name: _by_officer(found.tables[name], head.columns[name]) for name in OF_PERSONS}
    told = zip(people["officer_id"], people["post"], people["unit"], people["status"], strict=True)
    for (officer, post, unit, status), levels in zip(told, _cells(people, head.columns["people"]), strict=True):
        tables = {name: rows[officer] for name, rows in own.items() if officer in rows}
        yield {
            "assessment_id": head.id, "officer_id": officer, "post": post, "unit": unit, "status": status,
            "levels": levels, "tables": tables,
        }  # fmt: skip


def _by_officer(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = {}
    for officer, row in zip(table["officer_id"], _cells(table, columns), strict=True):
        found.setdefault(officer, []).append(row)
    return found


def _rows(table: pd.DataFrame, name: str, head: AssessmentHead) -> Iterator[dict[str, Any]]:
    units = table["unit"] if "unit" in table else [None] * len(table)
    cells = _cells(table, head.columns[name])
    for position, (unit, row) in enumerate(zip(units, cells, strict=True)):
        yield {"assessment_id": head.id, "name": name, "position": position, "unit": unit, "cells": row}


def _cells(table: pd.DataFrame, columns: Sequence[str]) -> list[list[Any]]:
    """Return a table's rows as JSON takes them: dates as YYYY-MM-DD, figures to six decimals, missing ones None."""
    return [list(row) for row in zip(*(_listed(table[name]) for name in columns), strict=True)]


def _listed(column: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return list(column.dt.strftime("%Y-%m-%d").astype(object).where(column.notna(), None))
    if pd.api.types.is_float_dtype(column):
        cells = np.round(column.to_numpy(dtype=np.float64, na_value=np.nan), DECIMALS)
        return [None if cell != cell else cell for cell in cells.tolist()]
    return [_plain(value) for value in column.tolist()]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _in_chunks(session: Session, table: type[AssessedPerson | AssessedRow], rows: Iterator[dict[str, Any]]) -> None:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            session.execute(insert(table), chunk)
            chunk = []
    if chunk:
        session.execute(insert(table), chunk)
