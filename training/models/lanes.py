"""How many threads LightGBM may use: it keeps that number in one place for the whole process.

Its buffers are made for one number and indexed by another where two calls at once ask for different numbers, which
ends the process (a segmentation fault, not an error). So every call asks here: beside others it takes their number.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EVERY = os.cpu_count() or 1
"""As many as the machine has."""
FEW_ROWS = 64
"""For so few rows one thread answers sooner than several."""


class Lanes:
    """The number that LightGBM calls of this process share while any of them is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._number = 1
        self._side_by_side = 0

    @contextmanager
    def asked(self, wanted: int) -> Iterator[int]:
        """Give the number of threads that a call may use: as wanted, or where others are at it theirs."""
        with self._lock:
            if not self._calls:
                self._number = 1 if self._side_by_side else wanted
            self._calls += 1
            number = self._number
        try:
            yield number
        finally:
            with self._lock:
                self._calls -= 1

    @contextmanager
    def side_by_side(self, workers: int) -> Iterator[None]:
        """While several workers fill the machine, each call that begins takes one thread."""
        several = int(workers > 1)
        with self._lock:
            self._side_by_side += several
        try:
            yield
        finally:
            with self._lock:
                self._side_by_side -= several


LANES = Lanes()


def for_rows(rows: int) -> int:
    """Return how many threads are worth it for so many rows to score."""
    return 1 if rows <= FEW_ROWS else EVERY
