"""The fit: boosters on everything known, their size and calibration chosen on months later than a first fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.profile import Profile
from training.dataset import TrainingSet
from training.folds import LaterSplit, later_split
from training.models.intervals import moves
from training.models.lanes import EVERY, LANES, for_rows
from training.models.risk_model import Calibration, RiskModel, calibrated, direction
from training.recipe import STANDARD, Recipe
from training.screening import screened, steady

Array = npt.NDArray[np.float64]

FIXED: Mapping[str, Any] = {"seed": 20, "deterministic": True, "force_col_wise": True, "verbose": -1}
ONE_THREAD = 8_000_000
"""Below so many values one thread is faster than several, most of all on a busy machine."""
MOST_TREES = 200
PATIENCE = 50
FEWEST_TREES = 60
SMALLEST_LEAF = 10
LEVEL_MONTHS = 6
"""The level of the probabilities is that of the last labelled months: base rates move from year to year."""


@dataclass(frozen=True)
class Fitted:
    """Boosters on inputs ``names``, with their calibration and the number of trees that later months chose."""

    boosters: tuple[lgb.Booster, ...]
    names: tuple[str, ...]
    calibration: Calibration
    trees: int
    split: LaterSplit

    def model(self, risk: str, card: Mapping[str, Any] | None = None) -> RiskModel:
        """Return the model of a risk with its card."""
        return RiskModel(risk, self.names, self.boosters, self.calibration, card or {})


class Grow(Protocol):
    """Grows the boosters of a recipe's bag on rows; the final fit may be given another one than ``_bag``."""

    def __call__(
        self, rows: TrainingSet, inputs: tuple[str, ...], signs: Sequence[int], recipe: Recipe, *, trees: int
    ) -> tuple[lgb.Booster, ...]: ...


def fit(rows: TrainingSet, profile: Profile, *, recipe: Recipe = STANDARD, grow: Grow | None = None) -> Fitted:
    """Return boosters fitted to all rows, their size and calibration chosen on months later than a first fit.

    A first booster is fitted to the earlier months; the later months stop it and calibrate it; then those of the
    recipe's bag, of the same size, are fitted to all months, and their mean is the model. It keeps the calibration's
    slope; its level is set anew on the last months, for the second fit has learned from them that the level moved.
    ``grow`` grows the boosters of the bag in the place of this machine.
    """
    split = later_split(rows.as_ofs, horizon=profile.risks[rows.risk].horizon_months)
    allowed = {name: direction(name, profile, rows.risk) for name in rows.inputs}
    free = _steady(rows, tuple(name for name, sign in allowed.items() if sign is not None), profile)
    inputs = _screened(rows.at(split.fit), free)
    signs = [allowed[name] or 0 for name in inputs]
    trees, calibration = _sized(rows, split, inputs, signs, recipe.settings)
    boosters = (grow or _bag)(rows, inputs, signs, recipe, trees=trees)
    late = rows.at(tuple(month for month in split.later if month > split.later[-1] - LEVEL_MONTHS))
    raw = np.mean([_raw(booster, late, inputs, trees) for booster in boosters], axis=0)
    calibration = calibration.anchored(raw, late.label, late.weight)
    ahead = profile.risks[rows.risk].horizon_months + profile.risks[rows.risk].maturity_months
    return Fitted(boosters, inputs, calibration.moving(moves(rows.as_of, rows.label, months_ahead=ahead)), trees, split)


def refit(
    rows: TrainingSet, inputs: tuple[str, ...], profile: Profile, *, settings: Mapping[str, Any], trees: int
) -> lgb.Booster:
    """Return one booster of so many trees on chosen inputs, not calibrated: to compare what inputs bring."""
    return _boosted(rows, inputs, [direction(name, profile, rows.risk) or 0 for name in inputs], settings, trees=trees)


def _steady(rows: TrainingSet, allowed: tuple[str, ...], profile: Profile) -> tuple[str, ...]:
    kept = steady(rows.values[:, rows.columns(allowed)], rows.as_of, allowed, profile)
    return tuple(name for name, stays in zip(allowed, kept, strict=True) if stays) or allowed


