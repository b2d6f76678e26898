"""Scores as they stand: the list's own, or the one computed anew beside it; and what of these was published."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.decisions.consents import HEALTH
from serving.decisions.tables import Consent, Published, Rescored
from serving.persons.seen import health_groups, shown_reasons
from serving.tables import Batch, Reasons, Score

CONSENT, OBJECTION = "consent", "objection"
"""Why a score was computed anew (Rescored.cause)."""
RESTATED = ("probability", "low", "high", "evidence")
"""The rank stays the list's own: a draft's order is made anew (reranked.py), a published one never changes."""
NO_PARTS = {"part_post": None, "part_unit": None, "part_person": None}


@dataclass(frozen=True)
class Correction:
    """A score that was computed anew since its list was published; ``rank`` is the place the person would have."""

    on: dt.date
    probability: float
    low: float
    high: float
    rank: int | None
    evidence: str


def corrected(session: Session, batch: Batch, officers: Sequence[str] | None = None) -> dict[str, Rescored]:
    """Return by officer the newest score that was computed anew since a list was made, of some officers where given.

    Of a person whose withdrawal covers the list no health reason is in it, whatever the newest cause; until such a
    score is computed it is the list's own without these reasons. Never to be written back.
    """
    statement = select(Rescored).where(
        Rescored.risk == batch.risk, Rescored.as_of == batch.as_of, Rescored.at >= batch.scored_at
    )
    if officers is not None:
        statement = statement.where(Rescored.officer_id.in_(officers))
    rows = list(session.scalars(statement.order_by(Rescored.id)))
    found, computed = {row.officer_id: row for row in rows}, {row.officer_id for row in rows if row.cause == CONSENT}
    for officer, waiting in lapsed(session, batch.as_of, officers).items() if uses_health(session, batch) else ():
        anew = _without_health(session, batch, officer, found.get(officer), waiting=waiting and officer not in computed)
        if anew is not None:
            found[officer] = anew
    return found


def corrections(
    session: Session, batch: Batch, officers: Sequence[str] | None = None
) -> tuple[dict[str, Rescored], dict[str, Correction]]:
    """Return by officer what was computed anew before a list was published, and what since; both empty for a draft.

    The first is part of what was published, the second stands beside it.
    """
    out = session.scalar(select(Published).where(Published.batch_id == batch.id))
    if out is None:
        return {}, {}
    statement = select(Rescored).where(
        Rescored.risk == batch.risk, Rescored.as_of == batch.as_of, Rescored.at >= batch.scored_at
    )
    if officers is not None:
        statement = statement.where(Rescored.officer_id.in_(officers))
    rows, said = list(session.scalars(statement.order_by(Rescored.id))), _utc(out.at)
    before = {row.officer_id: row for row in rows if _utc(row.at) <= said}
    return before, {row.officer_id: _correction(row) for row in rows if _utc(row.at) > said}


def lapsed(session: Session, as_of: dt.date, officers: Sequence[str] | None = None) -> dict[str, bool]:
    """Return those whose health data a list of a day may no longer use; True where scores still await computing."""
    ended = select(Consent.officer_id).where(Consent.basis == HEALTH, Consent.counts_until < as_of)
    statement = select(Consent).where(Consent.officer_id.in_(ended), Consent.basis == HEALTH, Consent.given_on <= as_of)
    if officers is not None:
        statement = statement.where(Consent.officer_id.in_(officers))
    rows = list(session.scalars(statement))
    covered = {row.officer_id for row in rows if row.counts_until is None or row.counts_until >= as_of}
    found: dict[str, bool] = {}
    for row in rows:
        if row.officer_id not in covered:
            found[row.officer_id] = found.get(row.officer_id, False) or row.rescored_at is None
    return found


def uses_health(session: Session, batch: Batch) -> bool:
    """Return whether any group of a list's reasons draws on health data; True where nobody can tell."""
    return not health_groups(session, batch).isdisjoint(batch.groups)


def without_basis(session: Session, officers: Sequence[str] | None = None) -> set[str]:
    """Return those who withdrew consent to health data and have not given it again: nobody is told theirs any more."""
    held = select(Consent.officer_id).where(Consent.basis == HEALTH, Consent.withdrawn_on.is_(None))
    gone = select(Consent.officer_id).where(Consent.basis == HEALTH, Consent.officer_id.not_in(held))
    if officers is not None:
        gone = gone.where(Consent.officer_id.in_(officers))
    return set(session.scalars(gone))


def _without_health(
    session: Session, batch: Batch, officer: str, anew: Rescored | None, *, waiting: bool
) -> Rescored | None:
    """A copy without health reasons; the contributions stay, of which nobody is told health by itself (withheld.py)."""
    if anew is None and not waiting:  # the list itself was made without
        return None
    told = dict(anew.score) if anew is not None else _own(session, batch, officer)
    if told is None:
        return None
    told["strongest"] = shown_reasons(told["strongest"], health_groups(session, batch))
    at = anew.at if anew is not None else batch.scored_at
    return Rescored(risk=batch.risk, as_of=batch.as_of, officer_id=officer, cause=CONSENT, at=at, score=told)


def _own(session: Session, batch: Batch, officer: str) -> dict[str, Any] | None:
    score, reasons = session.get(Score, (batch.id, officer)), session.get(Reasons, (batch.id, officer))
    if score is None or reasons is None:
        return None
    told = {name: getattr(score, name) for name in (*RESTATED, "rank")}
    kept = {"strongest": reasons.strongest, "contributions": reasons.contributions}
    return {**told, **kept, "model_version": batch.model_version}


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
    return _copy(score, NO_PARTS | {name: anew.score[name] for name in RESTATED})


def without_parts(score: Score) -> Score:
    """Return a score without its split into post, unit and person, never to be written back."""
    return _copy(score, NO_PARTS)


def _copy(score: Score, changed: dict[str, Any]) -> Score:
    values = {column.key: getattr(score, column.key) for column in Score.__table__.columns}
    return Score(**values | changed)


def _correction(row: Rescored) -> Correction:
    names = ("probability", "low", "high", "rank", "evidence")
    return Correction(on=_utc(row.at).date(), **{name: row.score[name] for name in names})


def _utc(moment: dt.datetime) -> dt.datetime:
    """A moment with its zone: SQLite gives UTC back without one."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def standing_strongest(strongest: list[dict[str, Any]], anew: Rescored | None) -> list[dict[str, Any]]:
    """Return the strongest reasons as they stand."""
    return strongest if anew is None else list(anew.score["strongest"])


def standing_reasons(reasons: Reasons, anew: Rescored | None, health: frozenset[str]) -> Reasons:
    """Return the reasons as they stand, never to be written back; ``health`` groups go undrawn after a withdrawal."""
    if anew is None:
        return reasons
    gone = health if anew.cause == CONSENT else frozenset()
    return Reasons(
        batch_id=reasons.batch_id,
        officer_id=reasons.officer_id,
        contributions=anew.score["contributions"],
        strongest=anew.score["strongest"],
        history={group: values for group, values in reasons.history.items() if group not in gone},
    )
