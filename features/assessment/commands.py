"""What the commands of the assessment say: assess (the command itself stands in serving, which stores it), points."""

import datetime as dt
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.assessment.assess import STEPS, Assessment, assess
from features.assessment.export import as_records, check_out, write_assessment
from features.assessment.ground.assessable import Assessable, assessable
from features.assessment.ground.levels import SCORES
from features.assessment.opened import opened
from features.assessment.points import balances, entry_table, ledger
from features.console import Console, OutFile, command
from features.errors import Refusal, WrongUsage
from features.histories.reach import reach_of
from features.histories.store import current_version, load_histories
from features.histories.tables import Histories
from features.months import day_numbers, month_text, parse_month

SHOWN = 3
COUNTED = ("people", "warnings", "stars", "leaders", "declines", "ladders", "hidden", "gaming", "blind_spots", "offers")


Keep = Callable[[Assessment], None]


def assess_month(
    console: Console,
    *,
    as_of: str,
    out: Path | None,
    officer: str | None,
    consents: Collection[str],
    keep: Keep | None = None,
) -> dict[str, Any]:
    """Assess a month, tell of it, and return what --json prints; ``keep`` is given the whole to store.

    Into ``out`` where given; one ``officer`` opened down to the events where given, instead of the force.
    """
    month = parse_month(as_of)
    if out is not None:
        check_out(out)
    given = load_histories(console.home)
    reach_of(given).check_months(month)
    with console.progress(f"Assessing {as_of}", STEPS) as advance:
        found = assess(given, month, consents=consents, progress=advance)
    if officer is not None:
        return _one_officer(console, given, found=found, officer=officer)
    written = write_assessment(found, out) if out is not None else []
    if keep is not None:
        keep(found)
    _tell(console, found)
    if out is not None:
        console.say(f"Wrote {len(written)} tables to {out}.")
    counts = {name: len(_of_note(name, found.tables[name])) for name in COUNTED}
    return {"as_of": as_of, "out": str(out) if out else None, "tables": written, "counts": counts, **_small(found)}


