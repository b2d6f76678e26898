"""Two watches over the rules themselves: gaming after they changed, and hidden performance that they do not count.

Both list something for a person to look at. Neither says that anybody did wrong.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable
from features.assessment.ground.indicators import Estimate
from features.assessment.ground.levels import INDEX, PostLevels, bounds, informed, over
from features.efficiency import exposures, long_work, observed
from features.histories.tables import Floats
from features.months import month_text
from features.profile_rows import ASSESSED, Post
from features.statistics import FEWEST

AROUND_MONTHS = 6
"""Months before and after a change of rules that are compared."""
CHANGED_WITHIN = 12
FEWEST_AFTER = 2
HIDDEN_COLUMNS = ("officer_id", "post", "unit", "index", "uncounted", "difference", "low", "high", "measures",
                  "reason_zh", "reason_en")  # fmt: skip
GAMING_COLUMNS = ("post", "measure", "changed_from", "change", "persons", "jump", "neighbours", "difference", "low",
                  "high", "listed", "reason_zh", "reason_en")  # fmt: skip
YEAR, SAID = 12, 3


@dataclass(frozen=True)
class Change:
    """A measure that counts for more in a post from a month on: by its weight, its bonus or its points."""

    post: int
    key: str
    month: int
    what: str


def gaming(view: Assessable) -> pd.DataFrame:
    """Return each measure that came to count for more within a year, and whether it jumped and its neighbours did not.

    ``jump`` is the mean change of the post's officers from the six months before to those after, in their standard
    deviations; ``neighbours`` the median of that over the same measure in posts whose rules did not change, and over
    the post's other measures. ``low`` and ``high`` bound their difference.
    """
    rows = [row for change in changes(view) if (row := _watched(view, change)) is not None]
    return pd.DataFrame(rows, columns=list(GAMING_COLUMNS))


def changes(view: Assessable) -> list[Change]:
    """Return what came to count for more, and from when, within CHANGED_WITHIN months of the as-of."""
    since, until = view.as_of - CHANGED_WITHIN + 1, view.as_of - FEWEST_AFTER + 1
    months = {version.valid_from for post in view.dated_posts for version in post.versions}
    months |= {version.valid_from for measure in view.profile.measures.values() for version in measure.versions}
    found = []
    for month in sorted(month for month in months if since <= month <= until):
        for number, post in enumerate(view.dated_posts):
            found += [Change(number, key, month, what) for key, what in _raised(view, post, month)]
    return found


def _raised(view: Assessable, post: Post, month: int) -> list[tuple[str, str]]:
    before, after = post.at(month - 1), post.at(month)
    found: dict[str, str] = {}
    for key, measure in view.profile.measures.items():
        if measure.at(month).points > measure.at(month - 1).points:
            found[key] = "points"
    for key, weight in after.bonus.items():
        if weight > before.bonus.get(key, 0.0):
            found[key] = "bonus"
    for dimension in ASSESSED:
        old, new = before.indicators.get(dimension, {}), after.indicators.get(dimension, {})
        for key, weight in new.items():
            if weight > old.get(key, 0.0):
                found[key] = "weight"
    return [(key, found[key]) for key in found]


def _watched(view: Assessable, change: Change) -> dict[str, object] | None:
    own = _jump(view, change.post, key=change.key, month=change.month)
    if own is None:
        return None
    moved = [_jump(view, post, key=key, month=change.month) for post, key in _neighbours(view, change)]
    beside = [each[0] for each in moved if each is not None]
    usual = float(np.median(beside)) if beside else 0.0
    jump, error, persons = own
    gap = np.array([jump - usual])
    low, high = bounds(Estimate(gap, np.array([error**2]), gap, gap, gap), view.rules.interval)
    listed = bool(gap[0] >= view.rules.jump_by and low[0] > 0)
    labels = [view.profile.label(change.key, language) for language in ("zh", "en")]
    since = month_text(change.month)
    return {
        "post": view.given.posts[change.post], "measure": change.key, "changed_from": since, "change": change.what,
        "persons": persons, "jump": jump, "neighbours": usual, "difference": float(gap[0]), "low": float(low[0]),
        "high": float(high[0]), "listed": listed,
        "reason_zh": f"{since} 起计分加重后，{labels[0]}变化 {jump:+.1f} 个标准差，相邻指标 {usual:+.1f}",
        "reason_en": f"counted for more from {since}; {labels[1]} moved {jump:+.1f} SD, its neighbours {usual:+.1f}",
    }  # fmt: skip


def _neighbours(view: Assessable, change: Change) -> Iterator[tuple[int, str]]:
    """The same measure where the rules stayed, and the post's other measures that did not come to count for more."""
    raised = {
        (post, key) for post, rules in enumerate(view.dated_posts) for key, _ in _raised(view, rules, change.month)
    }
    pairs: Iterable[tuple[int, str]] = [(post, change.key) for post in range(len(view.posts)) if post != change.post]
    counted = {key for weights in view.posts[change.post].indicators.values() for key in weights}
    beside = [(change.post, key) for key in sorted(counted) if key != change.key]
    yield from (pair for pair in (*pairs, *beside) if pair not in raised)


