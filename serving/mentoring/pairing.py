"""The best pairs: of all largest matchings the one of the highest total fit, solved exactly, and what a place is worth.

OR-tools solves the best candidates of everyone as a minimum-cost flow; its prices are then held against every pair
that was left out, and those that could still gain are added. Where none is left, nothing better exists (LP duality).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.errors import Refusal
from features.late import Late

min_cost_flow = Late("ortools.graph.python.min_cost_flow")

SCALE = 1_000_000
"""Fit is counted in millionths: the solver works with whole numbers."""
PER_MENTEE, PER_MENTOR = 12, 40
"""So many of the best candidates of everyone are looked at first."""
BLOCK = 256
"""Mentors whose whole rows are looked at together."""

Fits = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairing:
    """The best matching of mentees to mentors with so many places.

    ``mentor_of`` has for each mentee the row of the mentor, -1 for none; ``total`` is their fit. ``one_more``
    and ``gained`` say for each mentor by how many pairs, and by how much fit, the best matching would grow with one
    more place there: exactly. ``lowest`` and ``highest`` are the two ends of the prices at which nobody would change:
    what one more place is worth, and what one place less would cost.
    """

    mentor_of: Longs
    total: float
    one_more: Longs
    gained: npt.NDArray[np.float64]
    lowest: "Prices"
    highest: "Prices"
    bonus: int
    rounds: int

    def loss(self, mentor: Longs, mentee: Longs, fit: Fits) -> tuple[Longs, npt.NDArray[np.float64]]:
        """Return by how many pairs and how much fit the best matching shrinks where these pairs are forced.

        Exact for a mentee who is without; for others it shrinks by that at least.
        """
        value = _whole(fit) + self.bonus
        lost = np.maximum(*(each.mentor[mentor] + each.mentee[mentee] - value for each in (self.lowest, self.highest)))
        pairs = np.rint(lost / self.bonus).astype(np.int64)
        return pairs, (lost - pairs * self.bonus) / SCALE


@dataclass(frozen=True)
class Prices:
    """What a place at each mentor is worth, and what each mentee is, in millionths of fit: a solution of the dual."""

    mentor: Longs
    mentee: Longs


@dataclass(frozen=True)
class _Edges:
    """Candidate pairs, by mentor: rows of mentors and mentees, and what each pair is worth (bonus and fit)."""

    mentor: Longs
    mentee: Longs
    value: Longs


def best_pairs(fit: Fits, places: Longs) -> Pairing:
    """Return the pairing of mentees [column] to mentors [row] of the highest total fit among the largest possible.

    ``fit`` is between 0 and 1, NaN where a pair may not be; ``places`` how many mentees each mentor may have.
    """
    if fit.size and (np.nanmin(fit, initial=0.0) < 0 or np.nanmax(fit, initial=0.0) > 1):
        raise Refusal("A fit lies between 0 and 1.")
    mentors, mentees = fit.shape
    bonus = 2 * SCALE * (min(mentees, int(places.sum()) + 1) + 1)  # one pair more outweighs any fit
    chosen, rounds = _best(fit), 0
    while True:
        rounds += 1
        edges = _edges(fit, chosen, bonus)
        mentor_of = _solved(edges, places, mentees)
        lowest = _lowest(edges, mentor_of, mentors)
        gains = _gains(fit, lowest, bonus=bonus)
        missed = ~np.isnan(gains)
        if not missed.any():
            break
        chosen |= missed if missed.sum() <= chosen.sum() else _best(gains)
    paired = np.flatnonzero(mentor_of >= 0)
    total = float(fit[mentor_of[paired], paired].astype(np.float64).sum())
    pairs = np.rint(lowest.mentor / bonus).astype(np.int64)
    gained = (lowest.mentor - pairs * bonus) / SCALE
    highest = _highest(fit, mentor_of, places, bonus=bonus)
    return Pairing(mentor_of, total, pairs, gained, lowest, highest, bonus, rounds)


def _whole(fit: Fits) -> Longs:
    return np.rint(np.asarray(fit, dtype=np.float64) * SCALE).astype(np.int64)


def _best(value: Fits) -> Mask:
    """The best few of each mentee and of each mentor, of the pairs that have a value."""
    able = ~np.isnan(value)
    ranked = np.where(able, value, -1.0).astype(np.float32)
    return able & (_largest(ranked, PER_MENTOR) | _largest(np.ascontiguousarray(ranked.T), PER_MENTEE).T)


def _largest(rows: Fits, most: int) -> Mask:
    """Of each row the largest few."""
    if rows.shape[1] <= most:
        return np.ones(rows.shape, dtype=bool)
    chosen = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(chosen, np.argpartition(rows, -most, axis=1)[:, -most:], True, axis=1)
    return chosen


def _edges(fit: Fits, chosen: Mask, bonus: int) -> _Edges:
    mentor, mentee = (place.astype(np.int64) for place in np.nonzero(chosen))
    return _Edges(mentor, mentee, _whole(fit[mentor, mentee]) + bonus)


def _solved(edges: _Edges, places: Longs, mentees: int) -> Longs:
    """One unit flows from the source through each mentee to a mentor, or past all of them to the sink."""
    source, sink, mentors = mentees + len(places), mentees + len(places) + 1, len(places)
    solver = min_cost_flow.SimpleMinCostFlow()
    everyone, everybody = np.arange(mentees), np.arange(mentors)
    size = len(edges.mentor)
    arcs = solver.add_arcs_with_capacity_and_unit_cost(
        np.concatenate([np.full(mentees, source), edges.mentee, mentees + everybody, [source]]),
        np.concatenate([everyone, mentees + edges.mentor, np.full(mentors, sink), [sink]]),
        np.concatenate([np.ones(mentees, dtype=np.int64), np.ones(size, dtype=np.int64), places, [mentees]]),
        np.concatenate([np.zeros(mentees, dtype=np.int64), -edges.value, np.zeros(mentors + 1, dtype=np.int64)]),
    )
    solver.set_nodes_supplies(np.array([source, sink]), np.array([mentees, -mentees]))
    status = solver.solve()
    if status != solver.OPTIMAL:
        raise RuntimeError(f"the flow of mentees to mentors was not solved: {status}")
    taken = np.flatnonzero(solver.flows(arcs[mentees : mentees + size]))
    mentor_of = np.full(mentees, -1, dtype=np.int64)
    mentor_of[edges.mentee[taken]] = edges.mentor[taken]
    return mentor_of


def _lowest(edges: _Edges, mentor_of: Longs, mentors: int) -> Prices:
    """What one more place at each mentor is worth.

    It is the best that a mentee gains by moving there; who moves frees a place, which is worth its own price.
    Starting from nothing this grows to its end in as many rounds as the longest chain of moves.
    """
    present = np.zeros(len(mentor_of), dtype=np.int64)
    mine = mentor_of[edges.mentee] == edges.mentor
    present[edges.mentee[mine]] = edges.value[mine]
    price = np.zeros(mentors, dtype=np.int64)
    starts = np.flatnonzero(np.diff(edges.mentor, prepend=-1))
    while True:
        worth = np.where(mentor_of >= 0, present - price[mentor_of], 0)
        better = price.copy()
        if len(starts):
            gains = np.maximum.reduceat(edges.value - worth[edges.mentee], starts)
            np.maximum.at(better, edges.mentor[starts], gains)
        if (better == price).all():
            return Prices(price, worth)
        price = better


def _highest(fit: Fits, mentor_of: Longs, places: Longs, *, bonus: int) -> Prices:
    """What one place less at each mentor would cost: the least that one of the mentees loses who has to go elsewhere.

    A free place costs nothing. Starting from going nowhere this falls to its end.
    """
    paired = np.flatnonzero(mentor_of >= 0)
    mentor, fits = mentor_of[paired], fit[:, paired]
    value = np.where(np.isnan(fits), 0, _whole(np.nan_to_num(fits)) + bonus)
    present = value[mentor, np.arange(len(paired))]
    full = (np.bincount(mentor, minlength=len(places)) >= places) & (places > 0)
    never = np.iinfo(np.int64).max // 4
    nowhere = np.where(full | (places == 0), never, 0)  # where there is no place nobody is, and nobody can go
    price, elsewhere = nowhere.copy(), np.zeros(len(paired), dtype=np.int64)
    changed = np.flatnonzero(price == 0)
    while True:
        best = (value[changed] - price[changed, None]).max(axis=0, initial=0)
        elsewhere = np.maximum(elsewhere, best)  # prices only fall
        lower = nowhere.copy()
        np.minimum.at(lower, mentor[full[mentor]], (present - elsewhere)[full[mentor]])
        changed = np.flatnonzero(lower != price)
        price = lower
        if not len(changed):
            worth = np.zeros(len(mentor_of), dtype=np.int64)
            worth[paired] = present - price[mentor]
            return Prices(price, worth)


def _gains(fit: Fits, prices: Prices, *, bonus: int) -> Fits:
    """What each pair would still gain at these prices, NaN where nothing: the pairs that the solver has to see."""
    gains = np.full(fit.shape, np.nan, dtype=np.float32)
    for start in range(0, len(fit), BLOCK):
        rows = slice(start, start + BLOCK)
        able = ~np.isnan(fit[rows])
        value = _whole(np.where(able, fit[rows], 0.0)) + bonus
        gain = value - prices.mentor[rows, None] - prices.mentee[None, :]
        gains[rows] = np.where(able & (gain > 0), gain, np.nan)
    return gains
