"""An export folder as blocks of cells: which files there are, what columns they have, CSV and Parquet alike.

Knows nothing of measures, persons or profiles; every problem of the files is told in one Refusal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from features.errors import Refusal
from features.histories.lines import BadLine, Records, Survey, records, survey
from features.histories.tables import EVENT_COLUMNS, EVENT_NEEDED, ROSTER_COLUMNS, ROSTER_NEEDED

ROWS_AT_ONCE = 100_000
DATES = frozenset({"valid_from", "valid_to", "hired_on", "occurred_on", "recorded_on", "began_on"})
NUMBERS = frozenset({"value", "birth_year"})


@dataclass(frozen=True)
class Source:
    """One file of the export: its name as told to the user, its columns and, for CSV, its encoding."""

    path: Path
    name: str
    columns: tuple[str, ...]
    survey: Survey | None

    @property
    def encoding(self) -> str:
        """How the file is encoded, for the summary."""
        return self.survey.encoding if self.survey else "Parquet"

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Export:
    """The files of an export, opened and found to have every needed column."""

    folder: Path
    roster: Source
    events: tuple[Source, ...]
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Source, ...]:
        """Every file, the roster first."""
        return (self.roster, *self.events)


@dataclass(frozen=True)
class Block:
    """Some rows of one file: for each known column its cells (text, dates or numbers), and each row's line.

    ``line`` is the physical line in CSV (1 = header) and the row's number in Parquet (1 = first row).
    """

    file: str
    lines: npt.NDArray[np.int64]
    cells: dict[str, pa.Array]
    bad: tuple[BadLine, ...] = ()
    size: int = 0

    def __len__(self) -> int:
        return len(self.lines)


@dataclass
class _Problems:
    """Collects what is wrong with the files, and what is only worth a note."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_export(folder: Path) -> Export:
    """Return the files of an export folder; one Refusal names every problem of every file."""
    if not folder.is_dir():
        raise Refusal(f"There is no export folder {folder}.", hint="Give the folder that holds roster and events.")
    found = _Problems()
    roster = _one_table(folder, "roster", found)
    events = _event_files(folder, found)
    rosters = [_source(folder, path, ROSTER_COLUMNS, ROSTER_NEEDED, found=found) for path in roster]
    parts = [_source(folder, path, EVENT_COLUMNS, EVENT_NEEDED, found=found) for path in events]
    if found.wrong:
        raise Refusal(f"The export {folder} cannot be read; nothing was changed:", found.wrong)
    whole = [part for part in (*rosters, *parts) if part is not None]
    return Export(folder, whole[0], tuple(whole[1:]), tuple(found.notes))


def export_size(folder: Path) -> int:
    """Return the bytes of the export's files, the total of the progress that ingest reports."""
    return sum(path.stat().st_size for path in folder.rglob("*") if _is_table(path) and _belongs(folder, path))


def read_blocks(source: Source, known: Sequence[str]) -> Iterator[Block]:
    """Yield the rows of a file in order; columns it lacks are null. Refusal if it breaks off."""
    columns = [column for column in source.columns if column in known]
    try:
        blocks = _csv_blocks(source, source.survey, columns) if source.survey else _parquet_blocks(source, columns)
        for block in blocks:
            absent = {column: pa.nulls(len(block), pa.string()) for column in known if column not in columns}
            yield Block(block.file, block.lines, {**block.cells, **absent}, block.bad, block.size)
    except (pa.ArrowException, OSError) as error:
        reason = _first_line(error)
        hint = "Export it again: it looks damaged or cut off."
        raise Refusal(f"{source.name} cannot be read to its end; nothing was changed: {reason}", hint=hint) from None


def _first_line(error: Exception) -> str:
    """The reason without the rest: a parser's message may go on with the row's content."""
    return str(error).strip().split("\n")[0].split(": ")[0][:200] or type(error).__name__


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".parquet") and path.is_file() and path.name[0] not in "._"


def _belongs(folder: Path, path: Path) -> bool:
    parent = path.parent
    return (parent == folder and path.stem in ("roster", "events")) or parent == folder / "events"


def _one_table(folder: Path, table: str, found: _Problems) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if _is_table(path) and path.stem == table)
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        found.wrong.append(f"{names} are both there; keep one of them")
    if not paths and not (table == "events" and (folder / table).is_dir()):
        found.wrong.append(f"{table}.csv or {table}.parquet is missing; export it into this folder")
    return paths[:1]


def _event_files(folder: Path, found: _Problems) -> list[Path]:
    single = _one_table(folder, "events", found)
    parts = folder / "events"
    if not parts.is_dir():
        return single
    if single:
        found.wrong.append(f"{single[0].name} and the folder events/ are both there; keep one of them")
    paths = sorted(path for path in parts.iterdir() if _is_table(path))
    stems = [path.stem for path in paths]
    for stem in sorted({stem for stem in stems if stems.count(stem) > 1}):
        found.wrong.append(f"events/{stem} is there as CSV and as Parquet; keep one of them")
    for path in sorted(parts.iterdir()):
        if path.is_dir():
            found.wrong.append(f"events/{path.name} is a folder inside events/; move its files up")
        elif path not in paths and path.name[0] not in "._":
            found.notes.append(f"events/{path.name} was not read: neither .csv nor .parquet")
    if not paths:
        found.wrong.append("events/ holds no .csv or .parquet file; export the events into it")
    return single or paths


