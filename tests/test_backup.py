"""Backup and restore: while writers write, into either database, whole or not at all, the chain verified."""

import datetime as dt
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, inspect, select, update

from features.errors import Refusal
from features.histories.bases import NO_BASES, load_bases
from features.histories.store import load_histories
from serving.access.audit import SYSTEM, faults, record
from serving.access.sight import WHOLE
from serving.access.tables import AuditRow
from serving.backups import restore as restoring
from serving.backups.backup import backup
from serving.backups.restore import restore
from serving.cli import main
from serving.database import open_database, transaction
from serving.decisions.consents import withdraw
from serving.decisions.objections import Against, Contested, contest
from serving.scored.queries import batch_of, entries
from serving.tables import Table
from tests.test_objections import WANG
from tests.test_reviews import JUNE, listed
from training.registry.registry import Registry

QUIET = {"advance": lambda _: None}


def contents(engine):
    """Every row of every table, times as UTC, in an order that both databases give."""
    found = {}
    with engine.connect() as connection:
        for table in Table.metadata.sorted_tables:
            rows = [tuple(_plain(cell) for cell in row) for row in connection.execute(select(table))]
            found[table.name] = sorted(rows, key=repr)
    return found


def _plain(cell):
    if isinstance(cell, dt.datetime):
        return cell.replace(tzinfo=dt.UTC) if cell.tzinfo is None else cell.astimezone(dt.UTC)
    return cell


def without_last_audit(found):
    """The restore itself writes one row to the chain."""
    number = max(row[0] for row in found["audit"])
    assert next(row for row in found["audit"] if row[0] == number)[4] == "restored"
    return {**found, "audit": [row for row in found["audit"] if row[0] < number], "audit_head": []}


@pytest.fixture
def filled(store, tmp_path):
    """A store with lists, flags, an objection and a withdrawal, and its home."""
    home = tmp_path / "old"
    home.mkdir()
    listed(store, JUNE, people="abc")
    with transaction(store) as session:
        contest(session, WANG, Contested("a", Against.SCORE, "这与事实不符", risk="burnout"), days=15)
        withdraw(session, WANG, "a", register=True, home=home, today=dt.date(2026, 1, 5))
    return home


@pytest.mark.parametrize("packed", ["all.tar", "all.tar.gz"])
def test_a_backup_of_either_database_goes_back_into_an_embedded_one_with_every_row(store, filled, tmp_path, packed):
    before = contents(store)
    made = backup(filled, store, tmp_path / packed, **QUIET)
    assert made.tables == {name: len(rows) for name, rows in before.items()}
    new = tmp_path / "new"
    restore(new, None, tmp_path / packed, replace=False, **QUIET)
    engine = open_database(new)
    assert without_last_audit(contents(engine)) == {**before, "audit_head": []}
    with transaction(engine) as session:
        assert faults(session) == []
        record(session, SYSTEM, "goes on")
    assert load_bases(new).officer.tolist() == ["a"]
    engine.dispose()
    assert (tmp_path / packed).stat().st_mode & 0o077 == 0


def test_a_backup_goes_into_a_database_of_either_kind_and_numbers_go_on_from_there(store, store_url, tmp_path):
    old = open_database(tmp_path / "old")
    listed(old, JUNE, people="abc")
    backup(tmp_path / "old", old, tmp_path / "all.tar", **QUIET)
    before = contents(old)
    store.dispose()
    restore(tmp_path / "new", store_url, tmp_path / "all.tar", replace=False, **QUIET)
    late = {"backup made"}  # written after the copy
    kept = [row for row in before["audit"] if row[4] not in late]
    assert without_last_audit(contents(store)) == {**before, "audit": kept, "audit_head": []}
    assert listed(store, JUNE + 1, people="abcd").new == 1  # a new flag, review or list gets a number of its own
    with transaction(store) as session:
        assert faults(session) == []
    old.dispose()


WRITER = """
import sys
from pathlib import Path
from serving.access.audit import SYSTEM, record
from serving.database import open_database, transaction
engine = open_database(Path(sys.argv[1]), sys.argv[2])
for number in range(100000):
    with transaction(engine) as session:
        record(session, SYSTEM, "wrote", str(number))
    print(number, flush=True)
"""


