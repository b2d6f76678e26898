"""Mentorships as a caller may see them: pairs within reach, and what is not within reach left out of them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from serving.access.roles import SCOPE_OF, Reach
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.mentoring.lifecycle import steps_of
from serving.mentoring.tables import MentoringRound, Mentorship, MentorshipStep, Unmatched
from serving.tables import Words
from serving.words import same

MOST = 500


@dataclass(frozen=True)
class Pair:
    """A mentorship with its steps, the newest first.

    Where the mentee is not within reach there is a pseudonym, and no reason, parts or steps.
    """

    row: Mentorship
    mentee_id: str
    reason: Words | None
    parts: dict[str, float]
    instead: list[dict[str, Any]]
    steps: list[MentorshipStep]


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
        statement = statement.where(or_(Mentorship.mentee_unit == unit, Mentorship.mentor_unit == unit))
    rows = session.scalars(statement.order_by(Mentorship.id).limit(limit)).all()
    steps = steps_of(session, [row.id for row in rows])
    return [_pair(sight, row, steps.get(row.id, [])) for row in rows]


def pair_seen(session: Session, sight: Sight, number: int) -> Pair:
    """Return one mentorship; a Problem where there is none within reach."""
    row = session.scalar(select(Mentorship).where(*_within(sight), Mentorship.id == number))
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such mentorship. 没有这一结对。")
    return _pair(sight, row, steps_of(session, [row.id]).get(row.id, []))


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
    mentee = sight.persons(officer=Mentorship.mentee_id, unit=Mentorship.mentee_unit)
    mentor = sight.persons(officer=Mentorship.mentor_id, unit=Mentorship.mentor_unit)
    return sight.lists(Mentorship.purpose), or_(mentee, mentor)


def _told(sight: Sight, row: Unmatched) -> Words:
    """Why somebody stays without; where it names others, in general terms for those who may not see these."""
    return row.reason if row.kind != "taken" or whole_force(sight) else same("unmatched_taken_plain")


def _pair(sight: Sight, row: Mentorship, steps: list[MentorshipStep]) -> Pair:
    everyone = whole_force(sight)
    mine = everyone or row.mentee_unit in sight.units
    if not mine:
        return Pair(row, sight.pseudonym(row.mentee_id), reason=None, parts={}, instead=[], steps=[])
    instead = row.instead if everyone else []
    return Pair(row, row.mentee_id, reason=row.reason, parts=row.parts, instead=instead, steps=steps)
