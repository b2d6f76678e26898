"""What is refused is told rightly: in the reader's language, as JSON where asked, and nothing is written by looking."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from features.console import Console
from features.months import month_text
from serving.cli import main
from serving.commands import tell_top
from serving.words import CHINESE, one_language
from tests.serving_fixtures import last_month
from training.models.scoring import score_cohort
from training.registry.registry import Registry

LOOKING = [
    ["models"],
    ["models", "--on", "2024-01-31"],
    ["quarantine"],
    ["verify"],
    ["impact", "list"],
    ["promote", "--risk", "burnout", "--reason", "because it is better"],
    ["rollback", "--risk", "burnout", "--reason", "because it is worse"],
    ["replay", "--risk", "burnout", "--as-of", "2024-01"],
    ["monitor", "--as-of", "2024-01"],
    ["explain", "P1", "--risk", "burnout", "--as-of", "2024-01"],
    ["backtest", "--risk", "burnout", "--from", "2024-01", "--to", "2024-03"],
    ["points", "--on", "2024-01-31"],
    ["score", "--as-of", "2024-01"],
    ["assess", "--as-of", "2024-01"],
    ["train"],
]


def _run(home: Path, *words: str):
    return CliRunner().invoke(main, ["--home", str(home), *words])


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
@pytest.mark.parametrize("there", [True, False])
def test_looking_at_a_home_that_holds_nothing_is_refused_and_writes_nothing(tmp_path, words, there):
    home = tmp_path / "mistyped"
    if there:
        home.mkdir()
    answer = _run(home, *words)
    assert answer.exit_code == 1
    assert str(home) in answer.stderr
    assert "jingxing ingest" in answer.stderr
    assert answer.stdout == ""
    assert list(tmp_path.rglob("*")) == ([home] if there else [])


def test_a_refusal_under_json_is_one_object_and_the_message(tmp_path):
    answer = _run(tmp_path / "none", "--json", "models")
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)["refused"]
    assert told["what"] == f"There is nothing of Jingxing in {tmp_path / 'none'}."
    assert told["problems"] == []
    assert told["what"] in answer.stderr
    wrong = _run(tmp_path, "--json", "features", "--as-of", "2024-13", "--out", str(tmp_path / "f.parquet"))
    assert wrong.exit_code == 2
    assert "2024-13" in json.loads(wrong.stdout)["refused"]["what"]


def test_an_unknown_version_is_refused_with_those_that_there_are(made_home, given, tmp_path):
    month, out = month_text(last_month(given)), str(tmp_path / "scores.parquet")
    answer = _run(made_home, "score", "--as-of", month, "--model", "9", "--out", out)
    assert answer.exit_code == 1
    assert answer.stderr == ("No risk has a version 9.\nVersions there are: burnout 1, efficiency_decline 1.\n")
    one = _run(made_home, "score", "--as-of", month, "--model", "9", "--risk", "burnout", "--out", out)
    assert "There is no version 9 of 'burnout'" in one.stderr


def test_a_champion_that_is_not_whole_is_refused_and_no_other_scored_without_it(own_home, given):
    month = month_text(last_month(given))
    folder = next((own_home / "mlruns" / "artifacts" / "burnout").rglob("report.json"))
    folder.write_text(folder.read_text(encoding="utf-8") + " ", encoding="utf-8")
    for words in (["score", "--as-of", month], ["monitor", "--as-of", month]):
        answer = _run(own_home, *words)
        assert answer.exit_code == 1
        assert "burnout" in answer.stderr
        assert "yet" not in answer.stderr


def test_points_before_the_histories_are_not_nought_but_unknown(made_home, given):
    answer = _run(made_home, "points", "--on", "1999-12-31")
    assert answer.exit_code == 1
    assert "what stood on 1999-12-31 is not known" in answer.stderr


def test_explain_in_chinese_holds_no_english_and_its_figures_add_up(made_home, given):
    month = last_month(given)
    who = str(score_cohort(given, Registry(made_home).champion("burnout"), month).officer_id[0])
    words = ["explain", who, "--risk", "burnout", "--as-of", month_text(month)]
    zh, en = (_run(made_home, *words, "--lang", language).stdout for language in ("zh", "en"))
    assert "起点（平均）" in zh
    assert "合计（对数风险比）" in zh
    assert "base value" not in zh
    assert "log-odds" not in zh
    assert "base value" in en
    assert not CHINESE.search(en.replace(who, ""))


def test_who_is_not_ranked_is_told_with_a_dash(made_home, given, capsys):
    each = score_cohort(given, Registry(made_home).champion("burnout"), last_month(given))
    unranked = replace(each, rank=np.where(np.arange(len(each)) < len(each) - 2, 0, each.rank).astype(np.int32))
    tell_top(Console(made_home, json=False), unranked, given, count=3)
    tell_top(Console(made_home, json=False), unranked, given, count=3, language="zh")
    told = capsys.readouterr().out
    assert " 0. " not in told
    assert "   — " in told
    assert "Insufficient evidence" in told
    assert "证据不足" in told


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ("There is no such plan. 没有这份计划。", "没有这份计划。", "There is no such plan."),
        ("Not Found", "", "Not Found"),
        ("These are no records of yours: 以下不是您的记录：", "以下不是您的记录：", "These are no records of yours:"),
        (
            "Plan 3 of 南区 is out. See 2024. 南区的计划已发布。",
            "南区的计划已发布。",
            "Plan 3 of 南区 is out. See 2024.",
        ),
    ],
)
def test_a_message_in_both_languages_is_read_in_one(text, zh, en):
    assert (one_language(text, "zh"), one_language(text, "en")) == (zh, en)
