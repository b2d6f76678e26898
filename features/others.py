"""What the rest of a force tells of a part of it: the figures of posts and units that officers are held against.

Histories of a whole force are told by themselves (`ALONE`). Those of a part carry the figures of all parts, which
features.parts adds up; the functions that make features are the same. Nothing here reads histories.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from features.months import NO_DAY, last_day

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int32]
Key = tuple[str | int, ...]

FIRST, SECOND, THIRD = 1, 2, 3
"""Figures of the first stage need no others; those of a stage need all stages before."""


@dataclass(frozen=True)
class Moments:
    """[number, mean, squared deviations from it, lowest, highest] x group, of the values that are known."""

    table: Floats

    def joined(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of values (Chan, Golub and LeVeque 1979)."""
        (mine, middle, squares, low, high), (theirs, other_middle, other_squares, other_low, other_high) = (
            self.table,
            other.table,
        )
        number = mine + theirs
        share, apart = theirs / np.maximum(number, 1.0), other_middle - middle
        middle = np.where(mine > 0, middle + apart * share, other_middle)
        squares = squares + other_squares + apart * apart * mine * share
        return Moments(np.stack([number, middle, squares, np.minimum(low, other_low), np.maximum(high, other_high)]))


@dataclass(frozen=True)
class Sums:
    """[number, sum] x group of the values that are known; ``group`` names those that have any, ascending."""

    group: npt.NDArray[np.int64]
    table: Floats

    def joined(self, other: "Sums") -> "Sums":
        """Return the sums of both sets of values."""
        group, place = np.unique(np.concatenate([self.group, other.group]), return_inverse=True)
        both = np.concatenate([self.table, other.table], axis=1)
        return Sums(group, np.stack([np.bincount(place, weights=row, minlength=len(group)) for row in both]))

    def dense(self, groups: int) -> Floats:
        """Return [number, sum] of every group."""
        found = np.zeros((2, groups))
        found[:, self.group] = self.table
        return found

    def of(self, groups: npt.NDArray[np.int64]) -> "Sums":
        """Return the sums of some groups alone."""
        there = np.isin(self.group, groups)
        return Sums(self.group[there], self.table[:, there])


@dataclass(frozen=True)
class Counts:
    """How often each value was seen in each group, sorted by both: as exact as the values, and much smaller."""

    group: npt.NDArray[np.int32]
    value: npt.NDArray[np.floating]
    times: npt.NDArray[np.int64]

    @classmethod
    def of(cls, value: npt.NDArray[np.floating], group: npt.NDArray[np.integer] | None = None) -> "Counts":
        """Return the counts of known values, all in one group where none are given."""
        groups = np.zeros(len(value), dtype=np.int32) if group is None else group.astype(np.int32)
        return _counted(groups, value, np.ones(len(value), dtype=np.int64))

    def joined(self, other: "Counts") -> "Counts":
        """Return the counts of both sets of values."""
        parts = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in ("group", "value", "times"))
        return _counted(*parts)

    def medians(self, groups: int, *, fewest: int = 1) -> npt.NDArray[np.floating]:
        """Return each group's median as numpy.median finds it; NaN for a group of fewer values than ``fewest``."""
        found = np.full(groups, np.nan, dtype=self.value.dtype)
        upto = np.cumsum(self.times)
        for group in np.unique(self.group):
            first, after = np.searchsorted(self.group, [group, group + 1])
            before, size = upto[first] - self.times[first], upto[after - 1] - upto[first] + self.times[first]
            if size < fewest:
                continue
            low, high = np.searchsorted(
                upto[first:after], before + np.array([(size - 1) // 2, size // 2]), side="right"
            )
            found[group] = (self.value[first + low] + self.value[first + high]) / found.dtype.type(2)
        return found


Part = Moments | Sums | Counts
Figures = TypeVar("Figures", Moments, Sums, Counts)


def _counted(group: npt.NDArray[np.int32], value: npt.NDArray[np.floating], times: npt.NDArray[np.int64]) -> Counts:
    order = np.lexsort((value, group))
    group, value, times = group[order], value[order], times[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(group) != 0) | (np.diff(value) != 0)][: len(group)])
    return Counts(group[starts], value[starts], np.add.reduceat(times, starts) if len(starts) else times)


@dataclass(frozen=True)
class Others:
    """A force that is whole: its own figures are those of everyone, its first and last days too."""

    def figures(self, _stage: int, _key: Key, part: Figures) -> Figures:
        """Return the figures of everyone, given those of the officers at hand."""
        return part

    def first_posting(self, own: int) -> int:
        """Return the first day of any posting."""
        return own

    def first_event(self, own: int) -> int:
        """Return the day of the first event."""
        return own

    def last_recorded(self, own: int) -> int:
        """Return the last day on which anything was recorded."""
        return own

    def until(self, _month: int) -> "Others":
        """Return what is told when only what was recorded by the end of a month is there."""
        return self

    @property
    def alone(self) -> bool:
        """Whether the officers at hand are the whole force."""
        return True


ALONE = Others()


@dataclass(frozen=True)
class Extent:
    """First and last days of a force: of postings, of events, and the last day of each month of recording."""

    posting: int
    event: int
    recorded: Days

    @property
    def last(self) -> int:
        """The last day on which anything was recorded; NO_DAY where nothing was."""
        return int(self.recorded.max(initial=NO_DAY))

    def joined(self, other: "Extent") -> "Extent":
        """Return the extent of both parts."""
        recorded = np.union1d(self.recorded, other.recorded).astype(np.int32)
        return Extent(min(self.posting, other.posting), min(self.event, other.event), recorded)


@dataclass(frozen=True)
class Told(Others):
    """The others of a part: ``totals`` are the figures of all parts together.

    ``collects`` is the stage whose own figures are kept in ``parts`` (for adding up), 0 where all are told already.
    What is not told is a ValueError then, but for ``complete``: the officers at hand are all there are.
    """

    extent: Extent
    totals: Mapping[Key, Part] = field(default_factory=dict)
    collects: int = 0
    complete: bool = False
    parts: dict[Key, Part] = field(default_factory=dict)

    def figures(self, stage: int, key: Key, part: Figures) -> Figures:
        """Return the total of a key; the own figures where it is still being collected."""
        if key in self.totals:
            found = self.totals[key]
            assert isinstance(found, type(part))
            return found
        if not self.collects and not self.complete:
            raise ValueError(f"The figures {key} of the other parts were never collected.")
        if stage == self.collects:
            self.parts[key] = part
        return part

    def first_posting(self, own: int) -> int:
        """Return the first day of any posting of the force."""
        return min(own, self.extent.posting)

    def first_event(self, own: int) -> int:
        """Return the day of the first event of the force."""
        return min(own, self.extent.event)

    def last_recorded(self, own: int) -> int:
        """Return the last day on which anything was recorded in the force."""
        return max(own, self.extent.last)

    def until(self, month: int) -> "Told":
        """Return the same figures with the days of recording up to a month."""
        recorded = self.extent.recorded
        return replace(self, extent=replace(self.extent, recorded=recorded[recorded <= last_day(month)]))

    @property
    def alone(self) -> bool:
        """A part never is; those at hand may be all there are."""
        return False
