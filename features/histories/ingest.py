"""The story of an ingest: open the export, check every row, merge with the store, switch; or refuse.

All or nothing: until the last step the store is only read.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import SHOWN, Refusal
from features.histories import merging
from features.histories.checking import EventRows, Mask, Reference, check_events, check_roster
from features.histories.quarantine import QUARANTINE, in_file_order, listed, row_entries
from features.histories.reading import DATES, Block, Export, Source, open_export, read_blocks
from features.histories.store import State, one_ingest, read_state, write_state
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS
from features.months import NO_DAY
from features.profile import BUILT_IN, FILES, Profile, load_profile

DEFAULT_PROFILE = "gongan"
NOTED = 100
CONTRADICTS = (
    "the store holds this event_id and recorded_on with other content; history is append-only: "
    "give the correction a later recorded_on"
)
MISFIT = 0.5
"""Where more of the rows have a measure or post that a profile nobody asked for doesn't know, it is the wrong one."""
Advance = Callable[[int], None]


@dataclass(frozen=True)
class IngestResult:
    """What an ingest did; ``quarantined`` holds this export's entries only."""

    export: Path
    profile: str
    changed: bool
    files: list[dict[str, Any]]
    events_new: int
    events_known: int
    events_total: int
    postings: int
    officers: int
    entries: pa.Table
    notes: list[dict[str, Any]]

    @property
    def rows_read(self) -> int:
        """Rows of all files, good and bad, without headers and blank lines."""
        return sum(file["rows"] for file in self.files)

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """One dict per row that was not taken in: file, line, event_id, officer_id, column, value, reason."""
        return listed(self.entries)

    def as_json(self) -> dict[str, Any]:
        """Return the result as one JSON object."""
        return {
            "export": str(self.export), "profile": self.profile, "changed": self.changed, "files": self.files,
            "rows_read": self.rows_read,
            "events": {"new": self.events_new, "already_known": self.events_known, "total": self.events_total},
            "postings": self.postings, "officers": self.officers,
            "quarantined_count": len(self.entries), "quarantined": self.quarantined, "notes": self.notes,
        }  # fmt: skip


@dataclass
class _Taken:
    """What was read of the export so far: rows by file, entries of bad rows."""

    export: str
    advance: Advance
    rows: dict[str, int] = field(default_factory=dict)
    entries: list[pa.Table] = field(default_factory=list)

    def blocks(self, source: Source, columns: Sequence[str]) -> Iterator[Block]:
        """Yield the blocks of a file, counting rows and progress."""
        self.rows[source.name] = 0
        for block in read_blocks(source, columns):
            self.rows[source.name] += len(block) + len(block.bad)
            yield block
            self.advance(block.size)


@dataclass(frozen=True)
class _Read:
    """The good events of the export, and where each stood: its file's number and its line."""

    rows: EventRows
    names: npt.NDArray[Any]
    file: npt.NDArray[np.int32]
    line: npt.NDArray[np.int64]

    def take(self, chosen: Mask) -> "_Read":
        """Return the chosen rows."""
        return _Read(self.rows.take(chosen), self.names, self.file[chosen], self.line[chosen])


