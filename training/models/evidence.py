"""When a model has too little to go on: a person with little history, or unlike anyone it has learned from.

Such a person keeps a probability but no rank. The bounds are measured when a model is trained (guards.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SUFFICIENT, LITTLE_HISTORY, UNLIKE_TRAINING = "sufficient", "little_history", "unlike_training"
KINDS = (SUFFICIENT, LITTLE_HISTORY, UNLIKE_TRAINING)
REACH = 0.25
"""A value lies outside when it is further from the smallest or largest learned from than a quarter of their span."""
RARE = 0.003
"""Each bound lets through all but so many of rows like those learned from: of officers and months held out."""
LEAST_OUTSIDE = 0.01
"""Inputs with less than so much of the model's gain, all outside, are let through."""
FEWEST_OF_A_POST = 10
FEW_ROWS = 64
"""Up to so many rows all inputs are added in one call."""


@dataclass(frozen=True)
class Bounds:
    """What a model has seen, input by input, and how much of it a person must share.

    ``gain`` is each input's share of what the trees gained. A person needs ``least_known`` of it in known inputs,
    and at most ``most_outside`` of it in values outside ``lowest`` to ``highest``; and a post among ``posts``
    (empty where the inputs do not tell posts).
    """

    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    gain: tuple[float, ...]
    least_known: float
    most_outside: float
    posts: tuple[str, ...] = ()

    def judged(self, values: Floats, posts: npt.NDArray[np.str_] | None = None) -> npt.NDArray[np.str_]:
        """Return one of KINDS for each row of values [row, input]; ``posts`` are the rows' post keys.

        Of whom nothing at all is known there is little history, also where the bounds let everybody through.
        """
        strange = outside_share(values, self.lowest, self.highest, self.gain) > self.most_outside
        if posts is not None and self.posts:
            strange |= ~np.isin(posts, np.asarray(self.posts))
        little = (known_share(values, self.gain) < self.least_known) | _nothing_known(values)
        return np.select([little, strange], [LITTLE_HISTORY, UNLIKE_TRAINING], SUFFICIENT)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Bounds":
        """Return the bounds that ``as_json`` gave."""
        lowest, highest, gain, posts = (tuple(stored[name]) for name in ("lowest", "highest", "gain", "posts"))
        return cls(lowest, highest, gain, stored["least_known"], stored["most_outside"], posts)


def bounds(
    values: Floats, gain: Array, *, earlier: Mask | None = None, held: Mask | None = None, posts: Sequence[str] = ()
) -> Bounds:
    """Return the bounds of training rows [row, input] under the inputs' gain (it adds up to 1).

    How much may lie outside is measured on the rows ``held`` against those that are ``earlier``: other officers in
    later months, so that what grows with time is allowed for.
    """
    shares, outside = tuple(gain.tolist()), np.zeros(1)
    if earlier is not None and held is not None and earlier.any() and held.any():
        outside = outside_share(values[held], *_span(values[earlier]), shares)
    lowest, highest = _span(values)
    return Bounds(
        lowest=lowest,
        highest=highest,
        gain=shares,
        least_known=float(np.quantile(known_share(values, shares), RARE, method="lower")),
        most_outside=max(LEAST_OUTSIDE, float(np.quantile(outside, 1 - RARE, method="higher"))),
        posts=tuple(posts),
    )


def known_share(values: Floats, gain: Sequence[float]) -> Array:
    """Return how much of the gain each row's known inputs hold, 0 to 1."""
    return np.asarray(_weighed(~np.isnan(values), gain))


def outside_share(values: Floats, lowest: Sequence[float], highest: Sequence[float], gain: Sequence[float]) -> Array:
    """Return how much of the gain each row's inputs beyond lowest and highest hold, 0 to 1; unknown ones lie inside."""
    beyond = (values < np.asarray(lowest, dtype=np.float32)) | (values > np.asarray(highest, dtype=np.float32))
    return _weighed(beyond, gain)


def _nothing_known(values: Floats) -> Mask:
    return np.asarray(np.isnan(values).all(axis=1) & (values.shape[1] > 0))


def _weighed(which: npt.NDArray[np.bool_], gain: Sequence[float]) -> Array:
    """The gain of the chosen inputs, added input by input: so that a row alone adds up to the same bits."""
    if len(which) > FEW_ROWS:
        total = np.zeros(len(which))
        for column, share in zip(which.T, gain, strict=True):
            total += column * share
        return np.round(total, 9)
    added = np.add.accumulate(which * np.asarray(gain), axis=1)
    return np.asarray(np.round(added[:, -1], 9)) if which.shape[1] else np.zeros(len(which))


def _span(values: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The smallest and largest of each input, widened by REACH of their distance; 0 for what nobody has."""
    known = ~np.isnan(values)
    there = known.any(axis=0)
    least = np.where(there, np.where(known, values, np.inf).min(axis=0), 0.0).astype(np.float64)
    most = np.where(there, np.where(known, values, -np.inf).max(axis=0), 0.0).astype(np.float64)
    span = most - least
    return tuple((least - REACH * span).tolist()), tuple((most + REACH * span).tolist())
