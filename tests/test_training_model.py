"""What a trained model must be: reproducible, blind to what came later, explained to the last decimal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.engine import feature_rows
from features.errors import Refusal
from features.months import parse_month
from tests.training_force import SmallForce, small_force, small_profile
from training.dataset import TrainingSet, shared_rows, training_set
from training.fitting import fit
from training.judging.search import Search
from training.judging.validation import judged_folds
from training.models.risk_model import RiskModel, direction
from training.models.scoring import score_cohort
from training.train import train

LAST = parse_month("2022-06")


@pytest.fixture(scope="module")
def force():
    return small_force()


@pytest.fixture(scope="module")
def trained(force):
    return train(force.histories(), "collapse")


@pytest.fixture(scope="module")
def cohort_rows(force, trained):
    return feature_rows(force.histories(), [LAST], names=trained.model.names)


def _files(model, folder):
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reasons_add_up_to_the_margin(trained, cohort_rows):
    scores = trained.model.score(cohort_rows)
    assert np.abs(scores.base_value + scores.contributions.sum(axis=1) - scores.margin).max() < 1e-9
    assert np.abs(scores.base_value + scores.by_feature.sum(axis=1) - scores.margin).max() < 1e-9
    assert np.allclose(1 / (1 + np.exp(-scores.margin)), scores.probability, atol=1e-12)
    assert scores.contributions.shape == (len(cohort_rows), len(scores.groups))
    assert np.ptp(scores.margin) > 0.1


def test_the_interval_holds_the_probability(trained, cohort_rows):
    scores = trained.model.score(cohort_rows)
    assert (scores.low <= scores.probability).all()
    assert (scores.probability <= scores.high).all()
    assert (scores.high - scores.low).max() > 0.001


def test_a_saved_model_scores_the_same_to_the_bit(trained, cohort_rows, tmp_path):
    trained.model.save(tmp_path)
    loaded, scores = RiskModel.load(tmp_path), trained.model.score(cohort_rows)
    again = loaded.score(cohort_rows)
    for part in ("margin", "probability", "low", "high", "contributions", "stable"):
        assert np.array_equal(getattr(scores, part), getattr(again, part)), part
    assert loaded.base_value == scores.base_value


def test_one_row_scores_as_it_does_among_all(trained, cohort_rows):
    together = trained.model.score(cohort_rows)
    for row in (0, 7, len(cohort_rows) - 1):
        alone = trained.model.score(cohort_rows.take(np.asarray([row])))
        for part in ("margin", "low", "high", "stable"):
            assert np.array_equal(getattr(alone, part)[0], getattr(together, part)[row]), part


def test_a_saved_model_is_text_and_json_only(trained, tmp_path):
    files = _files(trained.model, tmp_path)
    texts = {"model-1.txt", "model-2.txt", "model-3.txt", *(f"witness-{number}.txt" for number in range(1, 5))}
    assert set(files) == {*texts, "model.json"}
    for content in files.values():
        assert content.decode("utf-8").isprintable() or "\n" in content.decode("utf-8")
        assert not content.startswith(b"\x80")


def test_a_broken_model_folder_is_refused(trained, tmp_path):
    trained.model.save(tmp_path)
    (tmp_path / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(Refusal, match="no whole model"):
        RiskModel.load(tmp_path)


def test_rows_without_the_models_features_are_refused(force, trained):
    rows = feature_rows(force.histories(), [LAST], names=["tenure__months"])
    with pytest.raises(Refusal, match="needs features"):
        trained.model.score(rows)


def test_the_same_histories_give_the_same_bytes(force, trained, tmp_path):
    again = train(force.histories(), "collapse")
    assert _files(again.model, tmp_path / "a") == _files(trained.model, tmp_path / "b")


def test_rows_recorded_after_until_change_nothing(force, tmp_path):
    until = parse_month("2021-10")
    late = force.events.sample(300, random_state=1)
    poison = late.assign(value=99.0, recorded_on=late["occurred_on"] + pd.DateOffset(months=26))
    poison = poison[poison["recorded_on"] > pd.Timestamp("2021-10-31")]
    known = SmallForce(force.roster, force.events[force.events["recorded_on"] <= pd.Timestamp("2021-10-31")])
    poisoned = SmallForce(force.roster, pd.concat([force.events, poison], ignore_index=True))
    models = [train(one.histories(), "collapse", until=until).model for one in (known, force, poisoned)]
    files = [_files(model, tmp_path / str(number)) for number, model in enumerate(models)]
    assert files[0] == files[1] == files[2]


def _with_labels(rows: TrainingSet, label: np.ndarray) -> TrainingSet:
    return replace(rows, label=label.astype(np.float32))


def _later_auc(rows, profile):
    fold = judged_folds(rows, profile)[-1]
    fitted = fit(rows.at(fold.train), profile)
    test = rows.at(fold.test)
    return roc_auc_score(
        test.label, RiskModel(rows.risk, fitted.names, fitted.boosters, fitted.calibration, {}).probability(test)
    )


def test_shuffled_labels_give_no_skill_on_later_months(force):
    rows = training_set(force.histories(), "collapse")
    generator = np.random.default_rng(3)
    shuffled = [_later_auc(_with_labels(rows, generator.permutation(rows.label)), small_profile()) for _ in range(4)]
    assert _later_auc(rows, small_profile()) > 0.65
    assert abs(np.mean(shuffled) - 0.5) < 0.05


def test_health_data_are_no_input_of_a_development_risk(force, trained):
    opened = train(force.histories(), "collapse_open")
    assert not [name for name in opened.model.names if name.startswith("sleep_score")]
    rows = training_set(force.histories(), "collapse")
    assert [name for name in rows.inputs if name.startswith("sleep_score")]


def test_name_birth_year_and_sex_are_never_inputs(trained):
    assert not [name for name in trained.model.names if any(word in name for word in ("name", "birth", "sex"))]


def test_more_of_what_raises_a_risk_never_lowers_it(force, trained):
    """One more night, at any time, for anyone: no probability falls."""
    officers = force.roster["officer_id"].iloc[:60]
    for months_ago in (0, 2, 7, 14):
        day = pd.Timestamp("2022-06-20") - pd.DateOffset(months=months_ago)
        more = pd.DataFrame({"officer_id": officers, "measure": "night", "occurred_on": day, "value": 5.0,
                             "recorded_on": day, "began_on": pd.NaT, "event_id": None})  # fmt: skip
        raised = SmallForce(force.roster, pd.concat([force.events, more], ignore_index=True))
        for officer in officers.iloc[:3]:
            alone = SmallForce(force.roster, pd.concat([force.events, more[more["officer_id"] == officer]]))
            before, after = (score_cohort(one.histories(), trained.model, LAST) for one in (force, alone))
            place = list(before.officer_id).index(officer)
            assert after.probability[place] >= before.probability[place]
        assert score_cohort(raised.histories(), trained.model, LAST).probability.mean() >= before.probability.mean()


def test_directions_follow_the_profile():
    profile = small_profile()
    assert direction("night__sum__3m", profile, "collapse") == 1
    assert direction("night__decay__3m", profile, "collapse") == 1
    assert direction("night__months_since", profile, "collapse") == -1
    assert direction("night__slope__6m", profile, "collapse") is None
    assert direction("night__vs_self__3m", profile, "collapse") is None
    assert direction("night__unit__3m", profile, "collapse") == 0
    assert direction("night__sum__3m", profile, "collapse_open") == 0
    assert direction("complaint__sum__3m", profile, "collapse") == 0


def test_no_positive_label_is_refused(force):
    quiet = SmallForce(force.roster, force.events[force.events["measure"] != "collapse"])
    with pytest.raises(Refusal, match="no positive label"):
        train(quiet.histories(), "collapse")


def test_too_few_months_are_refused_with_what_is_missing(force):
    with pytest.raises(Refusal, match="Too little history for two temporal folds"):
        train(force.histories(), "collapse", until=parse_month("2020-11"))
    with pytest.raises(Refusal, match="No as-of has a label"):
        train(force.histories(), "collapse", until=parse_month("2020-03"))


def test_positives_in_one_month_only_are_too_few_folds(force):
    chosen = (force.events["measure"] != "collapse") | (force.events["occurred_on"].dt.to_period("M") == "2020-09")
    with pytest.raises(Refusal, match="both outcomes"):
        train(SmallForce(force.roster, force.events[chosen]).histories(), "collapse")


def test_an_unknown_risk_is_refused(force):
    with pytest.raises(Refusal, match="no risk 'boredom'"):
        train(force.histories(), "boredom")


def test_trials_are_judged_on_the_folds_and_said_so(force):
    found = train(force.histories(), "collapse_open", search=Search(trials=1))
    assert found.report.trials == 1
    assert "search: 1 recipe tried" in found.report.text()
    assert found.report.card()["search"]["chosen"] == "standard"


def test_the_report_names_every_rival_with_intervals(trained):
    card = trained.report.card()
    assert set(card["figures"]) == {"lightgbm", "rule", "count_12m", "logistic_regression", "random_forest"}
    value, low, high = card["figures"]["lightgbm"]["average_precision"]
    assert low < value < high
    assert value > card["figures"]["rule"]["average_precision"][0]
    assert all(fold["embargo_months"] == 3 for fold in card["folds"])
    assert "every 2 months, to stay within the budget" in trained.report.text()


def test_rows_shared_between_risks_are_the_same_rows(force):
    given = force.histories()
    shared = shared_rows(given, ["collapse", "collapse_open"])
    for risk in ("collapse", "collapse_open"):
        alone, taken = training_set(given, risk), training_set(given, risk, shared=shared)
        assert alone.names == taken.names
        assert np.array_equal(alone.values, taken.values, equal_nan=True)
        assert np.array_equal(alone.label, taken.label)