def ingest(
    export: Path, *, home: Path, profile: str | Path | None, strict: bool, progress: Advance | None = None
) -> IngestResult:
    """Check an export and merge it into the store of ``home``; return what was taken in and what was not.

    Without ``profile`` the remembered one counts, or ``gongan``; most rows must then be of its measures and posts.
    ``progress`` is called with bytes read, in all ``reading.export_size(export)``. Refusal (and nothing changed) if
    the export or profile cannot be used, and under ``strict`` if any row is bad.
    """
    export = export.resolve()
    with one_ingest(home):
        before = read_state(home)
        files, chosen = _profile(profile, before)
        opened = open_export(export)
        taken = _Taken(str(export), progress or (lambda _: None))
        postings = _read_roster(opened, chosen, taken)
        base = _under(State(files, chosen, postings, _no_events(), QUARANTINE.empty_table()), before)
        read = _without_repeats(_read_events(opened, base, taken), base, taken)
        merge = merging.merge_events(base.events, read.rows)
        _enter(read, np.flatnonzero(merge.contradicting), base, taken=taken, reasons=CONTRADICTS)
        entries = in_file_order(taken.entries)
        if profile is None:
            _refuse_misfit(entries, taken.rows, opened, chosen=chosen, remembered=before is not None)
        if strict and len(entries):
            raise _strict_refusal(export, entries)
        after = replace(base, events=merge.rows, quarantine=entries)
        if before is not None:
            settled = _settled(before, merge=merge, read=read, postings=postings, after=after)
            earlier = before.quarantine.filter(pa.array(~settled & (_exports(before) != str(export))))
            after = replace(after, quarantine=in_file_order([entries, earlier]))
        changed = before is None or not _same(before, after)
        if changed:
            write_state(home, after)
        return _result(opened, taken, after, merge=merge, entries=entries, changed=changed, postings=postings)


def _profile(asked: str | Path | None, before: State | None) -> tuple[dict[str, bytes], Profile]:
    """Return the files and meaning of the profile asked for, the remembered one, or the default."""
    if asked is None and before is not None:
        return before.profile_files, before.profile
    where = DEFAULT_PROFILE if asked is None else asked
    profile = load_profile(where)
    folder = Path(where) if Path(where).is_dir() else BUILT_IN / str(where)
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}, profile


def _read_roster(opened: Export, profile: Profile, taken: _Taken) -> pd.DataFrame:
    """Return the good postings of the export, each with its file and line."""
    parts = []
    for block in taken.blocks(opened.roster, ROSTER_COLUMNS):
        good, bad = check_roster(block, profile, taken.export)
        parts.append(good)
        taken.entries.append(bad)
    if not taken.rows[opened.roster.name]:
        raise Refusal(f"{opened.roster.name} holds a header and no rows; nothing was changed.", hint="Export it again.")
    whole = pd.concat(parts, ignore_index=True)
    key = ["officer_id", "valid_from"]
    repeated = whole.duplicated(key).to_numpy()
    firsts = whole.groupby(key)["line"].transform("first")[repeated]
    if repeated.any():
        reasons = [f"the officer has another posting from that day, in line {line}" for line in firsts]
        again = whole[repeated]
        taken.entries.append(
            row_entries(
                _roster_cells(again), again["line"].to_numpy(), file=opened.roster.name, table="roster",
                export=taken.export, column="valid_from", reason=reasons,
            )
        )  # fmt: skip
    return whole[~repeated]


def _roster_cells(rows: pd.DataFrame) -> dict[str, pa.Array]:
    cells = {}
    for name in ROSTER_COLUMNS:
        column = rows[name]
        if name in DATES:
            cells[name] = _iso(column.to_numpy())
        else:
            number = pa.array(column, from_pandas=True)
            cells[name] = pc.cast(number, pa.string())
    return cells


def _iso(days: npt.NDArray[np.int32]) -> pa.Array:
    return pa.array(days, pa.int32(), mask=days == NO_DAY).cast(pa.date32()).cast(pa.string())


def _no_events() -> EventRows:
    return EventRows.joined([])


def _under(fresh: State, before: State | None) -> State:
    """Return the stored rows under the new roster and profile; Refusal if a stored row has no meaning there."""
    fresh = replace(fresh, roster=fresh.roster[list(ROSTER_COLUMNS)])
    if before is None:
        return replace(fresh, roster=merging.merge_roster(fresh.roster[:0], fresh.roster))
    roster = merging.merge_roster(before.roster, fresh.roster)
    fresh = replace(fresh, roster=roster)
    measures = np.array([fresh.profile.measure_number.get(key, -1) for key in before.profile.measure_keys], np.int32)
    _refuse_meaningless(fresh, before, measures)
    officers = np.searchsorted(fresh.officers, before.officers).astype(np.int32)
    events = before.events
    events = replace(events, officer=officers[events.officer], measure=measures[events.measure])
    if before.profile.measure_keys != fresh.profile.measure_keys:
        events = events.take(merging.canonical_order(events))
    return replace(fresh, events=events)


