"""GET /models, POST promote and rollback: the registry as JSON. Versions and figures; never a person."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from serving.access.caller import TheCaller, needs
from serving.access.repeated import Once
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer, Text
from serving.models.promotions import known_version, promote, registry_of, roll_back
from training.registry.gate import Criterion
from training.registry.history import Entry, Production
from training.registry.registry import NotPromoted, Registry, Version

LONGEST = 2000
MOST_ROWS = 100
RiskKey = Annotated[str, Path(max_length=120, pattern=r"^[^\x00']+$", examples=["burnout"])]
Reason = Annotated[
    str,
    Field(
        min_length=4,
        max_length=LONGEST,
        pattern=r"^[^\x00]*\S[^\x00]*$",
        examples=["better calibrated on the newest months"],
        description="Why, in words that others will read; kept in the registry's history.",
    ),
]

router = APIRouter(prefix="/api/v1/models", tags=["models"])


class Promotion(BaseModel):
    """Which version is to serve, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(default="latest", pattern=r"^(latest|[0-9]{1,9})$", examples=["3"])
    reason: Reason


class Rollback(BaseModel):
    """Why the champion before the present one is to serve again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason


class CriterionAnswer(Answer):
    """One bound of the gate."""

    key: str = Field(examples=["calibration"])
    name: Text
    figure: str = Field(examples=["0.008 (0.003–0.012)"])
    bound: str = Field(examples=["≤ 0.012"])
    how: Text | None = Field(default=None, description="How the figure is judged, where not plainly by the bound.")
    met: bool
    objections: list[Text]


class VersionAnswer(Answer):
    """One version with its figures, each [value, low, high] (90 % interval), and what the gate says of it now."""

    version: str = Field(examples=["3"])
    aliases: list[str] = Field(examples=[["champion"]])
    until: str | None = Field(examples=["2024-06"], description="It knows what was recorded by the end of this month.")
    figures: dict[str, dict[str, list[float | None]]]
    criteria: list[CriterionAnswer]


class ServingAnswer(Answer):
    """What serves, since when, and by whose word."""

    version: str
    since: str = Field(examples=["2024-07-01T08:00:00Z"])
    by: str
    reason: str
    forced: bool = Field(description="Promoted in spite of the gate; ``objections`` say what it had against it.")
    objections: list[Text]


class HistoryRow(Answer):
    """One decision: a row of the hash-chained history."""

    number: int
    when: str
    who: str
    action: str = Field(examples=["promoted"], description="promoted, rolled back, refused, affirmed")
    risk: str
    version: str
    previous: str | None
    reason: str
    forced: bool
    objections: list[Text]
    hash: str


class RiskModels(Answer):
    """The models of one risk."""

    risk: str = Field(examples=["burnout"])
    serving: ServingAnswer | None
    scores_nobody: str | None = Field(
        description="Id of the impact assessment without which its champion may not score."
    )
    versions: list[VersionAnswer]
    history: list[HistoryRow] = Field(description=f"The newest {MOST_ROWS} rows, the newest first.")


class Models(Answer):
    """Every risk that has a model."""

    risks: list[RiskModels]


@router.get(
    "", dependencies=[needs(Permission.SEE_MODELS)], response_model=Models, responses=problem_answers(Kind.INVALID)
)
def models(
    request: Request, risk: Annotated[str | None, Query(max_length=120, pattern=r"^[^\x00']*$")] = None
) -> Models:
    """Return versions, figures, what the gate says of each, which serves, and the history of every decision."""
    registry = registry_of(request)
    return Models(risks=[_of_risk(registry, one) for one in registry.risks() if not risk or one == risk])


@router.post(
    "/{risk}/promote",
    dependencies=[needs(Permission.PROMOTE)],
    response_model=HistoryRow,
    responses=problem_answers(Kind.NOT_FOUND, Kind.NOT_PROMOTED, Kind.INVALID, Kind.MALFORMED),
)
def promotion(request: Request, caller: TheCaller, once: Once, risk: RiskKey, given: Promotion) -> HistoryRow:
    """Make a version champion through the gate; 409 tells what the gate has against it, and nothing changes.

    The version that serves already is affirmed by the new name and reason.
    """
    held = known_version(registry_of(request), risk, given.version)
    try:
        return history_row(promote(request, caller, held, given.reason, asked=once))
    except NotPromoted as refusal:
        told = [f"{each['en']} {each['zh']}" for each in refusal.entry.objections]
        raise Problem(Kind.NOT_PROMOTED, f"{refusal.what} 该版本未能上线。", told) from None


@router.post(
    "/{risk}/rollback",
    dependencies=[needs(Permission.PROMOTE)],
    response_model=HistoryRow,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID, Kind.MALFORMED),
)
def rollback(request: Request, caller: TheCaller, once: Once, risk: RiskKey, given: Rollback) -> HistoryRow:
    """Let the champion before the present one serve again."""
    return history_row(roll_back(request, caller, risk, given.reason, asked=once))


def history_row(entry: Entry) -> HistoryRow:
    """Return a row of the history as it is told."""
    names = ("number", "when", "who", "action", "risk", "version", "previous", "reason", "forced", "hash")
    return HistoryRow(**{name: getattr(entry, name) for name in names}, objections=_texts(entry.objections))


def _of_risk(registry: Registry, risk: str) -> RiskModels:
    serves = registry.in_production(risk)
    lacking = registry.unassessed(risk, serves) if serves else None
    return RiskModels(
        risk=risk,
        serving=_serving(serves) if serves else None,
        scores_nobody=lacking.id if lacking else None,
        versions=[_version(one, criteria) for one, criteria in registry.judged(risk)],
        history=[history_row(row) for row in registry.history(risk)[: -MOST_ROWS - 1 : -1]],
    )


def _serving(serves: Production) -> ServingAnswer:
    names = ("version", "since", "by", "reason", "forced")
    return ServingAnswer(**{name: getattr(serves, name) for name in names}, objections=_texts(serves.objections))


def _version(held: Version, criteria: list[Criterion]) -> VersionAnswer:
    return VersionAnswer(
        version=held.version,
        aliases=list(held.aliases),
        until=held.card.get("until"),
        figures=held.card.get("figures", {}),
        criteria=[_criterion(one) for one in criteria],
    )


def _criterion(one: Criterion) -> CriterionAnswer:
    return CriterionAnswer(
        key=one.key,
        name=Text(zh=one.zh, en=one.en),
        figure=one.figure,
        bound=one.bound,
        how=Text(en=one.how[0], zh=one.how[1]) if one.how[0] else None,
        met=one.met,
        objections=[Text(zh=each.zh, en=each.en) for each in one.objections],
    )


def _texts(objections: Any) -> list[Text]:
    return [Text(zh=each["zh"], en=each["en"]) for each in objections]
