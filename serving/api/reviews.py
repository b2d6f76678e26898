"""POST /reviews, feedback, publication, and how the reviewing goes: decisions of people, never of a model."""

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from serving.access.caller import Caller, TheCaller, looked, needs, refused
from serving.access.repeated import Once
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer, Moment
from serving.decisions import publishing, reviews, seen
from serving.decisions.reviews import Decision
from serving.decisions.tables import Flag, Review
from serving.months import notices
from serving.scored import queries
from serving.sessions import Database, Writing, as_of_of

LARGEST_ID = 2**31 - 1
Words = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(max_length=120, pattern=r"^[^\x00]*$")]
Month = Annotated[str, Field(min_length=7, max_length=10, pattern=r"^[^\x00]*$", examples=["2024-06"])]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]

router = APIRouter(prefix="/api/v1", tags=["reviews"])


class Given(BaseModel):
    """The base of what is sent: nothing beyond the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DecisionGiven(Given):
    """A decision on a flag, with the version of the flag that the reviewer saw."""

    flag_id: Id = Field(examples=[17])
    version: int = Field(ge=0, le=LARGEST_ID, examples=[0], description="The flag's version in the list that was read.")
    decision: Decision = Field(examples=["act"])
    reason: Words = Field(default="", description="Needed to dismiss.", examples=["on leave since Monday"])
    action: Key | None = Field(default=None, description="Key of the action decided on.", examples=["counselling"])


class FeedbackGiven(Given):
    """What a person says of a score, or of one of its reasons."""

    risk: Key = Field(examples=["burnout"])
    as_of: Month
    officer_id: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$", examples=["021457"])]
    measure: Key = Field(default="", description="The reason; empty for the score.", examples=["night_shift"])
    verdict: Literal["right", "wrong", "unclear"]
    note: Words = ""


class PublicationGiven(Given):
    """Which month's draft is published, and which scoring of it was looked at."""

    as_of: Month
    run: Id = Field(description="The run that was looked at; another one by now is answered 409.", examples=[1])
    reordered: Annotated[int, Field(ge=0, le=LARGEST_ID)] = Field(
        default=0, description="The list's reordered that was looked at; another one by now is answered 409."
    )
    despite: Words = Field(default="", description="Why, although the monitor says to hold the lists back.")


class ReviewAnswer(Answer):
    """One decision as it was kept."""

    review_id: int
    version: int = Field(description="The flag's version since this decision.")
    decision: str
    reason: str
    action: str | None
    by: str
    at: Moment
    as_of: dt.date = Field(description="The list that was looked at.")


class FlagAnswer(Answer):
    """A flag with every decision on it, the newest first."""

    flag_id: int
    risk: str
    officer_id: str
    status: str = Field(examples=["acted"])
    version: int
    raised_on: dt.date
    renewed_on: dt.date
    asked: bool = Field(description="The person asked for help.")
    reviews: list[ReviewAnswer]


class FeedbackAnswer(Answer):
    """Feedback as it was kept."""

    feedback_id: int
    at: Moment


class ReasonCount(Answer):
    """What was said of one reason, by how many; without the persons."""

    measure: str
    right: int
    wrong: int
    unclear: int


class FeedbackCounts(Answer):
    """What was said of the reasons of a risk; the measure '' is the score as a whole."""

    risk: str
    reasons: list[ReasonCount]


class Reviewer(Answer):
    """One reviewer's decisions so far."""

    by: str
    reviews: int
    acted: int
    watched: int
    dismissed: int
    agrees_with_everything: bool = Field(description="Fewer than one in a hundred dismissed over the last hundred.")


class Reviewing(Answer):
    """How flags are decided: a decision that always follows the score is none."""

    reviewers: list[Reviewer]


class Publication(Answer):
    """A list that is out."""

    publication_id: int
    risk: str
    as_of: dt.date
    digest: str = Field(description="SHA-256 of what the list says; it never changes.")
    by: str
    at: Moment


WRITES = problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.DECIDED_MEANWHILE, Kind.MALFORMED)


@router.post(
    "/reviews", dependencies=[needs(Permission.REVIEW)], response_model=FlagAnswer, status_code=201, responses=WRITES
)
def review(caller: TheCaller, writing: Writing, asked: Once, given: DecisionGiven) -> FlagAnswer:
    """Decide on a flag: act, watch, or dismiss with a reason.

    Whoever decides must have seen the present state of the flag: if somebody decided since, nothing is written and the
    answer (409) says who it was and what was decided.
    """
    return asked.once(writing, FlagAnswer, lambda: _decided(caller, writing, given))


def _decided(caller: Caller, writing: Session, given: DecisionGiven) -> FlagAnswer:
    flag = seen.flag_seen(writing, caller.sight, given.flag_id)
    verdict = reviews.Verdict(
        flag_id=flag.id,
        version=given.version,
        decision=given.decision,
        as_of=flag.renewed_on,
        reason=given.reason,
        action=given.action or None,
    )
    reviews.decide(writing, caller.actor, verdict)
    return _flag(writing, flag)


