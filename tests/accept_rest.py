"""The rest plan measured: random instances against the slow checker, the best of all plans, a force of 30,000."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import HypothesisWarning

from serving.rest.plan import one_more, solve
from serving.rest.solver.explain import conflict
from serving.rest.solver.problem import RestKind, RestProblem
from tests.rest_instances import best, broken, demands_broken, placings, problems, value

Line = tuple[str, str, str, bool]
"""What was measured, the figure, the goal, and whether it was met."""
INSTANCES, TINY = 1_500, 300
OFFICERS, QUOTA, WEEKS = 30_000, 600, 8


def rested() -> Iterator[Line]:
    """Staffing and every other demand held, optimality, explanations, and the largest bureau."""
    yield from _random_instances()
    yield from _tiny_instances()
    yield from _large_force()


def _drawn(count: int, **shape: int) -> list[RestProblem]:
    found: list[RestProblem] = []
    quiet = settings(
        max_examples=count, deadline=None, database=None, phases=(Phase.generate,), derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)
        quiet(given(problems(**shape))(lambda problem: found.append(problem)))()
    return found


def _random_instances() -> Iterator[Line]:
    held = solved = 0
    drawn = _drawn(INSTANCES, people=16, weeks=5)
    for problem in drawn:
        found = solve(problem)
        if found is not None:
            solved += 1
            held += not broken(problem, dict(zip(found.wish.tolist(), found.week.tolist(), strict=True)))
    told = f"{held} of {solved} plans ({len(drawn)} random instances)"
    yield "rest: plans that hold every staffing minimum, quota, right and pin", told, "all", held == solved


def _tiny_instances() -> Iterator[Line]:
    best_of_all = planned = minimal = clashing = 0
    for problem in _drawn(TINY, people=4, weeks=3, kinds=2):
        problem = _first_wishes(problem, 6)
        found = solve(problem)
        if found is None:
            clashing += 1
            minimal += _irreducible(problem)
        else:
            planned += 1
            granted = dict(zip(found.wish.tolist(), found.week.tolist(), strict=True))
            best_of_all += abs(value(problem, granted) - (best(problem) or 0.0)) < 1e-6
    yield "rest: value equal to the best of all plans", f"{best_of_all} of {planned}", "all", best_of_all == planned
    told = f"{minimal} of {clashing}"
    yield "rest: conflicts that no demand can be dropped from", told, "all", minimal == clashing


def _first_wishes(problem: RestProblem, count: int) -> RestProblem:
    names = ("person", "kind", "benefit", "wait", "right", "pin", "open")
    return replace(problem, least=problem.least_by_unit, **{name: getattr(problem, name)[:count] for name in names})


def _irreducible(problem: RestProblem) -> bool:
    clash = conflict(problem)
    if clash is None:
        return False
    named = {(one.demand, one.subject, one.week) for one in clash.clashes}
    breaking = [demands_broken(problem, placed) for placed in placings(problem)]
    return all(named & each for each in breaking) and all(
        any(not (named - {one}) & each for each in breaking) for one in named
    )


def large_problem(officers: int, quota: int) -> RestProblem:
    """Return a bureau's plan as gongan's profile has it: units of 40, an eighth due a check-up, 4 % away a week."""
    rng = np.random.default_rng(0)
    month = WEEKS * 7 / 30.4375 / 1000 * officers
    kinds = (
        RestKind("compensatory_leave", 1, "duty", int(40 * month), 0.85, 0.8),
        RestKind("roster_relief", 4, "nights", int(25 * month), 0.75, None),
        RestKind("recuperation", 1, "duty", int(8 * month), 0.85, 0.8),
        RestKind("counselling", 1, "nothing", int(40 * month), None, None),
        RestKind("health_checkup", 1, "duty", None, 0.85, 0.8),
    )
    risk = rng.beta(1, 12, officers)
    benefit = risk[:, None] * np.array([0.15, 0.15, 0.25, 0.15]) * np.exp(rng.normal(0, 0.4, (officers, 4)))
    due = np.flatnonzero(rng.random(officers) < 0.125)
    person = np.concatenate([np.repeat(np.arange(officers), 4), due])
    wishes = len(person)
    return RestProblem(
        kinds=kinds, weeks=WEEKS, unit=rng.integers(0, officers // 40, officers), post=rng.integers(0, 3, officers),
        away=rng.random((officers, WEEKS)) < 0.04, relieved=np.zeros((officers, WEEKS), dtype=bool), person=person,
        kind=np.concatenate([np.tile(np.arange(4), officers), np.full(len(due), 4)]),
        benefit=np.concatenate([benefit.ravel(), np.full(len(due), np.nan)]),
        wait=rng.integers(0, 40, wishes).astype(float), right=np.arange(wishes) >= 4 * officers,
        pin=np.full(wishes, -1), open=np.ones((wishes, WEEKS), dtype=bool), total=quota, rights_first=True,
    )  # fmt: skip


def _large_force() -> Iterator[Line]:
    problem = large_problem(OFFICERS, QUOTA)
    began = time.process_time(), time.perf_counter()
    found = solve(problem)
    busy, seconds = time.process_time() - began[0], time.perf_counter() - began[1]
    assert found is not None
    placed = int((~problem.right[found.wish]).sum())
    rights = f"{int(problem.right[found.wish].sum()):,} of {int(problem.right.sum()):,} rights"
    told = f"{seconds:.0f} s ({busy:.0f} s of CPU), {placed} of {QUOTA} places, {rights}, gap {found.gap:.1e}"
    yield (
        f"rest: a plan of {WEEKS} weeks for {OFFICERS:,}",
        told,
        "at most 180 s, gap at most 1e-3",
        (seconds <= 180 and found.gap <= 1e-3 and placed == QUOTA),
    )
    began_more = time.perf_counter()
    more = one_more(replace(problem, least=found.least))
    told = f"{time.perf_counter() - began_more:.0f} s; any kind +{more['']:.4f}"
    yield "rest: what one place more is worth, there", told, "at most 180 s", time.perf_counter() - began_more <= 180
