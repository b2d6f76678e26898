"""Restore of a backup: unpacked and checked whole beside the home, then switched; what was there before is kept."""

import datetime as dt
import json
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Engine, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.histories.bases import write_bases
from serving.access.audit import faults, record
from serving.access.tables import Account, AuditRow
from serving.backups.archive import DATABASE, Advance, Manifest, read_archive
from serving.backups.backup import BY, FOLDERS
from serving.backups.copying import copy_rows, counts, file_database, last_row
from serving.database import open_database, transaction
from serving.decisions.consents import spans
from serving.tables import Batch

STAGING, NEW, READY = "restoring", "new", "ready.json"
EMBEDDED = "jingxing.db"


@dataclass(frozen=True)
class Restored:
    """What was restored, and where lies what the home held before (None: it was empty)."""

    manifest: Manifest
    before: Path | None


def restore(home: Path, url: str | None, file: Path, *, replace: bool, advance: Advance) -> Restored:
    """Put a backup into a home and its database (``url``; absent, the embedded one), all or nothing.

    A Refusal, and nothing changed, where the archive is not as it was written, its audit chain is not whole, the home
    or the database holds something and ``replace`` is not said, or a server runs on the embedded database. Killed while
    it switches, it is finished by the next call.
    """
    staging = home / STAGING
    if (staging / READY).exists():
        return _switch(home)
    shutil.rmtree(staging, ignore_errors=True)
    fresh = not home.exists()
    if not file.is_file():
        what = f"{file} is a folder" if file.is_dir() else f"There is no file {file}"
        raise Refusal(f"{what}.", hint="Give the file that jingxing backup wrote.")
    _refuse_full(home, url, replace)
    (staging / NEW).mkdir(parents=True)
    try:
        told = read_archive(file, staging / NEW, advance)
        _check(staging / NEW / DATABASE, told)
        _place(home, url, staging / NEW, told)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        if fresh:
            with suppress(OSError):  # somebody put something there meanwhile
                home.rmdir()
        raise
    name = f"before-restore-{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S}"
    _write_mark(staging / READY, {"before": name, "manifest": told.as_json()})
    return _switch(home)


def _refuse_full(home: Path, url: str | None, replace: bool) -> None:
    held = [folder for folder in FOLDERS if (home / folder).is_dir() and any((home / folder).iterdir())]
    if url is not None:
        engine = open_database(home, url)
        with transaction(engine, writes=False) as session:
            held += ["the database"] if _holds_anything(session) else []
        engine.dispose()
    if held and not replace:
        raise Refusal(
            f"{home} is not empty ({', '.join(held)}); nothing was changed.",
            hint="Restore into another --home, or say --replace; what is there is kept beside.",
        )
    _refuse_served(home / "var" / EMBEDDED)


def _holds_anything(session: Session) -> bool:
    columns = (Batch.id, Account.id, AuditRow.number)
    return any(session.scalar(select(column).limit(1)) is not None for column in columns)


def _refuse_served(database: Path) -> None:
    """An open connection keeps SQLite from leaving its write-ahead log: then somebody works on it."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=1)) as held:
            left = held.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "delete"
            held.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError:
        left = False
    if not left:
        raise Refusal("The database is in use; nothing was changed.", hint="Stop the server, then restore.")


def _check(database: Path, told: Manifest) -> None:
    """The archive's database opens in this program, its audit chain is whole, and every row is there."""
    try:
        with file_database(database) as engine, transaction(engine, writes=False) as session:
            broken, found = faults(session), counts(session.connection())
            whole = last_row(session) == told.audit
    except (CommandError, DatabaseError) as error:
        what = "was made by a newer program" if isinstance(error, CommandError) else "is no database of ours"
        raise Refusal(f"The database in the backup {what}; nothing was changed.") from None
    problems = [fault.what_en for fault in broken]
    problems += [] if whole else ["the chain's last row is not the one that was noted"]
    problems += [
        f"{name}: {found.get(name)} rows instead of {rows}"
        for name, rows in told.tables.items()
        if found.get(name) != rows
    ]
    if problems:
        raise Refusal("The database in the backup is not as it was; nothing was changed:", problems)


def _place(home: Path, url: str | None, new: Path, told: Manifest) -> None:
    """Put the database to where it belongs, and the restore into its chain."""
    (new / "var").mkdir(exist_ok=True)
    if url is None:
        (new / DATABASE).rename(new / "var" / EMBEDDED)
        with file_database(new / "var" / EMBEDDED) as engine:
            _note(engine, new, told)
        return
    engine = open_database(home, url)
    with file_database(new / DATABASE) as held, held.connect() as source, transaction(engine) as session:
        copy_rows(source, session.connection())
        found = counts(session.connection())
        if faults(session) or any(found[name] != rows for name, rows in told.tables.items()):
            raise Refusal("What was restored is not what the backup holds; nothing was changed.")
    _note(engine, new, told)
    engine.dispose()
    (new / DATABASE).unlink()


def _note(engine: Engine, new: Path, told: Manifest) -> None:
    with transaction(engine) as session:
        record(session, BY, "restored", told.made_at, audit=told.audit)
        write_bases(new, spans(session))


def _switch(home: Path) -> Restored:
    """Exchange the folders, one by one; called again after a kill it goes on where it stopped."""
    staging = home / STAGING
    mark = json.loads((staging / READY).read_text(encoding="utf-8"))
    before = home / mark["before"]
    for folder in FOLDERS:
        if not (staging / NEW / folder).exists():
            continue
        if (home / folder).exists():
            before.mkdir(exist_ok=True)
            (home / folder).rename(before / folder)
        (staging / NEW / folder).rename(home / folder)
    shutil.rmtree(staging)
    mark["manifest"].pop("format")
    return Restored(Manifest(**mark["manifest"]), before if before.exists() else None)


def _write_mark(file: Path, content: dict[str, Any]) -> None:
    fresh = file.with_suffix(".unfinished")
    with fresh.open("w", encoding="utf-8") as out:
        json.dump(content, out, ensure_ascii=False)
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(file)
