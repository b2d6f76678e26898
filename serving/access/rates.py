"""How many calls a token may make: a bucket that fills evenly. Kept in memory: each process counts for itself."""

import math
import threading
import time
from collections.abc import Callable

from serving.answers.problems import Kind, Problem


class Rates:
    """Counts the calls of every token."""

    def __init__(self, calls_a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = calls_a_minute / 60
        self._most = max(1.0, calls_a_minute / 10)
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[int, tuple[float, float]] = {}
        """Token -> calls left, and when that was."""

    def count(self, token: int) -> None:
        """Count a call; a Problem with the seconds to wait where the token has none left."""
        with self._lock:
            now = self._clock()
            left, at = self._left.get(token, (self._most, now))
            left = min(self._most, left + (now - at) * self._each)
            self._left[token] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            wait = math.ceil((1 - left) / self._each)
            raise Problem(Kind.TOO_MANY, f"Too many calls: try again in {wait} s. 请求过于频繁。", retry_after=wait)
