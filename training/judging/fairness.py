"""The audit of fairness: figures by sex, age, post, unit and tenure. Of this floor only it reads sex and birth year.

Which figures are too far off says groups.py; nothing here reaches a model.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from fairlearn.metrics import MetricFrame, false_negative_rate, selection_rate
from scipy.sparse import csr_matrix
from sklearn.metrics import precision_score

from features.cohort import cohort
from features.histories.tables import Histories
from features.months import NO_DAY, last_day
from features.policy import Policy
from training.judging.groups import LABELS, PERSONAL, PLAIN, Deviation, GroupFigures, Unfair, unfair
from training.judging.metrics import Figure, officer_draws
from training.judging.validation import OutOfFold

Array = npt.NDArray[np.float64]

NOT_RECORDED = "not recorded"
NONE = Figure(math.nan, math.nan, math.nan)
AGES = ((30, "under 30"), (40, "30-39"), (50, "40-49"), (999, "50 and over"))
TENURES = ((3, "under 3"), (10, "3-9"), (20, "10-19"), (999, "20 and over"))
SIZES = ((10, "under 10"), (30, "10-29"), (100, "30-99"), (10**9, "100 and over"))
"""Bands: the first whose bound lies above the number (years, years, persons)."""


@dataclass(frozen=True)
class Fairness:
    """The figures of all groups; ``silent`` names the dimensions of which nothing was recorded."""

    groups: tuple[GroupFigures, ...]
    silent: tuple[str, ...]
    policy: Policy

    @property
    def unfair(self) -> list[Unfair]:
        """What lies beyond the bounds of the policy."""
        return unfair(self.groups, self.policy)

    def card(self) -> dict[str, Any]:
        """Return what is stored with the model: the gate and the model card read it."""
        return {
            "groups": [{**each.as_json(), "state": each.state(self.policy)} for each in self.groups],
            "not_recorded": list(self.silent),
            "unfair": [{"group": each.of.group, "figure": each.figure, "told": each.en} for each in self.unfair],
            "minimum": [self.policy.fairness_min_persons, self.policy.fairness_min_positives],
        }

    def lines(self) -> list[str]:
        """Return a line for each dimension, and one for each group beyond a bound."""
        told = [self._line(dimension) for dimension in LABELS]
        return [f"  fairness: {'; '.join(told)}", *(f"  unfair: {each.en}" for each in self.unfair)]

    def _line(self, dimension: str) -> str:
        label = LABELS[dimension].en
        if dimension in self.silent:
            return f"{label} is not recorded"
        found = [each for each in self.groups if each.dimension == dimension]
        judged = [each.calibration.value for each in found if each.state(self.policy) == "judged"]
        worst = f", off by {max(map(abs, judged)):.3f} at most" if judged else ""
        return f"{label} {len(judged)} of {len(found)} groups judged{worst}"


def fairness(given: Histories, found: OutOfFold, *, policy: Policy | None = None) -> Fairness:
    """Return the figures of every group over the test rows of the folds.

    Groups are by sex, age, post, unit, its size, and tenure at the as-of; the list at each as-of is the first of its
    capacity. Each figure has a 90 % interval by a bootstrap of 200 draws over officers. A group with fewer persons
    than the policy's minimum has no figures.
    """
    bounds = policy or given.profile.settings.policy
    audit = _Audit.of(found)
    groups, silent = [], []
    for dimension, names in _memberships(given, found).items():
        if (names == NOT_RECORDED).all():
            silent.append(dimension)
        else:
            groups += audit.groups(dimension, names, bounds)
    return Fairness(tuple(groups), tuple(silent), bounds)


def listed(found: OutOfFold) -> npt.NDArray[np.bool_]:
    """Return who of the test rows would have been on the list of its month: the first of its capacity."""
    chosen = np.zeros(len(found.label), dtype=bool)
    for month in np.unique(found.as_of):
        rows = np.flatnonzero(found.as_of == month)
        first = np.argsort(-found.probability[rows], kind="stable")[: found.capacities[int(month)]]
        chosen[rows[first]] = True
    return chosen


def _memberships(given: Histories, found: OutOfFold) -> dict[str, npt.NDArray[Any]]:
    """The group of each row, by dimension."""
    names = {key: np.full(len(found.label), NOT_RECORDED, dtype=object) for key in LABELS}
    for month in np.unique(found.as_of).tolist():
        rows = np.flatnonzero(found.as_of == month)
        officer, members = found.officer[rows], cohort(given, month)
        place = np.searchsorted(members.officer, officer)
        people = given.people.iloc[_posting_at(given, month)[officer]]
        unit, post = members.unit[place], members.post[place]
        sizes = np.bincount(members.unit, minlength=len(given.units))[unit]
        names["sex"][rows] = people["sex"].astype(object).where(people["sex"].notna(), NOT_RECORDED).to_numpy()
        names["age"][rows] = _banded(month // 12 - people["birth_year"].to_numpy(dtype=np.float64), AGES)
        names["post"][rows] = np.asarray(given.posts, dtype=object)[post]
        names["unit"][rows] = np.asarray(given.units, dtype=object)[unit]
        names["unit_size"][rows] = _banded(sizes.astype(np.float64), SIZES)
        names["tenure"][rows] = _banded(members.tenure[place] / 12, TENURES)
    return names


def _posting_at(given: Histories, month: int) -> npt.NDArray[np.int64]:
    """The posting of each officer that counts at a month's end: of those valid, the one that began last."""
    postings, day = given.postings, last_day(month)
    valid = np.flatnonzero((postings.first <= day) & ((postings.last == NO_DAY) | (postings.last >= day)))
    where = np.zeros(len(given.officers), dtype=np.int64)
    where[postings.officer[valid]] = valid
    return where


