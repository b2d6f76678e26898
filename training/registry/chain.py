"""A file to which rows are only added, each holding the hash of the row before: any change, gap or swap is found.

A last line without its end is a row that was never written; the next one takes its place. Who writes holds a lock.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import Refusal

FIRST = "0" * 64
"""What the first row holds in place of a hash before it."""
LINKS = ("number", "before", "hash")
"""What a row holds beside its content."""
RESTORE = "Restore {file} from a backup; the rows before that one are as they were written."


@dataclass(frozen=True)
class Fault:
    """A row that is not as it was written, and what to do."""

    row: int
    what: str
    hint: str = ""


@dataclass(frozen=True)
class Verified:
    """What checking the chain found; ``head`` (``number:hash``) is worth writing down elsewhere."""

    rows: int
    head: str | None
    unfinished: bool
    fault: Fault | None = None


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return JSON that is the same for the same content: sorted keys, no spaces, UTF-8."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sealed(row: Mapping[str, Any]) -> str:
    """Return the hash of everything else in a row (SHA-256 over canonical JSON)."""
    return hashlib.sha256(canonical({key: part for key, part in row.items() if key != "hash"})).hexdigest()


def append(path: Path, content: Mapping[str, Any], *, heads: Sequence[str] = ()) -> dict[str, Any]:
    """Write a row and return it with its links; a Refusal where the rows before are not as they were written.

    ``heads`` are the ``number:hash`` that were noted outside the file.
    """
    found = verify(path, heads=heads)
    if found.fault is not None:
        raise Refusal(
            f"{path.name} was changed: row {found.fault.row}: {found.fault.what}.",
            hint=f"Nothing is added to it. Restore {path.name} from a backup; see: jingxing verify",
        )
    before = found.head.partition(":")[2] if found.head else FIRST
    plain = json.loads(canonical(content))  # plain values only, as they will be read
    row = {**plain, "number": found.rows + 1, "before": before}
    row["hash"] = sealed(row)
    append_line(path, canonical(row))
    return row


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows with their links, oldest first; a Refusal where one can't be read."""
    try:
        return [dict(json.loads(line)) for line in whole_lines(path)[0]]
    except (ValueError, TypeError) as error:
        raise Refusal(
            f"A row of {path.name} can't be read ({type(error).__name__}): {path}", hint="See: jingxing verify"
        ) from None


def verify(path: Path, *, heads: Sequence[str] = ()) -> Verified:
    """Return whether every row is as it was written, in its place, and none is missing; the first that is not."""
    lines, torn = whole_lines(path)
    before, fault = FIRST, None
    hashes: list[str] = []
    for number, line in enumerate(lines, start=1):
        row = _parsed(line)
        fault = fault or _fault(number, row, (line, before, path.name))
        before = str(row["hash"]) if row else ""
        hashes.append(before)
    fault = fault or next((gap for head in heads if (gap := _missing(head, hashes, path.name)) is not None), None)
    head = f"{len(hashes)}:{hashes[-1]}" if hashes else None
    return Verified(len(lines), head, bool(torn) and fault is None, fault)


def whole_lines(path: Path) -> tuple[list[bytes], bytes]:
    """Return the lines that were written to their end, and what was not; nothing where there is no file."""
    content = path.read_bytes() if path.exists() else b""
    *lines, torn = content.split(b"\n")
    return lines, torn


def append_line(path: Path, line: bytes) -> None:
    """Write a line to the disk, in place of a torn one."""
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


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and all(link in row for link in LINKS) else None


def _fault(number: int, row: Mapping[str, Any] | None, place: tuple[bytes, str, str]) -> Fault | None:
    line, before, file = place
    hint = RESTORE.format(file=file)
    if row is None:
        return Fault(number, "it can no longer be read", hint)
    if sealed(row) != row["hash"] or canonical(row) != line:
        return Fault(number, "its content is not what was written", hint)
    if row["number"] != number:
        return Fault(number, f"row {row['number']} stands in its place: rows were removed, added or moved", hint)
    if row["before"] != before:
        return Fault(number, "it does not follow the row before it: rows were removed, added or moved", hint)
    return None


def _missing(head: str, hashes: Sequence[str], file: str) -> Fault | None:
    number, _, expected = head.partition(":")
    hint = RESTORE.format(file=file)
    if not number.isdigit() or not 0 < int(number) <= len(hashes):
        row = int(number) if number.isdigit() else 0
        return Fault(row, f"it is missing: the registry noted {row} rows, the file holds {len(hashes)}", hint)
    if hashes[int(number) - 1] != expected:
        return Fault(int(number), "it is not the row that the registry noted", hint)
    return None
