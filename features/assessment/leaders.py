"""The three-month rules: leading leads to training first or rotation; falling is the rival of the decline model.

Both look at the months of the efficiency index. A month that is not assessed (exempt, or only long work in hand)
neither leads nor falls, and breaks the run.
"""

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable, Mask
from features.assessment.ground.levels import BASELINE_MONTHS, INDEX, Months
from features.histories.tables import Floats
from features.months import first_day, month_text
from features.statistics import FEWEST

LEADER_COLUMNS = ("officer_id", "post", "unit", "months", "recommended", "levels", "bar", "reason_zh", "reason_en")
DECLINE_COLUMNS = ("officer_id", "post", "unit", "months", "levels", "baseline", "reason_zh", "reason_en")


def leaders(view: Assessable, months: Months) -> pd.DataFrame:
    """Return who was in the best share of the own post in each of the last ``leading_months``, and what that earns.

    Who ties for the last place of the best share is not in it. ``recommended`` is training, or rotation where training
    was had within the profile's months; ``levels`` lists the index of those months, ``bar`` where the last month's
    best share begins.
    """
    needed = view.profile.settings.leading_months
    index = months.scores[INDEX][-needed:]
    bars = np.stack([_bar(view, level, month) for level, month in zip(index, months.months[-needed:], strict=True)])
    leading = (index >= bars).all(axis=0) & (view.now.post >= 0)
    rows = np.flatnonzero(leading)
    trained = _trained(view)
    table = _who(view, rows)
    table["months"] = needed
    table["recommended"] = np.where(trained[rows], "rotation", "training")
    table["levels"] = [[float(each) for each in index[:, row]] for row in rows]
    table["bar"] = bars[-1, rows]
    span = f"{month_text(months.months[-needed])}–{month_text(view.as_of)}"
    share = f"{view.rules.leader_percent:g}%"
    also = {
        "zh": np.where(trained[rows], "，且近期已参训", ""),
        "en": np.where(trained[rows], ", and trained recently", ""),
    }
    table["reason_zh"] = [f"{span} 每月均在本岗位前 {share}{more}" for more in also["zh"]]
    table["reason_en"] = [f"Within the best {share} of the post every month, {span}{more}" for more in also["en"]]
    return table[list(LEADER_COLUMNS)]


def _bar(view: Assessable, level: Floats, month: int) -> Floats:
    """Return for everyone the level from which the best share of the own post began; NaN with too few peers.

    Of those who tie for the last place none is in it: where most are alike nobody leads.
    """
    post, bar = view.standings[month].post, np.full(len(level), np.nan)
    for number in range(len(view.posts)):
        members = np.flatnonzero((post == number) & ~np.isnan(level))
        if len(members) >= FEWEST:
            places = max(1, int(len(members) * view.rules.leader_percent // 100))
            best = np.sort(level[members])[::-1]
            above = best[best > best[min(places, len(best) - 1)]]
            bar[members] = above[-1] if len(above) else np.inf
    return bar


def _trained(view: Assessable) -> Mask:
    """Return who had so much training, of the actions of that kind, within the rule's months."""
    amount = np.zeros(len(view.given.officers))
    since = first_day(view.as_of - view.rules.rotation_after_training_months + 1)
    for key in view.training:
        rows = view.rows_of(key)
        rows = rows[view.given.events.occurred[rows] >= since]
        np.add.at(amount, view.given.events.officer[rows], view.amounts(rows))
    return amount >= view.rules.trained_at_least


def declines(view: Assessable, months: Months) -> pd.DataFrame:
    """Return who fell in each of the last ``leading_months``: each that far below the own twelve months before.

    ``baseline`` is the mean of those twelve, of which half were assessed at least.
    """
    needed = view.profile.settings.leading_months
    recent, baseline, known = falling(months, needed=needed)
    below = recent <= baseline - view.rules.falls_by
    rows = np.flatnonzero(below.all(axis=0) & known & (view.now.post >= 0))
    table = _who(view, rows)
    table["months"] = needed
    table["levels"] = [[float(each) for each in recent[:, row]] for row in rows]
    table["baseline"] = baseline[rows]
    by = f"{view.rules.falls_by:g}"
    table["reason_zh"] = f"连续 {needed} 个月低于本人前 {BASELINE_MONTHS} 个月平均 {by} 个标准差以上"
    table["reason_en"] = f"{needed} months running {by} SD or more below the mean of the own {BASELINE_MONTHS} before"
    return table[list(DECLINE_COLUMNS)]


def falling(months: Months, *, needed: int) -> tuple[Floats, Floats, Mask]:
    """Return the last months' index, the own mean of the twelve before, and for whom that mean is known."""
    index = months.scores[INDEX]
    before = index[-needed - BASELINE_MONTHS : -needed]
    number = (~np.isnan(before)).sum(axis=0)
    mean = np.nansum(before, axis=0) / np.where(number > 0, number, np.nan)
    return index[-needed:], mean, number * 2 >= BASELINE_MONTHS


def _who(view: Assessable, rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "officer_id": view.given.officers[rows],
            "post": np.asarray(view.given.posts)[view.now.post[rows]],
            "unit": np.asarray(view.given.units)[view.now.unit[rows]],
        }
    )
