"""The gate: what a new version must show before it becomes champion. Pure; the registry acts on it."""

from collections.abc import Mapping
from typing import Any

MODEL, RULE = "lightgbm", "rule"
"""The two contenders that the gate compares; reports and rivals use the same names."""
METRIC = "average_precision"


def objections(card: Mapping[str, Any], champion: Mapping[str, Any] | None) -> list[str]:
    """Return why a version may not become champion; nothing when it may.

    Its mean average precision over the folds must be above the rule's, and not below the present champion's by
    more than the champion's interval allows. Both arguments are the cards stored with the models.
    """
    mine, rule = _figure(card, MODEL), _figure(card, RULE)
    found = []
    if mine[0] <= rule[0]:
        found.append(f"its average precision over the folds, {mine[0]:.3f}, is not above the rule's {rule[0]:.3f}")
    if champion is not None:
        best = _figure(champion, MODEL)
        if mine[0] < best[1]:
            found.append(
                f"its average precision {mine[0]:.3f} is below the present champion's {best[0]:.3f} by more than that "
                f"one's interval ({best[1]:.3f} to {best[2]:.3f})"
            )
    return found


def _figure(card: Mapping[str, Any], contender: str) -> tuple[float, float, float]:
    value, low, high = (float("nan") if part is None else float(part) for part in card["figures"][contender][METRIC])
    return value, low, high
