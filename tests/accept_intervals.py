"""A part of `make accept`: on the simulated force the true mean of groups lies in their mean interval."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.engine import feature_rows
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.months import last_day, parse_month, timestamps
from features.simulation import simulate, write_export
from training.dataset import training_set
from training.fitting import fit
from training.guards import guarded, reason_audit
from training.models.evidence import SUFFICIENT
from training.recipe import STANDARD

GROUPS = 20
SEEDS = (1, 2, 3)
Array = npt.NDArray[Any]
Told = tuple[str, str, str, bool]
"""What was measured, the figure, the goal, and whether it was met."""


def intervals(home: Path) -> Iterator[Told]:
    """Coverage of twenty groups by predicted probability, over six months after training and month by month."""
    for seed in SEEDS:
        own = home / f"intervals-{seed}"
        own.mkdir()
        write_export(simulate(officers=2000, months=48, seed=seed), own / "export")
        ingest(own / "export", home=own, profile="gongan", strict=False)
        for risk in ("burnout", "efficiency_decline"):
            yield from _one(own, risk, seed)


def _one(home: Path, risk: str, seed: int) -> Iterator[Told]:
    given = load_histories(home)
    rows = training_set(given, risk, until=parse_month("2023-12"))
    fitted = fit(rows, given.profile)
    model = guarded(fitted.model(risk), rows, given.profile, made=(STANDARD, fitted))
    later = feature_rows(given, range(parse_month("2024-01"), parse_month("2024-06") + 1), names=model.names)
    probability, low, high = model.probability_and_interval(later)
    truth = pd.read_parquet(home / "export" / "truth.parquet").query("risk == @risk")
    place = pd.MultiIndex.from_arrays([given.officers[later.officer], timestamps(last_day(later.as_of))])
    true = truth.set_index(["officer_id", "as_of"])["probability"].reindex(place).to_numpy()
    together = _covered(np.arange(len(later)), probability, low, high, true)
    months = [_covered(np.flatnonzero(later.as_of == m), probability, low, high, true) for m in np.unique(later.as_of)]
    where, width = f"simulated, seed {seed}: {risk}", float((high - low).mean())
    yield (f"{where}, intervals, pooled", f"{together:.2f}, width {width:.3f}", "at least 0.9", together >= 0.9)
    monthly = float(np.mean(months))
    yield (f"{where}, intervals, month by month", f"{monthly:.2f}", "at least 0.9", monthly >= 0.9)
    posts = np.asarray(given.posts)[later.post]
    abstained = float((model.evidence(later, posts) != SUFFICIENT).mean())
    yield (f"{where}, insufficient evidence", f"{abstained:.2%}", "at most 1 %", abstained <= 0.01)
    told = reason_audit(model, rows)
    figure = f"{told.passed_first:.0%} of the first three, likeness of persons {told.likeness:.2f}"
    yield (f"{where}, reasons that pass the gate", figure, "(told, no goal here)", True)


def _covered(rows: Array, probability: Array, low: Array, high: Array, truth: Array) -> float:
    groups = np.array_split(rows[np.argsort(probability[rows], kind="stable")], GROUPS)
    return float(np.mean([low[part].mean() <= np.nanmean(truth[part]) <= high[part].mean() for part in groups]))
