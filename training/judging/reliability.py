"""Are the probabilities right as a whole: expected to observed outcomes, and the slope of the log-odds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from training.judging.metrics import Figure, officer_draws
from training.judging.validation import OutOfFold
from training.models.risk_model import platt

Array = npt.NDArray[np.float64]

LEAST = 1e-6
NONE = Figure(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Reliability:
    """``ratio``: outcomes expected to outcomes seen; ``slope``: 1 where log-odds lie as far apart as they should.

    A slope of 0.5 says that they are twice too far apart. Each with a 90 % interval by bootstrap over officers.
    """

    rate: float
    ratio: Figure
    slope: Figure

    def card(self) -> dict[str, Any]:
        """Return what the gate reads."""
        told = {"rate": round(self.rate, 6), "ratio": self.ratio.as_json(), "slope": self.slope.as_json()}
        return {**told, "meaning": "outcomes expected to outcomes seen; slope of the outcome on the log-odds"}

    def lines(self) -> list[str]:
        """Return one sentence."""
        ratio, slope = self.ratio, self.slope
        return [
            f"  reliability: {ratio.value:.2f} outcomes expected for each that was seen ({ratio.low:.2f} to "
            f"{ratio.high:.2f}); slope of the log-odds {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
        ]


def reliability(found: OutOfFold) -> Reliability:
    """Return how the probabilities of all test rows fit their outcomes as a whole (Cox 1958; Van Calster 2016)."""
    persons, officer = np.unique(found.officer, return_inverse=True)
    label = found.label.astype(np.float64)
    weights = officer_draws(len(persons))
    counted = np.ones(len(label)) if found.weight is None else found.weight
    expected = weights @ np.bincount(officer, weights=found.probability * counted)
    seen = weights @ np.bincount(officer, weights=label * counted)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = _figure(np.where(seen > 0, expected / seen, np.nan))
    curve = platt(logit(np.clip(found.probability, LEAST, 1 - LEAST)), label, officer.astype(np.int32), weight=counted)
    slope = _figure(np.asarray([curve.slope, *(slope for _, slope in curve.draws)])) if curve.draws else NONE
    return Reliability(float(np.average(label, weights=counted)), ratio, slope)


def _figure(drawn: Array) -> Figure:
    if np.isnan(drawn[0]):
        return NONE
    low, high = np.nanquantile(drawn[1:], [0.05, 0.95])
    return Figure(float(drawn[0]), float(low), float(high))
