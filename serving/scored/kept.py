"""Values that stay as they are while a list stands, or while nothing in the store changes: kept, not made again."""

import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from serving.access.audit import HEAD
from serving.access.sight import Sight
from serving.access.tables import AuditHead, AuditRow
from serving.tables import Batch

Value = TypeVar("Value")
MOST = 64
LARGEST = 1_000_000
"""An answer of more bytes is made again each time: so many of them would fill the memory."""
CHANGES_NOTHING = frozenset({"looked", "refused", "signed in", "sign-in failed", "list exported", "what-if asked"})
"""Actions of the audit chain after which every list reads as before."""


class Kept(Generic[Value]):
    """The newest values by list and by what the caller may see; a list scored anew is another list."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def of(self, batch: Batch, sight: Sight, make: Callable[[], Value]) -> Value:
        """Return the value of a list for a sight, made if it is not there."""
        key = (batch.id, batch.scored_at, batch.risk, sight)
        if key not in self._values:
            self._values[key] = make()
            while len(self._values) > MOST:
                self._values.popitem(last=False)
        return self._values[key]


@dataclass(frozen=True)
class _Read:
    """How far the audit chain was read, and the hash of the last row by then that changed something."""

    number: int
    hash: str
    changed: str


class Unchanged:
    """Answers by what was asked, as long as nothing in the store changes: every change has its row in the chain."""

    def __init__(self) -> None:
        self._read = _Read(-1, "", "")
        self._answers: OrderedDict[Hashable, tuple[bytes, dict[str, str]]] = OrderedDict()

    def of(
        self, session: Session, asked: Hashable, make: Callable[[], tuple[bytes, dict[str, str]]]
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and headers of an answer, made if they are not there or if anything was changed since.

        ``asked`` must hold all that the answer depends on beside the store: also what the caller may see.
        """
        key = (self._last_change(session), asked)
        found = self._answers.get(key)
        if found is None:
            found = make()
            if len(found[0]) <= LARGEST:
                self._answers[key] = found
            while len(self._answers) > MOST:
                self._answers.popitem(last=False)
        return found

    def _last_change(self, session: Session) -> str:
        """The hash of the chain's last row that changed something; the chain's own where it is not the one known."""
        read = self._read
        number, mark = session.info.get(HEAD) or session.execute(_HEAD).one_or_none() or (0, uuid.uuid4().hex)
        if (number, mark) == (read.number, read.hash):
            return read.changed
        rows = session.execute(_SINCE, {"number": read.number}).all() if 0 <= read.number < number else []
        changed = mark
        if rows and rows[0].previous == read.hash:
            changed = next((row.hash for row in reversed(rows) if row.action not in CHANGES_NOTHING), read.changed)
        self._read = _Read(number, mark, changed)
        return changed


_HEAD = select(AuditHead.number, AuditHead.hash).where(AuditHead.id == 1)
_SINCE = (
    select(AuditRow.action, AuditRow.previous, AuditRow.hash)
    .where(AuditRow.number > bindparam("number"))
    .order_by(AuditRow.number)
)
