"""Performance of lists: measured where labels are complete, estimated from the probabilities before they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.judging.metrics import Figure, Judged, figures, list_metrics, officer_draws

Array = npt.NDArray[np.float64]

DRAWS = 200


@dataclass(frozen=True)
class Performance:
    """Figures of one list with 90 % intervals: what came true, or is expected to.

    ``calibration_error`` and ``ratio`` (observed over expected outcomes) are absent in an estimate.
    """

    people: int
    average_precision: Figure
    precision: Figure
    expected: float
    observed: float | None = None
    calibration_error: Figure | None = None
    ratio: Figure | None = None


def measured(officer: npt.NDArray[np.int32], label: Array, probability: Array, *, capacity: int) -> Performance | None:
    """Return the figures of one list whose labels are known (NaN rows are left out); None where only one outcome is."""
    known = ~np.isnan(label)
    outcome, chance = label[known], probability[known]
    if len(np.unique(outcome)) < 2:
        return None
    number = np.unique(officer[known], return_inverse=True)[1].astype(np.int32)
    weights = officer_draws(int(number.max()) + 1, draws=DRAWS)
    judged = Judged(number, np.zeros(len(number), np.int32), outcome.astype(np.float32), chance, True)
    found = figures([judged], weights, capacities={0: capacity})
    taken = weights[:, number]
    ratios = (taken @ outcome) / np.maximum(taken @ chance, 1e-12)
    return Performance(
        people=int(known.sum()),
        average_precision=found["average_precision"],
        precision=found["precision_capacity"],
        expected=float(chance.sum()),
        observed=float(outcome.sum()),
        calibration_error=found["calibration_error"],
        ratio=_figure(ratios),
    )


def estimated(probability: Array, *, capacity: int, seed: int = 0) -> Performance:
    """Return the figures to expect of a list from its probabilities alone, over 200 drawn sets of outcomes.

    Confidence-based performance estimation: it assumes that the probabilities are calibrated for these persons and
    that outcomes are independent given them. It sees a change of the cohort, not a change of what leads to the outcome.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.random((DRAWS, len(probability))) < probability
    one = np.ones((1, len(probability)))
    found = np.array([list_metrics(row, probability, one, capacity=capacity)[0] for row in drawn if row.any()])
    if not len(found):
        nothing = Figure(float("nan"), float("nan"), float("nan"))
        return Performance(len(probability), nothing, nothing, float(probability.sum()))
    mean = np.vstack([found.mean(axis=0), found])
    return Performance(len(probability), _figure(mean[:, 1]), _figure(mean[:, 8]), float(probability.sum()))


def _figure(draws: Array) -> Figure:
    low, high = np.quantile(draws[1:], [0.05, 0.95])
    return Figure(float(draws[0]), float(low), float(high))
