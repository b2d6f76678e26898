"""What is to be computed: the columns asked for, as the numbers that the compiled loops take."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.histories.tables import Ints
from features.profile import Profile
from features.statistics import STATISTICS
from features.tiles.columns import DECAY, EVER, SLOPE, SPREAD
from features.tiles.days import DAY_WINDOW, RATE_WINDOWS, Days, Rates

PEER_WINDOWS = (3, 12)
OWN_WINDOW = 12
BESIDE = ("vs_peers", "unit")
NOWHERE = -1
TRENDS = (SLOPE, SPREAD)


class Plan(NamedTuple):
    """What is computed of each measure: its number, and where it is observed: 0 for all summed ones, then each other.

    ``columns`` [column, 4] are place, row among the measures, window, and the window's place among ``windows``
    (the half-life's among all half-lives, a trend's among ``trends``); those of statistic i stand from ``begins[i]``
    to ``begins[i + 1]``. ``windows`` ascend; ``own``, ``peers`` are the places of those that people are compared over.
    ``decayed`` is a measure's row among the decayed ones; ``sloped``, ``spread`` say what is asked of each trend.
    """

    measure: Ints
    watch: Ints
    decayed: Ints
    begins: Ints
    columns: Ints
    windows: Ints
    trends: Ints
    sloped: npt.NDArray[np.bool_]
    spread: npt.NDArray[np.bool_]
    own: int
    peers: Ints


class Places(NamedTuple):
    """The places of columns that are of no measure (NOWHERE: not asked for), and of those that draw on health data.

    ``hidden`` says which levels do.
    """

    tenure: int
    transfer: int
    posts: Ints
    health: Ints
    hidden: npt.NDArray[np.bool_]


class Wanted:
    """The columns asked for, by place, and the measures that they are made of."""

    def __init__(self, profile: Profile, columns: Sequence[str], *, opened: Sequence[str]) -> None:
        """``opened`` are the names of all features that draw on no health data."""
        self.profile, self.opened = profile, set(opened)
        self.position = {name: place for place, name in enumerate(columns)}
        groups = {name.split("__")[0] for name in columns}
        self.keys = [key for key in profile.measures if key in groups]
        self.decayed = [key for key in self.keys if any(name.startswith(f"{key}__decay__") for name in columns)]
        self.plan, self.days, self.rates, self.places = self._plan(), self._days(), self._rates(), self._places()
        self.levels = [(key, window) for key in self.keys for window in PEER_WINDOWS]
        """What people are compared by."""

    def _place(self, name: str) -> int:
        return self.position.get(name, NOWHERE)

    def _plan(self) -> Plan:
        windows = sorted({*self.profile.settings.windows_months, *PEER_WINDOWS, OWN_WINDOW})
        columns = sorted(column for row, key in enumerate(self.keys) for column in self._columns(row, key))
        trends = sorted({window for statistic, window, *_ in columns if statistic in TRENDS})
        among = {**dict.fromkeys(TRENDS, trends), DECAY: list(self.profile.settings.half_lives_months)}
        places = [(place, row, window, _among(among.get(statistic, windows), window))
                  for statistic, window, row, place in columns]  # fmt: skip
        asked = {(statistic, window) for statistic, window, *_ in columns}
        rated = np.array([self.profile.measures[key].aggregate != "sum" for key in self.keys], dtype=np.bool_)
        return Plan(
            measure=_ints(self.profile.measure_number[key] for key in self.keys),
            watch=np.where(rated, np.cumsum(rated), 0).astype(np.int32),
            decayed=_ints(self.decayed.index(key) if key in self.decayed else NOWHERE for key in self.keys),
            begins=np.searchsorted([statistic for statistic, *_ in columns], range(EVER + 2)).astype(np.int32),
            columns=_table(places, 4),
            windows=_ints(windows),
            trends=_ints(trends),
            sloped=np.array([(SLOPE, trend) in asked for trend in trends], dtype=np.bool_),
            spread=np.array([(SPREAD, trend) in asked for trend in trends], dtype=np.bool_),
            own=windows.index(OWN_WINDOW),
            peers=_ints(windows.index(window) for window in PEER_WINDOWS),
        )

    def _columns(self, row: int, key: str) -> Iterator[tuple[int, int, int, int]]:
        """Statistic, window, row and place of the columns of a measure."""
        settings, measure = self.profile.settings, self.profile.measures[key]
        for name, statistic in STATISTICS.items():
            for window in statistic.windows(settings, measure) if statistic.applies(measure) else ():
                place = self._place(f"{key}__{name}" + (f"__{window}m" if window else ""))
                if place != NOWHERE:
                    yield statistic.number, window, row, place

    def _days(self) -> Days:
        number = self.profile.measure_number
        daily = [key for key in self.keys if self.profile.measures[key].daily]
        runs = [(self._place(f"{key}__in_a_row__{DAY_WINDOW}m"), number[key]) for key in daily]
        pairs = [(self._place(f"{key}__back_to_back__{DAY_WINDOW}m"), number[key], number[key], 1) for key in daily]
        for key, each in self.profile.settings.sequences.items():
            place = self._place(f"{key}__count__{DAY_WINDOW}m")
            pairs.append((place, number[each.first], number[each.then], each.days_apart))
        return Days(_table(runs, 2), _table(pairs, 4))

    def _rates(self) -> Rates:
        rates, number = self.profile.settings.rates, self.profile.measure_number
        every = [(key, rate, window) for key, rate in rates.items() for window in RATE_WINDOWS]
        columns = [(self._place(f"{key}__rate__{window}m"), number[rate.of], number[rate.per], window)
                   for key, rate, window in every]  # fmt: skip
        asked = [place != NOWHERE for place, *_ in columns]
        return Rates(_table(columns, 4), np.array([rate.times for _, rate, _ in every], dtype=np.float64)[asked])

    def _places(self) -> Places:
        sensitive = [self.profile.measures[key].sensitive for key in self.keys]
        return Places(
            tenure=self._place("tenure__months"),
            transfer=self._place("transfer__months_since"),
            posts=_ints(self._place(f"post__is__{post}") for post in self.profile.posts),
            health=_ints(place for name, place in self.position.items() if name not in self.opened),
            hidden=np.repeat(sensitive, len(PEER_WINDOWS)).astype(np.bool_),
        )

    def beside(self, first: int, number: int) -> Ints:
        """Return the columns [column, 3] of some levels: place, level from there on, 0 for peers and 1 for the unit."""
        found = [(self._place(f"{key}__{name}__{window}m"), level, kind)
                 for level, (key, window) in enumerate(self.levels[first : first + number])
                 for kind, name in enumerate(BESIDE)]  # fmt: skip
        return _table(found, 3)


def _among(windows: list[int], window: int) -> int:
    return windows.index(window) if window in windows else NOWHERE


def _ints(numbers: Iterable[int]) -> Ints:
    return np.array(list(numbers), dtype=np.int32)


def _table(rows: Sequence[Sequence[int]], columns: int) -> Ints:
    """Rows as an array, without those that stand nowhere."""
    return _ints(itertools.chain(*(row for row in rows if row[0] != NOWHERE))).reshape(-1, columns)
