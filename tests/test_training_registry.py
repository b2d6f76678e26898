"""The registry keeps every version, serves only what passed the gate, and writes nowhere but in its home."""

import datetime as dt
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from click.testing import CliRunner

from features.engine import feature_rows
from features.errors import Refusal
from features.histories.ingest import ingest
from features.months import parse_month
from tests.training_force import MEASURES, RISKS, SETTINGS, small_force, small_profile
from training.commands import models as models_command
from training.commands import train as train_command
from training.registry.commands import promote as promote_command
from training.registry.impact import assessed, assessments, sign
from training.registry.registry import Registry
from training.train import train

LAST = parse_month("2022-06")


@pytest.fixture(scope="module")
def force():
    return small_force()


@pytest.fixture(scope="module")
def model(force):
    return train(force.histories(), "collapse").model


def _with_precision(model, value, *, rule=0.1, against=None):
    """The model with other figures, and compared with a champion: by the 90 % interval of the difference."""
    card = json.loads(json.dumps(dict(model.card)))
    card["figures"]["lightgbm"]["average_precision"] = [value, value - 0.02, value + 0.02]
    card["figures"]["rule"]["average_precision"] = [rule, rule - 0.01, rule + 0.01]
    if against:
        version, low, high = against
        card["comparison"] = {"version": version, "difference": (low + high) / 2, "low": low, "high": high}
    return replace(model, card=card)


def _register(home, model):
    return Registry(home).register(assessed(home, small_profile(), model))


def _keys(registered):
    return [each.key for each in registered.objections]


def test_the_first_version_that_beats_the_rule_becomes_champion(model, force, tmp_path):
    registered = _register(tmp_path, model)
    assert (registered.version, registered.objections) == ("1", ())
    champion = Registry(tmp_path).champion("collapse")
    rows = feature_rows(force.histories(), [LAST], names=model.names)
    assert champion.version == "1"
    assert (champion.score(rows).margin == model.score(rows).margin).all()


def test_a_version_not_above_the_rule_is_a_challenger(model, tmp_path):
    registry = Registry(tmp_path)
    registered = _register(tmp_path, _with_precision(model, 0.2, rule=0.2))
    assert "not above the rule's 0.200" in str(registered.objections[0])
    with pytest.raises(Refusal, match="no champion"):
        registry.champion("collapse")
    assert registry.version("collapse", "latest").version == "1"
    assert registry.versions("collapse")[0].aliases == ("challenger",)


def test_a_worse_version_does_not_replace_the_champion_and_an_equal_one_does(model, tmp_path):
    registry = Registry(tmp_path)
    assert not _register(tmp_path, _with_precision(model, 0.50)).objections
    assert _keys(_register(tmp_path, _with_precision(model, 0.50))) == ["not_compared"]
    worse = _register(tmp_path, _with_precision(model, 0.47, against=("1", -0.05, -0.01)))
    assert "below the present champion's (version 1) on the same folds: -0.030" in str(worse.objections[0])
    assert registry.champion("collapse").version == "1"
    assert not _register(tmp_path, _with_precision(model, 0.49, against=("1", -0.03, 0.01))).objections
    assert registry.champion("collapse").version == "4"
    assert [one.aliases for one in registry.versions("collapse")] == [(), (), ("challenger",), ("champion",)]


def test_unknown_versions_are_refused(model, tmp_path):
    registry = Registry(tmp_path)
    _register(tmp_path, model)
    with pytest.raises(Refusal, match="Versions there are: 1"):
        registry.version("collapse", "7")
    with pytest.raises(Refusal, match="no champion"):
        registry.champion("boredom")


def test_nothing_is_written_outside_the_home_and_nothing_is_pickled(model, tmp_path, monkeypatch):
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    _register(home, model)
    assert list(elsewhere.iterdir()) == []
    assert {path.name for path in home.iterdir()} == {"mlruns"}
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.name for path in files if not path.name.startswith("witness-")} == {
        "mlflow.db",
        "registry.lock",
        "history.jsonl",
        "impact-assessments.jsonl",
        "impact-assessments.lock",
        "model-card.html",
        "model-card.json",
        "model-1.txt",
        "model-2.txt",
        "model-3.txt",
        "model.json",
        "report.json",
    }
    for path in files:
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".npy"}
        assert path.suffix in {".db", ".lock"} or not path.read_bytes().startswith(b"\x80")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_home_that_was_moved_still_serves_and_writes_only_there(model, tmp_path):
    _register(tmp_path / "before", model)
    shutil.move(tmp_path / "before", tmp_path / "after")
    registry = Registry(tmp_path / "after")
    assert registry.champion("collapse").version == "1"
    assert registry.register(model).version == "2"
    assert not (tmp_path / "before").exists()
    assert registry.version("collapse", "2").names == model.names


