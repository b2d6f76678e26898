"""Objections as JSON: a person contests a record, a score or a warning; somebody else decides."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from features.months import month_end, parse_month
from serving.access.caller import Caller, TheCaller, looked, needs, refused
from serving.access.repeated import Asked, Once
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer, Moment
from serving.database import transaction
from serving.decisions import objections, reruns
from serving.decisions.held import held_of
from serving.decisions.objections import Against, Contested, Decided, Outcome
from serving.decisions.tables import Objection
from serving.sessions import Database, Writing

router = APIRouter(prefix="/api/v1/objections", tags=["objections"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The objection's number.")]
EXAMPLE: dict[str, Any] = {
    "against": "record",
    "told": "那几个夜班是换班，实际由他人值守。",
    "event_ids": ["E-1041", "night_shift@2024-06-03"],
}


NO_NUL = r"^[^\x00]*$"
RecordName = Annotated[str, Field(min_length=1, max_length=240, pattern=NO_NUL)]
Words = Annotated[str, Field(min_length=objections.SHORTEST, max_length=objections.LONGEST, pattern=NO_NUL)]


class NewObjection(BaseModel):
    """An objection of one's own: to records (by event_id, or measure@day), to a risk's score, or to a warning."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": EXAMPLE})

    against: Against
    told: Words
    risk: str | None = Field(default=None, max_length=120, pattern=NO_NUL, examples=["burnout"])
    as_of: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}$", examples=["2024-06"])
    event_ids: list[RecordName] = Field(default=[], max_length=objections.MOST_RECORDS)
    measure: str | None = Field(default=None, max_length=120, pattern=NO_NUL, examples=["complaint"])


class Verdict(BaseModel):
    """The decision on an objection: ``version`` is the one that was seen."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"version": 0, "outcome": "upheld", "answer": "经核实，该记录登记有误，已通知更正。"}
        },
    )

    version: int = Field(ge=0, le=2**31 - 1)
    outcome: Outcome
    answer: Words


class ObjectionAnswer(Answer):
    """An objection with its clock, the scores with and without the disputed records, and the answer."""

    id: int
    officer_id: str
    against: Against
    purpose: str
    risk: str | None
    as_of: dt.date | None
    event_ids: list[str]
    measure: str | None
    told: str
    made_at: Moment
    due_on: dt.date
    status: str = Field(description="open, upheld, partly or rejected.")
    version: int
    before: dict[str, Any] | None = Field(description="By risk, the score that was contested.")
    without: dict[str, Any] | None = Field(description="By risk, the same score without the disputed records.")
    answer: str | None
    decided_by: str | None
    decided_at: Moment | None


class Objections(Answer):
    """Objections within the caller's sight."""

    objections: list[ObjectionAnswer]


@router.post(
    "",
    status_code=201,
    dependencies=[needs(Permission.OBJECT)],
    response_model=ObjectionAnswer,
    responses=problem_answers(Kind.MALFORMED, Kind.SIGN_IN, Kind.FORBIDDEN, Kind.INVALID),
)
def object_to(
    request: Request, caller: TheCaller, writing: Writing, after: BackgroundTasks, once: Once, asked: NewObjection
) -> ObjectionAnswer:
    """Contest records, a score or a warning of one's own. The score without the records is computed at once."""
    number = once.number(writing, lambda: contested(request, caller, writing, asked).id)
    after.add_task(reruns.rerun, request.app.state.engine, request.app.state.home, number)
    return told(writing, caller.sight, objections.objection_seen(writing, caller.sight, number))


@router.get(
    "",
    dependencies=[needs(Permission.DECIDE_OBJECTIONS)],
    response_model=Objections,
    responses=problem_answers(Kind.SIGN_IN, Kind.FORBIDDEN, Kind.INVALID),
)
def to_decide(caller: TheCaller, database: Database, open_only: Annotated[bool, Query()] = False) -> Objections:
    """Return the objections that the caller's role decides: the open ones first, by the day they are due."""
    rows = objections.objections_seen(database, caller.sight, open_only=open_only)
    return Objections(objections=[told(database, caller.sight, row) for row in rows])


@router.get(
    "/own",
    dependencies=[needs(Permission.OBJECT)],
    response_model=Objections,
    responses=problem_answers(Kind.SIGN_IN, Kind.FORBIDDEN),
)
def own_objections(caller: TheCaller, database: Database) -> Objections:
    """Return the caller's own objections with their answers."""
    rows = objections.objections_seen(database, caller.sight)
    return Objections(objections=[told(database, caller.sight, row) for row in rows])


