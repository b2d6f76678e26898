"""Rows of the programme that know what they demand, and of whom."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from serving.rest.solver.problem import Floats, Ints, RestProblem

Demand = Literal["right", "pin", "once", "apart", "one", "places", "total", "unit", "post", "unit_night", "post_night",
                 "blackout", "absent", "fair"]  # fmt: skip
"""What a row demands: a right or a pin is granted, a wish once, one thing at a time, one rest by benefit, places ..."""


@dataclass(frozen=True)
class Rows:
    """Rows of one demand: entries (row, column, factor), bounds, and whom each row is about."""

    demand: Demand
    row: Ints
    column: Ints
    factor: Floats
    low: Floats
    high: Floats
    subject: Ints
    """Of ``right``, ``pin``, ``once``, ``blackout``: the wish; ``apart``, ``one``, ``absent``: the person; ``places``:
    the kind; ``unit``, ``fair``: the unit; ``post``: the cell (post within unit)."""
    week: Ints
    """The week, or -1."""


def sums(demand: Demand, group: Ints, column: Ints, *, low: float, high: float, week: int = -1) -> Rows:
    """Return one row for each group: the sum of its columns between two bounds."""
    subject, row = np.unique(group, return_inverse=True)
    size = len(subject)
    bounds = np.full(size, low), np.full(size, high)
    return Rows(demand, row.astype(np.int64), column, np.ones(len(column)), *bounds, subject, np.full(size, week))


def covered(problem: RestProblem, wish: Ints, week: Ints) -> tuple[Ints, Ints]:
    """Return every week that columns take, and the column (as a position in ``wish``) that takes it."""
    length = problem.length[wish]
    of = np.repeat(np.arange(len(wish)), length)
    offset = np.arange(len(of)) - np.repeat(np.cumsum(length) - length, length)
    return week[of] + offset, of
