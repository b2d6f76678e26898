"""Feature rows: the only way to a feature value, for training and serving alike.

The engine walks the months in order over a `KnownCube` and writes the rows of each as-of from what was known then.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.asknown import KnownCube
from features.cells import compiled
from features.cohort import Cohort, cohort, first_month
from features.efficiency import monthly_index
from features.errors import Refusal
from features.histories.tables import Floats, Histories, Ints
from features.months import first_day, last_day, timestamps
from features.profile import Profile
from features.statistics import (
    STATISTICS,
    Seen,
    followed,
    in_a_row,
    moments,
    vs_peers,
    without_self,
)

INDEX = "efficiency"
INDEX_MONTHS = 12
PEER_WINDOWS = (3, 12)
DAY_WINDOW = 3
RATE_WINDOWS = (3, 12)
TILE = 4096
"""So many officers are worked on at a time, so that their months stay in the processor's cache."""
SQUARE, LINE = 64, 16


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
    names += [f"{key}__{statistic}__{window}m" for statistic in ("vs_peers", "unit") for window in PEER_WINDOWS]
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
    wanted = sorted(set(as_ofs))
    columns = tuple(names) if names is not None else feature_names(given.profile)
    if len(set(columns)) < len(columns):
        raise Refusal("A feature was asked for twice.", sorted({name for name in columns if columns.count(name) > 1}))
    unknown = sorted(set(columns) - set(feature_names(given.profile)))
    if unknown:
        raise Refusal("These features do not exist in this profile:", unknown)
    if not wanted:
        raise Refusal("No as-of was asked for.")
    given = given.until(wanted[-1])
    cohorts = [cohort(given, as_of) for as_of in wanted]
    order = np.lexsort((np.repeat(wanted, [len(c) for c in cohorts]), np.concatenate([c.officer for c in cohorts])))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    values = np.empty((len(order), len(columns)), dtype=np.float32)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        walk, done = _Walk(given, columns, last_month=wanted[-1], threads=threads), 0
        for members in cohorts:
            walk.rows(members, values, place[done : done + len(members)])
            done += len(members)
            if progress:
                progress(1)
    joined = {name: np.concatenate([getattr(c, name) for c in cohorts])[order] for name in ("officer", "post", "unit")}
    as_of = np.repeat(np.asarray(wanted, dtype=np.int32), [len(c) for c in cohorts])[order]
    return FeatureRows(as_of=as_of, names=columns, values=values, **joined)


@dataclass(frozen=True)
class _Column:
    """One column of a measure: its place, and how it is computed."""

    place: int
    compute: Callable[[Seen, int], Floats]
    window: int


