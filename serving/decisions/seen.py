"""Flags, reviews and feedback as a caller may reach them: the purpose firewall as conditions of the queries."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from serving.access.roles import Field, Role
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.decisions.flags import EXPIRED, flags_of
from serving.decisions.reviews import Decision
from serving.decisions.tables import Feedback, Flag, HelpRequest, Review
from serving.persons.seen import hidden_groups, number_of
from serving.tables import Batch, Score

STATUS_WORDS = {"open": "status_open", "acted": "status_acted", "watched": "status_watched",
                "dismissed": "status_dismissed", "expired": "status_expired"}  # fmt: skip
"""A flag's status -> its word in words.toml."""
DECIDED = ("acted", "watched", "dismissed")
NO_FLAG = "There is no such flag. 没有这一提示。"
OWN_FLAG = "It is about yourself: somebody else decides. 这是对您本人的提示，须由他人处理。"
NOBODY = "Nobody of this number is on a list of this risk and month. 该名单中没有此人。"


@dataclass(frozen=True)
class ReviewerCount:
    """How one reviewer decided so far."""

    by: str
    reviews: int
    acted: int
    watched: int
    dismissed: int


def reviewed_purposes(sight: Sight) -> tuple[str, ...]:
    """Return the purposes of whose flags the caller may know the reviews."""
    return tuple(purpose for purpose in sight.purposes if Field.REVIEWS in sight.fields(purpose))


def flag_seen(session: Session, sight: Sight, flag_id: int) -> Flag:
    """Return a flag that the caller may decide on; one that may not be known of is not found, one's own is refused."""
    statement = select(Flag).where(Flag.id == flag_id, Flag.purpose.in_(reviewed_purposes(sight)))
    flag = session.scalar(statement)
    if flag is None or not _reached(session, sight, flag):
        raise Problem(Kind.NOT_FOUND, NO_FLAG)
    if flag.officer_id == sight.officer_id:
        raise Problem(Kind.FORBIDDEN, OWN_FLAG)
    return flag


def flags_seen(session: Session, sight: Sight, batch: Batch, officers: Sequence[str]) -> dict[str, Flag]:
    """Return the flags of a list's officers by number; none where the caller may not know the reviews."""
    if Field.REVIEWS not in sight.fields(batch.purpose) or not officers:
        return {}
    return flags_of(session, batch, officers)


def with_status(sight: Sight, batch: Batch, status: str) -> ColumnElement[bool]:
    """Return the condition for persons of a list whose flag has a status; refused to whom reviews are hidden."""
    if Field.REVIEWS not in sight.fields(batch.purpose):
        raise Problem(Kind.FORBIDDEN, "Your role may not filter by review. 您的角色无权按处理状态筛选。")
    flags = select(Flag.officer_id).where(
        Flag.risk == batch.risk,
        Flag.raised_on <= batch.as_of,
        Flag.renewed_on >= batch.as_of,
        Flag.status == status,
    )
    chosen: ColumnElement[bool] = Score.officer_id.in_(flags)
    return chosen


def progress(session: Session, sight: Sight, batch: Batch) -> tuple[int, int] | None:
    """Return of how many persons within a list's capacity the flag was decided, and of how many there is one.

    Who was named by lists around this one, but not by it, is not counted. None to whom reviews are hidden.
    """
    if Field.REVIEWS not in sight.fields(batch.purpose):
        return None
    reviewed = exists().where(Review.flag_id == Flag.id)
    decided = or_(Flag.status.in_(DECIDED), and_(Flag.status == EXPIRED, reviewed))
    of_list = and_(Flag.risk == batch.risk, Flag.officer_id == Score.officer_id)
    lived = and_(Flag.raised_on <= batch.as_of, Flag.renewed_on >= batch.as_of)
    statement = (
        select(func.count().filter(decided), func.count())
        .select_from(Score)
        .join(Flag, and_(of_list, lived))
        .where(Score.batch_id == batch.id, Score.rank <= batch.capacity)
    )
    done, all_ = session.execute(statement).one()
    return done, all_


def asking(session: Session, sight: Sight) -> list[str]:
    """Return who asks for help and has no answer yet, the longest waiting first: for the wellness team alone."""
    if "wellness" not in reviewed_purposes(sight) or sight.role is Role.OFFICER:
        return []
    statement = select(HelpRequest.officer_id).where(HelpRequest.answered_at.is_(None))
    return list(dict.fromkeys(session.scalars(statement.order_by(HelpRequest.made_at, HelpRequest.id))))


def told_of(session: Session, sight: Sight, *, risk: str, as_of: dt.date, officer_id: str, measure: str) -> str:
    """Return the number of a person of a list of whom feedback may be given; a Problem where there is none.

    ``measure`` is empty for the score as a whole, or a reason that the caller may see.
    """
    batch = session.scalar(select(Batch).where(Batch.risk == risk, Batch.as_of == as_of, sight.lists(Batch.purpose)))
    if batch is None or Field.REVIEWS not in sight.fields(batch.purpose):
        raise Problem(Kind.NOT_FOUND, NOBODY)
    number = number_of(session, sight, officer_id)
    reached = sight.persons(officer=Score.officer_id, unit=Score.unit)
    statement = select(Score.officer_id).where(Score.batch_id == batch.id, Score.officer_id == number, reached)
    if session.scalar(statement) is None:
        raise Problem(Kind.NOT_FOUND, NOBODY)
    if measure and (measure not in batch.groups or measure in hidden_groups(session, sight, batch)):
        raise Problem(Kind.INVALID, "measure: not a reason of this list. 该名单没有这一理由。")
    return number


def reviewers(session: Session) -> list[ReviewerCount]:
    """Return every reviewer with what was decided, the busiest first; no flag and no person."""
    counts = [func.count().filter(Review.decision == decision.value) for decision in Decision]
    statement = select(Review.by, func.count(), *counts).group_by(Review.by).order_by(func.count().desc(), Review.by)
    rows = session.execute(statement).all()
    return [ReviewerCount(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def feedback_rows(session: Session, risk: str, *, as_of: dt.date, officer_id: str) -> list[Feedback]:
    """Return what was said of a person's score and reasons at a month, the newest first."""
    statement = select(Feedback).where(
        Feedback.risk == risk, Feedback.as_of == as_of, Feedback.officer_id == officer_id
    )
    return list(session.scalars(statement.order_by(Feedback.id.desc())))


def _reached(session: Session, sight: Sight, flag: Flag) -> bool:
    """Whether the person is within the caller's reach, by the last list that named the person."""
    statement = (
        select(Score.officer_id)
        .join(Batch, Batch.id == Score.batch_id)
        .where(Batch.risk == flag.risk, Batch.as_of == flag.renewed_on, Score.officer_id == flag.officer_id)
        .where(sight.persons(officer=Score.officer_id, unit=Score.unit))
    )
    return session.scalar(statement) is not None
