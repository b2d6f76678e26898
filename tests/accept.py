"""The acceptance tables of `make accept`: what takes longer than the tests may. Each figure is measured here.

`make accept ARGS="chicago"` or ARGS="simulated" runs one part.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score

from features.engine import feature_rows
from features.histories.store import load_histories
from features.labels import labels
from features.months import parse_month
from tests.accept_assessment import assessed
from tests.accept_dask import spread
from tests.accept_door import door
from tests.accept_effects import effects, training_effect
from tests.accept_intervals import intervals
from tests.accept_mentoring import mentored
from tests.accept_monitor import monitored_forces
from tests.accept_rest import rested
from tests.accept_reviewers import reviewers
from tests.accept_stories import told
from tests.accept_treated import treated
from tests.test_real_histories import CHICAGO
from training.dataset import MOST_ROWS, TrainingSet, training_set
from training.judging import rivals as plain_models
from training.judging.rivals import rivals

JINGXING = Path(sys.executable).parent / "jingxing"
CHICAGO_MONTHS = ("2011-03", "2011-06", "2011-09")
CHICAGO_GOALS = {"repeat_complaints": 1.03, "injury": 1.02}
SEEDS = (1, 2, 3)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the figure, the goal, and whether it was met."""

    what: str
    figure: str
    goal: str
    met: bool


