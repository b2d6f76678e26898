"""Reviews: a person's decision on a flag. Whoever decides must have seen its present state; nothing is erased."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.answers.problems import Kind, Problem
from serving.decisions.sealed import FEEDBACK, REVIEW, seal
from serving.decisions.tables import Feedback, Flag, Review
from serving.scored.lists import WELLNESS
from serving.tables import Batch, ProfileRow

SHORTEST_REASON = 4
AGREEING_OVER = 100
AGREEING_BELOW = 0.01


class Decision(StrEnum):
    """What may be decided on a flag."""

    ACT = "act"
    WATCH = "watch"
    DISMISS = "dismiss"


STATUS_AFTER: dict[str, str] = {Decision.ACT: "acted", Decision.WATCH: "watched", Decision.DISMISS: "dismissed"}


@dataclass(frozen=True)
class Verdict:
    """A decision as it is sent: on which flag, having seen which version of it and which list."""

    flag_id: int
    version: int
    decision: Decision
    as_of: dt.date
    reason: str = ""
    action: str | None = None


@dataclass(frozen=True)
class Agreeing:
    """A reviewer who dismissed next to nothing: a decision that always follows the score is none."""

    by: str
    reviews: int
    dismissed: int


def decide(session: Session, actor: Actor, verdict: Verdict) -> Review:
    """Write a decision and its audit row, and return it.

    Raises a Problem: nobody's flag, a flag that ended, a dismissal without reason, an action that the list's profile
    has not or that would tell of health whoever may know of the flag, or somebody decided since the version that the
    reviewer had seen; then the present state is told and nothing is changed.
    """
    reason = verdict.reason.strip()
    if verdict.decision is Decision.DISMISS and len(reason) < SHORTEST_REASON:
        raise Problem(Kind.INVALID, "Say why it is dismissed, in a few words. 不予处理须写明理由。", field="reason")
    if verdict.action and verdict.action not in _actions(session, verdict):
        raise Problem(
            Kind.INVALID,
            "action: none that may be named on this flag; what is told to nobody but the person and the wellness team "
            "is arranged without it. 此提示上不能写明这一措施；只限本人与健康护航团队知悉的安排不写在这里。",
            field="action",
        )
    statement = (
        update(Flag)
        .where(Flag.id == verdict.flag_id, Flag.version == verdict.version, Flag.status != "expired")
        .values(status=STATUS_AFTER[verdict.decision], version=Flag.version + 1)
        .returning(Flag.version)
    )
    version = session.scalar(statement, execution_options={"synchronize_session": "fetch"})
    if version is None:
        raise _missed(session, verdict)
    review = Review(
        flag_id=verdict.flag_id,
        version=version,
        decision=verdict.decision.value,
        reason=reason,
        action=verdict.action,
        by=actor.name,
        at=dt.datetime.now(dt.UTC),
        as_of=verdict.as_of,
    )
    session.add(review)
    session.flush()
    flag = session.get_one(Flag, verdict.flag_id)
    told = {"decision": verdict.decision.value, "version": version, "review": review.id, "as_of": str(verdict.as_of),
            "action": verdict.action, "digest": seal(review, REVIEW, flag.risk, flag.officer_id)}  # fmt: skip
    record(session, actor, "flag decided", f"flag {verdict.flag_id}", **told)
    return review


def reviews_of(session: Session, flag_id: int) -> Sequence[Review]:
    """Return every decision on a flag, the newest first."""
    return session.scalars(select(Review).where(Review.flag_id == flag_id).order_by(Review.version.desc())).all()


def give_feedback(session: Session, actor: Actor, told: dict[str, Any]) -> Feedback:
    """Keep what a person said of a score or a reason (risk, as_of, officer_id, measure, verdict, note)."""
    row = Feedback(**told, by=actor.name, role=actor.role, at=dt.datetime.now(dt.UTC))
    session.add(row)
    session.flush()
    said = {"measure": row.measure, "verdict": row.verdict, "digest": seal(row, FEEDBACK)}
    record(session, actor, "feedback given", f"feedback {row.id}", **said)
    return row


def feedback_by_measure(session: Session, risk: str) -> list[tuple[str, int, int, int]]:
    """Return measure, right, wrong, unclear for each reason that was spoken of, the most wrong first."""
    counts = [func.count().filter(Feedback.verdict == verdict) for verdict in ("right", "wrong", "unclear")]
    statement = select(Feedback.measure, *counts).where(Feedback.risk == risk).group_by(Feedback.measure)
    rows = [(row[0], row[1], row[2], row[3]) for row in session.execute(statement)]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def agreeing(session: Session) -> list[Agreeing]:
    """Return the reviewers whose last hundred decisions dismissed fewer than one in a hundred."""
    found = []
    for name in session.scalars(select(Review.by).group_by(Review.by).having(func.count() >= AGREEING_OVER)):
        last = select(Review.decision).where(Review.by == name).order_by(Review.id.desc()).limit(AGREEING_OVER)
        decisions = session.scalars(last).all()
        dismissed = sum(decision == Decision.DISMISS for decision in decisions)
        if dismissed < AGREEING_BELOW * len(decisions):
            found.append(Agreeing(name, len(decisions), dismissed))
    return found


def _actions(session: Session, verdict: Verdict) -> Collection[str]:
    """The actions that may be named: of the profile that the flag's list was made with; none where it was not kept.

    What is discreet is told on a flag of wellness only: others are read by roles that may not know of health.
    """
    statement = (
        select(ProfileRow.content, Flag.purpose)
        .join(Batch, Batch.profile_digest == ProfileRow.digest)
        .join(Flag, Flag.risk == Batch.risk)
        .where(Flag.id == verdict.flag_id, Batch.as_of == verdict.as_of)
    )
    found = session.execute(statement).first()
    if found is None:
        return ()
    profile, purpose = found
    return {key for key, action in profile["actions"].items() if purpose == WELLNESS or not _discreet(action)}


def _discreet(action: dict[str, Any]) -> bool:
    return bool(action.get("rest", {}).get("discreet", False))


def _missed(session: Session, verdict: Verdict) -> Problem:
    flag = session.get(Flag, verdict.flag_id)
    if flag is None:
        return Problem(Kind.NOT_FOUND, "There is no such flag. 没有这一提示。")
    if flag.status == "expired":
        return Problem(Kind.DECIDED_MEANWHILE, "The flag has expired; the next list may raise it again. 提示已过期。")
    last = next(iter(reviews_of(session, flag.id)), None)
    who = f"{last.by}: {last.decision}" if last else flag.status
    return Problem(
        Kind.DECIDED_MEANWHILE,
        f"Somebody decided since you opened it ({who}); look again, nothing of yours was written. "
        f"他人已先行处理（{who}），请重新查看；您的决定尚未写入。",
    )
