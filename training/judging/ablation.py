"""What each dimension brings: refits without it, judged on the newest fold; persistence and onset apart.

A refit is one booster, not the bag, on the inputs that screening keeps: what is compared is paired, not absolute.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.months import month_text
from features.names import parse_name
from features.profile import Profile
from features.profile_rows import EventOutcome, IndexOutcome, Risk
from features.texts import Text
from training.dataset import TrainingSet
from training.fitting import fit, refit
from training.folds import Fold
from training.judging.metrics import RULE, Figure, interval_of, list_metrics, officer_draws
from training.judging.validation import OutOfFold
from training.models.lanes import LANES, for_rows
from training.recipe import Recipe

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PARTS: Mapping[str, Text] = {
    "workload": Text(zh="工作负荷", en="Workload"),
    "quality": Text(zh="工作质效", en="Quality"),
    "satisfaction": Text(zh="群众满意", en="Satisfaction"),
    "wellbeing": Text(zh="身心健康", en="Wellbeing"),
    "honour_and_action": Text(zh="荣誉与关爱措施", en="Honours and offers of help"),
    "index": Text(zh="效能指数", en="Efficiency index"),
    "unit_context": Text(zh="单位环境", en="What the unit's others do"),
    "tenure_and_post": Text(zh="从警时间与岗位", en="Service time and post"),
}
PREVIOUS = "previous_outcome_and_surveys"
PREVIOUS_TEXT = Text(zh="既往结果与自评问卷", en="Previous outcome, health data and surveys")
MODEL, ONSET_MODEL = "model", "without_previous"
MOST_ROWS = 20_000
"""Refits see every second, third ... officer, so that about so many training rows remain."""
YEAR = 12
NOTHING: frozenset[str] = frozenset()
FEWEST_PERSONS, FEWEST_POSITIVES = 20, 5
"""No figure of a smaller group: it would tell of persons, and mean little."""


@dataclass(frozen=True)
class Part:
    """A group of inputs: how many the model had of them, and average precision with all less that without them."""

    label: Text
    inputs: int
    brings: Figure


@dataclass(frozen=True)
class Stratum:
    """Test rows of one kind and, by contender and metric, figures there; no figures where persons are too few."""

    persons: int
    rows: int
    positives: int
    figures: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True)
class Ablation:
    """What each part brings on the test months of the newest fold, and persistence and onset apart.

    ``every`` says that refits saw each so-many-th officer; ``whole`` is the average precision of all inputs;
    ``previous`` is the part whose absence makes the question one of onset (None where the model has no such inputs).
    """

    test: tuple[int, ...]
    train_rows: int
    every: int
    whole: Figure
    parts: Mapping[str, Part]
    previous: Part | None
    had_before: Text
    persistence: Stratum
    onset: Stratum

    def card(self) -> dict[str, Any]:
        """Return plain values; intervals are 90 %, by a bootstrap over officers, paired for what a part brings."""
        return {
            "metric": "average_precision",
            "refit": "one booster instead of the bag, on the newest fold, among the inputs that screening keeps",
            "test": [month_text(month) for month in self.test],
            "train_rows": self.train_rows,
            "every_nth_officer": self.every,
            "whole": self.whole.as_json(),
            "parts": {key: _part_card(part) for key, part in self.parts.items()},
            "previous": None if self.previous is None else _part_card(self.previous),
            "had_before": self.had_before.model_dump(),
            "persistence": _stratum_card(self.persistence),
            "onset": _stratum_card(self.onset),
        }

    def lines(self) -> list[str]:
        """Return what is printed."""
        thinned = "" if self.every == 1 else f", refitted to one officer in {self.every}"
        told = [
            f"  what each part brings to average precision {self.whole.value:.3f} "
            f"(one booster, newest fold{thinned}; with all inputs less without the part):"
        ]
        told += [f"    {part.label.en:28} {_signed(part.brings)}, {part.inputs} inputs" for part in self.parts.values()]
        if self.previous is not None:
            told.append(f"    {self.previous.label.en}: {_signed(self.previous.brings)}, {self.previous.inputs} inputs")
        told += _stratum_lines(f"persistence ({self.had_before.en})", self.persistence)
        return told + _stratum_lines("onset (not so)", self.onset)


def ablation(
    rows: TrainingSet, folds: Sequence[Fold], profile: Profile, *, recipe: Recipe, found: OutOfFold
) -> Ablation:
    """Return what a recipe loses without each part of its inputs, on the newest of the folds.

    ``found`` are the predictions for the test rows of the same folds; the rule's scores are taken from them.
    """
    fold, newest = folds[-1], found.fold == found.fold.max()
    train, test = rows.at(fold.train), rows.take(found.row[newest])
    every = _every(len(train))
    refits = _Refits.of(train.take(train.officer % every == 0), test, profile, recipe=recipe)
    inputs = refits.inputs
    groups = {key: names for key, names in parts_of(inputs, profile).items() if 0 < len(names) < len(inputs)}
    before = previous_inputs(inputs, profile, rows.risk)
    scores = {names: refits.without(names) for names in {NOTHING, before, *groups.values()} if len(names) < len(inputs)}
    weights = officer_draws(int(rows.officer.max()) + 1)
    drawn = {names: _draws(test, score, weights)[:, 1] for names, score in scores.items()}
    parts = {key: Part(PARTS[key], len(names), _less(drawn, names)) for key, names in groups.items()}
    honest = before in scores and before != NOTHING
    shown = (
        {MODEL: scores[NOTHING]}
        | ({ONSET_MODEL: scores[before]} if honest else {})
        | {RULE: found.rivals[RULE][newest]}
    )
    had, words = had_before(test, profile.risks[rows.risk])
    return Ablation(
        test=fold.test,
        train_rows=len(refits.train),
        every=every,
        whole=interval_of(drawn[NOTHING]),
        parts=parts,
        previous=Part(PREVIOUS_TEXT, len(before), _less(drawn, before)) if honest else None,
        had_before=words,
        persistence=_stratum(test, had, shown, weights=weights),
        onset=_stratum(test, ~had, shown, weights=weights),
    )


def parts_of(names: Sequence[str], profile: Profile) -> dict[str, frozenset[str]]:
    """Return the inputs of each of PARTS. What the unit's others do is there and in its measure's dimension."""
    belongs: dict[str, Callable[[str], bool]] = {
        "honour_and_action": lambda name: dimension_of(name, profile) in ("honour", "action"),
        "index": lambda name: parse_name(name).group == "efficiency",
        "unit_context": lambda name: parse_name(name).statistic == "unit",
        "tenure_and_post": lambda name: parse_name(name).group in ("tenure", "transfer", "post"),
    }
    found = {}
    for key in PARTS:
        inside = belongs.get(key, lambda name, key=key: dimension_of(name, profile) == key)
        found[key] = frozenset(name for name in names if inside(name))
    return found


def dimension_of(name: str, profile: Profile) -> str | None:
    """Return the dimension of a feature's measure: of what a rate counts, of what a sequence begins with; or None."""
    measure = profile.measures.get(_measure_of(name, profile))
    return None if measure is None else measure.dimension


