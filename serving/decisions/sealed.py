"""What a row says, as a digest: of a decision in its row of the log, of a whole list in its publication.

The columns are written down here, so that a column which comes later leaves the digests of before as they are.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Text, cast, select
from sqlalchemy.orm import Session

from serving.access.audit import canonical
from serving.scored.lists import set_aside_value
from serving.tables import Batch, ProfileRow, Reasons, Score, Table, UnitShareRow

SEAL = 20
"""So many hexadecimal figures of a SHA-256 stand in a row of the log."""
FORM = "2:"
"""The digest of a list begins so; one without it holds ranks, scores and contributions only, as they were first."""
WHOLE = 64
"""Characters of a list's digest."""
AT_A_TIME = 1_000

REVIEW = ("flag_id", "version", "decision", "reason", "action", "by", "at", "as_of")
FEEDBACK = ("risk", "as_of", "officer_id", "measure", "verdict", "note", "by", "role", "at")
CONTESTED = ("officer_id", "against", "purpose", "risk", "as_of", "event_ids", "measure", "told", "made_at", "due_on")
DECIDED = ("status", "answer", "decided_by", "decided_at")
RERUN = ("before", "without")
ASKED = ("officer_id", "kind", "told", "made_at")
ANSWERED = ("answered_by", "answered_at", "answer")
CONSENT = ("officer_id", "basis", "given_on", "withdrawn_on", "by", "counts_until")
RESCORED = ("risk", "as_of", "officer_id", "cause", "at", "score")

BATCH = ("risk", "as_of", "model_version", "scored_at", "cohort", "capacity", "horizon_months", "purpose",
         "recorded_until", "profile_digest", "base_value", "groups", "labels", "post_means", "months", "medians", "run",
         "reordered", "histories_version", "known_digest", "served")  # fmt: skip
ROWS: tuple[tuple[type[Table], tuple[str, ...]], ...] = (
    (Score, ("officer_id", "post", "unit", "probability", "low", "high", "rank", "evidence", "previous_rank",
             "part_post", "part_unit", "part_person")),
    (Reasons, ("officer_id", "contributions", "strongest", "history")),
    (UnitShareRow, ("unit", "people", "elevated", "shared", "verdict", "carried", "levers")),
)  # fmt: skip
"""The tables that a list consists of besides its own row, and what of them it says."""


def seal(row: Table, names: Sequence[str], *more: Any) -> str:
    """Return the digest of some columns of a row, and of what else it is about."""
    told = [*(getattr(row, name) for name in names), *more]
    return hashlib.sha256(canonical(told).encode()).hexdigest()[:SEAL]


def digest_of(session: Session, batch: Batch, *, by: str = "", at: dt.datetime | None = None) -> str:
    """Return the digest of all that a list says, by whom and when it was published, and of the profile it needs."""
    profile = session.get(ProfileRow, batch.profile_digest)
    told = [by, at, [getattr(batch, name) for name in BATCH], profile.content if profile else None,
            *(_rows(session, batch, table, names) for table, names in ROWS)]  # fmt: skip
    return (FORM + hashlib.sha256(canonical(told).encode()).hexdigest())[:WHOLE]


def first_digest_of(session: Session, batch: Batch) -> str:
    """Return the digest as lists bore it at first: model, data, policy, everybody's rank, score and contributions."""
    people, contributions = set_aside_value(session, batch)
    made_of = [batch.risk, str(batch.as_of), batch.run, batch.model_version, batch.known_digest, batch.profile_digest]
    told = [*made_of, batch.capacity, batch.base_value, people, contributions]
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(session: Session, batch: Batch, table: Any, names: Sequence[str]) -> list[str]:
    """The digests of a list's rows in a table, in an order that every database gives; JSON as the text it is kept as.

    It is written in one way by every engine (database.py), a copy's too; read and written again it takes five times.
    """
    columns = [getattr(table, name) for name in names]
    columns = [cast(each, Text) if isinstance(each.type, JSON) else each for each in columns]
    rows = session.execute(
        select(*columns).where(table.batch_id == batch.id), execution_options={"yield_per": AT_A_TIME}
    )
    return sorted(hashlib.sha256(canonical(list(row)).encode()).hexdigest() for row in rows)
