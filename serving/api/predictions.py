"""POST /predictions: scores histories sent in the request with the champion; stores nothing."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from features.cohort import cohort
from features.engine import feature_rows
from features.months import month_end, parse_month
from features.profile import Profile
from serving.access.caller import needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer, Reason, reason_of
from serving.arrivals.given import Event, Given, Posting, given_histories
from serving.models.champions import Champions
from serving.scored.queries import points_per_unit
from serving.scored.scoring import reason_of as stored_reason
from training.models.scoring import ScoredCohort, scored

router = APIRouter(prefix="/api/v1/predictions", tags=["predictions"])


class Asked(Given):
    """Histories, the month, and the risk (all risks of the profile that have a champion, if absent)."""

    roster: Annotated[list[Posting], Field(min_length=1, max_length=50_000)]
    events: Annotated[list[Event], Field(max_length=500_000)]
    as_of: str = Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$", examples=["2024-06"])
    risk: str | None = Field(default=None, examples=["burnout"])

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "roster": [
                    {"officer_id": "021457", "valid_from": "2019-03-01", "post": "patrol", "unit": "巡特警二大队"}
                ],
                "events": [{"officer_id": "021457", "measure": "night_shift", "occurred_on": "2024-06-03", "value": 1}],
                "as_of": "2024-06",
                "risk": "burnout",
            }
        }
    )


class Prediction(Answer):
    """One person's risk with its interval and reasons."""

    officer_id: str
    risk: str
    as_of: dt.date
    model_version: str
    probability: float
    low: float
    high: float
    evidence: str = Field(description="sufficient, little_history or unlike_training: then don't rely on it.")
    base_value: float
    reasons: list[Reason]


class Predictions(Answer):
    """The predictions of everyone who is in the cohort of the month."""

    predictions: list[Prediction]
    not_in_cohort: list[str] = Field(description="Sent, but without a posting or too short in service then.")


@router.post(
    "",
    dependencies=[needs(Permission.SCORE_GIVEN_HISTORIES)],
    response_model=Predictions,
    responses=problem_answers(Kind.MALFORMED, Kind.TOO_LARGE, Kind.INVALID, Kind.NOT_READY),
)
def predict(request: Request, asked: Asked) -> Predictions:
    """Score the histories sent, with the same features and the same champion as the lists. Nothing is stored.

    The histories are scored alone: the peers and the unit of a person are those in the request. Where fewer
    than five peers are sent, features that compare with peers are unknown, so that the figure can differ
    from that of the list, which knows the whole force. Bad rows are answered with 422, each with its
    position; nothing is scored then.
    """
    champions: Champions = request.app.state.champions
    profile = champions.profile()
    given = given_histories(profile, asked.roster, asked.events)
    month = parse_month(asked.as_of[:7])
    models = [champions.champion(risk) for risk in _risks(champions, profile, asked.risk)]
    predictions: list[Prediction] = []
    if len(cohort(given, month)):
        rows = feature_rows(given, [month], names=champions.names(models))
        predictions = [one for model in models for one in _told(scored(given, model, rows))]
    known = {prediction.officer_id for prediction in predictions}
    return Predictions(
        predictions=predictions,
        not_in_cohort=sorted({row.officer_id for row in asked.roster} - known),
    )


def _risks(champions: Champions, profile: Profile, asked: str | None) -> list[str]:
    """The risks to score: the one asked for, or all that have a champion."""
    if asked is None:
        found = list(champions.versions())
        if not found:
            raise Problem(Kind.NOT_READY, "No risk has a champion; run jingxing train first.")
        return found
    if asked not in profile.risks:
        raise Problem(Kind.INVALID, f"risk: the profile has no '{asked}'; it has {', '.join(profile.risks)}.")
    return [asked]


def _told(scored: ScoredCohort) -> list[Prediction]:
    return [
        Prediction(
            officer_id=str(scored.officer_id[row]),
            risk=scored.risk,
            as_of=month_end(scored.as_of),
            model_version=scored.model_version,
            probability=float(scored.probability[row]),
            low=float(scored.low[row]),
            high=float(scored.high[row]),
            evidence=str(scored.evidence[row]),
            base_value=scored.base_value,
            reasons=[
                reason_of(stored_reason(reason), points_per_unit(scored.base_value, scored.probability[row]))
                for reason in scored.reasons[row]
            ],
        )
        for row in scored.order()
    ]
