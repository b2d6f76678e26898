"""A tile of officers walks through the months, in one compiled call: what is known of them, and their finished rows.

What is known, and the columns made of it, stay in the processor's cache; each finished row is written once.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features import cells
from features.asknown import KnownCube, Parted
from features.cells import Cells, advance, compiled
from features.cohort import Cohort, first_month
from features.histories.tables import Floats, Histories, Ints
from features.months import last_day
from features.tiles import columns, days, decays, figures
from features.tiles.columns import Known, write
from features.tiles.days import write_days, write_rates
from features.tiles.decays import carry
from features.tiles.figures import find, room
from features.tiles.plan import Wanted

SQUARE = 16
"""So many rows are written at a time: a line of the processor's cache holds so many numbers of a column."""

Rows = npt.NDArray[np.float32]


class Members(NamedTuple):
    """The members of the cohorts, those of one as-of after those of the other, and where their rows stand.

    Those of as-of i are ``starts[i]`` to ``starts[i + 1]``; on the health data of those ``barred`` there is no basis.
    ``day`` is the last one of an as-of.
    """

    as_of: Ints
    day: Ints
    starts: Cells
    officer: Ints
    place: Cells
    barred: npt.NDArray[np.bool_]
    post: Ints
    unit: Ints
    tenure: Floats
    transfer: Floats


PARTS = ("officer", "post", "unit", "tenure", "transfer")


def all_members(given: Histories, cohorts: Sequence[Cohort], places: Sequence[Cells]) -> Members:
    """Return the members of the cohorts, whose rows stand at the places."""
    as_of = np.array([each.as_of for each in cohorts], dtype=np.int32)
    parts = {name: np.concatenate([getattr(each, name) for each in cohorts]) for name in PARTS}
    barred = np.concatenate([~given.covered(each.as_of)[each.officer] for each in cohorts])
    starts = np.cumsum([0, *map(len, cohorts)])
    return Members(as_of, last_day(as_of), starts, place=np.concatenate(places), barred=barred, **parts)


class Tiles:
    """The officers of histories, tile by tile."""

    def __init__(self, given: Histories, wanted: Wanted, whose: Members, parted: Parted) -> None:
        self.given, self.wanted, self.whose, self.parted = given, wanted, whose, parted
        self.start, self.last = first_month(given), int(whose.as_of[-1])

    def walk(self, first: int, after: int, values: Rows, levels: Floats) -> None:
        """Write the rows of the officers from ``first`` up to ``after`` to ``values`` [row, feature].

        ``levels`` [member, level] get what they are compared by.
        """
        export, wanted, profile = self.parted.export(first, after), self.wanted, self.given.profile
        cube = KnownCube(self.given, last_month=self.last, export=export)
        numbers = [profile.measure_number[key] for key in wanted.decayed]
        carried = decays.decays(numbers, profile.settings.half_lives_months, after - first)
        shape = (cube.months, len(profile.measure_keys), after - first)
        value, records = cube.cells.value.reshape(shape), cube.cells.rows.reshape(shape)
        entries, start = export.entries, self.start[first:after]
        known = Known(records, cube.latest, carried.sums, entries.epoch, entries.month_of)
        asked = (wanted.plan, wanted.days, wanted.rates, wanted.places)
        births = (cube.cells, cube.plain, cube.rows, cube.anew)
        _walk(values, levels, births, (value, start, known, carried), asked, self.whose, first)


def _made_of(sources: str) -> Callable[..., None]:
    """Return the walk, compiled; on disk it is known by the sources of all loops that it calls, not by this file's."""

    @compiled
    def walk(values: Any, levels: Any, births: Any, told: Any, asked: Any, whose: Any, first: int) -> None:
        _ = sources
        (plan, days_plan, rates, places), (cube, plain, rows, anew) = asked, births
        (value, start, known, carried), officers = told, cube.officers
        months = plan.trends.max() if len(plan.trends) else 0
        found = room(months, len(plan.windows), len(plan.trends), len(plan.measure), officers)
        out = np.full((values.shape[1], officers + SQUARE), np.nan, dtype=np.float32)
        mine, bits, now = np.empty((levels.shape[1], officers)), cube.days.reshape(value.shape), cube.base - 1
        for number in range(len(whose.as_of)):
            as_of, day = whose.as_of[number], whose.day[number]
            while now < as_of:
                now += 1
                carry(carried, value, now - cube.base, advance(cube, plain, rows, anew, now))
            until = as_of - cube.base + 1
            find(found, value, start, plan, as_of, until)
            write(out, mine, found, known, plan, as_of, day, until)
            write_days(out, bits, cube.starts, days_plan, until, day)
            write_rates(out, value, rates, until)
            _finish(values, levels, out, mine, places, whose, number, first, officers)

    found: Callable[..., None] = walk
    return found


def _sources() -> str:
    files = [Path(module.__file__) for module in (cells, columns, days, decays, figures) if module.__file__]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@compiled
def _finish(
    values: Any, levels: Any, out: Any, mine: Any, places: Any, whose: Any, number: int, first: int, officers: int
) -> None:
    """Write the rows of the tile's members at an as-of."""
    begin, end = whose.starts[number], whose.starts[number + 1]
    begin, end = (
        begin + np.searchsorted(whose.officer[begin:end], first),
        begin + np.searchsorted(whose.officer[begin:end], first + officers),
    )
    for member in range(begin, end):
        who = whose.officer[member] - first
        if places.tenure >= 0:
            out[places.tenure, who] = whose.tenure[member]
        if places.transfer >= 0:
            out[places.transfer, who] = whose.transfer[member]
        for post in range(len(places.posts)):
            if places.posts[post] >= 0:
                out[places.posts[post], who] = whose.post[member] == post
        if whose.barred[member]:
            for place in places.health:
                out[place, who] = np.nan
            for level in range(len(mine)):
                if places.hidden[level]:
                    mine[level, who] = np.nan
    who, to = whose.officer[begin:end] - first, whose.place[begin:end]
    _write_rows(values, to, out, who)
    _write_rows(levels[begin:end], np.arange(end - begin), mine, who)


@compiled
def _write_rows(values: Any, place: Any, block: Any, who: Any) -> None:
    """Write some officers of ``block`` [column, officer] to places of ``values`` [row, column]."""
    for first in range(0, len(who), SQUARE):
        for one in range(first, min(first + SQUARE, len(who))):
            row, officer = values[place[one]], np.uint64(who[one])
            for column in range(np.uint64(len(block))):
                row[column] = block[column, officer]


_walk = _made_of(_sources())