class _Walk:
    """Advances the cube and turns what is known into the columns asked for, tile by tile of officers."""

    def __init__(
        self, given: Histories, columns: tuple[str, ...], *, last_month: int, threads: ThreadPoolExecutor
    ) -> None:
        self.given, self.profile, self.threads = given, given.profile, threads
        self.position = {name: number for number, name in enumerate(columns)}
        self.cube = KnownCube(given, last_month=last_month)
        self.start = first_month(given)
        self.keys = [
            key
            for key in self.profile.measures
            if any(name in self.position for name in _measure_names(self.profile, key))
        ]
        self.columns = {key: self._columns(key) for key in self.keys}
        self.windows = tuple({*self.profile.settings.windows_months, *PEER_WINDOWS, 3, 12})
        self.decays = _Decays(self.cube, self._decaying())
        opened = set(feature_names(self.profile, sensitive=False))
        self.health = np.array([place for name, place in self.position.items() if name not in opened], dtype=np.int64)
        """The columns that draw on health data."""
        self.barred = np.zeros(0, dtype=np.bool_)
        """The members on whose health data there is no basis at the as-of."""

    def _columns(self, key: str) -> list[_Column]:
        measure, found = self.profile.measures[key], []
        for statistic, row in STATISTICS.items():
            for window in row.windows(self.profile.settings, measure) if row.applies(measure) else ():
                place = self.position.get(f"{key}__{statistic}" + (f"__{window}m" if window else ""))
                if place is not None:
                    found.append(_Column(place, row.compute, window))
        return found

    def _decaying(self) -> list[int]:
        names = [key for key in self.keys if any(f"{key}__decay__" in name for name in self.position)]
        return [self.profile.measure_number[key] for key in names]

    def rows(self, members: Cohort, values: npt.NDArray[np.float32], place: npt.NDArray[np.int64]) -> None:
        """Write the rows of the cohort's members at its as-of to ``values`` [row, feature], to the places given."""
        for month in range(self.cube.now + 1, members.as_of + 1):
            self.decays.advance(month, self.cube.advance(month))
        out = np.full((len(self.position), len(members)), np.nan, dtype=np.float32)
        self.barred = ~self.given.covered(members.as_of)[members.officer]
        levels = np.full((len(self.keys), len(PEER_WINDOWS), len(members)), np.nan)
        tiles = [slice(first, first + TILE) for first in range(0, len(members), TILE)]
        self._each(lambda tile: self._measures(out, levels, members, tile), tiles)
        self._each(lambda number: self._beside_others(out, levels[number], members, self.keys[number]),
                   range(len(self.keys)))  # fmt: skip
        self._rates(out, members)
        self._sequences(out, members)
        self._index(out, members)
        self._put(out, "tenure__months", members.tenure)
        self._put(out, "transfer__months_since", members.transfer)
        for number, post in enumerate(self.profile.posts):
            self._put(out, f"post__is__{post}", (members.post == number).astype(np.float64))
        out[np.ix_(self.health, np.flatnonzero(self.barred))] = np.nan
        self._each(lambda tile: _turned(out[:, tile], place[tile], values), tiles)

    def _each(self, work: Callable[[Any], None], parts: Sequence[Any]) -> None:
        """Do the parts on all processors; what is small is done here."""
        if len(self.barred) <= TILE:
            for part in parts:
                work(part)
        else:
            list(self.threads.map(work, parts))

    def _put(self, out: npt.NDArray[np.float32], name: str, column: Floats) -> None:
        if name in self.position:
            out[self.position[name]] = column

    def _seen(self, key: str, as_of: int, who: Ints) -> Seen:
        number, until = self.profile.measure_number[key], self.cube.slot(as_of) + 1
        summed, first = self.profile.measures[key].aggregate == "sum", max(0, until - max(self.windows))
        value, observed = _gathered(
            self.cube.value[number, first:until], who, self.start, self.cube.base + first, summed
        )
        count = self.cube.count[number, max(0, until - 12) : until]
        return Seen(
            as_of=as_of,
            value=value,
            observed=observed,
            count=count[:, :0] if summed else count[:, who],
            last=self.cube.latest[number, who],
            moments=moments(value, observed, self.windows),
            decays={half_life: sums[who] for half_life, sums in self.decays.of(number).items()},
        )

    def _measures(self, out: npt.NDArray[np.float32], levels: Floats, members: Cohort, tile: slice) -> None:
        who, barred = members.officer[tile], self.barred[tile]
        for number, key in enumerate(self.keys):
            measure = self.profile.measures[key]
            if measure.sensitive and barred.all():
                continue
            seen = self._seen(key, members.as_of, who)
            for column in self.columns[key]:
                out[column.place, tile] = column.compute(seen, column.window)
            for place, window in enumerate(PEER_WINDOWS):
                level = seen.moments[window].total if measure.aggregate == "sum" else seen.moments[window].mean
                levels[number, place, tile] = np.where(barred, np.nan, level) if measure.sensitive else level

    def _beside_others(self, out: npt.NDArray[np.float32], levels: Floats, members: Cohort, key: str) -> None:
        for level, window in zip(levels, PEER_WINDOWS, strict=True):
            peers, unit = f"{key}__vs_peers__{window}m", f"{key}__unit__{window}m"
            if peers in self.position:
                self._put(out, peers, vs_peers(level, members.post, len(self.given.posts)))
            if unit in self.position:
                self._put(out, unit, without_self(level, members.unit, len(self.given.units)))
        if self.profile.measures[key].daily:
            days, lengths = self._days(key, members)
            self._put(out, f"{key}__in_a_row__{DAY_WINDOW}m", in_a_row(days, lengths))
            self._put(out, f"{key}__back_to_back__{DAY_WINDOW}m", followed(days, days, lengths, days_apart=1))

    def _days(self, key: str, members: Cohort) -> tuple[npt.NDArray[np.uint32], Ints]:
        slots = np.arange(max(0, self.cube.slot(members.as_of) - DAY_WINDOW + 1), self.cube.slot(members.as_of) + 1)
        months = slots + self.cube.base
        return self.cube.days[self.profile.measure_number[key]][slots][:, members.officer], last_day(
            months
        ) - first_day(months) + 1

    def _rates(self, out: npt.NDArray[np.float32], members: Cohort) -> None:
        until = self.cube.slot(members.as_of) + 1
        for key, rate in self.profile.settings.rates.items():
            for window in RATE_WINDOWS:
                months = slice(max(0, until - window), until)
                of, per = (self._sum(name, months)[members.officer] for name in (rate.of, rate.per))
                self._put(out, f"{key}__rate__{window}m", rate.times * of / np.where(per > 0, per, np.nan))

    def _sum(self, key: str, months: slice) -> Floats:
        added = np.zeros(len(self.given.officers))
        for row in self.cube.value[self.profile.measure_number[key], months]:
            added = added + np.nan_to_num(row)
        return added

    def _sequences(self, out: npt.NDArray[np.float32], members: Cohort) -> None:
        for key, sequence in self.profile.settings.sequences.items():
            first, lengths = self._days(sequence.first, members)
            then, _ = self._days(sequence.then, members)
            self._put(
                out,
                f"{key}__count__{DAY_WINDOW}m",
                followed(first, then, lengths, days_apart=sequence.days_apart),
            )

    def _index(self, out: npt.NDArray[np.float32], members: Cohort) -> None:
        if not any(name in self.position for name in _index_names()):
            return
        months = range(members.as_of - INDEX_MONTHS + 1, members.as_of + 1)
        index = monthly_index(self.given, self.cube, months)[:, members.officer]
        known = ~np.isnan(index)
        found = moments(index, known, (1, 3, INDEX_MONTHS))
        for window in (1, 3, INDEX_MONTHS):
            self._put(out, f"{INDEX}__level__{window}m", found[window].mean)
        self._put(out, f"{INDEX}__vs_self__3m", found[3].mean - found[INDEX_MONTHS].mean)
        none = np.zeros(0, dtype=np.int32)
        seen = Seen(members.as_of, np.nan_to_num(index), known, count=none, last=none, moments=found, decays={})
        self._put(out, f"{INDEX}__slope__6m", STATISTICS["slope"].compute(seen, 6))


