"""Reasons that raise a risk of decline because the level is good: a good level mostly falls back by chance alone.

Galton's regression to the mean; a sentence on the page says so, lest the reason read as a reproach.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from features.names import GROUPS
from serving.scored.told import gated

EFFICIENCY = "efficiency"


def falls_from_height(profile: Mapping[str, Any] | None, risk: str, strongest: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a firm reason pushes the risk of a decline up because the level is better than the post's.

    ``profile`` is the list's own; False for a risk that is no decline of an index.
    """
    outcome = ((profile or {}).get("risks", {}).get(risk) or {}).get("outcome", {})
    if profile is None or not outcome.get("index"):
        return False
    return any(_is_high(profile, reason) for reason in strongest if reason["contribution"] > 0 and gated(dict(reason)))


def _is_high(profile: Mapping[str, Any], reason: Mapping[str, Any]) -> bool:
    value, middle = reason.get("value"), reason.get("peers")
    better = _better(profile, reason["measure"])
    if value is None or middle is None or better is None:
        return False
    return bool(value > middle if better == "up" else value < middle)


def _better(profile: Mapping[str, Any], group: str) -> str | None:
    if group == EFFICIENCY and group in GROUPS:
        return "up"
    held = profile["measures"].get(group) or profile["settings"]["rates"].get(group) or {}
    found: str | None = held.get("better")
    return found
