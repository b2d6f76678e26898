"""Two ladders of equal rank: for steady strong performers, which one the record speaks for. Advice to HR only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable, Mask
from features.assessment.ground.indicators import Estimate
from features.assessment.ground.levels import INDEX, Months, PostLevels, bounds, informed, over
from features.histories.tables import Floats

COLUMNS = ("officer_id", "post", "unit", "ladder", "technical", "leading", "index", "months_above", "reason_zh",
           "reason_en", "equal_ranks")  # fmt: skip
ENOUGH_MONTHS = 9
SHARE_ABOVE = 0.75
YEAR = 12
SAID = 2
EITHER = "either"


def ladders(view: Assessable, levels: Sequence[PostLevels], months: Months) -> pd.DataFrame:
    """Return for each steady strong performer the ladder that the last twelve months speak for, with reasons.

    ``ladder`` is technical, leading, or either where neither is clearly ahead; ``technical`` and ``leading`` are the
    mean levels of the profile's measures for each, NaN where none was seen.
    """
    tables = [_post_ladders(view, each, months) for each in levels]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def steady(view: Assessable, months: Months) -> tuple[Mask, Floats, Floats]:
    """Return who has been strong throughout a year; with the year's mean and the months above the middle."""
    year = months.scores[INDEX][-YEAR:]
    number = (~np.isnan(year)).sum(axis=0)
    above = (np.nan_to_num(year, nan=-1.0) > 0).sum(axis=0)
    mean = np.nansum(year, axis=0) / np.where(number > 0, number, np.nan)
    strong = (number >= ENOUGH_MONTHS) & (mean >= view.rules.steady_level) & (above >= SHARE_ABOVE * number)
    return strong, mean, above.astype(np.float64)


def _post_ladders(view: Assessable, each: PostLevels, months: Months) -> pd.DataFrame:
    strong, mean, above = steady(view, months)
    members = each.seen.members
    chosen = np.flatnonzero(strong[members])
    parts = {side: _side(each, names) for side, names in _sides(view).items()}
    level = {side: informed(own, learned=each.learned, size=each.seen.size) for side, own in parts.items()}
    ladder = _ladder(view, level["technical"], level["leading"])
    who = members[chosen]
    ranks = [{"technical": dict(pair.technical), "leading": dict(pair.leading)} for pair in view.rules.equal_ranks]
    table = pd.DataFrame(
        {
            "officer_id": view.given.officers[who],
            "post": view.given.posts[each.post],
            "unit": np.asarray(view.given.units)[view.now.unit[who]],
            "ladder": ladder[chosen],
            "technical": level["technical"].level[chosen],
            "leading": level["leading"].level[chosen],
            "index": mean[who],
            "months_above": above[who],
        }
    )
    for language in ("zh", "en"):
        table[f"reason_{language}"] = [_reason(view, parts, ladder, row=int(row), language=language) for row in chosen]
    table["equal_ranks"] = pd.Series([ranks] * len(chosen), dtype=object)
    return table[list(COLUMNS)]


def _sides(view: Assessable) -> dict[str, tuple[str, ...]]:
    return {"technical": view.rules.technical, "leading": view.rules.leading}


def _side(each: PostLevels, names: tuple[str, ...]) -> dict[str, Estimate]:
    known = [name for name in names if name in each.seen.indicators]
    return {name: over(each.seen, name, learned=each.learned, months=YEAR) for name in known}


def _ladder(view: Assessable, technical: Estimate, leading: Estimate) -> np.ndarray:
    """Name a ladder only where the difference is large and its interval leaves out zero."""
    ahead = np.nan_to_num(technical.level) - np.nan_to_num(leading.level)
    spread = np.sqrt(np.nan_to_num(technical.variance) + np.nan_to_num(leading.variance))
    difference = Estimate(ahead, spread**2, spread, spread, spread)
    low, high = bounds(difference, view.rules.interval)
    by = view.rules.ladder_by
    clear = np.where((ahead >= by) & (low > 0), "technical", np.where((ahead <= -by) & (high < 0), "leading", EITHER))
    return np.where(np.isnan(technical.level) & np.isnan(leading.level), EITHER, clear)


def _reason(
    view: Assessable, parts: dict[str, dict[str, Estimate]], ladder: np.ndarray, *, row: int, language: str
) -> str:
    sides = list(parts) if ladder[row] == EITHER else [str(ladder[row])]
    own = {name: float(part.level[row]) for side in sides for name, part in parts[side].items()}
    best = sorted((name for name in own if own[name] > 0), key=lambda name: -own[name])[:SAID]
    words = [f"{view.profile.label(name, language)} {own[name]:+.1f}" for name in best]
    if language == "zh":
        return "近 12 个月高于同岗位（标准差）：" + "、".join(words) if words else "两方面均无突出记录"
    return "Above the post over 12 months (SD): " + ", ".join(words) if words else "Neither side stands out on record"