def _refuse_meaningless(fresh: State, before: State, measures: npt.NDArray[np.int32]) -> None:
    count = np.bincount(before.events.measure, minlength=len(measures))
    problems = [
        f"{rows} stored events have the measure '{key}', which this profile does not know"
        for key, rows, number in zip(before.profile.measure_keys, count, measures, strict=True)
        if rows and number < 0
    ]
    if fresh.profile.posts:
        posts = fresh.roster["post"].value_counts()
        problems += [
            f"{rows} stored postings have the post '{post}', which this profile does not know"
            for post, rows in posts.items()
            if post not in fresh.profile.posts
        ]
    if problems:
        hint = "Add them to the profile, or ingest into another --home."
        raise Refusal("The profile does not fit what is stored; nothing was changed:", problems, hint=hint)


def _read_events(opened: Export, base: State, taken: _Taken) -> _Read:
    """Return the good events of all files, in the order of files and lines."""
    officers = pd.Index(base.officers.astype(object))
    named = {name for part in taken.entries for name in part["officer_id"].to_pylist() if name}
    measures = pd.Index(list(base.profile.measure_keys), dtype=object)
    reference = Reference(officers, frozenset(name.strip() for name in named) - set(officers), measures)
    parts, files, lines = [], [], []
    for number, source in enumerate(opened.events):
        for block in taken.blocks(source, EVENT_COLUMNS):
            rows, good, bad = check_events(block, reference, taken.export)
            parts.append(rows)
            files.append(np.full(len(rows), number, np.int32))
            lines.append(block.lines[good])
            taken.entries.append(bad)
    names = np.array([source.name for source in opened.events], dtype=object)
    nothing = np.zeros(0, np.int32)
    return _Read(EventRows.joined(parts), names, np.concatenate([nothing, *files]), np.concatenate([nothing, *lines]))


def _without_repeats(read: _Read, base: State, taken: _Taken) -> _Read:
    """Return the events without those that repeat an event_id and recorded_on of the export."""
    repeats, firsts = merging.repeated_ids(read.rows)
    if not len(repeats):
        return read
    reasons = [
        f"the same event_id and recorded_on as line {line} of {read.names[file]}"
        for line, file in zip(read.line[firsts], read.file[firsts], strict=True)
    ]
    _enter(read, repeats, base, taken=taken, reasons=reasons)
    kept = np.ones(len(read.rows), bool)
    kept[repeats] = False
    return read.take(kept)


def _enter(read: _Read, positions: merging.Positions, base: State, *, taken: _Taken, reasons: str | list[str]) -> None:
    """Enter events that passed the checks of a single row into the quarantine."""
    rows = read.rows.take(positions)
    cells = {
        "officer_id": pa.array(base.officers[rows.officer].astype(object), pa.string()),
        "measure": pa.array(np.array(base.profile.measure_keys, dtype=object)[rows.measure], pa.string()),
        "occurred_on": _iso(rows.occurred), "recorded_on": _iso(rows.recorded), "began_on": _iso(rows.began),
        "value": pc.cast(pa.array(rows.value, from_pandas=True), pa.string()),
        "event_id": rows.ids.cast(pa.string()),
    }  # fmt: skip
    files = read.names[read.file[positions]].tolist()
    lines = read.line[positions]
    taken.entries.append(
        row_entries(cells, lines, file=files, table="events", export=taken.export, column="event_id", reason=reasons)
    )


def _refuse_misfit(
    entries: pa.Table, rows: Mapping[str, int], opened: Export, *, chosen: Profile, remembered: bool
) -> None:
    """Raise a Refusal where most rows of the roster or the events are none of the profile's posts or measures."""
    name = chosen.settings.name
    tables = (("roster", "post", [opened.roster]), ("events", "measure", opened.events))
    for table, column, sources in tables:
        of_table = entries.filter((pc.field("table") == table) & (pc.field("column") == column))
        whole = sum(rows[source.name] for source in sources)
        if len(of_table) <= MISFIT * whole:
            continue
        which = "that the store remembers" if remembered else "that is used where none is named"
        unknown = sorted({value for value in of_table["value"].to_pylist() if value})[:SHOWN]
        raise Refusal(
            f"{len(of_table):,} of {whole:,} rows of the {table} have a {column} that the profile '{name}' ({which}) "
            "does not know; nothing was changed. It is probably another force's profile. Unknown:",
            unknown,
            hint="Name the profile that fits: jingxing ingest EXPORT --profile P. To take in what does fit all the "
            f"same, ask for this one by name: --profile {name}",
        )


