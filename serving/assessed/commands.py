"""The command assess: computes a month's assessment, writes it where asked, and puts it into the score store."""

from pathlib import Path
from typing import Any

import click

from features.assessment.commands import assess_month
from features.console import Console, OutFile, command
from features.errors import Refusal
from features.histories.reach import stored_reach
from features.histories.store import load_roster
from features.months import month_end, parse_month
from serving.assessed.storing import consented, store_assessment
from serving.database import open_database


@click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose last day is the as-of.")
@click.option("--out", type=OutFile(), default=None, help="FILE.xlsx, FILE.json or FILE.parquet.")
@click.option("--officer", default=None, metavar="ID", help="Open one officer's figures down to their events.")
@click.option("--agreed", multiple=True, metavar="ID", help="An officer who agreed to a letter of honour (repeatable).")
@click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)
def _assess(
    console: Console, *, as_of: str, out: Path | None, officer: str | None, agreed: tuple[str, ...], db: str | None
) -> dict[str, Any]:
    """Assess a month: three-dimension report, points, warnings, stars, leaders, and what to look at; store it."""
    month = parse_month(as_of)
    _check_officers(console, agreed)
    stored_reach(console.home).check_months(month)  # before a store is made in a home without histories
    engine = open_database(console.home, db)
    return assess_month(
        console,
        as_of=as_of,
        out=out,
        officer=officer,
        consents={*agreed, *consented(engine, month_end(month))},
        keep=lambda found: store_assessment(found, engine),
    )


assess_command = command("assess")(_assess)


def _check_officers(console: Console, agreed: tuple[str, ...]) -> None:
    known = set(load_roster(console.home).officers.tolist()) if agreed else set()
    strangers = [name for name in agreed if name not in known]
    if strangers:
        raise Refusal("Who agreed is not on the roster:", strangers, hint="Give officer_id as the roster does.")
