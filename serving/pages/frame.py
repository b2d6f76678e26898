"""What every page shares: the language of the reader, the template engine, links that keep the filters."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving import words
from serving.problems import Kind

Language = Literal["zh", "en"]
COOKIE = "lang"
A_YEAR = 365 * 24 * 3600

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "percent": words.percent,
    "points": words.points,
    "number": words.number,
    "odds": words.odds,
    "percent_of": lambda share: f"{share:.0f}%",
    "path": lambda text: quote(str(text), safe=""),
}


def language_of(request: Request, lang: Language | None = None) -> Language:
    """Return the language asked for in the address, else the one of the cookie, else Chinese."""
    return lang or ("en" if request.cookies.get(COOKIE) == "en" else "zh")


Reader = Annotated[Language, Depends(language_of)]
"""The language in which the page is read."""


def page(request: Request, template: str, language: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a rendered page; a language chosen in the address is kept in a cookie."""
    text = _templates.get_template(template).render(
        language=language,
        html_language="zh-CN" if language == "zh" else "en",
        t=lambda key, **blanks: words.say(key, language, **blanks),
        month_name=lambda day: words.month_name(day, language),
        day_name=lambda day: words.day_name(day, language),
        tenure=lambda months: words.tenure(months, language),
        here=lambda **changes: address(request, **changes),
        path=request.url.path,
        **values,
    )
    answer = HTMLResponse(text, status_code=status)
    if "lang" in request.query_params:
        answer.set_cookie(COOKIE, language, max_age=A_YEAR, httponly=True, samesite="lax")
    return answer


def address(request: Request, **changes: str | int | None) -> str:
    """Return this page's address with some parameters changed (None takes one out)."""
    query: dict[str, Any] = {**request.query_params, **changes}
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")


def problem_page(request: Request, kind: Kind, detail: str) -> HTMLResponse:
    """Return an error as a page in the reader's language."""
    asked = request.query_params.get("lang") or request.cookies.get(COOKIE)
    language = "en" if asked == "en" else "zh"
    return page(request, "problem.html", language, status=kind.status, title=kind.title(language), detail=detail)
