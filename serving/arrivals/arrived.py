"""What arrived, by measure, unit and month, counted once for each version of the store; where it fell silent."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.asknown import NEVER, lifetimes
from features.cohort import standing
from features.histories.store import current_version, load_version
from features.histories.tables import Histories
from features.months import last_day, month_of_day, month_text
from features.statistics import FEWEST
from serving.persons.own_histories import mark_of
from serving.scored.kept import Newest

Counts = npt.NDArray[np.int32]
MONTHS = 36
FORCE = ""
"""The force as a whole; units are under their names."""
REGULAR = 0.8
"""A series is regular where so many of its earlier months have rows; only such a one can have a hole."""
FEWEST_ROWS = 20
UNTOLD = -1
"""In place of a unit's rows of a month in which fewer than five stood there."""
HALF, HOLE = 0.5, 0.1
"""Shares of the usual: markedly little, and as good as nothing."""
MOST_KNOWN = 4_000
"""Series whose holes are kept: those of the force, of every unit as a whole, and of the units looked at last."""
WIDEST = 12
"""The usual is the median of so many months before."""


@dataclass(frozen=True)
class Hole:
    """A month of a series in which next to nothing arrived though something always does."""

    measure: str
    month: str
    rows: int
    usual: float


@dataclass(frozen=True)
class Arrived:
    """Rows that count, by month of occurrence: ``rows`` [unit, measure, month], unit 0 is the force.

    ``people`` [unit, month] stood there at the month's end. ``unfinished``: the last month was not over when the last
    row was recorded. Health data is counted for the force only.
    """

    version: str
    units: tuple[str, ...]
    measures: tuple[str, ...]
    months: tuple[str, ...]
    rows: npt.NDArray[np.int32]
    people: Counts
    unfinished: bool

    @cached_property
    def _known(self) -> Newest[list[tuple[int, float]]]:
        """Rows of a series -> where it is silent: the median of so many months takes its time."""
        return Newest(MOST_KNOWN)

    def of(self, unit: str = FORCE) -> list[tuple[str, Counts]]:
        """Return each measure of which a unit ever sent something, its rows by month, UNTOLD where it was small."""
        place = self.units.index(unit)
        found = self._told(place, self.rows[place])
        return [(key, found[number]) for number, key in enumerate(self.measures) if (found[number] > 0).any()]

    def by_unit(self) -> Sequence[tuple[str, Counts]]:
        """Return each unit that ever had five persons, with all its rows by month, UNTOLD where it had fewer."""
        return self._by_unit

    @cached_property
    def _by_unit(self) -> Sequence[tuple[str, Counts]]:
        total = self.rows.sum(axis=1)
        return [
            (name, self._told(place, total[place]))
            for place, name in enumerate(self.units)
            if name != FORCE and self.people[place].max() >= FEWEST
        ]

    def _told(self, place: int, rows: Counts) -> Counts:
        """The rows by month of a unit as they may be told: a month that nearly nobody stood there tells of persons."""
        few = (self.people[place] < FEWEST) & (self.units[place] != FORCE)
        return np.where(few, UNTOLD, rows).astype(np.int32)

    def holes(self, series: Sequence[tuple[str, Counts]]) -> list[Hole]:
        """Return the holes of some series, the newest first."""
        found = [
            Hole(name, self.months[month], int(rows[month]), usual)
            for name, rows in series
            for month, usual in self._known.of(rows.tobytes(), partial(self._silent, rows))
        ]
        return sorted(found, key=lambda hole: (hole.month, hole.usual), reverse=True)

    def _silent(self, rows: Counts) -> list[tuple[int, float]]:
        some = np.flatnonzero(rows > 0)
        if not len(some):
            return []
        until, silent = len(rows) - self.unfinished, []
        for month in range(int(some[0]) + 1, until):
            before = rows[max(int(some[0]), month - WIDEST) : month]
            before = before[before != UNTOLD]
            if rows[month] == UNTOLD or len(before) < 3:
                continue
            usual = float(np.median(before))
            if np.mean(before > HOLE * usual) >= REGULAR and usual >= FEWEST_ROWS:
                silent += [(month, usual)] if rows[month] <= HOLE * usual else []
        return silent


_arrived: Newest[Arrived] = Newest(1)


def arrived(home: Path) -> Arrived:
    """Return what arrived in the last 36 months; a Refusal where nothing was ingested.

    Counted anew where the store was changed (some seconds for millions of rows), and kept in HOME/var/arrived.
    """
    return _arrived.of(mark_of(home), lambda: _held(home))


def _held(home: Path) -> Arrived:
    version = current_version(home)
    kept = home / "var" / "arrived" / f"{version.name}.npz"
    if not kept.exists():
        counted = _counted(load_version(version), version.name)
        _keep(kept, counted)
        return counted
    with np.load(kept, allow_pickle=False) as held:
        names = json.loads(str(held["names"]))
        return Arrived(
            version=version.name,
            units=tuple(names["units"]),
            measures=tuple(names["measures"]),
            months=tuple(names["months"]),
            rows=held["rows"],
            people=held["people"],
            unfinished=bool(held["unfinished"]),
        )


def _counted(given: Histories, version: str) -> Arrived:
    last = int(month_of_day(given.last_recorded)) if len(given.events) else 0
    first = int(month_of_day(given.events.occurred.min())) if len(given.events) else last
    months = range(max(first, last - MONTHS + 1), last + 1)
    placed = [standing(given, month).unit for month in months]
    people = np.stack([_in_units(unit, len(given.units)) for unit in placed], axis=1)
    return Arrived(
        version=version,
        units=(FORCE, *given.units),
        measures=given.profile.measure_keys,
        months=tuple(month_text(month) for month in months),
        rows=_rows(given, np.stack(placed), months),
        people=people,
        unfinished=bool(len(given.events)) and given.last_recorded < int(last_day(last)),
    )


def _in_units(unit: Counts, units: int) -> Counts:
    counts = np.bincount(unit[unit >= 0], minlength=units).astype(np.int32)
    return np.concatenate([[counts.sum()], counts]).astype(np.int32)


def _rows(given: Histories, placed: Counts, months: range) -> npt.NDArray[np.int32]:
    life = lifetimes(given.events)
    month = month_of_day(given.events.occurred) - months[0]
    counts = (life.died == NEVER) & (month >= 0) & (month < len(months))
    measure, at = given.events.measure[counts].astype(np.int64), month[counts]
    unit = placed[at, given.events.officer[counts]].astype(np.int64) + 1
    health = np.array([given.profile.measures[key].sensitive for key in given.profile.measure_keys])
    unit[health[measure]] = 0
    shape = (len(given.units) + 1, len(given.profile.measure_keys), len(months))
    place = (unit * shape[1] + measure) * shape[2] + at
    found = np.bincount(place, minlength=int(np.prod(shape))).reshape(shape).astype(np.int32)
    found[0] = found.sum(axis=0)
    return found


def _keep(file: Path, counted: Arrived) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    names = json.dumps({"units": counted.units, "measures": counted.measures, "months": counted.months})
    fresh = file.with_suffix(".unfinished.npz")
    np.savez_compressed(
        fresh, names=np.array(names), rows=counted.rows, people=counted.people, unfinished=np.array(counted.unfinished)
    )
    fresh.replace(file)
    for old in file.parent.glob("v*.npz"):
        if old != file:
            old.unlink(missing_ok=True)
