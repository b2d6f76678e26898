"""Feature rows: the only way to a feature value, for training and serving alike.

The engine walks the months in order over a `KnownCube` and writes the rows of each as-of from what was known then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.asknown import KnownCube
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
    walk, done = _Walk(given, columns, last_month=wanted[-1]), 0
    for members in cohorts:
        block = walk.rows(members)
        values[place[done : done + len(members)]] = block.T
        done += len(members)
        if progress:
            progress(1)
    joined = {name: np.concatenate([getattr(c, name) for c in cohorts])[order] for name in ("officer", "post", "unit")}
    as_of = np.repeat(np.asarray(wanted, dtype=np.int32), [len(c) for c in cohorts])[order]
    return FeatureRows(as_of=as_of, names=columns, values=values, **joined)


class _Walk:
    """Advances the cube and turns what is known into the columns asked for."""

    def __init__(self, given: Histories, columns: tuple[str, ...], *, last_month: int) -> None:
        self.given, self.profile = given, given.profile
        self.position = {name: number for number, name in enumerate(columns)}
        self.cube = KnownCube(given, last_month=last_month)
        self.start = first_month(given)
        self.keys = [
            key
            for key in self.profile.measures
            if any(name in self.position for name in _measure_names(self.profile, key))
        ]
        self.decays = _Decays(self.cube, self._decaying())
        self.hidden = self.profile.settings.sensitive_basis == "person"

    def _decaying(self) -> list[int]:
        names = [key for key in self.keys if any(f"{key}__decay__" in name for name in self.position)]
        return [self.profile.measure_number[key] for key in names]

    def rows(self, members: Cohort) -> npt.NDArray[np.float32]:
        """Return [feature, member] at the cohort's as-of."""
        for month in range(self.cube.now + 1, members.as_of + 1):
            self.decays.advance(month, self.cube.advance(month))
        out = np.full((len(self.position), len(members)), np.nan, dtype=np.float32)
        for key in self.keys:
            if not (self.hidden and self.profile.measures[key].sensitive):
                self._measure(out, key, members)
        self._rates(out, members)
        self._sequences(out, members)
        self._index(out, members)
        self._put(out, "tenure__months", members.tenure)
        self._put(out, "transfer__months_since", members.transfer)
        for number, post in enumerate(self.profile.posts):
            self._put(out, f"post__is__{post}", (members.post == number).astype(np.float64))
        return out

    def _put(self, out: npt.NDArray[np.float32], name: str, column: Floats) -> None:
        if name in self.position:
            out[self.position[name]] = column

    def _seen(self, key: str, as_of: int) -> Seen:
        number, until = self.profile.measure_number[key], self.cube.slot(as_of) + 1
        value = self.cube.value[number, :until]
        if self.profile.measures[key].aggregate == "sum":
            months = np.arange(self.cube.base, as_of + 1)
            observed = months[:, None] >= self.start[None, :]
        else:
            observed = ~np.isnan(value)
        windows = tuple({*self.profile.settings.windows_months, *PEER_WINDOWS, 3, 12})
        return Seen(
            as_of=as_of,
            value=value,
            observed=observed,
            count=self.cube.count[number, :until],
            last=self.cube.last[number, :until].max(axis=0),
            moments=moments(value, observed, windows),
            decays=self.decays.of(number),
        )

    def _measure(self, out: npt.NDArray[np.float32], key: str, members: Cohort) -> None:
        measure, seen, who = self.profile.measures[key], self._seen(key, members.as_of), members.officer
        for statistic, row in STATISTICS.items():
            for window in row.windows(self.profile.settings, measure) if row.applies(measure) else ():
                name = f"{key}__{statistic}" + (f"__{window}m" if window else "")
                if name in self.position:
                    self._put(out, name, row.compute(seen, window)[who])
        for window in PEER_WINDOWS:
            peers, unit = f"{key}__vs_peers__{window}m", f"{key}__unit__{window}m"
            level = (seen.moments[window].total if measure.aggregate == "sum" else seen.moments[window].mean)[who]
            if peers in self.position:
                self._put(out, peers, vs_peers(level, members.post, len(self.given.posts)))
            if unit in self.position:
                self._put(out, unit, without_self(level, members.unit, len(self.given.units)))
        if measure.daily:
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
            if self.hidden and any(self.profile.measures[name].sensitive for name in (rate.of, rate.per)):
                continue
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
            if self.hidden and any(self.profile.measures[name].sensitive for name in (sequence.first, sequence.then)):
                continue
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
        seen = Seen(members.as_of, index, known, count=none, last=none, moments=found, decays={})
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
        self.keep = [0.5 ** (1.0 / half_life) for half_life in self.half_lives]

    def advance(self, month: int, changed: npt.NDArray[np.int64]) -> None:
        """Take in one more month, and every change in the months before it."""
        officers, slot = self.cube.value.shape[2], self.cube.slot(month)
        late = changed[(changed // officers) % self.cube.months < slot]
        pairs = np.unique((late // (officers * self.cube.months)) * officers + late % officers)
        for measure, row in self.row.items():
            for number, keep in enumerate(self.keep):
                self.sums[row, number] = self.sums[row, number] * keep + self.cube.value[measure, slot]
            again = pairs[(pairs // officers) == measure] % officers
            if len(again):
                self._again(measure, row, again, slot)

    def _again(self, measure: int, row: int, who: npt.NDArray[np.int64], slot: int) -> None:
        past = self.cube.value[measure, : slot + 1, who].T
        for number, keep in enumerate(self.keep):
            added = np.zeros(len(who))
            for month in past:
                added = added * keep + month
            self.sums[row, number, who] = added

    def of(self, measure: int) -> dict[int, Floats]:
        """Return the sums of a measure by half-life; empty for a measure that is not decayed."""
        if measure not in self.row:
            return {}
        return {half_life: self.sums[self.row[measure], number] for number, half_life in enumerate(self.half_lives)}
