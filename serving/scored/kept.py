"""Values that stay as they are while a list stands, or while nothing in the store changes: kept, not made again."""

import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

from fastapi import Request
from sqlalchemy import Engine, bindparam, select
from sqlalchemy.orm import Session

from serving.access.audit import HEAD
from serving.access.sight import Sight
from serving.access.tables import AuditHead, AuditRow
from serving.database import WRITES, transaction
from serving.tables import Batch

Value = TypeVar("Value")
Answer = tuple[bytes, dict[str, str]]
"""Body and headers."""
MOST = 64
MOST_READS = 512
MOST_VALUES = 256
"""Values of what people look at one by one: each some 10 to 500 kB."""
LARGEST = 1_000_000
"""An answer of more bytes is made again each time: so many of them would fill the memory."""
CHANGES_NOTHING = frozenset({"looked", "refused", "signed in", "sign-in failed", "list exported", "what-if asked"})
"""Actions of the audit chain after which every list reads as before."""


class Newest(Generic[Value]):
    """So many values by what they were made of, those asked for last; who asks for one that is being made waits."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._making: dict[Hashable, Lock] = {}

    def of(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made if it is not there; what can't be made is not kept.

        ``make`` asks for nothing that is kept here.
        """
        with self._lock:
            if key in self._values:
                return self._again(key)
            turn = self._making.setdefault(key, Lock())
        with turn:
            with self._lock:
                if key in self._values:
                    return self._again(key)
            try:
                return self._keep(key, make())
            finally:
                with self._lock:
                    self._making.pop(key, None)

    def _again(self, key: Hashable) -> Value:
        self._values.move_to_end(key)
        return self._values[key]

    def _keep(self, key: Hashable, made: Value) -> Value:
        with self._lock:
            self._values[key] = made
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made

    def forget(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._values.clear()


class Kept(Generic[Value]):
    """The newest values by list and by what the caller may see; one scored anew or reordered is another."""

    def __init__(self) -> None:
        self._values: Newest[Value] = Newest(MOST)

    def of(self, batch: Batch, sight: Sight, make: Callable[[], Value]) -> Value:
        """Return the value of a list for a sight, made if it is not there."""
        return self._values.of((batch.id, batch.scored_at, batch.reordered, batch.risk, sight), make)


class Unchanged:
    """Answers and values by what was asked, while nothing in the store changes: a change has its row in the chain."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reads: dict[tuple[int, str], str] = {}
        """Number and hash of a row of the chain -> the hash of the last one by then that changed something."""
        self._newest = -1, ""
        self._answers: OrderedDict[tuple[str, Hashable], Answer] = OrderedDict()
        self._values: Newest[Any] = Newest(MOST_VALUES)

    def of(self, session: Session, asked: Hashable, make: Callable[[], Answer]) -> Answer:
        """Return the body and headers of an answer, made if they are not there or if anything was changed since.

        ``asked`` must hold all that the answer depends on beside the store: also what the caller may see.
        """
        key = (self._last_change(session), asked)
        found = self._answers.get(key)
        if found is None:
            found = make()
            with self._lock:
                if len(found[0]) <= LARGEST:
                    self._answers[key] = found
                while len(self._answers) > MOST:
                    self._answers.popitem(last=False)
        return found

    def again(self, session: Session, asked: Hashable) -> Answer | None:
        """Return what ``of`` would without making anything; None where it would have to."""
        return self._answers.get((self._last_change(session), asked))

    def find(self, wanted: Callable[[Hashable], bool]) -> Hashable | None:
        """Return something asked whose answer is kept, fresh or not, and that is wanted. The store is not read."""
        with self._lock:
            return next((asked for _, asked in self._answers if wanted(asked)), None)

    def value(self, session: Session, asked: Hashable, make: Callable[[Session], Value]) -> Value:
        """Return what ``make`` gives of a session, made if it is not there or if anything was changed since.

        ``asked`` must hold all that the value depends on beside the store: also what the caller may see. The value is
        read by many, so that nobody may change it; it is made in a session of its own, which has ended well before it
        is kept: rows in it stay as they were read, whatever becomes of the request. For a session that writes it is
        made of what that one sees, and not kept.
        """
        engine = session.get_bind()
        if not isinstance(engine, Engine) or engine.get_execution_options().get(WRITES, True):
            return make(session)

        def made() -> Value:
            with transaction(engine, writes=False) as own:
                return make(own)

        value: Value = self._values.of((self._last_change(session), asked), made)
        return value

    def _last_change(self, session: Session) -> str:
        """The hash of the last row that changed something, in the chain as this session sees it.

        One that began earlier than another may see less of it. Where the chain is not the one known (a store that
        was restored), nothing that was kept is asked for again.
        """
        end = session.info.get(HEAD) or session.execute(_HEAD).one_or_none() or (0, uuid.uuid4().hex)
        number, mark = end
        with self._lock:
            known = self._reads.get((number, mark))
            before = max((read for read in self._reads if read[0] < number), default=None)
        if known is not None:
            return known
        rows = session.execute(_SINCE, {"number": before[0], "until": number}).all() if before else []
        follows = before is not None and bool(rows) and rows[0].previous == before[1]
        last = next((row.hash for row in reversed(rows) if row.action not in CHANGES_NOTHING), "")
        with self._lock:
            changed = (last or self._reads.get(before or (0, ""), mark)) if follows else mark
            self._remember(number, mark, changed, follows=follows)
        return changed

    def _remember(self, number: int, mark: str, changed: str, *, follows: bool) -> None:
        """Keep how far the chain was read; what was made before a change is let go. Under the lock."""
        if not follows:
            self._reads.clear()
        for read in sorted(self._reads)[: MOST_READS // 2] if len(self._reads) >= MOST_READS else ():
            del self._reads[read]
        self._reads[number, mark] = changed
        if number > self._newest[0] or not follows:
            if changed != self._newest[1]:
                self._values.forget()
            self._newest = number, changed


def unchanged_of(request: Request) -> Unchanged:
    """Return what the service keeps while nothing changes."""
    held: Unchanged = request.app.state.unchanged
    return held


_HEAD = select(AuditHead.number, AuditHead.hash).where(AuditHead.id == 1)
_SINCE = (
    select(AuditRow.action, AuditRow.previous, AuditRow.hash)
    .where(AuditRow.number > bindparam("number"), AuditRow.number <= bindparam("until"))
    .order_by(AuditRow.number)
)
