"""What is offered to persons of a list, as the caller may see it."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, select, true
from sqlalchemy.orm import Session

from serving.access.roles import Field
from serving.access.sight import Sight
from serving.persons.seen import number_of
from serving.scored.lists import WELLNESS
from serving.scored.withheld import untold
from serving.tables import Facts, RecommendationRow
from serving.words import same


def offers_of(
    session: Session, sight: Sight, as_of: dt.date, officers: Sequence[str]
) -> dict[str, list[RecommendationRow]]:
    """Return the recommendations of some officers at a month, by officer: those for purposes that may be seen."""
    numbers = {} if sight.pseudonymous else {number_of(session, sight, officer): officer for officer in officers}
    return {numbers[number]: rows for number, rows in offers_by_number(session, sight, as_of, list(numbers)).items()}


def offers_by_number(
    session: Session, sight: Sight, as_of: dt.date, numbers: Sequence[str]
) -> dict[str, list[RecommendationRow]]:
    """Return the offers of persons by number in the store; what is offered for two purposes is there once."""
    table = RecommendationRow
    purposes = [purpose for purpose in sight.purposes if Field.OFFERS in sight.fields(purpose)]
    reached = sight.persons(officer=Facts.officer_id, unit=Facts.unit)
    if reached.compare(true()):
        within: ColumnElement[bool] = reached
    else:
        within = exists().where(Facts.as_of == table.as_of, Facts.officer_id == table.officer_id, reached)
    statement = select(table).where(table.as_of == as_of, table.officer_id.in_(numbers), within)
    statement = statement.where(table.purpose.in_(purposes)).order_by(table.officer_id, table.position)
    offers: dict[str, dict[str, RecommendationRow]] = {}
    rows = session.scalars(statement).all()
    gone = {officer for officer, _ in untold(session, [(row.officer_id, as_of) for row in rows])}
    for row in (_untold(row) if row.officer_id in gone and row.purpose == WELLNESS else row for row in rows):
        own = offers.setdefault(row.officer_id, {})
        own[row.action] = _joined(own[row.action], row) if row.action in own else row
    return {number: list(own.values()) for number, own in offers.items()}


def _joined(one: RecommendationRow, other: RecommendationRow) -> RecommendationRow:
    """One offer for both purposes, with both reasons; never written back."""
    reason = {"zh": one.reason["zh"] + other.reason["zh"], "en": f"{one.reason['en']} {other.reason['en']}"}
    return _changed(one, {"reason": reason, "by_right": one.by_right or other.by_right})


def _untold(row: RecommendationRow) -> RecommendationRow:
    """An offer without the reason, which may name what consent was withdrawn for; never written back."""
    return _changed(row, {"reason": same("offer_reason_withheld")})


def _changed(row: RecommendationRow, changed: dict[str, Any]) -> RecommendationRow:
    values = {column.key: getattr(row, column.key) for column in RecommendationRow.__table__.columns}
    return RecommendationRow(**values | changed)
