"""HiGHS asked for the best columns of a programme, within bounds of nodes and time."""

from dataclasses import dataclass

import scipy
from scipy import sparse

from serving.rest.solver.problem import Floats, Ints

NO_SOLUTION = 2
"""HiGHS's status, as SciPy gives it, where nothing meets all demands."""


@dataclass(frozen=True)
class Limits:
    """When the search ends: a number of nodes (the same plan on every machine), and seconds in case of need."""

    nodes: int = 2_000
    seconds: float = 300.0
    gap: float = 1e-5


class OutOfTime(Exception):
    """No plan at all was found within the limits."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(f"no plan within {limits.nodes} nodes and {limits.seconds} s")


@dataclass(frozen=True)
class Searched:
    """The columns chosen, what no choice can exceed in value, and how far (relative) this one may lie below it."""

    x: Floats
    bound: float
    gap: float
    optimal: bool


def searched(
    cost: Floats, matrix: sparse.csr_array, bounds: tuple[Floats, Floats], most: Floats, whole: Ints, *, limits: Limits
) -> Searched | None:
    """Return HiGHS's answer; None where there is none. One thread, no random start: the same every time.

    ``bounds`` are the least and the most of each row, ``most`` of each column, ``whole`` marks the columns of whole
    numbers. Raises OutOfTime.
    """
    found = scipy.optimize.milp(
        cost,
        integrality=whole,
        bounds=scipy.optimize.Bounds(0, most),
        constraints=[scipy.optimize.LinearConstraint(matrix, *bounds)] if matrix.shape[0] else [],
        options={"node_limit": limits.nodes, "time_limit": limits.seconds, "mip_rel_gap": limits.gap},
    )
    if found.status == NO_SOLUTION:
        return None
    if found.x is None:
        raise OutOfTime(limits)
    bound = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
    return Searched(found.x, float(-bound), float(found.mip_gap or 0.0), found.status == 0)
