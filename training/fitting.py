"""The story of training: folds, rivals, figures, the final fit on everything known, calibration on later months."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import month_text
from features.profile import Profile
from training.dataset import TrainingSet, shared_rows, training_set
from training.folds import Fold, LaterSplit, later_split, temporal_folds
from training.gate import MODEL
from training.metrics import Judged, by_as_of, figures, officer_draws
from training.model import Calibration, RiskModel, direction, platt
from training.report import Report
from training.rivals import rivals
from training.screening import screened

Array = npt.NDArray[np.float64]
Steps = Callable[[int], None]

SETTINGS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "extra_trees": True,
    "max_bin": 63,
}
"""Strong regularisation throughout; how they were chosen stands in the README."""
BAG: Sequence[Mapping[str, Any]] = (
    {},
    {"seed": 21, "extra_trees": False},
    {"seed": 22, "extra_trees": False},
)
"""The boosters whose mean is the model: one with random thresholds, two with the best ones (see the README)."""
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
class Trained:
    """A model and how it was judged."""

    model: RiskModel
    report: Report


@dataclass(frozen=True)
class Fitted:
    """Boosters on inputs ``names``, with their calibration and the number of trees that later months chose."""

    boosters: tuple[lgb.Booster, ...]
    names: tuple[str, ...]
    calibration: Calibration
    trees: int
    split: LaterSplit


def train(
    histories: Histories,
    risk: str,
    *,
    until: int | None = None,
    trials: int = 0,
    shared: FeatureRows | None = None,
    progress: Steps | None = None,
) -> Trained:
    """Return the model of a risk trained on what was known by ``until``, and its report on temporal folds.

    With ``trials`` so many random settings are tried on the folds and the best mean average precision wins.
    ``shared`` may hold feature rows that were computed for several risks at once (dataset.shared_rows).
    Raises a Refusal when there is too little to learn from; it says what is missing.
    """
    step = progress or (lambda _: None)
    rows = training_set(histories, risk, until=until, shared=shared)
    step(1)
    folds = judged_folds(rows, histories.profile)
    settings, tried = _best_settings(rows, folds, (histories.profile, trials), step)
    report = _report(rows, folds, (histories.profile, settings, tried), step)
    fitted = fit(rows, histories.profile, settings=settings)
    step(1)
    card = {
        **report.card(),
        "settings": dict(settings),
        "trees": fitted.trees,
        **_provenance(rows, histories.profile, fitted),
    }
    return Trained(RiskModel(risk, fitted.names, fitted.boosters, fitted.calibration, card), report)


def train_all(
    histories: Histories,
    risks: Sequence[str],
    *,
    until: int | None = None,
    trials: int = 0,
    progress: Steps | None = None,
) -> dict[str, Trained | Refusal]:
    """Return for each risk what ``train`` returns, or the Refusal that it raised.

    The risks share one walk through the months and are trained side by side, a thread each: the same models as
    one after the other. ``progress`` is told 1 for each of ``steps_of`` steps.
    """
    shared = shared_rows(histories, risks, until=until) if len(risks) > 1 else None

    def one(risk: str) -> Trained | Refusal:
        try:
            return train(histories, risk, until=until, trials=trials, shared=shared, progress=progress)
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(max_workers=min(len(risks), os.cpu_count() or 1)) as threads:
        return dict(zip(risks, threads.map(one, risks), strict=True))


def steps_of(risks: Sequence[str], trials: int) -> int:
    """Return how many steps ``train_all`` reports for its progress bar."""
    return (3 + trials) * len(risks)


def judged_folds(rows: TrainingSet, profile: Profile) -> list[Fold]:
    """Return the temporal folds in which both outcomes occur on either side; a Refusal when fewer than two remain."""
    risk = profile.risks[rows.risk]
    found = []
    for fold in temporal_folds(rows.as_ofs, horizon=risk.horizon_months, maturity=risk.maturity_months):
        test = tuple(month for month in fold.test if _mixed(rows, (month,)))
        if test and _mixed(rows, fold.train):
            found.append(Fold(fold.train, test, fold.horizon, fold.maturity))
    if len(found) < 2:
        raise Refusal(
            f"Only {len(found)} of the temporal folds of '{rows.risk}' have both outcomes in training and in test; "
            "two are needed.",
            hint=f"There are {int(rows.label.sum())} positive labels in {len(rows)} rows: "
            "more history or a larger force is missing.",
        )
    return found


def fit(rows: TrainingSet, profile: Profile, *, settings: Mapping[str, Any] = SETTINGS) -> Fitted:
    """Return boosters fitted to all rows, their size and calibration chosen on months later than a first fit.

    A first booster is fitted to the earlier months; the later months stop it and calibrate it; then three of the
    same size (one of each of BAG) are fitted to all months, and their mean is the model. It keeps the calibration's
    slope; its level is set anew on the last months, for the second fit has learned from them that the level moved.
    """
    split = later_split(rows.as_ofs, horizon=profile.risks[rows.risk].horizon_months)
    allowed = {name: direction(name, profile, rows.risk) for name in rows.inputs}
    inputs = _screened(rows.at(split.fit), tuple(name for name, sign in allowed.items() if sign is not None))
    signs = [allowed[name] or 0 for name in inputs]
    trees, calibration = _sized(rows, split, inputs, signs, settings)
    boosters = tuple(_boosted(rows, inputs, signs, {**settings, **each}, trees=trees) for each in BAG)
    late = rows.at(tuple(month for month in split.later if month > split.later[-1] - LEVEL_MONTHS))
    raw = np.mean([_raw(booster, late, inputs, trees) for booster in boosters], axis=0)
    return Fitted(boosters, inputs, calibration.anchored(raw, late.label), trees, split)


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
    label, officer = (np.concatenate([getattr(later, name) for _, later in parts]) for name in ("label", "officer"))
    return trees, platt(np.concatenate(raw), label, officer)


def _raw(booster: lgb.Booster, rows: TrainingSet, inputs: tuple[str, ...], trees: int) -> Array:
    values = rows.values[:, rows.columns(inputs)]
    return np.asarray(booster.predict(values, raw_score=True, num_iteration=trees), dtype=np.float64)


def _both(label: npt.NDArray[np.float32]) -> bool:
    return bool(0 < label.sum() < len(label))


def _mixed(rows: TrainingSet, months: tuple[int, ...]) -> bool:
    return _both(rows.label[np.isin(rows.as_of, months)])


def _boosted(
    rows: TrainingSet,
    inputs: tuple[str, ...],
    signs: Sequence[int],
    settings: Mapping[str, Any],
    *,
    trees: int = MOST_TREES,
    later: TrainingSet | None = None,
) -> lgb.Booster:
    leaf = max(SMALLEST_LEAF, min(int(settings["min_data_in_leaf"]), len(rows) // 200))  # smaller in small forces
    threads = 1 if len(rows) * len(inputs) < ONE_THREAD else 0
    parameters = {
        **FIXED,
        **settings,
        "num_threads": threads,
        "min_data_in_leaf": leaf,
        "metric": "auc",
        "monotone_constraints": list(signs),
    }
    table = lgb.Dataset(rows.values[:, rows.columns(inputs)], rows.label, feature_name=list(inputs), params=parameters)
    if later is None:
        return lgb.train(parameters, table, num_boost_round=trees)
    checked = table.create_valid(later.values[:, later.columns(inputs)], later.label)
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    return lgb.train(parameters, table, num_boost_round=trees, valid_sets=[checked], callbacks=[stop])


def _model_scores(fold: Fold, rows: TrainingSet, profile: Profile, settings: Mapping[str, Any]) -> Array:
    fitted = fit(rows.at(fold.train), profile, settings=settings)
    test = rows.at(fold.test)
    model = RiskModel(rows.risk, fitted.names, fitted.boosters, fitted.calibration, {})
    return model.probability(test)


def _judged(test: TrainingSet, score: Array, *, probability: bool) -> Judged:
    return Judged(test.officer, test.as_of, test.label, score, probability)


def _capacities(rows: TrainingSet, folds: Sequence[Fold], profile: Profile) -> dict[int, int]:
    months = {month for fold in folds for month in fold.test}
    return {month: profile.risks[rows.risk].capacity(int((rows.as_of == month).sum())) for month in sorted(months)}


def _report(
    rows: TrainingSet, folds: list[Fold], chosen: tuple[Profile, Mapping[str, Any], int], step: Steps
) -> Report:
    profile, settings, tried = chosen
    capacities = _capacities(rows, folds, profile)
    judged: dict[str, list[Judged]] = {MODEL: []}
    for fold in folds:
        train_rows, test = rows.at(fold.train), rows.at(fold.test)
        judged[MODEL].append(_judged(test, _model_scores(fold, rows, profile, settings), probability=True))
        for rival in rivals(profile.risks[rows.risk], rows.names):
            score = rival.score(train_rows, test)
            judged.setdefault(rival.name, []).append(_judged(test, score, probability=rival.probability))
    step(1)
    weights = officer_draws(int(rows.officer.max()) + 1)
    table = {name: figures(parts, weights, capacities=capacities) for name, parts in judged.items()}
    months = {name: by_as_of(parts, capacities=capacities) for name, parts in judged.items()}
    return Report.of(rows, folds, (table, months, tried))


def _best_settings(
    rows: TrainingSet, folds: list[Fold], asked: tuple[Profile, int], step: Steps
) -> tuple[Mapping[str, Any], int]:
    profile, trials = asked
    if trials <= 0:
        return SETTINGS, 0
    generator = np.random.default_rng(20)
    candidates = [SETTINGS, *(_drawn(generator) for _ in range(trials))]
    found = []
    for settings in candidates:
        found.append(_mean_precision(rows, folds, profile, settings))
        step(1)
    return candidates[int(np.argmax(found))], trials


def _drawn(generator: np.random.Generator) -> dict[str, Any]:
    return {
        **SETTINGS,
        "num_leaves": int(generator.choice([4, 6, 8, 12, 16, 24])),
        "min_data_in_leaf": int(generator.choice([50, 100, 200, 400, 800])),
        "feature_fraction": float(generator.choice([0.1, 0.2, 0.3, 0.5])),
        "lambda_l2": float(generator.choice([1.0, 10.0, 50.0, 100.0])),
    }


def _mean_precision(rows: TrainingSet, folds: list[Fold], profile: Profile, settings: Mapping[str, Any]) -> float:
    capacities = _capacities(rows, folds, profile)
    parts = [
        _judged(rows.at(fold.test), _model_scores(fold, rows, profile, settings), probability=True) for fold in folds
    ]
    return float(np.mean([np.mean(list(by_as_of([part], capacities=capacities).values())) for part in parts]))


def _provenance(rows: TrainingSet, profile: Profile, fitted: Fitted) -> dict[str, Any]:
    digest = hashlib.sha256(profile.model_dump_json().encode()).hexdigest()
    return {
        "profile": {"name": profile.settings.name, "sha256": digest},
        "trained_on": {
            "from": month_text(rows.as_ofs[0]),
            "to": month_text(rows.as_ofs[-1]),
            "until": month_text(rows.until),
        },
        "calibrated_on": {
            "fitted_to": month_text(fitted.split.fit[-1]),
            "from": month_text(fitted.split.later[0]),
            "to": month_text(fitted.split.later[-1]),
            "other_officers": not fitted.split.apart,
        },
        "refit": "fitted again to all months with the same number of trees; the calibration's slope is the first "
        "fit's, its level that of the last labelled months",
        "versions": {name: installed(name) for name in ("lightgbm", "scikit-learn", "numpy")},
    }
