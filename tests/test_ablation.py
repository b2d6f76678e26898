"""What the report says of each part of the inputs: refits without it, in pairs; persistence apart from onset."""

import functools
import re
from dataclasses import replace

import numpy as np
import pytest

from features.profile import load_profile
from features.profile_rows import IndexOutcome
from tests.training_force import small_force, small_profile
from training.dataset import TrainingSet, training_set
from training.folds import Fold
from training.judging.ablation import (
    FEWEST_PERSONS,
    MODEL,
    PARTS,
    Ablation,
    ablation,
    dimension_of,
    had_before,
    parts_of,
    previous_inputs,
)
from training.judging.metrics import RULE
from training.judging.validation import OutOfFold, judged_folds, validate
from training.recipe import STANDARD

GONGAN = load_profile("gongan")


@functools.cache
def _rows() -> TrainingSet:
    """A force in which nights tell of collapse better than anything else."""
    given = small_force(officers=300, seed=8)
    quiet = given.events[~given.events["measure"].isin(["sleep_score"])]
    return training_set(replace(given, events=quiet).histories(), "collapse")


@functools.cache
def _judged() -> tuple[list[Fold], OutOfFold]:
    folds = judged_folds(_rows(), small_profile())
    return folds, validate(_rows(), folds, small_profile(), STANDARD.single())


def _ablated(rows: TrainingSet) -> Ablation:
    folds, found = _judged()
    return ablation(rows, folds, small_profile(), recipe=STANDARD, found=found)


@functools.cache
def _found() -> Ablation:
    return _ablated(_rows())


def test_every_dimension_of_a_profile_has_its_part_and_unit_context_cuts_across():
    names = ["night_shift__sum__3m", "night_shift__unit__3m", "case_solved__sum__12m", "citizen_rating__mean__3m",
             "strain_survey__mean__3m", "honour__sum__12m", "recuperation__sum__12m", "efficiency__level__3m",
             "tenure__months", "post__is__patrol", "transfer__months_since"]  # fmt: skip
    found = parts_of(names, GONGAN)
    assert set(found) == set(PARTS)
    assert set().union(*found.values()) == set(names)
    assert found["unit_context"] == {"night_shift__unit__3m"} < found["workload"]
    assert found["honour_and_action"] == {"honour__sum__12m", "recuperation__sum__12m"}
    assert found["tenure_and_post"] == {"tenure__months", "post__is__patrol", "transfer__months_since"}


def test_a_rate_belongs_to_what_it_counts_and_a_sequence_to_what_begins_it():
    assert dimension_of("complaints_per_100h__rate__3m", GONGAN) == "satisfaction"
    assert dimension_of("night_then_court__count__3m", GONGAN) == "workload"
    assert dimension_of("efficiency__level__3m", GONGAN) is None


def test_the_honest_question_leaves_out_the_outcome_health_data_and_surveys():
    names = ["burnout_episode__sum__12m", "burnout_episode__unit__3m", "sick_days__sum__3m", "peer_support__mean__3m",
             "night_shift__sum__3m", "supervisor_rating__mean__3m", "efficiency__level__3m"]  # fmt: skip
    assert previous_inputs(names, GONGAN, "burnout") == set(names[:4])
    assert previous_inputs(names, GONGAN, "efficiency_decline") == {*names[:4], names[6]}


def test_a_part_that_carries_the_outcome_brings_more_than_one_that_says_nothing():
    parts = _found().parts
    assert parts["workload"].brings.value > parts["satisfaction"].brings.value
    assert set(parts) <= set(PARTS)
    for part in parts.values():
        assert part.brings.low <= part.brings.value <= part.brings.high
        assert part.inputs > 0


def test_without_the_previous_outcome_the_model_is_another_one():
    previous = _found().previous
    assert previous is not None
    kept = previous_inputs(_rows().inputs, small_profile(), "collapse")
    assert 0 < previous.inputs <= len(kept)
    shown = _found().onset.figures
    assert shown[MODEL] != shown["without_previous"]


def test_persistence_and_onset_share_out_the_newest_test_rows():
    found, rows = _found(), _rows()
    newest = _judged()[0][-1]
    assert found.test == newest.test
    assert found.persistence.rows + found.onset.rows == len(rows.at(newest.test))
    assert found.persistence.positives + found.onset.positives == int(rows.at(newest.test).label.sum())
    assert found.persistence.positives / found.persistence.rows > found.onset.positives / found.onset.rows


def test_among_those_who_never_had_it_the_rule_knows_nothing():
    """The rule asks for three events in 12 months: nobody there has one, so all are tied."""
    assert _found().onset.figures[RULE]["auc"].value == pytest.approx(0.5)
    assert _found().persistence.figures[RULE]["auc"].value > 0.5


def test_who_had_the_outcome_before_is_counted_as_of_the_day():
    rows = _rows()
    had, words = had_before(rows, small_profile().risks["collapse"])
    column = rows.values[:, rows.columns(("collapse__sum__12m",))[0]]
    assert np.array_equal(had, np.nan_to_num(column) >= 1)
    assert "12 months" in words.en
    assert "12 个月" in words.zh


def test_for_an_index_the_persistent_are_those_who_fell_already():
    risk = GONGAN.risks["efficiency_decline"]
    assert isinstance(risk.outcome, IndexOutcome)
    names, values = ("efficiency__vs_self__3m",), np.asarray([[-0.6], [-0.5], [-0.4], [np.nan]], dtype=np.float32)
    rows = replace(_rows().take(np.arange(4)), names=names, inputs=names, values=values)
    assert had_before(rows, risk)[0].tolist() == [True, True, False, False]


def test_refits_are_the_same_each_time_and_see_fewer_officers_of_a_large_force(monkeypatch):
    assert _ablated(_rows()).card() == _found().card()
    monkeypatch.setattr("training.judging.ablation.MOST_ROWS", 900)
    thinned = _ablated(_rows())
    assert thinned.every == -(-_found().train_rows // 900)
    assert thinned.train_rows <= 1.1 * 900
    assert thinned.persistence.rows == _found().persistence.rows, "everyone is tested"


def test_groups_of_few_persons_have_no_figures():
    rows = _rows()
    quiet = rows.values.copy()
    counted = rows.columns(("collapse__sum__12m",))[0]
    quiet[np.cumsum(quiet[:, counted] >= 1) > 10, counted] = 0
    few = _ablated(replace(rows, values=quiet))
    assert few.persistence.persons < FEWEST_PERSONS
    assert few.card()["persistence"] == {"persons": None, "rows": None, "positives": None, "figures": {}}
    assert "too few to judge" in "\n".join(few.lines())


def test_the_report_prints_a_line_for_each_part_and_stores_plain_values():
    lines = "\n".join(_found().lines())
    for words in (*(part.label.en for part in _found().parts.values()), "persistence", "onset", "without previous"):
        assert words in lines
    card = _found().card()
    assert card["parts"]["workload"]["label"] == {"zh": "工作负荷", "en": "Workload"}
    assert not re.search(r"P\d{4}", str(card)), "no officer's id"
