"""Backup of everything a home holds, while it serves: database, models, histories. One archive for both databases.

The database lies in the archive as an SQLite file, whatever it came from, so that it goes back into either kind.
"""

import datetime as dt
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Engine

from features.errors import Refusal
from features.histories.store import one_ingest
from serving.access.audit import Actor, record
from serving.backups.archive import DATABASE, Advance, Manifest, write_archive
from serving.backups.copying import copy_to_file, counts, file_database, last_row
from serving.database import transaction

FOLDERS = ("var", "mlruns")
LEFT_OUT = shutil.ignore_patterns(
    "jingxing.db*", "mlflow.db*", "*.lock", "uploads", "arrived", "unfinished", "*.unfinished*", "errors.log"
)
"""What is no part of a backup; databases are copied by their own means."""
BY = Actor("command line", "admin")


def backup(home: Path, engine: Engine, file: Path, *, advance: Advance) -> Manifest:
    """Write everything the home and its database hold into a new archive, readable by its owner only; return what.

    The database is copied as it stood at one moment, the files after it, so that they hold all it speaks of. Writers
    need not stop. A Refusal where the file exists or lies inside the home's own folders; a killed backup leaves no
    archive of that name.
    """
    target = file.resolve()
    _refuse_place(home, target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as held:
        staging = Path(held)
        made_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        copy_to_file(engine, staging / DATABASE)
        with file_database(staging / DATABASE) as copied, transaction(copied, writes=False) as session:
            told = Manifest(made_at, engine.dialect.name, last_row(session), counts(session.connection()), {})
        _link_files(home, staging)
        written = write_archive(staging, target, told, advance)
    with transaction(engine) as session:
        record(session, BY, "backup made", target.name, audit=written.audit, files=len(written.files))
    return written


def _refuse_place(home: Path, target: Path) -> None:
    if target.exists():
        raise Refusal(f"{target} exists already; nothing was written.", hint="Choose another name.")
    if not target.parent.is_dir():
        raise Refusal(f"There is no folder {target.parent}.", hint="Make it first, or choose another.")
    if any(target.is_relative_to((home / folder).resolve()) for folder in FOLDERS):
        raise Refusal(f"{target} lies inside what is backed up.", hint="Choose a place outside of var/ and mlruns/.")


def _link_files(home: Path, staging: Path) -> None:
    """Stand the home's files beside the copy: by hard links where that is possible, in no room and hardly any time."""
    if (home / "var").is_dir():
        with one_ingest(home):
            shutil.copytree(home / "var", staging / "var", ignore=LEFT_OUT, copy_function=_linked)
    runs = home / "mlruns"
    if runs.is_dir():
        with FileLock(runs / "registry.lock"):
            shutil.copytree(runs, staging / "mlruns", ignore=LEFT_OUT, copy_function=_linked_or_copied)
            if (runs / "mlflow.db").exists():
                _copy_sqlite(runs / "mlflow.db", staging / "mlruns" / "mlflow.db")


def _copy_sqlite(file: Path, target: Path) -> None:
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _linked_or_copied(source: str, target: str) -> None:
    """What is added to later on (the registry's history) is copied; artifacts never change."""
    (shutil.copy2 if source.endswith(".jsonl") else _linked)(source, target)