def previous_inputs(names: Sequence[str], profile: Profile, risk: str) -> frozenset[str]:
    """Return the inputs that tell of the outcome itself or of how the person already feels.

    Those are the outcome's own measure (the index for an index outcome), health data, and rated wellbeing (surveys).
    """
    outcome = profile.risks[risk].outcome
    own = outcome.index if isinstance(outcome, IndexOutcome) else outcome.measure

    def tells(name: str) -> bool:
        key = _measure_of(name, profile)
        measure = profile.measures.get(key)
        survey = measure is not None and measure.dimension == "wellbeing" and measure.aggregate != "sum"
        return key == own or (measure is not None and measure.sensitive) or survey

    return frozenset(name for name in names if tells(name))


def had_before(rows: TrainingSet, risk: Risk) -> tuple[Mask, Text]:
    """Return which rows' persons had the outcome in the months before the as-of, and what that means in words."""
    if isinstance(risk.outcome, IndexOutcome):
        by = f"{risk.outcome.falls_by:g}"
        fell = _column(rows, f"{risk.outcome.index}__vs_self__3m") <= -risk.outcome.falls_by
        words = Text(
            zh=f"近 3 个月的指数已比本人近 12 个月低 {by} 以上",
            en=f"the index of the last 3 months already lies {by} below the own 12 months",
        )
        return fell, words
    name, months = _count_column(rows.names, risk.outcome)
    least = f"{risk.outcome.at_least:g}"
    words = Text(
        zh=f"此前 {months} 个月内该结果的记录合计达到 {least}",
        en=f"the outcome's events of the {months} months before sum to {least} or more",
    )
    return _column(rows, name) >= risk.outcome.at_least, words


def _count_column(names: Sequence[str], outcome: EventOutcome) -> tuple[str, int]:
    parts = {name: parse_name(name) for name in names}
    counts = {
        name: part.months
        for name, part in parts.items()
        if part.group == outcome.measure and part.statistic in ("sum", "mean") and part.months
    }
    nearest = min(counts, key=lambda name: (parts[name].statistic != "sum", abs(counts[name] - YEAR)))
    return nearest, counts[nearest]