def test_versions_registered_at_the_same_time_are_all_kept(model, tmp_path):
    _register(tmp_path, model)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: Registry(tmp_path).register(model).version, range(2)))
    assert sorted(found) == ["2", "3"]


@pytest.fixture
def home(force, tmp_path):
    export, profile, home = tmp_path / "export", tmp_path / "profile", tmp_path / "home"
    export.mkdir(), profile.mkdir()
    force.roster.to_parquet(export / "roster.parquet")
    force.events.to_parquet(export / "events.parquet")
    # JSON is YAML
    for name, part in {"profile": SETTINGS, "measures": MEASURES, "risks": {"collapse": RISKS["collapse"]}}.items():
        (profile / f"{name}.yaml").write_text(json.dumps(part, ensure_ascii=False), encoding="utf-8")
    ingest(export, home=home, profile=str(profile), strict=True)
    return home


def test_train_prints_the_report_and_names_the_champion(home):
    done = CliRunner().invoke(train_command, ["--home", str(home), "--risk", "collapse"])
    assert done.exit_code == 0, done.output
    for word in ("lightgbm", "rule", "random_forest", "average precision", "calibration error", "as champion"):
        assert word in done.output
    listed = CliRunner().invoke(models_command, ["--home", str(home), "--json"])
    assert json.loads(listed.stdout)["models"][0]["aliases"] == ["champion"]


def test_a_refused_version_is_registered_first_and_serves_once_what_it_lacked_is_there(home):
    profile = home.parent / "profile"
    settings = {**SETTINGS, "policy": {"impact_assessment": "signed"}}
    (profile / "profile.yaml").write_text(json.dumps(settings), encoding="utf-8")
    ingest(home.parent / "export", home=home, profile=str(profile), strict=True)
    words = ["--home", str(home), "--risk", "collapse"]
    done = CliRunner().invoke(train_command, words)
    assert done.exit_code == 1
    named = assessments(home)[0].id
    assert f"is a draft that nobody has signed: jingxing impact sign {named}" in done.stderr
    assert [one.aliases for one in Registry(home).versions("collapse")] == [("challenger",)]
    sign(home, named, by="Zhao")
    promoted = CliRunner().invoke(promote_command, [*words, "--by", "Lin", "--reason", "it was signed"])
    assert promoted.exit_code == 0, promoted.stderr
    today = dt.datetime.now().astimezone().date().isoformat()
    served = CliRunner().invoke(models_command, [*words, "--on", today])
    assert "version   1  since" in served.stdout
    assert "by Lin: it was signed" in served.stdout
    before = CliRunner().invoke(models_command, [*words, "--on", "2020-02-01", "--json"])
    assert json.loads(before.stdout)["production"] == {"collapse": []}
    assert CliRunner().invoke(models_command, [*words, "--on", "yesterday"]).exit_code == 2


def test_train_on_too_little_says_what_is_missing(home):
    done = CliRunner().invoke(train_command, ["--home", str(home), "--until", "2020-11"])
    assert done.exit_code == 1
    assert "months with a cohort are there" in done.stderr
    assert Registry(home).versions() == []


def test_train_on_too_little_for_every_risk_keeps_nothing_and_says_each_refusal_once(home):
    profile = home.parent / "profile"
    (profile / "risks.yaml").write_text(json.dumps(RISKS), encoding="utf-8")
    ingest(home.parent / "export", home=home, profile=str(profile), strict=True)
    done = CliRunner().invoke(train_command, ["--home", str(home), "--until", "2020-11"])
    assert done.exit_code == 1
    assert done.stderr.startswith("No model was trained:")
    assert "kept" not in done.output
    assert done.output.count("months with a cohort are there") == len(RISKS)
