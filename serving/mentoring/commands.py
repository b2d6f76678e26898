"""The command match: pairs officers warned of decline with stars, and stores the proposals."""

from typing import Any

import click
from sqlalchemy import select

from features.console import Console, command
from features.histories.reach import stored_reach
from features.months import month_end, parse_month
from serving.access.audit import SYSTEM
from serving.database import open_database, transaction
from serving.mentoring.proposals import propose
from serving.mentoring.tables import Mentorship, Unmatched
from serving.words import percent

SHOWN = 20


@click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose list is answered.")
@click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _match(console: Console, *, as_of: str, db: str | None, lang: str) -> dict[str, Any]:
    """Propose mentorships: of all largest matchings the one of the best total fit, with reasons.

    Pairs that were offered, accepted or run are kept; proposals that nobody acted on are replaced.
    """
    month = parse_month(as_of)
    stored_reach(console.home).check_months(month)  # before a store is made in a home without histories
    with transaction(open_database(console.home, db)) as session:
        made = propose(session, console.home, SYSTEM, as_of=month_end(month))
        pairs = list(session.scalars(select(Mentorship).where(Mentorship.round_id == made.id).order_by(Mentorship.id)))
        without = session.scalars(
            select(Unmatched).where(
                Unmatched.round_id == made.id, Unmatched.side == "mentee", Unmatched.kind != "paired"
            )
        ).all()
        told = {
            "as_of": as_of, "round": made.id, "mentees": made.mentees, "mentors": made.mentors, "kept": made.kept,
            "total_fit": made.total_fit, "one_more": made.one_more,
            "pairs": [{"id": pair.id, "mentee_id": pair.mentee_id, "mentor_id": pair.mentor_id, "fit": pair.fit,
                       "parts": pair.parts, "reason": pair.reason} for pair in pairs],
            "unmatched": [{"officer_id": row.officer_id, "kind": row.kind, "reason": row.reason} for row in without],
        }  # fmt: skip
        _say(console, told, lang)
    return told


match_command = command("match")(_match)


def _say(console: Console, told: dict[str, Any], lang: str) -> None:
    console.say(
        f"{told['mentees']} warned of decline, {told['mentors']} stars who can mentor: {len(told['pairs'])} pairs, "
        f"total fit {told['total_fit']:.2f}; {told['kept']} earlier pairs are kept."
    )
    for pair in told["pairs"][:SHOWN]:
        console.say(f"{pair['mentee_id']} ← {pair['mentor_id']}  {percent(pair['fit'])}  {pair['reason'][lang]}")
    if len(told["pairs"]) > SHOWN:
        console.say(f"... and {len(told['pairs']) - SHOWN} more: see the page of mentorships.")
    for row in told["unmatched"][:SHOWN]:
        console.say(f"{row['officer_id']} stays without: {row['reason'][lang]}")
    for row in told["one_more"]:
        console.say(
            f"One more place with {row['mentor_id']} ({row['post']}): {row['pairs']:+d} pair, {row['fit']:+.2f} fit"
        )
