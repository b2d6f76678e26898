"""Treated spells: help after a flag changes the label, so such rows are censored and the others weighted (IPCW).

Which help counts, the weights and what they aim at stand here; with-and-without figures too. No model is fitted but
the chance of being helped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows, feature_names, feature_rows
from features.histories.tables import Histories
from features.names import parse_name
from features.profile import Profile
from training.dataset import TrainingSet
from training.folds import Fold
from training.judging.metrics import Figure, figures, officer_draws
from training.judging.validation import OutOfFold, validate
from training.models.lanes import LANES
from training.recipe import Recipe
from training.screening import screened
from training.spells import Ledger, Mask, censored, marks

MOST_WEIGHT = 10.0
"""No row counts for more than so many: where fewer than one in ten stay without help, nothing can be learned."""
NEGLIGIBLE = 0.005
"""Below this share of treated rows nothing is weighed: the weights would cost more than they mend."""
ROUTINE = 0.02
"""Without a mark in the ledger, help that more than this share of the cohort has in a month is not after a flag."""
FEWEST_UNTREATED = 20
"""Fewer untreated rows with the outcome, in the months with help, say nothing of the risk without it."""
TREES = 120
SETTINGS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "seed": 20,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Treatment:
    """What the ledger says of help in the horizons of a training set, row by row.

    ``treated`` marks rows whose help came before their outcome was settled; ``untouched`` is the chance that a row
    stays without help for as long as it had to; ``weight`` what it counts. ``why_not`` tells why nothing is weighed.
    """

    measures: tuple[str, ...]
    marked: bool
    monthly: float
    treated: Mask
    untouched: Array
    weight: npt.NDArray[np.float32]
    why_not: str | None

    def weighed(self, rows: TrainingSet) -> TrainingSet:
        """Return the rows with their weights; the same rows where nothing is weighed."""
        return rows if self.why_not else replace(rows, weight=self.weight)

    @property
    def effective(self) -> float:
        """Effective sample size as a share of the rows (Kish): what the weights leave of the precision."""
        weight = self.weight.astype(np.float64)
        return float(weight.sum() ** 2 / (weight**2).sum() / len(weight)) if weight.any() else 0.0

    @property
    def no_overlap(self) -> float:
        """Share of the rows like which fewer than one in MOST_WEIGHT stay without help."""
        return float((self.untouched < 1 / MOST_WEIGHT).mean())


@dataclass(frozen=True)
class WithAndWithout:
    """The audit of a report: the recipe with and without the weights, on all rows and among the untreated."""

    treatment: Treatment
    figures: Mapping[str, Mapping[str, Figure]]

    def card(self) -> dict[str, Any]:
        """Return plain values."""
        found = self.treatment
        return {
            "measures": list(found.measures),
            "marked": found.marked,
            "weighed": found.why_not is None,
            "why_not": found.why_not,
            "share_helped_a_month": round(found.monthly, 6),
            "share_treated": round(float(found.treated.mean()), 6),
            "effective_share": round(found.effective, 6),
            "share_without_overlap": round(found.no_overlap, 6),
            "figures": {
                name: {key: figure.as_json() for key, figure in row.items()} for name, row in self.figures.items()
            },
        }

    def lines(self) -> list[str]:
        """Return what is printed."""
        found = self.treatment
        head = f"  help in the horizon ({', '.join(found.measures)}): {found.treated.mean():.1%} of the rows treated"
        if found.why_not:
            return [f"{head}; no weights: {found.why_not}"]
        told = [
            f"{head} and left out, the others weighted; effective sample size {found.effective:.0%} of the rows; "
            f"without overlap, so not learnable there: {found.no_overlap:.1%}"
        ]
        for name, row in self.figures.items():
            told.append(
                f"    {name}: average precision {_told(row['average_precision'])}, calibration error "
                f"{_told(row['calibration_error'])}, expected / observed {_told(row['expected_observed'], 2)}"
            )
        return told


def treatment(histories: Histories, rows: TrainingSet) -> Treatment | None:
    """Return which rows were helped and what each counts; None where the profile has no ledger of help for the risk.

    The aim is the risk without further help after a flag, all else as usual. A row is censored at the first help
    after its as-of, unless its outcome came before. Inverse probability of censoring weights (Robins and Finkelstein
    2000; Vock et al. 2016): an uncensored row counts 1 / prod (1 - e), over the months until it was settled, with e
    the chance of being helped in the next month given what was known before it, fitted on other officers.
    """
    profile, known = histories.profile, histories.until(rows.until)
    measures = marks(profile, rows.risk)
    if not measures:
        return None
    ledger = Ledger.of(known, measures)
    treated, settled = censored(known, rows, ledger)
    marked = profile.risks[rows.risk].acted_on is not None
    why_not = _why_not(rows, treated, ledger, marked=marked)
    if why_not:
        ones = np.ones(len(rows))
        return Treatment(measures, marked, ledger.monthly, treated, ones, ones.astype(np.float32), why_not)
    untouched = _untouched(rows, settled, _chances(known, rows, ledger, treated), ledger.base)
    weight = np.where(treated, 0.0, np.minimum(1.0 / untouched, MOST_WEIGHT))
    weight = _levelled(weight, rows.as_of).astype(np.float32)
    return Treatment(measures, marked, ledger.monthly, treated, untouched, weight, None)


def with_and_without(
    found: Treatment,
    rows: TrainingSet,
    folds: Sequence[Fold],
    profile: Profile,
    *,
    mine: tuple[Recipe, OutOfFold],
) -> WithAndWithout:
    """Return the audit: the recipe with the weights (``mine``) and trained anew in every fold without them.

    Figures on all rows take the labels as they came, changed by the help; those among the untreated are weighted
    back to everyone and say what would come without it.
    """
    if found.why_not:
        return WithAndWithout(found, {})
    recipe, weighed = mine
    plain = replace(rows, weight=np.ones(len(rows), dtype=np.float32))
    without = validate(plain, folds, profile, recipe, with_rivals=False).of_rows(weighed.row)
    rounds = (("weighted", weighed), ("without weights", without))
    table = {f"{name}, among the untreated": judged(part, found.weight) for name, part in rounds}
    table |= {f"{name}, all labels": judged(part, plain.weight) for name, part in rounds}
    return WithAndWithout(found, table)


def judged(found: OutOfFold, weight: npt.NDArray[np.float32]) -> dict[str, Figure]:
    """Return figures of out-of-fold predictions with a weight for each row of the training set.

    Beside those of metrics.figures ``expected_observed``: mean probability over weighted frequency.
    """
    draws = officer_draws(int(found.officer.max()) + 1)[:, found.officer] * weight[found.row].astype(np.float64)
    places = [np.flatnonzero(found.fold == number).astype(np.int32) for number in np.unique(found.fold)]
    by_row = [replace(fold, officer=place, weight=None) for fold, place in zip(found.judged(), places, strict=True)]
    table = figures(by_row, draws, capacities=found.capacities)
    ratio = (draws @ found.probability) / (draws @ found.label.astype(np.float64))
    low, high = np.quantile(ratio[1:], [0.05, 0.95])
    chosen = ("average_precision", "calibration_error", "brier")
    return {key: table[key] for key in chosen} | {"expected_observed": Figure(float(ratio[0]), float(low), float(high))}


def _why_not(rows: TrainingSet, treated: Mask, ledger: Ledger, *, marked: bool) -> str | None:
    if treated.mean() < NEGLIGIBLE:
        return f"fewer than {NEGLIGIBLE:.1%} of the rows are treated"
    if not marked and ledger.monthly > ROUTINE:
        return (
            f"{ledger.monthly:.1%} of all have such help in a month, so it is routine; name the measure of help "
            "after a flag as 'acted_on' in risks.yaml to tell them apart"
        )
    positives = int(rows.label[~treated & (rows.as_of >= ledger.base - 1)].sum())
    if positives < FEWEST_UNTREATED:
        return f"only {positives} untreated rows have the outcome: the risk without help is not learnable"
    return None


def _chances(known: Histories, rows: TrainingSet, ledger: Ledger, treated: Mask) -> Array:
    """[month, officer]: the chance of being helped in that month, from what was known by the month before.

    Cross-fitted over the thirds of the officers. Nobody was helped before the ledger's first month.
    """
    seen = _before(known, rows, ledger, treated)
    label = ledger.helped[seen.as_of + 1 - ledger.base, seen.officer].astype(np.float32)
    third = np.full(len(known.officers), -1)
    third[rows.officer] = rows.third
    mine, found = third[seen.officer], np.zeros(ledger.helped.shape)
    for number in range(3):
        fitted, told = mine != number, mine == number
        if told.any():
            chance = _fitted(seen.values[fitted], label[fitted], seen.values[told])
            found[seen.as_of[told] + 1 - ledger.base, seen.officer[told]] = chance
    return found


def _before(known: Histories, rows: TrainingSet, ledger: Ledger, treated: Mask) -> FeatureRows:
    """Feature rows at the end of every month before one of the ledger's that a horizon reaches."""
    horizon = known.profile.risks[rows.risk].horizon_months
    last = min(rows.as_ofs[-1] + horizon, ledger.base + len(ledger.helped) - 1)
    months = [month for month in range(ledger.base - 1, last) if month >= rows.as_ofs[0]]
    near = rows.as_of + horizon >= ledger.base
    kept = screened(rows.values[near][:, rows.columns(rows.inputs)], treated[near].astype(np.float32), rows.inputs)
    own = [name for name in feature_names(known.profile) if _history(name, marks(known.profile, rows.risk))]
    names = dict.fromkeys([*(rows.inputs[place] for place in kept), *own])
    return feature_rows(known, months, names=tuple(names))


