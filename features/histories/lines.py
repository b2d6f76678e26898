"""Text files as records: encoding, physical line numbers, lines that cannot be read. No meaning of columns here.

A file is streamed in blocks, so that a line of 2 GB is skipped without being held. Well-formed records go
on to the CSV parser as bytes; a line that is too long, undecodable or wrongly quoted is set aside alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

BLOCK = 8 << 20
MAX_LINE = 1 << 20
SHOWN_TEXT = 120

UTF8, UTF8_BOM, GB18030 = "UTF-8", "UTF-8 with BOM", "GB18030"
BOM = b"\xef\xbb\xbf"
SAVE_AS = "save it as CSV UTF-8 (or GB18030)"
_SURVEYED_BLOCKS = 4
_MISQUOTED = "has a quotation mark or line break in the wrong place, or the wrong number of cells"

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BadLine:
    """A line that could not be read: its number (1 = first line of the file), beginning, and why."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Survey:
    """What a first pass over a text file found: its encoding, its header cells and the header's line."""

    encoding: str
    header: tuple[str, ...]
    header_line: int

    @property
    def codec(self) -> str:
        """The name Python knows the encoding by."""
        return "gb18030" if self.encoding == GB18030 else "utf-8"


@dataclass(frozen=True)
class Records:
    """Well-formed records as UTF-8 bytes, the line each begins on, and the lines set aside."""

    text: bytes
    lines: Ints
    multiline: bool
    bad: tuple[BadLine, ...]
    size: int


def records(path: Path, survey: Survey) -> Iterator[Records]:
    """Yield the records below the header, block by block; blank lines are skipped but counted."""
    cells = _record_pattern(len(survey.header))
    carry, carried_from = b"", 1
    for data, first_line, overlong in _and_whether_last(_whole_lines(path)):
        begin = carried_from if carry else first_line
        block = _Lines(carry + data, begin, last=overlong is None)
        block.set_aside_blank(survey.header_line)
        block.set_aside_unreadable(survey.codec)
        block.join_quoted(cells)
        carry, carried_from = block.rest()
        yield block.records(survey.codec, overlong or ())


def survey(path: Path) -> Survey:
    """Return the encoding and header of a text file; ValueError (with the reason) if it is not such a file."""
    lines = _whole_lines(path)
    first, _, _ = next(lines, (b"", 1, ()))
    _refuse_other_text(path)
    tally = _Tally()
    tally.add(first)
    for data, _, _ in lines:
        tally.add(data)
        if tally.failing_blocks >= _SURVEYED_BLOCKS:
            break
    encoding = tally.encoding()
    if encoding == UTF8 and _begins_with_bom(path):
        encoding = UTF8_BOM
    number, header = _header(first, encoding)
    return Survey(encoding, header, number)


@dataclass
class _Tally:
    """Counts lines by what they can be decoded as."""

    total: int = 0
    utf8: int = 0
    not_utf8: int = 0
    neither: int = 0
    failing_blocks: int = 0

    def add(self, data: bytes) -> None:
        self.total += data.count(b"\n")
        if _decodes(data, "utf-8"):
            self.utf8 += 0 if data.isascii() else _lines_beyond_ascii(data)
            return
        self.failing_blocks += 1
        for line in data.split(b"\n"):
            if not line.isascii():
                good = _decodes(line, "utf-8")
                self.utf8 += good
                self.not_utf8 += not good
                self.neither += not good and not _decodes(line, "gb18030")

    def encoding(self) -> str:
        """Choose the encoding that explains most lines; ValueError when none explains half of them."""
        if self.not_utf8 == 0:
            return UTF8
        if self.not_utf8 > self.utf8 and self.neither <= self.not_utf8 * 0.1:
            return GB18030
        if self.not_utf8 * 2 < self.total:
            return UTF8
        raise ValueError(f"is neither UTF-8 nor GB18030 text; {SAVE_AS}")


def _lines_beyond_ascii(data: bytes) -> int:
    raw = np.frombuffer(data, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(raw[:-1] == ord("\n")) + 1])
    return int((np.bitwise_or.reduceat(raw, starts) > 127).sum())