def test_a_backup_made_while_others_write_holds_one_moment_whole(store, store_url, tmp_path):
    listed(store, JUNE, people="abc")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), store_url], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    reader = threading.Thread(target=lambda: [None for _ in writer.stdout or ()])
    reader.start()
    try:
        made = backup(tmp_path, store, tmp_path / "all.tar", **QUIET)
        with transaction(store, writes=False) as session:
            written = session.scalar(select(func.count()).select_from(AuditRow))
        assert writer.poll() is None  # it wrote all the time
    finally:
        writer.kill()
        writer.wait()
        reader.join()
        writer.stdout.close()
    assert 20 <= made.tables["audit"] <= (written or 0)
    assert made.audit.startswith(f"{made.tables['audit']}:")
    restore(tmp_path / "new", None, tmp_path / "all.tar", replace=False, **QUIET)
    engine = open_database(tmp_path / "new")
    with transaction(engine) as session:
        assert faults(session) == []
        rows = session.scalar(select(func.count()).select_from(AuditRow))
        assert rows == made.tables["audit"] + 1
    engine.dispose()


def test_a_whole_home_comes_back_with_its_lists_models_and_histories(own_home, tmp_path):
    runner, file, new = CliRunner(), tmp_path / "all.tar.gz", tmp_path / "new"
    made = runner.invoke(main, ["--home", str(own_home), "--json", "backup", str(file)])
    assert made.exit_code == 0, made.output
    back = runner.invoke(main, ["--home", str(new), "--json", "restore", str(file)])
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["audit"] == json.loads(made.stdout)["audit"]
    checked = runner.invoke(main, ["--home", str(new), "--json", "verify"])
    assert checked.exit_code == 0, checked.output
    assert load_histories(new).events.value.tobytes() == load_histories(own_home).events.value.tobytes()
    assert Registry(new).champion("burnout").base_value == Registry(own_home).champion("burnout").base_value
    views = []
    for home in (own_home, new):
        engine = open_database(home)
        with transaction(engine, writes=False) as session:
            first = entries(session, WHOLE, batch_of(session, WHOLE, "burnout"), limit=20)
            views.append([(entry.score, entry.strongest) for entry in first])
        engine.dispose()
    assert views[0] == views[1]


def held(folder: Path):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def archive(tmp_path):
    engine = open_database(tmp_path / "old")
    listed(engine, JUNE, people="abc")
    backup(tmp_path / "old", engine, tmp_path / "all.tar", **QUIET)
    engine.dispose()
    return tmp_path / "all.tar"


def test_a_home_that_holds_something_is_left_alone_unless_told_and_then_kept_beside(archive, tmp_path):
    new = tmp_path / "new"
    engine = open_database(new)
    with transaction(engine) as session:
        record(session, SYSTEM, "something")
    engine.dispose()
    before = held(new)
    with pytest.raises(Refusal, match="not empty"):
        restore(new, None, archive, replace=False, **QUIET)
    assert held(new) == before
    done = restore(new, None, archive, replace=True, **QUIET)
    assert done.before is not None
    assert (done.before / "var" / "jingxing.db").exists()
    engine = open_database(new)
    assert without_last_audit(contents(engine))["batches"]
    engine.dispose()


def test_a_database_that_is_in_use_is_not_replaced(archive, tmp_path):
    engine = open_database(tmp_path / "new")
    with engine.connect() as held_open:
        held_open.execute(select(1))
        with pytest.raises(Refusal, match="in use"):
            restore(tmp_path / "new", None, archive, replace=True, **QUIET)
    engine.dispose()


def test_a_database_with_rows_is_left_alone_unless_told(archive, store, store_url, tmp_path):
    with transaction(store) as session:
        record(session, SYSTEM, "something")
    before = contents(store)
    with pytest.raises(Refusal, match="not empty"):
        restore(tmp_path / "new", store_url, archive, replace=False, **QUIET)
    assert contents(store) == before
    restore(tmp_path / "new", store_url, archive, replace=True, **QUIET)
    assert contents(store)["batches"]


def changed(archive: Path, target: Path, change):
    """The archive with its members passed through ``change(name, bytes)``; None leaves one out."""
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for info in old:
            content = change(info.name, (old.extractfile(info) or sys.stdin.buffer).read())
            if content is not None:
                part = target.with_suffix(".part")
                part.write_bytes(content)
                new.add(part, info.name)
    return target


