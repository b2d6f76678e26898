"""POST /predictions: scores histories sent in the request with the champion, or feature rows; stores nothing."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, Field

from features.cohort import cohort
from features.engine import feature_rows
from features.histories.checking import LARGEST
from features.months import month_end, month_of
from features.profile import Profile
from serving.access.caller import Caller, TheCaller, needs, refused
from serving.access.roles import Field as Seen
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.answers.sent import ReadHere, Sent
from serving.api.answers import Answer, Reason, reason_of
from serving.arrivals.given import Event, Given, Posting, given_histories
from serving.models.champions import Champions, Serving
from serving.models.scorers import Scorers
from serving.scored.scoring import reason_of as stored_reason
from serving.scored.told import points_per_unit
from serving.sessions import as_of_of
from training.models.evidence import LITTLE_HISTORY
from training.models.risk_model import RiskModel
from training.models.scoring import ScoredCohort, scored

router = APIRouter(prefix="/api/v1/predictions", tags=["predictions"], route_class=ReadHere)


class Asked(Given):
    """Histories, the month, and the risk (all risks of the profile that have a champion, if absent)."""

    roster: Annotated[list[Posting], Field(min_length=1, max_length=50_000)]
    events: Annotated[list[Event], Field(max_length=500_000)]
    as_of: str = Field(
        pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$", examples=["2024-06"], description="A month, or its last day."
    )
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
def predict(request: Request, sent: Sent[Asked]) -> Response:
    """Score the histories sent, with the same features and the same champion as the lists. Nothing is stored.

    The histories are scored alone: the peers and the unit of a person are those in the request. Where fewer
    than five peers are sent, features that compare with peers are unknown, so that the figure can differ
    from that of the list, which knows the whole force. Bad rows are answered with 422, each with its
    position; nothing is scored then.
    """
    scorers: Scorers = request.app.state.scorers
    told = scorers.answered(answer, sent) or answer(request.app.state.champions, sent)
    return Response(told, media_type="application/json")


def answer(champions: Champions, sent: Sent[Asked]) -> bytes:
    """Return the predictions of what was sent, as JSON; an error tells what is wrong with it."""
    return predicted(champions, sent.read()).model_dump_json().encode()


def predicted(champions: Champions, asked: Asked) -> Predictions:
    """Return the predictions of histories; a Problem lists every row that can't be used."""
    serving = _serving(champions, asked.risk)
    given = given_histories(serving.profile, asked.roster, asked.events)
    month = _month(asked.as_of)
    predictions: list[Prediction] = []
    if len(cohort(given, month)):
        rows = feature_rows(given, [month], names=serving.names)
        predictions = [one for model in serving.models for one in _told(scored(given, model, rows))]
    known = {prediction.officer_id for prediction in predictions}
    return Predictions(
        predictions=predictions,
        not_in_cohort=sorted({row.officer_id for row in asked.roster} - known),
    )


def _month(asked: str) -> int:
    """The month asked for, read as every other route reads it."""
    day = as_of_of(asked)
    assert day is not None  # the pattern lets no empty text through
    return month_of(day)


def _serving(champions: Champions, asked: str | None) -> Serving:
    """What serves the risk asked for, or all that have a champion."""
    if asked is not None and asked not in (risks := champions.profile().risks):
        raise Problem(Kind.INVALID, f"risk: the profile has no '{asked}'; it has {', '.join(risks)}.")
    found = champions.serving(asked)
    if not found.models:
        raise Problem(Kind.NOT_READY, "No risk has a champion; run jingxing train first.")
    return found


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


Number = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
"""A number as such: no text that could be read as one, no true or false."""


class AskedRows(Given):
    """Feature rows: the names of the columns, in any order, and a row of numbers for each person; null is unknown."""

    columns: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=2_000)]
    rows: Annotated[list[list[Number | None]], Field(min_length=1, max_length=10_000)]

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "columns": ["night_shift__sum__3m", "overtime_hours__vs_self__3m", "complaint__months_since"],
                "rows": [[14, 6.5, None], [3, -1.25, 7]],
            }
        }
    )


class PredictedRows(Answer):
    """The calibrated probability of each row, in the order sent, with its interval."""

    risk: str = Field(examples=["burnout"])
    model_version: str = Field(examples=["3"])
    probability: list[float] = Field(examples=[[0.31, 0.04]])
    low: list[float] = Field(examples=[[0.24, 0.02]])
    high: list[float] = Field(examples=[[0.38, 0.07]])
    evidence: list[str] = Field(
        description="sufficient, little_history or unlike_training: then don't rely on it.",
        examples=[["sufficient", "little_history"]],
    )