def _banded(number: Array, bands: tuple[tuple[int, str], ...]) -> npt.NDArray[Any]:
    which = np.searchsorted([above for above, _ in bands], np.nan_to_num(number), side="right")
    text = np.asarray([name for _, name in bands], dtype=object)[np.minimum(which, len(bands) - 1)]
    return np.where(np.isnan(number), NOT_RECORDED, text)


def _calibration(label: Array, _listed: Array, *, sample_weight: Array, probability: Array) -> float:
    return float(np.average(probability - label, weights=sample_weight))


def _precision(label: Array, chosen: Array, *, sample_weight: Array) -> float:
    return float(precision_score(label, chosen, zero_division=np.nan, sample_weight=sample_weight))


def _missed(label: Array, chosen: Array, *, sample_weight: Array) -> float:
    return float(false_negative_rate(label, chosen, sample_weight=sample_weight)) if label.any() else math.nan


POINTS: Mapping[str, Callable[..., float]] = {
    "selection": selection_rate,
    "precision": _precision,
    "missed": _missed,
    "calibration": _calibration,
}


@dataclass(frozen=True)
class _Sums:
    """Sums over rows for each draw of officers, [draw] or [draw, group]; the first draw takes everyone once."""

    rows: Array
    listed: Array
    hits: Array
    positive: Array
    missed: Array
    expected: Array

    def of(self, group: int) -> "_Sums":
        return _Sums(**{part.name: getattr(self, part.name)[:, group] for part in fields(self)})

    def without(self, other: "_Sums") -> "_Sums":
        return _Sums(**{part.name: getattr(self, part.name) - getattr(other, part.name) for part in fields(self)})

    def figures(self) -> dict[str, Array]:
        """The four figures of each draw, in the words of POINTS."""
        return {
            "selection": _share(self.listed, self.rows),
            "precision": _share(self.hits, self.listed),
            "missed": _share(self.missed, self.positive),
            "calibration": _share(self.expected - self.positive, self.rows),
        }


