"""What a search found: recipes tried, how each was judged, which was chosen and why. Tries nothing."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.months import month_text
from training.judging.metrics import METRICS, Figure, draws_of, list_metrics, officer_draws
from training.judging.validation import OutOfFold
from training.recipe import STANDARD, Recipe

QUALITY = ("average_precision", "precision_capacity")
REGRET_WEIGHT = 0.25
CHURN_WEIGHT = 0.1
INTERVAL = (0.1, 0.9)
SHOWN = 3
RULE = (
    "quality: mean over the test months of (average precision + precision of the capacity list) / 2; "
    f"score: quality - {REGRET_WEIGHT} x largest regret against the best tried at a month "
    f"- {CHURN_WEIGHT} x churn of the list above the standard recipe's"
)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """One recipe on the test months: its quality and its capacity list (positions of officers) at each."""

    months: Mapping[int, float]
    lists: Mapping[int, frozenset[int]]

    @property
    def quality(self) -> float:
        """Mean over the months."""
        return float(np.mean(list(self.months.values())))

    @property
    def churn(self) -> float:
        """Mean share of the list that is new at the next test month."""
        ordered = [self.lists[month] for month in sorted(self.lists)]
        shares = [len(after - before) / max(1, len(after)) for before, after in itertools.pairwise(ordered)]
        return float(np.mean(shares)) if shares else 0.0


@dataclass(frozen=True)
class Tried:
    """One trial: its settings, its quality at each test month that it reached, and whether it ran to the end.

    ``regret`` is the largest distance to the best of all finished trials at a month; it and ``score`` are NaN
    until ``ranked`` has seen all trials.
    """

    number: int
    settings: Mapping[str, Any]
    months: Mapping[int, float]
    churn: float
    finished: bool
    regret: float = float("nan")
    score: float = float("nan")

    @property
    def quality(self) -> float:
        """Mean over the months reached."""
        return float(np.mean(list(self.months.values())))

    def card(self) -> dict[str, Any]:
        """Return plain values; None where a trial was pruned before it had the figure."""
        told = {name: getattr(self, name) for name in ("quality", "regret", "churn", "score")}
        figures = {name: None if np.isnan(value) else round(value, 6) for name, value in told.items()}
        changed = {key: value for key, value in self.settings.items() if STANDARD.settings.get(key) != value}
        return {"trial": self.number, "finished": self.finished, **figures, "changed": changed}


@dataclass(frozen=True)
class Finalist:
    """A recipe judged with all its boosters; ``gain`` is its quality less the standard recipe's."""

    number: int
    recipe: str
    seen: Seen
    gain: Figure

    def card(self) -> dict[str, Any]:
        """Return plain values."""
        figures = {"quality": round(self.seen.quality, 6), "churn": round(self.seen.churn, 6)}
        return {"trial": self.number, "recipe": self.recipe, **figures, "gain_80": self.gain.as_json()}


@dataclass(frozen=True)
class Ensemble:
    """What the mean of ``boosters`` brings in quality over the first of them alone."""

    boosters: int
    gain: Figure


