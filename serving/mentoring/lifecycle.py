"""The life of a mentorship: proposed, offered, accepted, refused, running with check-ins, ended. Nothing is erased."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.answers.problems import Kind, Problem
from serving.mentoring.asking import apart, refusing
from serving.mentoring.tables import KeptApart, Mentorship, MentorshipStep, SaidNo

LONGEST_NOTE = 2000


class Step(StrEnum):
    """What may be decided on a mentorship."""

    OFFER = "offer"
    AGREE = "agree"
    """One of the two says yes; when both did, it is accepted."""
    ACCEPT = "accept"
    REFUSE = "refuse"
    START = "start"
    CHECK_IN = "check_in"
    END = "end"


class Outcome(StrEnum):
    """How a mentorship ended; in conflict, the two are never paired again."""

    COMPLETED = "completed"
    CONFLICT = "conflict"
    MOVED = "moved"
    OTHER = "other"


FROM: dict[Step, tuple[str, ...]] = {
    Step.OFFER: ("proposed",),
    Step.AGREE: ("offered",),
    Step.ACCEPT: ("offered",),
    Step.REFUSE: ("proposed", "offered", "accepted"),
    Step.START: ("accepted",),
    Step.CHECK_IN: ("running",),
    Step.END: ("running", "accepted"),
}
"""Step -> the states from which it may be taken."""
ONWARD = frozenset({Step.OFFER, Step.AGREE, Step.ACCEPT, Step.START})
"""Steps that lead into a mentorship: a veto given after the proposal stops them."""
TO = {
    Step.OFFER: "offered", Step.AGREE: "offered", Step.ACCEPT: "accepted", Step.REFUSE: "refused",
    Step.START: "running", Step.CHECK_IN: "running", Step.END: "ended",
}  # fmt: skip


@dataclass(frozen=True)
class Decided:
    """A step as it is sent: on which mentorship, having seen which version of it, and on which day it happened.

    Who refuses may say so for any mentorship (``any_mentorship``): then the ``who`` of it, mentee or mentor, is not
    asked again for the profile's months.
    """

    mentorship_id: int
    version: int
    step: Step
    on: dt.date
    note: str = ""
    who: str | None = None
    any_mentorship: bool = False
    outcome: Outcome | None = None


def decide(session: Session, actor: Actor, decided: Decided, *, check_in_days: int, refusal_months: int) -> Mentorship:
    """Take a step and write its audit row; return the mentorship as it is now.

    Raises a Problem: no such mentorship, a step that its state does not allow, somebody took one since the version
    that was seen, or the two are not to be paired by now; then nothing is changed.
    """
    _check(decided)
    if decided.step in ONWARD:
        _check_vetoes(session, decided)
    values = _values(decided, check_in_days)
    statement = (
        update(Mentorship)
        .where(
            Mentorship.id == decided.mentorship_id,
            Mentorship.version == decided.version,
            Mentorship.status.in_(FROM[decided.step]),
        )
        .values(status=_next(session, decided), version=Mentorship.version + 1, **values)
        .returning(Mentorship.id)
    )
    if session.scalar(statement, execution_options={"synchronize_session": "fetch"}) is None:
        raise _missed(session, decided)
    pair = session.get_one(Mentorship, decided.mentorship_id, populate_existing=True)
    session.add(_row(pair, actor, decided))
    if decided.step is Step.REFUSE and decided.any_mentorship and decided.who:
        say_no(session, actor, _named(pair, decided.who), side=decided.who, until=_later(decided.on, refusal_months))
    session.flush()
    told = {"step": decided.step.value, "version": pair.version, "on": str(decided.on), "who": decided.who}
    outcome = decided.outcome.value if decided.outcome else None
    record(session, actor, "mentorship decided", f"mentorship {pair.id}", **told, outcome=outcome)
    return pair


def say_no(session: Session, actor: Actor, officer_id: str, *, side: str, until: dt.date) -> None:
    """Keep that somebody does not want to be mentored, or to mentor, until a day. No reason is asked."""
    now = dt.datetime.now(dt.UTC)
    session.add(SaidNo(officer_id=officer_id, side=side, until=until, by=actor.name, at=now))


def keep_apart(session: Session, actor: Actor, one: str, other: str) -> None:
    """Never pair two persons; asked again it changes nothing."""
    first, second = sorted((one.strip(), other.strip()))
    if not first or first == second:
        raise Problem(Kind.INVALID, "Name two different persons. 请填写两个不同的编号。", field="other")
    held = select(KeptApart.id).where(KeptApart.one_id == first, KeptApart.other_id == second)
    if session.scalar(held) is None:
        now = dt.datetime.now(dt.UTC)
        session.add(KeptApart(one_id=first, other_id=second, by=actor.name, at=now))
        session.flush()
        record(session, actor, "kept apart", f"officers {first}, {second}")


def steps_of(session: Session, pairs: Sequence[int]) -> dict[int, list[MentorshipStep]]:
    """Return the steps of some mentorships, the newest first."""
    statement = select(MentorshipStep).where(MentorshipStep.mentorship_id.in_(pairs))
    found: dict[int, list[MentorshipStep]] = {}
    for row in session.scalars(statement.order_by(MentorshipStep.version.desc())):
        found.setdefault(row.mentorship_id, []).append(row)
    return found


def agreed_by(session: Session, pairs: Sequence[int]) -> dict[int, set[str]]:
    """Return for some mentorships which of the two said yes: ``mentee``, ``mentor``."""
    statement = select(MentorshipStep.mentorship_id, MentorshipStep.who).where(
        MentorshipStep.mentorship_id.in_(pairs), MentorshipStep.step == Step.AGREE.value
    )
    found: dict[int, set[str]] = {}
    for number, who in session.execute(statement):
        found.setdefault(number, set()).add(str(who))
    return found


def _next(session: Session, decided: Decided) -> str:
    """The state after a step: accepted where the second of the two says yes."""
    if decided.step is not Step.AGREE:
        return TO[decided.step]
    said = agreed_by(session, [decided.mentorship_id]).get(decided.mentorship_id, set())
    return "accepted" if said | {str(decided.who)} == {"mentee", "mentor"} else TO[Step.AGREE]


def _check(decided: Decided) -> None:
    if len(decided.note) > LONGEST_NOTE:
        raise Problem(
            Kind.INVALID, f"A note has at most {LONGEST_NOTE} characters. 备注最多 {LONGEST_NOTE} 字。", field="note"
        )
    if decided.who not in (None, "mentee", "mentor"):
        raise Problem(Kind.INVALID, "who: mentee or mentor. 请选择徒弟或师父。", field="who")
    if decided.step is Step.END and decided.outcome is None:
        raise Problem(Kind.INVALID, "Say how it ended. 请说明结束情况。", field="outcome")
    if (decided.any_mentorship or decided.step is Step.AGREE) and decided.who is None:
        raise Problem(Kind.INVALID, "Say which of the two: who. 请说明是哪一方。", field="who")


def _check_vetoes(session: Session, decided: Decided) -> None:
    """Vetoes given since the proposal: kept apart, refused or parted elsewhere, or one of the two does not want to."""
    pair = session.get(Mentorship, decided.mentorship_id)
    if pair is None:
        return  # told as every step on what is not there
    if {pair.mentor_id, pair.mentee_id} in [set(two) for two in apart(session)]:
        raise Problem(
            Kind.DECIDED_MEANWHILE,
            "These two are not to be paired (kept apart, refused or parted in conflict since): refuse this pair. "
            "两人已列为不可结对（须分开、已拒绝或因矛盾终止），请拒绝此结对。",
        )
    unwilling = refusing(session, max(decided.on, dt.date.today()))
    for side, officer in (("mentee", pair.mentee_id), ("mentor", pair.mentor_id)):
        if (side, officer) in unwilling:
            word = {"mentee": "徒弟", "mentor": "师父"}[side]
            raise Problem(
                Kind.DECIDED_MEANWHILE,
                f"The {side} does not want to be asked at present: refuse this pair. "
                f"{word}目前不愿参加结对，请拒绝此结对。",
            )


def _values(decided: Decided, check_in_days: int) -> dict[str, object]:
    if decided.step in (Step.START, Step.CHECK_IN):
        following: dict[str, object] = {"next_check_in": decided.on + dt.timedelta(days=check_in_days)}
        return following | ({"started_on": decided.on} if decided.step is Step.START else {})
    if decided.step is Step.END and decided.outcome is not None:
        return {"ended_on": decided.on, "outcome": decided.outcome.value, "next_check_in": None}
    return {"ended_on": decided.on} if decided.step is Step.REFUSE else {}


def _row(pair: Mentorship, actor: Actor, decided: Decided) -> MentorshipStep:
    return MentorshipStep(
        mentorship_id=pair.id,
        version=pair.version,
        step=decided.step.value,
        on=decided.on,
        by=actor.name,
        at=dt.datetime.now(dt.UTC),
        who=decided.who,
        note=decided.note.strip(),
    )


def _named(pair: Mentorship, who: str) -> str:
    return pair.mentee_id if who == "mentee" else pair.mentor_id


def _later(day: dt.date, months: int) -> dt.date:
    month = day.year * 12 + day.month - 1 + months
    return dt.date(month // 12, month % 12 + 1, min(day.day, 28))


def _missed(session: Session, decided: Decided) -> Problem:
    pair = session.get(Mentorship, decided.mentorship_id)
    if pair is None:
        return Problem(Kind.NOT_FOUND, "There is no such mentorship. 没有这一结对。")
    if pair.version == decided.version:
        return Problem(
            Kind.INVALID,
            f"A mentorship that is {pair.status} can't take the step '{decided.step.value}'. 当前状态不能进行此操作。",
        )
    return Problem(
        Kind.DECIDED_MEANWHILE,
        f"Somebody took a step since you opened it (now {pair.status}); look again, nothing of yours was written. "
        "他人已先行处理，请重新查看；您的操作尚未写入。",
    )
