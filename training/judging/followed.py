"""What came of lists: precision, churn, lead times, flags that expired. Arrays only; no model and no features here.

A list is given as shares [month, officer]: 1 on it, 0 not, between where equal scores compete for its last places.
A person with share w is on it when the person's lot, drawn once for all months, is below w: of all ways to break ties
this gives the fewest changes, so that a rule with many ties is not blamed for chance.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Outcomes:
    """What became of everyone, [month, officer]: ``label`` 1, 0, NaN unknown or not in the cohort.

    ``after`` counts the months until the outcome (NaN: none in the horizon); ``mature`` tells for each month whether
    its horizon is over; ``expires`` is the life of a flag in months.
    """

    label: Array
    after: Array
    mature: Flags
    expires: int


@dataclass(frozen=True)
class MonthFigures:
    """One list: its length, flags whose outcome is known, those with it, precision, recall, share of new persons.

    NaN where not known: precision and recall of an immature month, churn of the first.
    """

    length: float
    known: float
    hits: float
    precision: float
    recall: float
    new: float


@dataclass(frozen=True)
class Followed:
    """What came of a contender's lists. Rates are NaN where nothing is known yet.

    A spell begins with a person's first flag and goes on while flags are renewed before they expire. ``leads`` are the
    months from a spell's first flag to the outcome, with how many spells had that lead; ``expired`` counts spells that
    ended unrenewed, ``expired_without`` those of them without the outcome by then, ``later`` those of these that had
    it later within a flag's horizon. Only spells whose outcomes are known count.
    """

    months: tuple[MonthFigures, ...]
    precision: float
    recall: float
    flags_per_true_positive: float
    new: float
    spells: float
    with_outcome: float
    leads: tuple[tuple[int, float], ...]
    expired: float
    expired_without: float
    later: float

    @property
    def median_lead(self) -> float:
        """The median of the lead times in months; NaN where there is none."""
        return weighted_median(self.leads)

    @property
    def mean_lead(self) -> float:
        """The mean of the lead times in months."""
        return _ratio(sum(lead * count for lead, count in self.leads), sum(count for _, count in self.leads))

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain values, None for unknown; the months stand beside, see report."""
        return {
            "precision": plain(self.precision),
            "recall": plain(self.recall),
            "flags_per_true_positive": plain(self.flags_per_true_positive),
            "churn": plain(self.new),
            "spells": plain(self.spells),
            "spells_with_outcome": plain(self.with_outcome),
            "lead_months_median": plain(self.median_lead),
            "lead_months_mean": plain(self.mean_lead),
            "lead_months": {str(lead): plain(count) for lead, count in self.leads},
            "expired": plain(self.expired),
            "expired_without_outcome": plain(self.expired_without),
            "expired_without_outcome_share": plain(_ratio(self.expired_without, self.expired)),
            "outcome_after_expiry": plain(self.later),
        }


@dataclass(frozen=True)
class _Spells:
    """Spells as arrays: positions of the first and last month flagged, of the outcome, of the expiry (NEVER: none)."""

    officer: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    outcome: npt.NDArray[np.int64]
    expired: npt.NDArray[np.int64]


def followed(shares: Array, outcomes: Outcomes, *, ties: int) -> Followed:
    """Return what came of the lists ``shares`` [month, officer]; the mean over so many ways to break ties at random."""
    months = tuple(_month(shares, outcomes, place) for place in range(len(shares)))
    judged = [month for month, mature in zip(months, outcomes.mature, strict=True) if mature]
    lots = np.random.default_rng(0).random((ties, shares.shape[1]))
    parts = [_spells(shares > lot, outcomes) for lot in lots]
    return Followed(
        months=months,
        precision=_mean([month.precision for month in judged]),
        recall=_mean([month.recall for month in judged]),
        flags_per_true_positive=_ratio(sum(m.known for m in judged), sum(m.hits for m in judged)),
        new=_mean([month.new for month in months[1:]]),
        **_told(parts, outcomes),
    )


def weighted_median(counted: tuple[tuple[int, float], ...]) -> float:
    """Return the median of values with their counts; NaN of none."""
    total, seen = sum(count for _, count in counted), 0.0
    for value, count in counted:
        seen += count
        if seen >= total / 2:
            return float(value)
    return float("nan")


def plain(value: float) -> float | None:
    """Return a number as JSON takes it: None for NaN."""
    return None if np.isnan(value) else round(float(value), 6)


def _month(shares: Array, outcomes: Outcomes, place: int) -> MonthFigures:
    share, label = shares[place], outcomes.label[place]
    known, hit = ~np.isnan(label), label == 1
    length, hits = float(share.sum()), float(share[hit].sum())
    judged = outcomes.mature[place]
    again = np.minimum(share, shares[place - 1]).sum() if place else float("nan")
    return MonthFigures(
        length=length,
        known=float(share[known].sum()) if judged else float("nan"),
        hits=hits,
        precision=_ratio(hits, float(share[known].sum())) if judged else float("nan"),
        recall=_ratio(hits, float(hit.sum())) if judged else float("nan"),
        new=1.0 - _ratio(float(again), length),
    )


def _spells(flags: Flags, outcomes: Outcomes) -> _Spells:
    """Walk the months once for all officers: open spells, renew them, close those that expire."""
    officers = flags.shape[1]
    first, last = np.full(officers, -1), np.full(officers, -1)
    outcome, ended = np.full(officers, NEVER), []
    for month, listed in enumerate(flags):
        over = (last >= 0) & ~listed & (month - last >= outcomes.expires)
        ended.append(_closed(np.flatnonzero(over), (first, last, outcome), month))
        first[over] = last[over] = -1
        opened = listed & (last < 0)
        first[opened], outcome[opened] = month, NEVER
        last[listed] = month
        comes = listed & ~np.isnan(outcomes.after[month])
        outcome[comes] = np.minimum(outcome[comes], month + outcomes.after[month, comes].astype(np.int64))
    ended.append(_closed(np.flatnonzero(last >= 0), (first, last, outcome), NEVER))
    return _Spells(*(np.concatenate(column) for column in zip(*ended, strict=True)))


def _closed(
    who: npt.NDArray[np.int64], state: tuple[npt.NDArray[np.int64], ...], month: int
) -> tuple[npt.NDArray[np.int64], ...]:
    return (who, *(column[who].copy() for column in state), np.full(len(who), month))


def _told(parts: list[_Spells], outcomes: Outcomes) -> dict[str, Any]:
    """Means over the ways to break ties; spells whose outcome is not known are left out."""
    leads: Counter[int] = Counter()
    counts = np.zeros(5)
    for each in parts:
        reached = each.outcome != NEVER
        gone = np.isnan(outcomes.label[each.first, each.officer]) & ~reached
        known = outcomes.mature[each.first] & ~gone
        leads.update((each.outcome - each.first)[known & reached].tolist())
        ended = (each.expired != NEVER) & outcomes.mature[each.last] & ~gone
        without = ended & (each.outcome > each.expired)
        rows = (known, known & reached, ended, without, without & reached)
        counts += np.asarray([row.sum() for row in rows])
    names = ("spells", "with_outcome", "expired", "expired_without", "later")
    told: dict[str, Any] = dict(zip(names, (counts / len(parts)).tolist(), strict=True))
    return told | {"leads": tuple((lead, count / len(parts)) for lead, count in sorted(leads.items()))}


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
