"""How well each mentor fits each mentee: parts between 0 and 1, their weighted mean, and the pairs that may never be.

Arrays only: who the people are and what is known of them stands in candidates.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.help_rules import MentoringRules

PARTS = ("strengths", "same_post", "near", "tenure_gap", "shared_shifts")
"""The parts of the fit; the weights of profile.yaml have the same names."""
LONGEST = 600
"""Differences in service beyond so many months count the same."""
FULL_STRENGTH = 2.0
"""So many standard deviations above the post are a full strength."""
BLOCK = 256
CHAIN = 12
"""The chain of command is followed so many steps up."""

Fits = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """Mentors or mentees, one entry each; ``post`` and ``unit`` are codes that both sides share.

    ``skills`` is [person, indicator]: of a mentor how strong, 0 to 1; of a mentee which share of the need lies there
    (each row sums to 1 or is 0). ``shifts`` is [person, day and kind]: 1 where the person was on that shift.
    """

    officer_id: npt.NDArray[np.str_]
    post: Longs
    unit: Longs
    tenure: Longs
    skills: Fits
    shifts: Fits

    def __len__(self) -> int:
        return len(self.officer_id)


@dataclass(frozen=True)
class Barred:
    """Pairs that may not be, and why: rows of mentors and mentees; ``command`` or ``conflict``."""

    mentor: Longs
    mentee: Longs
    why: npt.NDArray[np.str_]


Product = Callable[[Fits, Fits], Fits]


def fits(rules: MentoringRules, mentors: Side, mentees: Side, *, near: Fits, barred: Barred) -> Fits:
    """Return the fit of each pair [mentor, mentee], 0 to 1: NaN where it may not be, or is below the profile's least.

    ``near`` is [unit, unit], 1 for the same unit.
    """
    found = np.empty((len(mentors), len(mentees)), dtype=np.float32)
    columns = np.arange(len(mentees))[None, :]
    for start in range(0, len(mentors), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(mentors)))
        parts = _parts(rules, mentors, mentees, near=near, at=(rows[:, None], columns), product=_grid(rows))
        found[rows] = _mean(rules, parts)
    found[found < rules.least_fit] = np.nan
    found[barred.mentor, barred.mentee] = np.nan
    return found


def parts_of(
    rules: MentoringRules, mentors: Side, mentees: Side, *, near: Fits, pairs: tuple[Longs, Longs]
) -> tuple[dict[str, Fits], Fits]:
    """Return each part of the fit of some pairs (rows of mentors, of mentees), and their fits, whatever bars them."""
    rows, columns = pairs

    def product(mine: Fits, theirs: Fits) -> Fits:
        return np.asarray(np.einsum("ij,ij->i", mine[rows], theirs[columns]), dtype=np.float32)

    parts = _parts(rules, mentors, mentees, near=near, at=(rows, columns), product=product)
    return parts, _mean(rules, parts)


def nearness(rules: MentoringRules, units: Sequence[str]) -> Fits:
    """Return how near units are [unit, unit]: 1 for the same, halved every ``near_km``, 0 where a place is unknown."""
    unknown = (np.nan, np.nan)
    place = np.array([rules.places.get(unit, unknown) for unit in units], dtype=np.float64).reshape(len(units), 2)
    apart = np.hypot(*(place[:, None, :] - place[None, :, :]).transpose(2, 0, 1))
    near = np.nan_to_num(0.5 ** (apart / rules.near_km), nan=0.0)
    np.fill_diagonal(near, 1.0)
    return np.asarray(near, dtype=np.float32)


def in_command(superior: Longs, mentors: Longs, mentees: Longs) -> tuple[Longs, Longs]:
    """Return the pairs one of whom stands above the other, at any distance.

    ``superior`` has for each person of the roster the position of the superior, -1 for none; ``mentors`` and
    ``mentees`` are positions there.
    """
    above = _above(superior, mentees, mentors)
    below = _above(superior, mentors, mentees)
    pairs = np.unique(np.concatenate([above, below[:, ::-1]]), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _above(superior: Longs, people: Longs, chiefs: Longs) -> Longs:
    """Pairs [row of chiefs, row of people] where the chief stands above the person."""
    row = np.full(len(superior) + 1, -1, dtype=np.int64)  # the last entry takes the position -1: nobody
    row[chiefs] = np.arange(len(chiefs))
    row[-1] = -1
    found, now = [np.zeros((0, 2), dtype=np.int64)], people
    for _ in range(CHAIN):
        now = np.where(now >= 0, superior[now], -1)
        there = np.flatnonzero(row[now] >= 0)
        found.append(np.stack([row[now[there]], there], axis=1))
    return np.concatenate(found)


def _grid(rows: Longs) -> Product:
    return lambda mine, theirs: mine[rows] @ theirs.T


def _parts(
    rules: MentoringRules,
    mentors: Side,
    mentees: Side,
    *,
    near: Fits,
    at: tuple[Longs, Longs],
    product: Product,
) -> dict[str, Fits]:
    """The parts of the fit at some pairs; ``product`` sums over indicators or shifts for the same pairs."""
    i, j = at
    together = product(mentors.shifts, mentees.shifts)
    either = mentors.shifts.sum(axis=1)[i] + mentees.shifts.sum(axis=1)[j] - together
    gap = np.clip(mentors.tenure[i] - mentees.tenure[j], -LONGEST, LONGEST)
    return {
        "strengths": product(mentors.skills, mentees.skills),
        "same_post": (mentors.post[i] == mentees.post[j]).astype(np.float32),
        "near": near[mentors.unit[i], mentees.unit[j]],
        "tenure_gap": _gap_fits(rules)[gap + LONGEST],
        "shared_shifts": np.where(either > 0, together / np.where(either > 0, either, 1), 1).astype(np.float32),
    }


def _gap_fits(rules: MentoringRules) -> Fits:
    """For each difference in service from -LONGEST on: 1 inside the profile's range, falling outside."""
    least, most = rules.tenure_gap_months
    gaps = np.arange(-LONGEST, LONGEST + 1)
    return np.interp(gaps, [0, max(least, 1), max(most, 1), max(2 * most, 2)], [0, 1, 1, 0.5]).astype(np.float32)


def _mean(rules: MentoringRules, parts: dict[str, Fits]) -> Fits:
    weights = {name: float(getattr(rules.weights, name)) for name in PARTS}
    total = sum(weights.values())
    mean = sum((parts[name] * np.float32(weights[name] / total) for name in PARTS), start=np.float32(0))
    return np.clip(np.asarray(mean, dtype=np.float32), 0, 1)
