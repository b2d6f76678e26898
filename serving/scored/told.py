"""How a score and its reasons are told: which reasons pass the gate, what a point is, whose mean stands beside it."""

import math
from typing import Any

from serving.tables import Batch


def gated(reason: dict[str, Any]) -> bool:
    """Return whether a stored reason passes the reason gate; lists older than the gate show all."""
    return bool(reason.get("stable", True))


def average_start(base_value: float) -> float:
    """Return the probability from which everybody's points start: that of a list's base value, in log-odds."""
    return 1 / (1 + math.exp(-base_value))


def points_per_unit(base_value: float, probability: float) -> float:
    """Return by how much probability each log-odds of a contribution stands for, so that all add up.

    The way from the average (base value) to the person is shared in proportion to the contributions.
    """
    bounded = min(max(probability, 1e-12), 1 - 1e-12)
    margin, start = math.log(bounded / (1 - bounded)), average_start(base_value)
    if abs(margin - base_value) < 1e-9:
        return bounded * (1 - bounded)
    return (probability - start) / (margin - base_value)


def whose(batch: Batch, post: str | None) -> str:
    """Return whose mean a list knows beside a score: the post's, or of all where it is hidden or has too few people."""
    return "whose_post" if post and post in batch.post_means else "whose_all"
