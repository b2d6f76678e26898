"""From raw scores to probabilities: Platt's curve, its level, and the band of low and high around it."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy
from scipy.special import expit

from features.late import Late
from training.models.intervals import Band, band

if TYPE_CHECKING:
    from sklearn import linear_model
else:
    linear_model = Late("sklearn.linear_model")

Array = npt.NDArray[np.float64]

DRAWS = 200


@dataclass(frozen=True)
class Calibration:
    """Platt's curve: margin = intercept + slope x raw score, and the band that gives low and high.

    ``draws`` are intercept and slope, bootstrapped; ``centre`` and ``spread`` the mean and standard deviation of the
    raw scores it was fitted to.
    """

    intercept: float
    slope: float
    draws: tuple[tuple[float, float], ...] = ()
    band: Band = field(default_factory=Band)
    centre: float = 0.0
    spread: float = 0.0

    def anchored(self, raw: Array, label: npt.ArrayLike, weight: npt.ArrayLike) -> "Calibration":
        """Return the curve for the raw scores of a later fit, at the level where their mean is their base rate.

        Scores of the later fit lie further apart, the more so the smaller the force: it has seen these rows. The
        slope is divided by how much.
        """
        counted = np.asarray(weight, dtype=np.float64)
        if counted.sum() == 0:
            return self
        share = counted / counted.sum()
        rate = float(share @ np.asarray(label, dtype=np.float64))
        if not 0 < rate < 1:
            return self
        curve = self._stretched(raw, share)
        margin = curve.margin(raw)
        far = 40.0 + float(np.abs(margin).max())  # from there on every probability is 0 or 1
        by = scipy.optimize.brentq(lambda by: float(share @ expit(margin + by)) - rate, -far, far, xtol=1e-10)
        return replace(curve, intercept=curve.intercept + by, draws=())

    def moving(self, moves: float) -> "Calibration":
        """Return the curve with a band that also holds how far the base rate moves (intervals.moves)."""
        return replace(self, band=replace(self.band, moves=moves))

    def margin(self, raw: Array) -> Array:
        """Return calibrated log-odds."""
        return self.intercept + self.slope * raw

    def interval(self, raw: Array) -> tuple[Array, Array]:
        """Return low and high of the probability."""
        return self.band.bounds(self.margin(raw), raw)

    def _stretched(self, raw: Array, share: Array) -> "Calibration":
        centre = float(share @ raw)
        spread = math.sqrt(float(share @ (raw - centre) ** 2))
        if spread == 0 or self.spread == 0:
            return self
        ratio = spread / self.spread
        moved = self.band.stretched((self.centre, centre), ratio)
        return replace(self, slope=self.slope / ratio, band=moved, centre=centre, spread=spread)


def calibrated(raw: Array, label: npt.ArrayLike, officer: npt.NDArray[np.int32], weight: npt.ArrayLike) -> Calibration:
    """Return Platt's curve fitted to raw scores and outcomes, with the band around it."""
    curve = platt(raw, label, officer, weight=weight, draws=0)
    outcome, counted = np.asarray(label, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    if not 0 < counted @ outcome < counted.sum():
        return curve
    around = band(raw, outcome, officer, weight=counted, curve=(curve.intercept, curve.slope))
    centre = float(np.average(raw, weights=counted))
    spread = math.sqrt(float(np.average((raw - centre) ** 2, weights=counted)))
    return replace(curve, band=around, centre=centre, spread=spread)


def platt(
    raw: Array,
    label: npt.ArrayLike,
    officer: npt.NDArray[np.int32],
    *,
    weight: npt.ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Calibration:
    """Return Platt's curve fitted to raw scores and outcomes, with a bootstrap over officers (Platt 1999)."""
    outcome = np.asarray(label, dtype=np.float64)
    counted = np.ones(len(raw)) if weight is None else np.asarray(weight, dtype=np.float64)
    if len(np.unique(outcome[counted > 0])) < 2 or np.ptp(raw) == 0:
        rate = (counted @ outcome + 0.5) / (counted.sum() + 1)
        return Calibration(math.log(rate / (1 - rate)), 0.0)
    intercept, slope = _curve(raw, outcome, counted)
    generator = np.random.default_rng(seed)
    persons, number = np.unique(officer, return_inverse=True)
    drawn = []
    for _ in range(draws):
        taken = counted * generator.multinomial(len(persons), np.full(len(persons), 1 / len(persons)))[number]
        if 0 < (taken * outcome).sum() < taken.sum():
            drawn.append(_newton(raw, outcome, taken, start=(intercept, slope)))
    return Calibration(intercept, slope, tuple(drawn))


def _curve(raw: Array, outcome: Array, weights: Array) -> tuple[float, float]:
    fitted = linear_model.LogisticRegression(C=1e6, max_iter=1000, tol=1e-8).fit(
        raw[:, None], outcome, sample_weight=weights
    )
    slope = float(fitted.coef_[0, 0])
    if slope > 0:
        return float(fitted.intercept_[0]), slope
    rate = float(np.average(outcome, weights=weights))  # the order says nothing: everyone gets the base rate
    return math.log(rate / (1 - rate)), 0.0


def _newton(raw: Array, outcome: Array, weights: Array, *, start: tuple[float, float]) -> tuple[float, float]:
    """Two Newton steps from the whole sample's curve: enough for a draw, and a hundred times faster."""
    point = np.asarray(start)
    design = np.column_stack([np.ones(len(raw)), raw])
    for _ in range(2):
        shown = expit(design @ point)
        slope = design.T @ (weights * (outcome - shown))
        bend = (design * (weights * shown * (1 - shown))[:, None]).T @ design
        point = point + np.linalg.solve(bend + 1e-9 * np.eye(2), slope)
    return float(point[0]), max(0.0, float(point[1]))
