"""Writes a simulated force to a folder as a history export, with its truth beside it."""

import os
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.simulation.force import SimulatedForce

Format = Literal["parquet", "csv"]
HISTORY = ("roster", "events")


def write_export(force: SimulatedForce, folder: Path, *, format: Format = "parquet") -> None:
    """Write roster, events (in the chosen format) and truth.parquet; each file appears whole or not at all.

    The same force gives the same bytes: columns in the contract's order, one compression, no time of writing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("roster", force.roster), ("events", force.events)):
        _write(table, folder / f"{name}.{format}")
    _write(force.truth, folder / "truth.parquet")


def _write(table: pd.DataFrame, path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    if path.suffix == ".csv":
        table.to_csv(partial, index=False, date_format="%Y-%m-%d", encoding="utf-8", lineterminator="\n")
    else:
        found = pa.Table.from_pandas(table, preserve_index=False)
        found = _dated(found) if path.stem in HISTORY else found.replace_schema_metadata(None)
        pq.write_table(found, partial, compression="zstd")
    os.replace(partial, path)


def _dated(found: pa.Table) -> pa.Table:
    """Return the table with days as dates; as-ofs elsewhere stay timestamps, as features and labels have them."""
    for place, column in enumerate(found.schema):
        if pa.types.is_timestamp(column.type):
            days = found.column(place).cast(pa.date32())
            found = found.set_column(place, column.name, days)
    return found.replace_schema_metadata(None)
