"""The wall and the ground of the assessment: histories without any wellness input, as known at one as-of.

`assessable` is the only door: behind it no measure of health or wellbeing, no risk and no action exists, so that
nothing in this folder can read one. What was recorded after the as-of is not there either.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from features.asknown import Credits, credits
from features.assessment.rules import AssessmentRules
from features.cohort import Standing, first_month, standing
from features.efficiency import indicator_posts, may_be_assessed
from features.histories.tables import Events, Floats, Histories, Ints
from features.months import NO_DAY, first_day, last_day, month_of_day
from features.profile import Profile
from features.profile_rows import Post
from features.texts import as_valid

MONTHS = 18
"""So many months of cells are kept; older work counts in the points ledger and the honours only."""

BLOCK = 2048
"""Officers whose cells are made at a time: as many as a processor's cache holds."""

THREADS = 2
Work = TypeVar("Work")
Made = TypeVar("Made")

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Assessable:
    """Histories behind the wall at an as-of; ``row`` is each event's position in the histories they came from.

    ``replaced_on`` is the day from which a later row of the same event_id counts instead (NO_DAY: none by the as-of);
    ``retracts`` marks rows that only take back; ``live`` those that count at the as-of.
    """

    as_of: int
    given: Histories
    row: Positions
    replaced_on: Ints
    retracts: Mask
    training: tuple[str, ...] = ()
    """Measures that record training taken."""

    @property
    def profile(self) -> Profile:
        """The profile, without what must not be assessed."""
        return self.given.profile

    @cached_property
    def live(self) -> Mask:
        """Which rows count at the as-of: neither corrected nor retracted by then."""
        counts: Mask = (self.replaced_on == NO_DAY) & ~self.retracts
        return counts

    @cached_property
    def dated_posts(self) -> tuple[Post, ...]:
        """Each post's rules with all their versions."""
        return indicator_posts(self.given)

    @cached_property
    def posts(self) -> tuple[Post, ...]:
        """Each post's rules as valid at the as-of."""
        return tuple(post.at(self.as_of) for post in self.dated_posts)

    @cached_property
    def rules(self) -> AssessmentRules:
        """The force's rules of assessment as valid at the as-of."""
        rules = self.profile.settings.assessment
        return as_valid(rules, rules.versions, self.as_of)

    @cached_property
    def months(self) -> range:
        """The months of ``cells``, oldest first."""
        return range(self.as_of - MONTHS + 1, self.as_of + 1)

    @cached_property
    def standings(self) -> dict[int, Standing]:
        """Who stood where at the end of each of ``months``."""
        return {month: standing(self.given, month) for month in self.months}

    @property
    def now(self) -> Standing:
        """Who stands where at the as-of."""
        return self.standings[self.as_of]

    @cached_property
    def start(self) -> Ints:
        """The month of each officer's first posting."""
        return first_month(self.given)

    def amounts(self, rows: Positions) -> Floats:
        """Return the values of rows; an empty one is 1."""
        value = self.given.events.value[rows]
        return np.where(np.isnan(value), 1.0, value)

    @cached_property
    def cells(self) -> "Grid":
        """The last MONTHS months of every measure and officer."""
        return month_grid(self)

    def rows_of(self, key: str) -> Positions:
        """Return the positions of the live rows of a measure."""
        number = self.profile.measure_number[key]
        return np.flatnonzero(self.live & (self.given.events.measure == number))

    def rows_between(self, first: int, after: int) -> slice:
        """Return the rows of the officers from ``first`` up to, not with, ``after``."""
        bounds = np.searchsorted(self.given.events.officer, np.asarray([first, after], dtype=np.int32))
        return slice(*bounds.tolist())

    def members(self, post: int) -> Positions:
        """Return the officers of a post at the as-of."""
        return np.flatnonzero(self.now.post == post)


@dataclass(frozen=True)
class Grid:
    """Cells of measure, period and officer, as features.efficiency reads them; ``days`` is each period's length."""

    profile: Profile
    days: Floats
    value: Floats
    count: Ints
    direct: Ints
    spans: Ints


