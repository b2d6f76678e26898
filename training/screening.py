"""Which features a model is given, out of hundreds that say much the same. No fitting here."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.names import group_of

Array = npt.NDArray[np.float64]

MOST_PER_GROUP = 8
MOST = 240


def screened(
    values: npt.NDArray[np.float32], label: npt.NDArray[np.float32], names: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the positions of the chosen columns, ascending: at most MOST, those most correlated with the outcome.

    The MOST_PER_GROUP strongest of each group (a measure, a rate ...) come before any group has more. Columns that
    never vary are left out.
    """
    strength = np.asarray([_strength(values[:, number], label) for number in range(values.shape[1])])
    return _strongest(strength, names)


def _strength(column: npt.NDArray[np.float32], label: npt.NDArray[np.float32]) -> float:
    """Absolute correlation with the outcome over the known values; 0 only for a column that never varies."""
    known = ~np.isnan(column)
    value, outcome = column[known].astype(np.float64), label[known].astype(np.float64)
    deviation = float(value.std()) if len(value) else 0.0
    if not 0.0 < deviation < np.inf:
        return 0.0
    return abs(float(((value - value.mean()) * (outcome - outcome.mean())).mean())) / deviation + 1e-9


def _strongest(strength: Array, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Every group's strongest first, so that no group crowds out another; then the strongest of the rest."""
    taken: dict[str, int] = {}
    first: list[int] = []
    rest: list[int] = []
    for number in np.argsort(-strength, kind="stable"):
        if strength[number] > 0:
            group = group_of(names[number])
            taken[group] = taken.get(group, 0) + 1
            (first if taken[group] <= MOST_PER_GROUP else rest).append(int(number))
    return np.sort(np.asarray((first + rest)[:MOST], dtype=np.int64))
