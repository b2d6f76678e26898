"""The history of the registry: a file to which rows are only added, each holding the hash of the row before.

A last line without its end is an action that did not happen: it is told as unfinished, and the next row takes its
place. What a row says becomes true when it is written; the registry's aliases follow it.
"""

import datetime as dt
import getpass
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from features.errors import Refusal

PROMOTED, ROLLED_BACK, REFUSED = "promoted", "rolled back", "refused"
SERVING = (PROMOTED, ROLLED_BACK)
FIRST = "0" * 64
"""What the first row holds in place of a hash before it."""


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

    def sealed(self) -> "Entry":
        """Return the row with the hash of everything else in it (SHA-256 over canonical JSON)."""
        content = {key: part for key, part in asdict(self).items() if key != "hash"}
        return Entry(**content, hash=hashlib.sha256(canonical(content)).hexdigest())

    def line(self) -> bytes:
        """Return the row as it is written, without its end of line."""
        return canonical(asdict(self))

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
class Fault:
    """A row that is not as it was written."""

    row: int
    what: str


@dataclass(frozen=True)
class Verified:
    """What checking the chain found; ``head`` is worth writing down elsewhere."""

    rows: int
    head: str | None
    unfinished: bool
    fault: Fault | None = None


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


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return JSON that is the same for the same content: sorted keys, no spaces, UTF-8."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def whole_lines(path: Path) -> tuple[list[bytes], bytes]:
    """Return the lines that were written to their end, and what was not; nothing where there is no file."""
    content = path.read_bytes() if path.exists() else b""
    *lines, torn = content.split(b"\n")
    return lines, torn


def append_line(path: Path, line: bytes) -> None:
    """Write a line to the disk, in place of a torn one. Whoever calls holds the registry's lock."""
    fresh = not path.exists()
    whole = sum(len(each) + 1 for each in whole_lines(path)[0])
    with path.open("ab") as file:
        file.truncate(whole)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if fresh:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def entries(path: Path) -> list[Entry]:
    """Return the rows, oldest first; a Refusal where one can't be read."""
    try:
        return [Entry(**json.loads(line)) for line in whole_lines(path)[0]]
    except (ValueError, TypeError) as error:
        raise Refusal(
            f"The history of the registry can't be read ({type(error).__name__}): {path}", hint="See: jingxing verify"
        ) from None


def append(path: Path, act: Act, *, heads: Sequence[str] = ()) -> Entry:
    """Write a row and return it; a Refusal where the rows before it are not as they were written.

    ``heads`` are the ``number:hash`` that were noted outside the file.
    """
    found = verify(path, heads=heads)
    if found.fault is not None:
        raise Refusal(
            f"The history of the registry was changed: row {found.fault.row}: {found.fault.what}.",
            hint=f"Nothing is added to it. Restore {path.name} from a backup; see: jingxing verify",
        )
    known = entries(path)
    when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    before = known[-1].hash if known else FIRST
    content = json.loads(canonical(asdict(act)))  # plain values only, as they will be read
    entry = Entry(number=len(known) + 1, when=when, before=before, **content).sealed()
    append_line(path, entry.line())
    return entry


def verify(path: Path, *, heads: Sequence[str] = ()) -> Verified:
    """Return whether every row is as it was written, in its place, and none is missing; the first that is not."""
    lines, torn = whole_lines(path)
    before, fault = FIRST, None
    hashes: list[str] = []
    for number, line in enumerate(lines, start=1):
        entry = _parsed(line)
        fault = fault or _fault(number, entry, (line, before))
        before = entry.hash if entry else ""
        hashes.append(before)
    fault = fault or next((missing for head in heads if (missing := _missing(head, hashes)) is not None), None)
    head = f"{len(hashes)}:{hashes[-1]}" if hashes else None
    return Verified(len(lines), head, bool(torn) and fault is None, fault)


def production(rows: Sequence[Entry], risk: str) -> list[Production]:
    """Return every spell in which a version of a risk served, oldest first."""
    found: list[Production] = []
    promoted: dict[str, Entry] = {}
    for row in rows:
        if row.risk != risk or row.action not in SERVING:
            continue
        if row.action == PROMOTED:
            promoted[row.version] = row
        first = promoted.get(row.version, row)  # a version that was forced once is still the forced one
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


def _parsed(line: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _fault(number: int, entry: Entry | None, place: tuple[bytes, str]) -> Fault | None:
    line, before = place
    if entry is None:
        return Fault(number, "it can no longer be read")
    if entry.sealed().hash != entry.hash or entry.line() != line:
        return Fault(number, "its content is not what was written")
    if entry.number != number:
        return Fault(number, f"row {entry.number} stands in its place: rows were removed, added or moved")
    if entry.before != before:
        return Fault(number, "it does not follow the row before it: rows were removed, added or moved")
    return None


def _missing(head: str, hashes: Sequence[str]) -> Fault | None:
    number, _, expected = head.partition(":")
    if not number.isdigit() or not 0 < int(number) <= len(hashes):
        row = int(number) if number.isdigit() else 0
        return Fault(row, f"it is missing: the registry noted {row} rows, the file holds {len(hashes)}")
    if hashes[int(number) - 1] != expected:
        return Fault(int(number), "it is not the row that the registry noted")
    return None
