"""Objections: a person contests a record, a score or a warning; somebody else than the first reviewer decides, in time.

Nothing is erased: what was contested, the score without it, the answer and who gave it stay.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.access.sight import Sight
from serving.access.tables import Account, AuditRow
from serving.answers.problems import Kind, Problem
from serving.database import one_at_a_time
from serving.decisions.sealed import CONTESTED, DECIDED, RERUN, seal
from serving.decisions.tables import Flag, Objection, Review
from serving.tables import Batch, Score

SHORTEST, LONGEST = 4, 4000
MOST_RECORDS = 200
OPEN = "open"
MADE = "objection made"
"""The action of the log when one is sent."""


class Against(StrEnum):
    """What may be contested."""

    RECORD = "record"
    SCORE = "score"
    WARNING = "warning"


class Outcome(StrEnum):
    """How an objection may end."""

    UPHELD = "upheld"
    PARTLY = "partly"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Contested:
    """An objection as it is sent: of one's own, with words; records by their names, a score by risk and month."""

    officer_id: str
    against: Against
    told: str
    risk: str | None = None
    as_of: dt.date | None = None
    records: tuple[str, ...] = ()
    measure: str | None = None
    health: bool = False
    """A contested record is health data."""

    def __post_init__(self) -> None:
        if not SHORTEST <= len(self.told.strip()) <= LONGEST:
            raise Problem(
                Kind.INVALID, f"Say why in {SHORTEST} to {LONGEST} characters. 请写明异议理由。", field="told"
            )
        if self.against is Against.SCORE and not self.risk:
            raise Problem(Kind.INVALID, "Say which risk's score. 请选择对哪项评分有异议。")
        if self.against is Against.RECORD and not self.records:
            raise Problem(Kind.INVALID, "Choose the records. 请选择有异议的记录。")
        if self.against is Against.WARNING and not self.measure:
            raise Problem(Kind.INVALID, "Say which warning. 请选择对哪项警示有异议。")
        if len(self.records) > MOST_RECORDS:
            raise Problem(Kind.INVALID, f"At most {MOST_RECORDS} records at once. 一次最多 {MOST_RECORDS} 条记录。")


@dataclass(frozen=True)
class Decided:
    """A decision as it is sent: on which objection, having seen which version of it."""

    objection_id: int
    version: int
    outcome: Outcome
    answer: str


@dataclass(frozen=True)
class Counts:
    """The figure of practice D4: objections made within a time, what came of them, and how long it took."""

    made: int
    open: int
    overdue: int
    upheld: int
    partly: int
    rejected: int
    in_time: int
    mean_days: float | None

    @property
    def decided(self) -> int:
        """How many were decided."""
        return self.upheld + self.partly + self.rejected


def contest(
    session: Session, actor: Actor, given: Contested, *, days: int, now: dt.datetime | None = None
) -> Objection:
    """Write an objection with its clock (``days`` calendar days) and its audit row, and return it.

    Raises a Problem where the person has no score of the risk, or the same is already being looked at.
    """
    moment = now or dt.datetime.now(dt.UTC)
    one_at_a_time(session, MADE, given.officer_id)
    batch = _list_of(session, given)
    _refuse_twice(session, given)
    row = Objection(
        officer_id=given.officer_id,
        against=given.against.value,
        purpose="wellness" if given.health or (batch and batch.purpose == "wellness") else "development",
        risk=given.risk,
        as_of=batch.as_of if batch else given.as_of,
        event_ids=list(given.records),
        measure=given.measure,
        told=given.told.strip(),
        made_at=moment,
        due_on=moment.date() + dt.timedelta(days=days),
        status=OPEN,
        version=0,
    )
    session.add(row)
    session.flush()
    told = {"against": row.against, "risk": row.risk, "records": len(row.event_ids), "due": str(row.due_on)}
    record(session, actor, MADE, f"objection {row.id}", **told, digest=seal(row, CONTESTED))
    return row


def keep_rerun(
    session: Session, actor: Actor, objection_id: int, *, before: dict[str, Any], without: dict[str, Any]
) -> None:
    """Keep the contested scores and the same without the disputed records, by risk.

    While it is open, a score that was made otherwise (``made_with``) takes the place of the one before it, and what
    stood then that of the contested one.
    """
    row = session.get_one(Objection, objection_id)
    kept = row.without
    new = {risk: score for risk, score in without.items() if kept is None or _made(kept, risk) != _made(without, risk)}
    if kept is not None and (row.status != OPEN or not new):
        return
    row.before = {**(row.before or {}), **{risk: before[risk] for risk in before.keys() & new.keys()}}
    row.without = {**(kept or {}), **new}
    record(session, actor, "score rerun", f"objection {objection_id}", risks=sorted(without), digest=seal(row, RERUN))