def assessable(given: Histories, as_of: int) -> Assessable:
    """Return what the assessment of an as-of may read: no wellness measure, no risk, nothing recorded later."""
    profile = given.profile
    allowed = [key for key in profile.measure_keys if may_be_assessed(profile.measures[key])]
    number = np.full(len(profile.measure_keys), -1, dtype=np.int32)
    number[[profile.measure_number[key] for key in allowed]] = np.arange(len(allowed), dtype=np.int32)
    known = (given.events.recorded <= last_day(as_of)) & (number[given.events.measure] >= 0)
    replaced_on, retracts = _replaced(given.events, known)
    row = np.flatnonzero(known)
    events = _numbered(given.events, row, number)
    behind = replace(given, profile=_without(profile, set(allowed)), events=events)
    taken = {action.recorded_as for action in profile.actions.values() if action.kind == "training"}
    training = tuple(key for key in allowed if key in taken)
    return Assessable(as_of, behind, row, replaced_on[row], retracts[row], training)


def _replaced(events: Events, known: Mask) -> tuple[Ints, Mask]:
    """Return for each row from when the next known row of its event_id counts instead, and which rows retract."""
    named = np.flatnonzero(known & (events.event >= 0))
    order = named[np.lexsort((events.recorded[named], events.event[named]))]
    same = np.flatnonzero(events.event[order][1:] == events.event[order][:-1])
    earlier, later = order[same], order[same + 1]
    replaced_on, retracts = np.full(len(events), NO_DAY, dtype=np.int32), np.zeros(len(events), dtype=bool)
    replaced_on[earlier] = events.recorded[later]
    retracts[later] = np.isnan(events.value[later])
    return replaced_on, retracts


def _numbered(events: Events, row: Positions, number: Ints) -> Events:
    """Return the rows with the measures' new numbers; behind the wall ``replaced_on`` says what an event_id would."""
    names = [part.name for part in fields(Events) if part.name != "event"]
    columns = dict(zip(names, in_threads(lambda name: getattr(events, name)[row], names), strict=True))
    columns["measure"] = number[columns["measure"]]
    return Events(**columns, event=np.broadcast_to(np.int64(-1), len(row)))


def _without(profile: Profile, allowed: set[str]) -> Profile:
    """Return the profile with nothing left of what may not be assessed; risks and actions are no business of it."""
    rates = {key: rate for key, rate in profile.settings.rates.items() if {rate.of, rate.per} <= allowed}
    known = allowed | set(rates)
    return Profile.model_construct(
        settings=profile.settings.model_copy(update={"rates": rates, "sequences": {}}),
        measures={key: measure for key, measure in profile.measures.items() if key in allowed},
        posts={key: _post_without(post, known) for key, post in profile.posts.items()},
        risks={},
        actions={},
    )


def _post_without(post: Post, known: set[str]) -> Post:
    versions = tuple(version.model_copy(update=_kept(version, known)) for version in post.versions)
    return post.model_copy(update={**_kept(post, known), "versions": versions})


def _kept(rules: object, known: set[str]) -> dict[str, object]:
    indicators, bonus, in_hand = (getattr(rules, name) for name in ("indicators", "bonus", "in_hand"))
    kept: dict[str, object] = {}
    if indicators is not None:
        kept["indicators"] = {
            dimension: {key: weight for key, weight in weights.items() if key in known}
            for dimension, weights in indicators.items()
        }
    if bonus is not None:
        kept["bonus"] = {key: weight for key, weight in bonus.items() if key in known}
    if in_hand is not None:
        kept["in_hand"] = tuple(key for key in in_hand if key in known)
    return kept


def month_grid(view: Assessable) -> Grid:
    """Return the cells of the last MONTHS months; their numbers are those of a KnownCube at the as-of."""
    first, months = view.months[0], np.asarray(view.months)
    days = (last_day(months) - first_day(months) + 1).astype(np.float64)
    whole = empty_grid(view.given, days)

    def make(block: int) -> None:
        rows, events = view.rows_between(block, block + BLOCK), view.given.events
        position = rows.start + np.flatnonzero(view.live[rows] & (events.occurred[rows] >= first_day(first)))
        recent = events.take(position)
        credit = _credits(view.profile, recent, view.amounts(position), first=first)
        fill(whole, recent, credit, slot=(credit.month - first).astype(np.int64), officers=(block, block + BLOCK))

    in_threads(make, range(0, len(view.given.officers), BLOCK))
    return whole


