"""Temporal validation: what a recipe and its rivals predict for test rows that they never saw. No final fit here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.errors import Refusal
from features.profile import Profile
from training.dataset import TrainingSet
from training.fitting import fit
from training.folds import Fold, temporal_folds
from training.judging.metrics import MODEL, Figure, Judged, by_as_of, draws_of, figures, interval_of, officer_draws
from training.judging.ranked import evidence_of
from training.judging.rivals import Rival, rivals
from training.models.evidence import SUFFICIENT
from training.recipe import Recipe

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for the test rows of all folds, one entry a row, by models that were trained before them.

    ``fold`` numbers the folds from 0; ``officer`` is a position in Histories.officers; ``row`` the position in the
    training set; ``evidence`` is one of evidence.KINDS. ``rivals`` holds each rival's scores, ``probabilities`` the
    names of those that are probabilities; ``capacities`` the length of the list at each test as-of.
    """

    risk: str
    officer: Ints
    as_of: Ints
    fold: Ints
    row: npt.NDArray[np.int64]
    label: npt.NDArray[np.float32]
    probability: Array
    low: Array
    high: Array
    evidence: npt.NDArray[np.str_]
    rivals: Mapping[str, Array]
    probabilities: tuple[str, ...]
    capacities: Mapping[int, int]
    weight: Array | None = None
    """What each row counts in every figure: treated spells count 0, those like them more (None: 1 each)."""

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: npt.NDArray[Any]) -> "OutOfFold":
        """Return the chosen entries (a mask or positions)."""
        names = ("officer", "as_of", "fold", "row", "label", "probability", "low", "high", "evidence")
        parts: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        scores = {name: score[rows] for name, score in self.rivals.items()}
        return replace(self, **parts, rivals=scores, weight=None if self.weight is None else self.weight[rows])

    def ranked(self) -> "OutOfFold":
        """Return the entries of those whom the model would rank, as on a list that is served; rivals have the same."""
        return self.take(self.evidence == SUFFICIENT)

    def of_rows(self, rows: npt.NDArray[np.int64]) -> "OutOfFold":
        """Return the entries of some rows of the training set."""
        return self.take(np.isin(self.row, rows))

    def judged(self, contender: str = MODEL) -> list[Judged]:
        """Return a contender's scores, fold by fold, for the functions of metrics."""
        score = self.probability if contender == MODEL else self.rivals[contender]
        known = contender == MODEL or contender in self.probabilities
        return [
            Judged(self.officer[part], self.as_of[part], self.label[part], score[part], known, self.counted(part))
            for part in (np.flatnonzero(self.fold == number) for number in np.unique(self.fold))
        ]

    def counted(self, rows: npt.NDArray[Any] | None = None) -> Array | None:
        """Return what some rows (all by default) count; None where each counts 1."""
        return self.weight if self.weight is None or rows is None else self.weight[rows]

    def table(self, weights: Array) -> dict[str, dict[str, Figure]]:
        """Return every contender's figures; ``weights`` from officer_draws."""
        contenders = (MODEL, *self.rivals)
        return {name: figures(self.judged(name), weights, capacities=self.capacities) for name in contenders}

    def months(self) -> dict[str, dict[int, float]]:
        """Return every contender's average precision at each test as-of."""
        return {name: by_as_of(self.judged(name), capacities=self.capacities) for name in (MODEL, *self.rivals)}


def judged_folds(rows: TrainingSet, profile: Profile) -> list[Fold]:
    """Return the temporal folds in which both outcomes occur on either side; a Refusal when fewer than two remain."""
    risk = profile.risks[rows.risk]
    found = []
    for fold in temporal_folds(rows.as_ofs, horizon=risk.horizon_months, maturity=risk.maturity_months):
        test = tuple(month for month in fold.test if _mixed(rows, (month,)))
        if test and _mixed(rows, fold.train):
            found.append(replace(fold, test=test))
    if len(found) < 2:
        raise Refusal(
            f"Only {len(found)} of the temporal folds of '{rows.risk}' have both outcomes in training and in test; "
            "two are needed.",
            hint=f"There are {int(rows.label.sum())} positive labels in {len(rows)} rows: "
            "more history or a larger force is missing.",
        )
    return found


def validate(
    rows: TrainingSet, folds: Sequence[Fold], profile: Profile, recipe: Recipe, *, with_rivals: bool = True
) -> OutOfFold:
    """Return what models of the recipe, each trained on a fold's earlier months, say of its test rows.

    With ``with_rivals`` the rule, counts and plain models of rivals.py say theirs of the same rows.
    """
    against = rivals(profile.risks[rows.risk], rows.names) if with_rivals else []
    parts = [_one_fold(rows, number, fold, (profile, recipe, against)) for number, fold in enumerate(folds)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    scores = {rival.name: joined.pop(rival.name) for rival in against}
    known = tuple(rival.name for rival in against if rival.probability)
    weight = rows.weight[joined["row"]].astype(np.float64)
    return OutOfFold(
        risk=rows.risk,
        rivals=scores,
        probabilities=known,
        capacities=capacities(rows, folds, profile),
        weight=None if (weight == 1).all() else weight,
        **joined,
    )


def difference(mine: OutOfFold, other: OutOfFold, *, metric: str = "average_precision") -> Figure:
    """Return mine less other in a metric, with its 90 % interval by a paired bootstrap over officers.

    Both must hold the same rows: the officers of each draw are the same on both sides.
    """
    if not (np.array_equal(mine.row, other.row) and np.array_equal(mine.label, other.label)):
        raise ValueError("A paired comparison needs the same rows on both sides.")
    weights = officer_draws(int(mine.officer.max()) + 1)
    parts = [draws_of(each.judged(), weights, capacities=each.capacities)[metric] for each in (mine, other)]
    return interval_of(parts[0] - parts[1])


def capacities(rows: TrainingSet, folds: Sequence[Fold], profile: Profile) -> dict[int, int]:
    """Return the length of the list at each test as-of."""
    months = {month for fold in folds for month in fold.test}
    return {month: profile.risks[rows.risk].capacity(int((rows.as_of == month).sum())) for month in sorted(months)}


def _one_fold(
    rows: TrainingSet, number: int, fold: Fold, how: tuple[Profile, Recipe, Sequence[Rival]]
) -> dict[str, npt.NDArray[Any]]:
    profile, recipe, against = how
    place = np.flatnonzero(np.isin(rows.as_of, fold.test))
    earlier, test = rows.at(fold.train).known_by(fold.test[0]), rows.take(place)
    model = fit(earlier, profile, recipe=recipe).model(rows.risk)
    found: dict[str, npt.NDArray[Any]] = {
        "officer": test.officer,
        "as_of": test.as_of,
        "fold": np.full(len(test), number, dtype=np.int32),
        "row": place,
        "label": test.label,
        "evidence": evidence_of(model, earlier, test),
    }
    found["probability"], found["low"], found["high"] = model.probability_and_interval(test)
    return found | {rival.name: rival.score(earlier, test) for rival in against}


def _mixed(rows: TrainingSet, months: tuple[int, ...]) -> bool:
    label = rows.label[np.isin(rows.as_of, months)]
    return bool(0 < label.sum() < len(label))
