"""Solving a rest plan: HiGHS over the programme; bounds by nodes and time; the value of one more place."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy

from serving.rest.solver.parts import by_units, prices_of
from serving.rest.solver.problem import FAIR_PLACE, Floats, Ints, RestKind, RestProblem, fair_least, only
from serving.rest.solver.programme import Programme, programme
from serving.rest.solver.search import Limits, Searched, searched

MANY_COLUMNS = 50_000
"""A larger programme is solved unit by unit."""
MANY_WISHES = 4_000
"""More wishes than this are narrowed to those that have a chance of a place."""
PER_PLACE, BESIDES = 2, 200
"""Of each kind so many wishes are kept for a place, and so many besides."""


@dataclass(frozen=True)
class Solution:
    """What was granted: wishes and their first weeks, in the order of wishes; and how good it is.

    ``bound`` is what no plan of the wishes looked at can exceed in value, ``gap`` how far (relative) this one may lie
    below it; ``least`` are the fair places of each unit, ``lacking`` what units lack of them; ``narrowed`` wishes were
    left out before the search.
    """

    wish: Ints
    week: Ints
    value: float
    bound: float
    gap: float
    optimal: bool
    lacking: dict[int, int]
    least: Ints
    narrowed: int
    seconds: float


def solve(problem: RestProblem, limits: Limits | None = None) -> Solution | None:
    """Return the plan of greatest value; None where the demands can't be met together (see ``explain.conflict``).

    Where a unit gets less than its fair part of what is granted, the plan is solved again with these parts demanded.
    Raises OutOfTime where the limits end the search before there is any plan.
    """
    found = _solved(problem, limits or Limits())
    if found is None or problem.least is not None:
        return found
    unit = problem.unit[problem.person[found.wish[~problem.right[found.wish]]]]
    least = fair_least(problem, len(unit))
    if (np.bincount(unit, minlength=problem.units) >= least).all():
        return replace(found, least=least)
    again = _solved(replace(problem, least=least), limits or Limits())
    return None if again is None else replace(again, seconds=found.seconds + again.seconds)


def _solved(problem: RestProblem, limits: Limits) -> Solution | None:
    began = time.perf_counter()
    kept = promising(problem)
    built = programme(only(problem, kept))
    if built.impossible:
        return None
    found = _searched(built, limits) if built.columns else None
    if built.columns and found is None:
        return None
    return _solution(built, found, kept, len(problem) - len(kept), time.perf_counter() - began)


def promising(problem: RestProblem) -> Ints:
    """Return the positions of the wishes to look at: all of them, or where there are many those nearest to a place.

    What is required stays; of each kind the best by worth, twice as many as its places and some besides; of each
    unit with a fair share the best as well.
    """
    chosen = problem.required | problem.right
    others = np.flatnonzero(~chosen & (problem.worth > 0))
    if len(others) <= MANY_WISHES:
        chosen[others] = True
        return np.flatnonzero(chosen)
    best = others[np.argsort(-problem.worth[others], kind="stable")]
    for number, kind in enumerate(problem.kinds):
        bounds = [bound for bound in (kind.places, problem.total) if bound is not None]
        most = PER_PLACE * min(bounds) + BESIDES if bounds else len(best)
        chosen[best[problem.kind[best] == number][:most]] = True
    unit = problem.unit[problem.person[best]]
    fair = fair_least(problem, problem.total if problem.total is not None else len(best))
    for each in np.flatnonzero(fair):
        chosen[best[unit == each][: PER_PLACE * int(fair[each])]] = True
    return np.flatnonzero(chosen)


def _searched(built: Programme, limits: Limits) -> Searched | None:
    """The whole programme at once, or where it is large unit by unit; None where there is no solution."""
    if built.columns > MANY_COLUMNS:
        return by_units(built, limits)
    whole = np.ones(built.columns, dtype=np.int64)
    whole[built.columns - built.lacking :] = 0
    return searched(built.cost, built.matrix, (built.low, built.high), built.most, whole, limits=limits)


def _solution(built: Programme, found: Searched | None, kept: Ints, narrowed: int, seconds: float) -> Solution:
    if found is None:
        none = np.zeros(0, dtype=np.int64)
        return Solution(none, none, 0.0, 0.0, 0.0, True, {}, built.problem.least_by_unit, narrowed, seconds)
    chosen = np.flatnonzero(found.x[: len(built.wish)] > 0.5)
    chosen = chosen[np.argsort(built.wish[chosen], kind="stable")]
    short = found.x[built.columns - built.lacking :]
    units = np.flatnonzero(built.problem.least_by_unit > 0)
    return Solution(
        wish=kept[built.wish[chosen]],
        week=built.week[chosen],
        value=float(-built.cost[chosen].sum()),
        bound=found.bound,
        gap=found.gap,
        optimal=found.optimal,
        lacking={int(unit): round(float(x)) for unit, x in zip(units, short, strict=False) if x > 0.5},
        least=built.problem.least_by_unit,
        narrowed=narrowed,
        seconds=seconds,
    )


def one_more(problem: RestProblem) -> dict[str, float]:
    """Return by how much the expected benefit (probability) rises with one place more of each kind; "" is the total.

    The linear relaxation is solved again with one place more, or where it is large its price of a place is taken: an
    upper estimate that equals the integer plan's in practice, since the relaxation is all but whole. Kinds without a
    bound are left out.
    """
    built = programme(only(problem, promising(problem)))
    if not built.columns or not len(built.low) or built.impossible:
        return {}
    prices = _prices(built)
    found: dict[str, float] = {}
    start = 0
    for part in built.rows:
        if part.demand in ("places", "total"):
            key = problem.kinds[int(part.subject[0])].key if part.demand == "places" else ""
            found[key] = prices(start)
        start += len(part.low)
    return found


def _prices(built: Programme) -> Callable[[int], float]:
    """What one more of a row's bound is worth: solved again with it, or where the programme is large its price."""
    cost = _benefit_alone(built)
    if built.columns > MANY_COLUMNS:
        worth = prices_of(cost, built)
        return lambda row: 0.0 if worth is None else max(0.0, float(worth[row]))
    before = _relaxed(built, cost, 0.0)
    return lambda row: max(0.0, _relaxed(built, cost, (np.arange(len(built.low)) == row).astype(float)) - before)


