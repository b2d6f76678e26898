"""What a model learns of its own limits when it is trained, and the audits that tell them.

Witnesses for the reason gate, bounds of the evidence; the coverage of the intervals, the share of reasons that pass,
and how those who are not ranked would have fared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.profile import Profile
from training.dataset import TrainingSet
from training.fitting import Fitted, refit
from training.folds import Fold
from training.judging.metrics import Figure, interval_of, officer_draws
from training.judging.validation import OutOfFold
from training.models.evidence import FEWEST_OF_A_POST as FEWEST
from training.models.evidence import KINDS, SUFFICIENT, Bounds, bounds
from training.models.risk_model import RiskModel
from training.models.stability import ReasonAudit, audited
from training.recipe import Recipe

Array = npt.NDArray[np.float64]

WITNESSES = 4
THINNER = 3
"""A witness has a third of the trees with three times the learning rate: scoring is mostly the walk through trees."""
GROUPS = 20
MOST_AUDITED = 2000
POST = "post__is__"


def guarded(model: RiskModel, rows: TrainingSet, profile: Profile, *, made: tuple[Recipe, Fitted]) -> RiskModel:
    """Return the model with witnesses for its reasons and bounds for its evidence, from the rows it was trained on."""
    witnesses = tuple(_witness(rows, profile, made, number) for number in range(WITNESSES))
    return replace(model, witnesses=witnesses, bounds=bounds_of(rows, model.names, gain(model)))


def limits(
    model: RiskModel, rows: TrainingSet, folds: Sequence[Fold], found: OutOfFold
) -> dict[str, "Coverage | ReasonAudit | EvidenceAudit"]:
    """Return the audits of intervals, reasons and evidence, by their key in the card."""
    return {
        "intervals": coverage(found),
        "reasons": reason_audit(model, rows),
        "evidence": evidence_audit(model, rows, folds, found),
    }


def gain(model: RiskModel) -> Array:
    """Return how much each of the model's inputs gained over all boosters; they add up to 1."""
    total = np.asarray([one.feature_importance("gain") for one in model.boosters], dtype=np.float64).sum(axis=0)
    return total / total.sum() if total.sum() > 0 else np.full(len(model.names), 1 / len(model.names))


def bounds_of(rows: TrainingSet, names: tuple[str, ...], gained: Array) -> Bounds:
    """Return the bounds of training rows for a model's inputs: measured on a third of officers in the last months."""
    months = rows.as_ofs
    last = rows.as_of >= months[-max(1, len(months) // 3)]
    earlier = (rows.third != 0) & ~last
    held = (rows.third == 0) & last
    posts = [name for name in rows.names if name.startswith(POST)]
    met = rows.values[:, rows.columns(tuple(posts))].sum(axis=0) >= FEWEST
    seen = [name.removeprefix(POST) for name, there in zip(posts, met, strict=True) if there]
    values = rows.values[:, rows.columns(names)]
    return bounds(values, gained, earlier=earlier, held=held, posts=seen)


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
        lines = [f"  insufficient evidence in the folds: {told} of {self.rows:,} rows; not ranked"]
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


def evidence_audit(model: RiskModel, rows: TrainingSet, folds: Sequence[Fold], found: OutOfFold) -> EvidenceAudit:
    """Return how those fared whom bounds measured on each fold's training rows would not have ranked."""
    kind = np.full(len(found), SUFFICIENT, dtype="U20")
    gained = gain(model)
    columns = rows.columns(model.names)
    posts = [name for name in rows.names if name.startswith(POST)]
    for number, fold in enumerate(folds):
        part = found.fold == number
        limits = bounds_of(rows.at(fold.train), model.names, gained)
        at = found.row[part]
        kind[part] = limits.judged(rows.values[np.ix_(at, columns)], _posts(rows, at, posts))
    return _fared(found, kind)


def _posts(rows: TrainingSet, at: npt.NDArray[np.int64], names: Sequence[str]) -> npt.NDArray[np.str_] | None:
    if not names:
        return None
    which = rows.values[np.ix_(at, rows.columns(tuple(names)))].argmax(axis=1)
    keys = np.asarray([name.removeprefix(POST) for name in names], dtype=np.str_)
    return np.asarray(keys[which], dtype=np.str_)


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
