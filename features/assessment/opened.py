"""Every figure opened down to its events: the rows behind an officer's indicators, bonus, points and honours."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable, Positions
from features.assessment.ground.indicators import SEEN_MONTHS
from features.assessment.ground.levels import post_levels
from features.assessment.negative_list import warnings
from features.assessment.points import entry_table, ledger
from features.assessment.stars import honour_keys
from features.errors import Refusal
from features.months import first_day, month_text, timestamps

COLUMNS = ("figure", "dimension", "measure", "occurred_on", "began_on", "recorded_on", "value", "unit",
           "in_window", "row")  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """One officer's figures opened: events behind each, ledger entries, and warnings.

    ``events`` has COLUMNS: ``figure`` is the indicator, or bonus, exempt, in_hand, honour; ``in_window`` says whether
    it counts in the level now or only in the twelve months drawn; ``row`` is its position in the histories.
    """

    events: pd.DataFrame
    entries: pd.DataFrame
    warnings: pd.DataFrame


def opened(view: Assessable, officer_id: str) -> Opened:
    """Return what lies behind each figure of an officer; a Refusal for someone without a posting at the as-of."""
    officer = _officer(view, officer_id)
    rows = view.rows_between(officer, officer + 1)
    own = rows.start + np.flatnonzero(view.live[rows])
    since = _window_from(view, officer)
    parts = [_rows(view, own, figure, since=since) for figure in _figures(view, officer)]
    listed = warnings(view)
    return Opened(
        events=pd.concat(parts, ignore_index=True),
        entries=entry_table(view, ledger(view, officer)),
        warnings=listed[listed["officer_id"] == officer_id].reset_index(drop=True),
    )


def _officer(view: Assessable, officer_id: str) -> int:
    found = np.flatnonzero(view.given.officers == officer_id)
    if not len(found) or view.now.post[found[0]] < 0:
        raise Refusal(
            f"'{officer_id}' has no posting on the last day of {month_text(view.as_of)}.",
            hint="Only who was in a post is assessed; the roster says when.",
        )
    return int(found[0])


def _window_from(view: Assessable, officer: int) -> int:
    levels = post_levels(view, int(view.now.post[officer]))
    return int(levels.window.first[np.flatnonzero(levels.seen.members == officer)[0]])


def _figures(view: Assessable, officer: int) -> Iterator[tuple[str, str, str]]:
    """Each figure with its dimension and a measure behind it."""
    rules, rates = view.posts[int(view.now.post[officer])], view.profile.settings.rates
    counted: set[str] = set(rules.bonus)
    for dimension, weights in rules.indicators.items():
        for key in weights:
            parts = (rates[key].of, rates[key].per) if key in rates else (key,)
            yield from ((key, dimension, part) for part in parts)
        counted |= set(weights)
    yield from (("bonus", "quality", key) for key in rules.bonus)
    yield from (("in_hand", "", key) for key in rules.in_hand)
    yield from ((key, view.profile.measures[key].dimension, key) for key in view.rules.hidden if key not in counted)
    yield from (("exempt", "", key) for key, measure in view.profile.measures.items() if measure.exempt)
    yield from (("honour", "honour", key) for key in honour_keys(view))


def _rows(view: Assessable, own: Positions, of: tuple[str, str, str], *, since: int) -> pd.DataFrame:
    figure, dimension, key = of
    events = view.given.events
    oldest = 0 if figure == "honour" else view.as_of - SEEN_MONTHS + 1
    rows = own[(events.measure[own] == view.profile.measure_number[key])]
    rows = rows[events.occurred[rows] >= first_day(oldest)]
    unit = view.profile.measures[key].unit
    return pd.DataFrame(
        {
            "figure": figure,
            "dimension": dimension,
            "measure": key,
            "occurred_on": timestamps(events.occurred[rows]),
            "began_on": timestamps(events.began[rows]),
            "recorded_on": timestamps(events.recorded[rows]),
            "value": view.amounts(rows),
            "unit": unit.en if unit else "",
            "in_window": events.occurred[rows] >= first_day(since),
            "row": view.row[rows],
        },
        columns=list(COLUMNS),
    )
