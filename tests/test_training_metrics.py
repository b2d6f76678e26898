"""Figures equal scikit-learn's where it has them, and count ties and draws as they say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training.judging.metrics import (
    METRICS,
    Judged,
    brier,
    calibration_error,
    draws_of,
    figures,
    list_metrics,
    officer_draws,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 3)), min_size=4, max_size=60))
def test_auc_and_average_precision_equal_scikit_learn_with_ties_and_weights(rows):
    label, score, weight = (np.asarray(part, dtype=float) for part in zip(*rows, strict=True))
    if not 0 < label.sum() < len(label):
        return
    found = list_metrics(label, score, weight[None, :], capacity=2)[0]
    assert found[0] == pytest.approx(roc_auc_score(label, score, sample_weight=weight))
    assert found[1] == pytest.approx(average_precision_score(label, score, sample_weight=weight))


def test_precision_at_the_capacity_is_the_share_of_the_list():
    label = np.asarray([1, 0, 1, 0, 0, 0, 0, 0, 0, 1.0])
    score = -np.arange(10.0)
    found = dict(zip(METRICS, list_metrics(label, score, np.ones((1, 10)), capacity=3)[0], strict=False))
    assert found["precision_capacity"] == pytest.approx(2 / 3)
    assert found["lift_capacity"] == pytest.approx(2 / 3 / 0.3)
    assert found["precision_100"] == pytest.approx(0.3)


def test_ties_count_as_if_broken_at_random():
    label = np.asarray([1, 0, 0, 0.0])
    found = list_metrics(label, np.zeros(4), np.ones((1, 4)), capacity=2)[0]
    assert found[METRICS.index("precision_capacity")] == pytest.approx(0.25)


def test_brier_equals_scikit_learn_and_calibration_error_is_zero_for_the_truth():
    generator = np.random.default_rng(1)
    shown = generator.random(1000)
    label = (generator.random(1000) < shown).astype(float)
    assert brier(label, shown) == pytest.approx(brier_score_loss(label, shown))
    assert calibration_error(label, np.full(1000, label.mean())) < 0.1
    assert calibration_error(np.repeat([0.0, 1.0], 500), np.repeat([0.0, 1.0], 500)) == 0
    assert calibration_error(np.zeros(100), np.full(100, 0.3)) == pytest.approx(0.3)


def _judged(seed, persons=400):
    generator = np.random.default_rng(seed)
    shown = generator.random(persons)
    label = (generator.random(persons) < shown).astype(np.float32)
    officer = np.arange(persons, dtype=np.int32)
    return Judged(officer, np.full(persons, 24000, dtype=np.int32), label, shown, True)


def test_intervals_hold_the_figure_and_narrow_with_more_officers():
    few, many = (figures([_judged(1, count)], officer_draws(count), capacities={24000: 10}) for count in (200, 3200))
    for found in (few, many):
        assert found["auc"].low < found["auc"].value < found["auc"].high
    assert many["auc"].high - many["auc"].low < (few["auc"].high - few["auc"].low) / 2


def test_a_count_has_no_brier_score():
    judged = _judged(2)
    counted = Judged(judged.officer, judged.as_of, judged.label, judged.score, False)
    found = figures([counted], officer_draws(400), capacities={24000: 10})
    assert found["brier"].as_json() == [None, None, None]
    assert found["auc"].as_json()[0] is not None


def test_the_bootstrap_draws_officers_whole():
    weights = officer_draws(50, draws=20)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 50).all()
    assert np.array_equal(weights, officer_draws(50, draws=20))


def test_the_interval_of_the_calibration_error_holds_it_and_what_it_would_be_without_noise():
    """For the truth the error is 0, yet noise alone shows one, and every draw a larger one."""
    judged = _judged(1)
    draws = officer_draws(400)
    drawn = draws_of([judged], draws, capacities={24000: 10})["calibration_error"]
    assert np.median(drawn[1:]) > 1.2 * drawn[0]
    found = figures([judged], draws, capacities={24000: 10})["calibration_error"]
    assert found.value == drawn[0]
    assert found.low < found.value / 2
    assert found.low < found.value <= found.high
    off = replace(judged, score=judged.score / 2)
    assert figures([off], draws, capacities={24000: 10})["calibration_error"].low > 0.15


def test_a_dozen_officers_give_figures_without_a_warning():
    """Some draws hold no outcome at all: they tell nothing, and the others do."""
    judged = replace(_judged(3, 12), label=np.eye(1, 12, dtype=np.float32)[0])
    found = figures([judged], officer_draws(12), capacities={24000: 10})
    assert 0 <= found["average_precision"].low <= found["average_precision"].high <= 1
    none = replace(judged, label=np.zeros(12, dtype=np.float32))
    assert np.isnan(figures([none], officer_draws(12), capacities={24000: 10})["average_precision"].value)
