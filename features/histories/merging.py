"""Old and new rows become one history: duplicates, what is known already, the canonical order, group numbers.

Events are a multiset: rows with an id are told apart by (event_id, recorded_on), the others by their content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.histories.checking import EventRows, Mask, days, numbers, text
from features.histories.tables import EVENT_COLUMNS
from features.months import NO_DAY

Positions = npt.NDArray[np.int64]
_FAR = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Merge:
    """The merged rows in canonical order; of the new rows, which were added and which contradict the store."""

    rows: EventRows
    added: Mask
    contradicting: Mask


def merge_events(old: EventRows, new: EventRows) -> Merge:
    """Return the union of stored rows and new ones (their ids checked by ``repeated_ids`` before)."""
    has_id = np.asarray(new.ids.is_valid())
    added = np.ones(len(new), bool)
    contradicting = np.zeros(len(new), bool)
    if len(old):
        known, contradicting = _known_by_id(old, new)
        added = ~known & ~contradicting
        added[~has_id] &= ~_known_by_content(old, new)[~has_id]
    rows = EventRows.joined([old, new.take(added)]) if added.any() else old
    return Merge(rows.take(canonical_order(rows)) if added.any() else old, added, contradicting)


def repeated_ids(rows: EventRows) -> tuple[Positions, Positions]:
    """Return positions of rows that repeat an (event_id, recorded_on), and of the first row of each."""
    encoded = rows.ids.dictionary_encode()
    if len(encoded.dictionary) == len(rows) - rows.ids.null_count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    keys = _id_keys(encoded.indices, rows.recorded)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = np.zeros(len(order), bool)
    same[1:] = (ordered[1:] == ordered[:-1]) & (ordered[1:] >= 0)
    starts = np.maximum.accumulate(np.where(same, 0, np.arange(len(same))))
    repeats, firsts = order[same], order[starts[same]]
    by_place = np.argsort(repeats)
    return repeats[by_place], firsts[by_place]


def canonical_order(rows: EventRows) -> Positions:
    """Return the order by officer, measure, occurred, recorded, value, began, and event_id to break ties."""
    pairs = _two(rows.occurred, rows.recorded), _two(rows.officer, rows.measure)
    given: tuple[npt.NDArray[Any], ...] = (rows.began, rows.value, *pairs)
    keys = [key for number, key in enumerate(given) if number == 3 or (key != key[:1]).any()]
    order = np.lexsort(keys)
    tied = np.zeros(len(order), bool)
    alike = np.ones(max(0, len(order) - 1), bool)
    for key in keys:
        ordered = key[order]
        alike &= (ordered[1:] == ordered[:-1]) | (np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    tied[1:], tied[:-1] = alike, tied[:-1] | alike
    if tied.any():
        order[tied] = _by_id(order[tied], np.cumsum(~np.concatenate([[False], alike]))[tied], rows.ids)
    return order


def group_numbers(rows: EventRows) -> Positions:
    """Return a number per event_id (-1 where none), by when the event was first recorded.

    Rows in canonical order. Events first recorded by a day have the lowest numbers, so that rows recorded
    later change no number.
    """
    codes = np.asarray(pc.fill_null(rows.ids.dictionary_encode().indices, -1)).astype(np.int64)
    with_id = np.flatnonzero(codes >= 0)
    order = with_id[np.argsort(rows.recorded[with_id], kind="stable")]
    first = np.full(codes.max(initial=-1) + 1, -1, np.int64)
    first[codes[order][::-1]] = np.arange(len(order))[::-1]  # of several, the last written counts: the first row
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    result = np.full(len(rows), -1, np.int64)
    result[with_id] = number[codes[with_id]]
    return result


def merge_roster(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return the roster in which the new postings of each officer replace the stored ones."""
    kept = old[~old["officer_id"].isin(new["officer_id"])]
    merged = pd.concat([kept, new[list(old.columns)]]) if len(kept) else new[list(old.columns)]
    return merged.sort_values(["officer_id", "valid_from"], kind="stable").reset_index(drop=True)


def overlapping_postings(roster: pd.DataFrame) -> pd.DataFrame:
    """Return the postings that begin before an earlier one of the same officer has ended."""
    ordered = roster.sort_values(["officer_id", "valid_from"], kind="stable")
    last = ordered["valid_to"].where(ordered["valid_to"] != NO_DAY, _FAR).astype("int64")
    same = (ordered["officer_id"] == ordered["officer_id"].shift()).to_numpy()
    before = last.groupby(ordered["officer_id"]).cummax().shift(fill_value=0).to_numpy()
    return ordered[same & (ordered["valid_from"].to_numpy() <= before)].sort_values(["file", "line"])


