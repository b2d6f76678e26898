"""RiskModel: LightGBM boosters that are averaged, their calibration and reasons.

Stored as LightGBM's text and JSON, never pickled.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from features.errors import Refusal
from features.names import group_of, parse_name
from features.profile import Profile

Array = npt.NDArray[np.float64]

MODEL_FILE = "model-{}.txt"
CARD_FILE = "model.json"
FEW_ROWS = 64
"""Up to so many rows one thread is faster than several (8 ms against 0.09 ms for one row)."""
DRAWS = 200
RISING = {"sum", "mean", "decay", "ever", "vs_peers", "in_a_row", "back_to_back", "count", "rate"}
FALLING = {"months_since", "days_since"}
EITHER = {"slope", "spread", "vs_self"}
INTERVAL_MEANING = (
    "low and high: 90 % interval for how often persons with this score met the outcome in the calibration months, "
    "by bootstrap over officers; it does not cover what no model can know of one person."
)


class Rows(Protocol):
    """What a model scores: feature rows with these two attributes."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def values(self) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Scores:
    """Scores of rows. ``base_value + contributions.sum(axis=1)`` is ``margin`` (calibrated log-odds).

    ``contributions`` has a column for each of ``groups``; ``by_feature`` the same before summing, a column for
    each of the model's names.
    """

    margin: Array
    probability: Array
    low: Array
    high: Array
    base_value: float
    groups: tuple[str, ...]
    contributions: Array
    by_feature: Array


@dataclass(frozen=True)
class Calibration:
    """Platt's curve: margin = intercept + slope x raw score; ``draws`` are the same two numbers, bootstrapped."""

    intercept: float
    slope: float
    draws: tuple[tuple[float, float], ...] = ()

    def anchored(self, raw: Array, label: npt.ArrayLike, weight: npt.ArrayLike) -> "Calibration":
        """Return the curve at the level where the mean probability of these raw scores is their base rate."""
        counted = np.asarray(weight, dtype=np.float64)
        if counted.sum() == 0:
            return self
        share = counted / counted.sum()
        rate = float(share @ np.asarray(label, dtype=np.float64))
        if not 0 < rate < 1:
            return self
        by = brentq(lambda by: float(share @ expit(self.margin(raw) + by)) - rate, -30.0, 30.0, xtol=1e-10)
        draws = tuple((intercept + by, slope) for intercept, slope in self.draws)
        return Calibration(self.intercept + by, self.slope, draws)

    def margin(self, raw: Array) -> Array:
        """Return calibrated log-odds."""
        return self.intercept + self.slope * raw

    def interval(self, raw: Array) -> tuple[Array, Array]:
        """Return the 5 % and 95 % points of the probability over the draws."""
        if not self.draws:
            return expit(self.margin(raw)), expit(self.margin(raw))
        intercepts, slopes = np.asarray(self.draws).T
        drawn = intercepts[:, None] + slopes[:, None] * raw
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        return expit(np.minimum(low, self.margin(raw))), expit(np.maximum(high, self.margin(raw)))


