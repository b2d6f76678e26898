"""POST /rest-plans, GET /rest-plans/{id}, POST /rest-plans/{id}/decision: rest under a quota, as one plan."""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field

from features.months import month_end, parse_month
from serving.access.caller import Caller, TheCaller, needs
from serving.access.repeated import Asked, Once
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer, Text
from serving.api.reviews import LARGEST_ID, Given, Id, Key, Month, Words
from serving.database import transaction
from serving.rest import lifecycle, reading
from serving.rest.asking import LONGEST, PlanRequest
from serving.rest.days import Blackout
from serving.rest.lifecycle import Change, Decision
from serving.rest.tables import RestPlan
from serving.sessions import Database

Places = Annotated[int, Field(ge=0, le=1_000_000)]
OfficerId = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$", examples=["021457"])]
NO_PLAN = "There is no such plan that you may see. 没有您可查看的这份计划。"

router = APIRouter(prefix="/api/v1/rest-plans", tags=["rest"])


class BlackoutGiven(Given):
    """Days on which nobody, or nobody of a unit, can rest."""

    first: dt.date = Field(examples=["2024-07-01"])
    last: dt.date = Field(examples=["2024-07-05"])
    unit: Key | None = None


class PlanGiven(Given):
    """What a plan is asked for."""

    as_of: Month = Field(description="The month from whose list and records it is planned.")
    quota: Places | None = Field(
        default=None, description="Places in all by expected benefit; the kinds' together if absent."
    )
    places: dict[Key, Places] = Field(default={}, description="Places by kind; the profile's where absent.")
    weeks: int = Field(default=8, ge=1, le=LONGEST)
    slack: float = Field(default=1.0, ge=0, le=1000, description="Places that a unit may get less than its share.")
    blackouts: list[BlackoutGiven] = Field(default=[], max_length=100)
    rights_first: bool = Field(default=False, description="As many rights as can be held; the others are postponed.")


class DecisionGiven(Given):
    """A decision on a plan, with the version that was seen."""

    version: int = Field(ge=0, le=LARGEST_ID, examples=[1])
    decision: Decision | Literal["solve"] = Field(examples=["pin"])
    officer_id: OfficerId | None = None
    kind: Key | None = Field(default=None, examples=["compensatory_leave"])
    week: int | None = Field(
        default=None, ge=0, lt=LONGEST, description="Counted from 0; where something is pinned or moved."
    )
    reason: Words = ""
    rights_first: bool = Field(default=False, description="With solve: postpone rights that can't be held.")


class KindAnswer(Answer):
    """A kind of rest in the plan."""

    kind: str
    label: Text
    length_days: float
    places: int | None
    takes: str


class RestAnswer(Answer):
    """One rest. For all but the wellness team every kind is ``rest``, the benefit absent, rests for health left out."""

    officer_id: str
    unit: str
    post: str
    kind: str
    week: int
    first_day: dt.date
    last_day: dt.date
    state: str = Field(examples=["planned"])
    pinned: bool
    by_right: bool | None
    why: str | None = Field(description="calendar, never, or the measure after which it is due.")
    benefit: float | None = Field(description="Expected fall of the probability.")
    low: float | None
    high: float | None
    basis: str | None = Field(description="estimated, assumed (risk times an assumed share) or none.")


class UnitWeekAnswer(Answer):
    """A unit in a week."""

    unit: str
    week: int
    people: int
    present: int
    resting: int
    off_nights: int
    needed: int


class PlanAnswer(Answer):
    """A plan as the caller may see it."""

    plan_id: int
    as_of: dt.date
    first_monday: dt.date
    weeks: int
    state: str = Field(examples=["draft"])
    version: int
    pending: bool = Field(description="Changed, or impossible, since it was solved last.")
    possible: bool
    conflict: list[Text] = Field(description="What can't be had together; without any one of them it could.")
    quota: int
    kinds: list[KindAnswer]
    entries: list[RestAnswer]
    staffing: list[UnitWeekAnswer]
    figures: dict[str, Any] | None = Field(
        description="Benefit, gap, seconds, units below their share, one place more."
    )


class PlansAnswer(Answer):
    """The plans that the caller may see, the newest first."""

    plans: list[int]


