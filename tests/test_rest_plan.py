"""The rest plan as an integer programme: it holds every demand, is the best there is, and explains what can't be."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from features.errors import Refusal
from serving.rest.plan import allocate, one_more, promising, solve
from serving.rest.solver.explain import conflict
from serving.rest.solver.problem import RestKind, RestProblem, needed
from tests.rest_instances import best, broken, demands_broken, placings, problems, value

RANDOM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def granted(found):
    return dict(zip(found.wish.tolist(), found.week.tolist(), strict=True))


def wanting(people, *, places=None, present=0.5, weeks=4, right=False, benefit=None, **changed):
    """One kind, one unit, everyone wants it."""
    told = {
        "kinds": (RestKind("leave", 1, "duty", places, present),), "weeks": weeks,
        "unit": np.zeros(people, dtype=np.int64), "post": np.zeros(people, dtype=np.int64),
        "away": np.zeros((people, weeks), dtype=bool), "relieved": np.zeros((people, weeks), dtype=bool),
        "person": np.arange(people), "kind": np.zeros(people, dtype=np.int64),
        "benefit": np.linspace(0.05, 0.02, people) if benefit is None else benefit, "wait": np.zeros(people),
        "right": np.full(people, right), "pin": np.full(people, -1), "open": np.ones((people, weeks), dtype=bool),
    }  # fmt: skip
    return RestProblem(**{**told, **changed})


@RANDOM
@given(problems())
def test_a_plan_holds_every_staffing_minimum_quota_right_pin_and_closed_week(problem):
    found = solve(problem)
    if found is not None:
        assert broken(problem, granted(found)) == []


@FEW
@given(problems())
def test_there_is_either_a_plan_or_a_conflict_that_no_demand_can_be_dropped_from(problem):
    found, clash = solve(problem), conflict(problem)
    assert (found is None) == (clash is not None)


@FEW
@given(problems(people=4, weeks=3, kinds=2))
def test_the_plan_is_worth_as_much_as_the_best_of_all_plans(problem):
    problem = replace(problem, least=problem.least_by_unit)
    if len(problem) > 6:
        problem = replace(
            problem,
            **{
                name: getattr(problem, name)[:6]
                for name in ("person", "kind", "benefit", "wait", "right", "pin", "open")
            },
        )
    found, most = solve(problem), best(problem)
    assert (found is None) == (most is None)
    if found is not None:
        assert value(problem, granted(found)) == pytest.approx(most)


@FEW
@given(problems())
def test_the_same_problem_gives_the_same_plan(problem):
    one, other = solve(problem), solve(problem)
    assert (one is None and other is None) or (granted(one) == granted(other))


@RANDOM
@given(problems(rights_first=True, pins=False))
def test_with_rights_first_there_is_always_a_plan_and_no_right_is_left_out_for_a_benefit(problem):
    found = solve(problem)
    assert found is not None
    assert broken(problem, granted(found)) == []
    without = solve(replace(problem, benefit=np.full(len(problem), np.nan)))
    assert problem.right[found.wish].sum() == problem.right[without.wish].sum()


@FEW
@given(problems(people=5, weeks=3, kinds=2))
def test_a_conflict_can_not_be_met_and_without_any_of_its_demands_it_could_be(problem):
    problem = few_required(problem)
    clash = conflict(problem)
    if clash is None:
        return
    named = {(one.demand, one.subject, one.week) for one in clash.clashes}
    breaking = [demands_broken(problem, placed) for placed in placings(problem)]
    assert all(named & each for each in breaking)
    for one in named:
        assert any(not (named - {one}) & each for each in breaking), one
    if clash.fewest:
        smaller = itertools.combinations(sorted(set().union(*breaking)), min(len(named) - 1, 2))
        assert not any(all(set(few) & each for each in breaking) for few in smaller)


def few_required(problem):
    """At most five wishes that must be granted: what can be tried out."""
    late = np.flatnonzero(problem.required)[5:]
    right, pin = problem.right.copy(), problem.pin.copy()
    right[late], pin[late] = False, -1
    return replace(problem, right=right, pin=pin)


def test_more_rights_than_places_are_told_as_the_places_and_one_right_more():
    clash = conflict(wanting(6, places=3, right=True))
    assert [one.demand for one in clash.clashes] == ["places", "right", "right", "right", "right"]
    assert clash.fewest


def test_a_right_of_someone_who_is_away_all_the_time_is_the_whole_conflict():
    away = np.zeros((6, 4), dtype=bool)
    away[2] = True
    clash = conflict(wanting(6, places=3, right=np.arange(6) == 2, away=away))
    assert {(one.demand, one.subject) for one in clash.clashes} == {("right", 2), ("absent", 2)}


def test_a_small_conflict_is_found_in_a_large_force():
    people = 400
    unit = np.repeat(np.arange(40), 10)
    away = np.zeros((people, 4), dtype=bool)
    away[unit == 7] = True
    problem = wanting(people, right=np.arange(people) % 2 == 0, away=away, unit=unit, present=0.2)
    clash = conflict(problem)
    assert {unit[problem.person[one.subject]] for one in clash.clashes if one.demand == "right"} == {7}
    assert len(clash.clashes) <= 6


def test_places_go_to_the_greatest_benefit_and_not_to_the_last():
    found = solve(wanting(8, total=3))
    assert found.wish.tolist() == [0, 1, 2]
    assert found.optimal


def test_among_equals_those_come_first_who_have_been_longest_without_rest():
    wait = np.array([1.0, 30.0, 2.0, np.nan, 12.0, 3.0])
    found = solve(wanting(6, benefit=np.full(6, 0.0302) + np.arange(6) * 1e-5, wait=wait, total=3))
    assert found.wish.tolist() == [1, 3, 4]


def test_no_unit_gets_less_than_its_share_less_the_slack():
    unit = np.repeat([0, 1], 20)
    benefit = np.where(unit == 0, 0.09, 0.01)
    for slack, least in ((1.0, 4), (6.0, 0)):
        problem = wanting(40, unit=unit, benefit=benefit, weeks=8, total=10, slack=slack)
        found = solve(problem)
        assert int((unit[found.wish] == 1).sum()) == least
        assert found.lacking == {}


def test_a_unit_whose_staffing_allows_no_fair_share_is_told():
    unit = np.repeat([0, 1], 20)
    away = np.zeros((40, 4), dtype=bool)
    away[unit == 1] = True
    found = solve(wanting(40, unit=unit, away=away, total=10, present=0.2))
    assert found.lacking == {1: 4}
    assert len(found.wish) == 10


def test_a_stricter_kind_in_a_week_holds_everybody_to_its_minimum():
    kinds = (RestKind("strict", 1, "duty", None, 0.9), RestKind("loose", 1, "duty", None, 0.5))
    problem = wanting(
        10, kinds=kinds, weeks=1, away=np.zeros((10, 1), dtype=bool), relieved=np.zeros((10, 1), dtype=bool),
        open=np.ones((10, 1), dtype=bool), kind=np.array([0] + [1] * 9), benefit=np.array([0.2] + [0.01] * 9),
    )  # fmt: skip
    assert solve(problem).wish.tolist() == [0]
    found = solve(replace(problem, benefit=np.full(10, 0.01)))
    assert len(found.wish) == 5
    assert 0 not in found.wish


def test_a_share_rounds_so_that_one_may_always_be_away_and_a_count_is_held_to_the_letter():
    people = np.array([0, 1, 2, 5, 10, 40])
    assert needed(0.85, people).tolist() == [0, 0, 1, 4, 9, 34]
    assert needed(3.0, people).tolist() == [0, 1, 2, 3, 3, 3]


def test_one_more_place_is_worth_what_the_next_would_gain():
    benefit = np.array([0.09, 0.08, 0.05, 0.02])
    assert one_more(wanting(4, benefit=benefit, total=2, places=2))[""] == pytest.approx(0.0, abs=1e-9)
    assert one_more(wanting(4, benefit=benefit, total=2))[""] == pytest.approx(0.05)
    assert one_more(wanting(4, benefit=benefit, places=3))["leave"] == pytest.approx(0.02)


def test_many_wishes_are_narrowed_without_losing_what_is_best():
    people = 6_000
    rng = np.random.default_rng(3)
    problem = wanting(people, unit=rng.integers(0, 150, people), benefit=rng.beta(1, 12, people), total=40, weeks=2)
    assert len(promising(problem)) < 500
    best_first = np.argsort(-problem.worth, kind="stable")[:40]
    assert set(solve(problem).wish.tolist()) == set(best_first.tolist())


def test_allocating_by_benefit_serves_those_who_gain_most():
    rng = np.random.default_rng(5)
    benefit = rng.normal(0.02, 0.02, (60, 1))
    weeks = allocate(benefit, np.repeat(np.arange(4), 15), quota=12, kinds=(RestKind("leave"),), weeks=4)
    assert weeks.shape == (60, 1)
    assert (weeks >= 0).sum() == 12
    assert benefit[weeks >= 0].sum() >= 0.95 * np.sort(benefit[:, 0])[-12:].sum()


def test_a_kind_longer_than_the_plan_and_a_negative_quota_are_refused():
    with pytest.raises(Refusal, match="no room"):
        wanting(3, kinds=(RestKind("relief", 5, "nights"),))
    with pytest.raises(Refusal, match="fewer than none"):
        wanting(3, total=-1)
