"""ASGI middleware around every answer: host names, sizes, and the headers that keep a browser at home."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Kind, reply

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LARGEST_BODY = 64 * 1024 * 1024

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
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


class Headed:
    """Adds the security headers to every answer, and ``Cache-Control: no-store`` where none is set."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and head its answer."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, headed)


class AtHome:
    """Refuses other host names than the machine's own (DNS rebinding), and bodies beyond LARGEST_BODY."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if _host(headers.get("host", "")) not in LOOPBACK:
                detail = "Until sign-in exists the service answers under localhost only."
                return await reply(Kind.WRONG_HOST, detail)(scope, receive, send)
            if _too_large(headers):
                detail = f"Send at most {LARGEST_BODY // 1024 // 1024} MB, with a Content-Length."
                return await reply(Kind.TOO_LARGE, detail)(scope, receive, send)
        return await self.app(scope, receive, send)


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _too_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return "chunked" in headers.get("transfer-encoding", "") or not length.isdecimal() or int(length) > LARGEST_BODY
