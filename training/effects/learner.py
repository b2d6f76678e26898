"""Who gains how much: econml's doubly robust learner over the cross-fitted scores, and what it was fitted with.

Kennedy (2020), Towards optimal doubly robust estimation of heterogeneous causal effects; econml's LinearDRLearner.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from econml.dr import LinearDRLearner
from sklearn.linear_model import LogisticRegression

from features.histories.tables import Ints
from training.effects.scores import FOLDS, Floats, Scores, confounders, served_differs, tenure_of
from training.effects.study import Array, Study

LOWEST_CHANCE = 0.001
Places = npt.NDArray[np.int64]
Splits = list[tuple[Places, Places]]


class Logistic(LogisticRegression):  # type: ignore[misc]
    """Logistic regression that takes an outcome as the column that econml hands over."""

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> "Logistic":  # noqa: N803
        """Fit, and return itself."""
        super().fit(X, np.ravel(y), sample_weight)
        return self


@dataclass(frozen=True)
class Nuisance:
    """For each row, from other officers: the chance of being helped, and of the outcome without and with help."""

    helped: Array
    without: Array
    with_help: Array

    def pseudo(self, found: Study) -> Array:
        """Return each row's doubly robust pseudo-outcome: its mean over any rows estimates their mean effect."""
        own = np.where(found.treated, self.with_help, self.without)
        chance = np.where(found.treated, self.helped, -(1 - self.helped))
        return np.asarray(self.with_help - self.without + (found.outcome - own) / chance)


@dataclass(frozen=True)
class Gains:
    """The effect of help on one person: ``modifiers @ coefficient``, with a covariance clustered by officer."""

    coefficient: Array
    covariance: Array

    def of(self, modifiers: Array) -> tuple[Array, Array]:
        """Return the effects of rows and their standard errors."""
        spread = np.einsum("ij,jk,ik->i", modifiers, self.covariance, modifiers)
        return np.asarray(modifiers @ self.coefficient), np.sqrt(spread)


def modifiers_of(found: Study, told: Scores, values: Floats | None = None) -> Array:
    """Return [row, 2]: p (1 - p) without help, and that times length of service (where that differs at all).

    Their first coefficient is what help changes in the log-odds, to first order; the second, how that differs between
    short and long service. So whoever surely, or surely not, comes to it gains least.
    """
    chance = 1.0 / (1.0 + np.exp(-told.prognosis))
    room = chance * (1 - chance)
    served = tenure_of(found, found.values if values is None else values)
    return np.column_stack([room, room * served]) if served_differs(found) else room[:, None]


def learned(found: Study, told: Scores) -> tuple[Gains, Nuisance]:
    """Return the learner's gains, and its nuisances row by row.

    The learner's own models are logistic in the scores, the confounders and the modifiers, fitted in the scores'
    folds. Rows count by e (1 - e), e the chance of being helped: where one side has no rivals, nothing is learned
    (Li, Morgan and Zaslavsky 2018).
    """
    splits: Splits = [(np.flatnonzero(told.fold != k), np.flatnonzero(told.fold == k)) for k in range(FOLDS)]
    modifiers, adjusted = modifiers_of(found, told), _adjusted(found, told)
    chance = 1.0 / (1.0 + np.exp(-told.helped))
    weight = chance * (1 - chance)
    learner = LinearDRLearner(
        model_propensity=Logistic(C=10.0, max_iter=1000),
        model_regression=Logistic(C=10.0, max_iter=1000),
        discrete_outcome=True,
        fit_cate_intercept=False,
        min_propensity=LOWEST_CHANCE,
        cv=splits,
        random_state=6,
    )
    treated, outcome = found.treated.astype(np.int64), found.outcome.astype(np.int64)
    learner.fit(outcome, treated, X=modifiers, W=adjusted, sample_weight=weight)
    nuisance = _nuisance(learner, splits, modifiers, adjusted)
    coefficient = np.asarray(learner.coef_(1), dtype=np.float64).ravel()
    left = nuisance.pseudo(found) - modifiers @ coefficient
    return Gains(coefficient, _clustered(modifiers, weight, left, found.officer)), nuisance


def _adjusted(found: Study, told: Scores) -> Array:
    table = np.column_stack([told.helped, told.prognosis, told.prognosis**2])
    standard = (table - table.mean(axis=0)) / table.std(axis=0).clip(1e-9)
    return np.column_stack([standard, confounders(found)])


def _nuisance(learner: LinearDRLearner, splits: Splits, modifiers: Array, adjusted: Array) -> Nuisance:
    """The learner's out-of-fold nuisances as it used them."""
    inputs = np.hstack([modifiers, adjusted])
    found = np.zeros((3, len(inputs)))
    for fold, (_, test) in enumerate(splits):
        chance = learner.models_propensity[0][fold].predict_proba(inputs[test])[:, 1]
        found[0, test] = np.clip(chance, LOWEST_CHANCE, 1 - LOWEST_CHANCE)
        for arm in (0, 1):
            given = np.column_stack([inputs[test], np.full(len(test), float(arm))])
            found[1 + arm, test] = learner.models_regression[0][fold].predict_proba(given)[:, 1]
    return Nuisance(*found)


def _clustered(inputs: Array, weight: Array, left: Array, officer: Ints) -> Array:
    """The sandwich covariance of weighted least squares, rows of an officer together (Liang and Zeger 1986)."""
    bread = np.linalg.inv((inputs * weight[:, None]).T @ inputs)
    scored = inputs * (weight * left)[:, None]
    meat = np.column_stack([np.bincount(officer, scored[:, place]) for place in range(inputs.shape[1])])
    return np.asarray(bread @ (meat.T @ meat) @ bread)
