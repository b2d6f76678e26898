"""What pages and API read from SQL, as values. No model runs here and no history is read."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from serving.tables import Batch, Facts, Reasons, RecommendationRow, Score


@dataclass(frozen=True)
class Entry:
    """One person of a list with the strongest reasons and what is offered first."""

    score: Score
    strongest: Sequence[dict[str, Any]]
    offers: Sequence[RecommendationRow]
    points_per_unit: float
    """Probability per log-odds: turns contributions into points that add up."""

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The reasons to name in a row: of those that pass the gate the three that raise most, and the one lowering."""
        firm = [reason for reason in self.strongest if holds(reason)]
        raising = [reason for reason in firm if reason["contribution"] > 0]
        lowering = [reason for reason in firm if reason["contribution"] < 0]
        return raising[:3] + lowering[:1]


@dataclass(frozen=True)
class UnitView:
    """A unit in a list: people, mean risk, the mean of all others, how many are within capacity."""

    unit: str
    people: int
    mean: float
    others: float
    listed: int


@dataclass(frozen=True)
class PersonRisk:
    """One risk of one person: the score, why, and the scores of the months before."""

    batch: Batch
    score: Score
    reasons: Reasons
    trend: Sequence[tuple[Batch, Score]]
    next_officer: str | None

    @property
    def post_mean(self) -> float:
        """The mean probability of the person's post."""
        return float(self.batch.post_means.get(self.score.post, self.batch.post_means[""]))

    @property
    def points_per_unit(self) -> float:
        """Probability per log-odds: turns contributions into points that add up."""
        return points_per_unit(self.batch.base_value, self.score.probability)

    @property
    def start(self) -> float:
        """The probability of the average from which the points start."""
        return 1 / (1 + math.exp(-self.batch.base_value))

    @property
    def margin(self) -> float:
        """The calibrated log-odds: the base value plus all contributions."""
        return float(self.batch.base_value + sum(self.reasons.contributions))


def risks(session: Session) -> dict[str, dict[str, str]]:
    """Return the labels of the risks that have a list, by key."""
    newest: dict[str, dict[str, str]] = {}
    for batch in session.scalars(select(Batch).order_by(Batch.purpose.desc(), Batch.risk, Batch.as_of)):
        newest[batch.risk] = batch.labels["risk"]
    return newest


def months_scored(session: Session, risk: str) -> list[dt.date]:
    """Return the as-ofs of a risk's lists, the newest first."""
    statement = select(Batch.as_of).where(Batch.risk == risk).order_by(Batch.as_of.desc())
    return list(session.scalars(statement))


def batch_of(session: Session, risk: str, as_of: dt.date | None = None) -> Batch | None:
    """Return a risk's list of a month, the newest when none is given."""
    statement = select(Batch).where(Batch.risk == risk).order_by(Batch.as_of.desc()).limit(1)
    return session.scalar(statement.where(Batch.as_of == as_of) if as_of else statement)


def entries(
    session: Session,
    batch: Batch,
    *,
    unit: str | None = None,
    post: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Entry]:
    """Return a page of a list by rank, after a rank, of one unit or post only if asked; the unranked are not in it."""
    joined = and_(Reasons.batch_id == Score.batch_id, Reasons.officer_id == Score.officer_id)
    statement = select(Score, Reasons.strongest).join(Reasons, joined)
    statement = _narrowed(statement, batch, unit, post).where(Score.rank > after)
    found = session.execute(statement.order_by(Score.rank).limit(limit)).all()
    offers = offers_of(session, batch.as_of, [score.officer_id for score, _ in found])
    return [
        Entry(
            score=score,
            strongest=strongest,
            offers=offers.get(score.officer_id, []),
            points_per_unit=points_per_unit(batch.base_value, score.probability),
        )
        for score, strongest in found
    ]


def how_many(session: Session, batch: Batch, *, unit: str | None = None, post: str | None = None) -> int:
    """Return how many ranked persons of a list fit."""
    statement = _narrowed(select(func.count()).select_from(Score), batch, unit, post)
    return session.scalar(statement.where(Score.rank.is_not(None))) or 0


def unranked(session: Session, batch: Batch, *, unit: str | None = None, post: str | None = None) -> list[Score]:
    """Return those of a list whose evidence is insufficient, by number: they have no order."""
    statement = _narrowed(select(Score), batch, unit, post).where(Score.rank.is_(None))
    return list(session.scalars(statement.order_by(Score.officer_id)))


def holds(reason: dict[str, Any]) -> bool:
    """Return whether a stored reason passes the reason gate; lists older than the gate show all."""
    return bool(reason.get("stable", True))


