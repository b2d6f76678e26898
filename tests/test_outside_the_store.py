"""What a command is asked for must be in the store: months and days outside, names nobody has, files that can't be."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from features.histories.reach import reach_of, stored_reach
from features.months import month_text
from serving.access.tables import AuditRow
from serving.cli import COMMANDS, main
from serving.database import open_database, transaction
from tests.serving_fixtures import last_month

OF_A_MONTH = {
    "features": ["--as-of", "{}", "--out", "rows.parquet"],
    "labels": ["--risk", "burnout", "--as-of", "{}", "--out", "rows.parquet"],
    "backtest": ["--risk", "burnout", "--from", "{}", "--to", "{}"],
    "score": ["--as-of", "{}"],
    "explain": ["P000001", "--as-of", "{}", "--risk", "burnout"],
    "replay": ["--risk", "burnout", "--as-of", "{}"],
    "month": ["{}"],
    "monitor": ["--as-of", "{}"],
    "assess": ["--as-of", "{}"],
    "rest": ["--as-of", "{}", "--quota", "3"],
    "effects": ["--as-of", "{}"],
    "match": ["--as-of", "{}"],
    "offers": ["--as-of", "{}"],
}
"""Every command that is asked about a month (train's --until is a bound, no month to be told of)."""


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), *words])


def asked(command: str, month: str) -> list[str]:
    return [command, *(word.format(month) for word in OF_A_MONTH[command])]


def test_every_command_that_takes_a_month_is_among_those_tried_here() -> None:
    told = {name for name in COMMANDS if "YYYY-MM" in run(Path("."), name, "--help").stdout.replace("YYYY-MM-DD", "")}
    assert told - {"train"} == set(OF_A_MONTH)


@pytest.mark.parametrize("month", ["2019-01", "2031-01"])
@pytest.mark.parametrize("command", OF_A_MONTH)
def test_a_month_outside_the_store_is_refused_with_what_there_is(made_home, command, month):
    before = _written(made_home)
    done = run(made_home, *asked(command, month))
    assert done.exit_code == 1, done.output
    assert month in done.stderr
    assert "2024-12" in done.stderr, "what there is"
    assert len(done.stderr.strip().splitlines()) > 1, "what to do"
    assert done.stdout == ""
    assert not Path("rows.parquet").exists()
    assert _written(made_home) == before


@pytest.mark.parametrize("command", OF_A_MONTH)
def test_a_month_that_is_none_is_wrong_usage(made_home, command):
    done = run(made_home, *asked(command, "2024-13"))
    assert done.exit_code == 2, done.output
    assert "'2024-13' is not a month" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["points", "--on", "2019-01-01"], "begin on 2023-01-01"),
        (["points", "--on", "2031-01-01"], "end on 2024-12-31"),
        (["models", "--on", "2999-01-01"], "has not come yet"),
        (["effects", "--as-of", "2024-12", "--action", "counselling", "--policy-on", "2031-01-01"], "2031-01"),
    ],
)
def test_a_day_of_which_nothing_is_known_is_refused(made_home, words, told):
    done = run(made_home, *words)
    assert done.exit_code == 1, done.output
    assert told in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["models", "--risk", "boredom"], "burnout, efficiency_decline"),
        (["assess", "--as-of", "2024-12", "--agreed", "NOBODY"], "NOBODY"),
        (["points", "--on", "2024-12-31", "--officer", "NOBODY"], "NOBODY"),
        (["explain", "NOBODY", "--as-of", "2024-12", "--risk", "burnout"], "NOBODY"),
        (["rest", "--as-of", "2024-12", "--quota", "3", "--blackout", "2025-01-06@NOWHERE"], "NOWHERE"),
        (["offers", "--as-of", "2023-12"], "jingxing score --as-of 2023-12"),
        (["effects", "--as-of", "2024-12", "--action", "dancing"], "dancing"),
    ],
)
def test_a_name_that_nobody_has_is_refused(made_home, words, told):
    done = run(made_home, *words)
    assert done.exit_code == 1, done.output
    assert told in done.stderr


