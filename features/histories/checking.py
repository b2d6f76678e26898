"""What makes a row good: every check of a single row, on whole columns at once, and the entries of bad rows.

What needs more than one row (duplicates, the store) is in merging.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.histories.quarantine import bad_line_entries, row_entries
from features.histories.reading import Block
from features.histories.tables import EVENT_NEEDED, ROSTER_COLUMNS, ROSTER_NEEDED
from features.months import NO_DAY
from features.profile import Profile

Mask = npt.NDArray[np.bool_]
Days = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

YEARS = (1900, 2200)
LARGEST = 1e12
"""No count, hour or yuan of one event is larger; sums of more would not fit the features' single precision."""
_EPOCH = dt.date(1970, 1, 1).toordinal()
_FIRST, _LAST = dt.date(YEARS[0], 1, 1).toordinal() - _EPOCH, dt.date(YEARS[1], 12, 31).toordinal() - _EPOCH
_KINDS = dict.fromkeys(("officer", "measure", "occurred", "recorded", "began"), np.int32) | {"value": np.float64}
MALFORMED, OUTSIDE = NO_DAY + 1, NO_DAY + 2
_TIME = r"[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
_DATE = re.compile(rf"(\d{{4}})([-/])(\d{{1,2}})\2(\d{{1,2}})(?:{_TIME})?")
_CHINESE_DATE = re.compile(r"(\d{4})(年)(\d{1,2})月(\d{1,2})日")


@dataclass
class Faults:
    """The first fault of each row of a block: none, or one of the ``told`` (column, reason)."""

    size: int
    told: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = np.full(self.size, -1, np.int16)

    def mark(self, wrong: Mask, column: str, reason: str) -> None:
        """Fault the rows of the mask that have no fault yet."""
        wrong = wrong & (self.code < 0)
        if wrong.any():
            self.code[wrong] = len(self.told)
            self.told.append((column, reason))

    @property
    def good(self) -> Mask:
        """The rows without a fault."""
        return np.asarray(self.code < 0)


@dataclass(frozen=True)
class Reference:
    """What an events file is checked against: who is on the roster, whose roster row was bad, the measures."""

    officers: pd.Index
    dropped: frozenset[str]
    measures: pd.Index


@dataclass(frozen=True)
class EventRows:
    """Good events as arrays: positions in the reference, days, NaN where there was no value, ids or null."""

    officer: Days
    measure: Days
    occurred: Days
    recorded: Days
    began: Days
    value: Floats
    ids: pa.Array

    def __len__(self) -> int:
        return len(self.officer)

    def take(self, rows: npt.NDArray[Any]) -> "EventRows":
        """Return the chosen rows (a mask or positions), in their order."""
        positions = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        arrays: dict[str, Any] = {name: getattr(self, name)[positions] for name in _KINDS}
        return EventRows(**arrays, ids=self.ids.take(pa.array(positions)))

    @staticmethod
    def joined(parts: Sequence["EventRows"]) -> "EventRows":
        """Return the rows of all parts, in their order."""
        arrays: dict[str, Any] = {
            name: np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
            for name, kind in _KINDS.items()
        }
        ids = pa.chunked_array([part.ids for part in parts], pa.large_string()).combine_chunks()
        return EventRows(**arrays, ids=ids)


def check_events(block: Block, reference: Reference, export: str) -> tuple[EventRows, Mask, pa.Table]:
    """Return the good events of a block, which rows they are, and the entries of the others."""
    faults = Faults(len(block))
    _mark_nul(block, faults)
    for column in EVENT_NEEDED:
        faults.mark(_missing(block.cells[column]), column, f"{column} is missing")
    measure = _positions(block.cells["measure"], reference.measures)
    faults.mark(measure < 0, "measure", "the profile has no such measure")
    occurred, recorded, began = (
        _checked_days(block, column, faults) for column in ("occurred_on", "recorded_on", "began_on")
    )
    value, wrong = numbers(block.cells["value"])
    faults.mark(wrong, "value", "not a number from -10^12 to 10^12")
    officer = _positions(block.cells["officer_id"], reference.officers)
    _mark_ghosts(block, officer, reference, faults=faults)
    recorded = np.where(recorded == NO_DAY, occurred, recorded).astype(np.int32)
    faults.mark(recorded < occurred, "recorded_on", "recorded before it occurred")
    faults.mark(began > occurred, "began_on", "began after it occurred")
    ids = text(block.cells["event_id"]).cast(pa.large_string())
    rows = EventRows(officer, measure, occurred, recorded, began, value, ids)
    return rows.take(faults.good), faults.good, entries(block, faults, "events", export=export)


