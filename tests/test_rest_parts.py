"""Rest plans solved unit by unit: every demand holds, and none is better than the bound told."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings

from serving.rest import plan
from serving.rest.plan import one_more, solve
from serving.rest.solver.parts import by_units
from serving.rest.solver.programme import programme
from serving.rest.solver.search import Limits
from tests.accept_rest import large_problem
from tests.rest_instances import broken, problems, value


def granted(found):
    return dict(zip(found.wish.tolist(), found.week.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(problems(people=16, weeks=4))
def test_a_plan_by_units_holds_every_demand_and_its_bound_holds_for_the_best(problem):
    best = solve(problem)
    if problem.least is None and best is not None:
        problem = replace(problem, least=best.least)
    built = programme(problem)
    if built.impossible or not built.columns:
        return
    apart = by_units(built, Limits())
    assert (apart is None) == (best is None)
    if apart is None:
        return
    chosen = np.flatnonzero(apart.x[: len(built.wish)] > 0.5)
    plan_of = dict(zip(built.wish[chosen].tolist(), built.week[chosen].tolist(), strict=True))
    assert not broken(problem, plan_of)
    mine = float(-built.cost @ apart.x)
    assert mine <= best.bound * (1 + 1e-4 * np.sign(best.bound)) + 1e-6
    assert best.bound <= apart.bound + 1e-4 * abs(best.bound) + 1e-6
    assert np.isclose(value(problem, plan_of), mine)


def test_a_larger_force_by_units_is_all_but_the_best(monkeypatch):
    problem = large_problem(900, 40)
    whole = solve(problem)
    more = one_more(problem)
    monkeypatch.setattr(plan, "MANY_COLUMNS", 0)
    apart = solve(problem)
    assert not broken(problem, granted(apart))
    assert apart.value <= whole.bound + 1e-6
    assert whole.value <= apart.bound + 1e-6
    assert apart.gap <= 2e-3
    assert int((~problem.right[apart.wish]).sum()) == 40
    prices = one_more(problem)
    assert prices.keys() == more.keys()
    assert all(prices[key] >= more[key] - 1e-9 for key in more)


def test_a_unit_that_can_not_hold_its_rights_has_no_plan(monkeypatch):
    problem = large_problem(120, 5)
    none = np.zeros_like(problem.open)
    closed = type(problem)(**{**vars(problem), "open": none, "rights_first": False})
    monkeypatch.setattr(plan, "MANY_COLUMNS", 0)
    assert solve(closed) is None
