"""Every error answer of the service and its HTTP status: RFC 9457 problem details, or a page for a browser.

Statuses live here and nowhere else. The log gets a reference number and code positions, never a
message or a value: those may hold names.
"""

import json
import logging
import traceback
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as held
from enum import Enum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import SHOWN, Refusal

log = logging.getLogger(__name__)


class Kind(Enum):
    """The kinds of problem: (status, title zh, title en)."""

    MALFORMED = (400, "请求无法读取", "The request can't be read")
    SIGN_IN = (401, "请先登录", "Sign in first")
    FORBIDDEN = (403, "无权进行此操作", "Not allowed")
    CHANGE_PASSWORD = (403, "请先修改初始密码", "Change the first password")
    FOREIGN_FORM = (403, "表单无效", "The form is not one of ours")
    NOT_FOUND = (404, "没有找到", "Not found")
    NOT_ALLOWED = (405, "不支持这种请求方式", "This method is not supported here")
    LIST_CHANGED = (409, "名单已更新", "The list has changed")
    DECIDED_MEANWHILE = (409, "他人已先行处理", "Somebody decided meanwhile")
    NOT_PROMOTED = (409, "未通过上线门槛", "The gate does not let it pass")
    TOO_LARGE = (413, "请求过大", "The request is too large")
    WRONG_HOST = (421, "主机名不符", "Wrong host name")
    INVALID = (422, "请求内容有误", "The request has mistakes")
    TOO_MANY = (429, "请求过于频繁", "Too many requests")
    OURS = (500, "系统内部错误", "Something of ours failed")
    AWAY = (502, "统一认证服务不可用", "The provider is not available")
    NOT_READY = (503, "尚未就绪", "Not ready")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    def title(self, language: str) -> str:
        """Return the title in ``zh`` or ``en``."""
        return self.value[1] if language == "zh" else self.value[2]


class Problem(Exception):
    """An answer that is not the one asked for: its kind, what is wrong, each mistake, the field, seconds to wait."""

    def __init__(
        self, kind: Kind, detail: str, problems: Sequence[str] = (), *, retry_after: int = 0, field: str = ""
    ) -> None:
        self.kind = kind
        self.retry_after = retry_after
        self.field = field
        self.detail = detail
        self.problems = tuple(problems)
        super().__init__(detail)


@dataclass(frozen=True)
class Told:
    """What is told of a problem: on a page beside the ``field`` of the form, where it is one field's."""

    detail: str
    problems: Sequence[str] = ()
    field: str = ""
    hint: str = ""
    """What to do, in the words of the command line: pages leave it out where it names a command."""
    mistake: str = ""
    """What is wrong with the field where the form itself tells it (``missing``, ``string_too_short``)."""
    limits: Mapping[str, Any] = held(default_factory=dict)


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "reference"],
    "properties": {
        "type": {"type": "string", "example": "urn:jingxing:problem:not-found"},
        "title": {"type": "string", "example": "Not found"},
        "status": {"type": "integer", "example": 404},
        "detail": {"type": "string", "example": "Nobody of that number has been scored."},
        "reference": {"type": "string", "example": "5f0c7d2a"},
        "problems": {"type": "array", "items": {"type": "string"}, "example": []},
    },
}


def problem_answers(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that can answer with these problems, for the OpenAPI document."""
    content = {"application/problem+json": {"schema": PROBLEM_SCHEMA}}
    return {kind.status: {"description": kind.title("en"), "content": content} for kind in (*kinds, Kind.OURS)}


def answer_problems(app: FastAPI) -> None:
    """Make the application answer every error as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


def reply(kind: Kind, detail: str, problems: Sequence[str] = (), *, reference: str | None = None) -> Response:
    """Return a problem as application/problem+json."""
    body: dict[str, Any] = {
        "type": f"urn:jingxing:problem:{kind.name.lower().replace('_', '-')}",
        "title": kind.title("en"),
        "status": kind.status,
        "detail": detail,
        "reference": reference or uuid.uuid4().hex[:8],
    }
    if problems:
        body["problems"] = list(problems[:SHOWN])
        body["problems_total"] = len(problems)
    text = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")  # half a character is escaped
    return Response(text, status_code=kind.status, media_type="application/problem+json")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    answer = await _answer(request, error.kind, Told(error.detail, error.problems, error.field))
    if error.retry_after:
        answer.headers["Retry-After"] = str(error.retry_after)
    if error.kind is Kind.SIGN_IN and answer.status_code == error.kind.status:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return await _answer(request, Kind.INVALID, Told(error.what, error.problems, hint=error.hint))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    kind = Kind.MALFORMED if any(fault["type"] == "json_invalid" for fault in faults) else Kind.INVALID
    problems = [f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in faults]
    first = faults[0]
    told = {"field": str(first["loc"][-1]), "mistake": first["type"], "limits": first.get("ctx", {})}
    return await _answer(request, kind, Told("What can't be read is listed under problems.", problems, **told))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = next((kind for kind in Kind if kind.status == error.status_code), Kind.MALFORMED)
    answer = await _answer(request, kind, Told(str(error.detail)))
    answer.headers.update(error.headers or {})
    return answer


async def _answer(request: Request, kind: Kind, told: Told) -> Response:
    page = getattr(request.app.state, "problem_page", None)
    if page is None or request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return reply(kind, " ".join(part for part in (told.detail, told.hint) if part), told.problems)
    again: Response | None = await request.app.state.form_again(request, kind, told)
    answer: Response = again or page(request, kind, told.detail)
    return answer


class LastDoor:
    """ASGI middleware: whatever else fails answers 500; the log gets frames, not values."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500 if that fails before an answer began."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - the last door: anything that fails is ours
            reference = uuid.uuid4().hex[:8]
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("reference %s: %s\n%s", reference, type(error).__name__, frames)
            if not begun and scope["type"] == "http":
                detail = "The trace is in the log under the reference."
                await reply(Kind.OURS, detail, reference=reference)(scope, receive, send)
