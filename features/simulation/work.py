"""What the posts' work looks like on record: counts, rates and ratings that follow performance and aptitude."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.histories.tables import Floats, Ints
from features.months import first_day, last_day
from features.simulation.ledger import Ledger

WORKLOAD, QUALITY, SATISFACTION = 0, 1, 2


@dataclass(frozen=True)
class Count:
    """A number a month: Poisson, mean ``usual`` x presence x exp(slope x work)."""

    measure: str
    dimension: int
    usual: float
    slope: float = 0.22


@dataclass(frozen=True)
class Share:
    """``of`` out of ``per``: ``per`` is a Count, ``of`` binomial with log-odds rising with the work."""

    of: str
    per: Count
    usual: float
    slope: float = 0.45


@dataclass(frozen=True)
class Rating:
    """So many ratings a month, each normal around ``usual`` + slope x work."""

    measure: str
    dimension: int
    usual: float
    slope: float
    noise: float
    number: int = 3


Record = Count | Share | Rating

CITIZENS = Rating("citizen_rating", SATISFACTION, 82.0, 5.0, 7.0)
WORK: dict[str, tuple[Record, ...]] = {
    "criminal_investigation": (
        Count("case_opened", WORKLOAD, 12.0), Count("case_solved", QUALITY, 8.0, 0.3),
        Rating("loss_recovery_rate", QUALITY, 42.0, 6.0, 9.0, 3), Count("new_type_crime_case", QUALITY, 2.0, 0.3),
        CITIZENS, Rating("case_quality", QUALITY, 85.0, 3.0, 4.0, 2), Rating("case_days", QUALITY, 38.0, -4.0, 8.0, 2),
        Count("court_day", WORKLOAD, 0.25, 0.0), Count("hard_case_solved", QUALITY, 0.03, 0.3),
        Count("murder_solved", QUALITY, 0.004, 0.3), Count("cause_removed", QUALITY, 0.3, 0.2),
    ),
    "community_policing": (
        Count("household_visit", WORKLOAD, 45.0, 0.18),
        Share("dispute_resolved", Count("dispute_received", WORKLOAD, 12.0, 0.18), 0.72, 0.6),
        Share("key_person_managed", Count("key_person_due", WORKLOAD, 16.0, 0.0), 0.85, 0.6),
        Count("hazard_found", QUALITY, 5.0, 0.3), Count("cause_removed", QUALITY, 2.5, 0.3),
        Rating("online_rating", SATISFACTION, 84.0, 5.0, 7.0, 4),
        Rating("sense_of_safety", SATISFACTION, 88.0, 3.5, 5.0, 2),
        Count("neighbours_reconciled", QUALITY, 0.5, 0.3), Count("lawsuit_free_community", QUALITY, 0.012, 0.3),
        Count("warning_given", QUALITY, 0.8, 0.2),
    ),
    "traffic": (
        Share("standard_enforcement", Count("traffic_enforcement", WORKLOAD, 90.0, 0.15), 0.90, 0.5),
        Share("quick_handled", Count("minor_accident", WORKLOAD, 22.0, 0.18), 0.75, 0.6),
        Rating("accident_reduction", QUALITY, 4.0, 3.0, 5.0, 2),
        Rating("congestion_index", QUALITY, 1.7, -0.12, 0.18, 2),
        CITIZENS, Count("hazard_found", QUALITY, 0.6, 0.2),
    ),
    "patrol": (
        Count("call_handled", WORKLOAD, 55.0, 0.18), Count("patrol_hours", WORKLOAD, 95.0, 0.12),
        Rating("response_minutes", QUALITY, 8.0, -0.7, 1.3, 4), Count("street_crime_stopped", QUALITY, 6.0, 0.3),
        Count("hazard_found", QUALITY, 3.0, 0.3), CITIZENS, Count("court_day", WORKLOAD, 0.1, 0.0),
    ),
    "cyber": (
        Count("cyber_inspection", WORKLOAD, 14.0), Count("case_opened", WORKLOAD, 7.0),
        Count("warning_given", QUALITY, 18.0), Count("fraud_blocked", QUALITY, 9.0, 0.28),
        Count("case_solved", QUALITY, 4.0, 0.3), Count("cause_removed", QUALITY, 3.0, 0.3), CITIZENS,
        Count("new_type_crime_case", QUALITY, 0.15, 0.3), Count("hard_case_solved", QUALITY, 0.02, 0.3),
    ),
    "household_window": (
        Share("service_on_time", Count("service_handled", WORKLOAD, 320.0, 0.12), 0.95, 0.35),
        Count("service_error", QUALITY, 4.0, -0.35), Rating("window_rating", SATISFACTION, 90.0, 3.5, 5.0, 4),
    ),
    "command_centre": (
        Share("dispatch_on_time", Count("dispatch_handled", WORKLOAD, 260.0, 0.12), 0.93, 0.35),
        Rating("dispatch_accuracy", QUALITY, 95.0, 1.2, 1.8, 3), Count("warning_given", QUALITY, 4.0, 0.28),
        Rating("caller_rating", SATISFACTION, 86.0, 4.5, 6.0, 4),
    ),
}  # fmt: skip
LONG_CASE = "case_solved"
"""While a detective has a long case in hand there are no other cases; it is credited when it closes."""
ALL_POSTS: tuple[Record, ...] = (
    Rating("supervisor_rating", QUALITY, 78.0, 6.0, 4.0, 4),
    Count("citizen_thanks", SATISFACTION, 0.15, 0.3),
    Count("volunteering", WORKLOAD, 0.5, 0.35),
    Count("training_hours", WORKLOAD, 1.2, 0.2),
)
CASE_WORK = frozenset({"case_opened", "case_solved", "new_type_crime_case", "cause_removed"})


@dataclass(frozen=True)
class Work:
    """A month of the officers ``who``: ``level`` is [officer, dimension], performance plus aptitude.

    ``presence`` is the share of the month at the own post, ``busy`` marks those in a long case.
    """

    who: Ints
    level: Floats
    presence: Floats
    busy: npt.NDArray[np.bool_]


def record_work(ledger: Ledger, *, month: int, post: str, done: Work) -> None:
    """Write a month's work of the officers of one post."""
    for record in (*WORK[post], *ALL_POSTS):
        if isinstance(record, Rating):
            _rate(ledger, record, month=month, done=done)
            continue
        per = _count(ledger, _of(record), month=month, done=done)
        if isinstance(record, Share):
            odds = np.log(record.usual / (1 - record.usual)) + record.slope * done.level[:, QUALITY]
            of = ledger.rng.binomial(per, 1.0 / (1.0 + np.exp(-odds)))
            _write(ledger, record.of, month=month, who=done.who, number=of.astype(np.int32))


