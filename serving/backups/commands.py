"""The commands of this folder: backup, restore."""

from pathlib import Path
from typing import Any

import click

from features.console import Console, command
from serving.backups.backup import FOLDERS, backup
from serving.backups.restore import restore
from serving.database import open_database

FILE = click.argument("file", type=click.Path(path_type=Path))
DB = click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The store (default: SQLite in HOME/var)."
)


@FILE
@DB
def _backup(console: Console, *, file: Path, db: str | None) -> dict[str, Any]:
    """Write everything the home holds into one archive, while it serves: database, models, histories.

    The archive holds personal data and password hashes: only you may read it. With .gz at the end it is packed.
    """
    engine = open_database(console.home, db)
    with console.progress("Writing the backup", _size(console.home)) as advance:
        made = backup(console.home, engine, file, advance=advance)
    console.say(f"Wrote {file}: {len(made.files):,} files, {made.size / 1024**2:,.1f} MB, made {made.made_at}.")
    console.say(f"The last row of its log is {made.audit}.")
    return {"file": str(file), "bytes": made.size, "files": len(made.files), "tables": made.tables, "audit": made.audit}


backup_command = command("backup", looks=True)(_backup)


@FILE
@DB
@click.option("--replace", is_flag=True, help="In place of what is there; that is kept beside, until you delete it.")
def _restore(console: Console, *, file: Path, db: str | None, replace: bool) -> dict[str, Any]:
    """Put a backup into the home and its database, all or nothing, and check the log.

    A backup of one kind of database goes into the other as well. Stop the server first.
    """
    with console.progress("Reading the backup", file.stat().st_size if file.is_file() else 0) as advance:
        made = restore(console.home, db, file, replace=replace, advance=advance)
    told = made.manifest
    console.say(f"Restored {len(told.files):,} files and {sum(told.tables.values()):,} rows, as of {told.made_at}.")
    console.say(f"The log is whole up to {told.audit}.")
    if made.before:
        console.say(f"What was there before lies in {made.before}: it holds personal data; delete it when all is well.")
    before = str(made.before) if made.before else None
    return {"made_at": told.made_at, "tables": told.tables, "audit": told.audit, "before": before}


restore_command = command("restore")(_restore)


def _size(home: Path) -> int:
    return sum(path.stat().st_size for name in FOLDERS for path in (home / name).rglob("*") if path.is_file())
