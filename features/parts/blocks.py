"""Blocks of officers: who belongs to which, and the histories of one block, read from the store by whoever needs them.

A block is officers who follow one another in the order of ids, as their events do in the store: a worker reads the
row groups of its own block and no others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from features.histories.bases import load_bases
from features.histories.store import block_days, current_version, load_block, stored_profile
from features.histories.tables import Events, Histories, Ints, Postings
from features.months import NO_DAY, last_day, month_of_day
from features.others import ALONE, Extent, Others

OFFICERS = 2048
"""So many officers make a block: what a worker holds at a time does not grow with the force."""

Codes = npt.NDArray[np.int64]
Table = TypeVar("Table", Events, Postings)


@dataclass(frozen=True)
class Block:
    """Where a worker finds the histories of one block: officers ``first`` up to ``after`` in the order of ids.

    ``posts`` and ``units`` are those of the whole force, ``own_units`` the codes of the block's.
    """

    home: Path
    version: Path
    first: int
    after: int
    ids: tuple[str, str]
    posts: tuple[str, ...]
    units: tuple[str, ...]
    own_units: Codes

    def __len__(self) -> int:
        return self.after - self.first

    def histories(self, *, until: int | None = None, others: Others = ALONE) -> Histories:
        """Return the block's histories, with the codes of posts and units that the whole force has."""
        found = load_block(self.version, first=self.first, after=self.after, ids=self.ids)
        post, unit = _places(found.posts, self.posts), _places(found.units, self.units)
        postings = replace(found.postings, post=post[found.postings.post], unit=unit[found.postings.unit])
        bases = load_bases(self.home)
        whole = replace(found, posts=self.posts, units=self.units, postings=postings, bases=bases, others=others)
        return whole.until(until)

    def extent(self, *, until: int | None = None) -> Extent:
        """Return the first and last days of the block, of what was recorded by the end of a month."""
        posting, occurred, recorded = block_days(self.version, first=self.first, after=self.after, ids=self.ids)
        known = recorded <= (recorded.max(initial=NO_DAY) if until is None else last_day(until))
        occurred, recorded = occurred[known], recorded[known]
        far = np.iinfo(np.int32).max
        return Extent(int(posting.min(initial=far)), int(occurred.min(initial=far)), _last_of_months(recorded))


def blocks_of(home: Path, *, officers: int = OFFICERS) -> list[Block]:
    """Return the blocks of the stored force, ascending; only its ids, posts and units are read here."""
    version = current_version(home)
    roster = pq.read_table(version / "roster.parquet", columns=["officer_id", "post", "unit"]).to_pandas()
    names, place = np.unique(roster["officer_id"].to_numpy(dtype=str), return_inverse=True)
    units, unit = np.unique(roster["unit"].to_numpy(dtype=str), return_inverse=True)
    profile = stored_profile(home)
    posts = tuple(profile.posts) or tuple(sorted(set(roster["post"].astype(str))))
    own = _own_units(place // officers, unit)
    return [
        Block(
            home=home,
            version=version,
            first=first,
            after=min(first + officers, len(names)),
            ids=(str(names[first]), str(names[min(first + officers, len(names)) - 1])),
            posts=posts,
            units=tuple(units.tolist()),
            own_units=own[number],
        )
        for number, first in enumerate(range(0, len(names), officers))
    ]


def joined_histories(parts: Sequence[Histories]) -> Histories:
    """Return the histories of several blocks as one; officers are places in their ids, block after block."""
    starts = np.cumsum([0, *(len(part.officers) for part in parts)])
    numbers = np.cumsum([0, *(int(part.events.event.max(initial=-1)) + 1 for part in parts)])
    events = [
        replace(part.events, officer=part.events.officer + np.int32(start), event=_after(part.events.event, number))
        for part, start, number in zip(parts, starts[:-1], numbers[:-1], strict=True)
    ]
    postings = [
        replace(part.postings, officer=part.postings.officer + np.int32(start))
        for part, start in zip(parts, starts[:-1], strict=True)
    ]
    return replace(
        parts[0],
        officers=np.concatenate([part.officers for part in parts]),
        events=_stacked(events),
        postings=_stacked(postings),
        people=pd.concat([part.people for part in parts], ignore_index=True),
    )


def _after(event: Codes, number: int) -> Codes:
    return np.where(event >= 0, event + number, -1)


def _stacked(parts: Sequence[Table]) -> Table:
    names = [part.name for part in fields(parts[0])]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return type(parts[0])(**columns)


def _last_of_months(days: Ints) -> Ints:
    """The last of some days in each month that has any."""
    ordered = np.unique(days)
    month = month_of_day(ordered)
    found: Ints = ordered[np.r_[np.diff(month) != 0, True][: len(ordered)]]
    return found


def _own_units(block: Codes, unit: Codes) -> list[Codes]:
    pairs = np.unique(np.stack([block, unit]), axis=1)
    return np.split(pairs[1], np.flatnonzero(np.diff(pairs[0])) + 1)


def _places(mine: Sequence[str], everyone: Sequence[str]) -> npt.NDArray[np.int32]:
    place = {name: number for number, name in enumerate(everyone)}
    return np.asarray([place[name] for name in mine], dtype=np.int32)
