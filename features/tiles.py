"""A tile of officers walks through the months: everything of a feature row that needs nobody else.

What is known, and the columns made of it, stay in the processor's cache; each finished row is written once.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from features.asknown import KnownCube, Parted
from features.cells import Cells, compiled
from features.cohort import Cohort, first_month
from features.figures import Known, Plan, write
from features.histories.tables import Floats, Histories, Ints
from features.months import first_day, last_day, month_of_day
from features.profile import Profile
from features.statistics import STATISTICS, followed, in_a_row

PEER_WINDOWS = (3, 12)
OWN_WINDOW = 12
DAY_WINDOW = 3
RATE_WINDOWS = (3, 12)
TILE = 256
"""So many officers are worked on at a time."""
SQUARE = 16
"""So many rows are written at a time: a line of the processor's cache holds so many numbers of a column."""

Rows = npt.NDArray[np.float32]


class Wanted:
    """The columns asked for, by place, and the measures that they are made of."""

    def __init__(self, profile: Profile, columns: Sequence[str], *, opened: Sequence[str]) -> None:
        """``opened`` are the names of all features that draw on no health data."""
        self.profile, known = profile, set(opened)
        self.position = {name: place for place, name in enumerate(columns)}
        groups = {name.split("__")[0] for name in columns}
        self.keys = [key for key in profile.measures if key in groups]
        self.health = np.array([place for name, place in self.position.items() if name not in known], dtype=np.int64)
        self.hidden = np.flatnonzero([profile.measures[key].sensitive for key in self.keys])
        self.decayed = [key for key in self.keys if any(name.startswith(f"{key}__decay__") for name in columns)]
        daily = {key for key in self.keys if profile.measures[key].daily}
        self.by_day = bool(groups & (daily | profile.settings.sequences.keys()))
        self.everything = np.array([[0, 0, len(columns)]])
        self.plan = self._plan()

    def _plan(self) -> Plan:
        settings = self.profile.settings
        windows = sorted({*settings.windows_months, *PEER_WINDOWS, OWN_WINDOW})
        columns = [self._columns(key, windows) for key in self.keys]
        measures = [self.profile.measures[key] for key in self.keys]
        return Plan(
            measure=np.array([self.profile.measure_number[key] for key in self.keys], dtype=np.int32),
            summed=np.array([measure.aggregate == "sum" for measure in measures], dtype=np.bool_),
            decayed=np.array([self.decayed.index(k) if k in self.decayed else -1 for k in self.keys], dtype=np.int32),
            begins=np.cumsum([0, *map(len, columns)]).astype(np.int32),
            columns=np.array(list(itertools.chain(*columns)), dtype=np.int32).reshape(-1, 4),
            windows=np.array(windows, dtype=np.int32),
            own=windows.index(OWN_WINDOW),
            peers=np.array([windows.index(window) for window in PEER_WINDOWS], dtype=np.int32),
            recent=max(OWN_WINDOW, *(column[2] for found in columns for column in found), 0),
        )

    def _columns(self, key: str, windows: list[int]) -> list[tuple[int, int, int, int]]:
        """Place, statistic, window, and the place of the window or half-life."""
        settings, measure, found = self.profile.settings, self.profile.measures[key], []
        for statistic, row in STATISTICS.items():
            for window in row.windows(settings, measure) if row.applies(measure) else ():
                place = self.position.get(f"{key}__{statistic}" + (f"__{window}m" if window else ""))
                among = settings.half_lives_months if statistic == "decay" else windows
                if place is not None:
                    found.append((place, row.number, window, list(among).index(window) if window in among else -1))
        return found


