"""What the last three months' events say of those concerned: days on shift, and workload a month. No health data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.asknown import NEVER, lifetimes
from features.histories.store import load_some
from features.months import first_day, last_day
from features.profile import Profile
from serving.mentoring.fit import Fits

MONTHS = 3


@dataclass(frozen=True)
class Recent:
    """Days on shift [person, kind and day] and means a month [person, measure] of some officers, by their numbers."""

    row: Mapping[str, int]
    shifts: Fits
    measures: tuple[str, ...]
    monthly: npt.NDArray[np.float64]

    def shifts_of(self, names: Sequence[str]) -> Fits:
        """Return the shifts of some officers, in their order."""
        return self.shifts[[self.row[name] for name in names]]

    def above(self, name: str, limits: Mapping[str, float]) -> tuple[str, float, float] | None:
        """Return the first measure of which somebody has more than the limit: measure, value, limit."""
        for measure, limit in limits.items():
            value = float(self.monthly[self.row[name], self.measures.index(measure)])
            if value > limit:
                return measure, value, limit
        return None


def recent(home: Path, officers: Sequence[str], month: int, profile: Profile) -> Recent:
    """Return what is known at a month's end of the three months up to it."""
    rules = profile.settings.mentoring
    start, end = int(first_day(month - MONTHS + 1)), int(last_day(month))
    given = load_some(home, officers, since=start).until(month)
    events, life = given.events, lifetimes(given.events)
    now = (life.died == NEVER) & (events.occurred >= start) & (events.occurred <= end)
    kinds = shift_measures(profile)
    shifts = np.zeros((len(given.officers), len(kinds) * (end - start + 1)), dtype=np.float32)
    for place, key in enumerate(kinds):
        rows = now & (events.measure == profile.measure_number[key])
        shifts[events.officer[rows], place * (end - start + 1) + events.occurred[rows] - start] = 1
    measures = tuple(rules.mentor_limits)
    monthly = np.zeros((len(given.officers), len(measures)))
    for place, key in enumerate(measures):
        rows = now & (events.measure == profile.measure_number[key])
        np.add.at(monthly[:, place], events.officer[rows], life.value[rows] / MONTHS)
    return Recent({str(name): row for row, name in enumerate(given.officers)}, shifts, measures, monthly)


def shift_measures(profile: Profile) -> tuple[str, ...]:
    """Return the measures whose days say who was on shift: the profile's, or all daily workload measures."""
    daily = (key for key, each in profile.measures.items() if each.daily and each.dimension == "workload")
    return profile.settings.mentoring.shift_measures or tuple(daily)
