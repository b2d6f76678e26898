"""ASGI middleware around every answer: host names, sizes, headers that keep a browser at home, ETags, one log line."""

import hashlib
import logging
import time
from collections.abc import Collection

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.answers.addresses import parts_of
from serving.answers.logs import TOLD
from serving.answers.problems import Kind, reply

log = logging.getLogger(__name__)

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LARGEST_BODY = 64 * 1024 * 1024
LARGEST_UPLOAD = 2 * 1024**3
LARGER = {"/arrivals": LARGEST_UPLOAD}
"""Where more may be sent: an export, which is streamed to disk."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BY_TLS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


def _raw(headers: dict[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


_HEADED, _BY_TLS = _raw(HEADERS), _raw(HEADERS | BY_TLS_ONLY)
_OURS = frozenset(name for name, _ in _BY_TLS)
_NOT_STORED = (b"cache-control", b"no-store")


class Headed:
    """Adds the security headers to every answer, and ``Cache-Control: no-store`` where none is set."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and head its answer."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [each for each in message["headers"] if each[0] not in _OURS]
                stored = [] if any(name == b"cache-control" for name, _ in given) else [_NOT_STORED]
                message["headers"] = [*given, *stored, *(_BY_TLS if scope.get("scheme") == "https" else _HEADED)]
            await send(message)

        await self.app(scope, receive, headed)


class AtHome:
    """Refuses other host names than those of this service (DNS rebinding), and bodies beyond LARGEST_BODY.

    And what no reader of ours sends and no database takes: NUL in an address, a form in another coding than UTF-8.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if _host(headers.get("host", "")) not in self.hosts:
                detail = "The service doesn't answer under this name (start it with --trusted-host). 主机名未获信任。"
                return await reply(Kind.WRONG_HOST, detail)(scope, receive, send)
            if "\0" in scope["path"] or b"%00" in scope["query_string"]:
                return await reply(Kind.INVALID, "The address holds a NUL. 地址中有空字符。")(scope, receive, send)
            if _other_coding(headers):
                return await reply(Kind.MALFORMED, "Send forms in UTF-8. 表单须用 UTF-8 编码。")(scope, receive, send)
            largest = LARGER.get(scope["path"], LARGEST_BODY)
            if _too_large(headers, largest):
                detail = f"Send at most {largest // 1024 // 1024} MB, with a Content-Length."
                return await reply(Kind.TOO_LARGE, detail)(scope, receive, send)
        return await self.app(scope, receive, send)


class Tagged:
    """Gives every JSON answer of the API to a GET an ETag, and answers 304 where the caller has it already."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tag its answer."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/api/"):
            return await self.app(scope, receive, send)
        held: list[Message] = []
        given = Headers(scope=scope).get("if-none-match", "")

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                held.append(message)
            elif held and message["type"] == "http.response.body" and not message.get("more_body"):
                await send(_tagged(held.pop(), message, given))
                await send(message)
            else:
                while held:
                    await send(held.pop(0))
                await send(message)

        await self.app(scope, receive, tagged)
        return None


class Logged:
    """Writes a line for every request: method, route, status, milliseconds, role. Addresses may hold numbers: no."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tell how it ended."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self.app(scope, receive, watched)
        caller = scope.get("state", {}).get("caller")
        told = {
            "method": scope["method"],
            "route": getattr(scope.get("route"), "path", None),
            "status": status,
            "ms": round(1000 * (time.perf_counter() - began), 1),
            "role": caller.role if caller else None,
        }
        log.info("answered", extra={TOLD: told})
        return None


def _tagged(start: Message, body: Message, given: str) -> Message:
    """The start of an answer with its ETag; a 304 without a body where that tag was given."""
    headers = MutableHeaders(scope=start)
    if "etag" not in headers:
        headers["etag"] = f'W/"{hashlib.sha256(body["body"]).hexdigest()[:20]}"'
        headers["cache-control"] = "private, no-cache"
    if headers["etag"] in [part.strip() for part in given.split(",")]:
        start["status"], body["body"] = 304, b""
        for name in ("content-length", "content-type"):
            if name in headers:
                del headers[name]
    return start


def _host(header: str) -> str:
    parts = parts_of(f"//{header}")
    return (parts.hostname if parts else None) or ""


def _other_coding(headers: Headers) -> bool:
    """Whether a form names a coding of its own: some would read halves of characters out of it."""
    kind, named = parse_options_header(headers.get("content-type", ""))
    return kind == b"multipart/form-data" and named.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8")


def _too_large(headers: Headers, largest: int) -> bool:
    length = headers.get("content-length", "0")
    return "chunked" in headers.get("transfer-encoding", "") or not length.isdecimal() or int(length) > largest