@router.get(
    "/{objection_id}",
    dependencies=[needs(Permission.DECIDE_OBJECTIONS)],
    response_model=ObjectionAnswer,
    responses=problem_answers(Kind.SIGN_IN, Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.INVALID),
)
def one_objection(request: Request, objection_id: Number, caller: TheCaller, database: Database) -> ObjectionAnswer:
    """Return an objection that the caller's role decides."""
    return told(database, caller.sight, looked_into(request, caller, database, objection_id))


@router.post(
    "/{objection_id}/decision",
    dependencies=[needs(Permission.DECIDE_OBJECTIONS)],
    response_model=ObjectionAnswer,
    responses=problem_answers(
        Kind.MALFORMED, Kind.SIGN_IN, Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.DECIDED_MEANWHILE, Kind.INVALID
    ),
)
def decide(request: Request, objection_id: Number, caller: TheCaller, once: Once, verdict: Verdict) -> ObjectionAnswer:
    """Decide an objection: not one's own, nor one on a flag that one reviewed first. The answer is kept."""
    given = Decided(objection_id, verdict.version, verdict.outcome, verdict.answer)
    return decided(request, caller, given, once)


def looked_into(request: Request, caller: Caller, database: Session, objection_id: int) -> Objection:
    """Return an objection within the caller's sight; the look, or that it was refused, is written."""
    try:
        row = objections.objection_seen(database, caller.sight, objection_id)
    except Problem:
        refused(request, caller, Permission.DECIDE_OBJECTIONS.value)
        raise
    looked(request, caller, row.officer_id, found=True)
    return row


def contested(request: Request, caller: Caller, writing: Session, asked: NewObjection) -> Objection:
    """Write an objection of the caller's own; a Problem where a record is not the caller's."""
    own = caller.sight.officer_id
    if own is None:
        raise Problem(Kind.FORBIDDEN, "This account belongs to no record. 此账号未关联本人档案。")
    held = held_of(request.app.state.home, own)
    known = {record.name: record.measure for record in held.records}
    strange = [name for name in asked.event_ids if name not in known]
    if strange:
        raise Problem(Kind.INVALID, "These are no records of yours: 以下不是您的记录：", strange)
    measures = {known[name] for name in asked.event_ids} | ({asked.measure} if asked.measure else set())
    unknown = sorted(measures - set(held.profile.measures))
    if unknown:
        raise Problem(Kind.INVALID, f"measure: the profile has no '{unknown[0]}'.")
    given = Contested(
        officer_id=own,
        against=asked.against,
        told=asked.told,
        risk=asked.risk or None,
        as_of=month_end(parse_month(asked.as_of)) if asked.as_of else None,
        records=tuple(dict.fromkeys(asked.event_ids)),
        measure=next(iter(measures)) if len(measures) == 1 else None,
        health=any(held.profile.measures[name].sensitive for name in measures),
    )
    return objections.contest(writing, caller.actor, given, days=held.profile.settings.policy.objection_days)


def decided(request: Request, caller: Caller, given: Decided, once: Asked | None = None) -> ObjectionAnswer:
    """Write a decision; what is upheld stands in place of the old score from then on, in the same transaction.

    Nobody decides before the score without the disputed records is there: it is computed now where it is missing.
    """
    engine: Engine = request.app.state.engine
    with transaction(engine, writes=False) as session:
        objections.objection_seen(session, caller.sight, given.objection_id)
    home = request.app.state.home
    reruns.rerun(engine, home, given.objection_id)
    upheld = given.outcome is Outcome.UPHELD
    offers = reruns.circumstances_of(engine, home, given.objection_id) if upheld else None
    with transaction(engine) as session:

        def write() -> int:
            reruns.hold_lists(session, given.objection_id)
            row = objections.decide_objection(session, caller.actor, given, caller.sight)
            reruns.in_force(session, row, offers)
            return row.id

        number = once.number(session, write) if once else write()
        return told(session, caller.sight, objections.objection_seen(session, caller.sight, number))


def told(session: Session, sight: Sight, row: Objection) -> ObjectionAnswer:
    """Return an objection as JSON gives it, its scores as the caller may see them."""
    names = set(ObjectionAnswer.model_fields) - {"before", "without"}
    values: dict[str, Any] = {name: getattr(row, name) for name in names}
    values |= {
        name: reruns.scores_seen(session, sight, getattr(row, name), officer_id=row.officer_id)
        for name in ("before", "without")
    }
    return ObjectionAnswer(**values)