def _benefit_alone(built: Programme) -> Floats:
    """The expected benefit as a cost, with the price of what units lack."""
    benefit = np.nan_to_num(built.problem.benefit)
    cost = np.zeros(built.columns)
    cost[: len(built.wish)] = -np.where(built.problem.right, 0.0, benefit)[built.wish]
    cost[built.columns - built.lacking :] = FAIR_PLACE * max(float(benefit.max(initial=0)), 0.01)
    return cost


def _relaxed(built: Programme, cost: Floats, more: Floats | float) -> float:
    """The greatest expected benefit of the relaxation, with so much more of each row's bound."""
    rows = [scipy.optimize.LinearConstraint(built.matrix, built.low, built.high + more)]
    found = scipy.optimize.milp(cost, bounds=scipy.optimize.Bounds(0, built.most), constraints=rows)
    return float(-found.fun) if found.x is not None else 0.0


def allocate(
    benefit: Floats,
    unit: Ints,
    *,
    quota: int,
    kinds: tuple[RestKind, ...],
    weeks: int = 8,
    slack: float = 1.0,
    wait: Floats | None = None,
    post: Ints | None = None,
) -> Ints:
    """Return (P, K): the first week of each person's rest of each kind, -1 for none.

    ``benefit`` is (P, K), the expected fall of the probability (NaN or none: no wish), ``unit`` and ``post`` (P,),
    ``wait`` (P, K) in months. No rights, no pins, nobody away: the plain comparison of ways to choose.
    """
    people, count = benefit.shape
    size = people * count
    problem = RestProblem(
        kinds=kinds, weeks=weeks, unit=unit.astype(np.int64),
        post=np.zeros(people, dtype=np.int64) if post is None else post.astype(np.int64),
        away=np.zeros((people, weeks), dtype=bool), relieved=np.zeros((people, weeks), dtype=bool),
        person=np.repeat(np.arange(people), count), kind=np.tile(np.arange(count), people),
        benefit=benefit.ravel(), wait=np.zeros(size) if wait is None else wait.ravel(),
        right=np.zeros(size, dtype=bool), pin=np.full(size, -1), open=np.ones((size, weeks), dtype=bool),
        total=quota, slack=slack,
    )  # fmt: skip
    found = solve(problem)
    starts = np.full(size, -1, dtype=np.int64)
    if found is not None:
        starts[found.wish] = found.week
    return starts.reshape(people, count)
