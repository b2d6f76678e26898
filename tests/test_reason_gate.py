"""The reason gate: what is shown holds over bags and seeds, all of it adds up, and nobody gets another's reasons."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.engine import feature_rows
from features.months import parse_month
from tests.training_force import SmallForce, small_force
from training.dataset import training_set
from training.fitting import fit
from training.guards import guarded, reason_audit
from training.models.scoring import score_cohort
from training.models.stability import audited, likeness, stable
from training.recipe import STANDARD

LAST = parse_month("2022-06")


def _two_causes():
    """Half of the officers collapse from nights and have no complaints, the other half the other way round."""
    force = small_force(seed=9)
    number = force.events["officer_id"].str[1:].astype(int)
    nights, moans = force.events["measure"] == "night", force.events["measure"] == "complaint"
    kept = force.events[~(nights & (number % 2 == 1)) & ~moans]
    others = force.events[nights & (number % 2 == 1)].assign(measure="complaint")
    return SmallForce(force.roster, pd.concat([kept, others], ignore_index=True))


@pytest.fixture(scope="module")
def given():
    return _two_causes().histories()


@pytest.fixture(scope="module")
def rows(given):
    # without its own count and the surveys, the causes must speak
    rows = training_set(given, "collapse")
    return replace(
        rows, inputs=tuple(name for name in rows.inputs if name.startswith(("night", "complaint", "tenure")))
    )


@pytest.fixture(scope="module")
def model(given, rows):
    fitted = fit(rows, given.profile)
    return guarded(fitted.model("collapse"), rows, given.profile, made=(STANDARD, fitted))


@pytest.fixture(scope="module")
def scores(given, model):
    return model.score(feature_rows(given, [LAST], names=model.names))


def _by_cause(scores, cohort):
    odd = np.asarray([int(name[1:]) % 2 == 1 for name in cohort.officer_id])
    size = np.abs(scores.contributions)
    return odd, np.asarray(scores.groups)[size.argmax(axis=1)]


def test_two_causes_in_two_groups_give_two_kinds_of_reasons(given, model, scores):
    cohort = score_cohort(given, model, LAST)
    high = cohort.probability > np.quantile(cohort.probability, 0.8)
    odd, first = _by_cause(scores, cohort)
    assert (first[high & odd] == "complaint").mean() > 0.8
    assert (first[high & ~odd] == "night").mean() > 0.8


def test_copied_global_importance_is_told_apart(scores, model):
    copied = np.tile(np.abs(scores.contributions).mean(axis=0), (len(scores.contributions), 1))
    passed = np.ones(copied.shape, dtype=bool)
    copy = audited(scores.groups, copied, passed, voices=7)
    own = audited(scores.groups, scores.contributions, scores.stable, voices=7)
    assert (copy.likeness, copy.own_first) == (pytest.approx(1.0), 0.0)
    assert own.likeness < 0.6
    firsts = np.abs(scores.contributions).argmax(axis=1)
    assert np.bincount(firsts).max() < 0.9 * len(firsts)


def test_shown_reasons_and_the_rest_add_up_to_the_margin(given, model):
    cohort = score_cohort(given, model, LAST)
    for row, why in enumerate(cohort.reasons):
        shown = sum(reason.contribution for reason in why if reason.stable)
        rest = sum(reason.contribution for reason in why if not reason.stable)
        assert cohort.base_value + shown + rest == pytest.approx(cohort.margin[row], abs=1e-9)
        assert all(reason.as_json()["stable"] is reason.stable for reason in why)


def test_the_reasons_told_are_those_that_pass(given, model, scores):
    cohort = score_cohort(given, model, LAST)
    for row, why in enumerate(cohort.reasons):
        told = {reason.group: reason.stable for reason in why}
        expected = dict(zip(scores.groups, scores.stable[row].tolist(), strict=True))
        assert told == {group: expected[group] for group in told}


def test_a_sign_that_turns_or_a_place_that_wanders_does_not_pass():
    mean = np.asarray([[5.0, -4.0, 3.0, 2.0, 1.0, 0.5, 0.0]])
    turned, wandered = mean.copy(), mean.copy()
    turned[0, 1] = 4.0
    wandered[0, 0] = 0.1  # first place becomes the sixth
    assert stable(mean, [mean] * 5).tolist() == [[True] * 6 + [False]]
    assert not stable(mean, [mean, mean, mean, mean, turned])[0, 1]
    assert stable(mean, [mean, mean, mean, mean, wandered])[0, 0]  # one voice in five may place it elsewhere
    assert not stable(mean, [mean, mean, mean, wandered, wandered])[0, 0]
    assert stable(mean, [mean, mean, mean, wandered, wandered])[0, 1]
    assert not stable(mean, [mean]).any()


def test_what_passes_holds_in_models_of_other_officers_and_seeds_more_often_than_what_does_not(rows, given, model):
    fresh = _others(rows, given, model)
    seen = feature_rows(given, [LAST], names=model.names)
    scores = model.score(seen)
    there = np.abs(scores.contributions) > 1e-12
    again = np.mean([np.sign(replace(model, boosters=(one,), witnesses=()).score(seen).contributions)
                     == np.sign(scores.contributions) for one in fresh], axis=0)  # fmt: skip
    assert 0.05 < scores.stable[there].mean() < 1.0
    assert again[scores.stable].mean() > 0.97
    assert again[scores.stable].mean() > again[there & ~scores.stable].mean() + 0.02


def _others(rows, given, model):
    """Two boosters of other officers and seeds than any voice of the model."""
    drawn = []
    for seed in (71, 72):
        times = np.random.default_rng(seed).multinomial(240, np.full(240, 1 / 240))[rows.officer]
        other = replace(rows, weight=times.astype(np.float32), inputs=model.names)
        drawn.append(fit(other, given.profile, recipe=STANDARD.single().with_settings(seed=seed)))
    return [each.boosters[0] for each in drawn if each.names == model.names]


def test_the_report_says_how_many_pass_and_how_far_persons_differ(model, rows):
    audit = reason_audit(model, rows)
    assert audit.voices == 7
    assert 0 < audit.passed <= 1
    assert 0 < audit.passed_first <= 1
    assert audit.card()["overall"]
    assert "keep sign and place over 7 boosters" in audit.lines()[0]


def test_likeness_is_one_for_copies_and_about_nought_for_strangers():
    generator = np.random.default_rng(0)
    assert likeness(np.tile(generator.normal(size=12), (50, 1))) == pytest.approx(1.0)
    assert abs(likeness(generator.normal(size=(300, 12)))) < 0.05
