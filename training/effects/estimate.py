"""The average effect of an action among those who got it: doubly robust, with interval, or why it can't be told."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from features.histories.tables import Histories
from training.effects.learner import Gains, Nuisance, learned
from training.effects.scores import Scores, scores
from training.effects.study import Array, Ground, Mask, Study, ground, study

Z90 = 1.6448536269514722
FEWEST_HELPED, FEWEST_OUTCOMES = 40, 20
"""Rows of helped persons, and outcomes on either side together with the expected ones."""
FEWEST_COMPARED = 100.0
FEWEST_UNITS = 20
FEWEST_TOLD = 5
"""Of fewer persons nothing is told."""
NEARLY_ALL, MOST_WITHOUT_RIVAL = 0.95, 0.1
MOST_IMBALANCE = 0.15
ORDER_P = 0.01


@dataclass(frozen=True)
class Figure:
    """A difference of probabilities (negative: fewer outcomes) with its 90 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, spread: float) -> "Figure":
        """Return the figure of an estimate and its standard error."""
        return cls(value, value - Z90 * spread, value + Z90 * spread)


@dataclass(frozen=True)
class Overlap:
    """What the comparison rests on.

    ``inside`` is the share of eligible rows whose chance of being helped lies in 0.05 to 0.95, ``no_rival`` the share
    of those helped like whom nearly all are helped, ``compared`` the effective number of rows compared with (Kish),
    ``imbalance`` the larger standardised difference of the two scores between the helped and the weighted others.
    """

    inside: float
    no_rival: float
    compared: float
    imbalance: float


@dataclass(frozen=True)
class WhyNot:
    """One reason for "not estimable": a key of the pages' words and its figures."""

    code: str
    found: float
    bound: float


@dataclass(frozen=True)
class Effect:
    """The average effect of an action on a risk among those who got it (ATT), and the naive difference beside it."""

    action: str
    risk: str
    rows: int
    officers: int
    helped: int
    """Times of help; 4 stands for 1 to 4, as everywhere below."""
    later: float
    rate_helped: float | None
    rate_others: float | None
    naive: Figure | None
    average: Figure | None
    overlap: Overlap | None
    why_not: tuple[WhyNot, ...]

    @property
    def estimable(self) -> bool:
        """Whether an average effect is told."""
        return self.average is not None


@dataclass(frozen=True)
class Fitted:
    """What a study gave; scores, nuisance and gains are None where too few were helped to fit anything."""

    study: Study
    effect: Effect
    scores: Scores | None
    nuisance: Nuisance | None
    gains: Gains | None


def fitted(
    histories: Histories, action: str, risk: str, *, until: int | None = None, as_ofs: Sequence[int] | None = None
) -> Fitted:
    """Return the effect of an action on a risk, as known by the end of ``until``, with what it was fitted with."""
    return fitted_on(ground(histories, risk, until=until, as_ofs=as_ofs), action)


def fitted_on(given: Ground, action: str) -> Fitted:
    """Return the effect of an action on the risk of some rows, with what it was fitted with.

    The effect is the average treatment effect on the treated: what beginning the action in the month after an as-of
    changed in the chance of the outcome over the horizon, against not beginning it then and living on with usual
    practice, among those who did begin it. Augmented inverse probability weighting with cross-fitted nuisances
    (Robins, Rotnitzky and Zhao 1994; Chernozhukov et al. 2018), normalised weights, clustered standard errors.
    """
    found = study(given, action)
    early = _too_few(found)
    if early:
        return Fitted(found, _effect(found, None, None, early), None, None, None)
    told = scores(found)
    gains, nuisance = learned(found, told)
    overlap = _overlap(found, told, nuisance)
    doubts = _doubts(found, overlap)
    average = None if doubts else average_effect(found, nuisance)
    return Fitted(found, _effect(found, average, overlap, doubts), told, nuisance, gains)


def average_effect(found: Study, nuisance: Nuisance, among: Mask | None = None) -> Figure:
    """Return the average effect among those helped, of all rows or of those in ``among``."""
    inside = np.ones(len(found), dtype=bool) if among is None else among
    left = found.outcome - nuisance.without
    helped, others = _shares(found, nuisance, inside)
    gap, level = float(helped @ left), float(others @ left)
    score = helped * (left - gap) - others * (left - level)
    return Figure.of(gap - level, _spread(score, found))


