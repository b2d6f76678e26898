"""Who leads: the model beside its best rival in a sentence, and on the fold that a search did not see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.months import month_text
from training.judging.metrics import MODEL, RULE, Figure, draws_of, figures, interval_of, officer_draws
from training.judging.validation import OutOfFold

METRIC = "average_precision"
SHOWN = (METRIC, "precision_capacity")


@dataclass(frozen=True)
class Leading:
    """The best of the rivals by average precision, and the model's less that, paired over officers."""

    rival: str
    mine: float
    other: float
    difference: Figure

    @property
    def told(self) -> tuple[str, str]:
        """The sentence in English and in Chinese."""
        by = self.difference
        size = f"({by.value:+.3f}, {by.low:+.3f} to {by.high:+.3f})"
        sure = by.low > 0 or by.high < 0
        en, zh = ("beyond chance", "超出偶然") if sure else ("not told from chance", "与偶然无法区分")
        if by.value < 0:
            return (
                f"a rival leads: {self.rival} has average precision {self.other:.3f}, the model {self.mine:.3f} "
                f"{size}, {en}",
                f"对照方法领先：{self.rival} 平均精度 {self.other:.3f}，本模型 {self.mine:.3f}{size}，{zh}",
            )
        return (
            f"the model leads: its average precision is {self.mine:.3f}, that of the best rival, {self.rival}, "
            f"{self.other:.3f} {size}, {en}",
            f"本模型领先：平均精度 {self.mine:.3f}，最好的对照方法 {self.rival} 为 {self.other:.3f}{size}，{zh}",
        )

    def card(self) -> dict[str, Any]:
        """Return plain values and the sentence."""
        en, zh = self.told
        shown = {"rival": self.rival, "difference": self.difference.as_json()}
        return shown | {"rival_leads": self.difference.value < 0, "told": en, "told_zh": zh}

    def lines(self) -> list[str]:
        """Return the sentence."""
        return [f"  {self.told[0]}"]


@dataclass(frozen=True)
class HeldOut:
    """Figures on the newest fold alone, which the search for a recipe did not see: model, rule, best rival."""

    test: tuple[int, ...]
    figures: Mapping[str, Mapping[str, Figure]]

    def card(self) -> dict[str, Any]:
        """Return what the gate reads."""
        rows = {name: {key: found.as_json() for key, found in row.items()} for name, row in self.figures.items()}
        return {"test": [month_text(month) for month in self.test], "figures": rows}

    def lines(self) -> list[str]:
        """Return one sentence."""
        told = ", ".join(
            f"{name} {row[METRIC].value:.3f} ({row[METRIC].low:.3f}–{row[METRIC].high:.3f})"
            for name, row in self.figures.items()
        )
        months = ", ".join(map(month_text, self.test))
        return [f"  on the newest fold alone ({months}), which the search did not see: average precision {told}"]


def leading(found: OutOfFold) -> Leading:
    """Return the best rival on all folds, and how the model does beside it."""
    weights = officer_draws(int(found.officer.max()) + 1)
    rival = best_rival(found)
    mine, other = (
        draws_of(found.judged(name), weights, capacities=found.capacities)[METRIC] for name in (MODEL, rival)
    )
    return Leading(rival, float(mine[0]), float(other[0]), interval_of(mine - other))


def held_out(found: OutOfFold) -> HeldOut:
    """Return the figures of the newest fold alone."""
    newest = found.take(found.fold == found.fold.max())
    weights = officer_draws(int(found.officer.max()) + 1)
    table = {
        name: figures(newest.judged(name), weights, capacities=newest.capacities)
        for name in dict.fromkeys((MODEL, RULE, best_rival(newest)))
    }
    shown = {name: {key: row[key] for key in SHOWN} for name, row in table.items()}
    return HeldOut(tuple(np.unique(newest.as_of).tolist()), shown)


def best_rival(found: OutOfFold) -> str:
    """Return the rival with the highest average precision, the mean over test as-ofs."""
    months = {name: row for name, row in found.months().items() if name != MODEL}
    return max(months, key=lambda name: float(np.nanmean(list(months[name].values()))))
