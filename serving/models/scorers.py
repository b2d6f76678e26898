"""Processes beside the server that score the histories sent to it: one process computes for one request at a time.

Python's own part of the work lets one thread of a process on at once, which leaves the other cores idle. The processes
begin with the second request, look the champions up as the server does, and end with it, also when it is killed.
"""

import logging
import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Lock, Thread
from typing import TypeVar

from fastapi.exceptions import RequestValidationError

from features.errors import Refusal
from serving.answers.problems import Problem
from serving.models.champions import Champions

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")
Work = Callable[[Champions, Asked], bytes]
"""What is done with the champions and what was asked; a function of a module, so that another process finds it."""


class Scorers:
    """So many processes that answer for the server; it answers itself where they can't."""

    def __init__(self, home: Path, number: int) -> None:
        self._home, self._number = home, number
        self._lock = Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._first: list[Future[bytes | None]] = []
        self._asked = False

    def answered(self, work: Work[Asked], asked: Asked) -> bytes | None:
        """Return what another process makes of a request; None where it has to be done here.

        That is: where there are no such processes, at the first request and while they begin, where one was killed
        meanwhile (others are begun then), and where the request can't be answered, so that what is wrong is told in
        one place, with its frames in the log.
        """
        pool = self._ready(work, asked)
        if pool is None:
            return None
        try:
            return pool.submit(_answered, self._home, work, asked).result()
        except BrokenExecutor:
            log.warning("A process that scores has ended; the next request begins others.")
            self._drop(pool)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server does the work again and meets it
            log.warning("A process that scores has failed (%s); the server scores.", type(error).__name__)
        return None

    def begun(self) -> list[Future[bytes | None]]:
        """Return what the processes do first, to wait for; empty where none were begun."""
        with self._lock:
            return list(self._first)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool, self._number = self._pool, None, 0
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _ready(self, work: Work[Asked], asked: Asked) -> ProcessPoolExecutor | None:
        """The processes, once each has done its first work, which is the request that found none."""
        with self._lock:
            again, self._asked = self._asked, True
            if self._pool is None and self._number and again:
                self._pool = ProcessPoolExecutor(self._number, get_context("spawn"), _begin)
                self._first = [self._pool.submit(_answered, self._home, work, asked) for _ in range(self._number)]
            if not all(future.done() for future in self._first):
                return None
            if any(isinstance(future.exception(), BrokenExecutor) for future in self._first):
                log.error("Processes that score can't be started; the server scores by itself.")
                self._pool, self._number, self._first = None, 0, []
            return self._pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False)


def _begin() -> None:
    """In a new process: it leaves when the server does; Ctrl+C is the server's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_leave_with_the_server, daemon=True).start()


def _leave_with_the_server() -> None:
    server = parent_process()
    assert server is not None
    server.join()
    os._exit(1)


def _answered(home: Path, work: Work[Asked], asked: Asked) -> bytes | None:
    """What is done in the other process; None where it can't be: the server does it again, and tells why."""
    try:
        return work(_champions(home), asked)
    except (Problem, Refusal, RequestValidationError):
        return None


@cache
def _champions(home: Path) -> Champions:
    return Champions(home)
