"""Fairness figures recompute on a mask, small groups are not judged, and only what is unfair given the outcome is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, false_negative_rate, selection_rate
from scipy.special import expit, logit
from sklearn.metrics import precision_score

from features.engine import feature_names
from features.histories.tables import histories
from features.months import parse_month
from features.policy import Policy
from tests.training_force import small_force, small_profile
from training.judging.fairness import NOT_RECORDED, fairness, listed
from training.judging.groups import GroupFigures, unfair
from training.judging.metrics import officer_draws
from training.judging.validation import OutOfFold

MONTHS = tuple(parse_month(text) for text in ("2020-05", "2020-06", "2020-07"))
UNITS = 4


def force(officers=320, *, seed=1, **columns):
    """A force of four units of equal size; ages 24 to 58, two in five of one sex, tenure from 1 to 30 years."""
    generator = np.random.default_rng(seed)
    small = small_force(officers=officers, months=2)
    roster = small.roster.assign(
        unit=[f"unit {number % UNITS}" for number in range(officers)],
        birth_year=generator.integers(1962, 1997, officers),
        sex=np.where(generator.random(officers) < 0.4, "F", "M"),
        hired_on=pd.Timestamp("2019-01-01") - pd.to_timedelta(generator.integers(0, 29 * 365, officers), unit="D"),
    )
    return histories(profile=small_profile(), roster=roster.assign(**columns), events=small.events.head(50))


def predictions(given, *, seed=77, together=True):
    """Right probabilities (mean 0.2) and outcomes drawn from them; a person's outcomes are the same in each month."""
    generator = np.random.default_rng(seed)
    persons = len(given.officers)
    chance = expit(generator.normal(-1.8, 1.2, persons))
    rows, times = np.tile(np.arange(persons), len(MONTHS)), len(MONTHS)
    draw = np.tile(generator.random(persons), times) if together else generator.random(persons * times)
    probability = chance[rows]
    return OutOfFold(
        risk="collapse",
        officer=rows.astype(np.int32),
        as_of=np.repeat(MONTHS, persons).astype(np.int32),
        fold=np.repeat(np.arange(times), persons).astype(np.int32),
        row=np.arange(len(rows)),
        label=(draw < probability).astype(np.float32),
        probability=probability,
        low=probability,
        high=probability,
        evidence=np.full(len(rows), "sufficient"),
        rivals={},
        probabilities=(),
        capacities=dict.fromkeys(MONTHS, 60),
    )


@pytest.fixture(scope="module")
def given():
    return force()


@pytest.fixture(scope="module")
def found(given):
    return predictions(given)


@pytest.fixture(scope="module")
def audit(given, found):
    return fairness(given, found)


def group(audit, dimension, name):
    return next(each for each in audit.groups if (each.dimension, each.group) == (dimension, name))


def in_group(given, found, dimension, name):
    """The mask of a group's rows, by pandas."""
    people = given.people.iloc[found.officer]  # one posting each
    if dimension == "unit":
        return np.asarray(given.units)[given.postings.unit[found.officer]] == name
    if dimension == "sex":
        return (people["sex"] == name).to_numpy()
    age = found.as_of // 12 - people["birth_year"].to_numpy()
    return (age >= 40) & (age < 50)


CHOSEN = [("unit", "unit 3"), ("sex", "F"), ("age", "40-49")]


