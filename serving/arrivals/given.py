"""Histories sent in a request: their columns, checked by the same rules as an export at the door, in memory.

Rows without any fault, which is the usual case, become Histories at once (faultless.py); the door tells of all others.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from features.histories.checking import EventRows, Reference, check_events, check_roster
from features.histories.merging import repeated_ids
from features.histories.quarantine import listed
from features.histories.reading import Block
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS, Histories, histories
from features.months import timestamps
from features.profile import Profile
from serving.answers.problems import Kind, Problem
from serving.arrivals.faultless import faultless_histories

Id = Annotated[str, Field(min_length=1, max_length=200)]


class Given(BaseModel):
    """The base of what is sent: unknown columns are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Posting(Given):
    """A row of the roster, as in a history export."""

    officer_id: Id
    valid_from: dt.date
    valid_to: dt.date | None = None
    post: Id
    unit: Id
    name: str | None = Field(default=None, description="Not read.")
    rank: str | None = None
    hired_on: dt.date | None = None
    birth_year: int | None = Field(default=None, description="Not read.")
    sex: str | None = Field(default=None, description="Not read.")
    supervisor_id: str | None = None


class Event(Given):
    """A row of the events, as in a history export."""

    officer_id: Id
    measure: Id
    occurred_on: dt.date
    value: float | None = Field(default=None, allow_inf_nan=False)
    recorded_on: dt.date | None = None
    began_on: dt.date | None = None
    event_id: str | None = Field(default=None, max_length=200)


def given_histories(profile: Profile, roster: Sequence[Posting], events: Sequence[Event]) -> Histories:
    """Return Histories of the rows sent; a Problem lists every bad row with its position."""
    return faultless_histories(profile, roster, events) or _checked(profile, roster, events)


def _checked(profile: Profile, roster: Sequence[Posting], events: Sequence[Event]) -> Histories:
    """The Histories of rows as the door reads them; a Problem lists every bad row."""
    postings, bad_postings = check_roster(_block("roster", ROSTER_COLUMNS, roster), profile, "request")
    officers = np.unique(np.array([row.officer_id for row in roster], dtype=str))
    reference = Reference(pd.Index(officers, dtype="object"), frozenset(), pd.Index(list(profile.measure_keys)))
    good, places, bad_events = check_events(_block("events", EVENT_COLUMNS, events), reference, "request")
    faults = [_fault(row) for row in (*listed(bad_postings), *listed(bad_events))]
    faults += _repeats(good, np.flatnonzero(places))
    if faults:
        raise Problem(Kind.INVALID, "Some rows can't be used; nothing was scored.", faults)
    return histories(profile=profile, roster=_roster(postings), events=_events(good, officers, profile))


def _block(table: str, columns: Sequence[str], rows: Sequence[Given]) -> Block:
    """The rows as the door reads them: every cell as text; a row's line is its position in the request."""
    cells = {column: pa.array([_text(getattr(row, column)) for row in rows], pa.string()) for column in columns}
    return Block(file=table, lines=np.arange(len(rows), dtype=np.int64), cells=cells, size=len(rows))


def _text(cell: Any) -> str | None:
    return None if cell is None else repr(cell) if isinstance(cell, float) else str(cell)


def _fault(row: dict[str, Any]) -> str:
    return f"{row['file']}.{row['line']}.{row['column']}: {row['reason']}"


def _repeats(events: EventRows, places: Any) -> list[str]:
    repeats, firsts = repeated_ids(events)
    return [
        f"events.{places[again]}.event_id: the same event_id and recorded_on as events.{places[first]}"
        for again, first in zip(repeats, firsts, strict=True)
    ]


def _roster(postings: pd.DataFrame) -> pd.DataFrame:
    dates = {name: timestamps(postings[name].to_numpy()) for name in ("valid_from", "valid_to", "hired_on")}
    return postings[list(ROSTER_COLUMNS)].assign(**dates)


def _events(good: EventRows, officers: Any, profile: Profile) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "officer_id": officers[good.officer],
            "measure": np.asarray(profile.measure_keys, dtype=object)[good.measure],
            "occurred_on": timestamps(good.occurred),
            "value": good.value,
            "recorded_on": timestamps(good.recorded),
            "began_on": timestamps(good.began),
            "event_id": good.ids.to_pylist(),
        }
    )
