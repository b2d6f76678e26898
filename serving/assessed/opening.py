"""One person's figures opened down to their events, from the stored histories of this person alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from features.assessment.export import as_records
from features.assessment.ground.assessable import assessable
from features.assessment.opened import opened
from serving.persons.own_histories import mark_of, own_histories
from serving.scored.kept import Newest

KEPT = 32
"""So many persons' opened figures are kept."""


@dataclass(frozen=True)
class Behind:
    """What stands behind a person's figures: event rows and ledger entries, each with its ``event_id``."""

    events: list[dict[str, Any]]
    entries: list[dict[str, Any]]


_behind: Newest[Behind] = Newest(KEPT)


def behind(home: Path, officer_id: str, as_of: int) -> Behind:
    """Return the events and the ledger entries behind a person's figures, as known at the end of a month.

    Only this person's rows are read, so that it takes the same in a small force and in a large one. A Refusal where
    nothing was ingested here, or the person was in no post.
    """
    return _behind.of((mark_of(home), officer_id, as_of), lambda: _opened(home, officer_id, as_of))


def _opened(home: Path, officer_id: str, as_of: int) -> Behind:
    given, ids = own_histories(home, officer_id)
    inside = opened(assessable(given, as_of), officer_id)
    return Behind(_with_ids(inside.events, ids), _with_ids(inside.entries, ids))


def _with_ids(table: pd.DataFrame, ids: list[str | None]) -> list[dict[str, Any]]:
    told = as_records(table.drop(columns="row"))
    return [{**record, "event_id": ids[row]} for record, row in zip(told, table["row"], strict=True)]