def _measure_of(name: str, profile: Profile) -> str:
    group = parse_name(name).group
    rate, sequence = profile.settings.rates.get(group), profile.settings.sequences.get(group)
    return rate.of if rate else sequence.first if sequence else group


def _column(rows: TrainingSet, name: str) -> Array:
    return np.nan_to_num(rows.values[:, rows.columns((name,))[0]].astype(np.float64), nan=0.0)


def _every(rows: int) -> int:
    return max(1, -(-rows // MOST_ROWS))


@dataclass(frozen=True)
class _Refits:
    """Training and test rows with the inputs that screening kept, and the number of trees that suits them."""

    train: TrainingSet
    test: TrainingSet
    profile: Profile
    settings: Mapping[str, Any]
    trees: int

    @classmethod
    def of(cls, train: TrainingSet, test: TrainingSet, profile: Profile, *, recipe: Recipe) -> "_Refits":
        fitted = fit(train, profile, recipe=recipe.single())
        settings = {**recipe.settings, **recipe.bag[0]}
        return cls(_only(train, fitted.names), _only(test, fitted.names), profile, settings, fitted.trees)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.train.inputs

    def without(self, left_out: frozenset[str]) -> Array:
        """Raw scores of the test rows by a booster that lacks some inputs."""
        kept = tuple(name for name in self.inputs if name not in left_out)
        booster = refit(self.train, kept, self.profile, settings=self.settings, trees=self.trees)
        values = self.test.values[:, self.test.columns(kept)]
        with LANES.asked(for_rows(len(values))) as threads:
            return np.asarray(booster.predict(values, raw_score=True, num_threads=threads), np.float64)


def _only(rows: TrainingSet, names: tuple[str, ...]) -> TrainingSet:
    """The rows with some inputs alone: the others would only be carried along."""
    return replace(rows, names=names, inputs=names, values=rows.values[:, rows.columns(names)])


def _less(drawn: Mapping[frozenset[str], Array], names: frozenset[str]) -> Figure:
    return interval_of(drawn[NOTHING] - drawn[names])


def _stratum(test: TrainingSet, inside: Mask, scores: Mapping[str, Array], *, weights: Array) -> Stratum:
    rows = test.take(inside)
    persons, positives = len(np.unique(rows.officer)), int(rows.label.sum())
    enough = persons >= FEWEST_PERSONS and FEWEST_POSITIVES <= positives <= len(rows) - FEWEST_POSITIVES
    figures = {name: _ranked(_draws(rows, score[inside], weights)) for name, score in scores.items()} if enough else {}
    return Stratum(persons, len(rows), positives, figures)


def _ranked(drawn: Array) -> dict[str, Figure]:
    return {name: interval_of(drawn[:, number]) for number, name in enumerate(("auc", "average_precision"))}


def _draws(rows: TrainingSet, score: Array, weights: Array) -> Array:
    """[draw, 2]: AUC and average precision, the mean over the as-ofs in which a draw has both outcomes."""
    lists = []
    for month in rows.as_ofs:
        chosen = rows.as_of == month
        if 0 < rows.label[chosen].sum() < chosen.sum():
            drawn = weights[:, rows.officer[chosen]]
            lists.append(list_metrics(rows.label[chosen], score[chosen], drawn, capacity=1)[:, :2])
    known = ~np.isnan(lists)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(known, lists, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean


def _part_card(part: Part) -> dict[str, Any]:
    return {"label": part.label.model_dump(), "inputs": part.inputs, "brings": part.brings.as_json()}


def _stratum_card(found: Stratum) -> dict[str, Any]:
    """Counts of few persons are left out as well."""
    told = found.persons >= FEWEST_PERSONS
    return {
        "persons": found.persons if told else None,
        "rows": found.rows if told else None,
        "positives": found.positives if told and found.positives >= FEWEST_POSITIVES else None,
        "figures": {
            name: {metric: figure.as_json() for metric, figure in row.items()} for name, row in found.figures.items()
        },
    }


def _stratum_lines(words: str, found: Stratum) -> list[str]:
    if not found.figures:
        return [f"  {words}: too few to judge"]
    said = [
        f"{name.replace('_', ' ')} {row['average_precision'].value:.3f} (AUC {row['auc'].value:.3f})"
        for name, row in found.figures.items()
    ]
    return [f"  {words}: {found.positives:,} of {found.rows:,} rows; average precision {', '.join(said)}"]


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