def _of(record: Count | Share) -> Count:
    return record if isinstance(record, Count) else record.per


def _count(ledger: Ledger, record: Count, *, month: int, done: Work) -> Ints:
    free = done.presence * ~done.busy if record.measure in CASE_WORK else done.presence
    level = record.slope * np.clip(done.level[:, record.dimension], -4.0, 4.0)
    number = ledger.rng.poisson(record.usual * free * np.exp(level)).astype(np.int32)
    _write(ledger, record.measure, month=month, who=done.who, number=number)
    return number


def _write(ledger: Ledger, measure: str, *, month: int, who: Ints, number: Ints) -> None:
    some = np.flatnonzero(number > 0)
    late = ledger.rng.integers(0, 8, len(some)) if len(some) else np.zeros(0, dtype=np.int64)
    ledger.add(measure, who[some], last_day(month) - late, number[some].astype(np.float64))


def _rate(ledger: Ledger, record: Rating, *, month: int, done: Work) -> None:
    number = ledger.rng.binomial(record.number, done.presence)
    row = np.repeat(np.arange(len(done.who)), number)
    length = int(last_day(month) - first_day(month)) + 1
    day = first_day(month) + ledger.rng.integers(0, length, len(row))
    value = record.usual + record.slope * done.level[row, record.dimension]
    value = value + record.noise * ledger.rng.standard_normal(len(row))
    top = 100.0 if record.usual > 40 else np.inf
    low = -100.0 if record.measure == "accident_reduction" else 0.5
    ledger.add(record.measure, done.who[row], day, np.clip(value, low, top))
