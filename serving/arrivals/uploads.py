"""An export that comes through the page: streamed to disk, unpacked within bounds, then the same door as any other."""

import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from filelock import FileLock, Timeout

from features.errors import Refusal
from features.histories.ingest import IngestResult, ingest

LARGEST_UNPACKED = 16 * 1024**3
AT_A_TIME = 1024 * 1024
KINDS = (".csv", ".parquet")
LONGEST_NAME, LONGEST_STEM = 255, 80
"""Bytes of a file's name that a file system takes, and characters kept of the name of an upload."""
BROKEN = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What an archive that is none, damaged, or locked by a password raises while it is unpacked."""


@dataclass(frozen=True)
class Sent:
    """One file that was sent: its name as the sender has it, and its bytes."""

    name: str
    content: IO[bytes]


def take_in(home: Path, sent: Sequence[Sent], *, strict: bool) -> IngestResult:
    """Ingest what was sent: one zip of an export, or its files; return what was taken in and what was not.

    A Refusal (and nothing changed) where it is no export, larger than the bounds, or bad under ``strict``. The name of
    the first file stands for the export: the same name sent again takes its earlier entries out of the quarantine.
    """
    if not sent:
        raise Refusal("No file was sent.", hint="Choose a zip, or roster and events.")
    with _folder(home, sent[0].name) as folder:
        left = LARGEST_UNPACKED
        for each in sent:
            if each.name.lower().endswith(".zip"):
                left = _unpack(each, folder, left)
            else:
                left = _write(each.content, folder / _place(each.name), left)
        return ingest(folder, home=home, profile=None, strict=strict)


@contextmanager
def _folder(home: Path, name: str) -> Iterator[Path]:
    """A folder for one upload at a time, gone afterwards."""
    uploads = home / "var" / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(uploads.with_name("uploads.lock"), timeout=2):
            shutil.rmtree(uploads)
            folder = uploads / (re.sub(r"[^\w.-]+", "_", Path(name).stem).strip("._")[:LONGEST_STEM] or "export")
            folder.mkdir(parents=True)
            try:
                yield folder
            finally:
                shutil.rmtree(uploads, ignore_errors=True)
    except Timeout:
        raise Refusal("Another upload is being taken in.", hint="Try again soon.") from None


def _unpack(sent: Sent, folder: Path, left: int) -> int:
    try:
        with zipfile.ZipFile(sent.content) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as content:
                        left = _write(content, folder / _place(info.filename), left)
    except OSError as error:
        if error.errno is not None:  # the disk; bzip2 says without a number that its data are damaged
            raise
        raise _broken(sent, error) from None
    except BROKEN as error:
        raise _broken(sent, error) from None
    return left


def _broken(sent: Sent, error: Exception) -> Refusal:
    return Refusal(f"{sent.name} can't be unpacked ({type(error).__name__}).")


def _place(name: str) -> str:
    """Where a file belongs in an export, whatever folder it was packed in; a Refusal for one that belongs nowhere."""
    path = PurePosixPath(name.replace("\\", "/"))
    if len(path.name.encode(errors="replace")) > LONGEST_NAME or "\x00" in path.name:
        raise Refusal(f"'{path.name[:LONGEST_STEM]}…' is no name of a file.", hint="Rename it.")
    suffix = path.suffix.lower()
    if suffix in KINDS and path.stem.lower() in ("roster", "events"):
        return path.stem.lower() + suffix
    if suffix in KINDS and path.parent.name.lower() == "events" and path.name == Path(path.name).name:
        return f"events/{path.name}"
    raise Refusal(
        f"'{path.name}' is no part of an export.",
        hint="An export has roster.csv and events.csv (or .parquet; events may be a folder of such files).",
    )


def _write(content: IO[bytes], target: Path, left: int) -> int:
    """Stream a file to disk; return how many bytes may still come."""
    if target.exists():
        raise Refusal(f"There are two files '{target.name}'.")
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as file:
        while piece := content.read(AT_A_TIME):
            left -= len(piece)
            if left < 0:
                raise Refusal(f"More than {LARGEST_UNPACKED // 1024**3} GB unpacked.")
            file.write(piece)
    return left
