"""Scoring a cohort: probabilities with intervals, ranks and reasons of everyone at an as-of."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.cohort import first_month
from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import last_day, month_of_day, month_text, timestamps
from features.others import THIRD
from training.models.evidence import SUFFICIENT
from training.models.reasons import Asked, Reason, reasons, told_names
from training.models.risk_model import RiskModel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoredCohort:
    """The scores of a cohort at one as-of, an entry per officer in the order of officer_id; rank 1 is highest.

    ``evidence`` is one of evidence.KINDS; who has not enough has rank 0: no place in the order.
    """

    risk: str
    as_of: int
    model_version: str
    base_value: float
    officer: npt.NDArray[np.int32]
    officer_id: npt.NDArray[np.str_]
    post: npt.NDArray[np.int32]
    unit: npt.NDArray[np.int32]
    margin: Array
    probability: Array
    low: Array
    high: Array
    rank: npt.NDArray[np.int32]
    evidence: npt.NDArray[np.str_]
    reasons: tuple[tuple[Reason, ...], ...]

    def __len__(self) -> int:
        return len(self.officer)

    def order(self) -> npt.NDArray[np.int64]:
        """Return the positions by rank, those without one after all others, the most probable first."""
        return np.lexsort((-self.margin, self.rank, self.rank == 0))

    def frame(self) -> pd.DataFrame:
        """Return the contract's table and ``evidence``, by rank (null without one); ``reasons`` is JSON text."""
        ranked = self.order()
        return pd.DataFrame(
            {
                "officer_id": self.officer_id[ranked],
                "as_of": timestamps(np.full(len(self), last_day(self.as_of))),
                "risk": self.risk,
                "probability": self.probability[ranked],
                "low": self.low[ranked],
                "high": self.high[ranked],
                "rank": pd.arrays.IntegerArray(self.rank[ranked], self.rank[ranked] == 0),
                "model_version": self.model_version,
                "base_value": self.base_value,
                "reasons": [_as_text(self.reasons[row]) for row in ranked],
                "evidence": self.evidence[ranked],
            }
        )


def score_cohort(histories: Histories, model: RiskModel, as_of: int) -> ScoredCohort:
    """Return the scores of everyone in the cohort at ``as_of``, from what was recorded by its last day.

    Raises a Refusal when nobody is in the cohort.
    """
    rows = feature_rows(histories, [as_of], names=told_names(histories.profile, model.names))
    if not len(rows):
        raise Refusal(f"Nobody is in the cohort at {month_text(as_of)}.", hint="Is the month inside the histories?")
    return scored(histories, model, rows)


def scored(histories: Histories, model: RiskModel, rows: FeatureRows) -> ScoredCohort:
    """Return the scores of feature rows (told_names of the model) of one as-of, their posts' middles among them."""
    scores = model.score(rows)
    known = months_known(histories, rows)
    why = reasons(
        histories.profile, model.names, rows, scores.by_feature, stable=scores.stable, known=known,
        told=middles_told(histories, int(rows.as_of[0])),
    )  # fmt: skip
    evidence = model.evidence(rows, np.asarray(histories.posts, dtype=np.str_)[rows.post])
    return ScoredCohort(
        risk=model.risk,
        as_of=int(rows.as_of[0]),
        model_version=model.version,
        base_value=scores.base_value,
        officer=rows.officer,
        officer_id=histories.officers[rows.officer],
        post=rows.post,
        unit=rows.unit,
        margin=scores.margin,
        probability=scores.probability,
        low=scores.low,
        high=scores.high,
        rank=ranks(scores.margin, evidence),
        evidence=evidence,
        reasons=tuple(why),
    )


def middles_told(histories: Histories, as_of: int) -> Asked | None:
    """Return what gives everyone's counts of a feature, where the histories are a part of a force; None of a whole."""
    if histories.others.alone:
        return None
    return lambda name, counts: histories.others.figures(THIRD, ("middle", as_of, name), counts)


def months_known(histories: Histories, rows: FeatureRows) -> npt.NDArray[np.float64]:
    """Return how many months each row's records reach back: to the first posting, or to the first event of all."""
    own = int(histories.events.occurred.min()) if len(histories.events) else int(last_day(rows.as_of[0]))
    begun = int(month_of_day(histories.others.first_event(own)))
    return (rows.as_of - np.maximum(first_month(histories)[rows.officer], begun) + 1).astype(np.float64)


def ranks(margin: Array, evidence: npt.NDArray[np.str_]) -> npt.NDArray[np.int32]:
    """Return the ranks of a whole cohort by margin, 1 the highest; 0 where the evidence does not suffice."""
    judged = evidence == SUFFICIENT
    rank = np.zeros(len(margin), dtype=np.int32)
    order = np.lexsort((-margin, ~judged))
    rank[order[: int(judged.sum())]] = np.arange(1, int(judged.sum()) + 1)
    return rank


def _as_text(given: tuple[Reason, ...]) -> str:
    return json.dumps([reason.as_json() for reason in given], ensure_ascii=False, allow_nan=False)
