"""POST /mentorships/proposals, GET /mentorships, POST /mentorships/{id}/decision: matching and its life cycle."""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from serving.access.caller import Caller, TheCaller, needs
from serving.access.repeated import Once
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer
from serving.mentoring import lifecycle
from serving.mentoring.candidates import commanding
from serving.mentoring.lifecycle import ONWARD, Decided, Outcome, Step
from serving.mentoring.proposals import propose
from serving.mentoring.reading import MOST, Pair, pair_seen, pairs_seen, unmatched_seen, whole_force
from serving.mentoring.tables import MentoringRound, Mentorship
from serving.persons.own_histories import stored_roster
from serving.sessions import AsOf, Database, Writing, as_of_of

LARGEST_ID = 2**31 - 1
COMMANDING = (
    "One of the two stands in the other's chain of command by now: refuse this pair. "
    "两人目前有上下级关系，不能结对，请拒绝此结对。"
)
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Status = Literal["proposed", "offered", "accepted", "refused", "running", "ended"]

router = APIRouter(prefix="/api/v1/mentorships", tags=["mentorships"])


class Given(BaseModel):
    """The base of what is sent: nothing beyond the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProposalsGiven(Given):
    """Whose list is answered: a month, the newest list where none is named."""

    as_of: str | None = Field(default=None, max_length=10, pattern=r"^[^\x00]*$", examples=["2024-06"])


class StepGiven(Given):
    """A step in the life of a mentorship, with the version that was seen."""

    version: int = Field(ge=0, le=LARGEST_ID, description="The mentorship's version that was seen.")
    step: Step = Field(examples=["offer"])
    on: dt.date | None = Field(default=None, description="When it happened; today where absent.")
    note: str = Field(default="", max_length=lifecycle.LONGEST_NOTE, pattern=r"^[^\x00]*$")
    who: Literal["mentee", "mentor"] | None = Field(default=None, description="Who said no.")
    any_mentorship: bool = Field(default=False, description="The one who said no is not asked again for some months.")
    outcome: Outcome | None = Field(default=None, description="Needed to end it; in conflict, never paired again.")


class ApartGiven(Given):
    """Two persons who are never paired."""

    one: Id
    other: Id


class StepAnswer(Answer):
    """A step that was taken."""

    version: int
    step: str
    on: dt.date
    by: str
    who: str | None
    note: str


class Instead(Answer):
    """Another mentor, and why it is not this one."""

    mentor_id: str
    fit: float
    why_not: dict[str, str]


class MentorshipAnswer(Answer):
    """A pair: why these two, why not others, and where it stands."""

    id: int
    as_of: dt.date
    status: str
    version: int
    mentee_id: str
    mentee_post: str | None = Field(description="Null where the mentee is out of reach, as is the unit.")
    mentee_unit: str | None
    mentor_id: str
    mentor_post: str
    mentor_unit: str
    fit: float = Field(description="0 to 1: the weighted mean of the parts.")
    parts: dict[str, float]
    reason: dict[str, str] | None
    instead: list[Instead]
    started_on: dt.date | None
    next_check_in: dt.date | None
    ended_on: dt.date | None
    outcome: str | None
    steps: list[StepAnswer]


class Mentorships(Answer):
    """Mentorships by number; ``next`` is where the next page begins."""

    mentorships: list[MentorshipAnswer]
    next: int | None


class WithoutAnswer(Answer):
    """Somebody who stays without, and why."""

    officer_id: str
    side: str
    kind: str
    reason: dict[str, str]
    needs: list[str]


class OneMore(Answer):
    """What one more place with a mentor would bring: pairs and total fit, exactly."""

    post: str
    mentor_id: str
    pairs: int
    fit: float


class RoundAnswer(Answer):
    """A round of matching: the best total fit of all largest matchings."""

    round: int
    as_of: dt.date
    mentees: int
    mentors: int
    kept: int
    total_fit: float
    proposals: list[MentorshipAnswer]
    unmatched: list[WithoutAnswer]
    one_more: list[OneMore]


@router.post(
    "/proposals",
    dependencies=[needs(Permission.DECIDE_MENTORING)],
    response_model=RoundAnswer,
    status_code=201,
    responses=problem_answers(Kind.INVALID, Kind.NOT_READY, Kind.MALFORMED),
)
def proposals(request: Request, caller: TheCaller, writing: Writing, once: Once, given: ProposalsGiven) -> RoundAnswer:
    """Match officers warned of decline with stars, one-to-one unless the profile says otherwise, and store proposals.

    Pairs that were offered, accepted or run stay; proposals that nobody acted on are withdrawn.
    """
    as_of = as_of_of(given.as_of) if given.as_of else None
    home = request.app.state.home
    number = once.number(writing, lambda: propose(writing, home, caller.actor, as_of=as_of).id)
    return round_answer(writing, caller, writing.get_one(MentoringRound, number))


@router.get("", dependencies=[needs(Permission.SEE_MENTORING)], response_model=Mentorships)
def mentorships(
    caller: TheCaller,
    database: Database,
    as_of: AsOf,
    status: Status | None = None,
    unit: Annotated[str | None, Query(max_length=200)] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Mentorships:
    """Return mentorships within the caller's reach."""
    found = pairs_seen(
        database, caller.sight, status=[status] if status else [], as_of=as_of, unit=unit, after=after, limit=limit + 1
    )
    more = found[limit - 1].row.id if len(found) > limit else None
    return Mentorships(mentorships=[answer_of(pair) for pair in found[:limit]], next=more)


