"""Rows sent in a request that have no fault at all, as Histories: as by way of the door, in a tenth of its time.

Whatever is not plainly good is left to the door (given.py), which knows every rule and tells every fault.
"""

import datetime as dt
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.histories.checking import LARGEST, YEARS
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS, Events, Histories, Postings
from features.months import NO_DAY, first_day, last_day, timestamps
from features.profile import Profile

NOT_OF_PEOPLE = ("valid_from", "valid_to", "post", "unit")
TEXTS = ("officer_id", "post", "unit", "name", "rank", "sex", "supervisor_id", "measure", "event_id")
FIRST_DAY, LAST_DAY = int(first_day(12 * YEARS[0])), int(last_day(12 * YEARS[1] + 11))

Cells = dict[str, tuple[Any, ...]]
"""The rows of a table by column."""


def faultless_histories(profile: Profile, roster: Sequence[Any], events: Sequence[Any]) -> Histories | None:
    """Return the Histories of rows that nothing at all is against; None where the door must look at them.

    The rows have an attribute for each column of the export, dates and numbers as such.
    """
    people, happened = _cells(roster, ROSTER_COLUMNS), _cells(events, EVENT_COLUMNS)
    texts = [cells for table in (people, happened) for name, cells in table.items() if name in TEXTS]
    if not (all(map(_clean, texts)) and _known(profile, people, happened)):
        return None
    officers = np.unique(np.asarray(people["officer_id"], dtype=str))
    postings = _postings(profile, officers, people)
    taken = _taken(profile, officers, happened)
    if postings is None or taken is None or _twice(happened, taken):
        return None
    order = np.lexsort((postings.first, postings.officer))
    own = Postings(**{name: column[order] for name, column in vars(postings).items()})
    shown = {name: [cells[row] for row in order] for name, cells in people.items() if name not in NOT_OF_PEOPLE}
    by = (taken.began, taken.value, taken.recorded, taken.occurred, taken.measure, taken.officer)
    posts = tuple(profile.posts) or tuple(sorted(set(people["post"])))
    units = tuple(sorted(set(people["unit"])))
    table = pd.DataFrame({**shown, "hired_on": timestamps(own.hired)})
    return Histories(profile, officers, posts, units, own, taken.take(np.lexsort(by)), table)


def _cells(rows: Sequence[Any], columns: Sequence[str]) -> Cells:
    cells = zip(*map(attrgetter(*columns), rows), strict=True) if rows else ((),) * len(columns)
    return dict(zip(columns, cells, strict=True))


def _clean(texts: Sequence[str | None]) -> bool:
    """Whether every text is one that the door takes as it is."""
    return all(text is None or (text == text.strip() != "" and "\0" not in text) for text in set(texts))


def _known(profile: Profile, people: Cells, happened: Cells) -> bool:
    """Whether everyone is on the roster, every key in the profile, every number within its bounds."""
    years = (year for year in people["birth_year"] if year is not None)
    return (
        set(happened["officer_id"]) <= set(people["officer_id"])
        and set(happened["measure"]) <= profile.measures.keys()
        and (not profile.posts or set(people["post"]) <= profile.posts.keys())
        and all(YEARS[0] <= year <= YEARS[1] for year in years)
        and not (np.abs(_values(happened)) > LARGEST).any()
    )


def _postings(profile: Profile, officers: Any, people: Cells) -> Postings | None:
    """The postings in the order sent; None where a date is wrong."""
    first, last, hired = (_days(people[name]) for name in ("valid_from", "valid_to", "hired_on"))
    if first is None or last is None or hired is None or ((last != NO_DAY) & (last < first)).any():
        return None
    places = (
        {key: place for place, key in enumerate(keys)}
        for keys in (officers.tolist(), profile.posts or sorted(set(people["post"])), sorted(set(people["unit"])))
    )
    officer, post, unit = (
        np.fromiter(map(place.__getitem__, people[name]), np.int32)
        for place, name in zip(places, ("officer_id", "post", "unit"), strict=True)
    )
    return Postings(officer, first, last, post, unit, hired)


def _taken(profile: Profile, officers: Any, happened: Cells) -> Events | None:
    """The events in the order sent; None where a date is wrong."""
    occurred, recorded, began = (_days(happened[name]) for name in ("occurred_on", "recorded_on", "began_on"))
    if occurred is None or recorded is None or began is None:
        return None
    recorded = np.where(recorded == NO_DAY, occurred, recorded).astype(np.int32)
    if (recorded < occurred).any() or (began > occurred).any():
        return None
    place = {officer: number for number, officer in enumerate(officers.tolist())}
    return Events(
        officer=np.fromiter(map(place.__getitem__, happened["officer_id"]), np.int32),
        measure=np.fromiter(map(profile.measure_number.__getitem__, happened["measure"]), np.int32),
        occurred=occurred,
        recorded=recorded,
        began=began,
        value=_values(happened) + 0.0,
        event=_groups(happened["event_id"]),
    )


def _values(happened: Cells) -> Any:
    """The numbers, NaN where there is none."""
    return np.asarray(happened["value"], dtype=np.float64)


def _groups(ids: Sequence[str | None]) -> Any:
    """A number for each id in the order of their first rows; -1 where there is none."""
    number: dict[str, int] = {}
    return np.asarray([-1 if one is None else number.setdefault(one, len(number)) for one in ids], dtype=np.int64)


def _twice(happened: Cells, taken: Events) -> bool:
    """Whether two rows have the same event_id and recorded_on."""
    told = [key for key in zip(happened["event_id"], taken.recorded.tolist(), strict=True) if key[0] is not None]
    return len(set(told)) < len(told)


def _days(dates: Sequence[dt.date | None]) -> Any:
    """Days since 1970, NO_DAY where absent; None where a year is not one that the door takes."""
    days = pa.array(dates, pa.date32()).cast(pa.int32()).fill_null(NO_DAY).to_numpy()
    told = days[days != NO_DAY]
    return days if ((told >= FIRST_DAY) & (told <= LAST_DAY)).all() else None
