"""The two scores that a comparison rests on, cross-fitted over officers: who is helped, and what comes without help.

Boosted trees read all covariates; beside their log-odds the few strongest confounders are adjusted for one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from training.effects.study import Array, Mask, Study
from training.models.lanes import LANES
from training.screening import screened

FOLDS = 5
TREES = 100
MOST_CONFOUNDERS = 20
SPAN = 4.0
"""Confounders beyond so many standard deviations count as that many."""
TENURE = "tenure__months"
COLUMNS_AT_ONCE = 64
"""In double precision the whole table of a large force would not fit."""
SETTINGS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "seed": 6,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Log-odds a row, each from trees that saw none of the officer's rows; ``fold`` deals the officers.

    ``helped``: of being helped in the coming month. ``prognosis``: of the outcome without that help. ``columns``: the
    covariates that the trees read.
    """

    fold: npt.NDArray[np.int64]
    helped: Array
    prognosis: Array
    columns: npt.NDArray[np.int64]


def scores(found: Study) -> Scores:
    """Return the scores of a study's rows."""
    dealt = np.random.default_rng(SETTINGS["seed"]).permutation(int(found.officer.max()) + 1) % FOLDS
    fold, columns = dealt[found.officer].astype(np.int64), _columns(found)
    values = found.values[:, columns]
    helped, prognosis = np.zeros(len(found)), np.zeros(len(found))
    for number in range(FOLDS):
        train, told = fold != number, fold == number
        helped[told] = _log_odds(values[train], found.treated[train], values[told])
        without = train & ~found.treated
        prognosis[told] = _log_odds(values[without], found.outcome[without], values[told])
    return Scores(fold, helped, prognosis, columns)


def scores_of(found: Study, told: Scores, others: Floats) -> Scores:
    """Return the scores of other rows with the study's columns, from trees that saw the whole study.

    ``told`` are the study's own scores: the trees read the same covariates.
    """
    columns, without = told.columns, ~found.treated
    values, new = found.values[:, columns], others[:, columns]
    helped = _log_odds(values, found.treated, new)
    prognosis = _log_odds(values[without], found.outcome[without], new)
    return Scores(np.full(len(new), -1), helped, prognosis, columns)


def confounders(found: Study) -> Array:
    """Return the covariates that go most with both help and outcome, standardised; unknown ones at the mean."""
    strength = _correlation(found.values, found.treated) * _correlation(found.values, found.outcome)
    chosen = np.argsort(-strength, kind="stable")[:MOST_CONFOUNDERS]
    table = found.values[:, chosen[strength[chosen] > 0]].astype(np.float64)
    mean, spread = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    return np.asarray(np.clip(np.nan_to_num((table - mean) / spread), -SPAN, SPAN))


def tenure_of(found: Study, values: Floats) -> Array:
    """Return the length of service, standardised as in the study, of rows with its columns."""
    place = found.names.index(TENURE)
    own, told = found.values[:, place].astype(np.float64), values[:, place].astype(np.float64)
    return np.asarray(np.clip((told - own.mean()) / max(float(own.std()), 1e-9), -2.0, 2.0))


def served_differs(found: Study) -> bool:
    """Return whether the people of a study differ in length of service."""
    return bool(np.ptp(found.values[:, found.names.index(TENURE)]) > 0)


def _columns(found: Study) -> npt.NDArray[np.int64]:
    """The covariates most correlated with the outcome, and with being helped."""
    chosen = [screened(found.values, label.astype(np.float32), found.names) for label in (found.outcome, found.treated)]
    return np.unique(np.concatenate(chosen))


def _correlation(values: Floats, label: Array | Mask) -> Array:
    """Absolute correlation with a label, unknown values at the mean; 0 for a column that says nothing."""
    first = range(0, values.shape[1], COLUMNS_AT_ONCE)
    return np.concatenate([_correlated(values[:, place : place + COLUMNS_AT_ONCE], label) for place in first])


def _correlated(values: Floats, label: Array | Mask) -> Array:
    known = ~np.isnan(values)
    number = known.sum(axis=0).clip(1)
    mean = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64) / number
    centred = np.where(known, values - mean, 0.0)
    target = label.astype(np.float64) - label.mean()
    spread = np.sqrt((centred**2).sum(axis=0) * (target**2).sum())
    return np.asarray(np.abs(target @ centred) / np.where(spread > 0, spread, np.inf))


def _log_odds(values: Floats, label: Array | Mask, others: Floats) -> Array:
    with LANES.asked(1) as threads:
        settings = {**SETTINGS, "num_threads": threads}
        table = lgb.Dataset(values, label.astype(np.float32), params=settings)
        booster = lgb.train(settings, table, num_boost_round=TREES)
        said = booster.predict(others, raw_score=True, num_threads=threads)
    return np.asarray(said, dtype=np.float64)