@router.post(
    "/{mentorship_id}/decision",
    dependencies=[needs(Permission.DECIDE_MENTORING)],
    response_model=MentorshipAnswer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.DECIDED_MEANWHILE, Kind.MALFORMED),
)
def decision(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    once: Once,
    mentorship_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    given: StepGiven,
) -> MentorshipAnswer:
    """Take a step: offer, accept, refuse, start, check in, end. 409 where somebody took one meanwhile."""
    pair_seen(writing, caller.sight, mentorship_id)
    decided = Decided(mentorship_id=mentorship_id, on=given.on or dt.date.today(), **_fields(given))

    def step() -> int:
        take_step(request, writing, caller, decided)
        return mentorship_id

    once.number(writing, step)
    return answer_of(pair_seen(writing, caller.sight, mentorship_id))


@router.post(
    "/kept-apart",
    dependencies=[needs(Permission.DECIDE_MENTORING)],
    status_code=204,
    responses=problem_answers(Kind.INVALID, Kind.MALFORMED),
)
def kept_apart(caller: TheCaller, writing: Writing, given: ApartGiven) -> None:
    """Keep two persons apart in all matchings to come; no reason is asked."""
    lifecycle.keep_apart(writing, caller.actor, given.one, given.other)


def take_step(request: Request, writing: Session, caller: Caller, decided: Decided) -> None:
    """Take a step under the profile's rules; nothing happens in the future."""
    if decided.on > dt.date.today():
        raise Problem(Kind.INVALID, "The day lies in the future. 日期不能晚于今天。", field="on")
    roster = stored_roster(request.app.state.home)
    pair = writing.get(Mentorship, decided.mentorship_id)
    if pair is not None and decided.step in ONWARD and commanding(roster, pair.mentor_id, pair.mentee_id):
        raise Problem(Kind.DECIDED_MEANWHILE, COMMANDING)
    rules = roster.profile.settings.mentoring
    lifecycle.decide(
        writing, caller.actor, decided, check_in_days=rules.check_in_days, refusal_months=rules.refusal_months
    )


def round_answer(session: Session, caller: Caller, made: MentoringRound) -> RoundAnswer:
    """Return a round as it is answered."""
    pairs = [pair for pair in pairs_seen(session, caller.sight, status=["proposed"]) if pair.row.round_id == made.id]
    return RoundAnswer(
        round=made.id,
        as_of=made.as_of,
        mentees=made.mentees,
        mentors=made.mentors,
        kept=made.kept,
        total_fit=made.total_fit,
        proposals=[answer_of(pair) for pair in pairs],
        unmatched=[
            WithoutAnswer(**{name: getattr(row, name) for name in WithoutAnswer.model_fields})
            for row in unmatched_seen(session, caller.sight, made)
        ],
        one_more=[OneMore(**row) for row in made.one_more if whole_force(caller.sight)],
    )


def answer_of(pair: Pair) -> MentorshipAnswer:
    """Return a mentorship as it is answered."""
    plain = {name: getattr(pair.row, name) for name in MentorshipAnswer.model_fields if hasattr(pair.row, name)}
    steps = [StepAnswer(**{name: getattr(row, name) for name in StepAnswer.model_fields}) for row in pair.steps]
    instead = [Instead(**row) for row in pair.instead]
    place = {"mentee_post": pair.mentee_post, "mentee_unit": pair.mentee_unit}
    seen = {"mentee_id": pair.mentee_id, "reason": pair.reason, "parts": pair.parts, **place}
    return MentorshipAnswer(**{**plain, **seen, "instead": instead, "steps": steps})


def _fields(given: StepGiven) -> dict[str, Any]:
    names = ("version", "step", "note", "who", "any_mentorship", "outcome")
    return {name: getattr(given, name) for name in names}
