"""The rows that the simulated force writes down: when they occurred, when they were recorded, what was corrected."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.histories.tables import EVENT_COLUMNS, Floats, Ints
from features.months import NO_DAY, timestamps

DELAY = {
    "complaint": 45, "enforcement_fault": 70, "loss_recovery_rate": 25, "burnout_episode": 4, "injury": 3,
    "citizen_rating": 4, "online_rating": 6, "case_quality": 15, "hard_case_solved": 12,
}  # fmt: skip
"""Mean days until a row of the measure is recorded; most others are known on the day."""
USUAL_LATE, USUAL_DELAY = 0.02, 6.0
"""So many of the other rows come late, by so many days on average."""
NAMED = frozenset(
    {"complaint", "enforcement_fault", "burnout_episode", "injury", "case_solved", "hard_case_solved", "murder_solved",
     "star_quarter", "honour"}
)  # fmt: skip
"""Measures whose every row has an event_id; of the others, the rows that are corrected later."""
CORRECTED, RETRACTED, WITHDRAWN = 0.012, 0.003, 0.12
"""Chances of a correction, of a retraction, and of a withdrawal of what can be withdrawn or appealed."""
WITHDRAWABLE = frozenset({"complaint", "enforcement_fault"})
UNTOUCHED = frozenset({"burnout_episode"})
FACTOR = 0.15
"""A correction multiplies the value by 1 plus or minus so much."""

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Event rows as arrays; ``measure`` is a position in the profile, ``event`` -1 where there is no event_id."""

    person: Ints
    measure: Ints
    occurred: Ints
    value: Floats
    recorded: Ints
    began: Ints
    event: Longs

    def take(self, chosen: npt.NDArray[np.bool_] | Longs) -> "Rows":
        """Return the chosen rows, in their order."""
        return Rows(**{part.name: getattr(self, part.name)[chosen] for part in fields(self)})


def _joined(parts: list[Rows]) -> Rows:
    return Rows(**{part.name: np.concatenate([getattr(rows, part.name) for rows in parts]) for part in fields(Rows)})


@dataclass
class Ledger:
    """Rows gathered month by month; ``table`` makes the events of them."""

    measures: tuple[str, ...]
    rng: np.random.Generator
    parts: list[Rows] = field(default_factory=list)

    def add(self, measure: str, who: Ints, day: Ints, value: Floats | float, *, began: Ints | None = None) -> None:
        """Write one row per person: what, when, how much; delays are drawn here."""
        size = len(who)
        if not size:
            return
        amount: Floats = np.broadcast_to(np.round(np.asarray(value, dtype=np.float64), 2), (size,))
        rows = Rows(
            person=who.astype(np.int32),
            measure=np.full(size, self.measures.index(measure), dtype=np.int32),
            occurred=np.asarray(day, dtype=np.int32),
            value=amount,
            recorded=np.asarray(day, dtype=np.int32) + self._delay(measure, size),
            began=np.full(size, NO_DAY, dtype=np.int32) if began is None else began.astype(np.int32),
            event=np.full(size, -1, dtype=np.int64),
        )
        self.parts.append(rows)

    def _delay(self, measure: str, size: int) -> Ints:
        if measure in DELAY:
            return self.rng.exponential(DELAY[measure], size).astype(np.int32)
        late = self.rng.random(size) < USUAL_LATE
        return (late * self.rng.exponential(USUAL_DELAY, size)).astype(np.int32)

    def table(self, officers: tuple[str, ...], *, until: int) -> pd.DataFrame:
        """Return every row recorded by day ``until``, corrections included, with the contract's columns."""
        rows = _joined(self.parts)
        rows = rows.take(np.lexsort((rows.measure, rows.person, rows.occurred)))
        rows = self._with_corrections(rows)
        return self._as_frame(rows.take(rows.recorded <= until), officers)

    def _with_corrections(self, rows: Rows) -> Rows:
        """Add, under the same event_id, the later row of what was corrected, or withdrawn (an empty value)."""
        draw, empty_chance = self.rng.random(len(rows.person)), self._by_measure(_retraction)[rows.measure]
        empty = draw < empty_chance
        changed = ~empty & (draw < empty_chance + self._by_measure(_correction)[rows.measure]) & (rows.value > 1)
        named = self._by_measure(_named)[rows.measure] > 0
        event = np.where(named | empty | changed, np.arange(len(draw)), -1)
        again = np.flatnonzero(empty | changed)
        before = rows.take(again)
        after = Rows(
            person=before.person,
            measure=before.measure,
            occurred=before.occurred,
            value=np.where(empty[again], np.nan, self._corrected(before.value)),
            recorded=before.recorded + 5 + self.rng.exponential(40, len(again)).astype(np.int32),
            began=before.began,
            event=event[again],
        )
        first = Rows(**{**{part.name: getattr(rows, part.name) for part in fields(rows)}, "event": event})
        return _joined([first, after])

    def _corrected(self, value: Floats) -> Floats:
        factor = np.clip(1.0 + FACTOR * self.rng.standard_normal(len(value)), 0.5, 1.5)
        whole = value == np.round(value)
        found = np.where(whole, np.round(value * factor), np.round(value * factor, 2))
        return np.where(value <= 100.0, np.minimum(found, 100.0), found)

    def _by_measure(self, rule: Callable[[str], float]) -> Floats:
        return np.array([rule(key) for key in self.measures], dtype=np.float64)

    def _as_frame(self, rows: Rows, officers: tuple[str, ...]) -> pd.DataFrame:
        columns = {
            "officer_id": _text(rows.person, officers),
            "measure": _text(rows.measure, self.measures),
            "occurred_on": timestamps(rows.occurred),
            "value": rows.value,
            "recorded_on": timestamps(rows.recorded),
            "began_on": timestamps(rows.began),
            "event_id": _event_ids(rows.event),
        }
        return pd.DataFrame(columns)[list(EVENT_COLUMNS)]


def _text(codes: Ints, names: tuple[str, ...]) -> pd.Series:
    words = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.large_string())
    return pd.Series(pd.array(words, dtype="str"))


def _event_ids(event: Longs) -> pd.Series:
    number, place = np.unique(event, return_inverse=True)
    names = tuple(f"E{code:08d}" for code in number[number >= 0].tolist())
    codes = pa.array(place - int((number < 0).sum()), mask=event < 0)
    words = pa.DictionaryArray.from_arrays(codes, pa.array(names, type=pa.string())).cast(pa.large_string())
    return pd.Series(pd.array(words, dtype="str"))


def _correction(measure: str) -> float:
    return 0.0 if measure in UNTOUCHED else CORRECTED


def _retraction(measure: str) -> float:
    return 0.0 if measure in UNTOUCHED else WITHDRAWN if measure in WITHDRAWABLE else RETRACTED


def _named(measure: str) -> float:
    return float(measure in NAMED)
