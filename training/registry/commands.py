"""The commands of the registry: promote, rollback, verify, impact."""

from typing import Any

import click

from features.console import Console, command
from features.errors import Refusal
from features.histories.store import current_version
from features.profile import load_profile
from training.registry.chain import Verified
from training.registry.history import AFFIRMED, Entry, os_user
from training.registry.impact import Assessment, assessments, draft, sign, withdraw
from training.registry.registry import Registry

RISK = click.option("--risk", required=True, help="A risk of the profile.")
BY = click.option("--by", default=os_user, show_default="you", help="Who signs.")


def _in_words(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """A text that says something: it is kept in the history, where an empty one would stand for ever."""
    if not text.strip():
        raise click.BadParameter("it is empty; say it in words: it is kept in the history.")
    return text


REASON = click.option("--reason", required=True, callback=_in_words, help="Why, in words that others will read.")


@RISK
@click.option("--version", default="latest", show_default=True, metavar="VERSION|latest", help="Which version.")
@BY
@REASON
@click.option("--force", is_flag=True, help="In spite of the gate; pages show the reason.")
def _promote(console: Console, *, risk: str, version: str, by: str, reason: str, force: bool) -> dict[str, Any]:
    """Make a version champion, if the gate has nothing against it."""
    entry = Registry(console.home).promote(risk, version, by=by, reason=reason, force=force)
    for each in entry.objections if entry.forced else ():
        console.say(f"In spite of the gate: {each['en']}.")
    console.say(_told(entry))
    return _as_json(entry)


promote = command("promote", looks=True)(_promote)


@RISK
@BY
@REASON
def _rollback(console: Console, *, risk: str, by: str, reason: str) -> dict[str, Any]:
    """Let the champion before the present one serve again."""
    entry = Registry(console.home).rollback(risk, by=by, reason=reason)
    console.say(_told(entry))
    return _as_json(entry)


rollback = command("rollback", looks=True)(_rollback)


def verify_registry(console: Console) -> dict[str, Any]:
    """Check that the history of the registry and the impact assessments are as they were written."""
    registry = Registry(console.home)
    history = _whole(registry.verify(), "history of the registry")
    filed = _whole(registry.verify_assessments(), "file of the impact assessments")
    if history.unfinished or filed.unfinished:
        console.say("The last row was never finished: that action did not happen, and the next row takes its place.")
    console.say(f"The history of the registry is whole: {history.rows} rows; the last is {history.head or 'none yet'}.")
    console.say(f"The impact assessments are whole: {filed.rows} rows; the last is {filed.head or 'none yet'}.")
    told = {"rows": history.rows, "head": history.head, "unfinished": history.unfinished}
    return {**told, "impact_assessments": {"rows": filed.rows, "head": filed.head, "unfinished": filed.unfinished}}


def _whole(found: Verified, what: str) -> Verified:
    if found.fault is not None:
        raise Refusal(f"The {what} was changed: row {found.fault.row}: {found.fault.what}.", hint=found.fault.hint)
    return found


verify = command("verify", looks=True)(verify_registry)


@click.argument("act", type=click.Choice(["list", "show", "draft", "sign", "withdraw"]), default="list")
@click.argument("subject", required=False, metavar="[ID|RISK]")
@BY
@click.option("--reason", default="", help="Why it is withdrawn.")
def _impact(console: Console, *, act: str, subject: str | None, by: str, reason: str) -> dict[str, Any]:
    """List, show, draft, sign or withdraw impact assessments: without one no model serves.

    draft takes a RISK and files a new one where the last was withdrawn; show, sign and withdraw take an ID.
    """
    if act != "list" and subject is None:
        raise click.UsageError(
            f"'impact {act}' needs {'a risk' if act == 'draft' else 'an id'}; see: jingxing impact list"
        )
    found = _chosen(console, act, subject or "", signature=(by, reason))
    if act in ("draft", "sign", "withdraw"):
        Registry(console.home).note_assessments()
    for each in found:
        console.say(
            f"{each.id:40} {each.state:10} {each.created}  {each.by}{f': {each.reason}' if each.reason else ''}"
        )
        if act in ("show", "draft"):
            console.say(f"\n{each.document['zh']}\n{each.document['en']}")
    if not found:
        console.say("No impact assessment is on file; training files a draft.")
    shown = [{**each.as_json(), **({"document": dict(each.document)} if act == "show" else {})} for each in found]
    return {"assessments": shown}


impact = command("impact", looks=True)(_impact)


def _chosen(console: Console, act: str, subject: str, *, signature: tuple[str, str]) -> list[Assessment]:
    home, (by, reason) = console.home, signature
    if act == "draft":
        return [draft(home, load_profile(current_version(home) / "profile"), subject, anew=True)]
    if act == "sign":
        return [sign(home, subject, by=by)]
    if act == "withdraw":
        return [withdraw(home, subject, by=by, reason=reason)]
    known = assessments(home)
    found = known if act == "list" else [one for one in known if one.id == subject]
    if act == "show" and not found:
        there = ", ".join(one.id for one in known) or "none"
        raise Refusal(f"There is no impact assessment '{subject}'.", hint=f"There are: {there}.")
    return found


def _told(entry: Entry) -> str:
    if entry.action == AFFIRMED:
        return f"Version {entry.version} of '{entry.risk}' serves on, affirmed (row {entry.number} of the history)."
    before = f" in place of version {entry.previous}" if entry.previous and entry.previous != entry.version else ""
    return f"Version {entry.version} of '{entry.risk}' serves{before} (row {entry.number} of the history)."


def _as_json(entry: Entry) -> dict[str, Any]:
    keys = ("number", "when", "who", "action", "risk", "version", "previous", "reason", "forced", "hash")
    return {**{key: getattr(entry, key) for key in keys}, "objections": list(entry.objections)}
