"""Figures of ranked lists and probabilities, with intervals from a bootstrap over officers. No model here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MODEL, RULE = "lightgbm", "rule"
"""The two contenders that the gate compares, by their names in reports and cards."""
DRAWS = 200
BINS = 10
METRICS = (
    "auc", "average_precision", "precision_1pct", "lift_1pct", "precision_5pct", "lift_5pct", "precision_100",
    "lift_100", "precision_capacity", "lift_capacity", "brier", "calibration_error",
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A metric with its 90 % interval; NaN where the metric does not apply (a count has no Brier score)."""

    value: float
    low: float
    high: float

    def as_json(self) -> list[float | None]:
        """Return [value, low, high], None for NaN."""
        return [None if np.isnan(part) else round(float(part), 6) for part in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class Judged:
    """Scores of one contender on the test rows of one fold; ``probability`` tells whether they are probabilities.

    ``weight`` is what each row counts (None: 1 each); a treated row counts 0.
    """

    officer: npt.NDArray[np.int32]
    as_of: npt.NDArray[np.int32]
    label: npt.NDArray[np.float32]
    score: Array
    probability: bool
    weight: npt.NDArray[np.float64] | None = None

    def counted(self, weights: Array, rows: npt.NDArray[Any] | None = None) -> Array:
        """Return [draw, row]: how much each row counts in each draw of officers (some ``rows`` only, if given)."""
        chosen = slice(None) if rows is None else rows
        drawn = weights[:, self.officer[chosen]]
        return drawn if self.weight is None else drawn * self.weight[chosen]


def officer_draws(officers: int, *, draws: int = DRAWS, seed: int = 0) -> Array:
    """Return weights [1 + draws, officers]: first everyone once, then how often each draw took them."""
    generator = np.random.default_rng(seed)
    taken = generator.multinomial(officers, np.full(officers, 1 / officers), size=draws)
    return np.vstack([np.ones(officers), taken])


def figures(folds: Sequence[Judged], weights: Array, *, capacities: Mapping[int, int]) -> dict[str, Figure]:
    """Return every metric of METRICS, averaged over the as-ofs of a fold, then over the folds.

    List metrics are computed for each test as-of, for a list belongs to a month; Brier and calibration error over
    all rows of a fold. ``weights`` comes from officer_draws; ``capacities`` gives the list's length at each as-of.
    """
    drawn = draws_of(folds, weights, capacities=capacities)
    return {name: OWN_INTERVAL.get(name, interval_of)(found) for name, found in drawn.items()}


def draws_of(folds: Sequence[Judged], weights: Array, *, capacities: Mapping[int, int]) -> dict[str, Array]:
    """Return every metric of METRICS for each row of ``weights``: first everyone once, then the draws."""
    draws = np.mean([_fold_draws(fold, weights, capacities) for fold in folds], axis=0)
    return {name: draws[:, number] for number, name in enumerate(METRICS)}


def interval_of(draws: Array) -> Figure:
    """Return the first of the draws with the 5 % and 95 % points of the rest; NaN where it is not known."""
    if np.isnan(draws[0]):
        return Figure(float("nan"), float("nan"), float("nan"))
    rest = draws[1:][~np.isnan(draws[1:])]
    low, high = np.quantile(rest, [0.05, 0.95]) if len(rest) else (draws[0], draws[0])
    return Figure(float(draws[0]), float(low), float(high))


def above_noise(draws: Array) -> Figure:
    """Return the first of the draws with its basic bootstrap interval (Davison and Hinkley 1997), widened to hold it.

    For a mean distance, which chance alone makes larger than it is, and which every draw makes larger once more: the
    draws lie above the figure, the truth below it. Not under 0.
    """
    found = interval_of(draws)
    low, high = 2 * found.value - found.high, 2 * found.value - found.low
    return Figure(found.value, max(0.0, min(low, found.value)), max(high, found.value))


def by_as_of(folds: Sequence[Judged], *, capacities: Mapping[int, int]) -> dict[int, float]:
    """Return the average precision at each test as-of."""
    found = {}
    for fold in folds:
        for month in np.unique(fold.as_of):
            chosen = fold.as_of == month
            once = fold.counted(np.ones((1, int(fold.officer.max()) + 1)), chosen)
            found[int(month)] = float(
                list_metrics(fold.label[chosen], fold.score[chosen], once, capacity=capacities[int(month)])[0, 1]
            )
    return found


def list_metrics(label: npt.ArrayLike, score: npt.ArrayLike, weights: Array, *, capacity: int) -> Array:
    """Return [draws, 10]: the list metrics of METRICS for each row of weights [draws, n].

    Ties count as if broken at random (the expected value), so that a yes/no rule is judged fairly.
    """
    order = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
    ranked, outcome = np.asarray(score, dtype=np.float64)[order], np.asarray(label, dtype=np.float64)[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    weighed = weights[:, order]
    seen = np.cumsum(weighed, axis=1)[:, ends]
    hits = np.cumsum(weighed * outcome, axis=1)[:, ends]
    total, positives = seen[:, -1], hits[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        tied, tied_hits = np.diff(seen, prepend=0, axis=1), np.diff(hits, prepend=0, axis=1)
        misses, tied_misses = seen - hits, tied - tied_hits
        below = (total - positives)[:, None] - misses + tied_misses / 2
        auc = (tied_hits * below).sum(axis=1) / (positives * (total - positives))
        precision = np.where(seen > 0, hits / seen, 0.0)
        average = (tied_hits * precision).sum(axis=1) / positives
        columns = [auc, average]
        from_none = np.zeros((len(weights), 1))
        seen, hits = np.hstack([from_none, seen]), np.hstack([from_none, hits])
        for length in (0.01 * total, 0.05 * total, np.minimum(100, total), np.minimum(capacity, total)):
            found = _hits_at(length, seen, hits) / length
            columns += [found, found / (positives / total)]
    return np.column_stack(columns)


OWN_INTERVAL = {"calibration_error": above_noise}
"""Metrics whose interval is not the percentile one."""


def brier(label: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Return the mean squared difference between probability and outcome."""
    return float(np.mean((np.asarray(probability, dtype=np.float64) - np.asarray(label, dtype=np.float64)) ** 2))


def calibration_error(label: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Return the mean distance between mean probability and frequency over ten bins with equal counts."""
    rows = np.ones((1, len(np.asarray(label))))
    return float(_probability_metrics(np.asarray(label), np.asarray(probability), rows)[0, 1])


def _hits_at(length: Array, seen: Array, hits: Array) -> Array:
    return np.asarray([np.interp(k, s, h) for k, s, h in zip(length, seen, hits, strict=True)])


def _fold_draws(fold: Judged, weights: Array, capacities: Mapping[int, int]) -> Array:
    lists = []
    for month in np.unique(fold.as_of):
        chosen = fold.as_of == month
        drawn = fold.counted(weights, chosen)
        lists.append(list_metrics(fold.label[chosen], fold.score[chosen], drawn, capacity=capacities[int(month)]))
    if fold.probability:
        rest = _probability_metrics(fold.label, fold.score, fold.counted(weights))
    else:
        rest = np.full((len(weights), 2), np.nan)
    return np.column_stack([_mean_of_known(np.asarray(lists)), rest])


def _mean_of_known(lists: Array) -> Array:
    """The mean over the first axis; NaN where no list has the figure, as when a draw holds no outcome."""
    known = ~np.isnan(lists)
    total = np.where(known, lists, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0)))


def _probability_metrics(label: npt.ArrayLike, probability: npt.ArrayLike, weights: Array) -> Array:
    """[draws, 2]: Brier score and calibration error. Bins are those of the whole sample."""
    order = np.argsort(np.asarray(probability), kind="stable")
    shown, outcome = np.asarray(probability, dtype=np.float64)[order], np.asarray(label, dtype=np.float64)[order]
    weighed = weights[:, order]
    total = weighed.sum(axis=1)
    squared = (weighed @ ((shown - outcome) ** 2)) / total
    starts = np.unique(np.linspace(0, len(order), BINS + 1).astype(int)[:-1])
    off = np.add.reduceat(weighed * (shown - outcome), starts, axis=1)
    return np.column_stack([squared, np.abs(off).sum(axis=1) / total])