def _jump(view: Assessable, post: int, *, key: str, month: int) -> tuple[float, float, int] | None:
    """Return mean change, its standard error, and persons; None where fewer than five were seen before and after."""
    after = _mean(view, post, key=key, months=range(month, min(month + AROUND_MONTHS, view.as_of + 1)))
    before = _mean(view, post, key=key, months=range(max(month - AROUND_MONTHS, view.months[0]), month))
    both = ~np.isnan(before) & ~np.isnan(after)
    spread = float(before[both].std()) if both.sum() >= FEWEST else 0.0
    if spread <= 0:
        return None
    moved = (after - before)[both] / spread
    return float(moved.mean()), float(moved.std() / np.sqrt(len(moved))), len(moved)


def _mean(view: Assessable, post: int, *, key: str, months: range) -> Floats:
    """Return each officer's mean of the months that were seen in this post, adjusted for exposure."""
    members = view.members(post)
    total, number = np.zeros(len(members)), np.zeros(len(members))
    for month in months:
        slot = month - view.months[0]
        exposure = exposures(view.cells, slot=slot, days=view.cells.days[slot])[members]
        busy = long_work(view.cells, view.posts[post], slot=slot, members=members)
        seen = observed(view.cells, key, slot=slot, members=members, exposure=exposure, busy=busy)
        there = ~np.isnan(seen.value) & ~np.isnan(exposure) & (view.standings[month].post[members] == post)
        total, number = total + np.where(there, seen.value, 0.0), number + there
    return total / np.where(number >= FEWEST_AFTER, number, np.nan)


def hidden(view: Assessable, levels: Sequence[PostLevels]) -> pd.DataFrame:
    """Return officers whose uncounted measures are far better than their index, the clearest first.

    ``uncounted`` is the mean level, over twelve months, of the profile's ``hidden`` measures (of every measure with a
    direction where it names none) that the officer's post does not count; ``measures`` names those furthest ahead.
    """
    tables = [table for each in levels if (table := _post_hidden(view, each)) is not None]
    if not tables:
        return pd.DataFrame(columns=list(HIDDEN_COLUMNS))
    return pd.concat(tables, ignore_index=True).sort_values(
        "difference", ascending=False, kind="stable", ignore_index=True
    )


def _post_hidden(view: Assessable, each: PostLevels) -> pd.DataFrame | None:
    rewarded = {*each.indicators, *view.posts[each.post].bonus}
    wanted = [key for key in each.seen.indicators if key not in rewarded and _hideable(view, key)]
    parts = {key: over(each.seen, key, learned=each.learned, months=YEAR) for key in wanted}
    parts = {
        key: part for key, part in parts.items() if not np.isnan(part.level).all() and (part.credibility > 0).any()
    }
    if not parts:
        return None
    index, own = each.scores[INDEX], informed(parts, learned=each.learned, size=each.seen.size)
    gap = own.level - index.level
    low, high = bounds(Estimate(gap, own.variance + index.variance, gap, gap, gap), view.rules.interval)
    rows = np.flatnonzero((np.nan_to_num(gap) >= view.rules.hidden_by) & (low > 0) & (np.nan_to_num(own.level) > 0))
    members = each.seen.members[rows]
    level = np.stack([part.level for part in parts.values()])[:, rows]
    best = [_best(list(parts), level[:, column]) for column in range(len(rows))]
    table = pd.DataFrame(
        {
            "officer_id": view.given.officers[members],
            "post": view.given.posts[each.post],
            "unit": np.asarray(view.given.units)[view.now.unit[members]],
            "index": index.level[rows],
            "uncounted": own.level[rows],
            "difference": gap[rows],
            "low": low[rows],
            "high": high[rows],
            "measures": best,
        }
    )
    for language, head in (("zh", "未计分而突出："), ("en", "Ahead where nothing is counted: ")):
        joint = "、" if language == "zh" else ", "
        table[f"reason_{language}"] = [
            head + joint.join(view.profile.label(key, language) for key in keys) for keys in best
        ]
    return table[list(HIDDEN_COLUMNS)]


def _hideable(view: Assessable, key: str) -> bool:
    measure = view.profile.measures[key]
    named = view.rules.hidden
    if named:
        return key in named
    return (
        measure.better is not None and measure.dimension in ("quality", "satisfaction") and measure.kind != "superiors"
    )


def _best(keys: list[str], level: Floats) -> list[str]:
    order = np.argsort(-np.nan_to_num(level, nan=-np.inf), kind="stable")
    return [keys[place] for place in order[:SAID] if level[place] > 0]
