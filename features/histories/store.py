"""The store under HOME/var/histories: whole versions side by side, and one pointer that says which counts.

A version is written and synced in full before the pointer is switched by one rename, so that whoever reads
(or whatever is killed) sees the state before or the state after. The version before is kept for readers
that opened it, until the next change.
"""

import functools
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from features.errors import Refusal
from features.histories.bases import load_bases
from features.histories.checking import EventRows
from features.histories.merging import group_numbers
from features.histories.owned import as_their_own, of_several
from features.histories.quarantine import listed
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS, Events, Histories, Ints, histories
from features.months import NO_DAY, timestamps
from features.profile import FILES, Profile, load_profile

WAIT_SECONDS = 2
MOVED = "moved.parquet"
"""The rows of events whose corrections name another officer, by themselves."""
_POINTER, _LOCK, _UNFINISHED = "current.json", "ingest.lock", "unfinished"
_DATES = ("valid_from", "valid_to", "hired_on")
_EVENT_ARRAYS = ["officer", "measure", "occurred", "recorded", "began", "value", "event"]
ROWS_TOGETHER = 65_536
"""Rows of a file that are read at once at the least: one person's are found ten times as fast as in a million."""
Found = TypeVar("Found")
_TEXTS = tuple(name for name in ROSTER_COLUMNS if name not in (*_DATES, "birth_year"))


@dataclass(frozen=True)
class State:
    """Everything the store holds: the profile's files, roster (dates as days), events, quarantine."""

    profile_files: dict[str, bytes]
    profile: Profile
    roster: pd.DataFrame
    events: EventRows
    quarantine: pa.Table

    @property
    def officers(self) -> npt.NDArray[np.str_]:
        """Whom the events' ``officer`` points to."""
        return np.unique(self.roster["officer_id"].to_numpy(dtype=str))


def load_histories(home: Path) -> Histories:
    """Return the stored histories; Refusal when nothing was ingested."""
    return replace(_reading(home, _histories), bases=load_bases(home))


def current_version(home: Path) -> Path:
    """Return the folder of the version that counts; Refusal when nothing was ingested."""
    return _reading(home, lambda version: version)


def load_officer(home: Path, officer_id: str) -> tuple[Histories, list[str | None]]:
    """Return the stored histories of one officer alone, and each event row's event_id (None where it has none).

    Only this officer's rows are read. A Refusal for someone who is not on the roster, or when nothing was ingested.
    """
    return _reading(home, lambda version: _one_officer(version, officer_id))


def load_roster(home: Path) -> Histories:
    """Return the roster and the profile, without events; Refusal when nothing was ingested."""
    return _reading(home, lambda version: _people(version, _read_roster(version)))


def load_some(
    home: Path, officers: Collection[str], *, since: int | None = None, whole: Collection[str] = ()
) -> Histories:
    """Return the stored histories of some officers alone: of those in ``whole`` every row, of others since a day.

    Rows that occurred or were recorded on day ``since`` or later are read, all where it is None. Who is not on the
    roster is left out. Refusal when nothing was ingested.
    """
    found = _reading(home, lambda version: _some(version, officers, since=since, whole=whole))
    return replace(found, bases=load_bases(home))


def load_block(version: Path, *, first: int, after: int, ids: tuple[str, str]) -> Histories:
    """Return the histories of officers who follow one another in the order of ids, from a version's folder.

    They are those at the places ``first`` up to ``after``; ``ids`` are the first and the last of theirs. Only their
    rows are read, and only their units are known. The bases are those of everyone.
    """
    own = (pc.field("officer_id") >= ids[0]) & (pc.field("officer_id") <= ids[1])
    people = _people(version, _read_roster(version, own))
    rows = (pc.field("officer") >= first) & (pc.field("officer") < after)
    events = _arrays(pq.read_table(version / "events.parquet", columns=_EVENT_ARRAYS, filters=rows))
    events, _ = as_their_own(events, _moved(version), np.arange(first, after))
    numbers = np.asarray(pd.factorize(events.event)[0], dtype=np.int64)
    own_numbers = np.where(events.event >= 0, numbers, -1)  # the whole force's would make arrays of its size
    return replace(people, events=replace(events, officer=(events.officer - first).astype(np.int32), event=own_numbers))


def block_days(version: Path, *, first: int, after: int, ids: tuple[str, str]) -> tuple[Ints, Ints, Ints]:
    """Return the first days of the postings of a block (see load_block), and its events' days: occurred, recorded."""
    own = (pc.field("officer_id") >= ids[0]) & (pc.field("officer_id") <= ids[1])
    postings = pq.read_table(version / "roster.parquet", columns=["valid_from"], filters=own)["valid_from"]
    rows = (pc.field("officer") >= first) & (pc.field("officer") < after)
    events = pq.read_table(version / "events.parquet", columns=["occurred", "recorded"], filters=rows)
    days = (postings, events["occurred"], events["recorded"])
    posting, occurred, recorded = (np.asarray(each.cast(pa.int32()).to_numpy()) for each in days)
    return posting, occurred, recorded