class _Decays:
    """Exponentially decayed sums, carried from month to month; late news has the person's months added again.

    Adding is always oldest month first, so that both ways give the same bits.
    """

    def __init__(self, cube: KnownCube, measures: list[int]) -> None:
        self.cube = cube
        self.half_lives = cube.profile.settings.half_lives_months if measures else ()
        self.row = {measure: number for number, measure in enumerate(measures)}
        officers = cube.value.shape[2]
        self.sums = np.zeros((len(measures), len(self.half_lives), officers))
        self.keep = np.array([0.5 ** (1.0 / half_life) for half_life in self.half_lives])
        self.measures = np.array(measures, dtype=np.int64)

    def advance(self, month: int, changed: npt.NDArray[np.int64]) -> None:
        """Take in one more month, and every change in the months before it."""
        officers, slot = self.cube.value.shape[2], self.cube.slot(month)
        if not self.row:
            return
        _decayed(self.sums, self.keep, self.cube.value[:, slot], self.measures)
        late = changed[(changed // officers) % self.cube.months < slot]
        pairs = np.unique((late // (officers * self.cube.months)) * officers + late % officers)
        for measure, row in self.row.items():
            again = pairs[(pairs // officers) == measure] % officers
            if len(again):
                _added_again(self.sums[row], self.keep, self.cube.value[measure, : slot + 1], again)

    def of(self, measure: int) -> dict[int, Floats]:
        """Return the sums of a measure by half-life; empty for a measure that is not decayed."""
        if measure not in self.row:
            return {}
        return {half_life: self.sums[self.row[measure], number] for number, half_life in enumerate(self.half_lives)}


@compiled
def _decayed(sums: Any, keep: Any, month: Any, measures: Any) -> None:
    for row in range(len(measures)):
        for number in range(len(keep)):
            for who in range(sums.shape[2]):
                sums[row, number, who] = sums[row, number, who] * keep[number] + month[measures[row], who]


@compiled
def _added_again(sums: Any, keep: Any, past: Any, again: Any) -> None:
    for number in range(len(keep)):
        for who in again:
            added = 0.0
            for month in range(len(past)):
                added = added * keep[number] + past[month, who]
            sums[number, who] = added


@compiled
def _gathered(months: Any, who: Any, start: Any, base: int, summed: bool) -> Any:
    """Return [month, officer] of some officers: the values, 0 where unknown, and where they are observed.

    A summed measure is observed from the month of the first posting on, another one where it has a record.
    """
    value, observed = np.empty((len(months), len(who))), np.empty((len(months), len(who)), dtype=np.bool_)
    for month in range(len(months)):
        for place in range(len(who)):
            found = months[month, who[place]]
            known = not np.isnan(found)
            value[month, place] = found if known else 0.0
            observed[month, place] = base + month >= start[who[place]] if summed else known
    return value, observed


@compiled
def _turned(block: Any, place: Any, values: Any) -> None:
    """Write [feature, officer] to rows [row, feature], in squares that the processor's cache holds."""
    for first in range(0, len(place), SQUARE):
        after = min(first + SQUARE, len(place))
        for left in range(0, len(block), LINE):
            right = min(left + LINE, len(block))
            for who in range(first, after):
                row = place[who]
                for feature in range(left, right):
                    values[row, feature] = block[feature, who]
