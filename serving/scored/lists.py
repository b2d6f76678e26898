"""A scored list as a value, and how it is written to SQL: whole, replacing that risk's list of that month.

A list that is replaced by another (new data, model or policy) is kept in superseded_lists. A published list is never
replaced: its month scored anew is kept beside it, in superseded_lists with a higher run.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, aliased

from features.months import month_end
from features.statistics import FEWEST
from serving.decisions.tables import Published
from serving.effects.reading import benefits
from serving.tables import (
    Batch,
    Facts,
    ProfileRow,
    Reasons,
    RecommendationRow,
    Score,
    SupersededList,
    UnitShareRow,
)
from training.models.evidence import SUFFICIENT

AT_A_TIME = 5000
"""Rows a bulk insert sends at a time."""
RUNS_KEPT = 12
"""So many of the newest superseded lists are kept of each risk and month; a published list is never superseded."""
BY_RANK = (Score.rank.is_(None), Score.rank, Score.probability.desc(), Score.officer_id)
"""The order of a list: by rank, then those without one."""
WELLNESS = "wellness"
PARTS = ("part_post", "part_unit", "part_person")
KEPT_COLUMNS = ("officer_id", "post", "unit", "probability", "low", "high", "rank", "evidence", *PARTS)
"""What is kept of each person of a superseded list, in the order of officer_id."""
MADE_OF = ("model_version", "known_digest", "profile_digest")
"""Two scorings of a month that have these in common are the same list."""


@dataclass(frozen=True)
class ScoredPerson:
    """One person of a list; ``contributions`` in the order of ScoredList.groups, log-odds."""

    officer_id: str
    post: str
    unit: str
    probability: float
    low: float
    high: float
    rank: int | None
    contributions: Sequence[float]
    strongest: Sequence[dict[str, Any]]
    history: dict[str, list[float | None]] = field(default_factory=dict)
    part_post: float | None = None
    part_unit: float | None = None
    part_person: float | None = None
    evidence: str = SUFFICIENT


@dataclass(frozen=True)
class ScoredUnit:
    """A unit of a list as unit_shares holds it."""

    unit: str
    people: int
    elevated: float
    shared: float
    verdict: str
    carried: Sequence[dict[str, Any]]
    levers: Sequence[dict[str, str]]


@dataclass(frozen=True)
class ScoredList:
    """The cohort scored for one risk at one month, with what a page needs to tell it."""

    risk: str
    as_of: int
    model_version: str
    capacity: int
    horizon_months: int
    purpose: str
    recorded_until: dt.date
    profile_digest: str
    base_value: float
    groups: Sequence[str]
    labels: dict[str, Any]
    people: Sequence[ScoredPerson]
    months: Sequence[str] = ()
    medians: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    histories_version: str | None = None
    known_digest: str | None = None
    served: dict[str, Any] | None = None
    profile: dict[str, Any] | None = None
    units: Sequence[ScoredUnit] = ()


@dataclass(frozen=True)
class PersonFacts:
    """What is known of a person at a month besides the risks."""

    officer_id: str
    post: str
    unit: str
    tenure_months: int
    dimensions: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """One thing to offer: what, why, who decides.

    ``purpose`` is that of the risk or the records it answers: wellness, unless it is known not to be.
    """

    officer_id: str
    action: str
    kind: str
    label: dict[str, str]
    reason: dict[str, str]
    why: dict[str, str]
    owner: str
    decides: str
    opening: dict[str, str] | None = None
    by_right: bool = False
    mentor_id: str | None = None
    purpose: str = WELLNESS


def store_list(session: Session, scored: ScoredList) -> Batch:
    """Write a list, replacing the draft of the same risk and month; ranks are linked to the lists around it.

    The one replaced is kept in superseded_lists, unless it came from the same data, model and profile. A published one
    is returned as it is: what was scored now is kept beside it.
    """
    as_of = month_end(scored.as_of)
    published = _published_list(session, scored.risk, as_of)
    if published is not None:
        _keep_beside(session, scored, published)
        return published
    run = _set_aside(session, scored, as_of)
    batch = Batch(
        risk=scored.risk,
        as_of=as_of,
        model_version=scored.model_version,
        scored_at=dt.datetime.now(dt.UTC),
        cohort=len(scored.people),
        capacity=scored.capacity,
        horizon_months=scored.horizon_months,
        purpose=scored.purpose,
        recorded_until=scored.recorded_until,
        profile_digest=scored.profile_digest,
        base_value=scored.base_value,
        groups=list(scored.groups),
        labels=scored.labels,
        post_means=_post_means(scored.people),
        months=list(scored.months),
        medians=scored.medians,
        run=run,
        histories_version=scored.histories_version,
        known_digest=scored.known_digest,
        served=scored.served,
    )
    session.add(batch)
    if scored.profile is not None:
        session.merge(ProfileRow(digest=scored.profile_digest, content=scored.profile))
    session.flush()
    _insert(session, Score, (_score_row(batch.id, person) for person in scored.people))
    _insert(session, Reasons, (_reasons_row(batch.id, person) for person in scored.people))
    _insert(session, UnitShareRow, ({"batch_id": batch.id, **vars(unit)} for unit in scored.units))
    link_ranks(session, batch)
    return batch


def store_facts(session: Session, as_of: int, facts: Iterable[PersonFacts]) -> None:
    """Write the facts of a month, replacing those that were there; those of a published list stay as they are."""
    day = month_end(as_of)
    if month_published(session, day):
        return
    session.execute(delete(Facts).where(Facts.as_of == day))
    _insert(session, Facts, ({"as_of": day, **vars(fact)} for fact in facts))


def store_recommendations(session: Session, as_of: int, offers: Iterable[Recommendation]) -> int:
    """Write the recommendations of a month, replacing those that were there; return how many.

    What a published list offered stays as it is, and nothing is written.
    """
    day = month_end(as_of)
    if month_published(session, day):
        return 0
    session.execute(delete(RecommendationRow).where(RecommendationRow.as_of == day))
    return insert_recommendations(session, day, offers)


def insert_recommendations(session: Session, day: dt.date, offers: Iterable[Recommendation]) -> int:
    """Write recommendations with their expected change of the risk, in the order given; return how many."""
    positions: dict[str, int] = {}
    rows, offered = [], list(offers)
    expected = _expected(session, day, {offer.action for offer in offered})
    for offer in offered:
        positions[offer.officer_id] = positions.get(offer.officer_id, 0) + 1
        change = expected.get((offer.action, offer.purpose, offer.officer_id))
        rows.append({"as_of": day, "position": positions[offer.officer_id], **vars(offer), "benefit": change})
    _insert(session, RecommendationRow, rows)
    return len(rows)


def _expected(session: Session, day: dt.date, actions: Set[str]) -> dict[tuple[str, str, str], float]:
    """(action, purpose, officer) -> the expected change of the probability, where effects were told and estimable.

    No more than the person's own risk can be spared.
    """
    found: dict[tuple[str, str, str], float] = {}
    scores = select(Batch.risk, Score.officer_id, Score.probability).join(Score, Score.batch_id == Batch.id)
    at = {(risk, officer): own for risk, officer, own in session.execute(scores.where(Batch.as_of == day))}
    for risk, purpose in session.execute(select(Batch.risk, Batch.purpose).distinct().order_by(Batch.risk)):
        for action in actions:
            for officer, told in benefits(session, day, action, risk=risk).items():
                if told.benefit is not None:
                    change = -min(told.benefit, at.get((risk, officer), 1.0))
                    found.setdefault((action, purpose, officer), change)
    return found


def month_published(session: Session, as_of: dt.date) -> bool:
    """Return whether any list of a month is out."""
    return session.scalar(select(Published.id).where(Published.as_of == as_of).limit(1)) is not None


def contributions_digest(rows: Sequence[Sequence[float]]) -> str:
    """Return the SHA-256 of contributions [person by officer_id, group], to the bit."""
    return hashlib.sha256(np.asarray(rows, dtype="<f8").tobytes()).hexdigest()


def _published_list(session: Session, risk: str, as_of: dt.date) -> Batch | None:
    joined = select(Batch).join(Published, Published.batch_id == Batch.id)
    return session.scalar(joined.where(Batch.risk == risk, Batch.as_of == as_of))


def _keep_beside(session: Session, scored: ScoredList, published: Batch) -> None:
    """Keep a scoring of a published month as the next run, unless the newest came of the same."""
    table = SupersededList
    same = (table.risk == published.risk) & (table.as_of == published.as_of) & (table.run > published.run)
    newest: Batch | SupersededList = (
        session.scalar(select(table).where(same).order_by(table.run.desc()).limit(1)) or published
    )
    if all(getattr(newest, name) == getattr(scored, name) for name in MADE_OF):
        return
    if scored.profile is not None:
        session.merge(ProfileRow(digest=scored.profile_digest, content=scored.profile))
    people = sorted(scored.people, key=lambda person: person.officer_id)
    names = ("risk", "model_version", "histories_version", "known_digest", "profile_digest", "capacity", "base_value",
             "served")  # fmt: skip
    now = dt.datetime.now(dt.UTC)
    row = table(
        **{name: getattr(scored, name) for name in names},
        as_of=published.as_of,
        run=newest.run + 1,
        scored_at=now,
        superseded_at=now,
        groups=list(scored.groups),
        people={name: [getattr(person, name) for person in people] for name in KEPT_COLUMNS},
        contributions_digest=contributions_digest([person.contributions for person in people]),
    )
    session.add(row)
    _forget_oldest(session, row)


def _set_aside(session: Session, scored: ScoredList, as_of: dt.date) -> int:
    """Take the present list away, keeping what differs in data, model or profile; return the new list's run."""
    held = session.scalar(select(Batch).where(Batch.risk == scored.risk, Batch.as_of == as_of))
    if held is None:
        return 1
    run = held.run
    if any(getattr(held, name) != getattr(scored, name) for name in MADE_OF):
        session.add(_superseded(session, held))
        _forget_oldest(session, held)
        run += 1
    session.flush()
    session.execute(delete(Batch).where(Batch.id == held.id))
    session.expunge(held)
    return run