def _shares(found: Study, nuisance: Nuisance, inside: Mask) -> tuple[Array, Array]:
    """Weights that add up to 1: of the helped, and of the others as if they were the helped (odds of being helped)."""
    helped = (found.treated & inside).astype(np.float64)
    others = np.where(found.treated | ~inside, 0.0, nuisance.helped / (1 - nuisance.helped))
    return helped / helped.sum(), others / others.sum()


def _spread(score: Array, found: Study) -> float:
    """The standard error of a sum: rows of an officer together, or of a unit where that is larger.

    Units share rosters, superiors and their shocks (Abadie et al. 2023); of few units nothing can be told.
    """
    groups = [found.officer, *([found.unit] if len(np.unique(found.unit)) >= FEWEST_UNITS else [])]
    return max(float(np.sqrt((np.bincount(group, score) ** 2).sum())) for group in groups)


def _effect(found: Study, average: Figure | None, overlap: Overlap | None, why: tuple[WhyNot, ...]) -> Effect:
    helped, outcome = found.treated, found.outcome
    rates = [float(outcome[part].mean()) if part.sum() >= FEWEST_TOLD else None for part in (helped, ~helped)]
    return Effect(
        found.action, found.risk, len(found), len(np.unique(found.officer)), told_count(int(helped.sum())),
        found.later, rates[0], rates[1], _naive(found), average, overlap, why,
    )  # fmt: skip


def told_count(number: int) -> int:
    """Return a number of persons as it may be told: 4 stands for 1 to 4."""
    return FEWEST_TOLD - 1 if 0 < number < FEWEST_TOLD else number


def _naive(found: Study) -> Figure | None:
    """The plain difference of the rates: it takes those in need for those whom help harmed."""
    helped = found.treated
    if helped.sum() < FEWEST_TOLD or (~helped).sum() < FEWEST_TOLD:
        return None
    weight = helped / helped.sum() - ~helped / (~helped).sum()
    level = np.where(helped, found.outcome[helped].mean(), found.outcome[~helped].mean())
    return Figure.of(float(weight @ found.outcome), _spread(weight * (found.outcome - level), found))


def _too_few(found: Study) -> tuple[WhyNot, ...]:
    helped, outcomes = int(found.treated.sum()), int(found.outcome.sum())
    reasons = []
    if helped < FEWEST_HELPED:
        reasons.append(WhyNot("few_helped", told_count(helped), FEWEST_HELPED))
    if min(outcomes, len(found) - outcomes) < FEWEST_OUTCOMES:
        reasons.append(WhyNot("few_outcomes", told_count(outcomes), FEWEST_OUTCOMES))
    return tuple(reasons)


def _overlap(found: Study, told: Scores, nuisance: Nuisance) -> Overlap:
    helped, others = _shares(found, nuisance, np.ones(len(found), dtype=bool))
    gaps = [
        abs(float((helped - others) @ score)) / max(float(score.std()), 1e-9) for score in (told.helped, told.prognosis)
    ]
    return Overlap(
        inside=float(((nuisance.helped > 0.05) & (nuisance.helped < 0.95)).mean()),
        no_rival=float((nuisance.helped[found.treated] > NEARLY_ALL).mean()),
        compared=float(1.0 / (others**2).sum()),
        imbalance=max(gaps),
    )


def _doubts(found: Study, overlap: Overlap) -> tuple[WhyNot, ...]:
    """Why an estimate would mislead: nobody to compare with, unlike persons, or help that follows the outcome."""
    first, both = found.follows
    late = both and binomtest(first, both, 0.5, alternative="greater").pvalue < ORDER_P
    reasons = [
        (overlap.no_rival > MOST_WITHOUT_RIVAL, WhyNot("no_rival", overlap.no_rival, MOST_WITHOUT_RIVAL)),
        (overlap.compared < FEWEST_COMPARED, WhyNot("few_compared", overlap.compared, FEWEST_COMPARED)),
        (overlap.imbalance > MOST_IMBALANCE, WhyNot("imbalance", overlap.imbalance, MOST_IMBALANCE)),
        (bool(late), WhyNot("follows", first / max(both, 1), 0.5)),
    ]
    return tuple(why for doubted, why in reasons if doubted)
