"""Scores as they stand: the list's own, or the one computed anew beside it; what is shown of a person is this."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.decisions.tables import Rescored
from serving.tables import Batch, Reasons, Score

RESTATED = ("probability", "low", "high", "evidence")
"""The rank stays the list's own: its order was made then, and a published one never changes."""


def corrected(session: Session, batch: Batch, officers: Sequence[str] | None = None) -> dict[str, Rescored]:
    """Return by officer the newest score that was computed anew since a list was made, of some officers where given."""
    statement = select(Rescored).where(
        Rescored.risk == batch.risk, Rescored.as_of == batch.as_of, Rescored.at >= batch.scored_at
    )
    if officers is not None:
        statement = statement.where(Rescored.officer_id.in_(officers))
    return {row.officer_id: row for row in session.scalars(statement.order_by(Rescored.id))}


def corrected_months(session: Session, risk: str, officer_id: str) -> dict[dt.date, Rescored]:
    """Return by as-of the newest score of one person that was computed anew since the list of that month was made."""
    statement = (
        select(Rescored)
        .join(Batch, (Batch.risk == Rescored.risk) & (Batch.as_of == Rescored.as_of))
        .where(Rescored.risk == risk, Rescored.officer_id == officer_id, Rescored.at >= Batch.scored_at)
    )
    return {row.as_of: row for row in session.scalars(statement.order_by(Rescored.id))}


def standing_score(score: Score, anew: Rescored | None) -> Score:
    """Return a list's score as it stands, never to be written back; the parts by unit and post are the list's own."""
    if anew is None:
        return score
    values = {column.key: getattr(score, column.key) for column in Score.__table__.columns}
    parts = {"part_post": None, "part_unit": None, "part_person": None}
    return Score(**values | parts | {name: anew.score[name] for name in RESTATED})


def standing_strongest(strongest: list[dict[str, Any]], anew: Rescored | None) -> list[dict[str, Any]]:
    """Return the strongest reasons as they stand."""
    return strongest if anew is None else list(anew.score["strongest"])


def standing_reasons(reasons: Reasons, anew: Rescored | None, health: frozenset[str]) -> Reasons:
    """Return the reasons as they stand, never to be written back; ``health`` groups go undrawn after a withdrawal."""
    if anew is None:
        return reasons
    gone = health if anew.cause == "consent" else frozenset()
    return Reasons(
        batch_id=reasons.batch_id,
        officer_id=reasons.officer_id,
        contributions=anew.score["contributions"],
        strongest=anew.score["strongest"],
        history={group: values for group, values in reasons.history.items() if group not in gone},
    )