def _decodes(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _refuse_other_text(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4096)
    if not start.strip():
        raise ValueError("is empty; export it again, with its header line")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start.count(0) * 8 > len(start):
        raise ValueError(f"is UTF-16 text or not text at all; {SAVE_AS}")
    if start[:4] == b"PAR1":
        raise ValueError("is a Parquet file by its content; name it .parquet")


def _begins_with_bom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == BOM


def _header(first: bytes, encoding: str) -> tuple[int, tuple[str, ...]]:
    lines = first.split(b"\n")
    number = next((number for number, line in enumerate(lines, start=1) if line.strip()), 1)
    line = lines[number - 1]
    try:
        text = line.strip(b"\r").decode("gb18030" if encoding == GB18030 else "utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"has a header that is neither UTF-8 nor GB18030 text; {SAVE_AS}") from None
    cells = [cell.strip().strip('"').strip() for cell in text.split(",")]
    return number, tuple(cells)


def _whole_lines(path: Path) -> Iterator[tuple[bytes, int, tuple[BadLine, ...]]]:
    """Yield (whole lines, number of the first, overlong lines); an overlong line stands as an empty one."""
    with path.open("rb") as file:
        tail, line, skipping = b"", 1, False
        chunk = file.read(BLOCK)
        old_mac = b"\r" in chunk and b"\n" not in chunk
        chunk = chunk.removeprefix(BOM)
        while chunk:
            chunk = chunk.replace(b"\r", b"\n") if old_mac else chunk
            start = chunk.find(b"\n") if skipping else 0
            skipping = start < 0
            data = tail + chunk[start:] if not skipping else b""
            cut = data.rfind(b"\n") + 1
            tail, (whole, overlong) = data[cut:], _shortened(data[:cut], line)
            count = whole.count(b"\n")
            if len(tail) > MAX_LINE:
                overlong = (*overlong, _too_long(line + count, tail))
                tail, skipping = b"", True
            if whole or overlong:
                yield whole, line, overlong
            line += count
            chunk = file.read(BLOCK)
        if tail:
            yield tail + b"\n", line, ()


def _shortened(data: bytes, first_line: int) -> tuple[bytes, tuple[BadLine, ...]]:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    if len(ends) == 0 or lengths.max() <= MAX_LINE:
        return data, ()
    lines, bad = data.split(b"\n"), []
    for index in np.flatnonzero(lengths > MAX_LINE):
        bad.append(_too_long(first_line + int(index), lines[index]))
        lines[index] = b""
    return b"\n".join(lines), tuple(bad)


def _too_long(line: int, text: bytes) -> BadLine:
    return BadLine(line, _shown(text), f"the line is longer than {MAX_LINE:,} bytes")


def _shown(text: bytes) -> str:
    return text[:SHOWN_TEXT].decode("utf-8", errors="replace").replace("\0", "\ufffd").strip("\r")


def _and_whether_last(
    blocks: Iterator[tuple[bytes, int, tuple[BadLine, ...]]],
) -> Iterator[tuple[bytes, int, tuple[BadLine, ...] | None]]:
    """Yield the blocks, and a last empty one whose third part is None."""
    yield from blocks
    yield b"", 1, None


_CELL = rb'(?:"(?:[^"]|"")*+"|[^",\r\n][^,\r\n]*+|)'
_OPEN_CELL = re.compile(rb"(?:" + _CELL + rb',)*+"(?:[^"]|"")*+\Z')


def _record_pattern(cells: int) -> re.Pattern[bytes]:
    return re.compile(_CELL + rb"(?:," + _CELL + rb"){%d}" % (cells - 1))


@dataclass
class _Lines:
    """The lines of one block, some kept as records, some joined to the one before, some set aside."""

    data: bytes
    first_line: int
    last: bool
    bad: dict[int, str] = field(default_factory=dict)
    multiline: bool = False

    def __post_init__(self) -> None:
        self.raw = np.frombuffer(self.data, np.uint8)
        self.ends = np.flatnonzero(self.raw == ord("\n"))
        self.starts = np.concatenate([[0], self.ends[:-1] + 1]) if len(self.ends) else self.ends
        self.kept = np.ones(len(self.ends), bool)
        self.begins = np.ones(len(self.ends), bool)
        self.used = len(self.ends)

    def set_aside_blank(self, header_line: int) -> None:
        lengths = self.ends - self.starts
        if len(lengths):
            only_return = (lengths == 1) & (self.raw[self.starts] == ord("\r"))
            self.kept = (lengths > 0) & ~only_return
            self.kept &= np.arange(len(lengths)) + self.first_line > header_line

    def set_aside_unreadable(self, codec: str) -> None:
        if b"\0" in self.data:
            self._mark(np.unique(np.searchsorted(self.ends, np.flatnonzero(self.raw == 0))), "holds a NUL byte")
        if self.data.isascii() or _decodes(self.data, codec):
            return
        for index in np.unique(np.searchsorted(self.ends, np.flatnonzero(self.raw > 127))):
            if not _decodes(self._line(index), codec):
                self._mark(np.array([index]), f"is not {codec.upper()} text")

    def join_quoted(self, record: re.Pattern[bytes]) -> None:
        """Join the lines of cells that hold line breaks; set aside lines with a misplaced quotation mark."""
        free = 0
        for index in self._irregular():
            if index < free or not self.kept[index]:
                continue
            stop = self._record_end(index, record)
            if stop is not None:
                free = self._join(index, stop)
            elif self._may_go_on(index):
                self.used = index
                return
            else:
                self._mark(np.array([index]), _MISQUOTED)

    def rest(self) -> tuple[bytes, int]:
        """Return what must be read again with the next block, and its first line's number."""
        if self.used == len(self.ends):
            return b"", 1
        return self.data[self.starts[self.used] :], self.first_line + self.used

    def records(self, codec: str, overlong: tuple[BadLine, ...]) -> Records:
        kept = self.kept[: self.used]
        text = self.data if self.used == len(self.ends) and kept.all() else self._cut(kept)
        text = text if codec == "utf-8" else text.decode(codec).encode()
        lines = np.flatnonzero(kept & self.begins[: self.used]) + self.first_line
        bad = [
            BadLine(self.first_line + index, _shown(self._line(index)), f"the line {reason}")
            for index, reason in self.bad.items()
            if index < self.used
        ]
        return Records(text, lines, self.multiline, (*bad, *overlong), len(self.data))

    def _line(self, index: int) -> bytes:
        return self.data[self.starts[index] : self.ends[index]]

    def _mark(self, indexes: Ints, reason: str) -> None:
        for index in indexes:
            if self.kept[index]:
                self.kept[index] = False
                self.bad[int(index)] = reason

    def _irregular(self) -> list[int]:
        """Return the lines on which quoting cannot be taken for granted."""
        odd = [np.zeros(0, np.int64)]
        if self.data.count(b"\r") != self.data.count(b"\r\n"):
            returns = np.flatnonzero(self.raw == ord("\r"))
            odd.append(np.searchsorted(self.ends, returns[self.raw[returns + 1] != ord("\n")]))
        quotes = np.flatnonzero(self.raw == ord('"'))
        if len(quotes):
            odd.append(self._wrongly_quoted(quotes))
        return [int(index) for index in np.unique(np.concatenate(odd))]

    def _wrongly_quoted(self, quotes: Ints) -> Ints:
        line = np.searchsorted(self.ends, quotes)
        count = np.bincount(line, minlength=len(self.ends))
        number = np.arange(len(quotes)) - np.searchsorted(line, line)
        before = np.where(quotes > 0, self.raw[quotes - 1], ord("\n"))
        after = self.raw[quotes + 1]
        opens = number % 2 == 0
        doubled = (number > 0) & (before == ord('"'))
        wrong_open = opens & ~doubled & ~np.isin(before, [ord(","), ord("\n")])
        wrong_close = ~opens & ~np.isin(after, [ord(","), ord("\n"), ord("\r"), ord('"')])
        return np.concatenate([np.flatnonzero(count % 2), line[wrong_open | wrong_close]])

    def _record_end(self, index: int, record: re.Pattern[bytes]) -> int | None:
        start = int(self.starts[index])
        match = record.match(self.data, start, start + MAX_LINE)
        if match is None:
            return None
        stop = match.end() + (self.data[match.end() : match.end() + 2] == b"\r\n")
        return stop if self.data[stop : stop + 1] == b"\n" else None

    def _may_go_on(self, index: int) -> bool:
        """Whether a quoted cell is still open at the end of the block and may close in the next."""
        start = int(self.starts[index])
        if self.last or len(self.data) - start >= MAX_LINE:
            return False
        return _OPEN_CELL.match(self.data, start) is not None

    def _join(self, index: int, stop: int) -> int:
        """Make one record of the lines up to ``stop``; return the first line after it."""
        after = int(np.searchsorted(self.ends, stop)) + 1
        inside = slice(index, after)
        wrong = [line for line in range(index, after) if line in self.bad]
        self.multiline |= after > index + 1
        self.begins[index + 1 : after] = False
        self.kept[inside] = not wrong
        if wrong:
            reason = self.bad[wrong[0]]
            for line in wrong:
                del self.bad[line]
            self.bad[index] = reason
        return after

    def _cut(self, kept: npt.NDArray[np.bool_]) -> bytes:
        edges = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0, append=0))
        runs = edges.reshape(-1, 2)
        return b"".join(self.data[self.starts[first] : self.ends[last - 1] + 1] for first, last in runs)