@dataclass(frozen=True)
class GivenRows:
    """Feature rows that were sent: values [row, name], NaN where unknown."""

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]


@router.post(
    "/{risk}",
    dependencies=[needs(Permission.SCORE_GIVEN_HISTORIES)],
    response_model=PredictedRows,
    responses=problem_answers(Kind.MALFORMED, Kind.NOT_FOUND, Kind.TOO_LARGE, Kind.INVALID, Kind.NOT_READY),
)
def predict_rows(
    request: Request,
    caller: TheCaller,
    risk: Annotated[str, Path(max_length=120, pattern=r"^[^\x00]+$", examples=["burnout"])],
    sent: Sent[AskedRows],
) -> PredictedRows:
    """Score feature rows (as `jingxing features` writes them) with a risk's champion: figures alone, no reasons.

    Every input of the model must be among the columns, and nothing else; both are answered with 422 by name.
    Inputs from health data may be left out, and are then unknown; they are refused (403, and in the log) where the
    caller may not see health data for the purpose of the risk. Nothing is stored.
    """
    champions: Champions = request.app.state.champions
    profile = champions.profile()
    asked = sent.read()
    fields = caller.sight.fields(profile.risks[risk].purpose) if risk in profile.risks else frozenset()
    if Seen.SCORE not in fields:
        raise Problem(Kind.NOT_FOUND, f"There is no risk '{risk}'. 没有此项风险。")
    model = champions.champion(risk)
    health = _of_health(profile, model.names)
    if Seen.HEALTH not in fields:
        _refuse_health(request, caller, _of_health(profile, tuple(asked.columns)))
    rows = _rows(asked, model, health)
    probability, low, high = model.probability_and_interval(rows)
    return PredictedRows(
        risk=risk,
        model_version=str(model.version),
        probability=probability.tolist(),
        low=low.tolist(),
        high=high.tolist(),
        evidence=_evidence(model, rows).tolist(),
    )


def _evidence(model: RiskModel, rows: GivenRows) -> npt.NDArray[np.str_]:
    """What the model says of each row; a model without bounds knows no row of nothing but nulls for what it is."""
    return np.where(np.isnan(rows.values).all(axis=1), LITTLE_HISTORY, model.evidence(rows))


def _of_health(profile: Profile, names: tuple[str, ...]) -> list[str]:
    """The names that draw on health data, be it by a rate or a sequence."""
    keys = {key for key, measure in profile.measures.items() if measure.sensitive}
    keys |= {key for key, rate in profile.settings.rates.items() if {rate.of, rate.per} & keys}
    keys |= {key for key, pair in profile.settings.sequences.items() if {pair.first, pair.then} & keys}
    return [name for name in names if name.split("__", 1)[0] in keys]


def _refuse_health(request: Request, caller: Caller, sent: list[str]) -> None:
    if sent:
        refused(request, caller, Seen.HEALTH.value)
        raise Problem(Kind.FORBIDDEN, "You may not use health data for this risk. 您无权将健康数据用于此项风险。", sent)


def _rows(asked: AskedRows, model: RiskModel, health: list[str]) -> GivenRows:
    """The rows in the order of the model's inputs; a Problem names every column that is wrong."""
    place = {name: number for number, name in enumerate(asked.columns)}
    absent = [name for name in model.names if name not in place]
    unequal = (number for number, row in enumerate(asked.rows) if len(row) != len(asked.columns))
    faults = ["columns: a name stands there twice"] * (len(place) < len(asked.columns))
    faults += [
        f"rows.{number}: holds {len(asked.rows[number])} numbers, not {len(asked.columns)}" for number in unequal
    ]
    faults += [f"columns: '{name}' is not an input of the model" for name in sorted(place.keys() - set(model.names))]
    faults += [f"columns: '{name}' is missing" for name in absent if name not in set(health)]
    if faults:
        raise Problem(Kind.INVALID, "These rows can't be scored; nothing was.", faults)
    sent = np.asarray(asked.rows, dtype=np.float32)
    if absent:
        sent = np.column_stack([sent, np.full(len(sent), np.nan, dtype=np.float32)])
    return GivenRows(model.names, np.ascontiguousarray(sent[:, [place.get(name, -1) for name in model.names]]))