@router.post(
    "",
    dependencies=[needs(Permission.DECIDE_REST_PLANS)],
    response_model=PlanAnswer,
    status_code=201,
    responses=problem_answers(Kind.FORBIDDEN, Kind.INVALID),
)
def make(request: Request, asked: PlanGiven, caller: TheCaller, once: Once) -> PlanAnswer:
    """Make and solve a plan. Where nothing is possible the answer holds the conflict, and no entries."""
    wanted = PlanRequest(
        as_of=month_end(parse_month(asked.as_of[:7])), quota=asked.quota, places=asked.places, weeks=asked.weeks,
        slack=asked.slack, blackouts=tuple(Blackout(one.first, one.last, one.unit) for one in asked.blackouts),
        rights_first=asked.rights_first,
    )  # fmt: skip
    plan_id = _known(request, once)
    if plan_id is None:
        state = request.app.state
        plan_id, _ = lifecycle.make_plan(state.engine, state.home, caller.actor, wanted, once=once)
    return _answer_of(request, caller, plan_id)


@router.get(
    "", dependencies=[needs(Permission.SEE_REST_PLANS)], response_model=PlansAnswer, responses=problem_answers()
)
def plans(database: Database, caller: TheCaller) -> PlansAnswer:
    """Return the numbers of the plans, the newest first."""
    return PlansAnswer(plans=[plan.id for plan in reading.plans(database, caller.sight)])


@router.get(
    "/{plan_id}",
    dependencies=[needs(Permission.SEE_REST_PLANS)],
    response_model=PlanAnswer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def plan(request: Request, plan_id: Annotated[Id, Path()], caller: TheCaller) -> PlanAnswer:
    """Return a plan: who rests when; for the wellness team also why, and how good the plan is."""
    return _answer_of(request, caller, plan_id)


@router.post(
    "/{plan_id}/decision",
    dependencies=[needs(Permission.DECIDE_REST_PLANS)],
    response_model=PlanAnswer,
    responses=problem_answers(Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.DECIDED_MEANWHILE, Kind.INVALID),
)
def decision(
    request: Request, plan_id: Annotated[Id, Path()], asked: DecisionGiven, caller: TheCaller, once: Once
) -> PlanAnswer:
    """Pin, move, strike or release a wish, solve again, confirm or withdraw, say what was taken or declined."""
    if _known(request, once) is None:
        _decide(request, caller, plan_id, asked, once=once)
    return _answer_of(request, caller, plan_id)


def _known(request: Request, once: Asked) -> int | None:
    """The plan that the same request made or changed before; None where it was not sent yet."""
    with transaction(request.app.state.engine, writes=False) as session:
        return once.known(session)


def _decide(request: Request, caller: Caller, plan_id: int, asked: DecisionGiven, *, once: Asked) -> None:
    engine = request.app.state.engine
    if asked.decision == "solve":
        version, first = asked.version, asked.rights_first
        lifecycle.solve_again(engine, caller.actor, plan_id, version, rights_first=first, once=once)
    else:
        change = Change(
            plan_id, asked.version, Decision(asked.decision), asked.officer_id, asked.kind, asked.week, asked.reason
        )
        with transaction(engine) as session:
            once.number(session, lambda: lifecycle.decide(session, caller.actor, change).id)


def _answer_of(request: Request, caller: Caller, plan_id: int) -> PlanAnswer:
    with transaction(request.app.state.engine, writes=False) as session:
        found = reading.plan_of(session, caller.sight, plan_id)
        if found is None:
            raise Problem(Kind.NOT_FOUND, NO_PLAN)
        full = reading.sees_health(caller.sight)
        return PlanAnswer(
            plan_id=found.id, as_of=found.as_of, first_monday=found.first_monday, weeks=found.weeks, state=found.state,
            version=found.version, pending=found.pending, possible=found.conflict is None, quota=found.quota,
            conflict=[Text(**words) for words in (found.conflict or []) if full],
            kinds=[_kind_of(found, kind) for kind in reading.kinds_seen(caller.sight, found)],
            entries=[RestAnswer(**vars(one)) for one in reading.rests_of(session, caller.sight, found)],
            staffing=[UnitWeekAnswer(**vars(one)) for one in reading.staffing_of(session, caller.sight, found)],
            figures=found.solved if full else None,
        )  # fmt: skip


def _kind_of(found: RestPlan, kind: dict[str, Any]) -> KindAnswer:
    return KindAnswer(
        kind=kind["key"], label=Text(**kind["label"]), length_days=kind["length_days"],
        places=found.places.get(kind["key"]), takes=kind["rules"]["takes"],
    )  # fmt: skip