@dataclass(frozen=True)
class _Audit:
    """The rows, what each counts, who was listed, and the weights of the bootstrap."""

    officer: npt.NDArray[np.int64]
    label: Array
    probability: Array
    listed: Array
    counted: Array
    weights: Array

    @classmethod
    def of(cls, found: OutOfFold) -> "_Audit":
        persons, officer = np.unique(found.officer, return_inverse=True)
        counted = np.ones(len(found)) if found.weight is None else found.weight
        parts = (found.label.astype(np.float64), found.probability, listed(found).astype(np.float64), counted)
        return cls(officer, *parts, officer_draws(len(persons)))

    def groups(self, dimension: str, names: npt.NDArray[Any], policy: Policy) -> list[GroupFigures]:
        """The figures of every group of a dimension: values by fairlearn, intervals from sums over officers."""
        codes, keys = pd.factorize(names, sort=True)
        whole, drawn = self._sums(np.zeros_like(codes)).of(0), self._sums(codes)
        told = [self._counted(dimension, str(key), codes == number) for number, key in enumerate(keys)]
        large = [number for number, each in enumerate(told) if each.persons >= policy.fairness_min_persons]
        points = self._points(codes, large)
        for place, number in enumerate(large):
            inside, mine = codes == number, drawn.of(number)
            values = mine.figures()
            figures: dict[str, Any] = {name: _figure(float(points[name][place]), values[name]) for name in PLAIN}
            beside = keys[number] != NOT_RECORDED and not inside.all()
            off = self._deviations(dimension, inside, (mine, whole.without(mine))) if beside else {}
            rate = float(np.average(self.label[inside], weights=self.counted[inside]))
            told[number] = replace(told[number], rate=rate, deviations=off, **figures)
        return told

    def _counted(self, dimension: str, key: str, inside: npt.NDArray[np.bool_]) -> GroupFigures:
        """A group with its size alone."""
        withheld: dict[str, Any] = dict.fromkeys(PLAIN, NONE)
        had = self._persons(inside & (self.label == 1) & (self.counted > 0))
        sizes: dict[str, Any] = {"persons": self._persons(inside), "positives": had, "rows": int(inside.sum())}
        return GroupFigures(dimension=dimension, group=key, rate=math.nan, deviations={}, **sizes, **withheld)

    def _points(self, codes: npt.NDArray[np.int64], large: list[int]) -> dict[str, Array]:
        """The values of the large groups, by fairlearn: over cells of equal label and list, for it walks row by row."""
        if not large:
            return {}
        cells = pd.DataFrame({"group": codes, "label": self.label, "listed": self.listed, "size": self.counted})
        cells = cells.assign(mean=self.probability * self.counted)[np.isin(codes, large) & (self.counted > 0)]
        cells = cells.groupby(["group", "label", "listed"])[["size", "mean"]].sum().reset_index()
        cells = cells.assign(mean=cells["mean"] / cells["size"])
        weight = {"sample_weight": cells["size"]}
        parameters = dict.fromkeys(POINTS, weight) | {"calibration": {**weight, "probability": cells["mean"]}}
        table = MetricFrame(
            metrics=dict(POINTS),
            y_true=cells["label"],
            y_pred=cells["listed"],
            sensitive_features=cells["group"],
            sample_params=parameters,
        ).by_group
        return {name: table[name].to_numpy(dtype=np.float64) for name in POINTS}

    def _persons(self, rows: npt.NDArray[np.bool_]) -> int:
        return len(np.unique(self.officer[rows]))

    def _sums(self, codes: npt.NDArray[np.int64]) -> _Sums:
        quantities = {
            "rows": np.ones(len(codes)),
            "listed": self.listed,
            "hits": self.listed * self.label,
            "positive": self.label,
            "missed": self.label * (1 - self.listed),
            "expected": self.probability,
        }
        shape = (self.weights.shape[1], int(codes.max()) + 1)
        by_officer = {
            name: csr_matrix((part * self.counted, (self.officer, codes)), shape=shape)
            for name, part in quantities.items()
        }
        return _Sums(**{name: np.asarray((part.T @ self.weights.T).T) for name, part in by_officer.items()})

    def _deviations(
        self, dimension: str, inside: npt.NDArray[np.bool_], parts: tuple[_Sums, _Sums]
    ) -> dict[str, Deviation]:
        """How far the group is off, each with the larger of the bootstrap's error and one that the force implies."""
        mine, rest = parts
        persons, had = self._persons(inside), self._persons(inside & (self.label == 1))
        common = np.nan_to_num(_share(rest.expected - rest.positive, rest.expected))
        beyond = _share(mine.expected * (1 - common) - mine.positive, mine.rows)
        level = float((mine.expected[0] + mine.positive[0]) / (2 * mine.rows[0]))
        found = {"calibration": _deviation(beyond, level, persons, least=self._noise(inside))}
        others = float(_share(rest.hits, rest.listed)[0])
        chosen = self._persons(inside & (self.listed == 1))
        found["precision"] = _deviation(_share(mine.hits, mine.listed), others, chosen, least=0.0)
        if dimension in PERSONAL:
            apart = _share(mine.missed, mine.positive) - _share(rest.missed, rest.positive)
            usual = float(_share(mine.missed + rest.missed, mine.positive + rest.positive)[0])
            found["missed"] = _deviation(apart, 1.0, had, least=math.sqrt(usual * (1 - usual) / max(1, had)))
        return {key: each for key, each in found.items() if not math.isnan(each.value + each.level)}

    def _noise(self, inside: npt.NDArray[np.bool_]) -> float:
        """The standard error of a group's rate if its probabilities were right, a person's rows all meeting one fate.

        A group whose few outcomes fell short by chance has too small a spread of its own.
        """
        officer, probability = self.officer[inside], self.probability[inside]
        rows = np.bincount(officer)
        spread = np.bincount(officer, weights=probability * (1 - probability))
        return float(math.sqrt((rows * spread).sum()) / len(officer))


def _share(top: Array, bottom: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(bottom > 0, top / bottom, np.nan))


def _figure(value: float, drawn: Array) -> Figure:
    if math.isnan(value):
        return NONE
    low, high = np.nanquantile(drawn[1:], [0.05, 0.95])
    return Figure(value, float(low), float(high))


def _deviation(drawn: Array, level: float, persons: int, *, least: float) -> Deviation:
    return Deviation(float(drawn[0]), max(least, _spread(drawn[1:])), level, persons)


def _spread(drawn: Array) -> float:
    known = drawn[~np.isnan(drawn)]
    return float(known.std()) if len(known) else 0.0