class TileWalk:
    """Some officers, ``first`` up to ``after``: what is known of them by a month, and their rows at an as-of."""

    def __init__(self, given: Histories, wanted: Wanted, parted: Parted, *, first: int, after: int, last: int) -> None:
        self.profile, self.wanted = given.profile, wanted
        self.ends = np.array([first, after], dtype=np.int32)
        export = parted.export(first, after)
        self.cube = KnownCube(given, last_month=last, export=export)
        self.decays = Decays(self.cube, [self.profile.measure_number[key] for key in wanted.decayed])
        epoch = int(export.rows.occurred.min(initial=0))
        self.known = Known(
            base=self.cube.base,
            value=self.cube.value,
            records=self.cube.count,
            latest=self.cube.latest,
            decays=self.decays.sums,
            start=first_month(given)[first:after],
            epoch=epoch,
            month_of=month_of_day(np.arange(epoch, int(last_day(last)) + 1)),
        )
        self.out = np.full((len(wanted.position), after - first + SQUARE), np.nan, dtype=np.float32)
        self.levels = np.full((len(wanted.keys), len(PEER_WINDOWS), after - first), np.nan)

    def rows(self, members: Cohort, barred: npt.NDArray[np.bool_], values: Rows, place: Cells, levels: Floats) -> None:
        """Write the rows of members of the cohort at its as-of to ``values`` [row, feature], to the places given.

        ``levels`` [measure, window, member] get what they are compared by. Of those ``barred`` nothing is told that
        draws on health data.
        """
        begin, end = np.searchsorted(members.officer, self.ends)
        who, as_of = members.officer[begin:end] - self.ends[0], members.as_of
        for month in range(self.cube.now + 1, as_of + 1):
            self.decays.advance(month, self.cube.advance(month))
        write(self.out, self.levels, self.known, self.wanted.plan, as_of, int(last_day(as_of)))
        if self.wanted.by_day:
            self._days(as_of)
        self._rates(as_of)
        self._postings(members, slice(begin, end), who)
        if (hidden := who[barred[begin:end]]).size:
            self.out[np.ix_(self.wanted.health, hidden)] = np.nan
            self.levels[np.ix_(self.wanted.hidden, np.arange(len(PEER_WINDOWS)), hidden)] = np.nan
        write_rows(values, place[begin:end], self.out, who, self.wanted.everything)
        _keep(levels, self.levels, who, begin)

    def _put(self, name: str, column: Floats) -> None:
        if name in self.wanted.position:
            self.out[self.wanted.position[name], : len(column)] = column

    def _postings(self, members: Cohort, mine: slice, who: Ints) -> None:
        position = self.wanted.position
        if "tenure__months" in position:
            self.out[position["tenure__months"], who] = members.tenure[mine]
        if "transfer__months_since" in position:
            self.out[position["transfer__months_since"], who] = members.transfer[mine]
        for number, post in enumerate(self.profile.posts):
            if (name := f"post__is__{post}") in position:
                self.out[position[name], who] = members.post[mine] == number

    def _days(self, as_of: int) -> None:
        until = self.cube.slot(as_of) + 1
        slots = slice(max(0, until - DAY_WINDOW), until)
        months = np.arange(slots.start, until) + self.cube.base
        lengths = last_day(months) - first_day(months) + 1
        days = {key: self.cube.days[number, slots] for key, number in self.profile.measure_number.items()}
        for key in self.wanted.keys:
            if self.profile.measures[key].daily:
                self._put(f"{key}__in_a_row__{DAY_WINDOW}m", in_a_row(days[key], lengths))
                again = followed(days[key], days[key], lengths, days_apart=1)
                self._put(f"{key}__back_to_back__{DAY_WINDOW}m", again)
        for key, sequence in self.profile.settings.sequences.items():
            if (name := f"{key}__count__{DAY_WINDOW}m") in self.wanted.position:
                then = followed(days[sequence.first], days[sequence.then], lengths, days_apart=sequence.days_apart)
                self._put(name, then)

    def _rates(self, as_of: int) -> None:
        until = self.cube.slot(as_of) + 1
        for key, rate in self.profile.settings.rates.items():
            for window in RATE_WINDOWS:
                if (name := f"{key}__rate__{window}m") in self.wanted.position:
                    of, per = (self._sum(part, max(0, until - window), until) for part in (rate.of, rate.per))
                    self._put(name, rate.times * of / np.where(per > 0, per, np.nan))

    def _sum(self, key: str, first: int, until: int) -> Floats:
        added = np.zeros(self.cube.value.shape[2])
        for row in self.cube.value[self.profile.measure_number[key], first:until]:
            added = added + np.nan_to_num(row)
        return added


class Decays:
    """Exponentially decayed sums, carried from month to month; late news has the person's months added again.

    Adding is always oldest month first, so that both ways give the same bits. ``sums`` [measure, half-life, officer].
    """

    def __init__(self, cube: KnownCube, measures: list[int]) -> None:
        half_lives = cube.profile.settings.half_lives_months
        self.cube, self.measures = cube, np.array(measures, dtype=np.int64)
        self.sums = np.zeros((len(measures), len(half_lives), cube.value.shape[2]))
        self.keep = np.array([0.5 ** (1.0 / half_life) for half_life in half_lives])

    def advance(self, month: int, changed: Cells) -> None:
        """Take in one more month, and every change in the months before it."""
        officers, slot = self.cube.value.shape[2], self.cube.slot(month)
        _decayed(self.sums, self.keep, self.cube.value, slot, self.measures)
        if not len(changed):
            return
        late = changed[(changed // officers) % self.cube.months < slot]
        pairs = np.unique((late // (officers * self.cube.months)) * officers + late % officers)
        for row, measure in enumerate(self.measures):
            again = pairs[(pairs // officers) == measure] % officers
            if len(again):
                _added_again(self.sums[row], self.keep, self.cube.value[measure, : slot + 1], again)


@compiled
def _decayed(sums: Any, keep: Any, value: Any, slot: int, measures: Any) -> None:
    for row in range(len(measures)):
        month = value[measures[row], slot]
        for number in range(len(keep)):
            mine, kept = sums[row, number], keep[number]
            for who in range(len(month)):
                mine[who] = mine[who] * kept + month[who]


@compiled
def _added_again(sums: Any, keep: Any, past: Any, again: Any) -> None:
    for number in range(len(keep)):
        for who in again:
            added = 0.0
            for month in range(len(past)):
                added = added * keep[number] + past[month, who]
            sums[number, who] = added


@compiled
def write_rows(values: Any, place: Any, block: Any, who: Any, runs: Any) -> None:
    """Write some officers of ``block`` [column, officer] to places of ``values`` [row, feature].

    ``runs`` [run, 3] are columns that stand together: the first feature, the first column, and how many.
    """
    for first in range(0, len(who), SQUARE):
        for number in range(len(runs)):
            to, source, size = np.uint64(runs[number, 0]), np.uint64(runs[number, 1]), np.uint64(runs[number, 2])
            for one in range(first, min(first + SQUARE, len(who))):
                row, officer = values[place[one]], np.uint64(who[one])
                for column in range(size):
                    row[to + column] = block[source + column, officer]


@compiled
def _keep(levels: Any, mine: Any, who: Any, begin: int) -> None:
    for measure in range(mine.shape[0]):
        for window in range(mine.shape[1]):
            to, source = levels[measure, window, begin : begin + len(who)], mine[measure, window]
            for place in range(len(who)):
                to[place] = source[who[place]]