def stored_profile(home: Path) -> Profile:
    """Return the profile that the store was ingested with; Refusal when nothing was ingested."""
    return _reading(home, _profile_of)


def load_version(folder: Path) -> Histories:
    """Return the histories in a version's folder."""
    return _histories(folder)


def quarantined(home: Path) -> list[dict[str, Any]]:
    """Return the rows that were not taken in, each with where it stands and why."""
    return _reading(home, lambda version: listed(pq.read_table(version / "quarantine.parquet")))


@contextmanager
def one_ingest(home: Path) -> Iterator[None]:
    """Hold the store for one ingest; a Refusal if another one runs. Leaves no trace if nothing is stored."""
    folder = _folder(home)
    absent = [path for path in (home, home / "var", folder) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=WAIT_SECONDS):
            try:
                _remove_leftovers(folder)
                yield
            finally:
                if not (folder / _POINTER).exists():
                    (folder / _LOCK).unlink(missing_ok=True)
    except Timeout:
        raise Refusal("Another ingest is running into this home.", hint="Wait for its end, then try again.") from None
    finally:
        for path in reversed(absent):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def read_state(home: Path) -> State | None:
    """Return what the store holds, or None before the first ingest. Only for ingest, under its lock."""
    pointer = _pointer(_folder(home))
    if pointer is None:
        return None
    version = _folder(home) / str(pointer["version"])
    folder = version / "profile"
    profile_files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    table = pq.read_table(version / "events.parquet")
    events = _arrays(table)
    rows = EventRows(
        events.officer, events.measure, events.occurred, events.recorded, events.began, events.value,
        table["event_id"].cast(pa.large_string()).combine_chunks(),
    )  # fmt: skip
    quarantine = pq.read_table(version / "quarantine.parquet")
    return State(profile_files, load_profile(folder), _read_roster(version), rows, quarantine)


def write_state(home: Path, state: State) -> None:
    """Make ``state`` what the store holds, all or nothing."""
    folder = _folder(home)
    before = _pointer(folder)
    number = int(str(before["version"])[1:]) + 1 if before else 1
    name = f"v{number:06d}"
    _write_version(folder / _UNFINISHED, state)
    os.rename(folder / _UNFINISHED, folder / name)
    _sync(folder)
    _switch(folder, {"version": name, "previous": before["version"] if before else None})
    _remove_leftovers(folder)


def _folder(home: Path) -> Path:
    return home / "var" / "histories"


