"""Feature rows: the only way to a feature value, for training and serving alike.

Tiles of officers walk through the months, each over its `KnownCube`, and write the rows of each as-of from what was
known then; afterwards officers are set beside their peers and units.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.asknown import KnownCube, Parted
from features.cells import Cells
from features.cohort import Cohort, cohort, first_month
from features.efficiency import index_cube, monthly_index
from features.errors import Refusal
from features.histories.tables import Floats, Histories, Ints
from features.months import last_day, timestamps
from features.others import FIRST
from features.profile import Profile
from features.same import Same
from features.statistics import STATISTICS, moments, slope
from features.tiles.beside import Beside, Groups, Units, post_moments, unit_sums, write_beside
from features.tiles.days import DAY_WINDOW, RATE_WINDOWS
from features.tiles.plan import BESIDE, PEER_WINDOWS, Wanted
from features.tiles.walk import Tiles, all_members

INDEX = "efficiency"
INDEX_MONTHS = 12
TILE = 128
"""So many officers walk through the months at a time."""
LEVELS_AT_ONCE, AS_OFS_AT_ONCE = 32, 8
"""So many levels that people are compared by, at so many as-ofs, are looked at at a time."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class FeatureRows:
    """Feature rows sorted by officer and as-of: positions in Histories.officers, .posts, .units; month numbers.

    ``values`` is float32 [row, feature], NaN where unknown; ``names`` says what each column is.
    """

    officer: Ints
    as_of: Ints
    post: Ints
    unit: Ints
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.officer), len(self.names)):
            raise ValueError("values do not match the rows and names")

    def __len__(self) -> int:
        return len(self.officer)

    def take(self, rows: npt.NDArray[np.generic]) -> "FeatureRows":
        """Return the chosen rows (a mask or positions)."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return FeatureRows(**{name: part if name == "names" else part[rows] for name, part in parts.items()})

    def frame(self, given: Histories) -> pd.DataFrame:
        """Return a table: officer_id, as_of (month end), then the features."""
        index = {"officer_id": given.officers[self.officer], "as_of": timestamps(last_day(self.as_of))}
        return pd.concat([pd.DataFrame(index), pd.DataFrame(self.values, columns=list(self.names))], axis=1)


def feature_names(profile: Profile, *, sensitive: bool = True) -> tuple[str, ...]:
    """Return the names of all features in order; without those that draw on health data when not ``sensitive``."""
    blocked = {key for key, measure in profile.measures.items() if measure.sensitive and not sensitive}
    names: list[str] = []
    for key in profile.measures:
        if key not in blocked:
            names += _measure_names(profile, key)
    for key, rate in profile.settings.rates.items():
        if not {rate.of, rate.per} & blocked:
            names += [f"{key}__rate__{window}m" for window in RATE_WINDOWS]
    for key, sequence in profile.settings.sequences.items():
        if not {sequence.first, sequence.then} & blocked:
            names.append(f"{key}__count__{DAY_WINDOW}m")
    return (
        *names,
        *_index_names(),
        "tenure__months",
        "transfer__months_since",
        *(f"post__is__{post}" for post in profile.posts),
    )


def _measure_names(profile: Profile, key: str) -> list[str]:
    measure, names = profile.measures[key], []
    for statistic, row in STATISTICS.items():
        if row.applies(measure):
            names += [
                f"{key}__{statistic}" + (f"__{window}m" if window else "")
                for window in row.windows(profile.settings, measure)
            ]
    names += [f"{key}__{statistic}__{window}m" for statistic in BESIDE for window in PEER_WINDOWS]
    if measure.daily:
        names += [f"{key}__in_a_row__{DAY_WINDOW}m", f"{key}__back_to_back__{DAY_WINDOW}m"]
    return names


def _index_names() -> list[str]:
    levels = [f"{INDEX}__level__{window}m" for window in (1, 3, INDEX_MONTHS)]
    return [*levels, f"{INDEX}__vs_self__3m", f"{INDEX}__slope__6m"]


def feature_rows(
    given: Histories,
    as_ofs: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> FeatureRows:
    """Return the feature rows of every cohort member at each as-of, from what was recorded by its last day.

    ``names`` chooses features (all by default; an unknown one is a Refusal); ``progress`` is told 1 per as-of.
    """
    months = sorted(set(as_ofs))
    if not months:
        raise Refusal("No as-of was asked for.")
    wanted = _wanted(Same(given.profile), tuple(names) if names is not None else None)
    given = given.until(months[-1])
    with ThreadPoolExecutor(os.cpu_count()) if len(given.officers) > TILE else _Here() as threads:
        parted = threads.submit(Parted, given, months[-1])
        start = first_month(given)
        cohorts = [cohort(given, month, start) for month in months]
        making = _Making(given, wanted, cohorts)
        making.alone(threads, parted.result(), progress)
        making.beside_others(threads)
    making.index()
    return making.rows(tuple(wanted.position))


@lru_cache(maxsize=32)
def _wanted(profile: Same[Profile], names: tuple[str, ...] | None) -> Wanted:
    """The columns asked for, all by default; kept, since a service asks the same of one profile all day."""
    every = feature_names(profile.value)
    columns = every if names is None else names
    if len(set(columns)) < len(columns):
        raise Refusal("A feature was asked for twice.", sorted({name for name in columns if columns.count(name) > 1}))
    unknown = sorted(set(columns) - set(every))
    if unknown:
        raise Refusal("These features do not exist in this profile:", unknown)
    return Wanted(profile.value, columns, opened=feature_names(profile.value, sensitive=False))


class _Here(Executor):
    """Does everything at once in this thread: few officers are done before a thread is begun."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work(*given, **named))
        return done


