"""Processes beside the server that score the histories sent to it: one process computes for one request at a time.

Python's own part of the work lets one thread of a process on at once, which leaves the other cores idle. A process
begins when requests come again or at the same time, looks the champions up as the server does, and ends with it.
"""

import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import LifoQueue
from typing import TypeVar

from fastapi.exceptions import RequestValidationError

from features.errors import Refusal
from serving.answers.problems import Problem
from serving.models.champions import Champions

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")
Work = Callable[[Champions, Asked], bytes]
"""What is done with the champions and what was asked; a function of a module, so that another process finds it."""
MOST_SCORERS = 64
PAUSE_SECONDS = 30.0
"""So long after one could not be started it is not tried again: what ended it may still be there."""
NEW = get_context("spawn")


class Scorers:
    """So many processes that answer for the server; it answers itself where they can't."""

    def __init__(self, home: Path, number: int, *, pause: float = PAUSE_SECONDS) -> None:
        self._all = [_Scorer(home, pause) for _ in range(number)]
        self._free: LifoQueue[_Scorer] = LifoQueue()  # the last that worked first: who asks one by one needs only one
        for scorer in self._all:
            self._free.put(scorer)
        self._asked = False

    def answered(self, work: Work[Asked], asked: Asked) -> bytes | None:
        """Return what another process makes of a request; None where it has to be done here.

        That is: where there are no such processes, at the first request and while they begin, where one was killed
        meanwhile (another is begun then), and where the request can't be answered, so that what is wrong is told in
        one place, with its frames in the log.
        """
        again, self._asked = self._asked, True
        if not (self._all and again):
            return None
        scorer = self._free.get()
        try:
            return scorer.answered(work, asked)
        finally:
            self._free.put(scorer)

    def close(self) -> None:
        """End the processes at once: they hold nothing."""
        ended, self._all = self._all, []
        for scorer in ended:
            scorer.close()


class _Scorer:
    """One process, and the line to it; one thread at a time asks it."""

    def __init__(self, home: Path, pause: float) -> None:
        self._home, self._pause = home, pause
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._begun = False
        self._not_before = 0.0

    def answered(self, work: Work[Asked], asked: Asked) -> bytes | None:
        """Return what the process makes of it; None where it has not begun, or has ended."""
        try:
            line = self._ready()
            if line is None:
                return None
            line.send((work, asked))
            told, failed = line.recv()
        except (EOFError, OSError) as error:
            self._gone(type(error).__name__)
            return None
        if failed:
            log.warning("A process that scores has failed (%s); the server scores.", failed)
        return told  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process for good; who waits for its answer hears that it is gone."""
        self._not_before, process = float("inf"), self._process
        if process is not None and process.pid:
            process.kill()

    def _ready(self) -> Connection | None:
        """The line to the process once it listens; a process is begun where there is none."""
        if self._line is None and time.monotonic() >= self._not_before:
            self._begin()
        if self._line is not None and not self._begun and self._line.poll():
            self._begun = self._line.recv()
        return self._line if self._begun else None

    def _begin(self) -> None:
        self._line, there = NEW.Pipe()
        with there:  # held by the process alone, so that this end hears when it is no more
            self._process = NEW.Process(target=_score, args=(there, self._home), daemon=True)
            resource_tracker.ensure_running()  # it lets SIGINT through when it starts
            heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl+C is the server's to answer
            try:
                self._process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, heard)

    def _gone(self, why: str) -> None:
        if not self._begun:
            self._not_before = max(self._not_before, time.monotonic() + self._pause)
        log.warning("A process that scores %s (%s).", "has ended" if self._begun else "could not be started", why)
        if self._line is not None:
            self._line.close()
        if self._process is not None and self._process.pid:
            self._process.kill()
            self._process.join()
        self._process, self._line, self._begun = None, None, False


def _score(line: Connection, home: Path) -> None:
    """In a new process: answer what comes over the line, until the server is no more."""
    champions = Champions(home)
    with suppress(Refusal):
        champions.serving()  # loaded before the first request
    with suppress(EOFError, OSError):
        line.send(True)
        while True:
            line.send(_answer(champions, *line.recv()))


def _answer(champions: Champions, work: Work[Asked], asked: Asked) -> tuple[bytes | None, str]:
    """What was made of it, and what kind of error it failed with; a request that is wrong has neither."""
    try:
        return work(champions, asked), ""
    except (Problem, Refusal, RequestValidationError):
        return None, ""
    except Exception as error:  # noqa: BLE001 - whatever it is, the server does the work again and meets it
        return None, type(error).__name__
