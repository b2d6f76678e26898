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
Mask = npt.NDArray[np.bool_]
MONTHS = 36
FORCE = ""
"""The force as a whole; units are under their names."""
REGULAR = 0.8
"""A series is regular where so many of its earlier months have rows; only such a one can have a hole."""
FEWEST_ROWS = 20
UNTOLD = -1
"""In place of a unit's rows of a month in which fewer than five stood there, and of what would give these away."""
FORM = "-2"
"""Of the file that is kept: one of another form is counted anew."""
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

    ``people`` [unit, month] stood there at the month's end; so many have rows in a month and stood in no unit then
    (``apart`` [month]). ``unfinished``: the last month was not over when the last row was recorded. Health data is
    counted for the force only.
    """

    version: str
    units: tuple[str, ...]
    measures: tuple[str, ...]
    months: tuple[str, ...]
    rows: npt.NDArray[np.int32]
    people: Counts
    apart: Counts
    unfinished: bool

    @cached_property
    def _known(self) -> Newest[list[tuple[int, float]]]:
        """Rows of a series -> where it is silent: the median of so many months takes its time."""
        return Newest(MOST_KNOWN)

    def of(self, unit: str = FORCE) -> list[tuple[str, Counts]]:
        """Return each measure of which a unit ever sent something, its rows by month, UNTOLD where not told."""
        place = self.units.index(unit)
        found = np.where(self._untold[place], UNTOLD, self.rows[place]).astype(np.int32)
        return [(key, found[number]) for number, key in enumerate(self.measures) if (found[number] > 0).any()]

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The units of which anything is told."""
        told = zip(self.units, self._untold, strict=True)
        return tuple(name for name, untold in told if name != FORCE and not untold.all())

    def by_unit(self) -> Sequence[tuple[str, Counts]]:
        """Return each unit of which all rows of some month are told, with these by month, UNTOLD where they are not."""
        return self._by_unit

    @cached_property
    def _by_unit(self) -> Sequence[tuple[str, Counts]]:
        told = np.where(self._untold.any(axis=1), UNTOLD, self.rows.sum(axis=1)).astype(np.int32)
        return [
            (name, told[place])
            for place, name in enumerate(self.units)
            if name != FORCE and (told[place] != UNTOLD).any()
        ]

    @cached_property
    def _untold(self) -> Mask:
        """The cells [unit, measure, month] that are not told: a unit's month that nearly nobody stood there.

        What all units that are told leave of the force is told by it too. Where fewer than FEWEST persons are behind
        that, something else is not told either.
        """
        few = self.people < FEWEST
        few[self.units.index(FORCE)] = False
        untold = np.repeat(few[:, None, :], len(self.measures), axis=1)
        behind = np.where(few, self.people, 0).sum(axis=0) + self.apart
        for month in np.flatnonzero((behind > 0) & (behind < FEWEST)).tolist():
            self._cover(untold[:, :, month], self.rows[:, :, month], self.people[:, month])
        return untold

    def _cover(self, untold: Mask, rows: Counts, people: Counts) -> None:
        """Hide in a month the smallest unit that is told; of a measure that it sent nothing of, the smallest that did.

        Where nobody else sent anything of it, the force's number would be that of the few: it is hidden. All [unit,
        measure]; measures that are counted for the force only stay as they are.
        """
        force = self.units.index(FORCE)
        by_size = np.argsort(people, kind="stable").tolist()
        told = [place for place in by_size if place != force and people[place] >= FEWEST]
        if told:
            untold[told[0]] = True
        left = rows[force] - rows[told].sum(axis=0)
        by_unit = np.delete(self.rows, force, axis=0).any(axis=(0, 2))
        for measure in np.flatnonzero((left > 0) & by_unit).tolist():
            others = [place for place in told if rows[place, measure]]
            untold[others[0] if others else force, measure] = True

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
    kept = home / "var" / "arrived" / f"{version.name}{FORM}.npz"
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
            apart=held["apart"],
            unfinished=bool(held["unfinished"]),
        )


def _counted(given: Histories, version: str) -> Arrived:
    last = int(month_of_day(given.last_recorded)) if len(given.events) else 0
    first = int(month_of_day(given.events.occurred.min())) if len(given.events) else last
    months = range(max(first, last - MONTHS + 1), last + 1)
    placed = [standing(given, month).unit for month in months]
    people = np.stack([_in_units(unit, len(given.units)) for unit in placed], axis=1)
    rows, apart = _rows(given, np.stack(placed), months)
    return Arrived(
        version=version,
        units=(FORCE, *given.units),
        measures=given.profile.measure_keys,
        months=tuple(month_text(month) for month in months),
        rows=rows,
        people=people,
        apart=apart,
        unfinished=bool(len(given.events)) and given.last_recorded < int(last_day(last)),
    )


def _in_units(unit: Counts, units: int) -> Counts:
    counts = np.bincount(unit[unit >= 0], minlength=units).astype(np.int32)
    return np.concatenate([[counts.sum()], counts]).astype(np.int32)


def _rows(given: Histories, placed: Counts, months: range) -> tuple[npt.NDArray[np.int32], Counts]:
    """The rows [unit, measure, month], and how many people have some and stood in no unit [month]."""
    life = lifetimes(given.events)
    month = month_of_day(given.events.occurred) - months[0]
    counts = (life.died == NEVER) & (month >= 0) & (month < len(months))
    measure, at = given.events.measure[counts].astype(np.int64), month[counts]
    unit = placed[at, given.events.officer[counts]].astype(np.int64) + 1
    health = np.array([given.profile.measures[key].sensitive for key in given.profile.measure_keys])
    nowhere = (unit == 0) & ~health[measure]
    pairs = np.unique(np.stack([at[nowhere], given.events.officer[counts][nowhere]]), axis=1)
    apart = np.bincount(pairs[0], minlength=len(months)).astype(np.int32)
    unit[health[measure]] = 0
    shape = (len(given.units) + 1, len(given.profile.measure_keys), len(months))
    place = (unit * shape[1] + measure) * shape[2] + at
    found = np.bincount(place, minlength=int(np.prod(shape))).reshape(shape).astype(np.int32)
    found[0] = found.sum(axis=0)
    return found, apart


def _keep(file: Path, counted: Arrived) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    names = json.dumps({"units": counted.units, "measures": counted.measures, "months": counted.months})
    fresh = file.with_suffix(".unfinished.npz")
    np.savez_compressed(
        fresh,
        names=np.array(names),
        rows=counted.rows,
        people=counted.people,
        apart=counted.apart,
        unfinished=np.array(counted.unfinished),
    )
    fresh.replace(file)
    for old in file.parent.glob("v*.npz"):
        if old != file:
            old.unlink(missing_ok=True)
