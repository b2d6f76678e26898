"""POST /officers/{id}/what-if: the risk if levers that command can pull were pulled. Only the asking is kept."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.histories.store import current_version
from features.months import month_of
from features.profile import Profile
from serving.access.audit import record
from serving.access.caller import Caller, TheCaller, needs, refused
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer
from serving.database import transaction
from serving.decisions.standing import corrected
from serving.models.champions import Champions
from serving.persons.levers import Room, rooms_of
from serving.persons.what_if import Score, WhatIf, check_pulls, what_if
from serving.scored import queries
from serving.scored.queries import PersonRisk
from serving.sessions import Database, as_of_of
from serving.words import same
from training.models.risk_model import RiskModel

router = APIRouter(prefix="/api/v1/officers", tags=["people"])


class LeversGiven(BaseModel):
    """How much less of each lever over the last months; what is not named stays as it was."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"as_of": "2024-06", "less": {"night_shift": 4, "overtime_hours": 20}}},
    )

    as_of: str | None = Field(default=None, max_length=10, pattern=r"^[^\x00]*$")
    risk: str | None = Field(default=None, max_length=120, pattern=r"^[^\x00]*$")
    less: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict, max_length=50)


class RoomAnswer(Answer):
    """A lever: what the person had in the last months, and how much less the roster allows."""

    lever: str
    label: dict[str, str]
    now: float
    floor: float = Field(description="The low end of the same post.")
    carry: float | None = Field(description="What colleagues of unit and post can take over; null: nobody has to.")
    less: float = Field(description="So much less is allowed.")


class ScoreAnswer(Answer):
    """A probability with its interval."""

    probability: float
    low: float
    high: float


class RiskAnswer(Answer):
    """One risk as it is and as it would be."""

    risk: str
    model_version: str
    before: ScoreAnswer
    after: ScoreAnswer


class WhatIfAnswer(Answer):
    """What the champion says of the changed months. It is a model's answer, not a promise."""

    officer_id: str
    as_of: dt.date
    months: int = Field(description="The last months, whose events were changed.")
    levers: list[RoomAnswer]
    risks: list[RiskAnswer]
    caution: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A question about a person within reach: the levers' rooms, and both scores of each risk."""

    profile: Profile
    as_of: dt.date
    rooms: list[Room]
    risks: dict[str, tuple[str, Score, Score]]


@router.post(
    "/{officer_id}/what-if",
    dependencies=[needs(Permission.ASK_WHAT_IF)],
    response_model=WhatIfAnswer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.NOT_READY, Kind.MALFORMED),
)
def ask_what_if(
    request: Request,
    caller: TheCaller,
    database: Database,
    officer_id: Annotated[str, InPath(examples=["021457"])],
    given: LeversGiven,
) -> WhatIfAnswer:
    """Answer how risks would change with fewer nights, less overtime, fewer quick returns, days off given back.

    The levers are those of the profile, within what the roster allows; without any the answer says how far each
    goes. Only risks that the caller may see are answered.
    """
    day = as_of_of(given.as_of) if given.as_of else None
    asked = asked_of(request, database, caller, officer_id, day, risk=given.risk, less=given.less)
    return WhatIfAnswer(
        officer_id=officer_id,
        as_of=asked.as_of,
        months=asked.profile.settings.what_if.months,
        levers=[_room(asked.profile, room) for room in asked.rooms],
        risks=[
            RiskAnswer(
                risk=risk, model_version=version, before=ScoreAnswer(**asdict(now)), after=ScoreAnswer(**asdict(then))
            )
            for risk, (version, now, then) in asked.risks.items()
        ],
        caution=same("what_if_caution"),
    )


def asked_of(
    request: Request,
    database: Session,
    caller: Caller,
    officer_id: str,
    as_of: dt.date | None,
    *,
    risk: str | None,
    less: Mapping[str, float],
) -> Asked:
    """Return the answer for a person within the caller's reach, and write that it was asked.

    A Problem for somebody who is not within reach, for a risk that may not be seen, or for levers pulled too far.
    """
    facts = queries.facts_of(database, caller.sight, officer_id, as_of)
    if facts is None or caller.sight.pseudonymous:
        refused(request, caller, Permission.ASK_WHAT_IF.value)
        raise Problem(Kind.NOT_FOUND, "Nobody of this number has been scored. 没有此人的评分。")
    views = queries.person_risks(database, caller.sight, officer_id, facts.as_of)
    risks = [view.batch.risk for view in views if risk in (None, "", view.batch.risk)]
    if not risks:
        raise Problem(Kind.NOT_FOUND, "There is no such risk of this person and month. 没有这一风险的评分。")
    champions: Champions = request.app.state.champions
    case = _Case(request.app.state.home, officer_id, facts.as_of)
    try:
        check_pulls(case.rooms, less)
        found = {
            view.batch.risk: _scores(database, champions.champion(view.batch.risk), view, case, less)
            for view in views
            if view.batch.risk in risks
        }
    except Refusal as refusal:
        raise Problem(Kind.INVALID, refusal.what, refusal.problems) from None
    with transaction(request.app.state.engine) as session:
        told = {"as_of": str(facts.as_of), "risks": risks, "less": dict(less)}
        record(session, caller.actor, "what-if asked", officer_id, **told)
    return Asked(champions.profile(), facts.as_of, case.rooms, found)


class _Case:
    """A person's case; the histories of all who count are read only where something has to be scored."""

    def __init__(self, home: Path, officer_id: str, as_of: dt.date) -> None:
        self.home, self.officer_id, self.month = home, officer_id, month_of(as_of)
        self.rooms = rooms_of(home, officer_id, self.month)

    @cached_property
    def case(self) -> WhatIf:
        """The person with everybody who counts for the features."""
        return what_if(self.home, self.officer_id, self.month)


def _scores(
    database: Session, model: RiskModel, view: PersonRisk, case: _Case, less: Mapping[str, float]
) -> tuple[str, Score, Score]:
    """Version and both scores. With nothing pulled it is the list's score, while that is what would be computed."""
    batch = view.batch
    as_listed = (batch.model_version, batch.histories_version) == (str(model.version), current_version(case.home).name)
    if as_listed and not any(less.values()) and not corrected(database, batch, [case.officer_id]):
        listed = Score(view.score.probability, view.score.low, view.score.high)
        return str(model.version), listed, listed
    return (str(model.version), *case.case.scores(model, less))


def lever_label(profile: Profile, lever: str) -> dict[str, str]:
    """Return a lever's name in both languages: its own, else that of its measure."""
    own = profile.settings.what_if.levers[lever].label
    return {language: own.get(language) if own else profile.label(lever, language) for language in ("zh", "en")}


def _room(profile: Profile, room: Room) -> RoomAnswer:
    figures = {name: getattr(room, name) for name in ("lever", "now", "floor", "carry", "less")}
    return RoomAnswer(label=lever_label(profile, room.lever), **figures)
