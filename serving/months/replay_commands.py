"""The command ``replay``: a past list computed again, or the change between two lists split into its causes."""

from pathlib import Path
from typing import Any

import click

from features.console import Console, command
from features.errors import Refusal
from features.months import month_text, parse_month
from serving.database import open_database, transaction
from serving.months.replay import (
    DATA,
    MODEL,
    MODEL_AND_POLICY,
    POLICY,
    UNEXPLAINED,
    Change,
    PastList,
    Replayed,
    Step,
    change_between,
    past_list,
    replay,
)
from serving.words import joined, say

CAUSES = {
    DATA: "replay_data",
    MODEL: "replay_model",
    POLICY: "replay_policy",
    MODEL_AND_POLICY: "replay_model_and_policy",
    UNEXPLAINED: "replay_unexplained",
}
NAMED = 12
"""So many persons are named in prose; --json names all."""


@click.option("--risk", required=True, help="A risk of the profile.")
@click.option("--as-of", required=True, metavar="YYYY-MM", help="The month of the list.")
@click.option("--run", type=click.IntRange(min=1), default=None, help="An earlier scoring of it, by number.")
@click.option("--against", default=None, metavar="YYYY-MM", help="Split the change from the list of this month.")
@click.option("--against-run", type=click.IntRange(min=1), default=None, help="... or from this earlier scoring.")
@click.option("--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _replay(
    console: Console,
    *,
    risk: str,
    as_of: str,
    run: int | None,
    against: str | None,
    against_run: int | None,
    db: str | None,
    lang: str,
) -> dict[str, Any]:
    """Rebuild a past list from the store, to the bit; or say what data, model and policy changed since another."""
    month, database = parse_month(as_of), open_database(console.home, db)
    with transaction(database) as session:
        past = past_list(session, risk, month, run=run)
        other = None
        if against or against_run:
            other = past_list(session, risk, parse_month(against) if against else month, run=against_run)
    if other is None:
        return _told_again(console, _replayed(console, past), lang)
    older, newer = sorted((other, past), key=lambda each: (each.as_of, each.run))
    with console.progress(f"Rebuilding {older.name} and {newer.name}", 1) as advance:
        change = change_between(console.home, older, newer)
        advance(1)
    return _told_change(console, change, lang)


replay_command = command("replay", looks=True)(_replay)


def _replayed(console: Console, past: PastList) -> Replayed:
    with console.progress(f"Rebuilding {past.name}", 1) as advance:
        found = replay(Path(console.home), past)
        advance(1)
    return found


def _told_again(console: Console, found: Replayed, language: str) -> dict[str, Any]:
    past = found.past
    if not found.equal:
        unlike = [f"{each.what}: {each.persons} persons, by {each.largest:.3g} at most" for each in found.differences]
        raise Refusal(
            f"The list {past.name} is not what is rebuilt from its histories, model and profile:",
            unlike,
            hint="Was the database changed by hand, or is another version of LightGBM installed?",
        )
    people = len(past.people["officer_id"])
    console.say(say("replay_equal", language, name=past.name, model=past.model_version, people=f"{people:,}"))
    if past.served and past.served["forced"]:
        console.say(f"{say('forced_title', language)}: {past.served['reason']}")
    _tell_corrected(console, past, language)
    return {
        **_header(past),
        "equal": True,
        "persons": people,
        "histories": past.known_digest,
        "corrected": [{"officer_id": c.officer_id, "cause": c.cause, "on": str(c.on)} for c in past.then.corrected],
    }


def _tell_corrected(console: Console, past: PastList, language: str) -> None:
    """Whose score was computed anew since, and why: the list says what was scored, the correction stands beside it."""
    for each in past.then.corrected:
        cause = say(f"replay_corrected_{each.cause}", language)
        console.say(f"  {say('replay_corrected', language, id=each.officer_id, day=each.on, cause=cause)}")


def _told_change(console: Console, change: Change, language: str) -> dict[str, Any]:
    older, newer = change.older, change.newer
    console.say(
        say(
            "replay_change",
            language,
            older=older.name,
            newer=newer.name,
            came=len(change.came),
            left=len(change.left),
            stayed=len(older.listed & newer.listed),
        )
    )
    for step in change.steps:
        versions = {"older": older.model_version, "newer": newer.model_version} if step.cause == MODEL else {}
        cause = say(CAUSES[step.cause], language, **versions)
        console.say(f"  {say('replay_step', language, cause=cause, came=len(step.came), left=len(step.left))}")
        _name(console, step, language)
    return {
        "older": _header(older),
        "newer": _header(newer),
        "came": sorted(change.came),
        "left": sorted(change.left),
        "steps": [{"cause": each.cause, "came": sorted(each.came), "left": sorted(each.left)} for each in change.steps],
    }


def _name(console: Console, step: Step, language: str) -> None:
    for sign, who in (("+", sorted(step.came)), ("−", sorted(step.left))):
        if who:
            more = " …" if len(who) > NAMED else ""
            console.say(say("replay_who", language, sign=sign, who=joined(who[:NAMED], language) + more))


def _header(past: PastList) -> dict[str, Any]:
    return {
        "risk": past.risk,
        "as_of": month_text(past.as_of),
        "run": past.run,
        "model_version": past.model_version,
        "capacity": past.capacity,
        "served": dict(past.served) if past.served else None,
    }
