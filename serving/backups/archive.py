"""The archive of a backup: a tar of files with a manifest of their SHA-256, written and read in one pass."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from features.errors import Refusal

FORMAT = 1
DATABASE, MANIFEST = "database.sqlite", "manifest.json"
PIECE = 1024 * 1024
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Manifest:
    """What an archive holds: when it was made, the last row of the audit chain, rows by table, files by name."""

    made_at: str
    dialect: str
    audit: str
    tables: dict[str, int]
    files: dict[str, dict[str, Any]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(int(each["bytes"]) for each in self.files.values())

    def as_json(self) -> dict[str, Any]:
        """Return the manifest as it is written."""
        return {"format": FORMAT, **vars(self)}


class _Hashing(io.RawIOBase):
    """A file that is read once, for the archive and its hash."""

    def __init__(self, file: BinaryIO, advance: Advance) -> None:
        self.file, self.hash, self.advance = file, hashlib.sha256(), advance

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self.file.read(size)
        self.hash.update(piece)
        self.advance(len(piece))
        return piece


def write_archive(staging: Path, target: Path, told: Manifest, advance: Advance) -> Manifest:
    """Write all files of a folder into a new archive that only its owner may read; return the manifest with them."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    mode = "w:gz" if target.suffix in (".gz", ".tgz") else "w"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
            for path in sorted(path for path in staging.rglob("*") if path.is_file()):
                name = path.relative_to(staging).as_posix()
                told.files[name] = _add(archive, path, name, advance)
            text = json.dumps(told.as_json(), ensure_ascii=False, indent=1).encode()
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(text), 0o600
            archive.addfile(info, io.BytesIO(text))
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(target)
    return told


def read_archive(file: Path, into: Path, advance: Advance) -> Manifest:
    """Unpack an archive into a folder, every file checked against the manifest; a Refusal where anything differs."""
    found: dict[str, str] = {}
    told: Manifest | None = None
    try:
        with tarfile.open(file) as archive:
            for info in archive:
                content = archive.extractfile(info)
                if content is None:
                    raise Refusal(f"{file.name} holds something that is no file: {info.name}.")
                if info.name == MANIFEST:
                    told = _manifest(content.read(), file)
                else:
                    found[info.name] = _unpack(content, into, info.name, advance)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Refusal(
            f"{file} can't be read as a backup ({type(error).__name__}).",
            hint="Give the file that jingxing backup wrote, whole.",
        ) from None
    if told is None:
        raise Refusal(f"{file.name} is no whole backup: it has no manifest.", hint="Was it cut short when copied?")
    differing = {name for name, one in told.files.items() if found.get(name) != one["sha256"]}
    strange = sorted(differing | (set(found) - set(told.files)))
    if strange:
        raise Refusal(f"{file.name} is not as it was written; nothing was changed:", strange)
    return told


def _add(archive: tarfile.TarFile, path: Path, name: str, advance: Advance) -> dict[str, Any]:
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.mtime = 0o600, path.stat().st_size, int(path.stat().st_mtime)
    with path.open("rb") as file:
        read = _Hashing(file, advance)
        archive.addfile(info, read)
    return {"sha256": read.hash.hexdigest(), "bytes": info.size}


def _manifest(text: bytes, file: Path) -> Manifest:
    try:
        told = json.loads(text)
        version = told.pop("format")
        if version != FORMAT:
            raise Refusal(f"{file.name} is a backup of format {version}; this program reads {FORMAT}.")
        return Manifest(**told)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(f"The manifest of {file.name} can't be read.") from None


def _unpack(content: IO[bytes], into: Path, name: str, advance: Advance) -> str:
    """Write one file and return its SHA-256; a Refusal for a name that leads out of the folder."""
    target = (into / name).resolve()
    if not target.is_relative_to(into.resolve()):
        raise Refusal(f"The backup holds a file that leads out of the home: {name}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            file.write(piece)
            advance(len(piece))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
