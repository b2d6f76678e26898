"""What a round of matching asks of the score store: who is warned, stars, levels, pairs that live, who said no."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.months import month_of, month_text
from serving.assessed.tables import AssessedPerson, AssessedRow, AssessmentHead
from serving.decisions.tables import Flag
from serving.mentoring.tables import KeptApart, Mentorship, SaidNo
from serving.scored.told import gated
from serving.tables import Batch, Facts, Reasons, Score

LIVING = ("offered", "accepted", "running")
"""A rematch leaves these pairs as they are."""
AT_A_TIME = 1000


@dataclass(frozen=True)
class Listed:
    """Somebody warned of decline: by which risk, how probable, and the reasons that push it up."""

    risk: str
    probability: float
    reasons: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Star:
    """A star of the assessment: quarter and level, in standard deviations from the post."""

    quarter: str
    level: float


@dataclass(frozen=True)
class Level:
    """An indicator of somebody: where it stands, and where it stood before, in standard deviations from the post."""

    level: float
    before: float


def newest_list(session: Session, risks: Sequence[str], as_of: dt.date | None) -> dt.date:
    """Return the as-of of the newest list of these risks, or the one asked for; a Refusal where there is none."""
    statement = select(Batch.as_of).where(Batch.risk.in_(risks)).order_by(Batch.as_of.desc()).limit(1)
    found = session.scalar(statement.where(Batch.as_of == as_of) if as_of else statement)
    if found is None:
        month = month_text(month_of(as_of)) if as_of else "YYYY-MM"
        raise Refusal(
            "There is no list of this month to pair from: ask the administrator to have it made. "
            "尚无该月名单，无法结对，请联系管理员生成。",
            [f"{', '.join(risks)} {month}" if as_of else ", ".join(risks)],
            hint=f"Score first: jingxing score --as-of {month}",
        )
    return found


def listed(session: Session, risks: Sequence[str], day: dt.date) -> dict[str, Listed]:
    """Return everyone within the capacity of these risks' lists whose flag nobody dismissed, by officer."""
    statement = (
        select(Batch.risk, Score.officer_id, Score.probability, Reasons.strongest)
        .join(Score, Score.batch_id == Batch.id)
        .join(Reasons, (Reasons.batch_id == Batch.id) & (Reasons.officer_id == Score.officer_id))
        .where(Batch.risk.in_(risks), Batch.as_of == day, Score.rank <= Batch.capacity)
        .order_by(Score.probability)
    )
    dismissed = select(Flag.officer_id).where(Flag.risk.in_(risks), Flag.status == "dismissed")
    away = set(session.scalars(dismissed))
    found = {}
    for risk, officer, probability, strongest in session.execute(statement):
        pushing = tuple(reason for reason in strongest if reason["contribution"] > 0 and gated(reason))
        if officer not in away:
            found[officer] = Listed(risk, probability, pushing)
    return found


def stars(session: Session, after: dt.date, until: dt.date) -> dict[str, Star]:
    """Return the stars of the assessments of some months, each with the newest quarter."""
    heads = session.scalars(
        select(AssessmentHead)
        .where(AssessmentHead.as_of > after, AssessmentHead.as_of <= until)
        .order_by(AssessmentHead.as_of)
    )
    found: dict[str, Star] = {}
    for head in heads:
        rows = select(AssessedRow.cells).where(AssessedRow.assessment_id == head.id, AssessedRow.name == "stars")
        for cells in session.scalars(rows):
            row = dict(zip(head.columns["stars"], cells, strict=True))
            if row["star"]:
                found[row["officer_id"]] = Star(row["quarter"], float(row["level"]))
    return found


def levels(session: Session, until: dt.date, officers: Collection[str]) -> dict[str, dict[str, Level]]:
    """Return the indicators of some officers in the newest assessment by a day, those that count only."""
    newest = select(AssessmentHead).where(AssessmentHead.as_of <= until).order_by(AssessmentHead.as_of.desc())
    head = session.scalar(newest.limit(1))
    found: dict[str, dict[str, Level]] = {}
    if head is None:
        return found
    for some in _chunks(officers):
        statement = select(AssessedPerson.officer_id, AssessedPerson.tables)
        statement = statement.where(AssessedPerson.assessment_id == head.id, AssessedPerson.officer_id.in_(some))
        for officer, tables in session.execute(statement):
            rows = [dict(zip(head.columns["indicators"], cells, strict=True)) for cells in tables.get("indicators", [])]
            found[officer] = {
                row["indicator"]: Level(row["level"], row["level"] if row["before"] is None else row["before"])
                for row in rows
                if row["weight"] and row["level"] is not None
            }
    return found


def facts(session: Session, day: dt.date, officers: Collection[str]) -> dict[str, tuple[str, str, int]]:
    """Return post, unit and months of service of those of some officers who are in the cohort."""
    found: dict[str, tuple[str, str, int]] = {}
    for some in _chunks(officers):
        statement = select(Facts).where(Facts.as_of == day, Facts.officer_id.in_(some))
        for row in session.scalars(statement):
            found[row.officer_id] = (row.post, row.unit, row.tenure_months)
    return found


def living(session: Session) -> Sequence[Mentorship]:
    """Return the pairs that live: offered, accepted or running."""
    return session.scalars(select(Mentorship).where(Mentorship.status.in_(LIVING)).order_by(Mentorship.id)).all()


def refusing(session: Session, day: dt.date) -> set[tuple[str, str]]:
    """Return who does not want to be asked on a day: side and number."""
    statement = select(SaidNo.side, SaidNo.officer_id).where(SaidNo.until >= day)
    return {(side, officer) for side, officer in session.execute(statement)}


def apart(session: Session) -> list[tuple[str, str]]:
    """Return pairs of persons who are never paired: kept apart, refused this pair, or parted in conflict."""
    kept = session.execute(select(KeptApart.one_id, KeptApart.other_id))
    parted = select(Mentorship.mentor_id, Mentorship.mentee_id).where(
        (Mentorship.status == "refused") | (Mentorship.outcome == "conflict")
    )
    return [(one, other) for one, other in (*kept, *session.execute(parted))]


def _chunks(officers: Collection[str]) -> Iterable[list[str]]:
    names = sorted(officers)
    return (names[start : start + AT_A_TIME] for start in range(0, len(names), AT_A_TIME))
