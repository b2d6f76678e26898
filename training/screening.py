"""Which features a model is given, out of hundreds that say much the same. No fitting here."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from features.names import group_of, parse_name
from features.profile import Profile

Array = npt.NDArray[np.float64]

MOST_PER_GROUP = 8
MOST = 240
MOST_DRIFT = 0.5
"""In standard deviations between persons: a level that moves by more is told by its relative forms only."""
LEVELS = ("mean", "unit")
COLUMNS_AT_ONCE = 64


def screened(
    values: npt.NDArray[np.float32], label: npt.NDArray[np.float32], names: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the positions of the chosen columns, ascending: at most MOST, those most correlated with the outcome.

    The MOST_PER_GROUP strongest of each group (a measure, a rate ...) come before any group has more. Columns that
    never vary are left out.
    """
    return _strongest(np.asarray([_strength(column, label) for column in _columns(values)]), names)


def _columns(values: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """One column after the other, each in one piece: strength read across the rows takes three times as long."""
    for first in range(0, values.shape[1], COLUMNS_AT_ONCE):
        yield from np.ascontiguousarray(values[:, first : first + COLUMNS_AT_ONCE].T)


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


def steady(
    values: npt.NDArray[np.float32], as_of: npt.NDArray[np.int32], names: Sequence[str], profile: Profile
) -> npt.NDArray[np.bool_]:
    """Return which columns may be inputs: all but raw levels of rated measures (pay, marks) that drift.

    A level drifts where its mean over persons moves, from the earlier half of the months to the later, by more than
    MOST_DRIFT standard deviations between persons: the next months will lie where no tree has learned. What compares
    a person with the same post or with the own past stays. No label is looked at.
    """
    levels = [number for number, name in enumerate(names) if _is_level(name, profile)]
    kept = np.ones(len(names), dtype=bool)
    kept[levels] = [not drift(values[:, number], as_of) > MOST_DRIFT for number in levels]
    return kept


def drift(column: npt.NDArray[np.float32], as_of: npt.NDArray[np.int32]) -> float:
    """Return how far the mean moves between the earlier and the later half of the months, in standard deviations
    between the persons of a month; NaN where either half is unknown."""
    known = ~np.isnan(column)
    value, month = column[known].astype(np.float64), as_of[known]
    months = np.unique(month)
    if len(months) < 2:
        return float("nan")
    means = np.asarray([value[month == one].mean() for one in months])
    within = float(np.mean([value[month == one].std() for one in months]))
    middle = len(months) // 2
    moved = abs(float(means[middle:].mean() - means[:middle].mean()))
    return moved / within if within > 0 else (float("inf") if moved > 0 else 0.0)


def _is_level(name: str, profile: Profile) -> bool:
    part = parse_name(name)
    measure = profile.measures.get(part.group)
    return measure is not None and measure.aggregate != "sum" and part.statistic in LEVELS