def run(home: Path, *words: str | Path) -> float:
    """Run the program as a user would; return its seconds. A failed command ends the acceptance with its message."""
    start = time.perf_counter()
    done = subprocess.run([JINGXING, "--home", home, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"jingxing {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - start


def chicago(home: Path) -> Iterator[Row]:
    """Real histories: the search's time, and average precision beside the rivals on simple counts, all rows given."""
    plain_models.LOGISTIC_ROWS = MOST_ROWS
    seconds = run(home, "ingest", CHICAGO, "--profile", CHICAGO / "profile")
    for risk, goal in CHICAGO_GOALS.items():
        plain = run(home, "train", "--risk", risk, "--until", "2010-12")
        if risk == "repeat_complaints":
            whole = seconds + plain + run(home, "score", "--as-of", "2011-06", "--risk", risk)
            yield Row("chicago: ingest, train, score", f"{whole:.0f} s", "300 s", whole < 300)
        took = run(home, "train", "--risk", risk, "--until", "2010-12", "--trials", "20")
        yield Row(f"chicago: {risk}, train --trials 20", f"{took:.0f} s", "under 900 s", took < 900)
        yield from _against_rivals(home, risk, goal)


def _against_rivals(home: Path, risk: str, goal: float) -> Iterator[Row]:
    given = load_histories(home)
    train, months = training_set(given, risk, until=parse_month("2010-12")), [parse_month(m) for m in CHICAGO_MONTHS]
    test = _judged_set(train, given, months)
    scores = {rival.name: rival.score(train, test) for rival in rivals(given.profile.risks[risk], train.names)}
    precision = {name: _by_month(test, score) for name, score in scores.items()}
    found = pd.concat([_scored(home, risk, month) for month in CHICAGO_MONTHS])
    mine = found.set_index(["officer_id", "as_of"])["probability"]
    place = pd.MultiIndex.from_arrays([given.officers[test.officer], test.as_of])
    probability = mine.loc[place].to_numpy()
    ours, best = _by_month(test, probability), max(precision, key=lambda name: precision[name])
    told, ratio = ", ".join(f"{name} {value:.4f}" for name, value in precision.items()), ours / precision[best]
    yield Row(
        f"chicago: {risk}, average precision",
        f"{ours:.4f}, ratio {ratio:.3f} ({told})",
        f"{goal} of the best rival",
        ratio >= goal,
    )
    error = calibration_error(probability, test.label)
    yield Row(f"chicago: {risk}, calibration error", f"{error:.4f}", "at most 0.012", error <= 0.012)


def _judged_set(train: TrainingSet, given: Any, months: list[int]) -> TrainingSet:
    rows, outcome = feature_rows(given, months, names=train.names), labels(given, train.risk, months)
    known = ~np.isnan(outcome.label)
    taken = rows.take(known)
    label = outcome.label[known].astype(np.float32)
    parts = {"officer": taken.officer, "as_of": taken.as_of, "values": taken.values, "label": label}
    return replace(train, third=np.zeros(len(label), np.int32), **parts)


def _scored(home: Path, risk: str, month: str) -> pd.DataFrame:
    out = home / f"{risk}-{month}.parquet"
    run(home, "score", "--as-of", month, "--risk", risk, "--model", "latest", "--out", out)
    return pd.read_parquet(out, columns=["officer_id", "probability"]).assign(as_of=parse_month(month))


def _by_month(test: TrainingSet, score: Array) -> float:
    found = [
        average_precision_score(test.label[test.as_of == m], score[test.as_of == m]) for m in np.unique(test.as_of)
    ]
    return float(np.mean(found))


def calibration_error(probability: Array, label: Array) -> float:
    """Return the mean distance of probability and frequency over ten bins of equal counts."""
    bins = np.array_split(np.argsort(probability, kind="stable"), 10)
    return float(np.mean([abs(probability[part].mean() - label[part].mean()) for part in bins]))


def simulated(home: Path) -> Iterator[Row]:
    """The simulated force: average precision beside that of the true probabilities, and calibration."""
    for seed in SEEDS:
        own = home / str(seed)
        own.mkdir()
        run(own, "simulate", "--officers", "2000", "--months", "48", "--seed", str(seed), "--out", own / "export")
        run(own, "ingest", own / "export")
        for risk in ("burnout", "efficiency_decline"):
            run(own, "train", "--risk", risk, "--until", "2023-12")
            yield from _beside_truth(own, risk, seed)


def _beside_truth(home: Path, risk: str, seed: int) -> Iterator[Row]:
    last = "2024-06" if risk == "burnout" else "2024-09"
    run(home, "labels", "--risk", risk, "--from", "2024-01", "--as-of", last, "--out", home / "labels.parquet")
    months = [str(month) for month in pd.period_range("2024-01", last, freq="M")]
    scores = pd.concat([_scored(home, risk, month) for month in months])
    truth = pd.read_parquet(home / "export" / "truth.parquet").query("risk == @risk")
    table = pd.read_parquet(home / "labels.parquet").dropna(subset=["label"])
    table = table.merge(truth.rename(columns={"probability": "truth"}), on=["officer_id", "as_of"])
    table = table.assign(month=table["as_of"].dt.year * 12 + table["as_of"].dt.month - 1)
    table = table.merge(scores.rename(columns={"as_of": "month"}), on=["officer_id", "month"])
    label = table["label"].to_numpy(dtype=float)
    parts = [
        (group["label"].astype(float), group["probability"], group["truth"]) for _, group in table.groupby("month")
    ]
    mine, best = (np.mean([average_precision_score(part[0], part[n]) for part in parts]) for n in (1, 2))
    error = calibration_error(table["probability"].to_numpy(), label)
    where = f"simulated, seed {seed}: {risk}"
    figure = f"{mine:.3f} of {best:.3f}, ratio {mine / best:.3f} (base rate {label.mean():.3f})"
    yield Row(f"{where}, average precision", figure, "0.85 of the truth's", mine / best >= 0.85)
    yield Row(f"{where}, calibration error", f"{error:.4f}", "at most 0.02", error <= 0.02)


PARTS = {
    "chicago": chicago,
    "simulated": simulated,
    "monitor": lambda _: starmap(Row, monitored_forces()),
    "intervals": lambda home: starmap(Row, intervals(home)),
    "treated": lambda _: starmap(Row, treated()),
    "rest": lambda _: starmap(Row, rested()),
    "mentoring": lambda _: starmap(Row, mentored()),
    "assessment": lambda _: starmap(Row, assessed()),
    "effects": lambda _: starmap(Row, effects()),
    "training_effect": lambda home: starmap(Row, training_effect(home)),
    "reviewers": lambda home: starmap(Row, reviewers(home)),
    "door": lambda _: starmap(Row, door()),
    "dask": lambda home: starmap(Row, spread(home)),
    "stories": lambda home: starmap(Row, told(home)),
}


def main(chosen: list[str]) -> int:
    """Run the parts, print the table as it grows, and say by the exit code whether every goal was met."""
    console, rows = Console(width=170), []
    for name in chosen or list(PARTS):
        if name == "chicago" and not CHICAGO.is_dir():
            console.print(f"No real histories at {CHICAGO}; set JINGXING_REAL. Left out.")
            continue
        with tempfile.TemporaryDirectory(prefix="jingxing-accept-") as folder:
            for row in PARTS[name](Path(folder)):
                rows.append(row)
                console.print(f"{'met   ' if row.met else 'MISSED'} {row.what}: {row.figure}; goal: {row.goal}")
    table = Table(title="Acceptance: the main job")
    for column in ("", "measured", "goal", ""):
        table.add_column(column)
    for row in rows:
        table.add_row(row.what, row.figure, row.goal, "met" if row.met else "missed")
    console.print(table)
    console.print(json.dumps({row.what: row.figure for row in rows}, ensure_ascii=False), highlight=False)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