def _superseded(session: Session, held: Batch) -> SupersededList:
    kept = ("risk", "as_of", "run", "model_version", "scored_at", "histories_version", "known_digest",
            "profile_digest", "capacity", "base_value", "groups", "served")  # fmt: skip
    people, digest = set_aside_value(session, held)
    return SupersededList(
        **{name: getattr(held, name) for name in kept},
        superseded_at=dt.datetime.now(dt.UTC),
        people=people,
        contributions_digest=digest,
    )


def set_aside_value(session: Session, held: Batch) -> tuple[dict[str, list[Any]], str]:
    """Return a list's KEPT_COLUMNS in the order of officer_id, and the digest of its contributions."""
    columns = [getattr(Score, name) for name in KEPT_COLUMNS]
    joined = (Reasons.batch_id == Score.batch_id) & (Reasons.officer_id == Score.officer_id)
    statement = select(*columns, Reasons.contributions).join(Reasons, joined).where(Score.batch_id == held.id)
    rows = sorted(session.execute(statement).all(), key=lambda row: str(row[0]))  # databases sort text differently
    values = {name: [row[place] for row in rows] for place, name in enumerate(KEPT_COLUMNS)}
    return values, contributions_digest([row[-1] for row in rows])


def _forget_oldest(session: Session, newest: Batch | SupersededList) -> None:
    table = SupersededList
    same = (table.risk == newest.risk) & (table.as_of == newest.as_of)
    session.execute(delete(table).where(same, table.run <= newest.run - RUNS_KEPT))


