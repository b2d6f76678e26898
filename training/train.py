"""The story of training: folds, the search for a recipe, rivals and audits, then the final fit on everything known."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from typing import Any, Protocol

from features.engine import FeatureRows
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import month_text
from features.profile import Profile
from training.cards.portrait import portrait
from training.dataset import TrainingSet, shared_rows, training_set, training_size, with_early_labels
from training.fitting import Fitted, Grow, fit
from training.folds import Fold
from training.guards import guarded, limits
from training.judging.ablation import ablation
from training.judging.comparison import Incumbent, compared
from training.judging.fairness import fairness
from training.judging.leading import held_out, leading
from training.judging.leaks import leak_test
from training.judging.reliability import reliability
from training.judging.report import Report, Section
from training.judging.search import NO_SEARCH, Search, best_recipe
from training.judging.validation import OutOfFold, judged_folds, validate
from training.models.lanes import LANES
from training.models.risk_model import RiskModel
from training.recipe import Recipe
from training.treated import treatment, with_and_without

Steps = Callable[[int], None]
SIDE_BY_SIDE = 100_000_000
"""Risks whose training sets hold more values than this together are trained one after the other: each fold, rival and
audit copies some of them, and the memory of one machine is to do (30,000 officers: 8 GB)."""


class Elsewhere(Grow, Protocol):
    """Grows trees on more rows than are here; ``complete`` where everyone is here, too."""

    @property
    def complete(self) -> bool: ...

    def told(self, rows: TrainingSet) -> Section:
        """Return what the report says of it."""


@dataclass(frozen=True)
class Trained:
    """A model, how it was judged, and what it said of the test rows of its folds that it would rank."""

    model: RiskModel
    report: Report
    found: OutOfFold


def train(
    histories: Histories,
    risk: str,
    *,
    until: int | None = None,
    search: Search = NO_SEARCH,
    incumbent: Incumbent | None = None,
    shared: FeatureRows | None = None,
    grow: Elsewhere | None = None,
    progress: Steps | None = None,
) -> Trained:
    """Return the model of a risk trained on what was known by ``until``, and its report on temporal folds.

    ``search`` says how many recipes are tried and for how long; ``incumbent`` is the champion that the new one is
    compared with on the same folds; ``shared`` may hold feature rows that were computed for several risks at once
    (dataset.shared_rows); ``grow`` grows the final trees elsewhere. Raises a Refusal when there is too little to
    learn from; it says what is missing.
    """
    step = progress or (lambda _: None)
    rows = training_set(histories, risk, until=until, shared=shared)
    helped = treatment(histories, rows) if grow is None or grow.complete else None
    rows = helped.weighed(rows) if helped else rows
    step(1)
    folds = judged_folds(rows, histories.profile)
    rows = with_early_labels(histories, rows, [fold.test[0] for fold in folds])
    searched = best_recipe(rows, folds[:-1], histories.profile, search=search, progress=step)  # the newest stays unseen
    recipe = searched.recipe
    everyone = validate(rows, folds, histories.profile, recipe)
    found = everyone.ranked()
    step(1)
    report = Report.of(rows, folds, found, trials=search.trials)
    report = report.extended(_sections(histories, rows, (folds, recipe, found, incumbent)))
    if search.trials:
        report = report.extended({"held_out": held_out(found), "search": searched})
    if helped:
        audit = with_and_without(helped, rows, folds, histories.profile, mine=(recipe, found))
        report = report.extended({"treated": audit})
    step(1)
    fitted = fit(rows, histories.profile, recipe=recipe, grow=grow)
    report = report.extended({"in_parts": grow.told(rows)} if grow else {})
    model = guarded(fitted.model(risk), rows, histories.profile, made=(recipe, fitted))
    report = report.extended({"leak_test": leak_test(histories, rows, names=fitted.names)})
    report = report.extended(limits(model, rows, everyone))
    step(1)
    drawn = portrait(rows, histories.profile, found=found, model=model)
    card = {**report.card(), **_provenance(rows, histories.profile, (recipe, fitted)), **drawn}
    return Trained(replace(model, card=card), report, found)


def train_all(
    histories: Histories,
    risks: Sequence[str],
    *,
    until: int | None = None,
    search: Search = NO_SEARCH,
    incumbents: Mapping[str, Incumbent] | None = None,
    shared: FeatureRows | None = None,
    grow: Elsewhere | None = None,
    progress: Steps | None = None,
) -> dict[str, Trained | Refusal]:
    """Return for each risk what ``train`` returns, or the Refusal that it raised.

    The risks share one walk through the months and are trained side by side, a thread each, or one after the other
    where they are large (SIDE_BY_SIDE): the models are the same. ``shared`` and ``grow`` as of ``train``. ``progress``
    is told 1 for each of ``steps_of`` steps.
    """
    if shared is None and len(risks) > 1:
        shared = shared_rows(histories, risks, until=until)
    values = sum(training_size(histories, risk, until=until) for risk in risks) if len(risks) > 1 else 0
    workers = 1 if values > SIDE_BY_SIDE else min(len(risks), os.cpu_count() or 1)
    champions = incumbents or {}

    def one(risk: str) -> Trained | Refusal:
        try:
            return train(
                histories,
                risk,
                until=until,
                search=search.share(len(risks), workers),
                incumbent=champions.get(risk),
                shared=shared,
                grow=grow,
                progress=progress,
            )
        except Refusal as refusal:
            return refusal

    with LANES.side_by_side(workers), ThreadPoolExecutor(max_workers=workers) as threads:
        return dict(zip(risks, threads.map(one, risks), strict=True))


def steps_of(risks: Sequence[str], search: Search = NO_SEARCH) -> int:
    """Return how many steps ``train_all`` reports for its progress bar."""
    return (4 + search.trials) * len(risks)


def _sections(
    histories: Histories,
    rows: TrainingSet,
    judged: tuple[Sequence[Fold], Recipe, OutOfFold, Incumbent | None],
) -> dict[str, Section]:
    """The audits beside the figures, by the key under which they stand in the card."""
    folds, recipe, found, incumbent = judged
    sections: dict[str, Section] = {"best_rival": leading(found), "reliability": reliability(found)}
    sections["fairness"] = fairness(histories, found)
    sections["ablation"] = ablation(rows, folds, histories.profile, recipe=recipe, found=found)
    if incumbent is not None:
        sections["comparison"] = compared(rows, folds, histories.profile, mine=(recipe, found), incumbent=incumbent)
    return sections


def _provenance(rows: TrainingSet, profile: Profile, made: tuple[Recipe, Fitted]) -> dict[str, Any]:
    recipe, fitted = made
    digest = hashlib.sha256(profile.model_dump_json().encode()).hexdigest()
    return {
        "recipe": {**recipe.as_json(), "digest": recipe.digest},
        "settings": dict(recipe.settings),
        "trees": fitted.trees,
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
