"""Mentorships as a caller may see them: pairs within reach, and what is not within reach left out of them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, union
from sqlalchemy.orm import Session

from serving.access.roles import SCOPE_OF, Reach
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.mentoring.lifecycle import agreed_by, steps_of
from serving.mentoring.tables import MentoringRound, Mentorship, MentorshipStep, Unmatched
from serving.tables import Words
from serving.words import same

MOST = 500
OWN = ("offered", "accepted", "running")
"""States in which the two know of it."""


@dataclass(frozen=True)
class Pair:
    """A mentorship with its steps, the newest first.

    Where the mentee is not within reach there is a pseudonym, and no post, unit, reason, parts or steps.
    """

    row: Mentorship
    mentee_id: str
    mentee_post: str | None
    mentee_unit: str | None
    reason: Words | None
    parts: dict[str, float]
    instead: list[dict[str, Any]]
    steps: list[MentorshipStep]


@dataclass(frozen=True)
class Mine:
    """A mentorship as one of the two sees it: which side, with whom, why (the mentee alone), and who said yes."""

    row: Mentorship
    side: str
    other_id: str
    other_place: tuple[str, str]
    """Unit and post of the other one."""
    reason: Words | None
    agreed: frozenset[str]


@dataclass(frozen=True)
class RoundNow:
    """How many of those warned in a round there are, how many of them have a pair now, and its mean fit."""

    warned: int
    paired: int
    fit: float


@dataclass(frozen=True)
class Without:
    """Somebody who stays without in a round, and why; other persons are named to those only who see the force."""

    officer_id: str
    side: str
    kind: str
    post: str
    unit: str
    reason: Words
    needs: list[str]


def newest_round(session: Session, sight: Sight) -> MentoringRound | None:
    """Return the newest round of matching whose purpose the caller may know of."""
    statement = select(MentoringRound).where(sight.lists(MentoringRound.purpose))
    return session.scalar(statement.order_by(MentoringRound.id.desc()).limit(1))


def round_now(session: Session, made: MentoringRound, *, states: Sequence[str]) -> RoundNow:
    """Return what became of those warned in a round; ``states`` are those of a pair that is there."""
    proposed = select(Mentorship.mentee_id).where(Mentorship.round_id == made.id)
    left = select(Unmatched.officer_id).where(Unmatched.round_id == made.id, Unmatched.side == "mentee")
    warned = union(proposed, left).subquery()
    there = select(func.count(Mentorship.mentee_id.distinct()), func.avg(Mentorship.fit)).where(
        Mentorship.status.in_(states), Mentorship.mentee_id.in_(select(warned.c[0]))
    )
    paired, fit = session.execute(there).one()
    return RoundNow(session.scalar(select(func.count()).select_from(warned)) or 0, paired, float(fit or 0.0))


def pairs_seen(
    session: Session,
    sight: Sight,
    *,
    status: Sequence[str] = (),
    as_of: dt.date | None = None,
    unit: str | None = None,
    after: int = 0,
    limit: int = MOST,
) -> list[Pair]:
    """Return mentorships within reach by number, of some states, a month or a unit where given."""
    statement = select(Mentorship).where(*_within(sight), Mentorship.id > after)
    if status:
        statement = statement.where(Mentorship.status.in_(status))
    if as_of is not None:
        statement = statement.where(Mentorship.as_of == as_of)
    if unit is not None:
        mentee, mentor = _sides(sight)  # a unit is asked of those alone whose unit the caller may see
        there = or_(mentee & (Mentorship.mentee_unit == unit), mentor & (Mentorship.mentor_unit == unit))
        statement = statement.where(there)
    rows = session.scalars(statement.order_by(Mentorship.id).limit(limit)).all()
    steps = steps_of(session, [row.id for row in rows])
    return [_pair(sight, row, steps.get(row.id, [])) for row in rows]


def pair_seen(session: Session, sight: Sight, number: int) -> Pair:
    """Return one mentorship; a Problem where there is none within reach."""
    row = session.scalar(select(Mentorship).where(*_within(sight), Mentorship.id == number))
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such mentorship. 没有这一结对。")
    return _pair(sight, row, steps_of(session, [row.id]).get(row.id, []))


def pairs_of(session: Session, sight: Sight, officer_id: str, *, status: Sequence[str]) -> Sequence[Mentorship]:
    """Return the mentorships of a person, where this very person is within reach on that side."""
    mentee, mentor = _sides(sight)
    either = or_(mentee & (Mentorship.mentee_id == officer_id), mentor & (Mentorship.mentor_id == officer_id))
    statement = select(Mentorship).where(sight.lists(Mentorship.purpose), either, Mentorship.status.in_(status))
    return session.scalars(statement.order_by(Mentorship.id)).all()


def own_pairs(session: Session, officer_id: str, *, status: Sequence[str] = OWN) -> list[Mine]:
    """Return the mentorships of one person, from the day on which they were offered."""
    either = or_(Mentorship.mentee_id == officer_id, Mentorship.mentor_id == officer_id)
    statement = select(Mentorship).where(either, Mentorship.status.in_(status)).order_by(Mentorship.id)
    rows = session.scalars(statement).all()
    agreed = agreed_by(session, [row.id for row in rows])
    return [_mine(row, officer_id, frozenset(agreed.get(row.id, ()))) for row in rows]


def _mine(row: Mentorship, officer_id: str, agreed: frozenset[str]) -> Mine:
    if row.mentee_id == officer_id:
        return Mine(row, "mentee", row.mentor_id, (row.mentor_unit, row.mentor_post), row.reason, agreed)
    return Mine(row, "mentor", row.mentee_id, (row.mentee_unit, row.mentee_post), None, agreed)


def unmatched_seen(session: Session, sight: Sight, made: MentoringRound) -> list[Without]:
    """Return who stays without in a round, within reach: mentees first."""
    statement = select(Unmatched).where(
        Unmatched.round_id == made.id, sight.persons(officer=Unmatched.officer_id, unit=Unmatched.unit)
    )
    rows = session.scalars(statement.order_by(Unmatched.side, Unmatched.kind, Unmatched.officer_id))
    names = ("officer_id", "side", "kind", "post", "unit", "needs")
    return [Without(**{name: getattr(row, name) for name in names}, reason=_told(sight, row)) for row in rows]


def whole_force(sight: Sight) -> bool:
    """Return whether the caller sees everybody, so that other persons may be named in a reason."""
    return SCOPE_OF[sight.role] is Reach.FORCE


def _within(sight: Sight) -> tuple[ColumnElement[bool], ...]:
    return sight.lists(Mentorship.purpose), or_(*_sides(sight))


def _sides(sight: Sight) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions for a mentee, and for a mentor, within reach."""
    mentee = sight.persons(officer=Mentorship.mentee_id, unit=Mentorship.mentee_unit)
    mentor = sight.persons(officer=Mentorship.mentor_id, unit=Mentorship.mentor_unit)
    return mentee, mentor


def _told(sight: Sight, row: Unmatched) -> Words:
    """Why somebody stays without; where it names others, in general terms for those who may not see these."""
    return row.reason if row.kind != "taken" or whole_force(sight) else same("unmatched_taken_plain")


def _pair(sight: Sight, row: Mentorship, steps: list[MentorshipStep]) -> Pair:
    everyone = whole_force(sight)
    mine = everyone or row.mentee_unit in sight.units
    if not mine:
        return Pair(row, sight.pseudonym(row.mentee_id), None, None, reason=None, parts={}, instead=[], steps=[])
    instead = row.instead if everyone else []
    place = (row.mentee_post, row.mentee_unit)
    return Pair(row, row.mentee_id, *place, reason=row.reason, parts=row.parts, instead=instead, steps=steps)