class _Making:
    """The rows of some cohorts in the making: officers for themselves, then beside others."""

    def __init__(self, given: Histories, wanted: Wanted, cohorts: list[Cohort]) -> None:
        self.given, self.wanted, self.cohorts = given, wanted, cohorts
        self.places = _places(cohorts, len(given.officers))
        self.whose = all_members(given, cohorts, self.places)
        size = self.whose.starts[-1]
        self.values = np.empty((size, len(wanted.position)), dtype=np.float32)
        self.levels = np.empty((size, len(wanted.levels)))
        """What people are compared by, of the members of one as-of after those of the other."""

    def alone(self, threads: Executor, parted: Parted, progress: Callable[[int], None] | None) -> None:
        """Write everything that needs nobody else."""
        walking = Tiles(self.given, self.wanted, self.whose, parted)
        tiles, told = range(0, len(self.given.officers), TILE), 0
        for done, _ in enumerate(_each(threads, partial(self._tile, walking), tiles), 1):
            for _ in range(told, len(self.cohorts) * done // len(tiles)):
                told += 1
                if progress:
                    progress(1)

    def _tile(self, walking: Tiles, first: int) -> None:
        walking.walk(first, min(first + TILE, len(self.given.officers)), self.values, self.levels)

    def beside_others(self, threads: Executor) -> None:
        """Write what compares officers with their peers and their unit."""
        as_ofs, levels = range(0, len(self.cohorts), AS_OFS_AT_ONCE), range(0, len(self.wanted.levels), LEVELS_AT_ONCE)
        for _ in _each(threads, lambda part: self._compared(*part), list(itertools.product(as_ofs, levels))):
            pass

    def _compared(self, number: int, first: int) -> None:
        """Write the comparisons of some levels at some as-ofs."""
        some, columns = slice(first, first + LEVELS_AT_ONCE), self.wanted.beside(first, LEVELS_AT_ONCE)
        if not len(columns):
            return
        starts, given = self.whose.starts[number : number + AS_OFS_AT_ONCE + 1], self.given
        mine = slice(starts[0], starts[-1])
        parts = {name: getattr(self.whose, name)[mine] for name in ("officer", "post", "unit", "place", "barred")}
        hidden = self.wanted.places.hidden[some]
        whose, levels = Beside(starts - starts[0], **parts, columns=columns, hidden=hidden), self.levels[mine, some]
        posts = post_moments(levels, whose.starts, whose.post, len(given.posts))
        units = unit_sums(levels, whose.starts, whose.unit, len(given.units))
        if not given.others.alone:
            self._hear(posts, units, columns, self.cohorts[number : number + AS_OFS_AT_ONCE])
        write_beside(self.values, levels, whose, posts, units)

    def _hear(self, posts: Groups, units: Units, columns: Ints, cohorts: Sequence[Cohort]) -> None:
        """Put the figures of everyone in the place of those of the officers at hand, where columns are asked for."""
        names, figures = list(self.wanted.position), self.given.others.figures
        for number, members in enumerate(cohorts):
            for place, level, unit in columns:
                key = (names[place], members.as_of)
                if unit:
                    units.put(number, level, figures(FIRST, key, units.of(number, level)))
                else:
                    posts.put(number, level, figures(FIRST, key, posts.of(number, level)))

    def index(self) -> None:
        """Write the columns of the efficiency index, which compares the months of everyone."""
        if not any(name in self.wanted.position for name in _index_names()):
            return
        first, last = self.cohorts[0].as_of - INDEX_MONTHS + 1, self.cohorts[-1].as_of
        cube = index_cube(self.given, first=first, last=last)
        for number, members in enumerate(self.cohorts):
            for month in range(cube.now + 1, members.as_of + 1):
                cube.advance(month)
            for name, column in _index(self.given, cube, members).items():
                if name in self.wanted.position:
                    self.values[self.places[number], self.wanted.position[name]] = column

    def rows(self, columns: tuple[str, ...]) -> FeatureRows:
        """Return the rows, sorted by officer and as-of."""
        whose = self.whose
        parts = {"officer": whose.officer, "post": whose.post, "unit": whose.unit}
        parts["as_of"] = np.repeat(whose.as_of, np.diff(whose.starts))
        found = {name: np.empty(len(whose.place), dtype=np.int32) for name in parts}
        for name, part in parts.items():
            found[name][whose.place] = part
        return FeatureRows(names=columns, values=self.values, **found)


def _each(threads: Executor, work: Callable[[Part], None], parts: Sequence[Part]) -> Iterable[None]:
    """Do the parts on all processors; one alone is done here."""
    return threads.map(work, parts) if len(parts) > 1 else map(work, parts)


def _places(cohorts: list[Cohort], officers: int) -> list[Cells]:
    """The rows of the members of each as-of, in an order by officer and as-of."""
    number = np.zeros(officers, dtype=np.int64)
    for members in cohorts:
        number[members.officer] += 1
    following, places = np.cumsum(number) - number, []
    for members in cohorts:
        places.append(following[members.officer])
        following[members.officer] += 1
    return places


def _index(given: Histories, cube: KnownCube, members: Cohort) -> dict[str, Floats]:
    months = range(members.as_of - INDEX_MONTHS + 1, members.as_of + 1)
    index = monthly_index(given, cube, months)[:, members.officer]
    known = ~np.isnan(index)
    found = moments(index, known, (1, 3, INDEX_MONTHS))
    levels = {f"{INDEX}__level__{window}m": found[window].mean for window in (1, 3, INDEX_MONTHS)}
    return levels | {
        f"{INDEX}__vs_self__3m": found[3].mean - found[INDEX_MONTHS].mean,
        f"{INDEX}__slope__6m": slope(np.nan_to_num(index)[-6:], known[-6:]),
    }