def _post_means(people: Sequence[ScoredPerson]) -> dict[str, float]:
    """The mean of each post of FEWEST persons or more, which tells of nobody; under '' that of all, for the others."""
    by_post: dict[str, list[float]] = {"": [person.probability for person in people]}
    for person in people:
        by_post.setdefault(person.post, []).append(person.probability)
    return {post: sum(values) / len(values) for post, values in by_post.items() if len(values) >= FEWEST or post == ""}


def _score_row(batch: int, person: ScoredPerson) -> dict[str, Any]:
    names = ("officer_id", "post", "unit", "probability", "low", "high", "rank", "evidence", *PARTS)
    return {"batch_id": batch, **{name: getattr(person, name) for name in names}}


def _reasons_row(batch: int, person: ScoredPerson) -> dict[str, Any]:
    return {
        "batch_id": batch,
        "officer_id": person.officer_id,
        "contributions": list(person.contributions),
        "strongest": list(person.strongest),
        "history": person.history,
    }


def _insert(session: Session, table: Any, rows: Iterable[dict[str, Any]]) -> None:
    waiting = list(rows)
    for start in range(0, len(waiting), AT_A_TIME):
        session.execute(insert(table), waiting[start : start + AT_A_TIME])


def link_ranks(session: Session, batch: Batch) -> None:
    """Write into a list the ranks of the one before it, and its own into the one after, also when scored later.

    A published list keeps what it said of the list before.
    """
    same = select(Batch.id).where(Batch.risk == batch.risk)
    before = session.scalar(same.where(Batch.as_of < batch.as_of).order_by(Batch.as_of.desc()).limit(1))
    after = session.scalar(same.where(Batch.as_of > batch.as_of).order_by(Batch.as_of).limit(1))
    for older, newer in ((before, batch.id), (batch.id, after)):
        if older is not None and newer is not None and not _is_published(session, newer):
            earlier = aliased(Score)
            rank = select(earlier.rank).where(earlier.batch_id == older, earlier.officer_id == Score.officer_id)
            statement = update(Score).where(Score.batch_id == newer)
            session.execute(
                statement.values(previous_rank=rank.scalar_subquery()),
                execution_options={"synchronize_session": False},
            )


def _is_published(session: Session, batch: int) -> bool:
    return session.scalar(select(Published.id).where(Published.batch_id == batch)) is not None