@pytest.mark.parametrize(("dimension", "name"), CHOSEN)
def test_fairness_figures_recompute_on_a_mask(given, found, audit, dimension, name):
    mask, chosen = in_group(given, found, dimension, name), listed(found)
    label, told = found.label.astype(float), group(audit, dimension, name)
    assert (told.rows, told.persons) == (mask.sum(), len(np.unique(found.officer[mask])))
    assert told.positives == len(np.unique(found.officer[mask & (label == 1)]))
    assert told.selection.value == pytest.approx(chosen[mask].mean())
    assert told.precision.value == pytest.approx(label[mask & chosen].mean())
    assert told.missed.value == pytest.approx((~chosen[mask & (label == 1)]).mean())
    assert told.calibration.value == pytest.approx((found.probability - label)[mask].mean())
    weights = officer_draws(len(given.officers))[1:, found.officer] * mask
    drawn = (weights @ (found.probability - label)) / weights.sum(axis=1)
    assert (told.calibration.low, told.calibration.high) == pytest.approx(tuple(np.quantile(drawn, [0.05, 0.95])))
    missed = (weights @ (label * ~chosen)) / (weights @ label)
    assert (told.missed.low, told.missed.high) == pytest.approx(tuple(np.quantile(missed, [0.05, 0.95])))


def test_the_figures_are_fairlearns_over_the_rows(given, found, audit):
    metrics = {"selection": selection_rate, "precision": precision_score, "missed": false_negative_rate}
    unit = np.asarray(given.units)[given.postings.unit[found.officer]]
    frame = MetricFrame(metrics=metrics, y_true=found.label, y_pred=listed(found), sensitive_features=unit).by_group
    for name in frame.index:
        told = group(audit, "unit", name)
        figures = {key: getattr(told, key).value for key in metrics}
        assert figures == pytest.approx(frame.loc[name].to_dict())


def test_each_month_lists_as_many_as_its_capacity(found):
    chosen = listed(replace(found, capacities=dict(zip(MONTHS, (10, 20, 30), strict=True))))
    assert [chosen[found.as_of == month].sum() for month in MONTHS] == [10, 20, 30]
    first = found.as_of == MONTHS[0]
    assert found.probability[first & chosen].min() >= found.probability[first & ~chosen].max()


def test_a_group_of_few_persons_has_no_figures_and_one_of_few_outcomes_is_not_judged(given):
    unit = ["tiny" if number < 12 else f"unit {number % 4}" for number in range(len(given.officers))]
    given = force(unit=unit)
    found = predictions(given)
    quiet = np.asarray(given.units)[given.postings.unit[found.officer]] == "unit 1"
    audit = fairness(given, replace(found, label=np.where(quiet, 0, found.label).astype(np.float32)))
    tiny, calm = group(audit, "unit", "tiny"), group(audit, "unit", "unit 1")
    assert tiny.state(Policy()) == "too few persons"
    assert np.isnan([tiny.rate, tiny.selection.value, tiny.calibration.value]).all()
    assert calm.state(Policy()) == "too few outcomes"
    assert calm.calibration.value > 0.1
    assert "unit 1" not in [each.of.group for each in audit.unfair if each.of.dimension == "unit"]
    states = {row["group"]: row["state"] for row in audit.card()["groups"] if row["dimension"] == "unit"}
    assert (states["tiny"], states["unit 0"]) == ("too few persons", "judged")


def test_what_is_not_recorded_is_told_and_not_judged():
    given = force(sex=None, birth_year=[None if number % 3 else 1980 for number in range(320)])
    audit = fairness(given, predictions(given))
    assert audit.silent == ("sex",)
    assert "sex is not recorded" in audit.lines()[0]
    assert audit.card()["not_recorded"] == ["sex"]
    absent = group(audit, "age", NOT_RECORDED)
    assert absent.persons == 213
    assert absent.deviations == {}


def test_groups_are_those_of_the_as_of(given):
    roster = pd.DataFrame(
        {
            "officer_id": ["A", "A"],
            "valid_from": pd.to_datetime(["2010-01-01", "2020-06-15"]),
            "valid_to": pd.to_datetime(["2020-06-14", None]),
            "post": ["patrol", "desk"],
            "unit": ["north", "south"],
            "sex": ["M", "M"],
            "birth_year": 1990,
        }
    )
    given = histories(profile=small_profile(), roster=roster, events=pd.DataFrame())
    one = replace(predictions(force(8)), officer=np.zeros(2, np.int32), as_of=np.asarray(MONTHS[:2], np.int32))
    fields = ("fold", "row", "label", "probability", "low", "high")
    one = replace(one, **{name: getattr(one, name)[:2] for name in fields})
    audit = fairness(given, one, policy=Policy(fairness_min_persons=5))
    assert {each.group for each in audit.groups if each.dimension == "post"} == {"patrol", "desk"}
    assert [each.group for each in audit.groups if each.dimension == "age"] == ["30-39"]
    assert [each.group for each in audit.groups if each.dimension == "tenure"] == ["10-19"]


