"""The command assess: computes a month's assessment, writes it where asked, and puts it into the score store."""

from pathlib import Path
from typing import Any

import click

from features.assessment.commands import assess_month
from features.console import Console, command
from features.histories.store import current_version
from features.months import month_end, parse_month
from serving.assessed.storing import consented, store_assessment
from serving.database import open_database


@click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose last day is the as-of.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=None, help="FILE.xlsx, FILE.json or FILE.parquet."
)
@click.option("--officer", default=None, metavar="ID", help="Open one officer's figures down to their events.")
@click.option("--agreed", multiple=True, metavar="ID", help="An officer who agreed to a letter of honour (repeatable).")
@click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)
def _assess(
    console: Console, *, as_of: str, out: Path | None, officer: str | None, agreed: tuple[str, ...], db: str | None
) -> dict[str, Any]:
    """Assess a month: three-dimension report, points, warnings, stars, leaders, and what to look at; store it."""
    day = month_end(parse_month(as_of))
    current_version(console.home)  # a home without histories is refused before a store is made in it
    engine = open_database(console.home, db)
    return assess_month(
        console,
        as_of=as_of,
        out=out,
        officer=officer,
        consents={*agreed, *consented(engine, day)},
        keep=lambda found: store_assessment(found, engine),
    )


assess_command = command("assess")(_assess)