@router.get(
    "/flags/{flag_id}",
    dependencies=[needs(Permission.REVIEW)],
    response_model=FlagAnswer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def flag(
    request: Request, caller: TheCaller, database: Database, flag_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]
) -> FlagAnswer:
    """Return a flag and what was decided on it."""
    try:
        found = seen.flag_seen(database, caller.sight, flag_id)
    except Problem:
        refused(request, caller, Permission.REVIEW.value)
        raise
    looked(request, caller, found.officer_id, found=True)
    return _flag(database, found)


@router.post(
    "/feedback",
    dependencies=[needs(Permission.REVIEW)],
    response_model=FeedbackAnswer,
    status_code=201,
    responses=WRITES,
)
def feedback(caller: TheCaller, writing: Writing, asked: Once, given: FeedbackGiven) -> FeedbackAnswer:
    """Say whether a score or one of its reasons is right; the data scientist sees counts without the person."""
    return asked.once(writing, FeedbackAnswer, lambda: _told(caller, writing, given))


def _told(caller: Caller, writing: Session, given: FeedbackGiven) -> FeedbackAnswer:
    as_of = _month(given.as_of)
    number = seen.told_of(
        writing, caller.sight, risk=given.risk, as_of=as_of, officer_id=given.officer_id, measure=given.measure
    )
    told = {"risk": given.risk, "as_of": as_of, "measure": given.measure, "officer_id": number}
    row = reviews.give_feedback(writing, caller.actor, {**told, "verdict": given.verdict, "note": given.note.strip()})
    return FeedbackAnswer(feedback_id=row.id, at=row.at)


@router.get(
    "/feedback/{risk}",
    dependencies=[needs(Permission.SEE_MODELS)],
    response_model=FeedbackCounts,
    responses=problem_answers(Kind.INVALID),
)
def feedback_counts(database: Database, risk: Annotated[str, Path(examples=["burnout"])]) -> FeedbackCounts:
    """Return how often each reason was called right, wrong or unclear, the most wrong first."""
    rows = reviews.feedback_by_measure(database, risk)
    return FeedbackCounts(
        risk=risk, reasons=[ReasonCount(measure=m, right=r, wrong=w, unclear=u) for m, r, w, u in rows]
    )


@router.get("/reviews/summary", dependencies=[needs(Permission.SEE_MONITOR)], response_model=Reviewing)
def reviewing(database: Database) -> Reviewing:
    """Return how each reviewer decides, and who agrees with everything."""
    alarms = {each.by for each in reviews.agreeing(database)}
    return Reviewing(
        reviewers=[
            Reviewer(**vars(each), agrees_with_everything=each.by in alarms) for each in seen.reviewers(database)
        ]
    )


@router.post(
    "/risk-lists/{risk}/publication",
    dependencies=[needs(Permission.PUBLISH)],
    response_model=Publication,
    status_code=201,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.DECIDED_MEANWHILE, Kind.LIST_CHANGED, Kind.MALFORMED),
)
def publication(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    later: BackgroundTasks,
    asked: Once,
    risk: Annotated[str, Path(examples=["burnout"])],
    given: PublicationGiven,
) -> Publication:
    """Publish a month's draft: it never changes from then on, and a notice goes out."""
    notices.notice_settings(request.app.state.home)  # a mistake there is told before anything is published
    out = asked.once(writing, Publication, lambda: _published(caller, writing, risk, given))
    later.add_task(notices.send_notices, request.app.state.engine, request.app.state.home, out.publication_id)
    return out


def _published(caller: Caller, writing: Session, risk: str, given: PublicationGiven) -> Publication:
    batch = queries.batch_of(writing, caller.sight, risk, _month(given.as_of))
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month. 没有这一风险和月份的名单。")
    if batch.run != given.run:
        raise Problem(
            Kind.LIST_CHANGED, f"The draft is run {batch.run} by now: look again. 草稿已重新计算，请重新查看。"
        )
    row = publishing.publish(writing, caller.actor, batch, despite=given.despite, reordered=given.reordered)
    return Publication(publication_id=row.id, risk=row.risk, as_of=row.as_of, digest=row.digest, by=row.by, at=row.at)


def _month(text: str) -> dt.date:
    found = as_of_of(text)
    assert found is not None
    return found


def _flag(session: Session, flag: Flag) -> FlagAnswer:
    return FlagAnswer(
        flag_id=flag.id,
        reviews=[_review(row) for row in reviews.reviews_of(session, flag.id)],
        **{
            name: getattr(flag, name)
            for name in ("risk", "officer_id", "status", "version", "raised_on", "renewed_on", "asked")
        },
    )


def _review(row: Review) -> ReviewAnswer:
    names = ("version", "decision", "reason", "action", "by", "at", "as_of")
    return ReviewAnswer(review_id=row.id, **{name: getattr(row, name) for name in names})