def test_a_unit_whose_probabilities_are_shifted_is_named_with_the_figure(given, found):
    shifted = in_group(given, found, "unit", "unit 3")
    worse = np.where(shifted, expit(logit(found.probability) + 2), found.probability)
    audit = fairness(given, replace(found, probability=worse))
    assert ("unit 3", "calibration") in [(each.of.group, each.figure) for each in audit.unfair]
    assert {each.of.group for each in audit.unfair if each.of.dimension == "unit"} == {"unit 3"}
    told = next(each for each in audit.unfair if each.of.group == "unit 3" and each.figure == "calibration")
    assert "unit 'unit 3': its probabilities are 0." in told.en
    assert "too high" in told.en
    assert "单位“unit 3”" in told.zh
    assert any("unfair: unit 'unit 3'" in line for line in audit.lines())


def test_a_sex_that_is_listed_in_vain_is_named(given, found):
    women = in_group(given, found, "sex", "F")
    mixed = found.probability.copy()
    mixed[women] = np.random.default_rng(0).permutation(0.3 + found.probability[women])
    audit = fairness(given, replace(found, probability=mixed))
    told = next(each for each in audit.unfair if each.of.group == "F" and each.figure == "precision")
    assert "sex 'F': 0." in told.en
    assert "of its members on the list had the outcome" in told.en


def test_a_sex_that_is_overlooked_is_named(given, found):
    women = in_group(given, found, "sex", "F")
    audit = fairness(given, replace(found, probability=np.where(women, found.probability / 9, found.probability)))
    assert {each.figure for each in audit.unfair if each.of.group == "F"} >= {"calibration", "missed"}
    told = next(each for each in audit.unfair if each.figure == "missed")
    assert "the false-negative rate" in told.en
    assert "漏报率" in told.zh


def test_groups_that_differ_in_their_rates_alone_are_not_called_unfair(given):
    right = predictions(given, seed=3)
    women = in_group(given, right, "sex", "F")
    probability = expit(logit(right.probability) + np.where(women, 0.8, -0.8))
    label = (np.tile(np.random.default_rng(4).random(len(given.officers)), 3) < probability).astype(np.float32)
    audit = fairness(given, replace(right, probability=probability, label=label))
    assert group(audit, "sex", "F").selection.value > 1.5 * group(audit, "sex", "M").selection.value
    assert [each for each in audit.unfair if each.figure != "missed"] == []


def test_an_honest_model_is_not_refused_by_chance():
    refused = []
    for seed in range(8):
        given = force(240, seed=seed, unit=[f"unit {number % 6}" for number in range(240)])
        refused += fairness(given, predictions(given, seed=100 + seed)).unfair
    assert refused == []


def test_a_stored_audit_is_judged_as_the_fresh_one_and_by_the_policy_of_the_day(given, found):
    shifted = in_group(given, found, "unit", "unit 3")
    worse = np.where(shifted, expit(logit(found.probability) + 2), found.probability)
    audit = fairness(given, replace(found, probability=worse))
    stored = [GroupFigures.of_json(row) for row in audit.card()["groups"]]
    assert [each.en for each in unfair(stored, Policy())] == [each.en for each in audit.unfair]
    assert unfair(stored, Policy(fairness_calibration=0.9, fairness_precision_share=0.01)) == []


def test_sex_and_birth_year_are_no_features(given):
    assert [name for name in feature_names(given.profile) if name.split("__")[0] in ("sex", "birth_year", "age")] == []
