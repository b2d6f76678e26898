"""Blind spots: where superiors and residents see an officer or a unit differently; and what a post's weights reward."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.assessment.cockpit import suppressed
from features.assessment.ground.assessable import Assessable, Mask
from features.assessment.ground.indicators import Estimate, combined
from features.assessment.ground.levels import PostLevels, bounds, over
from features.histories.tables import Floats
from features.profile_rows import Kind
from features.statistics import FEWEST

COLUMNS = ("scope", "officer_id", "unit", "post", "persons", "superiors", "residents", "difference", "low", "high",
           "listed", "says_zh", "says_en")  # fmt: skip
LINT_COLUMNS = ("post", "kind", "share", "says_zh", "says_en")
YEAR = 12
UNIT_SHARE = 0.5
"""Means differ less than persons: for a unit this share of the profile's ``blind_spot_by`` is much."""
KINDS: tuple[Kind, ...] = ("attendance", "paperwork", "activity", "outcome", "residents", "superiors")
UNDECLARED = "undeclared"
MOST_PRESENCE, LEAST_OUTCOME, LEAST_RESIDENTS = 0.3, 0.3, 0.2
"""The lint speaks up beyond these shares of a post's weight."""


def blind_spots(view: Assessable, levels: Sequence[PostLevels]) -> pd.DataFrame:
    """Return officers and units with the level of superiors' ratings, of residents', and their difference.

    Levels of twelve months in standard deviations of the post, shrunk; ``low`` and ``high`` bound the difference.
    Officers are listed only where it is large and its interval leaves out zero; units of five and more are all there,
    ``listed`` marks the clear ones.
    """
    size = len(view.given.officers)
    sides = {side: _ratings(view, levels, side, size=size) for side in ("superiors", "residents")}
    gap = sides["superiors"].level - sides["residents"].level
    spread = sides["superiors"].variance + sides["residents"].variance
    low, high = bounds(Estimate(gap, spread, gap, gap, gap), view.rules.interval)
    clear = (np.abs(np.nan_to_num(gap)) >= view.rules.blind_spot_by) & ((low > 0) | (high < 0))
    both = {side: each.level for side, each in sides.items()}
    tables = [_officers(view, clear, both=both, gap=gap, bound=(low, high)), _units(view, both, gap=gap, spread=spread)]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _ratings(view: Assessable, levels: Sequence[PostLevels], side: str, *, size: int) -> Estimate:
    """Return the mean level of what one side says, for all officers."""
    keys = [
        key for key, measure in view.profile.measures.items() if measure.kind == side and measure.aggregate != "sum"
    ]
    level, variance = np.full(size, np.nan), np.full(size, np.nan)
    for each in levels:
        there = [key for key in keys if key in each.seen.indicators]
        parts = [(1.0, over(each.seen, key, learned=each.learned, months=YEAR)) for key in there]
        found = combined(parts, size=each.seen.size)
        level[each.seen.members], variance[each.seen.members] = found.level, found.variance
    return Estimate(level, variance, level, level, level)


def _officers(
    view: Assessable, clear: Mask, *, both: dict[str, Floats], gap: Floats, bound: tuple[Floats, Floats]
) -> pd.DataFrame:
    rows = np.flatnonzero(clear)
    rows = rows[np.argsort(-np.abs(gap[rows]), kind="stable")]
    table = pd.DataFrame(
        {
            "scope": "officer",
            "officer_id": view.given.officers[rows],
            "unit": np.asarray(view.given.units)[view.now.unit[rows]],
            "post": np.asarray(view.given.posts)[view.now.post[rows]],
            "persons": 1,
            **{side: level[rows] for side, level in both.items()},
            "difference": gap[rows],
            "low": bound[0][rows],
            "high": bound[1][rows],
            "listed": True,
        }
    )
    return _said(table)


