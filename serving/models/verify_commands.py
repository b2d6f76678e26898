"""The command ``verify``: the registry's history and the audit chain of the database are as they were written."""

from typing import Any

import click

from features.console import Console, command
from features.errors import Refusal, WrongUsage
from serving.access.audit import faults
from serving.access.tables import AuditHead, AuditRow
from serving.database import open_database, transaction
from serving.decisions.publishing import altered, missing
from serving.decisions.unlogged import unlogged
from training.registry.commands import verify_registry

EMBEDDED = "jingxing.db"


@click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The store (default: SQLite in HOME/var)."
)
@click.option("--head", default=None, metavar="NUMBER:HASH", help="A last row of the log that was written down before.")
def _verify(console: Console, *, db: str | None, head: str | None) -> dict[str, Any]:
    """Check that the registry's history and the log are as they were written; name every row that is not.

    A log that was cut, and its mark with it, is found with --head: the row that was written down must still be there.
    """
    return {**verify_registry(console), "audit": _log(console, db, head)}


verify = command("verify", looks=True)(_verify)


def _log(console: Console, db: str | None, head: str | None) -> dict[str, Any]:
    noted = _noted(head)
    if db is None and not (console.home / "var" / EMBEDDED).exists():
        console.say("There is no log yet: this home has no database.")
        return {"rows": 0, "head": None}
    engine = open_database(console.home, db)
    with transaction(engine, writes=False) as session:
        problems = [fault.what_en for fault in faults(session)]
        problems += [
            f"the published list of {row.risk}, {row.as_of:%Y-%m}, is not what was published"
            for row in altered(session)
        ]
        problems += [
            f"the list of {risk}, {as_of[:7]}, that the log says was published is not there as it was published"
            for risk, as_of in missing(session)
        ]
        problems += unlogged(session)
        last = session.get(AuditHead, 1)
        if noted is not None:
            row = session.get(AuditRow, noted[0])
            if row is None or row.hash != noted[1]:
                problems.append(
                    f"row {noted[0]} is not the one that was written down: {'gone' if row is None else 'changed'}"
                )
    engine.dispose()
    if problems:
        raise Refusal(
            "The log, a published list or a decision was changed:",
            problems,
            hint="Secure the database; compare with the latest backup.",
        )
    told = f"{last.number}:{last.hash}" if last and last.number else None
    console.say(f"The log is whole: {last.number if last else 0} rows; the last is {told or 'none yet'}.")
    return {"rows": last.number if last else 0, "head": told}


def _noted(head: str | None) -> tuple[int, str] | None:
    if head is None:
        return None
    number, _, hashed = head.partition(":")
    if not number.isdecimal() or len(hashed) != 64:
        raise WrongUsage("--head is written as NUMBER:HASH, as verify prints it.")
    return int(number), hashed
