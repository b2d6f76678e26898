"""Low and high of a probability: Venn-Abers on a bootstrap over officers, and how far the base rate moves.

Together they are the 90 % interval of how often persons with this score meet the outcome. No model here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

MEANING = (
    "low and high: 90 % interval for how often persons with this score meet the outcome (Venn-Abers on the "
    "calibration months under a bootstrap over officers, joined with how far base rates moved between training and "
    "use); it does not cover what no model can know of one person."
)
TAIL = 0.05
AT_TAIL = -float(ndtri(TAIL))
"""In standard deviations."""
DRAWS = 200
BINS = 24
"""Raw scores are told apart in so many bins of equal counts; in fewer where a bin would hold less than BIN_ROWS."""
BIN_ROWS = 20
FURTHEST = 12.0
"""No bound lies further from the probability, in log-odds: a bound of 0 or 1 has none."""
PRIOR_MOVE = 0.15
PRIOR_COUNT = 3
"""A base rate is taken to move by 15 %, as firmly as if that had been seen three times; the moves seen are added."""
WINDOW = 6


@dataclass(frozen=True)
class Band:
    """How far low and high lie from a probability, in log-odds, at ascending raw scores; in between straight lines.

    ``moves`` is the standard deviation of the level in log-odds, joined with both as independent (root of squares).
    """

    raw: tuple[float, ...] = ()
    below: tuple[float, ...] = ()
    above: tuple[float, ...] = ()
    moves: float = 0.0

    def bounds(self, margin: Array, raw: Array) -> tuple[Array, Array]:
        """Return low and high of probabilities with these log-odds and raw scores: never on the wrong side."""
        level = AT_TAIL * self.moves
        down, up = (np.interp(raw, self.raw, side) if self.raw else 0.0 for side in (self.below, self.above))
        probability = expit(margin)
        low = np.minimum(expit(margin - np.sqrt(down**2 + level**2)), probability)
        return low, np.maximum(expit(margin + np.sqrt(up**2 + level**2)), probability)

    def stretched(self, centre: tuple[float, float], ratio: float) -> "Band":
        """Return the band for raw scores that lie ``ratio`` times as far apart, around another centre (from, to)."""
        return replace(self, raw=tuple(centre[1] + ratio * (one - centre[0]) for one in self.raw))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"raw": self.raw, "below": self.below, "above": self.above, "moves": self.moves}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Band":
        """Return the band that ``as_json`` gave."""
        return cls(tuple(stored["raw"]), tuple(stored["below"]), tuple(stored["above"]), stored["moves"])


def band(raw: Array, label: Array, officer: Ints, *, weight: Array, curve: tuple[float, float]) -> Band:
    """Return the band around a curve (intercept, slope) that calibration rows speak for.

    Each of DRAWS draws takes officers with replacement and asks Venn-Abers for its two probabilities in each bin:
    ``below`` reaches to the 5 % point of the lower one, ``above`` to the 95 % point of the upper. Deterministic.
    """
    edges = np.unique(np.quantile(raw, np.linspace(0, 1, min(BINS, max(2, len(raw) // BIN_ROWS)) + 1)[1:-1]))
    _, place = np.unique(np.searchsorted(edges, raw, side="right"), return_inverse=True)
    middle = np.bincount(place, weights=raw) / np.bincount(place)
    persons, number = np.unique(officer, return_inverse=True)
    taken = np.random.default_rng(0).multinomial(len(persons), np.full(len(persons), 1 / len(persons)), size=DRAWS)
    seen, met = (_by_person(number, place, counted) for counted in (weight, weight * label))
    lower, upper = venn_abers(taken @ seen, taken @ met)
    margin = curve[0] + curve[1] * middle
    below = margin - _log_odds(np.quantile(lower, TAIL, axis=0))
    above = _log_odds(np.quantile(upper, 1 - TAIL, axis=0)) - margin
    below, above = (np.clip(side, 0.0, FURTHEST) for side in (below, above))
    return Band(tuple(middle.tolist()), tuple(below.tolist()), tuple(above.tolist()))


def venn_abers(seen: Array, met: Array) -> tuple[Array, Array]:
    """Return Venn-Abers' two probabilities [draw, bin] from counts [draw, bin], bins by ascending score.

    They are isotonic regression's value in a bin if one more person there had not, or had, met the outcome (Vovk,
    Petej, Fedorova 2015), here by its max-min formula on counts, which also takes weights. The package ``venn-abers``
    gives the same on rows; a test holds them together.
    """
    bins = seen.shape[1]
    first, last = np.arange(bins)[:, None], np.arange(bins)[None, :]
    size, hits = (np.maximum(_sums_of_runs(counts), 0.0) for counts in (seen, met))
    found = []
    for one in (0.0, 1.0):
        rate = np.where(first <= last, (hits + one) / (size + 1.0), np.inf)  # of bins first..last, with one more
        least = np.minimum.accumulate(rate[:, :, ::-1], axis=2)[:, :, ::-1]
        most = np.maximum.accumulate(np.where(first <= last, least, -np.inf), axis=1)
        found.append(most[:, np.arange(bins), np.arange(bins)])
    return found[0], found[1]


def moves(as_of: Ints, label: npt.ArrayLike, *, months_ahead: int) -> float:
    """Return by how much the base rate moves, in log-odds (root mean square), over ``months_ahead`` months.

    Every as-of is held against the six months that end so long before it: so old is what a model's level was set on.
    """
    months, number = np.unique(as_of, return_inverse=True)
    counts = np.bincount(number)
    level = logit((np.bincount(number, weights=np.asarray(label, dtype=np.float64)) + 0.5) / (counts + 1))
    ago = months[:, None] - months[None, :] - months_ahead
    before = (ago >= 0) & (ago < WINDOW)
    there = before.any(axis=1)
    moved = level[there] - (before[there] @ level) / before[there].sum(axis=1)
    squares = PRIOR_COUNT * PRIOR_MOVE**2 + float(moved @ moved)
    return float(np.sqrt(squares / (PRIOR_COUNT + len(moved))))


def _by_person(number: npt.NDArray[np.int64], place: npt.NDArray[np.int64], counted: Array) -> Array:
    """[person, bin]: what is counted, added up."""
    persons, bins = int(number.max()) + 1, int(place.max()) + 1
    total = np.bincount(number * bins + place, weights=counted, minlength=persons * bins)
    return np.asarray(total, dtype=np.float64).reshape(persons, bins)


def _sums_of_runs(counts: Array) -> Array:
    """[draw, first, last]: the sum over the bins from first to last."""
    total = np.cumsum(counts, axis=1)
    return np.asarray(total[:, None, :] - total[:, :, None] + counts[:, :, None])


def _log_odds(probability: Array) -> Array:
    least = float(expit(-2 * FURTHEST))
    return np.asarray(logit(np.clip(probability, least, 1 - least)), dtype=np.float64)