@dataclass(frozen=True)
class RiskModel:
    """A trained model of one risk: the mean of its boosters, calibrated.

    ``card`` holds what is worth knowing beside it: figures, months, versions.
    """

    risk: str
    names: tuple[str, ...]
    boosters: tuple[lgb.Booster, ...]
    calibration: Calibration
    card: Mapping[str, Any]
    version: str = "unregistered"

    @property
    def groups(self) -> tuple[str, ...]:
        """What the reasons speak of: measures, rates, sequences, and the index, tenure, transfer, post."""
        return tuple(dict.fromkeys(group_of(name) for name in self.names))

    @property
    def base_value(self) -> float:
        """The margin of nobody in particular, from which the reasons start."""
        empty = np.zeros((1, len(self.names)), dtype=np.float32)
        bias = self._mean(empty, pred_contrib=True)[0, -1]
        return float(self.calibration.intercept + self.calibration.slope * bias)

    def probability(self, rows: Rows) -> Array:
        """Return calibrated probabilities alone, without reasons."""
        found: Array = expit(self.calibration.margin(self._raw(self._columns(rows))))
        return found

    def probability_and_interval(self, rows: Rows) -> tuple[Array, Array, Array]:
        """Return calibrated probabilities with low and high, without reasons."""
        raw = self._raw(self._columns(rows))
        return expit(self.calibration.margin(raw)), *self.calibration.interval(raw)

    def score(self, rows: Rows) -> Scores:
        """Return probabilities with interval and reasons (path-dependent TreeSHAP, Lundberg et al. 2018)."""
        values = self._columns(rows)
        raw = self._raw(values)
        shap = self._mean(values, pred_contrib=True).reshape(len(values), len(self.names) + 1)
        by_feature = self.calibration.slope * shap[:, :-1]
        low, high = self.calibration.interval(raw)
        margin = self.calibration.margin(raw)
        sums = self._summed(by_feature)
        return Scores(margin, expit(margin), low, high, self.base_value, self.groups, sums, by_feature)

    def save(self, folder: Path) -> None:
        """Write model-1.txt, model-2.txt ... (LightGBM's own format) and model.json into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, booster in enumerate(self.boosters, start=1):
            (folder / MODEL_FILE.format(number)).write_text(booster.model_to_string(), encoding="utf-8")
        card = {
            "risk": self.risk,
            "names": self.names,
            "boosters": len(self.boosters),
            "calibration": {
                "intercept": self.calibration.intercept,
                "slope": self.calibration.slope,
                "draws": self.calibration.draws,
            },
            "interval": INTERVAL_MEANING,
            "card": self.card,
        }
        text = json.dumps(card, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, version: str = "unregistered") -> "RiskModel":
        """Return the model saved in a folder; a Refusal where its files are not there or not whole."""
        try:
            stored = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
            files = [folder / MODEL_FILE.format(number) for number in range(1, stored["boosters"] + 1)]
            boosters = tuple(lgb.Booster(model_str=file.read_text(encoding="utf-8")) for file in files)
        except (OSError, KeyError, ValueError, lgb.basic.LightGBMError) as error:
            raise Refusal(
                f"There is no whole model in {folder} ({type(error).__name__}).", hint="Train it again."
            ) from error
        curve = stored["calibration"]
        calibration = Calibration(curve["intercept"], curve["slope"], tuple((a, b) for a, b in curve["draws"]))
        return cls(stored["risk"], tuple(stored["names"]), boosters, calibration, stored["card"], version)

    def named(self, version: str) -> "RiskModel":
        """Return the same model under a version of the registry."""
        return replace(self, version=version)

    def _columns(self, rows: Rows) -> npt.NDArray[np.float32]:
        if rows.names == self.names:
            return np.ascontiguousarray(rows.values)
        place = {name: number for number, name in enumerate(rows.names)}
        missing = [name for name in self.names if name not in place]
        if missing:
            raise Refusal(
                f"The model of '{self.risk}' needs features that these rows do not have:",
                missing,
                hint="Was the profile changed since it was trained? Train it again.",
            )
        return np.ascontiguousarray(rows.values[:, [place[name] for name in self.names]])

    def _raw(self, values: npt.NDArray[np.float32]) -> Array:
        if not len(values):
            return np.zeros(0)
        return self._mean(values, raw_score=True)

    def _mean(self, values: npt.NDArray[np.float32], **kind: bool) -> Array:
        """The boosters' mean, added one by one: NumPy's own order depends on the array's shape."""
        number = threads(len(values))
        parts = [np.asarray(one.predict(values, num_threads=number, **kind), np.float64) for one in self.boosters]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total / len(parts)

    def _summed(self, by_feature: Array) -> Array:
        groups = self.groups
        place = {group: number for number, group in enumerate(groups)}
        membership = np.zeros((len(self.names), len(groups)))
        membership[np.arange(len(self.names)), [place[group_of(name)] for name in self.names]] = 1.0
        return by_feature @ membership


def threads(rows: int) -> int:
    """Return how many threads are worth it for so many rows."""
    return 1 if rows <= FEW_ROWS else (os.cpu_count() or 1)


def direction(name: str, profile: Profile, risk: str) -> int | None:
    """Return +1, -1 or 0: the monotone constraint of a feature; None for a feature that must be left out.

    A measure that ``raises`` a risk never lowers it: its counts may only push up, the time since its last event
    only down, and what can move either way when one more event is added (trend, spread, against own usual) is no input.
    """
    part = parse_name(name)
    sign = _sign(part.group, profile, risk)
    if sign == 0 or part.statistic == "unit":
        return 0
    if part.statistic in EITHER:
        return None
    return sign if part.statistic in RISING else -sign if part.statistic in FALLING else 0


def _sign(group: str, profile: Profile, risk: str) -> int:
    rate = profile.settings.rates.get(group)
    measure = profile.measures.get(rate.of if rate else group)
    if measure is None:
        return 0
    return 1 if risk in measure.raises else -1 if risk in measure.lowers else 0


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
    fitted = LogisticRegression(C=1e6, max_iter=1000, tol=1e-8).fit(raw[:, None], outcome, sample_weight=weights)
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
