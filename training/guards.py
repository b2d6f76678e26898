"""What a model learns of its own limits when it is trained, and the audits that tell them.

Witnesses for the reason gate, bounds of the evidence; the coverage of the intervals, the share of reasons that pass,
and how those who are not ranked would have fared.
"""

from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.profile import Profile
from training.dataset import TrainingSet
from training.fitting import Fitted, refit
from training.judging.metrics import Figure, interval_of, officer_draws
from training.judging.ranked import bounds_of, gain
from training.judging.validation import OutOfFold
from training.models.evidence import KINDS, SUFFICIENT
from training.models.risk_model import RiskModel
from training.models.stability import ReasonAudit, audited
from training.recipe import Recipe

Array = npt.NDArray[np.float64]

WITNESSES = 4
THINNER = 3
"""A witness has a third of the trees with three times the learning rate: scoring is mostly the walk through trees."""
GROUPS = 20
MOST_AUDITED = 2000


def guarded(model: RiskModel, rows: TrainingSet, profile: Profile, *, made: tuple[Recipe, Fitted]) -> RiskModel:
    """Return the model with witnesses for its reasons and bounds for its evidence, from the rows it was trained on."""
    witnesses = tuple(_witness(rows, profile, made, number) for number in range(WITNESSES))
    return replace(model, witnesses=witnesses, bounds=bounds_of(rows, model.names, gain(model)))


def limits(
    model: RiskModel, rows: TrainingSet, found: OutOfFold
) -> dict[str, "Coverage | ReasonAudit | EvidenceAudit"]:
    """Return the audits of intervals, reasons and evidence, by their key in the card; ``found`` holds all test rows."""
    return {
        "intervals": coverage(found),
        "reasons": reason_audit(model, rows),
        "evidence": evidence_audit(found),
    }


@dataclass(frozen=True)
class Coverage:
    """Groups of test rows by predicted probability: in how many the observed rate fits the mean interval.

    A rate fits when it lies in the mean interval, or its own 90 % interval (bootstrap over officers) meets it: the
    rate of a group is itself uncertain. ``width`` is the mean of high less low.
    """

    groups: int
    inside: float
    fits: float
    width: float

    def card(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: round(part, 6) if isinstance(part, float) else part for name, part in vars(self).items()}

    def lines(self) -> list[str]:
        """Return one sentence."""
        return [
            f"  intervals: in {self.fits:.0%} of {self.groups} groups by probability the observed rate fits the mean "
            f"interval ({self.inside:.0%} lie inside); mean width {self.width:.3f}"
        ]


def coverage(found: OutOfFold) -> Coverage:
    """Return how the intervals of the folds' test rows cover what came, in GROUPS groups by probability."""
    draws = officer_draws(int(found.officer.max()) + 1)
    parts = np.array_split(np.argsort(found.probability, kind="stable"), min(GROUPS, len(found)))
    inside, fits = [], []
    for part in parts:
        weights = draws[:, found.officer[part]]
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = interval_of(weights @ found.label[part] / weights.sum(axis=1))
        low, high = float(found.low[part].mean()), float(found.high[part].mean())
        inside.append(low <= rate.value <= high)
        fits.append(rate.low <= high and rate.high >= low)
    width = float((found.high - found.low).mean())
    return Coverage(len(parts), float(np.mean(inside)), float(np.mean(fits)), width)


