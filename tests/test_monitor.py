"""The monitor from histories to verdict, store, page, metrics and command."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from features.errors import Refusal
from features.months import month_end, month_text, parse_month
from serving.api.metrics import exposition
from serving.app import create_app
from serving.cli import main
from serving.database import open_database, transaction
from serving.models import monitored
from serving.models.monitor import monitor, monitor_into_store
from serving.models.monitored import CHECK, HOLD, STABLE, UNJUDGED
from serving.tables import MonitorFindingRow, MonitorRun
from tests.serving_fixtures import last_month, signed_in_client
from tests.training_force import small_force
from training.dataset import training_set
from training.fitting import fit
from training.judging.metrics import MODEL
from training.models.scoring import score_cohort

END = parse_month("2023-12")
UNTIL = parse_month("2023-06")


@pytest.fixture(scope="module")
def force():
    return small_force(officers=300, months=48, seed=11)


@pytest.fixture(scope="module")
def model(force):
    given = force.histories()
    rows = training_set(given, "collapse", until=UNTIL)
    trained = {"from": month_text(rows.as_ofs[0]), "to": month_text(rows.as_ofs[-1]), "until": month_text(UNTIL)}
    card = {"trained_on": trained, "figures": {MODEL: {"average_precision": [0.3, 0.2, 0.4]}}}
    return replace(fit(rows, given.profile).model("collapse"), card=card, version="3")


def _changed(force, events):
    return replace(force, events=events).histories()


def test_a_stable_month_says_so_in_both_languages_and_judges_what_came(force, model):
    found = monitor(force.histories(), [model], END)
    assert found.findings == []
    assert (found.level, found.verdict) == (STABLE, {"zh": "稳定，无须处理。", "en": "Stable: nothing to do."})
    told = found.figures["risks"]["collapse"]
    assert [row["month"] for row in told["measured"]] == ["2023-08"]
    low, high = told["measured"][-1]["average_precision"][1:]
    assert 0 < low < high < 1
    assert told["expected"]["observed"] is None
    assert {row["subject"] for row in found.figures["inputs"]} >= {"night", "complaint", "sleep_score"}
    json.dumps(found.as_json(), allow_nan=False)


def test_what_is_expected_of_the_list_is_the_mean_of_its_probabilities(force, model):
    given = force.histories()
    told = monitor(given, [model], END).figures["risks"]["collapse"]
    scores = score_cohort(given, model, END)
    listed = (scores.rank > 0) & (scores.rank <= told["capacity"])
    assert listed.sum() == told["capacity"]
    assert told["listed_mean"] == pytest.approx(scores.probability[listed].mean(), abs=1e-12)


def test_a_measure_that_stops_holds_the_lists_back_and_names_the_month(force, model):
    events = force.events
    gone = (events["measure"] == "night") & (events["occurred_on"] >= pd.Timestamp("2023-11-01"))
    found = monitor(_changed(force, events[~gone]), [model], END)
    first = found.findings[0]
    assert (first.kind, first.level, first.subject) == ("hole", HOLD, "night")
    assert found.verdict["zh"].startswith("“夜班”自 2023-11 起中断")
    assert "名单暂不发布" in found.verdict["zh"]
    assert "hold the lists back" in found.verdict["en"]
    assert first.figures["since"] == "2023-11"
    assert first.figures["p"] < 1e-4
    unused = monitor(_changed(force, events[~gone]), [], END).findings
    assert [one.kind for one in unused] == ["hole"]


def test_an_input_that_moved_is_told_with_its_figures_and_as_the_cause_of_the_scores(force, model):
    events = force.events.copy()
    late = (events["measure"] == "night") & (events["occurred_on"] >= pd.Timestamp("2023-07-01"))
    events.loc[late, "value"] = 0.0  # the rows still come: no hole
    found = monitor(_changed(force, events), [model], END)
    kinds = {one.kind: one for one in found.findings}
    assert found.level == CHECK
    assert kinds["score"].subject == "night"
    assert "主要因“夜班”" in kinds["score"].text["zh"]
    assert kinds["score"].figures["mean_now"] < kinds["score"].figures["mean_before"]
    assert kinds["input"].subject == "night"
    assert kinds["input"].figures["q"] <= 0.01
    assert kinds["input"].figures["reference"]["n"] >= 6


def test_outcomes_far_above_the_expected_are_told_as_a_level_that_is_off(force, model):
    events = force.events
    late = (events["measure"] == "night") & (events["occurred_on"] == pd.Timestamp("2023-11-01"))
    extra = events[late].assign(measure="collapse", value=1.0).sample(frac=0.6, random_state=1)
    found = monitor(_changed(force, pd.concat([events, extra])), [model], END)
    told = {one.kind: one for one in found.findings}["calibration"]
    assert told.figures["ratio"][1] > 1.25
    assert told.figures["month"] == "2023-08"


def test_nothing_recorded_later_changes_a_run(force, model):
    month = END - 3
    whole, cut = (monitor(each, [model], month) for each in (force.histories(), force.histories().until(month)))
    assert whole.as_json() == cut.as_json()


def test_before_the_first_training_month_nothing_is_said_to_be_stable(force, model):
    begins = parse_month(model.card["trained_on"]["from"])
    found = monitor(force.histories(), [model], begins - 2)
    assert found.findings == []
    assert found.level == UNJUDGED
    assert found.verdict["zh"].startswith("无法判断数值和评分有无变化")
    assert "can't be said" in found.verdict["en"]
    assert "there are 0, and 6 are needed" in found.verdict["en"]
    assert "Stable" not in found.verdict["en"]
    assert monitor(force.histories(), [model], END).figures["unjudged"] == []


def test_without_a_model_only_what_arrives_is_judged(force):
    found = monitor(force.histories(), [], END)
    assert found.level == UNJUDGED
    assert "no model serves yet" in found.verdict["en"]
    assert "What arrives shows no hole." in found.verdict["en"]
    assert "can't be seen" in monitor(force.histories(), [], parse_month("2020-06")).verdict["en"]


def test_a_month_outside_the_store_is_refused(force, model):
    with pytest.raises(Refusal, match="outside the store"):
        monitor(force.histories(), [model], END + 12)


def test_a_run_is_stored_whole_and_replaces_the_one_before(force, model, store):
    events = force.events
    gone = (events["measure"] == "night") & (events["occurred_on"] >= pd.Timestamp("2023-11-01"))
    monitor_into_store(_changed(force, events[~gone]), [model], END, store)
    first = monitor_into_store(_changed(force, events[~gone]), [model], END, store)
    monitor_into_store(force.histories(), [], END - 1, store)
    with transaction(store) as session:
        assert monitored.months_monitored(session) == [month_end(END), month_end(END - 1)]
        run = monitored.run_of(session)
        assert (run.as_of, run.level, run.verdict) == (month_end(END), HOLD, first.verdict)
        rows = monitored.findings_of(session, run)
        assert [(one.kind, one.text, one.figures) for one in rows] == [
            (one.kind, one.text, one.figures) for one in first.findings
        ]
        assert session.scalar(select(func.count()).select_from(MonitorFindingRow)) == len(rows)
        assert session.scalar(select(func.count()).select_from(MonitorRun)) == 2
        text = exposition(session).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["jingxing_monitor_level"].samples[0].value == HOLD
    found = {tuple(sample.labels.values()): sample.value for sample in families["jingxing_monitor_findings"].samples}
    assert found[("hole", "3")] == 1
    assert "python_gc" not in text
    assert "process_" not in text


def test_the_command_stores_and_the_page_and_metrics_show_it(own_home, given):
    month = month_text(last_month(given))
    done = CliRunner().invoke(main, ["--home", str(own_home), "--json", "monitor", "--as-of", month])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["as_of"] == month
    assert set(answer["figures"]["risks"]) == {"burnout", "efficiency_decline"}
    told = CliRunner().invoke(main, ["--home", str(own_home), "monitor", "--as-of", month, "--risk", "burnout"])
    assert answer["verdict"]["en"][:20] in told.stdout
    engine = open_database(own_home)
    with signed_in_client(create_app(own_home, engine), engine, "wellness") as client:
        pages = {language: client.get("/monitor", params={"lang": language}) for language in ("zh", "en")}
        assert all(page.status_code == 200 for page in pages.values())
        assert answer["verdict"]["zh"] in pages["zh"].text
        assert answer["verdict"]["en"].replace("'", "&#39;") in pages["en"].text
        assert "夜班" in pages["zh"].text
        for language, says in (("zh", "此模型未通过门槛"), ("en", "did not pass the gate")):  # the tests forced them
            assert pages[language].text.count(says) == 2
        assert "the tests serve a model that was never judged on folds" in pages["en"].text
        assert " · 训练时" not in pages["zh"].text
        picture = client.get("/monitor/arrivals.svg", params={"size": "narrow"})
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
        metrics = client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert client.get("/metrics", headers={"host": "example.org"}).status_code == 421
        shown = "".join([*(page.text for page in pages.values()), metrics.text])
        assert [officer for officer in given.officers.tolist() if officer in shown] == []
    engine.dispose()


def test_an_empty_store_says_what_to_run(own_home):
    engine = open_database(own_home)
    with signed_in_client(create_app(own_home, engine), engine, "data_scientist") as client:
        assert "jingxing monitor --as-of" in client.get("/monitor").text
        assert client.get("/monitor/arrivals.svg").status_code == 404
        assert "jingxing_monitor_runs 0.0" in client.get("/metrics").text
    engine.dispose()
