"""What pages and API read from SQL, as values: only what the caller's sight reaches. No model runs here."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, select
from sqlalchemy.orm import Session

from serving.access.roles import Field
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.decisions.seen import flags_seen, with_status
from serving.decisions.standing import (
    Correction,
    corrected,
    corrected_months,
    corrections,
    standing_reasons,
    standing_score,
    standing_strongest,
    without_parts,
)
from serving.decisions.tables import Flag, Rescored
from serving.persons.seen import (
    Known,
    Seen,
    Why,
    health_groups,
    hidden_groups,
    known,
    number_of,
    seen,
    told_reasons,
    why,
)
from serving.scored.kept import Kept
from serving.scored.offered import offers_by_number
from serving.scored.told import average_start, gated, points_per_unit, whose
from serving.scored.withheld import withheld_sums
from serving.tables import Batch, Facts, Reasons, RecommendationRow, Score


@dataclass(frozen=True)
class Entry:
    """One person of a list with the strongest reasons, what is offered first, and the flag that asks for a decision.

    ``flag`` is None beyond the list's capacity, and where the caller may not know the reviews. In a published list
    ``score`` is as it was published; ``correction`` is what was computed anew since, and the reasons are those of it.
    """

    score: Seen
    strongest: Sequence[dict[str, Any]]
    offers: Sequence[RecommendationRow]
    points_per_unit: float
    """Probability per log-odds: turns contributions into points that add up."""
    flag: Flag | None = None
    correction: Correction | None = None
    anew: bool = False
    """Some score of the person was computed anew since the list was made."""
    withheld: float | None = None
    """Log-odds of the health reasons that are not told, where the person withdrew consent."""

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The reasons to name in a row: of those that pass the gate the three that raise most, and the one lowering."""
        firm = [reason for reason in self.strongest if gated(reason)]
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
    """One risk of one person: the score, why, and the scores of the months before.

    ``margin`` is the calibrated log-odds: the base value plus all contributions, also those not shown.
    """

    batch: Batch
    score: Seen
    reasons: Why
    margin: float
    trend: Sequence[tuple[Batch, Seen]]
    next_officer: str | None
    correction: Correction | None = None
    """Where the score was computed anew since its list was published; ``score`` is this one, but for its rank."""
    published: Seen | None = None
    """What was published, where it was corrected since."""

    @property
    def post_mean(self) -> float:
        """The mean probability of those whom ``whose`` says."""
        return float(self.batch.post_means.get(self.score.post or "", self.batch.post_means[""]))

    @property
    def whose(self) -> str:
        """Whose mean stands beside the score, as a key of words."""
        return whose(self.batch, self.score.post)

    @property
    def points_per_unit(self) -> float:
        """Probability per log-odds: turns contributions into points that add up."""
        return points_per_unit(self.batch.base_value, self.score.probability)

    @property
    def start(self) -> float:
        """The probability of the average from which the points start."""
        return average_start(self.batch.base_value)


_unit_views: Kept[list[UnitView]] = Kept()
_posts_seen: Kept[list[str]] = Kept()


def risks(session: Session, sight: Sight) -> dict[str, dict[str, str]]:
    """Return the labels of the risks that have a list, by key."""
    newest: dict[str, dict[str, str]] = {}
    statement = select(Batch).where(sight.lists(Batch.purpose)).order_by(Batch.purpose.desc(), Batch.risk, Batch.as_of)
    for batch in session.scalars(statement):
        newest[batch.risk] = batch.labels["risk"]
    return newest


def months_scored(session: Session, sight: Sight, risk: str) -> list[dt.date]:
    """Return the as-ofs of a risk's lists, the newest first."""
    statement = select(Batch.as_of).where(Batch.risk == risk, sight.lists(Batch.purpose))
    return list(session.scalars(statement.order_by(Batch.as_of.desc())))


def batch_of(session: Session, sight: Sight, risk: str, as_of: dt.date | None = None) -> Batch | None:
    """Return a risk's list of a month, the newest when none is given; None also where it may not be known of."""
    statement = select(Batch).where(Batch.risk == risk, sight.lists(Batch.purpose))
    statement = statement.order_by(Batch.as_of.desc()).limit(1)
    return session.scalar(statement.where(Batch.as_of == as_of) if as_of else statement)