def offers_of(session: Session, as_of: dt.date, officers: Sequence[str]) -> dict[str, list[RecommendationRow]]:
    """Return the recommendations of some officers at a month, by officer."""
    table = RecommendationRow
    statement = select(table).where(table.as_of == as_of, table.officer_id.in_(officers))
    offers: dict[str, list[RecommendationRow]] = {}
    for row in session.scalars(statement.order_by(table.officer_id, table.position)):
        offers.setdefault(row.officer_id, []).append(row)
    return offers


def units(session: Session, batch: Batch) -> list[UnitView]:
    """Return every unit of a list, the highest mean risk first."""
    statement = (
        select(
            Score.unit,
            func.count(),
            func.sum(Score.probability),
            func.count().filter(Score.rank <= batch.capacity),
        )
        .where(Score.batch_id == batch.id)
        .group_by(Score.unit)
    )
    found = session.execute(statement).all()
    people, total = sum(row[1] for row in found), sum(row[2] for row in found)
    views = [
        UnitView(unit, count, added / count, (total - added) / max(people - count, 1), listed)
        for unit, count, added, listed in found
    ]
    return sorted(views, key=lambda view: (-view.mean, view.unit))


def posts(session: Session, batch: Batch) -> list[str]:
    """Return the posts that occur in a list."""
    statement = select(Score.post).where(Score.batch_id == batch.id).distinct().order_by(Score.post)
    return list(session.scalars(statement))


def moves(session: Session, batch: Batch) -> tuple[int, int] | None:
    """Return how many came within the list's capacity and how many left it; None without a list before."""
    before = session.scalar(
        select(Batch).where(Batch.risk == batch.risk, Batch.as_of < batch.as_of).order_by(Batch.as_of.desc()).limit(1)
    )
    if before is None:
        return None
    now, then = (_within(session, each) for each in (batch, before))
    return len(now - then), len(then - now)


def mean_within_capacity(session: Session, batch: Batch) -> float:
    """Return the mean probability of those within the list's capacity."""
    statement = select(func.avg(Score.probability))
    where = statement.where(Score.batch_id == batch.id, Score.rank <= batch.capacity)
    return float(session.scalar(where) or 0.0)


def facts_of(session: Session, officer_id: str, as_of: dt.date | None = None) -> Facts | None:
    """Return what is known of a person at a month, the newest when none is given."""
    statement = select(Facts).where(Facts.officer_id == officer_id).order_by(Facts.as_of.desc()).limit(1)
    return session.scalar(statement.where(Facts.as_of == as_of) if as_of else statement)


def person_risks(session: Session, officer_id: str, as_of: dt.date) -> list[PersonRisk]:
    """Return every risk of a person at a month, each with its scores up to then."""
    statement = (
        select(Batch, Score, Reasons)
        .join(Score, Score.batch_id == Batch.id)
        .join(Reasons, and_(Reasons.batch_id == Batch.id, Reasons.officer_id == Score.officer_id))
        .where(Score.officer_id == officer_id, Batch.as_of == as_of)
        .order_by(Batch.purpose.desc(), Batch.risk)
    )
    return [
        PersonRisk(batch, score, reasons, _trend(session, officer_id, batch), _next(session, batch, score))
        for batch, score, reasons in session.execute(statement)
    ]


def points_per_unit(base_value: float, probability: float) -> float:
    """Return by how much probability each log-odds of a contribution stands for, so that all add up.

    The way from the average (base value) to the person is shared in proportion to the contributions.
    """
    bounded = min(max(probability, 1e-12), 1 - 1e-12)
    margin, start = math.log(bounded / (1 - bounded)), 1 / (1 + math.exp(-base_value))
    if abs(margin - base_value) < 1e-9:
        return bounded * (1 - bounded)
    return (probability - start) / (margin - base_value)


def _narrowed(statement: Select[Any], batch: Batch, unit: str | None, post: str | None) -> Select[Any]:
    statement = statement.where(Score.batch_id == batch.id)
    if unit:
        statement = statement.where(Score.unit == unit)
    return statement.where(Score.post == post) if post else statement


def _within(session: Session, batch: Batch) -> set[str]:
    statement = select(Score.officer_id)
    return set(session.scalars(statement.where(Score.batch_id == batch.id, Score.rank <= batch.capacity)))


def _trend(session: Session, officer_id: str, batch: Batch) -> list[tuple[Batch, Score]]:
    statement = (
        select(Batch, Score)
        .join(Score, Score.batch_id == Batch.id)
        .where(Score.officer_id == officer_id, Batch.risk == batch.risk, Batch.as_of <= batch.as_of)
        .order_by(Batch.as_of.desc())
        .limit(24)
    )
    return [(each, score) for each, score in session.execute(statement)][::-1]


def _next(session: Session, batch: Batch, score: Score) -> str | None:
    if score.rank is None:
        return None
    statement = select(Score.officer_id).where(Score.batch_id == batch.id, Score.rank > score.rank)
    return session.scalar(statement.order_by(Score.rank).limit(1))
