"""Intervals: what they mean holds on scores whose true probabilities are known, and they are stored to the bit."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from training.models.calibration import Calibration, calibrated, platt
from training.models.intervals import PRIOR_MOVE, Band, band, moves, venn_abers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from venn_abers.venn_abers import calc_p0p1, calc_probs


def _known(seed, *, officers=1500, months=3, moved=0.0):
    """Raw scores with true probabilities that bend away from Platt's curve; a person's months hang together."""
    generator = np.random.default_rng(seed)
    own = generator.normal(-2.0, 1.3, officers)
    officer = np.repeat(np.arange(officers, dtype=np.int32), months)
    raw = (own[:, None] + 0.1 * generator.normal(size=(officers, months))).ravel()
    truth = expit(raw + 0.5 * np.sin(2 * raw) + moved)
    luck = np.repeat(generator.random(officers), months)  # the same luck in all of a person's months
    return raw, truth, (luck < truth).astype(float), officer


def _covered(truth, probability, low, high):
    groups = np.array_split(np.argsort(probability, kind="stable"), 20)
    return np.mean([low[part].mean() <= truth[part].mean() <= high[part].mean() for part in groups])


def test_the_true_mean_of_nine_groups_in_ten_lies_in_the_mean_interval():
    found, plain = [], []
    for seed in range(6):
        raw, _, label, officer = _known(seed)
        later, truth, _, _ = _known(100 + seed)
        curve = calibrated(raw, label, officer, np.ones(len(raw)))
        probability = expit(curve.margin(later))
        found.append(_covered(truth, probability, *curve.interval(later)))
        drawn = np.asarray([[a + b * later] for a, b in platt(raw, label, officer).draws])[:, 0]
        plain.append(_covered(truth, probability, *expit(np.quantile(drawn, [0.05, 0.95], axis=0))))
    assert np.mean(found) >= 0.9
    assert np.mean(plain) < 0.8  # the curve's own bootstrap does not know that the curve is bent


def test_the_interval_narrows_with_more_officers():
    widths = []
    for officers in (300, 6000):
        raw, _, label, officer = _known(3, officers=officers)
        low, high = calibrated(raw, label, officer, np.ones(len(raw))).interval(raw)
        widths.append(float((high - low).mean()))
    assert widths[0] > 2 * widths[1]


def test_a_level_that_moves_widens_the_interval_and_is_covered_by_it():
    still, moving = [], []
    for seed in range(4):
        raw, _, label, officer = _known(seed)
        later, truth, _, _ = _known(50 + seed, moved=0.3 * (-1) ** seed)
        curve = calibrated(raw, label, officer, np.ones(len(raw)))
        probability = expit(curve.margin(later))
        still.append(_covered(truth, probability, *curve.interval(later)))
        moving.append(_covered(truth, probability, *curve.moving(0.3).interval(later)))
    assert np.mean(moving) >= 0.9 > np.mean(still)


def test_low_and_high_hold_the_probability_even_far_outside():
    raw, _, label, officer = _known(6)
    curve = calibrated(raw, label, officer, np.ones(len(raw))).moving(0.1)
    asked = np.linspace(-30, 30, 500)
    low, high = curve.interval(asked)
    assert (low <= expit(curve.margin(asked))).all()
    assert (expit(curve.margin(asked)) <= high).all()
    assert ((low >= 0) & (high <= 1)).all()


def test_one_score_gets_the_same_interval_alone_and_after_storing():
    raw, _, label, officer = _known(7)
    curve = calibrated(raw, label, officer, np.ones(len(raw))).moving(0.17)
    stored = replace(curve, band=Band.of_json(json.loads(json.dumps(curve.band.as_json()))))
    low, high = curve.interval(raw)
    for row in (0, 11, len(raw) - 1):
        alone = stored.interval(raw[[row]])
        assert (alone[0][0], alone[1][0]) == (low[row], high[row])


def test_counts_give_what_the_package_gives_on_rows():
    generator = np.random.default_rng(0)
    for _ in range(30):
        bins = int(generator.integers(2, 12))
        score, seen = np.sort(generator.random(bins)), generator.integers(1, 9, bins)
        met = generator.binomial(seen, score)
        rows = np.repeat(score, seen)
        label = np.concatenate([np.arange(size) < hits for size, hits in zip(seen, met, strict=True)]).astype(float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            none, one, known = calc_p0p1(np.column_stack([1 - rows, rows]), label)
            expected = calc_probs(none, one, known, np.column_stack([1 - score, score]))[1]
        lower, upper = venn_abers(seen[None].astype(float), met[None].astype(float))
        assert np.abs(lower[0] - expected[:, 0]).max() < 1e-12
        assert np.abs(upper[0] - expected[:, 1]).max() < 1e-12


def test_a_row_of_weight_nought_is_not_there():
    raw, _, label, officer = _known(8, officers=400)
    kept = officer % 2 == 0
    all_rows = band(raw, label, officer, weight=kept.astype(float), curve=(0.0, 1.0))
    assert all_rows != band(raw, label, officer, weight=np.ones(len(raw)), curve=(0.0, 1.0))
    flipped = np.where(kept, label, 1 - label)
    assert all_rows == band(raw, flipped, officer, weight=kept.astype(float), curve=(0.0, 1.0))


def test_the_level_of_steady_months_hardly_moves_and_that_of_unsteady_ones_does():
    as_of = np.repeat(np.arange(24, dtype=np.int32), 2000)
    generator = np.random.default_rng(0)
    steady = generator.random(len(as_of)) < 0.1
    jumps = generator.random(len(as_of)) < np.where(as_of // 8 % 2 == 0, 0.05, 0.15)
    assert moves(as_of, steady, months_ahead=6) < PRIOR_MOVE
    assert moves(as_of, jumps, months_ahead=6) > 0.5
    assert moves(as_of[:2000], steady[:2000], months_ahead=6) == pytest.approx(PRIOR_MOVE)


def test_scores_of_a_later_fit_that_lie_further_apart_get_a_flatter_curve():
    raw, _, label, officer = _known(9)
    curve = calibrated(raw, label, officer, np.ones(len(raw)))
    wider = 1.5 * raw + 0.7
    same, anchored = (curve.anchored(each, label, np.ones(len(raw))) for each in (raw, wider))
    assert anchored.slope == pytest.approx(same.slope / 1.5)
    assert np.allclose(anchored.margin(wider), same.margin(raw))
    assert np.allclose(anchored.interval(wider), same.interval(raw))
    assert expit(anchored.margin(wider)).mean() == pytest.approx(label.mean())


def test_a_curve_without_both_outcomes_has_no_band_but_moves():
    nobody = calibrated(np.arange(50.0), np.zeros(50), np.arange(50, dtype=np.int32), np.ones(50))
    assert nobody.band == Band()
    low, high = nobody.moving(0.2).interval(np.asarray([0.0]))
    assert low[0] < expit(nobody.margin(np.asarray([0.0])))[0] < high[0]
    assert Calibration(0.0, 1.0).interval(np.asarray([0.0]))[0][0] == 0.5


def test_the_level_is_found_even_where_scores_lie_very_far_apart():
    raw = np.linspace(-400.0, 400.0, 50)
    label = (np.arange(50) % 5 == 0).astype(np.float32)
    curve = Calibration(0.0, 1.0).anchored(raw, label, np.ones(50))
    assert np.isclose(expit(curve.margin(raw)).mean(), label.mean(), atol=1e-6)
