"""Training past one machine: rows are made block by block by workers, and the final trees are grown by all of them.

Folds, rivals and audits are of the whole force where one machine can hold it, else of every k-th block of officers,
with the figures of everyone. The final fit is of everyone, by LightGBM's Dask estimator.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.labels import labels
from features.others import Told
from features.parts.blocks import Block, blocks_of, joined_histories
from features.parts.passes import (
    FeaturesOf,
    LabelsOf,
    Question,
    Shared,
    extent_of,
    joined_rows,
    shared_figures,
    spread_rows,
)
from features.parts.workers import Workers
from features.profile_rows import IndexOutcome
from training.dataset import TrainingSet, last_month, training_months
from training.fitting import settings_of
from training.folds import temporal_folds
from training.grown import grown
from training.judging.comparison import Incumbent
from training.judging.search import NO_SEARCH, Search
from training.recipe import Recipe
from training.train import Trained, train_all

JUDGED = 30_000
"""So many officers are judged on one machine: the largest bureau. Of a larger force every k-th block is."""

Floats = npt.NDArray[np.float32]
Arrays = tuple[Floats, Floats, Floats]
"""Values [row, input], labels and weights of one block."""


@dataclass(frozen=True)
class InParts:
    """What the card and the terminal say of a training that was spread."""

    officers: int
    judged: int
    blocks: int
    workers: int
    rows: int
    weighed: bool

    def card(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Return one or two sentences."""
        judged = "all" if self.judged == self.officers else f"{self.judged:,}"
        told = [
            f"  past one machine: {self.blocks} blocks of officers on {self.workers} workers; judged on {judged} of "
            f"{self.officers:,} officers, fitted to {self.rows:,} rows of everyone"
        ]
        if not self.weighed:
            told.append("  help after a flag is not weighed: the force is larger than what is judged on one machine")
        return told


def train_in_parts(
    home: Path,
    risks: Sequence[str],
    workers: Workers,
    *,
    until: int | None = None,
    search: Search = NO_SEARCH,
    incumbents: Mapping[str, Incumbent] | None = None,
    progress: Callable[[int], None] | None = None,
    blocks: Sequence[Block] = (),
) -> dict[str, Trained | Refusal]:
    """Return what ``train_all`` returns for the stored force, with features and the final fit made by workers.

    ``blocks`` default to those of the store. Raises what ``train_all`` raises.
    """
    every = blocks or blocks_of(home)
    judged = every[:: -(-sum(map(len, every)) // JUDGED)]
    extent = extent_of(workers, every)
    given = joined_histories([block.histories() for block in judged])
    given = replace(given, others=Told(extent, complete=True))
    end = last_month(given, until)
    wanted = _wanted(given, risks, until)
    features = FeaturesOf(
        tuple(sorted({month for months, _ in wanted.values() for month in months})),
        tuple(dict.fromkeys(name for _, columns in wanted.values() for name in columns)),
    )
    questions: list[Question] = [
        features,
        *(each for risk in wanted for each in _of_labels(given, risk, wanted[risk][0], end)),
    ]
    shared = shared_figures(workers, every, questions, until=end, extent=extent)
    complete = len(judged) == len(every)
    given = replace(given, others=Told(extent, shared.totals, complete=complete))
    return train_all(
        given,
        risks,
        until=until,
        search=search,
        incumbents=incumbents,
        progress=progress,
        shared=_rows_of(workers, judged, shared, features),
        grow=Grower(workers, tuple(every), shared, wanted, judged=sum(map(len, judged))),
    )


Wanted = Mapping[str, tuple[list[int], tuple[str, ...]]]
"""The as-ofs and columns of each risk that can be trained at all."""


def _wanted(given: Histories, risks: Sequence[str], until: int | None) -> Wanted:
    found = {}
    for risk in risks:
        try:
            found[risk] = training_months(given, risk, until=until)
        except Refusal:
            continue  # train_all will say it of this risk, and the others go on
    return found


def _of_labels(given: Histories, risk: str, as_ofs: list[int], end: int) -> list[LabelsOf]:
    """Labels of the index, as known at the end and when each fold's test may begin."""
    rule = given.profile.risks[risk]
    if not isinstance(rule.outcome, IndexOutcome):
        return []
    try:
        folds = temporal_folds(as_ofs, horizon=rule.horizon_months, maturity=rule.maturity_months)
    except Refusal:
        return []  # train_all will say it of this risk
    known = sorted({end, *(month for fold in folds for month in fold.test)})
    return [LabelsOf(risk, tuple(as_ofs), month) for month in known]


def _rows_of(workers: Workers, judged: Sequence[Block], shared: Shared, features: FeaturesOf) -> FeatureRows | None:
    """The feature rows of those who are judged, for all risks; their officers are places among them."""
    if not features.as_ofs:
        return None
    found, before = [], 0
    for block, rows in spread_rows(workers, judged, shared, features):
        found.append(replace(rows, officer=(rows.officer - block.first + before).astype(np.int32)))
        before += len(block)
    return joined_rows(found)


@dataclass(frozen=True)
class Grower:
    """Grows the boosters of a final fit on the rows of every block, and keeps how many rows each risk had.

    ``judged`` of its officers were judged on this machine.
    """

    workers: Workers
    blocks: tuple[Block, ...]
    shared: Shared
    wanted: Wanted
    judged: int
    fitted: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everyone was judged, too."""
        return self.judged == sum(map(len, self.blocks))

    def __call__(
        self, rows: TrainingSet, inputs: tuple[str, ...], signs: Sequence[int], recipe: Recipe, *, trees: int
    ) -> tuple[lgb.Booster, ...]:
        """Return the boosters of the recipe's bag, in the place of those that one machine would grow."""
        settings = [settings_of(rows, signs, {**recipe.settings, **each}) for each in recipe.bag]
        make = partial(_arrays, rows.risk, tuple(self.wanted[rows.risk][0]), rows.as_ofs, inputs)
        parts = [self.workers.begun(make, block, *self._of(rows, block)) for block in self.blocks]
        boosters, self.fitted[rows.risk] = grown(self.workers, parts, settings, names=inputs, trees=trees)
        return boosters

    def told(self, rows: TrainingSet) -> InParts:
        """Return what the report says of it."""
        officers, number = sum(map(len, self.blocks)), self.fitted[rows.risk]
        return InParts(officers, self.judged, len(self.blocks), self.workers.size, number, self.complete)

    def _of(self, rows: TrainingSet, block: Block) -> tuple[Shared, Floats | None]:
        """What a worker is given for a block: the figures of everyone, and the weights of its rows if they differ."""
        shared = replace(self.shared, totals=self.shared.told(block).totals)
        if not self.complete or (rows.weight == 1).all():
            return shared, None
        first, after = np.searchsorted(rows.officer, [block.first, block.after])
        return shared, rows.weight[first:after]


def _arrays(
    risk: str,
    as_ofs: tuple[int, ...],
    closed: tuple[int, ...],
    inputs: tuple[str, ...],
    block: Block,
    shared: Shared,
    weight: Floats | None,
) -> Arrays:
    """The rows of one block with a known label, at the as-ofs whose labels are closed."""
    given = shared.histories(block, Told(shared.extent, shared.totals))
    rows = feature_rows(given, as_ofs, names=inputs)
    label = labels(given, risk, as_ofs, until=shared.until).label
    kept = ~np.isnan(label) & np.isin(rows.as_of, closed)
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    return rows.values[kept], label[kept].astype(np.float32), ones if weight is None else weight
