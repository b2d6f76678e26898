"""What is held of one person: postings and records, from the histories of this person alone."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from features.histories.tables import Histories
from features.months import NO_DAY, month_of, month_text
from features.profile import Profile
from serving.months.rerun import record_name
from serving.persons.own_histories import mark_of, own_histories
from serving.scored.kept import Newest

EPOCH = dt.date(1970, 1, 1)
MONTHS = 12
KEPT = 32
"""So many persons' records are kept as values."""


@dataclass(frozen=True)
class Record:
    """One record; ``name`` is what an objection calls it, ``value`` None where the row was empty.

    ``state``: ``counts``, ``corrected`` (a later row stands in its place) or ``retracted``.
    """

    name: str
    measure: str
    occurred_on: dt.date
    began_on: dt.date | None
    value: float | None
    recorded_on: dt.date
    state: str


@dataclass(frozen=True)
class Place:
    """One posting."""

    first: dt.date
    last: dt.date | None
    post: str
    unit: str


@dataclass(frozen=True)
class MeasureHeld:
    """What is held of one measure: how many records count, since when, and each of the last months' number."""

    measure: str
    records: int
    first: dt.date
    last: dt.date
    months: Sequence[float | None]


@dataclass(frozen=True)
class Held:
    """Everything that is held of a person: postings by day, records with the newest first, the profile's words."""

    profile: Profile
    places: Sequence[Place]
    records: Sequence[Record]
    personal: dict[str, str]
    """name, rank, hired_on, birth_year and sex of the newest posting, where they are held."""

    def months(self) -> list[str]:
        """Return the twelve months (YYYY-MM) up to the last record."""
        last = max((month_of(record.occurred_on) for record in self.records), default=0)
        return [month_text(month) for month in range(last - MONTHS + 1, last + 1)] if last else []

    def by_measure(self) -> Sequence[MeasureHeld]:
        """Return a row a measure in the order of the profile, of the records that count."""
        return self._by_measure

    @cached_property
    def _by_measure(self) -> Sequence[MeasureHeld]:
        counting = [record for record in self.records if record.state == "counts"]
        mine: dict[str, list[Record]] = {}
        for record in counting:
            mine.setdefault(record.measure, []).append(record)
        months = self.months()
        return [_measure_held(self.profile, key, mine[key], months) for key in self.profile.measures if key in mine]

    def of(self, measure: str) -> list[Record]:
        """Return the records of a measure, the newest first."""
        return [record for record in self.records if record.measure == measure]


_held: Newest[Held] = Newest(KEPT)


def held_of(home: Path, officer_id: str) -> Held:
    """Return what the store holds of a person; a Refusal for someone who is not on the roster."""
    return _held.of((mark_of(home), officer_id), lambda: _made(home, officer_id))


def _made(home: Path, officer_id: str) -> Held:
    own, ids = own_histories(home, officer_id)
    return Held(own.profile, _places(own), _records(own, ids), _personal(own))


def _records(own: Histories, ids: Sequence[str | None]) -> list[Record]:
    events, keys = own.events, own.profile.measure_keys
    found = []
    for row, state in enumerate(_states(own)):
        occurred, measure = _day(events.occurred[row]), keys[events.measure[row]]
        found.append(
            Record(
                name=record_name(ids[row], measure, occurred),
                measure=measure,
                occurred_on=occurred,
                began_on=None if events.began[row] == NO_DAY else _day(events.began[row]),
                value=None if np.isnan(events.value[row]) else float(events.value[row]),
                recorded_on=_day(events.recorded[row]),
                state=state,
            )
        )
    return sorted(found, key=lambda record: (record.occurred_on, record.recorded_on, record.measure), reverse=True)


def _states(own: Histories) -> list[str]:
    """Of the rows of one event_id the last recorded one counts; where that is empty, none does."""
    event = own.events.event
    newest = np.arange(len(event))
    order = np.argsort(own.events.recorded, kind="stable")
    known = order[event[order] >= 0]
    last = dict(zip(event[known].tolist(), known.tolist(), strict=True))
    several = np.zeros(len(event), dtype=bool)
    for row in known.tolist():
        newest[row] = last[int(event[row])]
        several[last[int(event[row])]] |= newest[row] != row
    empty = several & np.isnan(own.events.value)
    return ["corrected" if newest[row] != row else "retracted" if empty[row] else "counts" for row in range(len(event))]


def _places(own: Histories) -> list[Place]:
    rows = own.postings
    return [
        Place(
            first=_day(rows.first[row]),
            last=None if rows.last[row] == NO_DAY else _day(rows.last[row]),
            post=own.posts[rows.post[row]],
            unit=own.units[rows.unit[row]],
        )
        for row in np.argsort(rows.first, kind="stable")[::-1]
    ]


def _personal(own: Histories) -> dict[str, str]:
    newest = own.people.iloc[int(np.argmax(own.postings.first))]
    found = {name: newest[name] for name in ("name", "rank", "hired_on", "birth_year", "sex")}
    return {name: _said(value) for name, value in found.items() if value is not None and value == value}


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}"
    return str(value).removesuffix(" 00:00:00")


def _measure_held(profile: Profile, key: str, rows: Iterable[Record], months: Sequence[str]) -> MeasureHeld:
    by_month: dict[str, list[Record]] = {}
    ordered = sorted(rows, key=lambda record: record.occurred_on)
    for record in ordered:
        by_month.setdefault(record.occurred_on.strftime("%Y-%m"), []).append(record)
    numbers = [_number(profile.measures[key].aggregate, by_month.get(month, [])) for month in months]
    return MeasureHeld(key, len(ordered), ordered[0].occurred_on, ordered[-1].occurred_on, numbers)


def _number(aggregate: str, rows: Sequence[Record]) -> float | None:
    """One month's number by the measure's aggregate; an empty value counts as 1."""
    values = [1.0 if record.value is None else record.value for record in rows]
    if not values:
        return None
    made = {"sum": sum(values), "mean": sum(values) / len(values), "max": max(values), "last": values[-1]}
    return made[aggregate]


def _day(number: int) -> dt.date:
    return EPOCH + dt.timedelta(days=int(number))
