"""The list of rows that were not taken in: its columns, and how entries are made and told."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.histories.reading import Block
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS

ROW_COLUMNS = tuple(dict.fromkeys((*ROSTER_COLUMNS, *EVENT_COLUMNS)))
ENTRY = ("file", "line", "event_id", "officer_id", "column", "value", "reason")
QUARANTINE = pa.schema(
    [("table", pa.string()), ("export", pa.string()), ("line", pa.int64())]
    + [(name, pa.string()) for name in ENTRY if name != "line"]
    + [(f"row_{column}", pa.string()) for column in ROW_COLUMNS]
)
"""An entry of the quarantine: the contract's seven fields, where it came from, and the row's own cells."""


def listed(entries: pa.Table) -> list[dict[str, Any]]:
    """Return entries as dicts of the contract's seven fields."""
    rows: list[dict[str, Any]] = entries.select(list(ENTRY)).to_pylist()
    return rows


def in_file_order(entries: Sequence[pa.Table]) -> pa.Table:
    """Return all entries in the order of the files' lines, the roster's first."""
    whole = pa.concat_tables([QUARANTINE.empty_table(), *entries])
    order = [("table", "descending"), ("export", "ascending"), ("file", "ascending"), ("line", "ascending")]
    return whole.sort_by(order).combine_chunks()


def bad_line_entries(block: Block, table: str, export: str) -> pa.Table:
    """Return the lines that could not be read as entries."""
    same = {"table": table, "export": export, "file": block.file}
    rows = [{**same, "line": bad.line, "value": bad.text, "reason": bad.reason} for bad in block.bad]
    return pa.Table.from_pylist(rows, schema=QUARANTINE)


def row_entries(
    cells: dict[str, pa.Array], lines: npt.NDArray[np.int64], *, file: str | Sequence[str], table: str, export: str,
    column: str, reason: str | Sequence[str],
) -> pa.Table:  # fmt: skip
    """Return entries of rows given as text cells; ``file`` and ``reason`` may differ by row."""
    size = len(lines)
    nothing = pa.nulls(size, pa.string())

    def each(word: str | Sequence[str]) -> pa.Array:
        return pa.repeat(word, size) if isinstance(word, str) else pa.array(word, pa.string())

    given = {
        "table": each(table), "export": each(export), "file": each(file), "line": pa.array(lines, pa.int64()),
        "event_id": cells.get("event_id", nothing), "officer_id": cells["officer_id"], "column": each(column),
        "value": cells[column], "reason": each(reason),
    }  # fmt: skip
    given |= {f"row_{name}": cells.get(name, nothing) for name in ROW_COLUMNS}
    return pa.table([given[name] for name in QUARANTINE.names], schema=QUARANTINE)
