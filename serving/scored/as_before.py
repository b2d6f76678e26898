"""What a program asks again is answered as before while nothing in the store changes: without the work of a route."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access.caller import Caller, program_of
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Problem
from serving.database import transaction
from serving.scored.kept import Answer, Unchanged, unchanged_of


@dataclass(frozen=True)
class Asked:
    """An address and who asks there, with all that they may: nobody is given the answer to another."""

    path: str
    query: bytes
    account: int
    permissions: frozenset[Permission]
    sight: Sight
    route: Any = field(compare=False)

    @classmethod
    def at(cls, scope: Scope, caller: Caller, route: Any) -> "Asked":
        """Return what a caller asks at the address of a request."""
        sight, permissions = caller.sight, caller.permissions
        return cls(scope["path"], scope["query_string"], caller.account_id, permissions, sight, route)


def answered(request: Request, database: Session, caller: Caller, make: Callable[[], Answer]) -> Response:
    """Return the answer of a JSON route, made if it is not kept or if anything was changed since.

    It depends on nothing but the store, the address and the caller. Who asks again is answered by ``AsBefore``.
    """
    asked = Asked.at(request.scope, caller, request.scope["route"])
    return _response(unchanged_of(request).of(database, asked, make))


def _response(answer: Answer) -> Response:
    body, headers = answer
    return Response(body, media_type="application/json", headers=headers)


class AsBefore:
    """ASGI middleware: answers a program as ``answered`` did; whatever is not exactly as before goes to the route.

    The token is read, checked and counted at every request, in the transaction that tells whether anything changed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        asked = _asked_before(scope)
        if asked is not None:
            async with scope["app"].state.turns.here():
                response = await run_in_threadpool(_again, Request(scope), asked.route)
            if response is not None:
                return await response(scope, receive, send)
        return await self.app(scope, receive, send)


def _asked_before(scope: Scope) -> Asked | None:
    """What somebody asked at this address; None where it was nothing, or nobody shows a token."""
    if scope["type"] != "http" or scope["method"] != "GET" or "authorization" not in Headers(scope=scope):
        return None
    path, query = scope["path"], scope["query_string"]
    kept: Unchanged = scope["app"].state.unchanged
    found = kept.find(lambda asked: isinstance(asked, Asked) and (asked.path, asked.query) == (path, query))
    return found if isinstance(found, Asked) else None


def _again(request: Request, route: Any) -> Response | None:
    """The answer this very caller was given; None where anything is other than then, be it the token."""
    with transaction(request.app.state.engine, writes=False) as session:
        shown = program_of(request, session)
        found = unchanged_of(request).again(session, Asked.at(request.scope, shown.caller, route)) if shown else None
    if shown is None or found is None:
        return None
    try:
        request.app.state.rates.count(shown.token)
    except Problem:
        return None  # too many calls: the route says so
    request.state.caller, request.scope["route"] = shown.caller, route
    return _response(found)
