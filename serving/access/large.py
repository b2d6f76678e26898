"""ASGI middleware: a large body is read only from somebody who may send it, since routes ask after it was read."""

from http.cookies import CookieError, SimpleCookie

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access import credentials
from serving.access.audit import Actor, record
from serving.access.caller import COOKIE, same_site
from serving.access.roles import PERMISSIONS_OF, Permission, Role
from serving.answers.problems import Kind, Problem, reply
from serving.database import transaction

LARGE = 256 * 1024
"""Bytes: no form of a page is larger."""
NEEDED = {"/arrivals": Permission.UPLOAD}
"""What a large body at an address needs; elsewhere it is enough to be signed in."""


class LargeFromKnown:
    """Answers 401 to a large body of a stranger, and 403 to one of somebody who may not send it: unread."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            length = headers.get("content-length", "0")
            if length.isdecimal() and int(length) > LARGE:
                try:
                    await run_in_threadpool(_check, scope, headers)
                except Problem as problem:
                    return await reply(problem.kind, problem.detail)(scope, receive, send)
        return await self.app(scope, receive, send)


def _check(scope: Scope, headers: Headers) -> None:
    """Refuse who is not signed in, may not send it, or was sent here by another site."""
    with transaction(scope["app"].state.engine, writes=False) as session:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            program = credentials.bearer(session, token.strip())
            who = (program.name, Role(program.role), program.permissions) if program else None
        else:
            secret = _cookie(headers.get("cookie", ""))
            held = credentials.holder(session, secret) if secret else None
            who = (held[0].name, Role(held[0].role), ()) if held else None
    if who is None:
        raise Problem(Kind.SIGN_IN, "Sign in before you send much. 请先登录。")
    same_site(Request(scope))
    name, role, part = who
    needed = NEEDED.get(scope["path"], Permission.OPEN)
    if needed not in PERMISSIONS_OF[role] or (part and needed not in (Permission.OPEN, *part)):
        with transaction(scope["app"].state.engine) as session:
            told = {"permission": needed.value, "method": scope["method"]}
            record(session, Actor(name, role.value), "refused", scope["path"], **told)
        raise Problem(Kind.FORBIDDEN, "Your role may not do this. 您的角色无权进行此操作。")


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
