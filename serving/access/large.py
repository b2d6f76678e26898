"""ASGI middleware: a large body is read only from somebody who is signed in, since routes ask after it was read."""

from http.cookies import CookieError, SimpleCookie

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access import credentials
from serving.access.caller import COOKIE
from serving.answers.problems import Kind, reply
from serving.database import transaction

LARGE = 256 * 1024
"""Bytes: no form of a page is larger."""


class LargeFromKnown:
    """Answers 401 to a large body of a stranger, unread."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            length = headers.get("content-length", "0")
            large = length.isdecimal() and int(length) > LARGE
            if large and not await run_in_threadpool(_known, scope, headers):
                return await reply(Kind.SIGN_IN, "Sign in before you send much. 请先登录。")(scope, receive, send)
        return await self.app(scope, receive, send)


def _known(scope: Scope, headers: Headers) -> bool:
    """Whether a token or a cookie is good."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    with transaction(scope["app"].state.engine, writes=False) as session:
        if scheme.lower() == "bearer":
            return credentials.bearer(session, token.strip()) is not None
        secret = _cookie(headers.get("cookie", ""))
        return bool(secret) and credentials.holder(session, secret) is not None


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