def upheld_records(session: Session, officer_id: str) -> list[str]:
    """Return the names of the records of a person's upheld objections: no score made anew counts them."""
    upheld = (Objection.officer_id == officer_id, Objection.status == Outcome.UPHELD)
    return sorted({name for names in session.scalars(select(Objection.event_ids).where(*upheld)) for name in names})


def contested_with_success(session: Session) -> list[str]:
    """Return those who had an objection upheld, by their number."""
    upheld = select(Objection.officer_id).where(Objection.status == Outcome.UPHELD).distinct()
    return list(session.scalars(upheld.order_by(Objection.officer_id)))


def decide_objection(
    session: Session, actor: Actor, given: Decided, sight: Sight, *, now: dt.datetime | None = None
) -> Objection:
    """Write the answer and its audit row, and return the objection.

    Raises a Problem: not within the decider's sight, one's own or sent by the same account, reviewed first by the same
    person, one that moves a score which the decider may not see, an answer that says nothing, or somebody decided
    since the version that was seen.
    """
    answer = given.answer.strip()
    if not SHORTEST <= len(answer) <= LONGEST:
        raise Problem(
            Kind.INVALID, f"Give the answer in {SHORTEST} to {LONGEST} characters. 请写明答复理由。", field="answer"
        )
    row = objection_seen(session, sight, given.objection_id)
    barred = why_not(session, actor, sight, row)
    if barred:
        raise Problem(Kind.FORBIDDEN, barred)
    statement = (
        update(Objection)
        .where(Objection.id == row.id, Objection.version == given.version, Objection.status == OPEN)
        .values(
            status=given.outcome.value,
            version=Objection.version + 1,
            answer=answer,
            decided_by=actor.name,
            decided_at=now or dt.datetime.now(dt.UTC),
        )
        .returning(Objection.id)
    )
    if session.scalar(statement, execution_options={"synchronize_session": "fetch"}) is None:
        raise Problem(
            Kind.DECIDED_MEANWHILE,
            "Somebody decided since you opened it; nothing of yours was written. 他人已先行决定，您的决定尚未写入。",
        )
    session.refresh(row)
    in_time = row.decided_at is not None and row.decided_at.date() <= row.due_on
    told = {"outcome": row.status, "in_time": in_time, "digest": seal(row, DECIDED)}
    record(session, actor, "objection decided", f"objection {row.id}", **told)
    return row


def why_not(session: Session, actor: Actor, sight: Sight, row: Objection) -> str | None:
    """Return why this account may not decide an objection, None where it may."""
    if sight.officer_id == row.officer_id or _is_one_of(session, actor, sight, _entered_by(session, row)):
        return "It is your own objection. 不得决定本人提出的异议。"
    if _is_one_of(session, actor, sight, first_reviewers(session, row)):
        return "You reviewed it first: somebody else decides. 您是首位处理人，须由他人决定。"
    if _still_computed(session, sight, row):
        return (
            "The scores without these records are still being computed: look again in a minute. "
            "正在计算去掉争议记录后的评分，请稍后再看。"
        )
    if _moves_what_is_hidden(session, sight, row):
        return (
            "It moves a score that your role may not see: the wellness team decides. "
            "该异议会改变您无权查看的评分，须由健康护航专员决定。"
        )
    return None


def _is_one_of(session: Session, actor: Actor, sight: Sight, names: set[str]) -> bool:
    """Whether an account is one of these, or belongs to the same officer as one of them."""
    if actor.name in names:
        return True
    theirs = select(Account.id).where(Account.name.in_(names), Account.officer_id == sight.officer_id)
    return sight.officer_id is not None and session.scalar(theirs.limit(1)) is not None


def _entered_by(session: Session, row: Objection) -> set[str]:
    """The account that sent the objection, also where it is tied to no officer: the log knows it."""
    made = select(AuditRow.actor).where(AuditRow.action == MADE, AuditRow.subject == f"objection {row.id}")
    return set(session.scalars(made.limit(1)))


def _still_computed(session: Session, sight: Sight, row: Objection) -> bool:
    """Whether nobody knows yet which scores an objection moves, and some are hidden from who looks."""
    hidden = select(Batch.id).where(~sight.lists(Batch.purpose)).limit(1)
    return bool(row.event_ids) and row.without is None and session.scalar(hidden) is not None


def _moves_what_is_hidden(session: Session, sight: Sight, row: Objection) -> bool:
    """Whether without the records a score of a purpose changes that the decider may not know of."""
    before, without = row.before or {}, row.without or {}
    moved = [risk for risk, score in without.items() if _figures(score) != _figures(before.get(risk, {}))]
    hidden = select(Batch.id).where(Batch.risk.in_(moved), ~sight.lists(Batch.purpose)).limit(1)
    return bool(moved) and session.scalar(hidden) is not None


