"""On whose health data there is a basis, from when to when. The engine asks it, for training and serving alike.

The register itself lies with the service; HOME/var/bases.json is its copy for every floor, written when it changes.
"""

import datetime as dt
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.months import day_numbers

Ints = npt.NDArray[np.int32]
FILE = "bases.json"
NO_END = np.iinfo(np.int32).max

Span = tuple[str, dt.date, dt.date | None]
"""officer_id, first day, last day (None: until further notice)."""


@dataclass(frozen=True)
class Bases:
    """Spans of a basis: ``officer`` [span] ids, ``first`` and ``last`` [span] days since 1970-01-01."""

    officer: npt.NDArray[np.str_]
    first: Ints
    last: Ints

    def covering(self, officers: npt.NDArray[np.str_], day: int, *, register: bool) -> npt.NDArray[np.bool_]:
        """Return for each officer whether health data may be used at a day.

        Someone without a span, or before the first one begins, is covered by the register of processing or, where
        there is none (``register`` false), not at all; from then on the spans alone count.
        """
        begun = self.first <= day
        named = np.isin(officers, self.officer[begun])
        return np.where(named, np.isin(officers, self.officer[begun & (self.last >= day)]), register)


NO_BASES = Bases(np.zeros(0, dtype=np.str_), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))


def bases_of(spans: Iterable[Span]) -> Bases:
    """Return the table of spans."""
    rows = sorted(spans, key=lambda span: (span[0], span[1]))
    if not rows:
        return NO_BASES
    first = day_numbers(np.array([row[1] for row in rows], dtype="datetime64[D]"))
    ends = [NO_END if row[2] is None else day_number(row[2]) for row in rows]
    return Bases(np.array([row[0] for row in rows], dtype=str), first, np.array(ends, dtype=np.int32))


def day_number(day: dt.date) -> int:
    """Return a day as Bases counts it: days since 1970-01-01."""
    return (day - dt.date(1970, 1, 1)).days


def load_bases(home: Path) -> Bases:
    """Return the spans kept in a home; none where nobody ever gave or withdrew consent."""
    try:
        rows = json.loads((home / "var" / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return NO_BASES
    day = dt.date.fromisoformat
    return bases_of((officer, day(first), day(last) if last else None) for officer, first, last in rows)


def write_bases(home: Path, spans: Sequence[Span]) -> None:
    """Keep the spans in a home, in place of those before, in one step."""
    folder = home / "var"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [[officer, str(first), str(last) if last else None] for officer, first, last in sorted(spans, key=str)]
    fresh = folder / f"{FILE}.unfinished"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(rows, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE)
