"""What routes ask for: a database session that is committed before the answer leaves, and an as-of."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Annotated
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Path, Query, Request
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.months import month_end, parse_month
from serving.answers.problems import Kind, Problem
from serving.database import transaction

LARGEST_NUMBER = 2**31 - 1
"""What a whole number of the tables can hold; a larger one is refused before any of them is asked."""
NumberInPath = Annotated[int, Path(ge=0, le=LARGEST_NUMBER)]


class Turns:
    """Lets so many requests at the database at a time: the others wait without holding a thread or a connection."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._of: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def here(self) -> asyncio.Semaphore:
        """Return the semaphore of the running loop: one loop's can't be waited for in another."""
        loop = asyncio.get_running_loop()
        return self._of.setdefault(loop, asyncio.Semaphore(self._at_once))


async def turn_of(request: Request) -> AsyncIterator[None]:
    """Wait for a turn at the database, and hold it until the answer is made."""
    turns: Turns = request.app.state.turns
    async with turns.here():
        yield


Turn = Annotated[None, Depends(turn_of, scope="function")]


async def session_of(request: Request, _turn: Turn) -> AsyncIterator[Session]:
    """Give a session for reading."""
    async with _lent(transaction(request.app.state.engine, writes=False)) as session:
        yield session


async def writing_session_of(request: Request, _turn: Turn) -> AsyncIterator[Session]:
    """Give a session; what it changed is committed, or the request fails."""
    async with _lent(transaction(request.app.state.engine)) as session:
        yield session


@asynccontextmanager
async def _lent(begun: AbstractContextManager[Session]) -> AsyncIterator[Session]:
    """A transaction begun on the loop, where it asks the database for nothing yet, and ended in a thread.

    The thread is beyond the pool's number: one that waits for a connection must not keep another from giving its back.
    """
    session = begun.__enter__()
    try:
        yield session
    except BaseException as error:
        if not await _aside(begun.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await _aside(begun.__exit__, None, None, None)


async def _aside(end: Callable[..., bool | None], *said: object) -> bool | None:
    return await to_thread.run_sync(end, *said, limiter=CapacityLimiter(1))


# With the default scope FastAPI commits after the answer is sent: a failing commit would still say 200.
Database = Annotated[Session, Depends(session_of, scope="function")]
Writing = Annotated[Session, Depends(writing_session_of, scope="function")]


def as_of_of(as_of: str | None = None) -> dt.date | None:
    """Return the last day of the month asked for; None for the newest."""
    if not as_of:
        return None
    try:
        return month_end(parse_month(as_of[:7] if as_of == month_end(parse_month(as_of[:7])).isoformat() else as_of))
    except Refusal as refusal:
        raise Problem(Kind.INVALID, f"as_of: {refusal.what} {refusal.hint}") from None


async def _as_of(
    as_of: Annotated[
        str | None, Query(examples=["2024-06"], description="A month, YYYY-MM, or its last day, as the answers give it")
    ] = None,
) -> dt.date | None:
    return as_of_of(as_of)


AsOf = Annotated[dt.date | None, Depends(_as_of)]
