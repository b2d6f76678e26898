"""Part "mentoring" of the acceptance: 10,000 mentees and 3,000 mentors matched exactly, against stable matching."""

import time
from collections.abc import Iterator

import numpy as np

from features.help_rules import MentoringRules
from serving.mentoring.fit import Barred, Fits, Longs, Side, fits
from serving.mentoring.pairing import best_pairs

MENTEES, MENTORS, SKILLS, UNITS, POSTS, DAYS = 10_000, 3_000, 30, 300, 7, 184
SECONDS = 10.0


def mentored() -> Iterator[tuple[str, str, str, bool]]:
    """Seconds for fit and exact matching at load 1 and 2, and the total fit beside that of a stable matching."""
    rules, rng = MentoringRules(), np.random.default_rng(1)
    mentors, mentees = side(rng, MENTORS, mentor=True), side(rng, MENTEES, mentor=False)
    barred = Barred(rng.integers(0, MENTORS, 9_000), rng.integers(0, MENTEES, 9_000), np.full(9_000, "command"))
    start, work = time.perf_counter(), time.process_time()
    fit = fits(rules, mentors, mentees, near=np.eye(UNITS, dtype=np.float32), barred=barred)
    computed, worked = time.perf_counter() - start, time.process_time() - work
    for load in (1, 2):
        places, start, work = np.full(MENTORS, load), time.perf_counter(), time.process_time()
        found = best_pairs(fit, places)
        wall, cpu = time.perf_counter() - start + computed, time.process_time() - work + worked
        pairs = int((found.mentor_of >= 0).sum())
        stable = stable_pairs(fit, places)
        size = f"{MENTEES:,} mentees, {MENTORS:,} mentors, {int((~np.isnan(fit)).sum()):,} pairs, load {load}"
        yield f"matching: {size}", f"{wall:.1f} s ({cpu:.1f} s of CPU)", f"under {SECONDS:g} s", wall < SECONDS
        yield (
            f"matching, load {load}: pairs and total fit against stable matching",
            f"{pairs:,}, {found.total:,.1f} against {len(stable):,}, {sum(stable):,.1f}",
            "at least",
            pairs >= len(stable) and found.total >= sum(stable) - 1e-3,
        )


def side(rng: np.random.Generator, size: int, *, mentor: bool) -> Side:
    """Return people of seven posts and 300 units; mentors strong here and there, mentees with a few needs."""
    post = rng.integers(0, POSTS, size)
    skills = (
        np.clip(rng.normal(0.2, 0.4, (size, SKILLS)), 0, 1) if mentor else rng.dirichlet(np.full(SKILLS, 0.1), size)
    )
    return Side(
        officer_id=np.array([f"{'S' if mentor else 'M'}{number}" for number in range(size)]),
        post=post,
        unit=post + POSTS * rng.integers(0, UNITS // POSTS, size),
        tenure=rng.integers(24 if mentor else 6, 360, size),
        skills=skills.astype(np.float32),
        shifts=(rng.random((size, DAYS)) < 0.15).astype(np.float32),
    )


def stable_pairs(fit: Fits, places: Longs) -> list[float]:
    """Return the fits of the stable matching: with one fit for both sides it takes the best pair each time."""
    order = np.argsort(-np.nan_to_num(fit, nan=-1.0), axis=None, kind="stable")
    left, waiting, chosen = places.copy(), np.ones(fit.shape[1], dtype=bool), []
    for mentor, mentee in zip(*np.unravel_index(order, fit.shape), strict=True):
        value = float(fit[mentor, mentee])
        if np.isnan(value) or not left.any():
            break
        if left[mentor] and waiting[mentee]:
            left[mentor] -= 1
            waiting[mentee] = False
            chosen.append(value)
    return chosen
