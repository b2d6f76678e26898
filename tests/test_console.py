"""The commands of the features floor, as a user calls them: exit codes, messages, one JSON object."""

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from serving.cli import main
from tests.forces import SMALL, events_of, roster_of, squad


def call(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), *words])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    export = tmp_path / "export"
    export.mkdir()
    pd.concat([squad(6), roster_of(("Q", "2020-01-01", None, "patrol", "U1"))]).to_csv(
        export / "roster.csv", index=False
    )
    rows = [(f"P{n:02d}", "night_shift", f"2021-0{month}-1{n}", 1) for n in range(6) for month in (1, 2, 3, 4, 5)]
    events_of(*rows).to_csv(export / "events.csv", index=False)
    assert call(tmp_path, "ingest", str(export), "--profile", str(SMALL)).exit_code == 0
    return tmp_path


def test_features_and_labels_are_written_by_officer_and_month(home: Path) -> None:
    out = home / "rows.parquet"
    done = call(home, "--json", "features", "--from", "2021-03", "--as-of", "2021-05", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["as_ofs"] == ["2021-03", "2021-04", "2021-05"]
    table = pd.read_parquet(out)
    assert list(table.columns[:2]) == ["officer_id", "as_of"]
    assert table[["officer_id", "as_of"]].equals(table[["officer_id", "as_of"]].sort_values(["officer_id", "as_of"]))
    assert table.loc[table["officer_id"] == "P00", "night_shift__sum__3m"].tolist() == [3, 3, 3]
    assert call(home, "labels", "--risk", "burnout", "--as-of", "2021-03", "--out", str(out)).exit_code == 0
    assert set(pd.read_parquet(out).columns) == {"officer_id", "as_of", "label"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("features", "--as-of", "2021-13", "--out", "x.parquet"), 2, "not a month"),
        (("features", "--as-of", "2021-03", "--from", "2021-05", "--out", "x.parquet"), 2, "after"),
        (("features", "--out", "x.parquet"), 2, "--as-of"),
        (("labels", "--risk", "boredom", "--as-of", "2021-03", "--out", "x.parquet"), 1, "burnout"),
        (("features", "--as-of", "2021-03", "--out", "nowhere/x.parquet"), 1, "does not exist"),
        (("ingest", "nowhere"), 1, "nowhere"),
        (("train", "--risk", "burnout", "--until", "2019-01"), 1, "recorded by 2019-01"),
        (("score", "--as-of", "2021-05", "--model", "latest"), 2, "--out"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_a_refusal_is_one_message_with_its_exit_code(home: Path, words: tuple[str, ...], code: int, told: str) -> None:
    done = call(home, *words)
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert "Traceback" not in done.output


def test_an_empty_home_says_how_to_begin(tmp_path: Path) -> None:
    done = call(tmp_path, "features", "--as-of", "2021-03", "--out", str(tmp_path / "x.parquet"))
    assert done.exit_code == 1
    assert "jingxing ingest" in done.stderr


def test_a_fault_of_ours_ends_with_a_reference_and_keeps_no_values(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(" ".join(("P" + "00", "has 3 night shifts")))

    monkeypatch.setattr("features.commands.feature_rows", broken)
    done = call(home, "features", "--as-of", "2021-03", "--out", str(home / "x.parquet"))
    assert done.exit_code == 3
    assert "reference" in done.stderr
    assert "P00" not in done.output + (home / "var" / "errors.log").read_text(encoding="utf-8")
