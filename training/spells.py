"""The action ledger read for training: who was helped when, and which rows were helped before they were settled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.asknown import NEVER, lifetimes
from features.histories.tables import Events, Histories
from features.months import last_day, month_of_day
from features.profile import Profile
from features.profile_rows import EventOutcome
from training.dataset import TrainingSet

KINDS = ("rest", "mentoring")

Array = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def marks(profile: Profile, risk: str) -> tuple[str, ...]:
    """Return the measures whose events say that someone was helped with a risk.

    The risk's own ``acted_on``; where the profile names none, what rest and mentoring that answer it are recorded as.
    """
    acted_on = profile.risks[risk].acted_on
    if acted_on:
        return (acted_on,)
    answers = [action for action in profile.actions.values() if action.kind in KINDS and risk in action.risks]
    return tuple(dict.fromkeys(action.recorded_as for action in answers if action.recorded_as))


@dataclass(frozen=True)
class Ledger:
    """Help as known: its days by officer (sorted keys), and who was helped in which month from ``base`` on.

    ``helped`` is [month, officer]; ``monthly`` the share helped in an average month since the first help.
    """

    keys: Longs
    base: int
    helped: Mask
    monthly: float

    @classmethod
    def of(cls, known: Histories, measures: Sequence[str]) -> "Ledger":
        """Return the ledger of some measures: the events that stand."""
        officer, day, _ = standing_events(known, measures)
        month, last = month_of_day(day), int(month_of_day(known.last_recorded))
        base = int(month.min()) if len(month) else last
        helped = np.zeros((last - base + 1, len(known.officers)), dtype=bool)
        helped[month - base, officer] = True
        return cls(np.sort(_key(officer, day)), base, helped, float(helped.mean()))


def standing_events(known: Histories, measures: Sequence[str]) -> tuple[Longs, Longs, Array]:
    """Return officer, day and value of the events that stand, by officer and day."""
    numbers = [known.profile.measure_number[name] for name in measures]
    events = known.events.take(_with_corrections(known.events, np.isin(known.events.measure, numbers)))
    life = lifetimes(events)
    chosen = np.flatnonzero(np.isin(events.measure, numbers) & (life.died == NEVER))
    officer = events.officer[chosen].astype(np.int64)
    day = events.occurred[chosen].astype(np.int64)
    order = np.lexsort((day, officer))
    return officer[order], day[order], life.value[chosen][order]


def _with_corrections(events: Events, rows: Mask) -> Longs:
    """The chosen rows and all that share an event_id with them: a correction may be of another measure."""
    mine = events.event[rows]
    named = np.zeros(int(events.event.max(initial=-1)) + 1, dtype=bool)
    named[mine[mine >= 0]] = True
    return np.flatnonzero(rows | (named[events.event] & (events.event >= 0)) if named.any() else rows)


def _key(officer: npt.ArrayLike, day: npt.ArrayLike) -> Longs:
    return (np.asarray(officer, dtype=np.int64) << 32) + np.asarray(day, dtype=np.int64)


def censored(known: Histories, rows: TrainingSet, ledger: Ledger) -> tuple[Mask, Longs]:
    """Return which rows were helped before their outcome was settled, and in which month of the horizon that was.

    An event outcome is settled on the day it is reached, all others on the horizon's last day. Help up to the
    as-of is history, not treatment.
    """
    horizon = known.profile.risks[rows.risk].horizon_months
    end = last_day(rows.as_of + horizon).astype(np.int64)
    reached = np.minimum(_reached(known, rows), end)
    place = np.searchsorted(ledger.keys, _key(rows.officer, last_day(rows.as_of)), side="right")
    upto = np.searchsorted(ledger.keys, _key(rows.officer, reached), side="right")
    return upto > place, month_of_day(reached).astype(np.int64) - rows.as_of


def _reached(known: Histories, rows: TrainingSet) -> Longs:
    """The day on which an event outcome was reached; for everyone else a day after every horizon."""
    found = np.full(len(rows), np.iinfo(np.int32).max, dtype=np.int64)
    outcome = known.profile.risks[rows.risk].outcome
    if not isinstance(outcome, EventOutcome):
        return found
    officer, day, value = standing_events(known, (outcome.measure,))
    total = np.concatenate([[0.0], np.cumsum(np.maximum(value, 0.0))])
    before = np.searchsorted(_key(officer, day), _key(rows.officer, last_day(rows.as_of)), side="right")
    place = np.searchsorted(total, total[before] + outcome.at_least - 1e-9) - 1
    positive = np.flatnonzero((rows.label == 1) & (place < len(day)))
    found[positive] = day[place[positive]]
    return found