def _screened(early: TrainingSet, allowed: tuple[str, ...]) -> tuple[str, ...]:
    kept = screened(early.values[:, early.columns(allowed)], early.label, allowed)
    return tuple(allowed[number] for number in kept) or allowed


def _sized(
    rows: TrainingSet, split: LaterSplit, inputs: tuple[str, ...], signs: Sequence[int], settings: Mapping[str, Any]
) -> tuple[int, Calibration]:
    """The number of trees and the calibration that months later than a first fit ask for.

    Where no horizon lies between, three fits take turns: each is judged on the third of the officers it never saw.
    """
    early, late = rows.at(split.fit), rows.at(split.later)
    parts = (
        [(early, late)] if split.apart else [(early.part(third, False), late.part(third, True)) for third in range(3)]
    )
    parts = [(fitted, later) for fitted, later in parts if _both(fitted.label) and _both(later.label)]
    if not parts:
        return FEWEST_TREES, Calibration(0.0, 1.0)
    first = [_boosted(fitted, inputs, signs, settings, later=later) for fitted, later in parts]
    trees = max(FEWEST_TREES, int(np.median([booster.best_iteration for booster in first])))
    raw = [_raw(booster, later, inputs, trees) for booster, (_, later) in zip(first, parts, strict=True)]
    judged = {
        name: np.concatenate([getattr(later, name) for _, later in parts]) for name in ("label", "officer", "weight")
    }
    return trees, calibrated(np.concatenate(raw), judged["label"], judged["officer"], judged["weight"])


def _raw(booster: lgb.Booster, rows: TrainingSet, inputs: tuple[str, ...], trees: int) -> Array:
    values = rows.values[:, rows.columns(inputs)]
    with LANES.asked(for_rows(len(values))) as threads:
        said = booster.predict(values, raw_score=True, num_iteration=trees, num_threads=threads)
    return np.asarray(said, dtype=np.float64)


def _both(label: npt.NDArray[np.float32]) -> bool:
    return bool(0 < label.sum() < len(label))


def _bag(
    rows: TrainingSet, inputs: tuple[str, ...], signs: Sequence[int], recipe: Recipe, *, trees: int
) -> tuple[lgb.Booster, ...]:
    """The boosters of the recipe's bag. What differs is drawn while growing: they share one table of binned values."""
    settings = [settings_of(rows, signs, {**recipe.settings, **each}) for each in recipe.bag]
    with LANES.asked(settings[0]["num_threads"]) as threads:
        settings = [{**each, "num_threads": threads} for each in settings]
        table = _table(rows, inputs, settings[0])
        return tuple(lgb.train(each, table, num_boost_round=trees) for each in settings)


def _boosted(
    rows: TrainingSet,
    inputs: tuple[str, ...],
    signs: Sequence[int],
    settings: Mapping[str, Any],
    *,
    trees: int = MOST_TREES,
    later: TrainingSet | None = None,
) -> lgb.Booster:
    parameters = settings_of(rows, signs, settings)
    with LANES.asked(parameters["num_threads"]) as threads:
        parameters["num_threads"] = threads
        table = _table(rows, inputs, parameters)
        if later is None:
            return lgb.train(parameters, table, num_boost_round=trees)
        checked = table.create_valid(later.values[:, later.columns(inputs)], later.label, weight=later.weight)
        stop = lgb.early_stopping(PATIENCE, verbose=False)
        return lgb.train(parameters, table, num_boost_round=trees, valid_sets=[checked], callbacks=[stop])


def settings_of(rows: TrainingSet, signs: Sequence[int], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of LightGBM's settings for rows, given a recipe's."""
    leaf = max(SMALLEST_LEAF, min(int(settings["min_data_in_leaf"]), len(rows) // 200))  # smaller in small forces
    threads = 1 if len(rows) * len(signs) < ONE_THREAD else EVERY
    return {
        **FIXED,
        **settings,
        "num_threads": threads,
        "min_data_in_leaf": leaf,
        "metric": "auc",
        "monotone_constraints": list(signs),
    }


def _table(rows: TrainingSet, inputs: tuple[str, ...], parameters: Mapping[str, Any]) -> lgb.Dataset:
    values = rows.values[:, rows.columns(inputs)]
    return lgb.Dataset(values, rows.label, weight=rows.weight, feature_name=list(inputs), params=dict(parameters))
