"""Staffing as rows: of units, and of posts within them; on duty, and on nights; stricter where a kind asks for it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from serving.rest.solver.problem import Flags, Ints, RestProblem, needed
from serving.rest.solver.rows import Demand, Rows, covered


@dataclass(frozen=True)
class _Duty:
    """What is staffed: duty, or nights; of the unit, or of the post within it. ``member`` and ``bound`` by kind."""

    demand: Demand
    group: Ints
    base: Flags
    member: Flags
    bound: Flags
    present: tuple[float | None, ...]


def staffing(problem: RestProblem, wish: Ints, week: Ints) -> tuple[list[Rows], int]:
    """Return the rows of all staffing, and how many columns there are with the marks that they add."""
    at, of = covered(problem, wish, week)
    columns, rows = len(wish), []
    for duty in _duties(problem):
        for part, marks in _staffed(problem, duty, wish[of], at, of, columns):
            rows.append(part)
            columns += marks
    return rows, columns


def _duties(problem: RestProblem) -> Iterator[_Duty]:
    takes = np.array([kind.takes for kind in problem.kinds])
    off = problem.away, problem.away | problem.relieved
    places = (("unit", problem.unit, [kind.unit_present for kind in problem.kinds]),
              ("post", problem.cells, [kind.post_present for kind in problem.kinds]))  # fmt: skip
    for name, group, present in places:
        yield _Duty(name, group, off[0], takes == "duty", takes == "duty", tuple(present))  # type: ignore[arg-type]
        bound = takes == "nights"
        if bound.any():
            yield _Duty(f"{name}_night", group, off[1], takes != "nothing", bound, tuple(present))  # type: ignore[arg-type]


def spare(problem: RestProblem, group: Ints, base: Flags, present: float | None) -> Ints:
    """Return (groups, weeks): how many more may be away; none where too many already are."""
    size = int(group.max(initial=-1)) + 1
    people = np.bincount(group, minlength=size)
    gone = np.zeros((size, problem.weeks), dtype=np.int64)
    np.add.at(gone, group, base.astype(np.int64))
    return np.asarray(np.maximum(people[:, None] - needed(present, people)[:, None] - gone, 0))


def _staffed(
    problem: RestProblem, duty: _Duty, wish: Ints, at: Ints, of: Ints, columns: int
) -> Iterator[tuple[Rows, int]]:
    """The rows of one duty: the loosest bound always, a stricter one where a kind that demands it is granted.

    ``wish``, ``at``, ``of``: wish, week taken and column of every covered week. Gives rows and how many columns
    they add: marks that a stricter bound holds.
    """
    kind = problem.kind[wish]
    inside = duty.member[kind]
    group = duty.group[problem.person[wish]]
    place = group * problem.weeks + at
    demands = sorted({duty.present[number] for number in np.flatnonzero(duty.bound)}, key=lambda p: (p is not None, p))
    spares = {each: spare(problem, duty.group, duty.base, each).ravel() for each in (None, *demands)}
    unbound = bool((duty.member & ~duty.bound).any())
    loosest = np.stack([spares[each] for each in (demands if demands and not unbound else [None])]).max(axis=0)
    if not unbound:
        yield _at_most(problem, duty.demand, place[inside], of[inside], loosest), 0
    for each in demands:
        asking = inside & np.array([duty.bound[n] and duty.present[n] == each for n in range(len(problem.kinds))])[kind]
        stricter = np.flatnonzero((spares[each] < loosest) & (np.bincount(place[asking], minlength=len(loosest)) > 0))
        if len(stricter):
            marked = _Marked(stricter, spares[each], loosest, columns)
            yield from _when_asked(problem, duty.demand, marked, (place, of, inside, asking))
            columns += len(stricter)


def _at_most(problem: RestProblem, demand: Demand, place: Ints, column: Ints, most: Ints) -> Rows:
    """Rows only where so many could be away that the bound may be reached."""
    tight = np.bincount(place, minlength=len(most)) > most
    mine = tight[place]
    subject, row = np.unique(place[mine], return_inverse=True)
    size = len(subject)
    bounds = np.full(size, -np.inf), most[subject].astype(float)
    ones = np.ones(int(mine.sum()))
    return Rows(
        demand, row.astype(np.int64), column[mine], ones, *bounds, subject // problem.weeks, subject % problem.weeks
    )


@dataclass(frozen=True)
class _Marked:
    """Places with a stricter bound where a mark (columns from ``first`` on) says that somebody asks for it."""

    place: Ints
    strict: Ints
    loose: Ints
    first: int


def _when_asked(
    problem: RestProblem, demand: Demand, marked: _Marked, covered: tuple[Ints, Ints, Flags, Flags]
) -> Iterator[tuple[Rows, int]]:
    """With mark b: what asks for the bound is at most strict b; all that is away at most loose - (loose - strict) b."""
    place, of, inside, asking = covered
    count = len(marked.place)
    number = np.full(len(marked.loose), -1)
    number[marked.place] = np.arange(count)
    strict, loose = marked.strict[marked.place].astype(float), marked.loose[marked.place].astype(float)
    where = marked.place // problem.weeks, marked.place % problem.weeks
    none, mark = np.full(count, -np.inf), marked.first + np.arange(count)
    for chosen, factor, high, marks in (
        (asking, -strict, np.zeros(count), count),
        (inside, loose - strict, loose, 0),
    ):
        mine = chosen & (number[place] >= 0)
        row = np.concatenate([number[place[mine]], np.arange(count)])
        column = np.concatenate([of[mine], mark])
        factors = np.concatenate([np.ones(int(mine.sum())), factor])
        yield Rows(demand, row, column, factors, none, high, *where), marks