def _pointer(folder: Path) -> dict[str, str | None] | None:
    try:
        found: dict[str, str | None] = json.loads((folder / _POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def _reading(home: Path, read: Callable[[Path], Found]) -> Found:
    """Read from the current version; again if it was replaced twice while being read."""
    folder = _folder(home)
    pointer = _pointer(folder)
    while pointer is not None:
        try:
            return read(folder / str(pointer["version"]))
        except FileNotFoundError:
            now = _pointer(folder)
            if now == pointer:
                raise
            pointer = now
    raise Refusal(f"Nothing was ingested into {home} yet.", hint="Begin with: jingxing ingest EXPORT")


def _histories(version: Path) -> Histories:
    events = _arrays(pq.read_table(version / "events.parquet", columns=_EVENT_ARRAYS))
    return replace(_people(version, _read_roster(version)), events=events)


def _people(version: Path, roster: pd.DataFrame) -> Histories:
    for column in _DATES:
        roster[column] = timestamps(roster[column].to_numpy())
    nothing = pd.DataFrame(columns=list(EVENT_COLUMNS))
    return histories(profile=_profile_of(version), roster=roster, events=nothing)


def _profile_of(version: Path) -> Profile:
    folder = version / "profile"
    return _profile(folder, tuple((path.name, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())))


@functools.lru_cache(maxsize=4)
def _profile(folder: Path, _stamps: tuple[tuple[str, int], ...]) -> Profile:
    """Reading a profile takes some 300 ms; one that was not written since is not read again."""
    return load_profile(folder)


def _one_officer(version: Path, officer_id: str) -> tuple[Histories, list[str | None]]:
    officers = _officers(version, (version / "roster.parquet").stat().st_mtime_ns)
    number = int(np.searchsorted(officers, officer_id))
    if number == len(officers) or officers[number] != officer_id:
        raise Refusal(f"There is no officer '{officer_id}' on the roster.")
    table = pq.read_table(version / "events.parquet", filters=[("officer", "=", number)], use_threads=False)
    people = _people(version, _read_roster(version, pc.field("officer_id") == officer_id))
    ids: list[str | None] = table["event_id"].to_pylist()
    events, source = as_their_own(_arrays(table), _moved(version), np.array([number]))
    own = replace(events, officer=np.zeros(len(events), dtype=np.int32))
    return replace(people, events=own), [ids[place] for place in source]


@functools.lru_cache(maxsize=2)
def _officers(version: Path, _stamp: int) -> npt.NDArray[np.str_]:
    """Who is on the roster, in the order of ids; read once for each version."""
    names = pq.read_table(version / "roster.parquet", columns=["officer_id"])["officer_id"]
    return np.unique(names.to_numpy().astype(str))


def _some(version: Path, officers: Collection[str], *, since: int | None, whole: Collection[str]) -> Histories:
    roster = _read_roster(version)
    names = np.unique(roster["officer_id"].to_numpy(dtype=str))
    chosen = np.flatnonzero(np.isin(names, list(officers)))
    rows = pc.field("officer").isin(chosen.astype(np.int32))
    if since is not None:
        day, kept = pa.scalar(since, pa.int32()).cast(pa.date32()), np.flatnonzero(np.isin(names, list(whole)))
        late = (pc.field("occurred") >= day) | (pc.field("recorded") >= day)
        rows &= late | pc.field("officer").isin(kept.astype(np.int32))
    events = _arrays(pq.read_table(version / "events.parquet", columns=_EVENT_ARRAYS, filters=rows))
    events, _ = as_their_own(events, _moved(version), chosen)
    people = _people(version, roster[roster["officer_id"].isin(names[chosen])].reset_index(drop=True))
    place = np.searchsorted(chosen, events.officer).astype(np.int32)
    return replace(people, events=replace(events, officer=place))


def _moved(version: Path) -> Events:
    """The rows of events that name several officers; a version of before has no such file, and they are looked for."""
    path = version / MOVED
    if path.exists():
        return _arrays(pq.read_table(path))
    every = _arrays(pq.read_table(version / "events.parquet"))
    return every.take(of_several(every.officer, every.event))


def _arrays(table: pa.Table) -> Events:
    def numbers(name: str, kind: pa.DataType) -> npt.NDArray[Any]:
        cells = table[name].combine_chunks().cast(kind)
        cells = pc.fill_null(cells, int(NO_DAY)) if cells.null_count else cells
        return np.asarray(cells.to_numpy(zero_copy_only=False))

    days = {name: numbers(name, pa.int32()) for name in ("officer", "measure", "occurred", "recorded", "began")}
    return Events(**days, value=numbers("value", pa.float64()), event=numbers("event", pa.int64()))


def _read_roster(version: Path, chosen: pc.Expression | None = None) -> pd.DataFrame:
    table = pq.read_table(version / "roster.parquet", filters=chosen)
    frame = pd.DataFrame({name: table[name].to_pandas() for name in _TEXTS}, dtype="str")
    for name in _DATES:
        frame[name] = pc.fill_null(table[name].cast(pa.int32()), int(NO_DAY)).to_numpy()
    frame["birth_year"] = table["birth_year"].to_pandas().astype("float64")
    return frame[list(ROSTER_COLUMNS)]


def _write_version(folder: Path, state: State) -> None:
    """Write and sync every file of a version."""
    (folder / "profile").mkdir(parents=True)
    for name, content in state.profile_files.items():
        (folder / "profile" / name).write_bytes(content)
    _write_table(_roster_table(state.roster), folder / "roster.parquet")
    events = _event_table(state.events)
    several = of_several(state.events.officer, events["event"].to_numpy())
    _write_table(events, folder / "events.parquet", plain=("event_id", "event", "value"))
    _write_table(events.filter(pa.array(several)), folder / MOVED, plain=("event_id", "event", "value"))
    _write_table(state.quarantine, folder / "quarantine.parquet")
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _write_table(table: pa.Table, path: Path, plain: tuple[str, ...] = ()) -> None:
    coded = [name for name in table.column_names if name not in plain]
    pq.write_table(
        table, path, compression="zstd", use_dictionary=coded, store_schema=True, row_group_size=ROWS_TOGETHER
    )


def _roster_table(roster: pd.DataFrame) -> pa.Table:
    columns = {name: pa.array(roster[name].astype("object"), pa.string(), from_pandas=True) for name in _TEXTS}
    columns |= {name: _dates(roster[name].to_numpy()) for name in _DATES}
    columns["birth_year"] = pa.array(roster["birth_year"].to_numpy(), pa.float64(), from_pandas=True).cast(pa.int32())
    return pa.table({name: columns[name] for name in ROSTER_COLUMNS})


def _event_table(rows: EventRows) -> pa.Table:
    dates = {name: _dates(getattr(rows, name)) for name in ("occurred", "recorded", "began")}
    return pa.table(
        {
            "officer": rows.officer,
            "measure": rows.measure,
            **dates,
            "value": rows.value,
            "event": group_numbers(rows),
            "event_id": rows.ids,
        }
    )


def _dates(days: npt.NDArray[np.int32]) -> pa.Array:
    return pa.array(days.astype(np.int32), pa.int32(), mask=days == NO_DAY).cast(pa.date32())


def _switch(folder: Path, pointer: dict[str, str | None]) -> None:
    fresh = folder / f"{_POINTER}.{_UNFINISHED}"
    fresh.write_text(json.dumps(pointer, sort_keys=True) + "\n", encoding="utf-8")
    _sync(fresh)
    os.replace(fresh, folder / _POINTER)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed ingest left, and versions older than the one before the current."""
    pointer = _pointer(folder) or {}
    kept = {_POINTER, _LOCK, pointer.get("version"), pointer.get("previous")}
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