def check_roster(block: Block, profile: Profile, export: str) -> tuple[pd.DataFrame, pa.Table]:
    """Return the good postings of a block (with ``file`` and ``line``) and the entries of the others."""
    faults = Faults(len(block))
    _mark_nul(block, faults)
    for column in ROSTER_NEEDED:
        faults.mark(_missing(block.cells[column]), column, f"{column} is missing")
    first, last, hired = (_checked_days(block, column, faults) for column in ("valid_from", "valid_to", "hired_on"))
    faults.mark((last != NO_DAY) & (last < first), "valid_to", "valid_to is before valid_from")
    if profile.posts:
        post = _positions(block.cells["post"], pd.Index(list(profile.posts)))
        faults.mark(post < 0, "post", "the profile has no such post")
    born, wrong = numbers(block.cells["birth_year"])
    known = ~np.isnan(born)
    wrong |= known & ((born % 1 != 0) | (born < YEARS[0]) | (born > YEARS[1]))
    faults.mark(wrong, "birth_year", f"not a year between {YEARS[0]} and {YEARS[1]}")
    frame = pd.DataFrame({column: text(block.cells[column]).to_pandas() for column in ROSTER_COLUMNS}, dtype="str")
    frame = frame.assign(valid_from=first, valid_to=last, hired_on=hired, birth_year=born)
    frame = frame.assign(file=block.file, line=block.lines)
    return frame[faults.good], entries(block, faults, "roster", export=export)


def entries(block: Block, faults: Faults, table: str, *, export: str) -> pa.Table:
    """Return a block's bad rows and bad lines as entries of the quarantine."""
    parts = [bad_line_entries(block, table, export)]
    for number, (column, reason) in enumerate(faults.told):
        rows = np.flatnonzero(faults.code == number)
        cells = {name: _as_text(array.take(pa.array(rows))) for name, array in block.cells.items()}
        parts.append(row_entries(cells, block.lines[rows], file=block.file, table=table, export=export,
                                 column=column, reason=reason))  # fmt: skip
    return pa.concat_tables(parts)


def text(cells: pa.Array) -> pa.Array:
    """Return cells as trimmed text, null where empty."""
    trimmed = pc.utf8_trim_whitespace(_as_text(cells))
    return pc.if_else(pc.equal(pc.binary_length(trimmed), 0), pa.scalar(None, pa.string()), trimmed)


def days(cells: pa.Array) -> Days:
    """Return days since 1970: NO_DAY where empty, MALFORMED or OUTSIDE (the years) where wrong."""
    if pa.types.is_string(cells.type):
        codes, distinct = _encoded(cells)
        return np.array([*(day_of_text(word) for word in distinct), NO_DAY], dtype=np.int32)[codes]
    if pa.types.is_timestamp(cells.type) and cells.type.tz is not None:
        cells = pc.local_timestamp(cells)
    if pa.types.is_timestamp(cells.type):
        cells = pc.floor_temporal(cells, unit="day")
    number = pc.cast(pc.cast(cells, pa.date32(), safe=False), pa.int32())
    given = np.asarray(pc.fill_null(number, 0), dtype=np.int64)
    found = np.where((given < _FIRST) | (given > _LAST), OUTSIDE, given)
    return np.where(np.asarray(pc.is_null(cells)), NO_DAY, found).astype(np.int32)


