"""Asking for help for oneself: it outranks any model, and is answered by a person."""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from serving.access.audit import Actor, record
from serving.answers.problems import Kind, Problem
from serving.decisions.flags import ALIVE, flag_of
from serving.decisions.sealed import ANSWERED, ASKED, seal
from serving.decisions.tables import Flag, HelpRequest
from serving.scored.lists import WELLNESS
from serving.tables import Batch

LONGEST = 4000


class Wanted(StrEnum):
    """What somebody may ask for."""

    TALK = "talk"
    REST = "rest"
    MENTOR = "mentor"
    FAMILY = "family"
    OTHER = "other"


def ask_for_help(session: Session, actor: Actor, officer_id: str, *, kind: Wanted, told: str = "") -> HelpRequest:
    """Write a request of one's own and flag the person, whatever a model says; return it.

    The flag is of the risk whose purpose is wellness (of any risk where there is none): a living one is opened again,
    else one is raised; ``asked`` puts it above all ranks and keeps it from expiring until somebody answers.
    """
    text = told.strip()
    if len(text) > LONGEST:
        raise Problem(Kind.INVALID, f"At most {LONGEST} characters. 最多 {LONGEST} 字。", field="told")
    row = HelpRequest(
        officer_id=officer_id, kind=kind.value, told=text, made_at=dt.datetime.now(dt.UTC), answered_by=None,
        answered_at=None, answer=None,
    )  # fmt: skip
    session.add(row)
    session.flush()
    flag = _flagged(session, officer_id)
    said = {"kind": kind.value, "flag": flag.id if flag else None, "digest": seal(row, ASKED)}
    record(session, actor, "help asked for", f"request {row.id}", **said)
    return row


def answer_help(session: Session, actor: Actor, request_id: int, answer: str, *, own: str | None = None) -> HelpRequest:
    """Write what was answered; a Problem where there is no such request, somebody answered, or nothing is said.

    ``own`` is the answering account's own record: nobody answers oneself.
    """
    text = answer.strip()
    asked_by = session.scalar(select(HelpRequest.officer_id).where(HelpRequest.id == request_id))
    if own is not None and asked_by == own:
        raise Problem(Kind.FORBIDDEN, "It is your own request: somebody else answers. 这是您本人的求助，须由他人答复。")
    if not 2 <= len(text) <= LONGEST:
        raise Problem(Kind.INVALID, "Say in some words what was agreed. 请写明答复内容。", field="answer")
    statement = (
        update(HelpRequest)
        .where(HelpRequest.id == request_id, HelpRequest.answered_at.is_(None))
        .values(answered_by=actor.name, answered_at=dt.datetime.now(dt.UTC), answer=text)
        .returning(HelpRequest.id)
    )
    if session.scalar(statement, execution_options={"synchronize_session": "fetch"}) is None:
        raise Problem(Kind.DECIDED_MEANWHILE, "It was answered already, or is not there. 该请求已答复或不存在。")
    row = session.get_one(HelpRequest, request_id)
    if not _waiting_of(session, row.officer_id):
        _let_flags_age(session, row.officer_id)
    record(session, actor, "help answered", f"request {request_id}", digest=seal(row, ANSWERED))
    return row


def waiting(session: Session) -> Sequence[HelpRequest]:
    """Return the requests that nobody answered yet, the oldest first. For wellness only."""
    statement = select(HelpRequest).where(HelpRequest.answered_at.is_(None))
    return session.scalars(statement.order_by(HelpRequest.made_at, HelpRequest.id)).all()


def requests_of(session: Session, officer_id: str) -> Sequence[HelpRequest]:
    """Return a person's own requests, the newest first."""
    statement = select(HelpRequest).where(HelpRequest.officer_id == officer_id)
    return session.scalars(statement.order_by(HelpRequest.id.desc())).all()


def answered(session: Session, *, most: int = 20) -> Sequence[HelpRequest]:
    """Return the newest requests that were answered. For wellness only."""
    statement = select(HelpRequest).where(HelpRequest.answered_at.is_not(None))
    return session.scalars(statement.order_by(HelpRequest.answered_at.desc(), HelpRequest.id.desc()).limit(most)).all()


def asked(session: Session, risk: str) -> Sequence[Flag]:
    """Return the living flags of a risk that persons raised themselves: they stand above all ranks."""
    statement = select(Flag).where(Flag.risk == risk, Flag.asked.is_(True), Flag.status.in_(ALIVE))
    return session.scalars(statement.order_by(Flag.raised_on, Flag.id)).all()


def _flagged(session: Session, officer_id: str) -> Flag | None:
    """The flag that the request is seen by; None where no list was ever made."""
    newest = select(Batch).order_by((Batch.purpose == WELLNESS).desc(), Batch.as_of.desc(), Batch.risk).limit(1)
    batch = session.scalar(newest)
    if batch is None:
        return None
    flag = flag_of(session, batch.risk, officer_id)
    if flag is None or (flag.status not in ALIVE and flag.raised_on != batch.as_of):
        flag = Flag(
            risk=batch.risk, purpose=batch.purpose, officer_id=officer_id, raised_on=batch.as_of,
            renewed_on=batch.as_of, status="open", version=0, asked=True,
        )  # fmt: skip
        session.add(flag)
    else:
        flag.status, flag.asked, flag.renewed_on = "open", True, max(flag.renewed_on, batch.as_of)
        flag.version += 1
    session.flush()
    return flag


def _waiting_of(session: Session, officer_id: str) -> bool:
    statement = select(HelpRequest.id).where(HelpRequest.officer_id == officer_id, HelpRequest.answered_at.is_(None))
    return session.scalar(statement.limit(1)) is not None


def _let_flags_age(session: Session, officer_id: str) -> None:
    statement = update(Flag).where(Flag.officer_id == officer_id, Flag.asked.is_(True)).values(asked=False)
    session.execute(statement, execution_options={"synchronize_session": False})
