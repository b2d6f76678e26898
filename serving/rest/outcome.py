"""What came of a plan that was asked for: entries with their days, staffing by unit and week, or why there is none."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features.errors import Refusal
from serving.rest.asking import Asked
from serving.rest.days import Days
from serving.rest.plan import Solution, one_more, promising, solve
from serving.rest.sentences import Words, told
from serving.rest.solver.explain import Conflict, conflict
from serving.rest.solver.problem import Ints, RestProblem, needed
from serving.rest.solver.search import Limits, OutOfTime


@dataclass(frozen=True)
class Outcome:
    """A plan, or why there is none. ``kept`` are the wishes that are stored, ``postponed`` rights left for later."""

    asked: Asked
    kept: Ints
    solution: Solution | None
    conflict: list[Words] | None
    postponed: Ints
    one_more: dict[str, float]
    why: list[Words]
    """What stands against the rights that are postponed."""

    @property
    def figures(self) -> dict[str, Any] | None:
        """How good the plan is, as it is kept and answered."""
        found, wishes = self.solution, self.asked.wishes
        if found is None:
            return None
        chosen = found.wish[wishes.due[found.wish] == ""]
        benefit = wishes.benefit[chosen]
        units = np.unique(self.asked.staff.unit)
        return {
            "at": self.asked.read_at.isoformat(),
            "beside": list(self.asked.beside),
            "entries": len(found.wish),
            "by_benefit": len(chosen),
            "by_right": int(len(found.wish) - len(chosen)),
            "postponed": len(self.postponed),
            "why_postponed": self.why,
            "benefit": round(float(np.nansum(benefit)), 6),
            "estimated": int((wishes.basis[chosen] == "estimated").sum()),
            "assumed": int((wishes.basis[chosen] == "assumed").sum()),
            "wishes": len(wishes),
            "narrowed": found.narrowed,
            "optimal": found.optimal,
            "gap": round(found.gap, 6),
            "seconds": round(found.seconds, 2),
            "lacking": {str(units[unit]): places for unit, places in found.lacking.items()},
            "one_more": {key: round(value, 6) for key, value in self.one_more.items()},
        }


def outcome(asked: Asked, limits: Limits | None = None) -> Outcome:
    """Return the plan, or the smallest conflict in words.

    Where all rights can't be held and only staffing, absences or the profile's own places stand against it, as many as
    possible are held, the others postponed, and the conflict says why. Where what was asked for this plan (places,
    blackouts, pins) stands against it, there is no plan. A Refusal where the time is up before there is any.
    """
    problem = asked.problem
    try:
        found = solve(problem, limits)
        if found is not None:
            return _planned(asked, problem, found, _against(asked, problem, found))
        asking = conflict(demanded(asked))
        if asking is not None:
            return _impossible(asked, problem, asking)
        first = replace(asked, rights_first=True)
        found = solve(first.problem, limits)
    except OutOfTime as late:
        raise Refusal(
            f"No plan was found in time ({late}). 规定时间内未能求得计划。",
            hint="Plan fewer weeks, or a smaller quota. 请减少周数或名额。",
        ) from None
    why = conflict(problem if found is not None else first.problem)
    assert why is not None, "a problem without a solution has a conflict"
    if found is None:
        return _impossible(asked, problem, why)
    return _planned(first, first.problem, found, told(why, asked, problem))


def _against(asked: Asked, problem: RestProblem, found: Solution) -> list[Words]:
    """What stands against all rights together, where a plan that may postpone some does."""
    held = np.isin(np.flatnonzero(problem.postponable & (problem.pin < 0)), found.wish)
    why = None if held.all() else conflict(replace(problem, rights_first=False, late=None))
    return told(why, asked, problem) if why else []


def demanded(asked: Asked) -> RestProblem:
    """Return the problem with what was asked for this plan only: everybody there, no staffing, given places only."""
    problem = asked.problem
    kinds = tuple(
        replace(bounds, unit_present=None, post_present=None, places=bounds.places if kind.given else None)
        for bounds, kind in zip(problem.kinds, asked.kinds, strict=True)
    )
    nobody = np.zeros_like(problem.away)
    opened = problem.open if asked.calendar.blackouts else np.ones_like(problem.open)
    return replace(problem, kinds=kinds, away=nobody, relieved=nobody, open=opened)


def _planned(asked: Asked, problem: RestProblem, found: Solution, why: list[Words]) -> Outcome:
    rights = np.flatnonzero(problem.right & (problem.pin < 0))
    more = one_more(replace(problem, least=found.least))
    return Outcome(asked, promising(problem), found, None, np.setdiff1d(rights, found.wish), more, why)


def _impossible(asked: Asked, problem: RestProblem, why: Conflict) -> Outcome:
    none = np.zeros(0, dtype=np.int64)
    return Outcome(asked, promising(problem), None, told(why, asked, problem), none, {}, [])


def names(asked: Asked, wishes: list[int]) -> list[tuple[str, str]]:
    """Return officer and kind of wishes."""
    officers, kinds = asked.staff.officer_id, asked.kinds
    return [(str(officers[asked.wishes.officer[one]]), kinds[asked.wishes.kind[one]].key) for one in wishes]


def days_of(found: Outcome, fixed: Mapping[tuple[str, str, int], dt.date]) -> list[tuple[int, int, dt.date, dt.date]]:
    """Return (wish, week, first day, last day) of every entry; ``fixed`` (officer, kind, week) keep their days."""
    assert found.solution is not None
    asked, days = found.asked, Days(found.asked.calendar)
    pairs = list(zip(found.solution.wish.tolist(), found.solution.week.tolist(), strict=True))
    keys = {pair: (*names(asked, [pair[0]])[0], pair[1]) for pair in pairs}
    pairs.sort(key=lambda pair: (keys[pair] not in fixed, pair[1], pair[0]))
    entries = []
    for wish, week in pairs:
        kind, unit = asked.kinds[asked.wishes.kind[wish]], str(asked.staff.unit[asked.wishes.officer[wish]])
        first, last = days.of(kind, unit, week, fixed.get(keys[wish, week]))
        entries.append((wish, week, first, last))
    return entries


@dataclass(frozen=True)
class Staffed:
    """Units (U) and weeks: people, and by week away, resting, of those discreetly, off nights, needed."""

    units: tuple[str, ...]
    people: Ints
    away: Ints
    resting: Ints
    discreet: Ints
    off_nights: Ints
    needed: Ints


def staffed(found: Outcome) -> Staffed:
    """Return the staffing of each unit in each week under a plan (or, where there is none, without it)."""
    asked, problem = found.asked, found.asked.problem
    size, weeks = int(problem.unit.max(initial=-1)) + 1, problem.weeks
    people = np.bincount(problem.unit, minlength=size)
    parts = {name: np.zeros((size, weeks), dtype=np.int64) for name in ("duty", "discreet", "nights")}
    taken = np.zeros((len(asked.kinds), size, weeks), dtype=bool)
    for wish, start in _granted(found.solution):
        kind, unit = int(problem.kind[wish]), int(problem.unit[problem.person[wish]])
        rules, span = asked.kinds[kind].rules, slice(start, start + asked.kinds[kind].weeks)
        taken[kind, unit, span] = True
        if rules.takes != "nothing":
            parts[rules.takes][unit, span] += 1
        if rules.takes == "duty" and rules.discreet:
            parts["discreet"][unit, span] += 1
    return Staffed(
        units=tuple(np.unique(asked.staff.unit).tolist()),
        people=people,
        away=_by_unit(problem, problem.away),
        resting=parts["duty"],
        discreet=parts["discreet"],
        off_nights=parts["nights"] + _by_unit(problem, problem.relieved),
        needed=_needed(problem, people, taken),
    )


def _granted(found: Solution | None) -> list[tuple[int, int]]:
    return [] if found is None else list(zip(found.wish.tolist(), found.week.tolist(), strict=True))


def _by_unit(problem: RestProblem, flags: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Ints:
    found = np.zeros((int(problem.unit.max(initial=-1)) + 1, problem.weeks), dtype=np.int64)
    np.add.at(found, problem.unit, flags.astype(np.int64))
    return found


def _needed(problem: RestProblem, people: Ints, taken: np.ndarray[tuple[int, int, int], np.dtype[np.bool_]]) -> Ints:
    """The strictest bound of the kinds taken in a week; the loosest of all where none is taken."""
    bounds = [
        (number, needed(kind.unit_present, people)) for number, kind in enumerate(problem.kinds) if kind.takes == "duty"
    ]
    if not bounds:
        return np.zeros(taken.shape[1:], dtype=np.int64)
    loosest = np.min([bound for _, bound in bounds], axis=0)
    levels = [np.where(taken[number], bound[:, None], loosest[:, None]) for number, bound in bounds]
    return np.asarray(np.max(levels, axis=0))