@lru_cache(maxsize=200_000)
def day_of_text(word: str) -> int:
    """Return the day of a date such as 2023-05-01, 2023/5/1 or 2023-05-01 08:30:00 (the time is dropped)."""
    word = word.strip()
    if not word:
        return int(NO_DAY)
    match = _DATE.fullmatch(word) or _CHINESE_DATE.fullmatch(word)
    if match is None or not word.replace("年", "").replace("月", "").replace("日", "").isascii():
        return int(MALFORMED)
    year = int(match[1])
    if not YEARS[0] <= year <= YEARS[1]:
        return int(OUTSIDE)
    try:
        return dt.date(year, int(match[3]), int(match[4])).toordinal() - _EPOCH
    except ValueError:
        return int(MALFORMED)


def numbers(cells: pa.Array) -> tuple[Floats, Mask]:
    """Return numbers, NaN where empty (or wrong), and which are wrong: no number, or beyond ±1e12."""
    is_text = pa.types.is_string(cells.type)
    given = text(cells) if is_text else cells
    found = _floats(given) if is_text else pc.cast(given, pa.float64(), safe=False)
    value = np.array(found.to_numpy(zero_copy_only=False), dtype=np.float64)
    present = np.asarray(pc.is_valid(given))
    wrong = (np.abs(np.nan_to_num(value, nan=0.0)) > LARGEST) | (present & np.isnan(value) if is_text else False)
    return np.where(wrong, np.nan, value) + 0.0, np.asarray(wrong)


def _floats(given: pa.Array) -> pa.Array:
    """Cast text to numbers; null where it is none (at once when all are, which is the usual case)."""
    try:
        return pc.cast(given, pa.float64())
    except pa.ArrowInvalid:
        looks = pc.match_substring_regex(given, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        return pc.cast(pc.if_else(looks, given, pa.scalar(None, pa.string())), pa.float64())


def _as_text(cells: pa.Array) -> pa.Array:
    return cells if pa.types.is_string(cells.type) else pc.cast(cells, pa.string())


def _mark_nul(block: Block, faults: Faults) -> None:
    """Parquet text may hold NUL, which NumPy's text arrays drop: two ids would become one."""
    for column in block.cells:
        if pa.types.is_string(block.cells[column].type):
            found = pc.fill_null(pc.match_substring(block.cells[column], "\0"), False)
            faults.mark(np.asarray(found), column, "holds a NUL character")


def _missing(cells: pa.Array) -> Mask:
    if not pa.types.is_string(cells.type):
        return np.asarray(pc.is_null(cells))
    codes, distinct = _encoded(cells)
    return np.array([*(not word.strip() for word in distinct), True])[codes]


def _encoded(cells: pa.Array) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return a code per row (-1 where null, so that a last entry stands for it) and the distinct texts."""
    encoded = cells.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return codes, encoded.dictionary.to_pylist()


def _positions(cells: pa.Array, known: pd.Index) -> npt.NDArray[np.int32]:
    """Return each cell's position in ``known``, -1 where it is not there."""
    codes, distinct = _encoded(_as_text(cells))
    found = known.get_indexer(pd.Index([word.strip() for word in distinct], dtype=known.dtype))
    return np.append(found, -1).astype(np.int32)[codes]


def _checked_days(block: Block, column: str, faults: Faults) -> Days:
    found = days(block.cells[column])
    faults.mark(found == MALFORMED, column, "not a date; write it as YYYY-MM-DD")
    faults.mark(found == OUTSIDE, column, f"the year is not between {YEARS[0]} and {YEARS[1]}")
    return found


def _mark_ghosts(block: Block, officer: Days, reference: Reference, *, faults: Faults) -> None:
    ghosts = officer < 0
    if ghosts.any() and reference.dropped:
        dropped = _positions(block.cells["officer_id"], pd.Index(sorted(reference.dropped), dtype="object")) >= 0
        faults.mark(ghosts & dropped, "officer_id", "every roster row of the officer is in quarantine")
    faults.mark(ghosts, "officer_id", "the officer is not on the roster")