def _figures(score: dict[str, Any]) -> list[Any]:
    return [score.get(name) for name in ("probability", "low", "high", "evidence")]


def first_reviewers(session: Session, row: Objection) -> set[str]:
    """Return who reviewed first each flag concerned: of the contested risk, or of any where a record is contested."""
    first = select(Review.flag_id, func.min(Review.id).label("id")).group_by(Review.flag_id).subquery()
    statement = (
        select(Review.by)
        .join(first, first.c.id == Review.id)
        .join(Flag, Flag.id == Review.flag_id)
        .where(Flag.officer_id == row.officer_id)
    )
    return set(session.scalars(statement.where(Flag.risk == row.risk) if row.risk else statement))


def objection_seen(session: Session, sight: Sight, objection_id: int) -> Objection:
    """Return an objection within a caller's sight; a Problem where there is none."""
    seen = sight.persons(officer=Objection.officer_id, unit=Objection.officer_id)
    statement = select(Objection).where(Objection.id == objection_id, sight.lists(Objection.purpose), seen)
    found = session.scalar(statement)
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no such objection. 没有这一异议。")
    return found


def objections_seen(session: Session, sight: Sight, *, open_only: bool = False) -> Sequence[Objection]:
    """Return the objections within a caller's sight: the open ones first, by the day they are due."""
    seen = sight.persons(officer=Objection.officer_id, unit=Objection.officer_id)
    statement = select(Objection).where(sight.lists(Objection.purpose), seen)
    if open_only:
        statement = statement.where(Objection.status == OPEN)
    return session.scalars(statement.order_by(Objection.status != OPEN, Objection.due_on, Objection.id)).all()


def counts(
    session: Session,
    *,
    since: dt.date | None = None,
    today: dt.date | None = None,
    purposes: Sequence[str] = ("wellness", "development"),
) -> Counts:
    """Return how many objections were made (since a day), what came of them and how long it took. Names nobody."""
    day = today or dt.datetime.now(dt.UTC).date()
    columns = (Objection.status, Objection.made_at, Objection.decided_at, Objection.due_on)
    found = session.execute(select(*columns).where(Objection.purpose.in_(purposes)))
    rows = [row for row in found if since is None or row.made_at.date() >= since]
    took = [(row.decided_at.date() - row.made_at.date()).days for row in rows if row.decided_at]
    number = {status: sum(row.status == status for row in rows) for status in (OPEN, *Outcome)}
    return Counts(
        made=len(rows),
        open=number[OPEN],
        overdue=sum(row.status == OPEN and row.due_on < day for row in rows),
        upheld=number[Outcome.UPHELD],
        partly=number[Outcome.PARTLY],
        rejected=number[Outcome.REJECTED],
        in_time=sum(bool(row.decided_at) and row.decided_at.date() <= row.due_on for row in rows),
        mean_days=sum(took) / len(took) if took else None,
    )


def a_year_ago() -> dt.date:
    """Return the first day of the last twelve months."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=365)


def to_correct(session: Session) -> list[tuple[str | None, list[str], dt.date]]:
    """Return what upheld objections say is wrong at the source: measure, names of records, day. Names nobody."""
    statement = select(Objection).where(Objection.status.in_((Outcome.UPHELD, Outcome.PARTLY)))
    rows = session.scalars(statement.order_by(Objection.decided_at.desc()))
    return [(row.measure, row.event_ids, row.decided_at.date()) for row in rows if row.event_ids and row.decided_at]


def _made(scores: dict[str, Any], risk: str) -> Any:
    return scores.get(risk, {}).get("made_with")


def _list_of(session: Session, given: Contested) -> Batch | None:
    """The list that is meant: the newest of the risk that names the person, or that of the month."""
    if given.risk is None:
        return None
    statement = (
        select(Batch)
        .join(Score, Score.batch_id == Batch.id)
        .where(Score.officer_id == given.officer_id, Batch.risk == given.risk)
        .order_by(Batch.as_of.desc())
        .limit(1)
    )
    found = session.scalar(statement.where(Batch.as_of == given.as_of) if given.as_of else statement)
    if found is None:
        raise Problem(Kind.INVALID, "There is no score of this risk and month. 没有这一风险和月份的评分。")
    return found


def _refuse_twice(session: Session, given: Contested) -> None:
    same = select(Objection).where(
        Objection.officer_id == given.officer_id, Objection.status == OPEN, Objection.against == given.against.value
    )
    for row in session.scalars(same):
        contested = (row.risk, row.measure, sorted(row.event_ids))
        if contested == (given.risk, given.measure, sorted(given.records)):
            raise Problem(
                Kind.INVALID, f"The same is being looked at already (objection {row.id}). 同一异议正在处理中。"
            )