def _strict_refusal(export: Path, entries: pa.Table) -> Refusal:
    shown = listed(entries.slice(0, SHOWN))
    problems = [
        f"{entry['file']} line {entry['line']}: {entry['column'] + ': ' if entry['column'] else ''}{entry['reason']}"
        for entry in shown
    ]
    what = f"{len(entries)} bad rows in {export} (the first {len(shown)} below); --strict takes all or nothing, "
    hint = "Correct them in the export, or ingest without --strict to quarantine them."
    return Refusal(what + "so nothing was changed:", problems, hint=hint)


def _exports(state: State) -> npt.NDArray[Any]:
    return np.array(state.quarantine["export"].to_pylist(), dtype=object)


def _settled(before: State, *, merge: merging.Merge, read: _Read, postings: pd.DataFrame, after: State) -> Mask:
    """Return which entries of earlier exports this one puts right.

    All of them, if it is a newer edition of the whole history; else events that came in now, and
    roster rows of officers whose postings it replaces.
    """
    entries = before.quarantine
    known = len(read.rows) - int((merge.added | merge.contradicting).sum())
    officers = set(postings["officer_id"])
    if len(before.events) and known == len(before.events) and officers.issuperset(before.roster["officer_id"]):
        return np.ones(len(entries), bool)
    added = read.rows.take(merge.added)
    events = merging.answered(entries, added, after.officers, after.profile.measure_keys)
    table, officer = (np.array(entries[name].to_pylist(), dtype=object) for name in ("table", "officer_id"))
    return np.where(table == "events", events, np.isin(officer, np.array(list(officers), dtype=object)))


def _same(before: State, after: State) -> bool:
    return (
        before.profile_files == after.profile_files
        and before.roster.equals(after.roster)
        and len(before.events) == len(after.events)
        and before.quarantine.equals(after.quarantine)
    )


def _result(
    opened: Export, taken: _Taken, after: State, *, merge: merging.Merge, entries: pa.Table, changed: bool,
    postings: pd.DataFrame,
) -> IngestResult:  # fmt: skip
    files = [
        {"file": source.name, "rows": taken.rows[source.name], "encoding": source.encoding} for source in opened.files
    ]
    return IngestResult(
        export=opened.folder,
        profile=after.profile.settings.name,
        changed=changed,
        files=files,
        events_new=int(merge.added.sum()),
        events_known=int((~merge.added & ~merge.contradicting).sum()),
        events_total=len(after.events),
        postings=len(after.roster),
        officers=len(after.officers),
        entries=entries,
        notes=_notes(opened, taken, postings, after),
    )


def _notes(opened: Export, taken: _Taken, postings: pd.DataFrame, after: State) -> list[dict[str, Any]]:
    notes: list[dict[str, Any]] = [{"note": note} for note in opened.notes]
    notes += [{"note": f"{name} holds no rows"} for name, rows in taken.rows.items() if not rows]
    overlapping = merging.overlapping_postings(postings)
    if len(overlapping):
        rows = overlapping[["file", "line"]].head(NOTED).to_dict("records")
        text = "postings overlap an earlier one of the same officer; the one that began last counts"
        notes.append({"note": f"{len(overlapping)} {text}", "count": len(overlapping), "rows": rows})
    ahead = int((after.events.recorded > (dt.date.today() - dt.date(1970, 1, 1)).days).sum())
    if ahead:
        text = "stored events have a recorded_on after today; labels count as known until the last of them"
        notes.append({"note": f"{ahead} {text}", "count": ahead})
    return notes