OUT = {
    "features": ["--as-of", "2024-12"],
    "labels": ["--risk", "burnout", "--as-of", "2024-12"],
    "score": ["--as-of", "2024-12"],
    "assess": ["--as-of", "2024-12"],
    "points": ["--on", "2024-12-31"],
    "backtest": ["--risk", "burnout", "--from", "2024-12", "--to", "2024-12"],
}


@pytest.mark.parametrize("command", OUT)
def test_a_file_that_can_not_be_written_is_told_before_the_work(made_home, tmp_path, command):
    (tmp_path / "a.file").write_text("in the way")
    ending = "csv" if command == "points" else "parquet"
    done = run(made_home, command, *OUT[command], "--out", str(tmp_path / "a.file" / f"out.{ending}"))
    assert done.exit_code == 2, done.output
    assert "it is a file, not a folder" in done.stderr


@pytest.mark.parametrize(("command", "other"), [("features", "csv"), ("points", "parquet"), ("labels", "xlsx")])
def test_a_file_of_another_kind_than_is_written_is_told_before_the_work(made_home, tmp_path, command, other):
    done = run(made_home, command, *OUT[command], "--out", str(tmp_path / f"out.{other}"))
    assert done.exit_code == 2, done.output
    assert f"Choose out.{'csv' if command == 'points' else 'parquet'}" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["ingest", "serve", "models", "restore"])
def test_a_home_that_is_a_file_is_refused(tmp_path, command):
    home = tmp_path / "home"
    home.write_text("in the way")
    words = {"ingest": [str(tmp_path)], "serve": ["--port", "0"], "restore": [str(home)]}.get(command, [])
    done = run(home, command, *words)
    assert done.exit_code == 1, done.output
    assert "is a file, not a folder" in done.stderr
    assert home.read_text() == "in the way"


def test_what_fails_in_a_home_that_takes_no_file_still_says_where_its_trace_is(tmp_path):
    (tmp_path / "var").write_text("in the way")
    done = run(tmp_path, "serve", "--port", "0")
    assert done.exit_code == 3, done.output
    told = Path(done.stderr.rsplit("the trace is in ", 1)[1].strip().rstrip("."))
    assert "Error" in told.read_text()
    told.unlink()


@pytest.mark.parametrize("what", ["folder", "junk"])
def test_what_is_no_backup_is_refused_with_what_to_give_and_leaves_no_home(tmp_path, what):
    file = tmp_path / what
    file.mkdir() if what == "folder" else file.write_text("no archive")
    done = run(tmp_path / "home", "restore", str(file))
    assert done.exit_code == 1, done.output
    assert str(file) in done.stderr
    assert "jingxing backup wrote" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("url", ["mysql://x", "oracle://x/y", "nothing://x"])
def test_an_address_of_another_store_is_refused(made_home, url):
    done = run(made_home, "user", "list", "--db", url)
    assert done.exit_code == 1, done.output
    assert "postgresql://" in done.stderr


def test_the_reach_of_the_store_is_that_of_its_histories(made_home, given):
    reach = stored_reach(made_home)
    assert reach == reach_of(given)
    assert reach.months[-1] == last_month(given)
    assert month_text(reach.months[0]) == "2023-01"
    reach.check_months(*reach.months)


def test_a_store_without_events_says_how_to_begin(tmp_path):
    export = tmp_path / "export"
    export.mkdir()
    (export / "roster.csv").write_text("officer_id,valid_from,post,unit\nA,2020-01-01,patrol,U1\n")
    (export / "events.csv").write_text("officer_id,measure,occurred_on\n")
    assert run(tmp_path, "ingest", str(export), "--profile", "gongan").exit_code == 0
    for command in ("features", "score", "match", "points"):
        words = ["points", "--on", "2024-01-31"] if command == "points" else asked(command, "2024-01")
        done = run(tmp_path, *words)
        assert done.exit_code == 1, done.output
        assert "The store holds no events." in done.stderr
    shutil.rmtree(export)


def _written(home: Path) -> int:
    """How many things were ever written into the log."""
    engine = open_database(home)
    with transaction(engine, writes=False) as session:
        rows = session.scalar(select(func.count()).select_from(AuditRow)) or 0
    engine.dispose()
    return rows
