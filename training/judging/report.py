"""What training found: every contender by every metric with its interval, as a table and as JSON. Judges nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rich import box
from rich.console import Console as Terminal
from rich.table import Table

from features.months import month_text
from training.dataset import TrainingSet
from training.folds import Fold
from training.judging.metrics import Figure, officer_draws
from training.judging.validation import OutOfFold

SHOWN = {
    "auc": "AUC",
    "average_precision": "average precision",
    "precision_1pct": "precision 1 %",
    "lift_1pct": "lift 1 %",
    "precision_5pct": "precision 5 %",
    "lift_5pct": "lift 5 %",
    "precision_100": "precision 100",
    "lift_100": "lift 100",
    "precision_capacity": "precision, list",
    "lift_capacity": "lift, list",
    "brier": "Brier",
    "calibration_error": "calibration error",
}


CAPTION = (
    "mean over the folds; 90 % interval by bootstrap over officers (basic for the calibration error: chance alone "
    "makes it larger than it is)"
)


class Section(Protocol):
    """One more audit in a report: plain values for the card, sentences for the terminal."""

    def card(self) -> Any:
        """Return plain values."""
        ...

    def lines(self) -> list[str]:
        """Return what is printed."""
        ...


@dataclass(frozen=True)
class Report:
    """Figures of all contenders on the same folds, and what they were computed on."""

    risk: str
    until: int
    rows: int
    positives: int
    as_ofs: tuple[int, ...]
    step: int
    inputs: int
    trials: int
    folds: tuple[Mapping[str, Any], ...]
    figures: Mapping[str, Mapping[str, Figure]]
    months: Mapping[str, Mapping[int, float]]
    sections: Mapping[str, Section] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: TrainingSet, folds: Sequence[Fold], found: OutOfFold, *, trials: int = 0) -> "Report":
        """Return the report of a training set judged on folds, with figures and intervals of every contender."""
        table = found.table(officer_draws(int(rows.officer.max()) + 1))
        return cls(
            risk=rows.risk,
            until=rows.until,
            rows=len(rows),
            positives=int(rows.label.sum()),
            as_ofs=rows.as_ofs,
            step=rows.step,
            inputs=len(rows.inputs),
            trials=trials,
            folds=tuple(_fold_row(rows, fold) for fold in folds),
            figures=table,
            months=found.months(),
        )

    def extended(self, sections: Mapping[str, Section]) -> "Report":
        """Return the report with further sections, by their key in the card."""
        return replace(self, sections={**self.sections, **sections})

    def value(self, contender: str, metric: str = "average_precision") -> float:
        """Return one figure."""
        return self.figures[contender][metric].value

    def card(self) -> dict[str, Any]:
        """Return what is stored with the model: the same as the JSON of the command."""
        return {
            "until": month_text(self.until),
            "rows": self.rows,
            "positives": self.positives,
            "as_ofs": [month_text(month) for month in self.as_ofs],
            "every_months": self.step,
            "features": self.inputs,
            "trials": self.trials,
            "folds": [dict(fold) for fold in self.folds],
            "figures": {
                name: {key: found.as_json() for key, found in row.items()} for name, row in self.figures.items()
            },
            "average_precision_by_month": {
                name: {month_text(month): round(found, 6) for month, found in row.items()}
                for name, row in self.months.items()
            },
            **{key: section.card() for key, section in self.sections.items()},
        }

    def lines(self) -> list[str]:
        """Return what was learned from, and on what it was judged."""
        every = (
            "every month"
            if self.step == 1
            else f"every {self.step} months, to stay within the budget of months and rows"
        )
        told = [
            f"{self.risk}: {self.rows:,} rows, {self.positives:,} positive ({self.positives / self.rows:.1%}), "
            f"{self.inputs} features, as-ofs {month_text(self.as_ofs[0])} to {month_text(self.as_ofs[-1])} ({every}), "
            f"known by {month_text(self.until)}"
        ]
        for number, fold in enumerate(self.folds, 1):
            told.append(
                f"  fold {number}: trained to {fold['train_to']}, embargo {fold['embargo_months']} months, "
                f"tested {', '.join(fold['test'])}: {fold['test_rows']:,} rows, {fold['test_positives']:,} positive"
            )
        if self.trials:
            told.append(
                "  a recipe was searched on all folds but the newest: on these it looks a little better than it is; "
                "the newest alone is told below"
            )
        return told

    def table(self) -> Table:
        """Return the table of contenders by metric."""
        table = Table(box=box.SIMPLE, caption=CAPTION)
        table.add_column("")
        for contender in self.figures:
            table.add_column(contender, justify="right", no_wrap=True)
        for metric, label in SHOWN.items():
            table.add_row(label, *(_cell(row[metric]) for row in self.figures.values()))
        return table

    def text(self) -> str:
        """Return the report as it is printed."""
        terminal = Terminal(width=max(80, 24 + 24 * len(self.figures)), force_terminal=False, color_system=None)
        with terminal.capture() as capture:
            terminal.print(self.table())
        audits = [line for section in self.sections.values() for line in section.lines()]
        return "\n".join([*self.lines(), capture.get().rstrip(), *audits])


def _fold_row(rows: TrainingSet, fold: Fold) -> dict[str, Any]:
    test = rows.at(fold.test)
    return {
        "train_from": month_text(fold.train[0]),
        "train_to": month_text(fold.train[-1]),
        "embargo_months": fold.horizon + fold.maturity,
        "test": [month_text(month) for month in fold.test],
        "train_rows": len(rows.at(fold.train)),
        "test_rows": len(test),
        "test_positives": int(test.label.sum()),
    }


def _cell(found: Figure) -> str:
    if found.value != found.value:
        return "–"
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"
