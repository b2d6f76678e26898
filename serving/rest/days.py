"""Weeks and days of a plan: which weeks a rest can begin in, and on which days of its week it lies."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import Refusal
from serving.rest.kinds import KindOfRest
from serving.rest.solver.problem import Flags

WEEK = 7
WORKING_DAYS = 5
"""A rest of so many days or fewer lies between Monday and Friday."""


@dataclass(frozen=True)
class Blackout:
    """Days that are closed to every rest in this plan, for one unit or for all (None)."""

    first: dt.date
    last: dt.date
    unit: str | None = None

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise Refusal("The days without rest end before they begin. 不安排休整的时段：结束日早于开始日。")

    def __contains__(self, day: dt.date) -> bool:
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Calendar:
    """The weeks of a plan, from a Monday, and the days closed in it."""

    first_monday: dt.date
    weeks: int
    blackouts: tuple[Blackout, ...] = ()

    def monday(self, week: int) -> dt.date:
        """Return the first day of a week, counted from 0."""
        return self.first_monday + dt.timedelta(days=WEEK * week)

    @property
    def last_day(self) -> dt.date:
        """The last day of the plan."""
        return self.monday(self.weeks) - dt.timedelta(days=1)

    def closed(self, day: dt.date, kind: KindOfRest, unit: str) -> bool:
        """Return whether a rest of a kind can't be taken on a day in a unit."""
        here = (each for each in self.blackouts if each.unit in (None, unit))
        return kind.rules.closed(day.month, day.day) or any(day in each for each in here)

    def beginnings(self, kind: KindOfRest, unit: str, week: int) -> list[dt.date]:
        """Return the days of a week on which a rest can begin without touching a closed day.

        A rest of up to a week lies within its week, a longer one begins on the Monday.
        """
        days = kind.days
        window = WORKING_DAYS if days <= WORKING_DAYS else WEEK
        offsets = range(window - days + 1) if days <= WEEK else range(1)
        starts = (self.monday(week) + dt.timedelta(days=offset) for offset in offsets)
        return [start for start in starts if not any(self.closed(day, kind, unit) for day in _days(start, days))]

    def open(self, kind: KindOfRest, unit: str) -> Flags:
        """Return by week whether a rest of a kind can begin in it."""
        return np.array([bool(self.beginnings(kind, unit, week)) for week in range(self.weeks)])


def next_monday(day: dt.date) -> dt.date:
    """Return the first Monday after a day."""
    return day + dt.timedelta(days=WEEK - day.weekday())


class Days:
    """Gives the rests of a plan their days: where a unit has the fewest away so far, the earliest among equals."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._away: Counter[tuple[str, dt.date]] = Counter()
        self._beginnings: dict[tuple[str, str, int], list[dt.date]] = {}

    def of(self, kind: KindOfRest, unit: str, week: int, fixed: dt.date | None = None) -> tuple[dt.date, dt.date]:
        """Return the first and last day of the next rest of a kind in a unit and week; ``fixed`` is its first day."""
        key = kind.key, unit, week
        if key not in self._beginnings:
            self._beginnings[key] = self._calendar.beginnings(kind, unit, week)
        first = fixed or min(self._beginnings[key], key=lambda start: (self._load(unit, start, kind.days), start))
        for day in _days(first, kind.days):
            self._away[unit, day] += 1
        return first, first + dt.timedelta(days=kind.days - 1)

    def _load(self, unit: str, start: dt.date, days: int) -> int:
        return max(self._away[unit, day] for day in _days(start, days))


def _days(start: dt.date, days: int) -> Sequence[dt.date]:
    return [start + dt.timedelta(days=number) for number in range(days)]
