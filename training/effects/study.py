"""The rows of a study: who could begin an action, who did in the month after an as-of, and what came of it.

It follows the habit of emulating a trial (Hernan and Robins 2016): eligibility, treatment and covariates stand at one
time, the as-of; those not helped are compared as they live on, with usual practice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows, feature_names, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories, Ints
from features.labels import labels, latest_labelled, the_risk
from features.months import month_of_day, month_text
from features.names import parse_name
from features.profile import Profile
from features.profile_rows import EventOutcome
from training.dataset import WARM_UP_MONTHS, last_month
from training.spells import Ledger, standing_events

MOST_AS_OFS = 24
MOST_ROWS = 80_000
STATISTICS = frozenset(
    {"mean", "vs_self", "vs_peers", "months_since", "level", "slope", "is", "months", "ever", "rate"}
)
WINDOWS = ("1m", "3m", "6m", "12m")
"""Covariates are these statistics over these windows: what a superior may have known when help was given."""
DAYS_A_MONTH = 30.4

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ground:
    """Rows with a known outcome of a risk: what the studies of all actions share."""

    risk: str
    known: Histories
    as_ofs: tuple[int, ...]
    rows: FeatureRows
    outcome: Array


@dataclass(frozen=True)
class Study:
    """Eligible rows with a known outcome, by officer and as-of, and two things that can spoil a comparison.

    ``follows`` counts, among those helped whose outcome came in the very month, whose outcome came on an earlier day
    (first), and all of them (second). ``later`` is the share of the others that was helped within the horizon.
    """

    action: str
    risk: str
    measure: str
    washout: int
    as_ofs: tuple[int, ...]
    officer: Ints
    as_of: Ints
    post: Ints
    unit: Ints
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    treated: Mask
    outcome: Array
    follows: tuple[int, int]
    later: float

    def __len__(self) -> int:
        return len(self.officer)


def measure_of(profile: Profile, action: str) -> str:
    """Return the measure whose events say that an action was taken; a measure itself may stand for its action."""
    found = profile.actions.get(action)
    measure = found.recorded_as if found is not None else action
    if measure is None or measure not in profile.measures:
        known = [key for key, each in profile.actions.items() if each.recorded_as] or dated_measures(profile)
        raise Refusal(
            f"'{action}' leaves no record from which an effect could be told.",
            hint=f"It may be one of: {', '.join(known)}.",
        )
    return measure


def dated_measures(profile: Profile) -> list[str]:
    """Return the measures of the dimension action that are no mark of a flag: help of a profile without actions."""
    marks = {risk.acted_on for risk in profile.risks.values()}
    return [key for key, each in profile.measures.items() if each.dimension == "action" and key not in marks]


def ground(histories: Histories, risk: str, *, until: int | None = None, as_ofs: Sequence[int] | None = None) -> Ground:
    """Return the rows on which any action's effect on a risk is studied, as known by the end of month ``until``.

    ``as_ofs`` defaults to all whose outcomes are complete, evenly thinned to a budget. Raises a Refusal where there
    is none. Covariates of a risk that is not about wellness draw on no health data.
    """
    rule = the_risk(histories, risk)
    known = histories.until(last_month(histories, until))
    months = sorted(as_ofs) if as_ofs is not None else _months(known, risk)
    rows = feature_rows(known, months, names=covariates(known.profile, sensitive=rule.purpose == "wellness"))
    told = labels(known, risk, months, until=until)
    kept = ~np.isnan(told.label)
    return Ground(risk, known, tuple(months), rows.take(kept), told.label[kept])


def study(given: Ground, action: str) -> Study:
    """Return the eligible rows of an action, and which of them were helped.

    Eligible is who did not take the action in the months before (its length, at least one month); helped, who does
    in the month after the as-of. Months before the first help on record are no comparison and left out. A Refusal
    where the profile keeps no record of the action.
    """
    known, risk = given.known, given.risk
    measure, washout = measure_of(known.profile, action), washout_of(known.profile, action)
    reached, horizon = Helped.of(known, measure), known.profile.risks[risk].horizon_months
    free = ~reached.between(given.rows.officer, given.rows.as_of - washout + 1, given.rows.as_of)
    free &= given.rows.as_of + 1 >= reached.base
    rows, outcome = given.rows.take(free), given.outcome[free]
    treated = reached.between(rows.officer, rows.as_of + 1, rows.as_of + 1)
    later = reached.between(rows.officer, rows.as_of + 2, rows.as_of + horizon)
    return Study(
        action, risk, measure, washout, given.as_ofs, rows.officer, rows.as_of, rows.post, rows.unit, rows.names,
        rows.values, treated, outcome, _follows(known, risk, measure, rows.officer[treated], rows.as_of[treated]),
        float(later[~treated].mean()) if (~treated).any() else 0.0,
    )  # fmt: skip


def covariates(profile: Profile, *, sensitive: bool) -> tuple[str, ...]:
    """Return the features that comparisons are adjusted for; health data only for a wellness risk."""
    marks = {risk.acted_on for risk in profile.risks.values()}
    found = []
    for name in feature_names(profile, sensitive=sensitive):
        part = parse_name(name)
        window = name.rsplit("__", 1)[-1]
        dated = window.removesuffix("m").isdigit() and window not in WINDOWS
        if part.statistic in STATISTICS and not dated and part.group not in marks:
            found.append(name)
    return tuple(found)


def washout_of(profile: Profile, action: str) -> int:
    """Return the months without the action before it counts as begun: its length, at least one."""
    found = profile.actions.get(action)
    days = found.length_days if found is not None and found.length_days else 0.0
    return max(1, int(np.ceil(days / DAYS_A_MONTH)))


@dataclass(frozen=True)
class Helped:
    """In which months whom an action reached: how often by each month, [month + 1, officer]."""

    base: int
    total: npt.NDArray[np.int64]

    @classmethod
    def of(cls, known: Histories, measure: str) -> "Helped":
        """Return it of the events that stand."""
        ledger = Ledger.of(known, (measure,))
        before = np.zeros((1, len(known.officers)), dtype=np.int64)
        return cls(ledger.base, np.vstack([before, np.cumsum(ledger.helped, axis=0)]))

    def between(self, officer: Ints, first: Ints, last: Ints) -> Mask:
        """Return who was reached in months ``first`` to ``last``, both included."""
        upto, before = (np.clip(month - self.base, 0, len(self.total) - 1) for month in (last + 1, first))
        return np.asarray(self.total[upto, officer] > self.total[before, officer])


def _months(known: Histories, risk: str) -> list[int]:
    """All months with features and complete labels, newest kept, evenly thinned to the budget."""
    last = latest_labelled(known, risk)
    first = int(month_of_day(known.events.occurred.min())) + WARM_UP_MONTHS - 1
    if last < first:
        raise Refusal(
            f"No month up to {month_text(last)} has both {WARM_UP_MONTHS} months of events before it and a whole "
            "horizon after it.",
            hint="Wait for more months, or choose a later one.",
        )
    most = max(1, min(MOST_AS_OFS, MOST_ROWS // max(1, len(known.officers))))
    step = -(-(last - first + 1) // most)
    return list(range(last, first - 1, -step))[::-1]


def _follows(known: Histories, risk: str, measure: str, officer: Ints, as_of: Ints) -> tuple[int, int]:
    """Of those helped whose outcome came in the same month: on an earlier day than the help, and all."""
    outcome = known.profile.risks[risk].outcome
    if not isinstance(outcome, EventOutcome):
        return 0, 0
    helped, came = _first_days(known, measure), _first_days(known, outcome.measure)
    days = [(helped.get(key), came.get(key)) for key in zip(officer.tolist(), (as_of + 1).tolist(), strict=True)]
    both = [(a, b) for a, b in days if a is not None and b is not None and a != b]
    return sum(b < a for a, b in both), len(both)


def _first_days(known: Histories, measure: str) -> dict[tuple[int, int], int]:
    """(officer, month) -> the first day of a measure's events in it."""
    officer, day, _ = standing_events(known, (measure,))
    keys = zip(officer.tolist()[::-1], month_of_day(day).tolist()[::-1], strict=True)
    return dict(zip(keys, day.tolist()[::-1], strict=True))
