"""What routes ask for: a database session that is committed before the answer leaves, and an as-of."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.months import month_end, parse_month
from serving.answers.problems import Kind, Problem
from serving.database import transaction


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


def session_of(request: Request, _turn: Turn) -> Iterator[Session]:
    """Give a session for reading."""
    with transaction(request.app.state.engine, writes=False) as session:
        yield session


def writing_session_of(request: Request, _turn: Turn) -> Iterator[Session]:
    """Give a session; what it changed is committed, or the request fails."""
    with transaction(request.app.state.engine) as session:
        yield session


# With the default scope FastAPI commits after the answer is sent: a failing commit would still say 200.
Database = Annotated[Session, Depends(session_of, scope="function")]
Writing = Annotated[Session, Depends(writing_session_of, scope="function")]


def as_of_of(
    as_of: Annotated[
        str | None, Query(examples=["2024-06"], description="A month, YYYY-MM, or its last day, as the answers give it")
    ] = None,
) -> dt.date | None:
    """Return the last day of the month asked for; None for the newest."""
    if not as_of:
        return None
    try:
        return month_end(parse_month(as_of[:7] if as_of == month_end(parse_month(as_of[:7])).isoformat() else as_of))
    except Refusal as refusal:
        raise Problem(Kind.INVALID, f"as_of: {refusal.what} {refusal.hint}") from None


AsOf = Annotated[dt.date | None, Depends(as_of_of)]
