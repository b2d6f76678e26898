"""The passes over the blocks: first the figures that officers are held against, added up; then rows, by the engine.

Each pass runs the very functions of one machine on a block's histories; features.others says what they ask for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from features.engine import FeatureRows, feature_rows
from features.histories.tables import Histories
from features.labels import labels
from features.names import parse_name
from features.others import FIRST, SECOND, Extent, Key, Part, Sums, Told
from features.parts.blocks import Block
from features.parts.workers import Workers

Totals = Mapping[Key, Part]
Step = Callable[[int], None]


class Question(Protocol):
    """Something to be made of every block, that holds officers against others."""

    @property
    def last(self) -> int:
        """The last stage of figures that it needs; 0 for none."""

    def ask(self, given: Histories, stage: int) -> None:
        """Run what asks for the figures of a stage."""


@dataclass(frozen=True)
class FeaturesOf:
    """Feature rows at some as-ofs."""

    as_ofs: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def last(self) -> int:
        """The last stage that any of the features needs."""
        return max(map(needs, self.names), default=0)

    def ask(self, given: Histories, stage: int) -> None:
        """Make those features only that need the figures of the stage."""
        chosen = [name for name in self.names if needs(name) >= stage]
        if chosen:
            feature_rows(given, self.as_ofs, names=chosen)


@dataclass(frozen=True)
class LabelsOf:
    """Labels of a risk whose outcome is of the index, at some as-ofs, as known by the end of a month."""

    risk: str
    as_ofs: tuple[int, ...]
    until: int

    @property
    def last(self) -> int:
        """The index needs both stages."""
        return SECOND

    def ask(self, given: Histories, _stage: int) -> None:
        """Make the labels."""
        labels(given, self.risk, self.as_ofs, until=self.until)


@dataclass(frozen=True)
class Shared:
    """What blocks are told of the force: its extent, and the figures of everyone."""

    extent: Extent
    totals: Totals
    until: int | None = None

    def told(self, block: Block) -> Told:
        """Return what one block is told: no units but its own."""
        own = {key: part.of(block.own_units) if isinstance(part, Sums) else part for key, part in self.totals.items()}
        return Told(self.extent, own)

    def histories(self, block: Block, told: Told) -> Histories:
        """Return a block's histories with what it is told."""
        return block.histories(until=self.until, others=told)


def needs(name: str) -> int:
    """Return the last stage of figures that a feature needs; 0 for one that is of the officer alone."""
    part = parse_name(name)
    return SECOND if part.group == "efficiency" else FIRST if part.statistic in ("vs_peers", "unit") else 0


def extent_of(workers: Workers, blocks: Sequence[Block], *, until: int | None = None) -> Extent:
    """Return the first and last days of the force, of what was recorded by the end of a month."""
    found = workers.in_order(partial(_extent, until=until), blocks)
    whole = next(found)
    for each in found:
        whole = whole.joined(each)
    return whole


def shared_figures(
    workers: Workers, blocks: Sequence[Block], questions: Sequence[Question], *, until: int | None = None,
    extent: Extent | None = None, progress: Step | None = None,
) -> Shared:  # fmt: skip
    """Return everyone's figures that the questions ask for, stage by stage, added up in the order of the blocks."""
    shared = Shared(extent or extent_of(workers, blocks, until=until), {}, until)
    for stage in range(FIRST, max(each.last for each in questions) + 1):
        totals: dict[Key, Part] = {}
        asked = tuple(each for each in questions if each.last >= stage)
        tasks = ((block, _slim(shared, block), asked, stage) for block in blocks)
        for part in workers.in_order(_figures, tasks):
            _add(totals, part)
            if progress:
                progress(1)
        shared = replace(shared, totals={**shared.totals, **totals})
    return shared


def spread_rows(
    workers: Workers, blocks: Sequence[Block], shared: Shared, question: FeaturesOf
) -> Iterator[tuple[Block, FeatureRows]]:
    """Yield each block with its feature rows, in order; officers are places in the whole force."""
    tasks = ((block, _slim(shared, block), question) for block in blocks)
    yield from zip(blocks, workers.in_order(_rows, tasks), strict=True)


def spread_tables(
    workers: Workers, blocks: Sequence[Block], shared: Shared, question: FeaturesOf
) -> Iterator[pa.Table]:
    """Yield each block's feature rows as the table of a file: officer_id, as_of, then the features."""
    yield from workers.in_order(_table, ((block, _slim(shared, block), question) for block in blocks))


def joined_rows(parts: Iterable[FeatureRows]) -> FeatureRows:
    """Return the rows of blocks in their order as one table."""
    found = list(parts)
    columns = {name: np.concatenate([getattr(part, name) for part in found]) for name in ROWS}
    return FeatureRows(names=found[0].names, **columns)


ROWS = ("officer", "as_of", "post", "unit", "values")


def _slim(shared: Shared, block: Block) -> Shared:
    return replace(shared, totals=shared.told(block).totals)


def _extent(block: Block, *, until: int | None) -> Extent:
    return block.extent(until=until)


def _figures(task: tuple[Block, Shared, tuple[Question, ...], int]) -> dict[Key, Part]:
    block, shared, questions, stage = task
    told = Told(shared.extent, shared.totals, collects=stage)
    given = shared.histories(block, told)
    for question in questions:
        question.ask(given, stage)
    return told.parts


def _table(task: tuple[Block, Shared, FeaturesOf]) -> pa.Table:
    block, shared, question = task
    given = shared.histories(block, Told(shared.extent, shared.totals))
    frame = feature_rows(given, question.as_ofs, names=question.names).frame(given)
    return pa.Table.from_pandas(frame, preserve_index=False)


def _rows(task: tuple[Block, Shared, FeaturesOf]) -> FeatureRows:
    block, shared, question = task
    given = shared.histories(block, Told(shared.extent, shared.totals))
    rows = feature_rows(given, question.as_ofs, names=question.names)
    return replace(rows, officer=(rows.officer + block.first).astype(np.int32))


def _add(totals: dict[Key, Part], part: dict[Key, Part]) -> None:
    for key, mine in part.items():
        totals[key] = totals[key].joined(mine) if key in totals else mine  # type: ignore[arg-type]
