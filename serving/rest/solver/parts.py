"""A large programme solved unit by unit: places, the only thing that ties units together, get a price.

Lagrangian decomposition (Fisher 1981, Management Science 27): prices are those of the linear relaxation; at any prices
the units' best values and the price of all places bound every plan, so the gap that is told is a true one.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy import sparse

from serving.rest.solver.problem import Flags, Floats, Ints
from serving.rest.solver.programme import Programme
from serving.rest.solver.search import Limits, Searched, searched

TIED = ("places", "total")
"""The demands that tie units together."""


def by_units(built: Programme, limits: Limits) -> Searched | None:
    """Return a plan made unit by unit, and how far it may be from the best of all; None where there is none.

    First each unit at the prices of places, then what is over is given up, least value first, and what is left goes to
    the units that lost most. Raises OutOfTime.
    """
    ends = time.monotonic() + limits.seconds
    tied = np.concatenate([np.full(len(part.low), part.demand in TIED) for part in built.rows])
    prices = _prices(built, tied)
    if prices is None:
        return None
    work = _Units.of(built, tied, prices, limits, ends)
    x, bound = np.zeros(built.columns), float(prices @ work.places)
    for unit in range(len(work)):
        columns, found = work.solved(unit, work.priced, None)
        if found is None:
            return None
        x[columns] = found.x
        bound += found.bound
    if not _given_up(built, work, x):
        return None
    _filled(built, work, x)
    value = float(-built.cost @ x)
    gap = max(0.0, bound - value) / max(abs(value), 1.0)
    return Searched(x, max(bound, value), gap, gap <= limits.gap)


def prices_of(cost: Floats, built: Programme) -> Floats | None:
    """Return what one more of each row's upper bound is worth in the linear relaxation; None where it has no solution.

    Of rows without an upper bound, and of equalities, 0.
    """
    same = np.isfinite(built.low) & (built.low == built.high)
    above, below = np.isfinite(built.high) & ~same, np.isfinite(built.low) & ~same
    matrix, bounds = built.matrix, np.stack([np.zeros(built.columns), built.most], axis=1)
    rows: dict[str, Any] = {  # sparse rows and bounds as one array, which SciPy takes beyond its stubs
        "A_ub": sparse.vstack([matrix[above], -matrix[below]]),
        "b_ub": np.concatenate([built.high[above], -built.low[below]]),
        "A_eq": matrix[same],
        "b_eq": built.high[same],
        "bounds": bounds,
    }
    found = scipy.optimize.linprog(cost, method="highs-ds", **rows)
    if found.x is None:
        return None
    worth = np.zeros(len(built.low))
    worth[above] = -found.ineqlin.marginals[: int(above.sum())]
    return worth


def _prices(built: Programme, tied: Flags) -> Floats | None:
    worth = prices_of(built.cost, built)
    return None if worth is None else np.maximum(worth[tied], 0.0)


@dataclass(frozen=True)
class _Units:
    """The programme in blocks, one a unit: rows and columns of a unit follow one another in ``matrix``."""

    matrix: sparse.csr_array
    rows: Ints
    columns: Ints
    row_ends: Ints
    column_ends: Ints
    tied: sparse.csc_array
    """The rows of places over all columns, in the order of ``columns``."""
    places: Floats
    cost: Floats
    priced: Floats
    price: Floats
    """By column: what its places cost."""
    most: Floats
    bounds: tuple[Floats, Floats]
    whole: Ints
    limits: Limits
    ends: float

    def __len__(self) -> int:
        return len(self.column_ends) - 1

    @classmethod
    def of(cls, built: Programme, tied: Flags, prices: Floats, limits: Limits, ends: float) -> "_Units":
        """Order rows and columns by unit; a mark belongs to the unit whose wishes its rows name."""
        own = built.matrix[~tied]
        rows, columns = _unit_of(built, own)
        by_row, by_column = np.argsort(rows, kind="stable"), np.argsort(columns, kind="stable")
        count = built.problem.units
        shared = built.matrix[tied]
        price = shared.T @ prices
        whole = np.ones(built.columns, dtype=np.int64)
        whole[built.columns - built.lacking :] = 0
        return cls(
            matrix=own[by_row][:, by_column].tocsr(), rows=by_row, columns=by_column,
            row_ends=np.searchsorted(rows[by_row], np.arange(count + 1)),
            column_ends=np.searchsorted(columns[by_column], np.arange(count + 1)),
            tied=shared[:, by_column].tocsc(), places=built.high[tied], cost=built.cost[by_column],
            priced=(built.cost + price)[by_column], price=price[by_column], most=built.most[by_column],
            bounds=(built.low[~tied][by_row], built.high[~tied][by_row]), whole=whole[by_column],
            limits=limits, ends=ends,
        )  # fmt: skip

    def at(self, unit: int) -> slice:
        """Return where the unit's columns stand."""
        return slice(int(self.column_ends[unit]), int(self.column_ends[unit + 1]))

    def solved(self, unit: int, cost: Floats, places: Floats | None) -> tuple[Ints, Searched | None]:
        """Return the unit's columns and its best choice, within so many places where they are given."""
        at, rows = self.at(unit), slice(int(self.row_ends[unit]), int(self.row_ends[unit + 1]))
        low, high, matrix = self.bounds[0][rows], self.bounds[1][rows], self.matrix[rows, at]
        if places is not None:
            matrix = sparse.vstack([matrix, self.tied[:, at]], format="csr")
            low, high = np.append(low, np.full(len(places), -np.inf)), np.append(high, places)
        if at.start == at.stop:
            return self.columns[at], Searched(np.zeros(0), 0.0, 0.0, True)
        left = Limits(self.limits.nodes, max(1.0, self.ends - time.monotonic()), self.limits.gap)
        found = searched(cost[at], matrix, (low, high), self.most[at], self.whole[at], limits=left)
        return self.columns[at], found


