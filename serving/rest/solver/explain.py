"""Why no plan is possible: a smallest set of demands that can't be met together, and what it says in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from serving.rest.solver.problem import Flags, Floats, Ints, RestProblem, only
from serving.rest.solver.programme import Programme, requirements
from serving.rest.solver.rows import Demand

ROUNDS = 25
"""Rounds of the search for a set of the fewest demands; after them the one that can't be shortened is told."""
FEW = 6
"""The search for the fewest is tried where the shortened set has at most so many demands."""

MANY_REQUIRED = 80
"""Of more required wishes those of one unit or kind are looked at first."""
OF_WISHES = ("right", "pin", "once", "blackout")
"""Demands whose subject is a wish."""


@dataclass(frozen=True, order=True)
class Clash:
    """One demand of a conflict; ``subject`` and ``week`` as in ``programme.Rows``."""

    demand: Demand
    subject: int
    week: int


@dataclass(frozen=True)
class Conflict:
    """Demands that can't be met together; without any one of them they could. ``fewest``: no set has fewer."""

    clashes: tuple[Clash, ...]
    fewest: bool


def conflict(problem: RestProblem) -> Conflict | None:
    """Return a smallest conflict among what must be granted, its places, staffing and closed weeks; None where none is.

    First groups of demands are dropped while what is left stays impossible (deletion filter: Chinneck and Dravnieks
    1991), then the fewest are looked for by hitting sets (Ignatiev, Previti, Liffiton and Marques-Silva 2015).
    """
    part = _part(problem)
    demands = _Demands(requirements(only(problem, part)), part)
    if demands.possible_at_all:
        return None
    shortened = _shortened(demands)
    fewest = _fewest(demands, len(shortened)) if len(shortened) <= FEW else None
    chosen = fewest if fewest is not None else shortened
    whole = len(part) == int(problem.required.sum())
    return Conflict(tuple(sorted(demands.clash(number) for number in chosen)), fewest is not None and whole)


def _part(problem: RestProblem) -> Ints:
    """The required wishes; of many, those of one unit or of one kind that clash among themselves, if there are such."""
    wishes: Ints = np.flatnonzero(problem.required)
    if len(wishes) <= MANY_REQUIRED:
        return wishes
    unit = problem.unit[problem.person[wishes]]
    for each in np.unique(unit):
        mine: Ints = wishes[unit == each]
        if not _Demands(requirements(only(problem, mine)), mine).possible_at_all:
            return mine
    for number, kind in enumerate(problem.kinds):
        mine = wishes[problem.kind[wishes] == number]
        if kind.places is not None and len(mine) > kind.places:
            return mine[: kind.places + 1]
    return wishes


class _Demands:
    """The rows of a programme as demands that can be made or dropped one by one."""

    def __init__(self, built: Programme, wishes: Ints) -> None:
        self._built = built
        self._wishes = wishes
        keys = [
            (part.demand, int(s), int(w)) for part in built.rows for s, w in zip(part.subject, part.week, strict=True)
        ]
        self._clashes = sorted(set(keys), key=_least_telling_first)
        number = {key: position for position, key in enumerate(self._clashes)}
        self._of_row = np.array([number[key] for key in keys], dtype=np.int64)
        self._whole = np.ones(built.columns, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._clashes)

    @property
    def possible_at_all(self) -> bool:
        """Whether all demands can be met together."""
        return self.possible(np.ones(len(self), dtype=bool))

    def clash(self, number: int) -> Clash:
        """The demand of a number; a wish by its position in the whole problem."""
        demand, subject, week = self._clashes[number]
        return Clash(demand, int(self._wishes[subject]) if demand in OF_WISHES else subject, week)

    def possible(self, made: Flags) -> bool:
        """Whether the demands that are made can be met together."""
        return self.met_by(made) is not None

    def met_by(self, made: Flags) -> Flags | None:
        """Every demand that a plan for the demands made meets as well; None where there is no such plan."""
        built, rows = self._built, made[self._of_row]
        if not built.columns:
            broken = built.low > 0
            return None if (broken & rows).any() else self._kept(~broken)
        matrix, low, high = built.matrix[rows], built.low[rows], built.high[rows]
        if not rows.any():
            return self._kept(self._holds(np.zeros(built.columns)))
        found = scipy.optimize.milp(
            np.zeros(built.columns), integrality=self._whole, bounds=scipy.optimize.Bounds(0, built.most),
            constraints=[scipy.optimize.LinearConstraint(matrix, low, high)],
        )  # fmt: skip
        if found.x is None:
            return None
        return self._kept(self._holds(np.asarray(found.x, dtype=np.float64).round()))

    def _holds(self, x: Floats) -> Flags:
        total = self._built.matrix @ x
        return np.asarray((total >= self._built.low - 1e-6) & (total <= self._built.high + 1e-6))

    def _kept(self, rows: Flags) -> Flags:
        kept = np.ones(len(self), dtype=bool)
        np.logical_and.at(kept, self._of_row, rows)
        return kept


def _least_telling_first(key: tuple[Demand, int, int]) -> tuple[int, int, int]:
    """Demands in the order in which they are dropped: what a person can change most easily is kept longest."""
    order: Sequence[Demand] = ("apart", "one", "once", "absent", "unit_night", "post_night", "post", "unit", "blackout",
                               "right", "total", "places", "pin", "fair")  # fmt: skip
    return order.index(key[0]), key[1], key[2]


def _shortened(demands: _Demands) -> list[int]:
    """A set that can't be met and of which no demand can be dropped; blocks are tried first, halved where needed."""
    made = np.ones(len(demands), dtype=bool)
    blocks: list[Ints] = [block for block in np.array_split(np.arange(len(demands)), 16) if len(block)]
    while blocks:
        block = blocks.pop(0)
        trial = made.copy()
        trial[block] = False
        if not demands.possible(trial):
            made = trial
        elif len(block) > 1:
            half = len(block) // 2
            blocks = [block[:half], block[half:], *blocks]
    return [int(number) for number in np.flatnonzero(made)]


def _fewest(demands: _Demands, at_most: int) -> list[int] | None:
    """A set of the fewest demands that can't be met; None where the rounds end before it is certain."""
    corrections: list[Flags] = []
    for _ in range(ROUNDS):
        hit = _hitting(corrections, len(demands))
        met = demands.met_by(hit)
        if met is None:
            return [int(number) for number in np.flatnonzero(hit)]
        if hit.sum() >= at_most:
            return None
        corrections.append(~_grown(demands, met))
    return None


def _grown(demands: _Demands, met: Flags) -> Flags:
    """As many demands as can be added to those met, one block after the other."""
    for block in np.array_split(np.flatnonzero(~met), max(1, min(8, int((~met).sum())))):
        trial = met.copy()
        trial[block] = True
        found = demands.met_by(trial) if len(block) else None
        if found is not None:
            met = found
    return met


def _hitting(sets: Iterable[Flags], size: int) -> Flags:
    """The fewest numbers that lie in each set."""
    rows = np.array(list(sets), dtype=np.float64)
    if not len(rows):
        return np.zeros(size, dtype=bool)
    tie = 1.0 + np.arange(size) / (100.0 * size)  # among equals the first: the same set every time
    found = scipy.optimize.milp(
        tie,
        integrality=np.ones(size, dtype=np.int64),
        bounds=scipy.optimize.Bounds(0, 1),
        constraints=[scipy.optimize.LinearConstraint(rows, 1, np.inf)],
    )
    return np.asarray(np.asarray(found.x) > 0.5)