def _history(name: str, measures: Sequence[str]) -> bool:
    part = parse_name(name)
    return part.group in measures and part.statistic in ("sum", "months_since")


def _fitted(values: npt.NDArray[np.float32], label: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> Array:
    with LANES.asked(1) as threads:
        settings = {**SETTINGS, "num_threads": threads}
        table = lgb.Dataset(values, label, params=settings)
        booster = lgb.train(settings, table, num_boost_round=TREES)
        said = booster.predict(others, num_threads=threads)
    return np.asarray(said, dtype=np.float64)


def _untouched(rows: TrainingSet, settled: npt.NDArray[np.int64], chance: Array, base: int) -> Array:
    """The chance of no help from the as-of until the row was settled."""
    kept = np.log1p(-np.clip(chance, 0.0, 1.0 - 1e-6))
    total = np.vstack([np.zeros((1, chance.shape[1])), np.cumsum(kept, axis=0)])
    first, after = (np.clip(month - base, 0, len(chance)) for month in (rows.as_of + 1, rows.as_of + settled + 1))
    return np.asarray(np.exp(total[after, rows.officer] - total[first, rows.officer]))


def _levelled(weight: Array, as_of: npt.NDArray[np.int32]) -> Array:
    """Scaled so that the weights of each as-of add up to its rows (Hajek), for a month counts as before."""
    month = as_of - as_of.min()
    total, number = np.bincount(month, weights=weight), np.bincount(month)
    return np.asarray(weight * (number / np.where(total > 0, total, 1.0))[month])


def _told(figure: Figure, digits: int = 3) -> str:
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f}–{figure.high:.{digits}f})"
