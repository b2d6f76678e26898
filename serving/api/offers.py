"""GET /offers, POST /offers and /offers/{id}/decision: training, rotation, ladders, care and culture, followed."""

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from features.histories.store import stored_profile
from serving.access.caller import Caller, TheCaller, looked, needs
from serving.access.repeated import Once
from serving.access.roles import Permission, Role
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer
from serving.mentoring.tables import Offer
from serving.offers import life
from serving.offers.life import Decided, Step
from serving.offers.raising import KINDS, offer_by_hand
from serving.scored import queries
from serving.sessions import Database, Writing

LARGEST_ID = 2**31 - 1
Status = Literal["proposed", "accepted", "declined", "done", "lapsed"]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]

router = APIRouter(prefix="/api/v1/offers", tags=["offers"])


class Given(BaseModel):
    """The base of what is sent: nothing beyond the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OfferGiven(Given):
    """An offer that no rule made: an action of the profile, for a person."""

    officer_id: Key
    action: Key = Field(examples=["childrens_schooling"])


class StepGiven(Given):
    """A step in the life of an offer, with the version that was seen."""

    version: int = Field(ge=0, le=LARGEST_ID)
    step: Step = Field(examples=["accept"])
    on: dt.date | None = Field(default=None, description="When it happened; today where absent.")
    note: str = Field(default="", max_length=2000, pattern=r"^[^\x00]*$")


class OfferAnswer(Answer):
    """Something offered to a person: why, who arranges and decides, by when, and where it stands."""

    id: int
    officer_id: str
    unit: str
    action: str
    kind: str = Field(examples=["training"])
    label: dict[str, str]
    reason: dict[str, str]
    evidence: list[dict[str, str]]
    owner: str
    decides: str
    by_right: bool
    as_of: dt.date
    due_on: dt.date
    status: str
    version: int
    done_on: dt.date | None


class CountAnswer(Answer):
    """How many offers of an action are in each state."""

    action: str
    kind: str
    label: dict[str, str]
    states: dict[str, int]


class OffersAnswer(Answer):
    """Offers by number, and the counts of all; ``next`` is where the next page begins."""

    offers: list[OfferAnswer]
    counts: list[CountAnswer]
    next: int | None


@router.get("", dependencies=[needs(Permission.SEE_RECOMMENDATIONS)], response_model=OffersAnswer)
def offers(
    request: Request,
    caller: TheCaller,
    database: Database,
    status: Status | None = None,
    officer_id: Annotated[str | None, Query(max_length=200)] = None,
    kind: Annotated[str | None, Query(max_length=20)] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=life.MOST)] = 100,
) -> OffersAnswer:
    """Return what is offered within the caller's reach, for purposes that the caller may know of."""
    if officer_id is not None:
        looked(request, caller, officer_id, found=queries.facts_of(database, caller.sight, officer_id) is not None)
    states = [status] if status else []
    found = life.offers_seen(
        database, caller.sight, status=states, officer_id=officer_id, kind=kind, after=after, limit=limit + 1
    )
    counts = [CountAnswer(**vars(row)) for row in life.counted(database, caller.sight)]
    more = found[limit - 1].id if len(found) > limit else None
    return OffersAnswer(offers=[answer_of(row) for row in found[:limit]], counts=counts, next=more)


@router.post(
    "",
    dependencies=[needs(Permission.SEE_RECOMMENDATIONS)],
    response_model=OfferAnswer,
    status_code=201,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.FORBIDDEN, Kind.MALFORMED),
)
def offer(request: Request, caller: TheCaller, writing: Writing, once: Once, given: OfferGiven) -> OfferAnswer:
    """Make an offer by hand, such as help with children's schooling: for those who arrange or decide the action."""
    number = once.number(writing, lambda: made_by_hand(request, writing, caller, given.officer_id, given.action).id)
    return answer_of(life.offer_told(writing, caller.sight, number))


@router.post(
    "/{offer_id}/decision",
    dependencies=[needs(Permission.SEE_RECOMMENDATIONS)],
    response_model=OfferAnswer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.FORBIDDEN, Kind.DECIDED_MEANWHILE, Kind.MALFORMED),
)
def decision(
    caller: TheCaller,
    writing: Writing,
    once: Once,
    offer_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    given: StepGiven,
) -> OfferAnswer:
    """Accept, decline or mark done: for those who arrange or decide it. 409 where somebody did meanwhile."""
    step = Decided(offer_id, given.version, given.step, given.on or dt.date.today(), given.note)
    number = once.number(writing, lambda: decided(writing, caller, step).id)
    return answer_of(life.offer_told(writing, caller.sight, number))


def decided(writing: Session, caller: Caller, step: Decided) -> Offer:
    """Take a step on an offer within reach, where the caller's role arranges or decides it."""
    row = life.offer_seen(writing, caller.sight, step.offer_id)
    if not life.may_decide(caller.sight, row):
        raise Problem(Kind.FORBIDDEN, f"This is for: {row.owner}, {row.decides}, or the person. 您的角色无权决定此项。")
    if caller.sight.role is Role.OFFICER and step.step is Step.DONE:
        raise Problem(Kind.FORBIDDEN, f"That it was done is noted by: {row.owner}. 是否完成由安排人登记。")
    return life.decide(writing, caller.actor, step)


def made_by_hand(request: Request, writing: Session, caller: Caller, officer_id: str, action: str) -> Offer:
    """Make an offer to somebody within reach, of an action that the caller's role arranges or decides."""
    profile = stored_profile(request.app.state.home)
    part = profile.actions.get(action)
    if part is None or part.kind not in KINDS:
        raise Problem(Kind.INVALID, "action: no such action of training, rotation, care or culture. 没有这一措施。")
    if caller.role.value not in (part.owner, part.decides):
        raise Problem(Kind.FORBIDDEN, f"This is for: {part.owner}, {part.decides}. 您的角色无权提出此项。")
    facts = queries.facts_of(writing, caller.sight, officer_id, None)
    if facts is None or facts.post is None or facts.unit is None:
        raise Problem(Kind.NOT_FOUND, "Nobody of this number has been scored. 没有此人的评分。", field="officer_id")
    place = (facts.post, facts.unit)
    return offer_by_hand(
        writing, caller.actor, profile, officer_id=officer_id, action=action, place=place, as_of=dt.date.today()
    )


def answer_of(row: Offer) -> OfferAnswer:
    """Return an offer as it is answered."""
    return OfferAnswer(**{name: getattr(row, name) for name in OfferAnswer.model_fields})
