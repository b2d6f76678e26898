"""Temporal folds: an expanding training window, an embargo, later test months. Nothing here sees a value."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from features.errors import Refusal
from features.months import month_text

FOLDS = 3
TEST_AS_OFS = 3
"""So many as-ofs, spread over a fold's test months, are scored; more would mostly repeat the same outcomes."""


@dataclass(frozen=True)
class Fold:
    """Training as-ofs, then at least horizon + maturity months of embargo, then test as-ofs.

    A fold checks itself when it is built: on the first test day every training label must have been known.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    horizon: int
    maturity: int = 0

    def __post_init__(self) -> None:
        if not self.train or not self.test:
            raise ValueError("A fold needs training and test months.")
        if max(self.train) + self.horizon + self.maturity > min(self.test):
            raise ValueError(
                f"A fold without embargo: training to {month_text(max(self.train))} with labels of "
                f"{self.horizon} + {self.maturity} months, tested from {month_text(min(self.test))}."
            )


@dataclass(frozen=True)
class LaterSplit:
    """Months to fit on and later months to stop and calibrate on, inside a training part.

    ``apart`` is True when the months between them hold a whole horizon. Where the histories are too
    short for that, fit and later months must use different officers, so that no outcome is on both sides.
    """

    fit: tuple[int, ...]
    later: tuple[int, ...]
    apart: bool

    def __post_init__(self) -> None:
        if not self.fit or not self.later or max(self.fit) >= min(self.later):
            raise ValueError("The later months must come after the fitted ones.")


def temporal_folds(as_ofs: Sequence[int], *, horizon: int, maturity: int = 0) -> list[Fold]:
    """Return two or three folds over labelled as-ofs (ascending), the newest months last.

    Test months are at most the later half of the as-ofs. Raises a Refusal that says how many months are
    there and how many are needed when not even two folds fit.
    """
    embargo = horizon + maturity
    testable = [month for month in as_ofs if len(as_ofs) > 1 and month - embargo >= as_ofs[1]]
    testable = testable[-max(2, (len(as_ofs) + 1) // 2) :]
    if len(testable) < 2:
        raise Refusal(_too_short(as_ofs, horizon=horizon, maturity=maturity))
    count = min(FOLDS, len(testable))
    edges = [round(number * len(testable) / count) for number in range(count + 1)]
    blocks = [testable[first:last] for first, last in itertools.pairwise(edges)]
    return [
        Fold(
            tuple(month for month in as_ofs if month + embargo <= block[0]),
            spread(block, TEST_AS_OFS),
            horizon,
            maturity,
        )
        for block in blocks
    ]


def spread(months: Sequence[int], count: int) -> tuple[int, ...]:
    """Return at most ``count`` of the months, evenly spread, the last always among them."""
    if len(months) <= count:
        return tuple(months)
    step = len(months) / count
    return tuple(months[len(months) - 1 - int(number * step)] for number in reversed(range(count)))


def later_split(as_ofs: Sequence[int], *, horizon: int) -> LaterSplit:
    """Split training as-ofs into those to fit on and the last quarter, with a horizon between where there is room."""
    count = max(1, len(as_ofs) // 4)
    later = tuple(as_ofs[-count:])
    before = tuple(as_ofs[:-count])
    embargoed = tuple(month for month in before if month + horizon <= later[0])
    if 2 * len(embargoed) >= len(before) > 0 and embargoed:
        return LaterSplit(embargoed, later, apart=True)
    return LaterSplit(before, later, apart=False)


def _too_short(as_ofs: Sequence[int], *, horizon: int, maturity: int) -> str:
    label = horizon + maturity
    needed = 2 * label + 3
    there = 0 if not as_ofs else as_ofs[-1] - as_ofs[0] + 1 + label
    return (
        f"Too little history for two temporal folds: {there} months with a cohort are there, at least {needed} are "
        f"needed: two as-ofs to learn from, {label} months for their labels, two to test on, {label} for theirs."
    )
