"""Idempotency keys: a write that is sent twice with one ``Idempotency-Key`` is done once and answered alike."""

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from serving.access.caller import TheCaller
from serving.answers.problems import Kind, Problem
from serving.decisions.tables import Repeated

KEPT = dt.timedelta(hours=48)
ANOTHER = "This Idempotency-Key was used for another request. 此 Idempotency-Key 已用于另一请求。"

Said = TypeVar("Said", bound=BaseModel)


class Made(BaseModel):
    """What is kept of a write whose answer is told anew: the number of the row that it made or changed."""

    number: int


@dataclass(frozen=True)
class Asked:
    """A request with its key: ``key`` is empty where none was sent."""

    key: str
    request: str

    def once(self, session: Session, answer: type[Said], do: Callable[[], Said]) -> Said:
        """Return what ``do`` answers, or what it answered the first time; both are written in one transaction.

        A Problem where the key was used for another request. Of two at once the second waits for the first.
        """
        if not self.key:
            return do()
        held = self._held(session)
        if held is not None:
            if held.request != self.request:
                raise Problem(Kind.INVALID, ANOTHER)
            return answer.model_validate(held.answer)
        said = do()
        row = session.get_one(Repeated, self.key)
        row.answer = said.model_dump(mode="json")
        return said

    def number(self, session: Session, do: Callable[[], int]) -> int:
        """Return the number of what ``do`` made, or of what it made the first time: its answer is told anew.

        So the copy that is kept tells nothing of a person, and a caller who may see less by now is told less.
        """
        return self.once(session, Made, lambda: Made(number=do())).number

    def known(self, session: Session) -> int | None:
        """Return the number that was made the first time, before work that takes long; None where there was none."""
        held = session.get(Repeated, self.key) if self.key else None
        if held is None:
            return None
        if held.request != self.request:
            raise Problem(Kind.INVALID, ANOTHER)
        return Made.model_validate(held.answer).number

    def _held(self, session: Session) -> Repeated | None:
        """What was answered before; None once the key has been taken for this request."""
        now = dt.datetime.now(dt.UTC)
        session.execute(delete(Repeated).where(Repeated.at < now - KEPT))
        found = session.get(Repeated, self.key)
        if found is not None:
            return found
        try:
            with session.begin_nested():
                session.add(Repeated(key=self.key, request=self.request, status=200, answer={}, at=now))
        except IntegrityError:  # another one with this key was faster
            return session.get_one(Repeated, self.key, populate_existing=True)
        return None


ANEW = Asked("", "")
"""A request without a key: what it asks for is done each time it is sent."""


async def asked_of(
    request: Request,
    caller: TheCaller,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=8,
            max_length=200,
            description="Sent again with the same key, a write is done once.",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> Asked:
    """Return the request with its key, which counts for one account and one address."""
    body = hashlib.sha256(await request.body()).hexdigest()
    if idempotency_key is None:
        return Asked("", body)
    told = "\0".join((str(caller.account_id), request.method, request.url.path, idempotency_key))
    return Asked(hashlib.sha256(told.encode()).hexdigest(), body)


Once = Annotated[Asked, Depends(asked_of)]
"""A route's parameter: ``return asked.once(writing, TheAnswer, lambda: ...)``."""