def in_threads(make: Callable[[Work], Made], parts: Iterable[Work]) -> list[Made]:
    """Return what ``make`` makes of each part, in order; NumPy lets two threads copy and count at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(make, parts))


def _credits(profile: Profile, events: Events, value: Floats, *, first: int) -> Credits:
    """Return the credits from ``first`` on as asknown makes them, in its order; short work is plain to credit."""
    offset = int(first_day(first))
    month_of = month_of_day(np.arange(offset, int(last_day(first + MONTHS)) + 1))
    month = month_of[events.occurred - offset]
    long = np.flatnonzero((events.began != NO_DAY) & (events.began < first_day(month)))
    some = credits(profile, events.take(long), value[long])
    short = np.delete(np.arange(len(events)), long)
    ones = np.ones(len(short), dtype=bool)
    position = np.concatenate([short, long[some.position]])
    order = np.argsort(position, kind="stable")
    joined = Credits(
        position[order],
        np.concatenate([month[short], some.month])[order],
        np.concatenate([value[short], some.share])[order],
        np.concatenate([ones, some.closes])[order],
        np.concatenate([~ones, some.long])[order],
    )
    return joined.take(joined.month >= first) if len(long) else joined


def empty_grid(given: Histories, days: Floats) -> Grid:
    """Return cells without any row."""
    shape = (len(given.profile.measure_keys), len(days), len(given.officers))
    value = np.zeros(shape)
    for place, key in enumerate(given.profile.measure_keys):
        if given.profile.measures[key].aggregate != "sum":
            value[place] = np.nan
    counts = (np.zeros(shape, dtype=np.int32) for _ in range(3))
    return Grid(given.profile, days, value, *counts)


def fill(whole: Grid, events: Events, credit: Credits, *, slot: Positions, officers: tuple[int, int]) -> None:
    """Write the cells of some officers (from, to): a number each by the aggregate, and what it rests on."""
    part = slice(*officers)
    measures, slots, size = whole.value[:, :, part].shape
    row = credit.position
    place = (events.officer[row] - officers[0], events.measure[row], slot)
    # officer by officer in memory while adding: the rows come in that order
    cell = (place[0].astype(np.int64) * measures + place[1]) * slots + place[2]

    def turned(flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return flat.reshape(size, measures, slots).transpose(1, 2, 0)

    def counted(cells: Positions) -> npt.NDArray[Any]:
        return turned(np.bincount(cells, minlength=size * measures * slots))

    number, spans = counted(cell), counted(cell[credit.long])
    whole.count[:, :, part] = number - counted(cell[~credit.closes])
    whole.direct[:, :, part] = number - spans
    whole.spans[:, :, part] = spans
    total = np.bincount(cell, weights=credit.share, minlength=size * measures * slots)
    value = np.array(turned(total), dtype=np.float64)  # of no rows, NumPy makes integers
    _rated(whole.profile, value, number=number, place=place, share=credit.share)
    whole.value[:, :, part] = value


def _rated(
    profile: Profile, value: Floats, *, number: npt.NDArray[Any], place: tuple[Ints, Ints, Positions], share: Floats
) -> None:
    """Turn the sums of measures that are not summed into their means, highest or last values, NaN without a row."""
    officer, measure, slot = place
    for row, key in enumerate(profile.measure_keys):
        kind = profile.measures[key].aggregate
        if kind == "sum":
            continue
        there = number[row] > 0
        if kind == "mean":
            value[row] = np.where(there, value[row] / np.where(there, number[row], 1), np.nan)
            continue
        rows = np.flatnonzero(measure == row)
        where = (slot[rows], officer[rows])
        value[row] = np.where(there, -np.inf, np.nan)
        if kind == "max":
            np.maximum.at(value[row], where, share[rows])
        else:
            value[row][where] = share[rows]  # rows are in order of day; the last assignment stays
