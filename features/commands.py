"""The commands of this floor: simulate, ingest, quarantine, features, labels."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq

from features.console import Console, OutFile, command
from features.engine import feature_names, feature_rows
from features.errors import SHOWN, Refusal, WrongUsage
from features.histories.ingest import ingest as take_in
from features.histories.reach import reach_between, reach_of
from features.histories.reading import export_size
from features.histories.store import load_histories, quarantined, stored_profile
from features.labels import labels as label_rows
from features.months import month_text, parse_month
from features.parts.blocks import blocks_of
from features.parts.passes import FeaturesOf, extent_of, shared_figures, spread_tables
from features.parts.workers import DASK, opened
from features.simulation import simulate as simulate_force
from features.simulation import write_export

AS_OF = click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose last day is the as-of.")
FROM = click.option("--from", "since", metavar="YYYY-MM", help="The first as-of, for every month up to --as-of.")
OUT = click.option("--out", required=True, type=OutFile(".parquet"), help="The Parquet file to write.")


@click.option("--officers", type=click.IntRange(min=1), required=True, help="Officers on the roster, leavers included.")
@click.option("--months", type=click.IntRange(min=1), required=True, help="How many months of histories.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder of the export."
)
def _simulate(console: Console, *, officers: int, months: int, seed: int, out: Path) -> dict[str, Any]:
    """Write a simulated force as a history export, and truth.parquet beside it."""
    with console.progress("Simulating months", months) as advance:
        force = simulate_force(officers=officers, months=months, seed=seed, progress=advance)
    write_export(force, out)
    console.say(f"Wrote {len(force.roster):,} postings, {len(force.events):,} events and the truth to {out}.")
    return {
        "out": str(out),
        "postings": len(force.roster),
        "events": len(force.events),
        "truth": len(force.truth),
    }


simulate = command("simulate")(_simulate)


@click.argument("export", type=click.Path(path_type=Path))
@click.option("--profile", default=None, help="A profile's folder or the name of a built-in one (gongan).")
@click.option("--strict", is_flag=True, help="Refuse the whole export when any row is bad.")
def _ingest(console: Console, *, export: Path, profile: str | None, strict: bool) -> dict[str, Any]:
    """Check a history export and store it; bad rows go to quarantine."""
    with console.progress("Reading, bytes", export_size(export)) as advance:
        result = take_in(export, home=console.home, profile=profile, strict=strict, progress=advance)
    if profile is None:
        console.say(f"No --profile was given: checked by the profile '{result.profile}'.")
    console.say(
        f"Read {result.rows_read:,} rows: {result.events_new:,} new events, {result.events_known:,} already known, "
        f"{len(result.quarantined):,} in quarantine."
    )
    console.say(
        f"The store in {console.home} now holds {result.events_total:,} events and {result.postings:,} postings of "
        f"{result.officers:,} officers, under the profile '{result.profile}'."
    )
    for note in result.notes[:SHOWN]:
        console.say("Note: " + ": ".join(str(part) for part in note.values() if part not in (None, "")))
    for row in result.quarantined[:SHOWN]:
        console.say(_bad_row(row))
    if len(result.quarantined) > SHOWN:
        console.say(f"... and {len(result.quarantined) - SHOWN:,} more; `jingxing quarantine` lists them all.")
    return result.as_json()


ingest = command("ingest")(_ingest)


def _quarantine(console: Console) -> dict[str, Any]:
    """List the rows that were not taken in, and why."""
    rows = quarantined(console.home)
    for row in rows:
        console.say(_bad_row(row))
    console.say(f"{len(rows)} rows in quarantine.")
    return {"quarantined": rows}


quarantine = command("quarantine")(_quarantine)


def _bad_row(row: dict[str, Any]) -> str:
    who = ", ".join(
        f"{name} {row[key]}" for name, key in (("officer", "officer_id"), ("event", "event_id")) if row[key]
    )
    column = f"{row['column']}: " if row["column"] else ""
    return f"{row['file']} line {row['line']}: {column}{row['reason']}" + (f" ({who})" if who else "")


@AS_OF
@FROM
@OUT
@DASK
def _features(console: Console, *, as_of: str, since: str | None, out: Path, dask: str | None) -> dict[str, Any]:
    """Write the feature rows of the cohort as known at each as-of."""
    months = as_of_months(as_of, since)
    if dask is not None:
        return _features_in_parts(console, dask, months, out)
    given = load_histories(console.home)
    reach_of(given).check_months(*months)
    with console.progress("Features, as-ofs", len(months)) as advance:
        rows = feature_rows(given, months, progress=advance)
    write_table(rows.frame(given), out)
    console.say(f"Wrote {len(rows):,} rows of {len(rows.names)} features at {len(months)} as-ofs to {out}.")
    return {
        "out": str(out),
        "rows": len(rows),
        "features": len(rows.names),
        "as_ofs": [month_text(month) for month in months],
    }


features = command("features")(_features)


def _features_in_parts(console: Console, dask: str, months: list[int], out: Path) -> dict[str, Any]:
    blocks = blocks_of(console.home)
    question = FeaturesOf(tuple(months), feature_names(stored_profile(console.home)))
    with opened(dask) as workers, console.progress("Features, blocks", 3 * len(blocks)) as advance:
        extent = extent_of(workers, blocks)
        reach_between(extent.event, extent.last).check_months(*months)
        shared = shared_figures(workers, blocks, [question], extent=extent, progress=advance)
        tables = _counted(spread_tables(workers, blocks, shared, question), advance)
        rows = write_tables(tables, out)
    console.say(f"Wrote {rows:,} rows of {len(question.names)} features at {len(months)} as-ofs to {out}.")
    told = {"out": str(out), "rows": rows, "features": len(question.names), "blocks": len(blocks)}
    return {**told, "as_ofs": [month_text(month) for month in months]}


def _counted(tables: Iterable[pa.Table], advance: Callable[[int], None]) -> Iterator[pa.Table]:
    for table in tables:
        advance(1)
        yield table


@click.option("--risk", required=True, help="A risk of the profile.")
@AS_OF
@FROM
@click.option("--until", metavar="YYYY-MM", help="Only what was recorded by the end of this month.")
@OUT
def _labels(
    console: Console, *, risk: str, as_of: str, since: str | None, until: str | None, out: Path
) -> dict[str, Any]:
    """Write what became of the cohort after each as-of: 1, 0, or empty where unknown."""
    months = as_of_months(as_of, since)
    given = load_histories(console.home)
    reach_of(given).check_months(*months)
    found = label_rows(given, risk, months, until=parse_month(until) if until else None)
    table = found.frame(given)
    write_table(table, out)
    counts = {"positive": int((found.label == 1).sum()), "negative": int((found.label == 0).sum())}
    counts["unknown"] = len(table) - counts["positive"] - counts["negative"]
    console.say(
        f"Wrote {len(table):,} labels to {out}: "
        + ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
        + "."
    )
    return {"out": str(out), "risk": risk, "rows": len(table), **counts}


labels = command("labels")(_labels)


def as_of_months(as_of: str, since: str | None) -> list[int]:
    """Return the month numbers from ``since`` (or just ``as_of``) to ``as_of``; WrongUsage where they are reversed."""
    last = parse_month(as_of)
    first = parse_month(since) if since else last
    if first > last:
        raise WrongUsage(f"--from {since} lies after --as-of {as_of}.")
    return list(range(first, last + 1))


def write_table(table: Any, out: Path) -> None:
    """Write a DataFrame to Parquet through a temporary file, so that a killed command leaves no half file."""
    write_tables([pa.Table.from_pandas(table, preserve_index=False)], out)


def write_tables(tables: Iterable[pa.Table], out: Path) -> int:
    """Write tables one after the other, as write_table does; return how many rows. Only one is held at a time."""
    if not out.parent.is_dir():
        raise Refusal(f"The folder {out.parent} does not exist.", hint="Make it first, or choose another --out.")
    part, rows = out.with_name(out.name + ".part"), 0
    following = iter(tables)
    first = next(following)
    with pq.ParquetWriter(part, first.schema, compression="zstd") as file:
        for table in itertools.chain([first], following):
            file.write_table(table.cast(first.schema))
            rows += len(table)
    part.replace(out)
    return rows