def entries(
    session: Session,
    sight: Sight,
    batch: Batch,
    *,
    unit: str | None = None,
    post: str | None = None,
    status: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Entry]:
    """Return a page of a list by rank, after a rank, of one unit, post or review status only if asked.

    The unranked are not in it.
    """
    joined = and_(Reasons.batch_id == Score.batch_id, Reasons.officer_id == Score.officer_id)
    statement = select(Score, Reasons.strongest).join(Reasons, joined)
    statement = _narrowed(statement, sight, batch, unit=unit, post=post, status=status).where(Score.rank > after)
    found = session.execute(statement.order_by(Score.rank).limit(limit)).all()
    numbers = [score.officer_id for score, _ in found]
    offers = offers_by_number(session, sight, batch.as_of, numbers)
    flags = flags_seen(session, sight, batch, numbers)
    hidden, anew = hidden_groups(session, sight, batch), corrected(session, batch, numbers)
    before, since = corrections(session, batch, numbers)
    untold_sums = withheld_sums(session, sight, batch, numbers, anew)
    health = health_groups(session, batch) if untold_sums else frozenset()
    return [
        Entry(
            score=seen(sight, batch.purpose, _listed_score(score, anew, before=before, since=since)),
            strongest=told_reasons(
                sight,
                batch,
                standing_strongest(strongest, anew.get(score.officer_id)),
                hidden | health if score.officer_id in untold_sums else hidden,
            ),
            offers=offers.get(score.officer_id, []),
            points_per_unit=points_per_unit(
                batch.base_value, standing_score(score, anew.get(score.officer_id)).probability
            ),
            flag=flags.get(score.officer_id),
            correction=since.get(score.officer_id),
            anew=score.officer_id in anew,
            withheld=untold_sums.get(score.officer_id),
        )
        for score, strongest in found
    ]


def _listed_score(
    score: Score, anew: Mapping[str, Rescored], *, before: Mapping[str, Rescored], since: Mapping[str, Correction]
) -> Score:
    """A person's score as the list tells it: as published, else as it stands; no split of what was corrected since."""
    if score.officer_id not in since:
        return standing_score(score, anew.get(score.officer_id))
    return without_parts(standing_score(score, before.get(score.officer_id)))


def how_many(
    session: Session,
    sight: Sight,
    batch: Batch,
    *,
    unit: str | None = None,
    post: str | None = None,
    status: str | None = None,
) -> int:
    """Return how many ranked persons of a list fit."""
    counted = select(func.count()).select_from(Score)
    statement = _narrowed(counted, sight, batch, unit=unit, post=post, status=status)
    return session.scalar(statement.where(Score.rank.is_not(None))) or 0


def unranked(
    session: Session, sight: Sight, batch: Batch, *, unit: str | None = None, post: str | None = None
) -> list[Seen]:
    """Return those of a list whose evidence is insufficient, by number: they have no order."""
    statement = _narrowed(select(Score), sight, batch, unit=unit, post=post).where(Score.rank.is_(None))
    anew, (before, since) = corrected(session, batch), corrections(session, batch)
    held = [_listed_score(score, anew, before=before, since=since) for score in session.scalars(statement)]
    found = [seen(sight, batch.purpose, score) for score in held]
    return sorted(found, key=lambda score: score.officer_id)


def units(session: Session, sight: Sight, batch: Batch) -> list[UnitView]:
    """Return the units of a list that the caller may see, the highest mean risk first."""
    return _unit_views.of(batch, sight, lambda: _units(session, sight, batch))


def _units(session: Session, sight: Sight, batch: Batch) -> list[UnitView]:
    of_all = select(func.count(), func.sum(Score.probability)).where(Score.batch_id == batch.id)
    people, total = session.execute(of_all).one()
    columns = (func.count(), func.sum(Score.probability), func.count().filter(Score.rank <= batch.capacity))
    statement = select(Score.unit, *columns).where(Score.batch_id == batch.id, _places(sight, batch))
    found = session.execute(statement.group_by(Score.unit)).all()
    views = [
        UnitView(unit, count, added / count, (total - added) / max(people - count, 1), listed)
        for unit, count, added, listed in found
    ]
    return sorted(views, key=lambda view: (-view.mean, view.unit))


def posts(session: Session, sight: Sight, batch: Batch) -> list[str]:
    """Return the posts that occur in a list among those whom the caller may see."""
    return _posts_seen.of(batch, sight, lambda: _posts(session, sight, batch))


def _posts(session: Session, sight: Sight, batch: Batch) -> list[str]:
    statement = select(Score.post).where(Score.batch_id == batch.id, _places(sight, batch))
    return list(session.scalars(statement.distinct().order_by(Score.post)))


def moves(session: Session, sight: Sight, batch: Batch) -> tuple[int, int] | None:
    """Return how many came within the list's capacity and how many left it; None without a list before."""
    before = session.scalar(
        select(Batch).where(Batch.risk == batch.risk, Batch.as_of < batch.as_of).order_by(Batch.as_of.desc()).limit(1)
    )
    if before is None:
        return None
    now, then = (_within(session, sight, each) for each in (batch, before))
    return len(now - then), len(then - now)


def mean_within_capacity(session: Session, sight: Sight, batch: Batch) -> float | None:
    """Return the mean probability of those within the list's capacity whom the caller may see; None for nobody."""
    statement = select(func.avg(Score.probability))
    where = statement.where(Score.batch_id == batch.id, Score.rank <= batch.capacity, _persons(sight, batch))
    return session.scalar(where)