def _of_note(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that say something: stars, not everyone ranked; standing warnings; what is listed."""
    if name == "stars":
        return table[table["star"]]
    if name == "warnings":
        return table[table["state"] != "lifted"]
    return table[table["listed"].astype(bool)] if "listed" in table else table


def _small(found: Assessment) -> dict[str, Any]:
    names = ("stars", "leaders", "declines", "warnings", "gaming", "lint", "hidden")
    return {name: as_records(_of_note(name, found.tables[name])) for name in names}


def _tell(console: Console, found: Assessment) -> None:
    people = found.tables["people"]
    states = ", ".join(f"{number:,} {state}" for state, number in people["status"].value_counts().items())
    console.say(f"Assessed {len(people):,} officers as known at the end of {month_text(found.as_of)}: {states}.")
    for name, what in (
        ("stars", "stars of the quarter"),
        ("warnings", "standing warnings of the negative list"),
        ("leaders", "leading three months: training first, or rotation"),
        ("declines", "falling three months (the rule beside the model)"),
        ("ladders", "steady strong performers with a ladder"),
        ("hidden", "with hidden performance"),
        ("blind_spots", "officers and units whom superiors and residents see differently"),
        ("gaming", "measures that jumped after the rules changed"),
    ):
        rows = _of_note(name, found.tables[name])
        console.say(f"{len(rows):>7,}  {what}")
        for row in as_records(rows.head(SHOWN)):
            who = row.get("officer_id") or row.get("unit") or row["post"]
            console.say(f"{'':9}{who}: {row.get('reason_en') or row.get('says_en')}")
    for row in as_records(found.tables["lint"]):
        if row["says_en"]:
            console.say(f"Lint: {row['post']}: {row['says_en']}")


def _one_officer(console: Console, given: Histories, *, found: Assessment, officer: str) -> dict[str, Any]:
    view = assessable(given, found.as_of)
    inside = opened(view, officer)
    events, entries = (_with_ids(console.home, table) for table in (inside.events, inside.entries))
    person = found.tables["people"].set_index("officer_id").loc[officer]
    console.say(f"{officer} · {person['post']} · {person['unit']} · {month_text(found.as_of)} · {person['status']}")
    for name in SCORES:
        console.say(
            f"{name:>14} {person[f'{name}_level']:+.2f} ({person[f'{name}_low']:+.2f} to {person[f'{name}_high']:+.2f})"
            f"  percentile {person[f'{name}_percentile']:.0f}"
        )
    for figure in dict.fromkeys(row["figure"] for row in events):
        rows = [row for row in events if row["figure"] == figure and (row["in_window"] or figure == "honour")]
        console.say(f"{figure}: {len(rows)} events")
        for row in rows:
            value = f"{row['measure']} {row['value']:g} {row['unit']}"
            console.say(f"  {row['occurred_on']}  {value}  {row['event_id'] or ''}")
    console.say(f"points: {sum(row['cents'] for row in entries) / 100:,.2f} from {len(entries):,} entries")
    mine = {
        name: as_records(_own(found.tables[name], officer)) for name in ("people", "indicators", "reasons", "history")
    }
    ledger_rows = {"events": events, "entries": entries}
    return {"as_of": month_text(found.as_of), "officer_id": officer, **mine, **ledger_rows,
            "warnings": as_records(inside.warnings)}  # fmt: skip


def _own(table: pd.DataFrame, officer: str) -> pd.DataFrame:
    return table[table["officer_id"] == officer]


def _with_ids(home: Path, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's records with the event_id of their event rows in the store, None where a row has none."""
    column = pq.read_table(current_version(home) / "events.parquet", columns=["event_id"])["event_id"]
    ids = column.take(table["row"].to_numpy()).to_pylist()
    return [{**record, "event_id": name} for record, name in zip(as_records(table), ids, strict=True)]


@click.option("--on", "day", required=True, metavar="YYYY-MM-DD", help="Balances at the end of this day.")
@click.option("--officer", default=None, metavar="ID", help="One officer's entries up to that day.")
@click.option("--out", type=OutFile(".csv"), default=None, help="A CSV file of the balances.")
def _points(console: Console, *, day: str, officer: str | None, out: Path | None) -> dict[str, Any]:
    """Say the points balances at any past date, and the entries behind one of them."""
    date = _day(day)
    given = load_histories(console.home)
    reach_of(given).check_day(date)
    view = assessable(given, date.year * 12 + date.month - 1)
    number = int(day_numbers(np.asarray([date], dtype="datetime64[D]"))[0])
    if officer is not None:
        return _entries(console, view, officer, day=number)
    cents = balances(view, number)
    table = pd.DataFrame({"officer_id": view.given.officers, "balance": cents / 100})
    if out is not None:
        table.to_csv(out, index=False, float_format="%.2f")
    console.say(f"{cents.sum() / 100:,.2f} points of {len(cents):,} officers at the end of {date}.")
    rows = [
        {"officer_id": name, "balance_cents": int(own)} for name, own in zip(table["officer_id"], cents, strict=True)
    ]
    return {"on": day, "balances": rows}


points_command = command("points")(_points)


def _entries(console: Console, view: Assessable, officer: str, *, day: int) -> dict[str, Any]:
    place = np.flatnonzero(view.given.officers == officer)
    if not len(place):
        raise Refusal(f"There is no officer '{officer}' on the roster.", hint="Give officer_id as the roster does.")
    entries = ledger(view, int(place[0]))
    table = entry_table(view, entries.take(entries.booked <= day))
    rows = _with_ids(console.home, table)
    for row in rows:
        what = f"{row['kind']:<7} {row['measure']} of {row['occurred_on']}"
        points = f"{row['cents'] / 100:>10,.2f}"
        console.say(f"{row['booked_on']}  {points}  {what}  {row['rule']}  {row['event_id'] or ''}")
    total = sum(row["cents"] for row in rows)
    console.say(f"{total / 100:,.2f} points")
    return {"officer_id": officer, "balance_cents": total, "entries": rows}


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"'{text}' is not a day.", hint="Write it as YYYY-MM-DD, for example 2024-03-17.") from None
