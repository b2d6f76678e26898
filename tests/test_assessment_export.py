"""The assessment as files and through the commands: Excel, JSON, Parquet; every figure opened down to its events."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from openpyxl import load_workbook

from features.assessment.assess import TABLES, Assessment, assess
from features.assessment.export import SHEETS, head_of, write_assessment
from features.errors import Refusal, WrongUsage
from features.histories.store import load_histories
from features.months import parse_month
from features.profile import BUILT_IN, load_profile
from features.simulation import simulate, write_export
from serving.cli import main
from tests.assessment_force import NOW, force, roster, work


@pytest.fixture(scope="module")
def found() -> Assessment:
    people = roster()
    people.loc[people["officer_id"].str.startswith("P"), "unit"] = "=HYPERLINK(1)"
    return assess(force([*work(), ("P00", "complaint", "2021-11-05", 1)], people=people), NOW)


def test_excel_has_a_sheet_for_each_table_with_points_to_the_cent(found: Assessment, tmp_path: Path) -> None:
    written = write_assessment(found, tmp_path / "a.xlsx")
    book = load_workbook(tmp_path / "a.xlsx")
    assert set(written) == set(TABLES) == set(SHEETS)
    assert book.sheetnames[1:] == [SHEETS[name] for name in TABLES]
    sheet = book[SHEETS["points"]]
    head = [cell.value for cell in sheet[1]]
    assert head[:2] == ["警号 Officer", "积分余额 Balance"]
    expected = found.tables["points"]["balance_cents"] / 100
    assert [row[1].value for row in sheet.iter_rows(min_row=2)] == pytest.approx(list(expected), abs=1e-9)


def test_every_column_and_code_is_said_in_both_languages(found: Assessment, tmp_path: Path) -> None:
    heads = [head_of(column) for columns in TABLES.values() for column in columns]
    assert all(
        head.isascii() is False and any(letter.isascii() and letter.isalpha() for letter in head) for head in heads
    )
    assert head_of("quality_percentile_low") == "质效值百分位下限 Quality: Percentile, low"
    write_assessment(found, tmp_path / "a.xlsx")
    book = load_workbook(tmp_path / "a.xlsx")
    for name in ("people", "indicators", "stars", "warnings", "lint"):
        rows = list(book[SHEETS[name]].iter_rows(values_only=True))
        for place, column in enumerate(TABLES[name]):
            if column in {"status", "state", "dimension", "kind", "barred", "review"}:
                cells = {row[place] for row in rows[1:] if row[place]}
                assert [cell for cell in cells if str(cell).isascii()] == [], (name, column)


def test_a_text_of_the_export_never_becomes_a_formula(found: Assessment, tmp_path: Path) -> None:
    write_assessment(found, tmp_path / "a.xlsx")
    sheet = load_workbook(tmp_path / "a.xlsx")[SHEETS["people"]]
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value == "=HYPERLINK(1)"]
    assert cells
    assert {cell.data_type for cell in cells} == {"s"}


def test_json_holds_every_table_without_nan_and_parquet_the_persons(found: Assessment, tmp_path: Path) -> None:
    write_assessment(found, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    whole = json.loads(text)
    assert "NaN" not in text
    assert (whole["as_of"], set(whole["tables"])) == ("2021-12", set(TABLES))
    assert whole["tables"]["warnings"][0]["occurred_on"] == "2021-11-05"
    write_assessment(found, tmp_path / "a.parquet")
    assert len(pd.read_parquet(tmp_path / "a.parquet")) == 24


def test_another_suffix_or_a_missing_folder_is_refused_and_leaves_no_file(found: Assessment, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"\.xlsx"):
        write_assessment(found, tmp_path / "a.csv")
    with pytest.raises(Refusal, match="does not exist"):
        write_assessment(found, tmp_path / "nowhere" / "a.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assessed")
    write_export(simulate(officers=120, months=20, seed=2, with_truth=False), folder / "export")
    run(folder, "ingest", str(folder / "export"))
    return folder


def run(home: Path, *words: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["--home", str(home), "--json", *words])
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_assess_says_how_many_and_writes_the_file(home: Path) -> None:
    answer = run(home, "assess", "--as-of", "2024-12", "--out", str(home / "a.json"))
    assert answer["tables"] == list(TABLES)
    assert answer["counts"]["people"] == len(
        json.loads((home / "a.json").read_text(encoding="utf-8"))["tables"]["people"]
    )
    assert answer["counts"]["stars"] == len(answer["stars"]) > 0


def test_every_figure_of_an_officer_is_opened_down_to_its_events(home: Path) -> None:
    officer = run(home, "assess", "--as-of", "2024-12")["stars"][0]["officer_id"]
    answer = run(home, "assess", "--as-of", "2024-12", "--officer", officer)
    opened = {row["figure"] for row in answer["events"] if row["in_window"]}
    for indicator in answer["indicators"]:
        assert indicator["evidence"] == 0 or indicator["value"] == 0 or indicator["indicator"] in opened
    ratings = [row for row in answer["indicators"] if row["dimension"] == "satisfaction"]
    inside = [row for row in answer["events"] if row["in_window"]]
    behind = [row["value"] for row in inside if row["figure"] == ratings[0]["indicator"]]
    assert len(behind) == ratings[0]["evidence"]
    assert sum(behind) / len(behind) == pytest.approx(ratings[0]["value"], abs=0.05 * ratings[0]["value"])
    balance = next(row for row in run(home, "points", "--on", "2024-12-31")["balances"] if row["officer_id"] == officer)
    assert sum(row["cents"] for row in answer["entries"]) == balance["balance_cents"]
    assert any(row["event_id"] for row in answer["events"] + answer["entries"])


def test_points_at_a_past_date_are_the_entries_booked_by_then(home: Path) -> None:
    officer = run(home, "assess", "--as-of", "2024-12")["stars"][0]["officer_id"]
    answer = run(home, "points", "--on", "2024-09-13", "--officer", officer)
    assert max(row["booked_on"] for row in answer["entries"]) <= "2024-09-13"
    assert answer["balance_cents"] == sum(row["cents"] for row in answer["entries"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["assess", "--as-of", "2024-13"], 2, "not a month"),
        (["assess", "--as-of", "2030-01"], 1, "lies outside the store"),
        (["assess", "--as-of", "2024-12", "--out", "a.doc"], 2, ".xlsx"),
        (["assess", "--as-of", "2024-12", "--officer", "NOBODY"], 1, "no posting"),
        (["points", "--on", "yesterday"], 2, "not a day"),
    ],
)
def test_what_can_not_be_answered_is_refused_in_words(home: Path, words: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(main, ["--home", str(home), *words])
    assert result.exit_code == code
    assert said in result.stderr


def test_one_weight_changed_in_yaml_changes_exactly_the_indicators_that_carry_it(home: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(BUILT_IN / "gongan", tmp_path / "own")
    posts = (copied / "posts.yaml").read_text(encoding="utf-8")
    changed = posts.replace("loss_recovery_rate: 0.3", "loss_recovery_rate: 0.6")
    assert changed != posts
    (copied / "posts.yaml").write_text(changed, encoding="utf-8")
    given = load_histories(home)
    month = parse_month("2024-12")
    before = assess(given, month).tables["indicators"]
    after = assess(replace(given, profile=load_profile(copied)), month).tables["indicators"]
    differs = (before != after) & ~(before.isna() & after.isna())
    rows = before[differs.any(axis=1)]
    assert set(rows["indicator"]) == {"loss_recovery_rate"}
    assert set(rows["post"]) == {"criminal_investigation"}
    assert list(differs.columns[differs.any()]) == ["weight"]


README = Path(__file__).parents[1] / "features" / "assessment" / "README.md"


def test_each_practice_table_and_rule_stands_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    practices = {row[1].split()[0]: row for row in rows if len(row) == 6}
    assert {"S1", "S2", "S3", "A", "B", "C1", "D1", "D2", "F1", "F2"} <= set(practices)
    for name in ("S1", "S2", "S3", "A", "B", "C1", "D1", "D2", "F1", "F2"):
        assert "`jingxing " in practices[name][3], name
        assert "`" in practices[name][4], name
    assert [name for name in TABLES if f"| `{name}` |" not in text] == []
