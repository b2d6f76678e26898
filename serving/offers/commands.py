"""The commands offers and ledger: what is offered becomes rows that are followed; what was taken becomes events."""

from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from features.console import Console, command
from features.errors import Refusal
from features.histories.reach import stored_reach
from features.histories.store import current_version, load_roster
from features.months import month_end, parse_month
from serving.access.audit import SYSTEM, record
from serving.database import open_database, transaction
from serving.offers.ledger import ingest_ledger, ledger_events, write_ledger
from serving.offers.raising import raise_offers
from serving.tables import Batch

DB = click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)


@click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose recommendations are offered.")
@DB
def _offers(console: Console, *, as_of: str, db: str | None) -> dict[str, Any]:
    """Make offers of a month's recommendations and ladders, each with owner and due date; the monthly run does it."""
    month = parse_month(as_of)
    stored_reach(console.home).check_months(month)
    profile = load_roster(console.home).profile
    with transaction(open_database(console.home, db)) as session:
        if session.scalar(select(Batch.id).where(Batch.as_of == month_end(month)).limit(1)) is None:
            raise Refusal(f"There is no list of {as_of} to make offers from.",
                          hint=f"First: jingxing score --as-of {as_of}")  # fmt: skip
        made = raise_offers(session, profile, month_end(month))
    console.say(f"{made.new} new offers, {made.renewed} renewed, {made.lapsed} lapsed.")
    return {"as_of": as_of, **vars(made)}


offers_command = command("offers")(_offers)


@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=None, help="Write an export there instead."
)
@DB
def _ledger(console: Console, *, out: Path | None, db: str | None) -> dict[str, Any]:
    """Bring help that was taken (mentoring, rest, offers, flags acted on) into the histories as events.

    Asked again it changes nothing. What was entered after the last recorded day of the store waits for the next export.
    """
    current_version(console.home)
    engine = open_database(console.home, db)
    if out is not None:
        with transaction(engine, writes=False) as session:
            table = ledger_events(session, load_roster(console.home).profile)
        write_ledger(out, console.home, table)
        console.say(f"Wrote {len(table):,} events of help to {out}.")
        return {"out": str(out), "events": len(table)}
    with transaction(engine, writes=False) as session:
        result, waiting = ingest_ledger(session, console.home)
    new = result.events_new if result else 0
    with transaction(engine) as session:
        record(session, SYSTEM, "ledger ingested", "", new=new, waiting=waiting)
    console.say(f"{new:,} events of help are new in the histories; {waiting:,} wait for the next export.")
    return {"new": new, "waiting": waiting}


ledger_command = command("ledger")(_ledger)