@pytest.mark.parametrize("how", ["cut short", "a byte", "a file gone", "no manifest", "a file more", "no tar"])
def test_an_archive_that_is_not_as_it_was_written_changes_nothing(archive, tmp_path, how):
    bad, new = tmp_path / "bad.tar", tmp_path / "new"
    whole = archive.read_bytes()
    if how == "cut short":
        bad.write_bytes(whole[: len(whole) // 2])
    elif how == "no tar":
        bad.write_bytes(b"nothing of ours")
    elif how == "a file more":
        changed(archive, bad, lambda name, content: content)
        with tarfile.open(bad, "a") as more:
            more.add(__file__, "var/more.txt")
    else:
        change = {
            "a byte": lambda name, content: content[:-1] + b"x" if name == "database.sqlite" else content,
            "a file gone": lambda name, content: None if name == "database.sqlite" else content,
            "no manifest": lambda name, content: None if name == "manifest.json" else content,
        }[how]
        changed(archive, bad, change)
    with pytest.raises(Refusal):
        restore(new, None, bad, replace=False, **QUIET)
    assert not new.exists() or held(new) == {}


def test_a_file_that_leads_out_of_the_home_is_refused(archive, tmp_path):
    bad = tmp_path / "bad.tar"
    shutil.copy(archive, bad)
    with tarfile.open(bad, "a") as more:
        more.add(__file__, "../escaped.txt")
    with pytest.raises(Refusal, match="leads out"):
        restore(tmp_path / "new", None, bad, replace=False, **QUIET)
    assert not (tmp_path / "escaped.txt").exists()


def test_an_archive_whose_chain_was_edited_is_refused_although_its_hashes_fit(tmp_path):
    engine = open_database(tmp_path / "old")
    listed(engine, JUNE, people="abc")
    with engine.begin() as connection:
        connection.execute(update(AuditRow).where(AuditRow.number == 1).values(subject="another"))
    backup(tmp_path / "old", engine, tmp_path / "all.tar", **QUIET)
    engine.dispose()
    with pytest.raises(Refusal, match="row 1 was changed"):
        restore(tmp_path / "new", None, tmp_path / "all.tar", replace=False, **QUIET)
    assert held(tmp_path / "new") == {}


def test_a_restore_killed_while_it_switches_is_finished_by_the_next_call(archive, tmp_path, monkeypatch):
    new = tmp_path / "new"
    open_database(new).dispose()
    (new / "mlruns").mkdir()
    rename, calls = Path.rename, []

    def killed(self, target):
        if "before-restore" in str(target) or str(self).startswith(str(new / "restoring" / "new" / "var")):
            calls.append(target)
            if len(calls) == 2:  # the old folder has gone, the new one is not yet there
                raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        restore(new, None, archive, replace=True, **QUIET)
    monkeypatch.undo()
    assert not (new / "var").exists()
    done = restore(new, None, archive, replace=False, **QUIET)
    assert done.before is not None
    assert not (new / restoring.STAGING).exists()
    engine = open_database(new)
    with transaction(engine) as session:
        assert faults(session) == []
    assert contents(engine)["batches"]
    engine.dispose()


def test_a_backup_overwrites_nothing_and_holds_no_lock_log_or_upload(own_home, tmp_path):
    engine = open_database(own_home)
    (own_home / "var" / "uploads").mkdir(exist_ok=True)
    (own_home / "var" / "uploads" / "secret.csv").write_text("x", encoding="utf-8")
    made = backup(own_home, engine, tmp_path / "all.tar", **QUIET)
    with pytest.raises(Refusal, match="exists already"):
        backup(own_home, engine, tmp_path / "all.tar", **QUIET)
    with pytest.raises(Refusal, match="inside"):
        backup(own_home, engine, own_home / "var" / "all.tar", **QUIET)
    engine.dispose()
    odd = [name for name in made.files if name.endswith((".lock", "-wal", "-shm")) or "upload" in name]
    assert odd == []
    assert {"database.sqlite", "mlruns/mlflow.db", "var/histories/current.json"} <= set(made.files)
    assert not list(tmp_path.glob(".backup-*"))


def test_every_table_of_the_database_is_in_the_backup(store, tmp_path):
    made = backup(tmp_path, store, tmp_path / "all.tar", **QUIET)
    with store.connect() as connection:
        assert set(inspect(connection).get_table_names()) - {"alembic_version"} == set(made.tables)
    assert load_bases(tmp_path) == NO_BASES
