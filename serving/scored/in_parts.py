"""Scoring past one machine: features, scores and reasons of each block of officers by a worker; ranks are dealt here.

For a file, a cohort goes from the workers to the file, and no history is read here. For the store, the workers make
features and scores; what a page draws of each person is made by score_into_store as ever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import month_text
from features.others import THIRD, Told
from features.parts.blocks import Block
from features.parts.passes import FeaturesOf, Shared, Step, joined_rows, shared_figures
from features.parts.workers import Workers
from serving.scored.scoring import Computed, names_needed, score_table
from training.models.reasons import ask_middles, told_names
from training.models.risk_model import RiskModel, Scores
from training.models.scoring import middles_told, ranks, score_cohort

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ReasonsOf:
    """The reasons of a cohort by a model: its features, and the posts' middles that numbers are told beside."""

    model: RiskModel
    as_of: int

    @property
    def last(self) -> int:
        """The middles need the features."""
        return THIRD

    def names(self, given: Histories) -> tuple[str, ...]:
        """Return the features that scores and reasons are made of."""
        return told_names(given.profile, self.model.names)

    def ask(self, given: Histories, stage: int) -> None:
        """Make the features that need a stage's figures; at last, what the reasons are told beside."""
        names = self.names(given)
        if stage < THIRD:
            FeaturesOf((self.as_of,), names).ask(given, stage)
            return
        rows = feature_rows(given, [self.as_of], names=names)
        ask_middles(self.model.names, rows, middles_told(given, self.as_of))


def steps(blocks: Sequence[Block], models: Sequence[RiskModel]) -> int:
    """Return how many steps score_file takes: each block's figures, stage by stage, then its scores by each model."""
    return len(blocks) * (THIRD + len(models))


def score_file(
    workers: Workers, blocks: Sequence[Block], models: Sequence[RiskModel], as_of: int, out: Path, *, advance: Step
) -> list[dict[str, Any]]:
    """Write the contract's columns of a month's whole cohort, as write_parquet does; return each list in figures.

    ``advance`` is told 1 for each of the steps(). A Refusal where nobody is in the cohort.
    """
    shared = shared_figures(workers, blocks, [ReasonsOf(model, as_of) for model in models], progress=advance)
    tables, told = [], []
    for model in models:
        parts = []
        for part in workers.in_order(partial(_scored, model, as_of), _tasks(blocks, shared)):
            parts.append(part)
            advance(1)
        table = _ranked(parts)
        if not len(table):
            raise Refusal(f"Nobody is in the cohort at {month_text(as_of)}.", hint="Is the month inside the histories?")
        mean = float(np.mean(table["probability"].to_numpy()))
        told.append(
            {"risk": model.risk, "model_version": model.version, "cohort": len(table), "mean_probability": mean}
        )
        tables.append(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables(tables), out)
    return told


def computed_by(
    workers: Workers, blocks: Sequence[Block], given: Histories, models: Sequence[RiskModel], as_of: int
) -> Computed:
    """Return the features of a month's cohort and their scores by each model, for score_into_store."""
    features = FeaturesOf((as_of,), tuple(names_needed(given.profile, models)))
    shared = shared_figures(workers, blocks, [features])
    parts = list(workers.in_order(partial(_computed, tuple(models), features), _tasks(blocks, shared)))
    scores = {model.risk: _joined([part[1][model.risk] for part in parts]) for model in models}
    return Computed(joined_rows(part[0] for part in parts), {(risk, as_of): each for risk, each in scores.items()})


def _tasks(blocks: Sequence[Block], shared: Shared) -> list[tuple[Block, Shared]]:
    return [(block, replace(shared, totals=shared.told(block).totals)) for block in blocks]


def _scored(model: RiskModel, as_of: int, task: tuple[Block, Shared]) -> tuple[pa.Table, Array, Array]:
    """One block's part of the file, by officer and not ranked yet, and the margins and evidence that rank it."""
    block, shared = task
    each = score_cohort(shared.histories(block, Told(shared.extent, shared.totals)), model, as_of)
    order = np.arange(len(each))
    return score_table(each, order), each.margin, each.evidence


def _ranked(parts: Sequence[tuple[pa.Table, Array, Array]]) -> pa.Table:
    """The parts as one table by rank, those without one after all others."""
    table = pa.concat_tables([part[0] for part in parts])
    margin, evidence = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
    rank = ranks(margin, evidence)
    order = np.lexsort((-margin, rank, rank == 0))
    place = table.column_names.index("rank")
    return table.set_column(place, "rank", pa.array(rank, pa.int32(), mask=rank == 0)).take(order)


def _computed(
    models: tuple[RiskModel, ...], features: FeaturesOf, task: tuple[Block, Shared]
) -> tuple[FeatureRows, Mapping[str, Scores]]:
    block, shared = task
    given = shared.histories(block, Told(shared.extent, shared.totals))
    rows = feature_rows(given, features.as_ofs, names=features.names)
    whole = replace(rows, officer=(rows.officer + block.first).astype(np.int32))
    return whole, {model.risk: model.score(rows) for model in models}


def _joined(parts: Sequence[Scores]) -> Scores:
    names = ("margin", "probability", "low", "high", "contributions", "by_feature", "stable")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **joined)
