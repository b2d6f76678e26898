"""A rest problem as an integer programme. Arrays, no loop over people."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from serving.rest.solver.problem import Flags, Floats, Ints, RestProblem
from serving.rest.solver.rows import Demand, Rows, covered, sums
from serving.rest.solver.staffing import staffing


@dataclass(frozen=True)
class Programme:
    """Columns: one per wish and week of beginning, then the marks of stricter staffing, then what units lack."""

    problem: RestProblem
    wish: Ints
    week: Ints
    rows: tuple[Rows, ...]
    columns: int
    lacking: int
    """The last so many columns are places that units lack of their share."""

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """All rows over all columns."""
        parts = [np.stack([part.row + start, part.column]) for part, start in zip(self.rows, self._starts, strict=True)]
        place = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), dtype=np.int64)
        factor = np.concatenate([part.factor for part in self.rows]) if parts else np.zeros(0)
        return sparse.csr_array((factor, (place[0], place[1])), shape=(len(self.low), self.columns))

    @cached_property
    def low(self) -> Floats:
        """The least that each row may be."""
        return np.concatenate([part.low for part in self.rows]) if self.rows else np.zeros(0)

    @cached_property
    def high(self) -> Floats:
        """The most that each row may be."""
        return np.concatenate([part.high for part in self.rows]) if self.rows else np.zeros(0)

    @cached_property
    def cost(self) -> Floats:
        """What is minimised: less what is granted, and a high price for each place that a unit lacks."""
        cost = np.zeros(self.columns)
        cost[: len(self.wish)] = -self.problem.value(self.week, self.wish)
        cost[self.columns - self.lacking :] = self.problem.price
        return cost

    @cached_property
    def most(self) -> Floats:
        """The upper bound of each column."""
        most = np.ones(self.columns)
        most[self.columns - self.lacking :] = np.inf
        return most

    @property
    def impossible(self) -> bool:
        """Whether something that must be granted has no column left."""
        return any(bool(part.low[np.bincount(part.row, minlength=len(part.low)) == 0].max(initial=0) > 0)
                   for part in self.rows)  # fmt: skip

    @cached_property
    def _starts(self) -> list[int]:
        sizes = [len(part.low) for part in self.rows]
        return [sum(sizes[:number]) for number in range(len(sizes))]


def programme(problem: RestProblem) -> Programme:
    """Return the programme of a problem: what is closed has no column."""
    allowed = problem.open & problem.fits & problem.there
    allowed &= (problem.pin[:, None] < 0) | (np.arange(problem.weeks)[None, :] == problem.pin[:, None])
    allowed &= problem.required[:, None] | (problem.worth[:, None] > 0)
    wish, week = (part.astype(np.int64) for part in np.nonzero(allowed))
    rows, columns = _demands(problem, wish, week)
    fair = _fair(problem, wish, columns)
    lacking = len(fair.low) if fair else 0
    return Programme(problem, wish, week, (*rows, *([fair] if fair else [])), columns + lacking, lacking)


def requirements(problem: RestProblem) -> Programme:
    """Return the programme of what must be granted alone, with a row for whatever closes a week; it has no fairness.

    Where it has no solution, the problem has none: wishes that need not be granted can be left out.
    """
    wish, week = (part.astype(np.int64) for part in np.nonzero(problem.required[:, None] & problem.fits))
    rows, columns = _demands(problem, wish, week)
    number = np.arange(len(wish))
    pinned = problem.pin[wish]
    elsewhere = (pinned >= 0) & (pinned != week)
    closed: list[tuple[Demand, Flags, Ints]] = [
        ("pin", elsewhere, wish), ("blackout", ~problem.open[wish, week] & ~elsewhere, wish),
        ("absent", ~problem.there[wish, week] & ~elsewhere, problem.person[wish]),
    ]  # fmt: skip
    shut = [_shut(demand, number[mask], subject[mask]) for demand, mask, subject in closed if mask.any()]
    return Programme(problem, wish, week, (*rows, *shut), columns, 0)


def _demands(problem: RestProblem, wish: Ints, week: Ints) -> tuple[list[Rows], int]:
    rows = [part for part in _once(problem, wish) if len(part.low)]
    rows += [part for part in (*_apart(problem, wish, week), *_places(problem, wish)) if len(part.low)]
    staffed, columns = staffing(problem, wish, week)
    return [*rows, *staffed], columns


def _shut(demand: Demand, columns: Ints, subject: Ints) -> Rows:
    zero, none, week = np.zeros(len(columns)), np.full(len(columns), -np.inf), np.full(len(columns), -1)
    return Rows(demand, np.arange(len(columns)), columns, np.ones(len(columns)), none, zero, subject, week)


def _once(problem: RestProblem, wish: Ints) -> Iterator[Rows]:
    """Every wish at most once; rights and pins exactly once, even where no week is left for them."""
    column = np.arange(len(wish))
    free = ~problem.required[wish]
    yield sums("once", wish[free], column[free], low=-np.inf, high=1)
    for demand, mine in (("right", problem.required & (problem.pin < 0)), ("pin", problem.pin >= 0)):
        subject = np.flatnonzero(mine)
        inside = mine[wish]
        row = np.searchsorted(subject, wish[inside])
        ones = np.ones(len(subject))
        none = np.full(len(subject), -1)
        yield Rows(demand, row, column[inside], np.ones(int(inside.sum())), ones, ones, subject, none)  # type: ignore[arg-type]


def _apart(problem: RestProblem, wish: Ints, week: Ints) -> Iterator[Rows]:
    """Nobody rests twice in a week, or gets two rests by benefit in one plan."""
    person, column = problem.person[wish], np.arange(len(wish))
    wishes = np.bincount(problem.person, minlength=len(problem.unit))
    several = wishes[person] > 1
    at, of = covered(problem, wish[several], week[several])
    who = person[several][of]
    group, row = np.unique(who * problem.weeks + at, return_inverse=True)
    high = np.ones(len(group))
    parts = (row.astype(np.int64), column[several][of], np.ones(len(of)), np.full(len(group), -np.inf), high)
    yield Rows("apart", *parts, group // problem.weeks, group % problem.weeks)
    chosen = ~problem.right[wish]
    several_chosen = np.bincount(problem.person[~problem.right], minlength=len(problem.unit))[person] > 1
    mine = chosen & several_chosen
    yield sums("one", person[mine], column[mine], low=-np.inf, high=1)


def _places(problem: RestProblem, wish: Ints) -> Iterator[Rows]:
    kind, column = problem.kind[wish], np.arange(len(wish))
    for number, each in enumerate(problem.kinds):
        mine = kind == number
        if each.places is not None and mine.any():
            yield sums("places", kind[mine], column[mine], low=-np.inf, high=each.places)
    chosen = ~problem.right[wish]
    if problem.total is not None and chosen.any():
        yield sums(
            "total", np.zeros(int(chosen.sum()), dtype=np.int64), column[chosen], low=-np.inf, high=problem.total
        )


def _fair(problem: RestProblem, wish: Ints, columns: int) -> Rows | None:
    """What each unit gets by benefit, and what it lacks, is at least its share less the slack."""
    units = np.flatnonzero(problem.least_by_unit > 0)
    if not len(units):
        return None
    mine = ~problem.right[wish] & np.isin(problem.unit[problem.person[wish]], units)
    row = np.searchsorted(units, problem.unit[problem.person[wish[mine]]])
    rows = np.concatenate([row, np.arange(len(units))])
    column = np.concatenate([np.flatnonzero(mine), columns + np.arange(len(units))])
    low, high = problem.least_by_unit[units].astype(float), np.full(len(units), np.inf)
    return Rows("fair", rows, column, np.ones(len(rows)), low, high, units, np.full(len(units), -1))