def _source(
    folder: Path, path: Path, known: Sequence[str], needed: Sequence[str], *, found: _Problems
) -> Source | None:
    name = path.relative_to(folder).as_posix()
    try:
        if path.stat().st_size == 0:
            raise ValueError("is empty; export it again, with its header")
        source = _csv_source(path, name) if path.suffix.lower() == ".csv" else _parquet_source(path, name)
        found.wrong.extend(_column_problems(source, known, needed))
    except ValueError as error:  # pyarrow's errors of a broken file are among them
        reason = _first_line(error) if not isinstance(error, pa.ArrowException) else _damaged(error)
        found.wrong.append(f"{name} {reason}")
        return None
    except OSError as error:
        found.wrong.append(f"{name} {_damaged(error)}")
        return None
    extra = sorted(set(source.columns) - set(known))
    if extra:
        found.notes.append(f"{name}: columns that nothing here knows were left out: {', '.join(extra)[:300]}")
    return source


def _damaged(error: Exception) -> str:
    return f"cannot be opened ({_first_line(error)}); it looks damaged or cut off: export it again"


def _csv_source(path: Path, name: str) -> Source:
    found = survey(path)
    return Source(path, name, found.header, found)


def _parquet_source(path: Path, name: str) -> Source:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    return Source(path, name, tuple(schema.names), None)


def _column_problems(source: Source, known: Sequence[str], needed: Sequence[str]) -> list[str]:
    missing = [column for column in needed if column not in source.columns]
    problems = []
    if missing:
        has = ", ".join(source.columns)[:200]
        needs = f"{source.name} has no column {', '.join(missing)}"
        problems.append(f"{needs} (it has: {has}); add it, separated by commas")
    twice = [column for column in known if source.columns.count(column) > 1]
    problems += [f"{source.name} has the column {column} twice; keep one of them" for column in twice]
    if source.survey is None and not twice:
        problems += _type_problems(source, known)
    return problems


def _type_problems(source: Source, known: Sequence[str]) -> list[str]:
    problems = []
    with pq.ParquetFile(source.path) as file:
        schema = file.schema_arrow
    for column in known:
        if column in source.columns:
            given = schema.field(column).type
            given = given.value_type if pa.types.is_dictionary(given) else given
            wanted, fits = _fits(column, given)
            if not fits:
                problems.append(f"{source.name} has column {column} as {given}; write it as {wanted} or text")
    return problems


def _fits(column: str, given: pa.DataType) -> tuple[str, bool]:
    types = pa.types
    text = types.is_string(given) or types.is_large_string(given) or types.is_string_view(given) or types.is_null(given)
    if column in DATES:
        return "a date", text or types.is_date(given) or types.is_timestamp(given)
    if column in NUMBERS:
        number = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
        return "a number", text or number
    return "a whole number", text or types.is_integer(given)


def _csv_blocks(source: Source, found: Survey, columns: Sequence[str]) -> Iterator[Block]:
    for part in records(source.path, found):
        cells, wrong = _parse(part, found.header, columns)
        lines = np.delete(part.lines, [number for number, _ in wrong])
        bad = [BadLine(int(part.lines[number]), text, "") for number, text in wrong]
        told = [
            BadLine(row.line, row.text, f"the line has not {len(found.header)} cells, like the header") for row in bad
        ]
        if len(lines) != (len(next(iter(cells.values()))) if cells else 0):
            raise pa.ArrowInvalid("rows and lines do not match")
        yield Block(source.name, lines, cells, (*part.bad, *told), part.size)


def _parse(
    part: Records, header: Sequence[str], columns: Sequence[str]
) -> tuple[dict[str, pa.Array], list[tuple[int, str]]]:
    """Return the cells of the columns as text, and (number, text) of records with too few or many cells."""
    wrong: list[tuple[int, str]] = []
    if not len(part.lines):
        return {column: pa.array([], pa.string()) for column in columns}, wrong

    def set_aside(row: csv.InvalidRow) -> str:
        wrong.append((row.number - 1, row.text[:120]))
        return "skip"

    table = csv.read_csv(
        pa.BufferReader(part.text),
        read_options=csv.ReadOptions(
            column_names=[str(number) for number in range(len(header))],
            use_threads=False,
            block_size=len(part.text) + 1,
        ),
        parse_options=csv.ParseOptions(
            newlines_in_values=part.multiline, invalid_row_handler=set_aside, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types={str(number): pa.string() for number in range(len(header))},
            include_columns=[str(header.index(column)) for column in columns],
            strings_can_be_null=False,
        ),
    )
    return {column: table.column(number).combine_chunks() for number, column in enumerate(columns)}, wrong


def _parquet_blocks(source: Source, columns: Sequence[str]) -> Iterator[Block]:
    first = 1
    with pq.ParquetFile(source.path) as file:
        share = source.size / max(1, file.metadata.num_rows)
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns)):
            batch.validate(full=True)
            lines = np.arange(first, first + len(batch), dtype=np.int64)
            first += len(batch)
            cells = {column: _plain(batch.column(column)) for column in columns}
            yield Block(source.name, lines, cells, size=int(share * len(batch)))


def _plain(cells: pa.Array) -> pa.Array:
    """Return cells without dictionary, and any kind of text as one kind."""
    if pa.types.is_dictionary(cells.type):
        cells = pc.cast(cells, cells.type.value_type)
    is_text = any(kind(cells.type) for kind in (pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null))
    return pc.cast(cells, pa.string()) if is_text else cells
