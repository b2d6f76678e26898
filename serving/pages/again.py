"""A form that was not accepted comes back as it was filled in, on the page where it stood, with what is wrong.

The page is asked for again as a GET by the same caller; so permissions, sight and the newest state hold for it too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import FormData
from starlette.routing import Match
from starlette.types import Message

from serving.access.caller import FORMS
from serving.answers.addresses import parts_of
from serving.answers.problems import Kind, Told
from serving.pages.filled import OURS, PAGE, Typed, filled
from serving.words import WORDS, one_language, say

MENDED_BY_TYPING = frozenset(
    {Kind.INVALID, Kind.NOT_FOUND, Kind.DECIDED_MEANWHILE, Kind.LIST_CHANGED, Kind.NOT_PROMOTED, Kind.NOT_READY}
)
OF_COMMANDS = re.compile(r"jingxing |--\w")
SECRET = frozenset({"password", "old", "new", "again"})
LOST = 12
"""Characters from which on a text is worth showing on a page of errors, where its form is no longer there."""


async def form_again(request: Request, kind: Kind, told: Told) -> Response | None:
    """Return the page of a form that was sent and refused, filled in as it was; None where there is no such page."""
    if request.method != "POST" or kind not in MENDED_BY_TYPING or not _is_form(request):
        return None
    form = await request.form()
    sent = {name: [str(each) for each in form.getlist(name) if isinstance(each, str)] for name in form}
    request.state.lost = list(_lost(sent))
    language = language_asked(request)
    for place in _places(request, form):
        html = await _page(request, place)
        typed = Typed(request.url.path, sent, sentences(kind, told, language), told.field, place)
        again = filled(html, typed) if html is not None else None
        if again is not None:
            return HTMLResponse(again, status_code=kind.status)
    return None


def language_asked(request: Request) -> str:
    """Return the language of the address or the cookie, else Chinese."""
    asked = request.query_params.get("lang") or request.cookies.get("lang")
    return "en" if asked == "en" else "zh"


def sentences(kind: Kind, told: Told, language: str) -> list[tuple[str, str]]:
    """Return what is wrong, one sentence each with its language: what there is in English only is told as that."""
    if told.mistake:
        key = f"fault_{told.mistake}"
        return [(say(key if key in WORDS else "fault_other", language, **_limits(told.limits)), language)]
    hint = "" if OF_COMMANDS.search(told.hint) else told.hint
    texts = [text for text in (told.detail, *told.problems, hint) if text]
    found = [(one_language(text, language), language) for text in texts]
    if language == "en" or any(text for text, _ in found):
        return [each for each in found if each[0]] or [(kind.title(language), language)]
    return [(say("problem_detail", language), language), *((text, "en") for text in texts)]


def _limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    """The bounds of a mistake under the names that the texts use."""
    least = limits.get("min_length", limits.get("ge", limits.get("gt", "")))
    most = limits.get("max_length", limits.get("le", limits.get("lt", "")))
    return {"least": least, "most": most}


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").split(";")[0] in FORMS


def _lost(sent: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What somebody wrote, for a page that no longer has the form."""
    for name, values in sent.items():
        if name not in OURS | SECRET:
            yield from (value for value in values if len(value) >= LOST)


def _places(request: Request, form: FormData) -> Iterator[str]:
    """Pages where the form may stand: the one it names, the one it was sent from, the address itself, those above."""
    named, sent_from = form.get(PAGE), parts_of(request.headers.get("referer", ""))
    if isinstance(named, str) and named.startswith("/") and not named.startswith("//"):
        yield named
    if sent_from and sent_from.netloc == request.headers.get("host"):
        yield sent_from.path + (f"?{sent_from.query}" if sent_from.query else "")
    if request.url.query:
        yield f"{request.url.path}?{request.url.query}"
    steps = request.url.path.split("/")
    for length in range(len(steps), 1, -1):
        yield "/".join(steps[:length])


async def _page(request: Request, place: str) -> str | None:
    """The page at an address of ours as this caller sees it now; None where there is none."""
    parts = parts_of(place)
    if parts is None:
        return None
    kept = [each for each in request.scope["headers"] if not each[0].startswith((b"content-", b"transfer-"))]
    scope = {name: value for name, value in request.scope.items() if name not in ("route", "endpoint", "path_params")}
    scope |= {"method": "GET", "path": parts.path, "raw_path": parts.path.encode(), "headers": kept}
    scope |= {"query_string": parts.query.encode(), "state": dict(request.scope.get("state", {}))}
    if parts.path.startswith("/api/") or not any(
        route.matches(scope)[0] is Match.FULL for route in request.app.router.routes
    ):
        return None
    status, body = 0, b""

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def taken(message: Message) -> None:
        nonlocal status, body
        status, body = message.get("status", status), body + message.get("body", b"")

    await request.app.router(scope, nothing, taken)
    return body.decode() if status == 200 else None