def answered(entries: pa.Table, added: EventRows, officers: npt.NDArray[Any], measures: Sequence[str]) -> Mask:
    """Return the entries of bad events that a newly added row puts right.

    Such a row has the entry's event_id or, without one, the same cells but for the column that was wrong.
    """
    ids = pc.fill_null(pc.is_in(entries["event_id"].cast(pa.large_string()), value_set=added.ids), False)
    right = np.array(ids, dtype=bool) & np.asarray(pc.is_valid(entries["event_id"]))
    given, now = _comparable_entries(entries), _comparable(added, officers, measures)
    columns = np.asarray(entries["column"].to_pylist(), dtype=object)
    for column in {name for name in columns if name in EVENT_COLUMNS}:
        besides = {column, *(["recorded_on"] if column == "occurred_on" else [])}
        compared = [name for name in EVENT_COLUMNS if name not in besides]
        found = _hashes(given[compared]).isin(_hashes(now[compared])).to_numpy()
        right |= found & (columns == column)
    return np.asarray(right)


def _known_by_id(old: EventRows, new: EventRows) -> tuple[Mask, Mask]:
    """Return which new rows are stored already, and which have a stored row's key but other content."""
    both = pa.chunked_array([old.ids, new.ids], pa.large_string()).combine_chunks().dictionary_encode().indices
    keys = _id_keys(both, np.concatenate([old.recorded, new.recorded]))
    mine, theirs = keys[len(old) :], keys[: len(old)]
    order = np.argsort(theirs, kind="stable")
    place = order[np.minimum(np.searchsorted(theirs, mine, sorter=order), len(order) - 1)]
    found = (theirs[place] == mine) & (mine >= 0)
    same = np.ones(len(new), bool)
    for name in ("officer", "measure", "occurred", "began"):
        same &= getattr(old, name)[place] == getattr(new, name)
    stored = old.value[place]
    same &= (stored == new.value) | (np.isnan(stored) & np.isnan(new.value))
    return found & same, found & ~same


def _known_by_content(old: EventRows, new: EventRows) -> Mask:
    """Return which new rows without id the store holds as often as the export up to that row."""
    mine, theirs = np.flatnonzero(np.asarray(new.ids.is_null())), np.flatnonzero(np.asarray(old.ids.is_null()))
    known = np.zeros(len(new), bool)
    both = EventRows.joined([old.take(theirs), new.take(mine)])
    if not len(mine) or not len(theirs):
        return known
    keys = (_two(both.officer, both.measure), _two(both.occurred, both.recorded), both.began, both.value)
    is_new = np.arange(len(both)) >= len(theirs)
    order = np.lexsort((is_new, *keys))
    differs = np.zeros(len(both), bool)
    for key in keys:
        ordered = key[order]
        differs[1:] |= (ordered[1:] != ordered[:-1]) & ~(np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    group = np.cumsum(differs)
    stored = np.bincount(group, weights=~is_new[order])[group]
    start = np.searchsorted(group, group)
    rank = np.arange(len(both)) - start - stored  # 0 for the first new row of a group
    found = is_new[order] & (rank < stored)
    known[mine[order[found] - len(theirs)]] = True
    return known


def _id_keys(codes: pa.Array, recorded: npt.NDArray[np.int32]) -> Positions:
    """Return one number per (id, recorded_on), -1 without id."""
    code = np.asarray(pc.fill_null(codes, -1)).astype(np.int64)
    return np.where(code < 0, -1, _two(code, recorded))


def _two(high: npt.NDArray[Any], low: npt.NDArray[np.int32]) -> Positions:
    """Pack two numbers into one that sorts like the pair."""
    return np.asarray((high.astype(np.int64) << 32) + (low.astype(np.int64) + 2**31))


def _by_id(positions: Positions, group: Positions, ids: pa.Array) -> Positions:
    names = pd.Series(ids.take(pa.array(positions)).to_pylist(), dtype="object").fillna("")
    rank = np.unique(names.to_numpy(dtype=object), return_inverse=True)[1]
    return positions[np.lexsort((rank, group))]


def _comparable(rows: EventRows, officers: npt.NDArray[Any], measures: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "officer_id": officers[rows.officer].astype(object), "event_id": _blank(rows.ids),
            "measure": np.asarray(measures, dtype=object)[rows.measure], "occurred_on": rows.occurred,
            "recorded_on": rows.recorded, "began_on": rows.began, "value": rows.value,
        }
    )  # fmt: skip


def _comparable_entries(entries: pa.Table) -> pd.DataFrame:
    cells = {name: entries[f"row_{name}"].combine_chunks() for name in EVENT_COLUMNS}
    dates = {name: days(cells[name]) for name in ("occurred_on", "recorded_on", "began_on")}
    dates["recorded_on"] = np.where(dates["recorded_on"] == NO_DAY, dates["occurred_on"], dates["recorded_on"])
    words = {name: _blank(text(cells[name])) for name in ("officer_id", "measure", "event_id")}
    return pd.DataFrame({**words, **dates, "value": numbers(cells["value"])[0]})


def _blank(words: pa.Array) -> npt.NDArray[Any]:
    return np.array([word or "" for word in words.to_pylist()], dtype=object)


def _hashes(frame: pd.DataFrame) -> "pd.Series[Any]":
    return pd.util.hash_pandas_object(frame, index=False)
