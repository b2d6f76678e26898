"""The history of the registry: who promoted, rolled back or was refused which version, when, why; a hash chain.

What a row says becomes true when it is written; the registry's aliases follow it. How rows are chained: chain.py.
"""

import datetime as dt
import getpass
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from features.errors import Refusal
from training.registry import chain

PROMOTED, ROLLED_BACK, REFUSED, AFFIRMED = "promoted", "rolled back", "refused", "affirmed"
SERVING = (PROMOTED, ROLLED_BACK, AFFIRMED)
"""Actions after which the version of the row serves; the affirmed one served before, too."""


@dataclass(frozen=True)
class Entry:
    """One row. ``previous`` is the champion until then, ``objections`` are {key, en, zh}, ``before`` is a hash."""

    number: int
    when: str
    who: str
    action: str
    risk: str
    version: str
    previous: str | None
    figures: Mapping[str, Any]
    reason: str
    forced: bool
    objections: Sequence[Mapping[str, str]]
    before: str
    hash: str = ""

    @property
    def head(self) -> str:
        """What is noted outside the file, so that a tail that was cut off is missed: ``number:hash``."""
        return f"{self.number}:{self.hash}"

    @property
    def day(self) -> dt.date:
        """The day, in this machine's time zone."""
        return dt.datetime.fromisoformat(self.when).astimezone().date()


@dataclass(frozen=True)
class Production:
    """A version that served: since when, by whose word, and what the gate had against it where it was forced."""

    risk: str
    version: str
    since: str
    by: str
    reason: str
    forced: bool
    objections: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Act:
    """What is to be written: an entry without its place in the chain."""

    who: str
    action: str
    risk: str
    version: str
    previous: str | None
    reason: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    forced: bool = False
    objections: Sequence[Mapping[str, str]] = ()


def os_user() -> str:
    """Return who runs this program, for a signature; ``unknown`` where the machine does not say."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def now() -> str:
    """Return this moment in UTC, to the second, as rows hold it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def entries(path: Path) -> list[Entry]:
    """Return the rows, oldest first; a Refusal where one can't be read."""
    try:
        return [Entry(**row) for row in chain.read(path)]
    except TypeError:
        raise Refusal(f"The history of the registry can't be read: {path}", hint="See: jingxing verify") from None


def append(path: Path, act: Act, *, heads: Sequence[str] = ()) -> Entry:
    """Write a row and return it; a Refusal where the rows before it are not as they were written."""
    return Entry(**chain.append(path, {**asdict(act), "when": now()}, heads=heads))


def production(rows: Sequence[Entry], risk: str) -> list[Production]:
    """Return every spell in which a version of a risk served, oldest first; an affirmed one begins a spell anew."""
    found: list[Production] = []
    signed: dict[str, Entry] = {}
    for row in rows:
        if row.risk != risk or row.action not in SERVING:
            continue
        if row.action != ROLLED_BACK:
            signed[row.version] = row
        first = signed.get(row.version, row)  # a version that was forced once is still the forced one
        told = (first.forced, tuple(first.objections))
        found.append(Production(risk, row.version, row.when, row.who, row.reason, *told))
    return found


def on_day(rows: Sequence[Entry], risk: str, day: dt.date) -> list[Production]:
    """Return the versions that served on a day (of this machine's time zone), in their order; mostly one."""
    spells = production(rows, risk)
    begun = [(_day(spell.since), spell) for spell in spells]
    before = [spell for since, spell in begun if since < day]
    return [*before[-1:], *(spell for since, spell in begun if since == day)]


def champions(rows: Sequence[Entry], risk: str) -> list[str]:
    """Return the champions that a rollback goes back through, the present one last."""
    stack: list[str] = []
    for row in rows:
        if row.risk == risk and row.action == PROMOTED:
            if not stack and row.previous and row.previous != row.version:
                stack.append(row.previous)
            stack.append(row.version)
        elif row.risk == risk and row.action == ROLLED_BACK:
            stack = stack[:-1]
    return stack


def _day(when: str) -> dt.date:
    return dt.datetime.fromisoformat(when).astimezone().date()