def _unit_of(built: Programme, own: sparse.csr_array) -> tuple[Ints, Ints]:
    """The unit of each row and of each column: what is tied by rows is of one unit."""
    problem, count = built.problem, own.shape[0]
    entries = own.tocoo()
    size = count + built.columns
    graph = sparse.coo_array((np.ones(entries.nnz), (entries.row, count + entries.col)), shape=(size, size))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    unit = np.zeros(int(label.max(initial=0)) + 1, dtype=np.int64)
    unit[label[count : count + len(built.wish)]] = problem.unit[problem.person[built.wish]]
    return unit[label[:count]], unit[label[count:]]


def _given_up(built: Programme, work: _Units, x: Floats) -> bool:
    """Take back, least value first, what is granted beyond the places; False where what is required is beyond them."""
    tied, wishes = work.tied[:, np.argsort(work.columns)].tocsr(), len(built.wish)
    required = built.problem.required[built.wish]
    for row, places in enumerate(work.places):
        of = tied.indices[tied.indptr[row] : tied.indptr[row + 1]]
        granted = of[x[of] > 0.5]
        over = len(granted) - int(places)
        free = granted[~required[granted]]
        if over > len(free):
            return False
        x[free[np.argsort(-built.cost[free], kind="stable")][: max(0, over)]] = 0.0
    if built.lacking:
        fair = next(part for part in built.rows if part.demand == "fair")
        mine = fair.column < wishes
        held = np.bincount(fair.row[mine], weights=x[fair.column[mine]], minlength=built.lacking)
        x[built.columns - built.lacking :] = np.maximum(0.0, fair.low - held)
    return True


def _filled(built: Programme, work: _Units, x: Floats) -> None:
    """Give the places that are left to units, those first where the most valuable wish goes without."""
    mine = x[work.columns]
    left = work.places - work.tied @ mine
    for unit in _waiting(built, work, mine):
        at = work.at(unit)
        if not _open(work, at, mine, left).any():
            continue
        held = work.tied[:, at] @ mine[at]
        _, found = work.solved(unit, work.cost, np.floor(left + held + 0.5))
        if found is not None and work.cost[at] @ found.x < work.cost[at] @ mine[at] - 0.5:
            mine[at] = np.round(found.x)
            left = left + held - work.tied[:, at] @ mine[at]
    x[work.columns] = mine


def _open(work: _Units, at: slice, mine: Floats, left: Floats) -> Flags:
    """Columns not chosen, of places that had a price and are left."""
    used = work.tied[:, at]
    full = (used.T @ (left < 1).astype(float)) > 0
    return np.asarray((mine[at] < 0.5) & (work.price[at] > 0) & ~full & (work.cost[at] < 0))


def _waiting(built: Programme, work: _Units, mine: Floats) -> Iterator[int]:
    """Units by the value of the best wish that is not granted."""
    wishes = work.columns < len(built.wish)
    wish = built.wish[work.columns[wishes]]
    value = np.zeros(len(mine))
    value[wishes] = np.where(np.isin(wish, wish[mine[wishes] > 0.5]), 0.0, -work.cost[wishes])
    best = [float(value[work.at(unit)].max(initial=0.0)) for unit in range(len(work))]
    yield from (int(unit) for unit in np.argsort(-np.array(best), kind="stable") if best[unit] > 0)
