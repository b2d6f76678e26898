"""The reason gate: which reasons keep their sign and their place whichever booster is asked.

The voices are a model's own boosters (seeds, rows) and its witnesses (bags of officers, see guards.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SHIFT = 3
"""A reason may stand so many places higher or lower with another voice than with their mean."""
OF_VOICES = 0.8
"""So many of the voices must leave it within SHIFT places; its sign must be the same with all."""
NOTHING = 1e-12
FIRST = 3
PAIRS = 2000


def stable(mean: Array, voices: Sequence[Array]) -> Mask:
    """Return [row, group]: whether a reason passes the gate.

    ``mean`` are the contributions that are shown, ``voices`` those of each booster, all [row, group] on any positive
    scale. Its sign must be that of the mean with every voice, and its place by size among the row's contributions
    within SHIFT of its place in the mean with OF_VOICES of them. Without a second voice nothing passes.
    """
    if len(voices) < 2:
        return np.zeros(mean.shape, dtype=np.bool_)
    said, place = np.stack(voices), _places(mean)
    same = (np.abs(mean) > NOTHING) & (np.sign(said) == np.sign(mean)).all(axis=0)
    near = (np.abs(_places(said) - place) <= SHIFT).sum(axis=0)
    passed: Mask = same & (near >= OF_VOICES * len(voices))
    return passed


@dataclass(frozen=True)
class ReasonAudit:
    """How many reasons pass the gate, and how far persons' reasons are from one another and from the overall order.

    ``passed`` of all reasons, ``passed_first`` of each person's first three, ``none`` the share of persons without any
    among the first eight. ``own_first``: persons whose first three are not the overall first three. ``likeness``:
    mean rank correlation of two persons' contributions, with sign; copied global importance would give 1.
    """

    persons: int
    voices: int
    passed: float
    passed_first: float
    none: float
    own_first: float
    likeness: float
    overall: tuple[tuple[str, float], ...]

    def card(self) -> dict[str, Any]:
        """Return plain values; ``overall`` is each group's mean absolute contribution, the largest first."""
        told = {name: round(part, 6) if isinstance(part, float) else part for name, part in vars(self).items()}
        return told | {"overall": {group: round(size, 6) for group, size in self.overall}}

    def lines(self) -> list[str]:
        """Return what is printed."""
        return [
            f"  reasons of {self.persons:,} persons: {self.passed_first:.0%} of the first three and {self.passed:.0%} "
            f"of all keep sign and place over {self.voices} boosters and are shown; {self.none:.1%} of persons "
            "have none among the first eight",
            f"  reasons differ: {self.own_first:.0%} have other first three than the overall order; two persons' "
            f"contributions correlate {self.likeness:.2f} (copied global importance: 1.00)",
        ]


def audited(groups: Sequence[str], contributions: Array, passed: Mask, *, voices: int) -> ReasonAudit:
    """Return the audit of persons' contributions [person, group] and what of them passed."""
    there, place = np.abs(contributions) > NOTHING, _places(contributions)
    first = there & (place < FIRST)
    size = np.abs(contributions).mean(axis=0)
    overall = np.argsort(-size, kind="stable")
    shared = (first & np.isin(np.arange(len(groups)), overall[:FIRST])).sum(axis=1)
    return ReasonAudit(
        persons=len(contributions),
        voices=voices,
        passed=float(passed[there].mean()) if there.any() else 0.0,
        passed_first=float(passed[first].mean()) if first.any() else 0.0,
        none=float(1 - (passed & (place < 8)).any(axis=1).mean()),
        own_first=float((shared < min(FIRST, len(groups))).mean()),
        likeness=likeness(contributions),
        overall=tuple((groups[number], float(size[number])) for number in overall if size[number] > NOTHING),
    )


def likeness(contributions: Array) -> float:
    """Return the mean rank correlation of two persons' contributions [person, group], over PAIRS random pairs."""
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, len(contributions), size=(PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ranks = np.apply_along_axis(scipy.stats.rankdata, 1, contributions)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((ranks**2).sum(axis=1))
    one, other = pairs.T
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (ranks[one] * ranks[other]).sum(axis=1) / (length[one] * length[other])
    return float(np.nanmean(found)) if np.isfinite(found).any() else 1.0


def _places(contributions: Array) -> npt.NDArray[np.int64]:
    """[..., row, group]: the place by absolute size, 0 for the largest."""
    order = np.argsort(-np.abs(contributions), axis=-1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(order.shape[-1]), order.shape), axis=-1)
    return place