def _units(view: Assessable, both: dict[str, Floats], *, gap: Floats, spread: Floats) -> pd.DataFrame:
    unit, number_of = view.now.unit, len(view.given.units)
    known = np.flatnonzero((unit >= 0) & ~np.isnan(gap))
    persons = np.bincount(unit[known], minlength=number_of)
    shown = ~suppressed(persons) & (persons >= FEWEST)
    safe = np.where(shown, persons, np.nan)

    def mean(level: Floats) -> Floats:
        return np.bincount(unit[known], weights=level[known], minlength=number_of) / safe

    # between officers there is more than chance: the unit's mean is as unsure as they differ
    away = gap - np.where(unit >= 0, mean(gap)[unit], np.nan)
    known_away = np.nan_to_num(away[known]) ** 2 + spread[known]
    variance = np.bincount(unit[known], weights=known_away, minlength=number_of) / safe**2
    difference = mean(gap)
    low, high = bounds(Estimate(difference, variance, safe, safe, safe), view.rules.interval)
    table = pd.DataFrame({"scope": "unit", "officer_id": "", "unit": view.given.units, "post": "", "persons": persons})
    table = table.assign(**{side: mean(level) for side, level in both.items()}, difference=difference)
    apart = np.abs(np.nan_to_num(difference)) >= UNIT_SHARE * view.rules.blind_spot_by
    table = table.assign(low=low, high=high, listed=apart & ((low > 0) | (high < 0)))
    return _said(table[shown].reset_index(drop=True))


def _said(table: pd.DataFrame) -> pd.DataFrame:
    above = table["difference"] > 0
    table["says_zh"] = np.where(above, "上级评价高于群众评价", "群众评价高于上级评价")
    table["says_en"] = np.where(above, "superiors rate higher than residents", "residents rate higher than superiors")
    return table


def weight_lint(view: Assessable) -> pd.DataFrame:
    """Return how a post's weight is spread over the declared kinds of measures; dimensions count alike.

    One row per post and kind, ``share`` of 1; ``says`` speaks up where presence weighs much, or outcomes or residents
    little, and where a measure declares no kind.
    """
    tables = [_post_lint(view, post) for post in range(len(view.posts)) if view.posts[post].indicators]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(LINT_COLUMNS))


def _post_lint(view: Assessable, post: int) -> pd.DataFrame:
    share = dict.fromkeys((*KINDS, UNDECLARED), 0.0)
    dimensions = [weights for weights in view.posts[post].indicators.values() if weights]
    for weights in dimensions:
        for key, weight in weights.items():
            share[kind_of(view, key)] += weight / sum(weights.values()) / len(dimensions)
    said = _lint_words(share)
    rows = [
        {"post": view.given.posts[post], "kind": kind, "share": part, **said.get(kind, {"says_zh": "", "says_en": ""})}
        for kind, part in share.items()
    ]
    return pd.DataFrame(rows, columns=list(LINT_COLUMNS))


def kind_of(view: Assessable, key: str) -> str:
    """Return the declared kind of an indicator; a rate is of the kind of what it counts."""
    rates = view.profile.settings.rates
    measure = view.profile.measures[rates[key].of if key in rates else key]
    return measure.kind or UNDECLARED


def _lint_words(share: dict[str, float]) -> dict[str, dict[str, str]]:
    presence = share["attendance"] + share["paperwork"]
    said = {}
    if presence > MOST_PRESENCE:
        said["attendance"] = {
            "says_zh": f"出勤与台账占 {presence:.0%}，高于 {MOST_PRESENCE:.0%}",
            "says_en": f"attendance and paperwork weigh {presence:.0%}, more than {MOST_PRESENCE:.0%}",
        }
    for kind, least, zh, en in (
        ("outcome", LEAST_OUTCOME, "工作成效", "outcomes"),
        ("residents", LEAST_RESIDENTS, "群众评价", "what residents say"),
    ):
        if share[kind] < least:
            said[kind] = {
                "says_zh": f"{zh}占 {share[kind]:.0%}，低于 {least:.0%}",
                "says_en": f"{en}: {share[kind]:.0%} of the weight, less than {least:.0%}",
            }
    if share[UNDECLARED] > 0:
        said[UNDECLARED] = {"says_zh": "有指标未声明类别（kind）", "says_en": "some indicators declare no kind"}
    return said