def reason_audit(model: RiskModel, rows: TrainingSet) -> ReasonAudit:
    """Return the audit of the reasons of everyone at the last labelled as-of (at most MOST_AUDITED persons)."""
    last = rows.at(rows.as_ofs[-1:])
    some = last.take(np.arange(len(last))[:: -(-len(last) // MOST_AUDITED)])
    scores = model.score(some)
    voices = len(model.boosters) + len(model.witnesses)
    return audited(scores.groups, scores.contributions, scores.stable, voices=voices)


@dataclass(frozen=True)
class EvidenceAudit:
    """Who would not have been ranked in the folds, and how well their probabilities held beside the others'.

    ``log_loss`` and ``ratio`` (outcomes expected to seen) of those abstained and of the rest; NaN where too few.
    ``worse``: abstained less rest in log loss, with its 90 % interval.
    """

    rows: int
    shares: tuple[tuple[str, float], ...]
    log_loss: tuple[float, float]
    ratio: tuple[float, float]
    worse: Figure

    def card(self) -> dict[str, Any]:
        """Return plain values; None for NaN."""
        pairs = {
            name: {"abstained": _plain(pair[0]), "rest": _plain(pair[1])}
            for name, pair in (("log_loss", self.log_loss), ("expected_to_seen", self.ratio))
        }
        return {"rows": self.rows, "shares": dict(self.shares), **pairs, "worse": self.worse.as_json()}

    def lines(self) -> list[str]:
        """Return one or two sentences."""
        told = ", ".join(f"{kind.replace('_', ' ')} {share:.2%}" for kind, share in self.shares)
        lines = [
            f"  insufficient evidence in the folds: {told} of {self.rows:,} rows; not ranked, and left out of the "
            "figures above: model, rule and rivals are judged on the persons whom the model ranks"
        ]
        if np.isnan(self.worse.value):
            return [*lines, "  too few of them to say whether their probabilities are worse"]
        verdict = "worse" if self.worse.low > 0 else "better" if self.worse.high < 0 else "not shown to be worse"
        loss = self.worse
        return [
            *lines,
            f"  their probabilities are {verdict}: log loss {self.log_loss[0]:.3f} against {self.log_loss[1]:.3f} "
            f"({loss.value:+.3f}, {loss.low:+.3f} to {loss.high:+.3f})",
        ]


FEWEST_ABSTAINED = 20


def evidence_audit(found: OutOfFold) -> EvidenceAudit:
    """Return how those fared whom the models of the folds, by bounds of their own training rows, would not rank."""
    return _fared(found, found.evidence)


def _fared(found: OutOfFold, kind: npt.NDArray[np.str_]) -> EvidenceAudit:
    out = kind != SUFFICIENT
    shares = tuple((one, float((kind == one).mean())) for one in KINDS if one != SUFFICIENT)
    chance = np.clip(np.where(found.label > 0, found.probability, 1 - found.probability), 1e-9, 1.0)
    loss = -np.log(chance)
    nothing = Figure(float("nan"), float("nan"), float("nan"))
    if out.sum() < FEWEST_ABSTAINED:
        return EvidenceAudit(len(found), shares, (float("nan"), float(loss[~out].mean())), _ratios(found, out), nothing)
    weights = officer_draws(int(found.officer.max()) + 1)[:, found.officer]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = [(weights[:, part] @ loss[part]) / weights[:, part].sum(axis=1) for part in (out, ~out)]
    both = float(mean[0][0]), float(mean[1][0])
    return EvidenceAudit(len(found), shares, both, _ratios(found, out), interval_of(mean[0] - mean[1]))


def _ratios(found: OutOfFold, out: npt.NDArray[np.bool_]) -> tuple[float, float]:
    seen = [float(found.label[part].sum()) for part in (out, ~out)]
    expected = [float(found.probability[part].sum()) for part in (out, ~out)]
    first, second = (e / s if s else float("nan") for e, s in zip(expected, seen, strict=True))
    return first, second


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def _witness(rows: TrainingSet, profile: Profile, made: tuple[Recipe, Fitted], number: int) -> lgb.Booster:
    """A booster of the recipe on officers drawn with replacement, each as often as drawn."""
    recipe, fitted = made
    settings = {**recipe.settings, **recipe.bag[number % len(recipe.bag)], "seed": 1000 + number}
    settings["learning_rate"] = THINNER * float(settings["learning_rate"])
    persons = int(rows.officer.max()) + 1
    times = np.random.default_rng(number).multinomial(persons, np.full(persons, 1 / persons))[rows.officer]
    drawn = replace(rows, weight=(rows.weight * times).astype(np.float32))
    return refit(drawn, fitted.names, profile, settings=settings, trees=max(1, fitted.trees // THINNER))
