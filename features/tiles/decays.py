"""Exponentially decayed sums, compiled: carried from month to month; late news has the person's months added again.

Adding is always oldest month first, so that both ways give the same bits.
"""

from typing import Any, NamedTuple

import numpy as np

from features.cells import compiled
from features.histories.tables import Floats, Ints


class Decays(NamedTuple):
    """Sums [decayed measure, half-life, officer] of ``measures``; ``keep`` is what a month leaves, by half-life."""

    sums: Floats
    measures: Ints
    keep: Floats


def decays(measures: list[int], half_lives: tuple[int, ...], officers: int) -> Decays:
    """Return the sums before the first month."""
    keep = np.array([0.5 ** (1.0 / half_life) for half_life in half_lives])
    return Decays(np.zeros((len(measures), len(keep), officers)), np.array(measures, dtype=np.int32), keep)


@compiled
def carry(decays: Any, value: Any, slot: int, changed: Any) -> None:
    """Take in one more month of ``value`` [month, measure, officer], and every change of cells of months before."""
    _next_month(decays, value, slot)
    if not len(changed):
        return
    _, measures, officers = value.shape
    again = np.unique(changed[changed // (measures * officers) < slot] % (measures * officers))
    for row in range(len(decays.measures)):
        for at in again:
            if at // officers == decays.measures[row]:
                _added_again(decays.sums[row], decays.keep, value[: slot + 1, at // officers], at % officers)


@compiled
def _next_month(decays: Any, value: Any, slot: int) -> None:
    for row in range(len(decays.measures)):
        month = value[slot, decays.measures[row]]
        for number in range(len(decays.keep)):
            mine, kept = decays.sums[row, number], decays.keep[number]
            for who in range(len(month)):
                mine[who] = mine[who] * kept + month[who]


@compiled
def _added_again(sums: Any, keep: Any, past: Any, who: int) -> None:
    for number in range(len(keep)):
        added = 0.0
        for month in range(len(past)):
            added = added * keep[number] + past[month, who]
        sums[number, who] = added