def facts_of(session: Session, sight: Sight, officer_id: str, as_of: dt.date | None = None) -> Known | None:
    """Return what is known of a person at a month, the newest when none is given; None also for who may not be seen."""
    reached = sight.persons(officer=Facts.officer_id, unit=Facts.unit)
    number = number_of(session, sight, officer_id)
    statement = select(Facts).where(Facts.officer_id == number, reached).order_by(Facts.as_of.desc()).limit(1)
    found = session.scalar(statement.where(Facts.as_of == as_of) if as_of else statement)
    return known(sight, found) if found else None


def person_risks(session: Session, sight: Sight, officer_id: str, as_of: dt.date) -> list[PersonRisk]:
    """Return every risk of a person at a month that the caller may know of, each with its scores up to then."""
    reached = sight.persons(officer=Score.officer_id, unit=Score.unit)
    number = number_of(session, sight, officer_id)
    statement = (
        select(Batch, Score, Reasons)
        .join(Score, Score.batch_id == Batch.id)
        .join(Reasons, and_(Reasons.batch_id == Batch.id, Reasons.officer_id == Score.officer_id))
        .where(Score.officer_id == number, Batch.as_of == as_of, sight.lists(Batch.purpose), reached)
        .order_by(Batch.purpose.desc(), Batch.risk)
    )
    rows = session.execute(statement).all()
    return [_person_risk(session, sight, batch, score, reasons) for batch, score, reasons in rows]


def _narrowed(
    statement: Select[Any],
    sight: Sight,
    batch: Batch,
    *,
    unit: str | None,
    post: str | None,
    status: str | None = None,
) -> Select[Any]:
    if (unit or post) and Field.PLACE not in sight.fields(batch.purpose):
        raise Problem(Kind.FORBIDDEN, "Your role may not filter by unit or post. 您的角色无权按单位或岗位筛选。")
    statement = statement.where(Score.batch_id == batch.id, _persons(sight, batch))
    if unit:
        statement = statement.where(Score.unit == unit)
    if status:
        statement = statement.where(with_status(sight, batch, status))
    return statement.where(Score.post == post) if post else statement


def _persons(sight: Sight, batch: Batch) -> ColumnElement[bool]:
    """The condition for persons of a list whom the caller may see."""
    if batch.purpose not in sight.purposes:
        return false()
    return sight.persons(officer=Score.officer_id, unit=Score.unit)


def _places(sight: Sight, batch: Batch) -> ColumnElement[bool]:
    """The condition for persons of a list whose unit and post the caller may see."""
    return _persons(sight, batch) if Field.PLACE in sight.fields(batch.purpose) else false()


def _within(session: Session, sight: Sight, batch: Batch) -> set[str]:
    statement = select(Score.officer_id).where(Score.batch_id == batch.id, Score.rank <= batch.capacity)
    return set(session.scalars(statement.where(_persons(sight, batch))))


def _person_risk(session: Session, sight: Sight, batch: Batch, score: Score, reasons: Reasons) -> PersonRisk:
    who = score.officer_id
    anew = corrected(session, batch, [who]).get(who)
    before, since = corrections(session, batch, [who])
    reasons = standing_reasons(reasons, anew, health_groups(session, batch) if anew else frozenset())
    published = _listed_score(score, {}, before=before, since=since) if who in since else None
    withheld = withheld_sums(session, sight, batch, [who], {who: anew} if anew else {}).get(who)
    apart = health_groups(session, batch) if withheld is not None else frozenset()
    hidden = hidden_groups(session, sight, batch) | apart
    return PersonRisk(
        batch=batch,
        score=seen(sight, batch.purpose, standing_score(score, anew)),
        correction=since.get(who),
        published=seen(sight, batch.purpose, published) if published else None,
        reasons=why(sight, batch, reasons, hidden, withheld=withheld, apart=apart),
        margin=float(batch.base_value + sum(reasons.contributions)),
        trend=_trend(session, sight, score.officer_id, batch),
        next_officer=_next(session, sight, batch, score),
    )


def _trend(session: Session, sight: Sight, number: str, batch: Batch) -> list[tuple[Batch, Seen]]:
    statement = (
        select(Batch, Score)
        .join(Score, Score.batch_id == Batch.id)
        .where(Score.officer_id == number, Batch.risk == batch.risk, Batch.as_of <= batch.as_of)
        .where(sight.lists(Batch.purpose), sight.persons(officer=Score.officer_id, unit=Score.unit))
        .order_by(Batch.as_of.desc())
        .limit(24)
    )
    anew = corrected_months(session, batch.risk, number)
    return [
        (each, seen(sight, each.purpose, standing_score(score, anew.get(each.as_of))))
        for each, score in reversed(session.execute(statement).all())
    ]


def _next(session: Session, sight: Sight, batch: Batch, score: Score) -> str | None:
    if score.rank is None:
        return None
    statement = select(Score.officer_id).where(Score.batch_id == batch.id, Score.rank > score.rank)
    number = session.scalar(statement.where(_persons(sight, batch)).order_by(Score.rank).limit(1))
    return sight.shown_id(number, batch.purpose) if number else None
