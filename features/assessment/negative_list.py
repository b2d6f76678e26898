"""The negative list: one event raises a warning with date, reason and appeal state; a correction lifts it.

A warning goes to no risk and no wellness record; it is told to the officer and the commander, who can be wrong.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.assessment.ground.assessable import Assessable, Mask, Positions
from features.months import NO_DAY, first_day, last_day, timestamps

COLUMNS = ("officer_id", "post", "unit", "measure", "occurred_on", "raised_on", "value", "state", "appeal_until",
           "lifted_on", "reason_zh", "reason_en", "row")  # fmt: skip
STANDING, APPEALED, LIFTED = "standing", "appealed", "lifted"


@dataclass(frozen=True)
class Appeal:
    """An officer's appeal against one record of the negative list, not decided yet; dates as YYYY-MM-DD."""

    officer_id: str
    measure: str
    occurred_on: str


def warnings(view: Assessable, appeals: Collection[Appeal] = ()) -> pd.DataFrame:
    """Return the warnings raised within ``warning_months`` up to the as-of, the newest first.

    ``state`` is standing, appealed (stands, but an appeal waits for its decision), or lifted from ``lifted_on``: the
    record was corrected or retracted that day. A corrected record that still counts raises its own, later warning.
    Nothing is said of a lifted warning after the officer's next list: callers show it as lifted.
    """
    rows = _raising(view)
    events, keys = view.given.events, np.asarray(view.profile.measure_keys)
    rows = rows[np.lexsort((events.officer[rows], -events.recorded[rows].astype(np.int64)))]
    officer, lifted = events.officer[rows], view.replaced_on[rows]
    table = pd.DataFrame(
        {
            "officer_id": view.given.officers[officer],
            "post": np.array([*view.given.posts, ""])[view.now.post[officer]],
            "unit": np.array([*view.given.units, ""])[view.now.unit[officer]],
            "measure": keys[events.measure[rows]],
            "occurred_on": timestamps(events.occurred[rows]),
            "raised_on": timestamps(events.recorded[rows]),
            "value": view.amounts(rows),
            "appeal_until": timestamps(events.recorded[rows] + np.int32(view.rules.appeal_days)),
            "lifted_on": timestamps(lifted),
            "row": view.row[rows],
        }
    )
    table["state"] = _states(table, lifted != NO_DAY, appeals)
    return _with_reasons(view, table)[list(COLUMNS)]


def _raising(view: Assessable) -> Positions:
    listed = np.array([measure.at(view.as_of).negative_list for measure in view.profile.measures.values()], dtype=bool)
    events = view.given.events
    since = first_day(view.as_of - view.rules.warning_months + 1)
    rows = np.flatnonzero((events.recorded >= since) & ~view.retracts)
    rows = rows[listed[events.measure[rows]]]
    raising: Positions = rows[view.amounts(rows) > 0]
    return raising


def _states(table: pd.DataFrame, lifted: Mask, appeals: Collection[Appeal]) -> np.ndarray:
    waiting = {(each.officer_id, each.measure, each.occurred_on) for each in appeals}
    days = table["occurred_on"].dt.strftime("%Y-%m-%d")
    keys = zip(table["officer_id"], table["measure"], days, strict=True)
    appealed = np.fromiter((key in waiting for key in keys), dtype=bool, count=len(table))
    return np.where(lifted, LIFTED, np.where(appealed, APPEALED, STANDING))


def _with_reasons(view: Assessable, table: pd.DataFrame) -> pd.DataFrame:
    """Add what happened and what can be done, in both languages."""
    zh, en = (
        {key: view.profile.label(key, language) for key in view.profile.measure_keys} for language in ("zh", "en")
    )
    occurred, raised = (table[name].dt.strftime("%Y-%m-%d") for name in ("occurred_on", "raised_on"))
    until, lifted = (table[name].dt.strftime("%Y-%m-%d") for name in ("appeal_until", "lifted_on"))
    gone = table["state"] == LIFTED
    chinese = table["measure"].map(zh) + "（" + occurred + " 发生，" + raised + " 记录）"
    english = table["measure"].map(en) + " of " + occurred + ", recorded on " + raised
    table["reason_zh"] = chinese + np.where(gone, "；记录已更正，" + lifted + " 起解除", "；可申诉至 " + until)
    table["reason_en"] = english + np.where(
        gone, "; the record was corrected, lifted from " + lifted, "; can be appealed until " + until
    )
    return table


def standing_at(view: Assessable, *, since: int) -> Mask:
    """Return which officers have a warning that stands, of a record that occurred from a month on."""
    rows = _raising(view)
    events = view.given.events
    rows = rows[(view.replaced_on[rows] == NO_DAY) & (events.occurred[rows] >= first_day(since))]
    rows = rows[events.occurred[rows] <= last_day(view.as_of)]
    found = np.zeros(len(view.given.officers), dtype=bool)
    found[events.officer[rows]] = True
    return found
