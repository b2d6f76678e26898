"""The declared tables: the columns of a history export, and Histories, their checked and frozen form."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import Refusal
from features.histories.bases import NO_BASES, Bases
from features.months import NO_DAY, day_numbers, last_day, timestamps
from features.others import ALONE, Others
from features.profile import Profile

ROSTER_COLUMNS = ("officer_id", "valid_from", "valid_to", "post", "unit", "name", "rank", "hired_on",
                  "birth_year", "sex", "supervisor_id")  # fmt: skip
ROSTER_NEEDED = ("officer_id", "valid_from", "post", "unit")
EVENT_COLUMNS = ("officer_id", "measure", "occurred_on", "value", "recorded_on", "began_on", "event_id")
EVENT_NEEDED = ("officer_id", "measure", "occurred_on")

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Postings:
    """Who was where: one entry per posting, sorted by officer and first day.

    ``officer`` is a position in Histories.officers; ``post`` and ``unit`` are positions in
    Histories.posts and Histories.units; days count from 1970-01-01, NO_DAY where absent.
    """

    officer: Ints
    first: Ints
    last: Ints
    post: Ints
    unit: Ints
    hired: Ints


@dataclass(frozen=True)
class Events:
    """What happened: one entry per row, sorted by officer, measure, occurred, recorded, value.

    ``measure`` is a position in the profile's measure_keys; ``value`` is NaN where the row was empty;
    ``event`` groups rows of the same event_id (-1 where there was none); days as in Postings.
    """

    officer: Ints
    measure: Ints
    occurred: Ints
    recorded: Ints
    began: Ints
    value: Floats
    event: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.officer)

    def take(self, rows: npt.NDArray[Any] | slice) -> "Events":
        """Return the chosen rows (a mask or positions), in their order."""
        return Events(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})


@dataclass(frozen=True)
class Histories:
    """Checked histories of a force: the only input of features, labels and the index.

    ``people`` holds name, rank, hired_on, birth_year, sex and supervisor_id of each posting, for display
    and audits; nothing in the engine reads it. ``bases`` says on whose health data there is a basis, and when.
    ``others`` tells what these officers are held against where they are a part of a force only.
    """

    profile: Profile
    officers: npt.NDArray[np.str_]
    posts: tuple[str, ...]
    units: tuple[str, ...]
    postings: Postings
    events: Events
    people: pd.DataFrame
    bases: Bases = NO_BASES
    others: Others = ALONE

    def __post_init__(self) -> None:
        late = self.events.recorded < self.events.occurred
        if late.any():
            raise Refusal(f"{int(late.sum())} events were recorded before they occurred.")
        if len(self.events) and self.events.officer.max() >= len(self.officers):
            raise Refusal("An event names an officer who is not on the roster.")

    @cached_property
    def last_recorded(self) -> int:
        """The last day on which anything was recorded; NO_DAY for a store without events."""
        return self.others.last_recorded(int(self.events.recorded.max()) if len(self.events) else int(NO_DAY))

    def until(self, month: int | None) -> "Histories":
        """Return these histories with only the events recorded by the end of ``month`` (all when None)."""
        if month is None or self.last_recorded <= last_day(month):
            return self
        known = self.events.take(self.events.recorded <= last_day(month))
        return replace(self, events=known, others=self.others.until(month))

    def covered(self, month: int) -> npt.NDArray[np.bool_]:
        """Return for each officer whether sensitive measures may be used at the end of a month."""
        register = self.profile.settings.sensitive_basis == "organisation"
        return self.bases.covering(self.officers, int(last_day(month)), register=register)

    def officers_at(self, chosen: npt.NDArray[np.bool_]) -> "Histories":
        """Return the histories of some officers only (a mask over ``officers``); codes of posts and units stay."""
        number = np.cumsum(chosen) - 1
        mine, theirs = chosen[self.events.officer], chosen[self.postings.officer]
        events = self.events.take(mine)
        postings = Postings(**{part.name: getattr(self.postings, part.name)[theirs] for part in fields(Postings)})
        return replace(
            self,
            officers=self.officers[chosen],
            events=replace(events, officer=number[events.officer].astype(np.int32)),
            postings=replace(postings, officer=number[postings.officer].astype(np.int32)),
            people=self.people[theirs].reset_index(drop=True),
        )


def histories(*, profile: Profile, roster: pd.DataFrame, events: pd.DataFrame) -> Histories:
    """Return Histories of two checked tables with the contract's columns.

    Dates are datetime64 (NaT where absent), ids text, values float (NaN where empty). Absent optional
    columns are filled in: ``recorded_on`` with ``occurred_on``. The rows must have passed
    the checks of ingest; a row with an unknown officer or measure is a Refusal here.
    """
    roster = roster.reindex(columns=list(ROSTER_COLUMNS)).sort_values(["officer_id", "valid_from"], kind="stable")
    roster = roster.reset_index(drop=True)
    officers = np.unique(roster["officer_id"].to_numpy(dtype=str))
    posts = tuple(profile.posts) or tuple(sorted(set(roster["post"].astype(str))))
    units = tuple(sorted(set(roster["unit"].astype(str))))
    postings = Postings(
        officer=np.searchsorted(officers, roster["officer_id"].to_numpy(dtype=str)).astype(np.int32),
        first=day_numbers(roster["valid_from"].to_numpy()),
        last=day_numbers(pd.to_datetime(roster["valid_to"]).to_numpy()),
        post=_codes(roster["post"], posts, "post"),
        unit=_codes(roster["unit"], units, "unit"),
        hired=day_numbers(pd.to_datetime(roster["hired_on"]).to_numpy()),
    )
    people = roster[["officer_id", "name", "rank", "hired_on", "birth_year", "sex", "supervisor_id"]]
    return Histories(profile, officers, posts, units, postings, _events(profile, officers, events), people)


def _events(profile: Profile, officers: npt.NDArray[np.str_], table: pd.DataFrame) -> Events:
    table = table.reindex(columns=list(EVENT_COLUMNS))
    occurred = day_numbers(pd.to_datetime(table["occurred_on"]).to_numpy())
    recorded = day_numbers(pd.to_datetime(table["recorded_on"]).to_numpy())
    events = Events(
        officer=_codes(table["officer_id"], tuple(officers), "officer_id"),
        measure=_codes(table["measure"], profile.measure_keys, "measure"),
        occurred=occurred,
        recorded=np.where(recorded == NO_DAY, occurred, recorded).astype(np.int32),
        began=day_numbers(pd.to_datetime(table["began_on"]).to_numpy()),
        value=table["value"].to_numpy(dtype=np.float64, na_value=np.nan),
        event=np.asarray(pd.factorize(table["event_id"])[0], dtype=np.int64),
    )
    order = np.lexsort((events.began, events.value, events.recorded, events.occurred, events.measure, events.officer))
    return events.take(order)


def _codes(column: pd.Series, known: tuple[str, ...], what: str) -> Ints:
    values = pd.Categorical(column.astype(object), categories=list(known))
    codes = np.asarray(values.codes, dtype=np.int32)
    if (codes < 0).any():
        unknown = sorted({str(value) for value in column[codes < 0]})
        raise Refusal(f"Unknown {what}:", unknown)
    return codes


def event_table(given: Histories) -> pd.DataFrame:
    """Return the events as a table with the contract's columns (event_id as the group's number, or absent)."""
    events = given.events
    return pd.DataFrame(
        {
            "officer_id": given.officers[events.officer],
            "measure": np.asarray(given.profile.measure_keys)[events.measure],
            "occurred_on": timestamps(events.occurred),
            "value": events.value,
            "recorded_on": timestamps(events.recorded),
            "began_on": timestamps(events.began),
            "event_id": pd.Series(events.event).map(lambda code: f"e{code}" if code >= 0 else None),
        }
    )