@dataclass(frozen=True)
class Searched:
    """The recipe chosen by a search, and all that led to it; a section of the report."""

    recipe: Recipe
    tried: tuple[Tried, ...] = ()
    standard: Seen | None = None
    finalists: tuple[Finalist, ...] = ()
    chosen: int | None = None
    ensemble: Ensemble | None = None
    asked: int = 0
    resumed: int = 0
    seconds: float = 0.0

    def card(self) -> dict[str, Any]:
        """Return plain values: every trial, the finalists, the choice."""
        return {
            "rule": RULE,
            "asked": self.asked,
            "resumed": self.resumed,
            "seconds": round(self.seconds, 1),
            "tried": [one.card() for one in self.tried],
            "standard": {"quality": round(self.standard.quality, 6), "churn": round(self.standard.churn, 6)}
            if self.standard
            else None,
            "finalists": [one.card() for one in self.finalists],
            "chosen": "standard" if self.chosen is None else self.chosen,
            "why": self._why(),
            "ensemble_gain_80": self.ensemble.gain.as_json() if self.ensemble else None,
        }

    def lines(self) -> list[str]:
        """Return what was tried, the best few, and why which was chosen."""
        finished = [one for one in self.tried if one.finished]
        earlier = f", {self.resumed} of them in an earlier run" if self.resumed else ""
        ended = "" if len(self.tried) >= self.asked else f" of {self.asked}: the time was up"
        tried = "1 recipe" if len(self.tried) == 1 else f"{len(self.tried)} recipes"
        told = [
            f"  search: {tried} tried{ended}{earlier}, {len(self.tried) - len(finished)} pruned, "
            f"{self.seconds:.0f} s; {RULE}"
        ]
        told += [f"    {_trial_line(one)}" for one in finished[:SHOWN]]
        return [*told, f"  chosen: {self._why()}", *self._ensemble_line()]

    def _why(self) -> str:
        if not self.finalists:
            return "the standard recipe; no other trial ran to its end"
        best = max(self.finalists, key=lambda one: one.gain.value)
        found = f"quality {best.gain.value:+.4f}, {best.gain.low:+.4f} to {best.gain.high:+.4f}"
        how = "80 % interval, paired over officers, all boosters, the same folds that it was picked on"
        if self.chosen is None:
            return (
                f"the standard recipe: no other is better beyond chance (the best of the finalists, trial "
                f"{best.number}: {found}; {how})"
            )
        return f"trial {self.chosen}: better than the standard recipe ({found}; {how})"

    def _ensemble_line(self) -> list[str]:
        if self.ensemble is None:
            return []
        found = self.ensemble.gain
        worth = "earns its cost" if found.low > 0 else "is not told from one booster here"
        return [
            f"  ensemble: the mean of {self.ensemble.boosters} boosters against the first alone: quality "
            f"{found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f}, 80 %): it {worth}"
        ]


def seen(found: OutOfFold) -> Seen:
    """Return quality and capacity list at each test month."""
    places = [METRICS.index(name) for name in QUALITY]
    months, lists = {}, {}
    for month in np.unique(found.as_of).tolist():
        chosen = found.as_of == month
        label, score, size = found.label[chosen], found.probability[chosen], found.capacities[month]
        figures = list_metrics(label, score, np.ones((1, len(label))), capacity=size)[0]
        months[month] = float(np.mean(figures[places]))
        lists[month] = frozenset(found.officer[chosen][np.argsort(-score, kind="stable")[:size]].tolist())
    return Seen(months, lists)


def gain(mine: OutOfFold, other: OutOfFold) -> Figure:
    """Return mine less other in quality, with its 80 % interval by a paired bootstrap over officers."""
    weights = officer_draws(int(mine.officer.max()) + 1)
    parts = [draws_of(each.judged(), weights, capacities=each.capacities) for each in (mine, other)]
    drawn = np.mean([parts[0][name] - parts[1][name] for name in QUALITY], axis=0)
    low, high = np.nanquantile(drawn[1:], INTERVAL)
    return Figure(float(drawn[0]), float(low), float(high))


def ranked(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Return the trials with regret and score, the best first, the pruned ones last.

    Churn counts only where it is above that of the first trial, which is the standard recipe.
    """
    finished = [one for one in tried if one.finished]
    best = {month: max(one.months[month] for one in finished) for month in (finished[0].months if finished else ())}
    usual = next((one.churn for one in finished if dict(one.settings) == dict(STANDARD.settings)), np.inf)
    scored = [_scored(one, best, usual) for one in finished]
    pruned = sorted((one for one in tried if not one.finished), key=lambda one: -one.quality)
    return (*sorted(scored, key=lambda one: -one.score), *pruned)


def _scored(one: Tried, best: Mapping[int, float], usual: float) -> Tried:
    regret = max(best[month] - value for month, value in one.months.items())
    score = one.quality - REGRET_WEIGHT * regret - CHURN_WEIGHT * max(0.0, one.churn - usual)
    return replace(one, regret=regret, score=score)


def _trial_line(one: Tried) -> str:
    worst = month_text(min(one.months, key=lambda month: one.months[month]))
    changed = {key: value for key, value in one.settings.items() if STANDARD.settings.get(key) != value}
    told = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in changed.items()
    )
    return (
        f"trial {one.number}: score {one.score:.4f}, quality {one.quality:.4f} (lowest in {worst}), "
        f"regret {one.regret:.4f}, churn {one.churn:.0%}; {told or 'the standard recipe'}"
    )
