"""What every page shares: the reader's language, a role's navigation, the templates, links that keep the filters."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving import words
from serving.access.caller import Caller
from serving.access.roles import Permission, Role
from serving.answers.problems import Kind

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
    "pushless": words.pushless,
    "odds": words.odds,
    "percent_of": lambda share: f"{share:.0f}%",
    "path": lambda text: quote(str(text), safe=""),
}


@dataclass(frozen=True)
class Place:
    """A page of the navigation: its address, its word, who may open it, and the addresses that belong to it."""

    path: str
    word: str
    permission: Permission
    pages: str
    footer: str = "footer"

    def holds(self, path: str) -> bool:
        """Return whether an address belongs to this place."""
        return re.fullmatch(self.pages, path) is not None


_P = Permission
NAVIGATION = (
    Place("/my-record", "nav_mine", _P.SEE_OWN_RECORD, r"/my-record.*"),
    Place("/lists", "nav_lists", _P.SEE_LISTS, r"/lists.*|/units/.*|/officers/[^/]+(/what-if)?"),
    Place("/objections", "nav_objections", _P.DECIDE_OBJECTIONS, r"/objections.*"),
    Place("/months", "nav_months", _P.SEE_LISTS, r"/months"),
    Place(
        "/cockpit",
        "nav_cockpit",
        _P.SEE_ASSESSMENT,
        r"/cockpit|/warnings|/assessment|/officers/[^/]+/(cockpit|points|events|letter)",
        "footer_assessed",
    ),
    Place("/rest", "nav_rest", _P.SEE_REST_PLANS, r"/rest.*"),
    Place("/mentorships", "nav_mentoring", _P.SEE_MENTORING, r"/mentorships.*"),
    Place("/effects", "nav_effects", _P.SEE_EFFECTS, r"/effects.*"),
    Place("/offers", "nav_offers", _P.SEE_RECOMMENDATIONS, r"/offers.*"),
    Place("/stars", "nav_stars", _P.SEE_STARS, r"/stars", "footer_assessed"),
    Place("/arrivals", "nav_arrivals", _P.SEE_DATA, r"/arrivals.*"),
    Place("/log", "nav_log", _P.SEE_AUDIT, r"/log"),
    Place("/models", "nav_models", _P.SEE_MODELS, r"/models.*"),
    Place("/monitor", "nav_monitor", _P.SEE_MONITOR, r"/monitor"),
    Place("/reviews", "nav_reviews", _P.SEE_MONITOR, r"/reviews"),
    Place("/accounts", "nav_accounts", _P.MANAGE_ACCOUNTS, r"/accounts.*", "footer_accounts"),
    Place("/notice", "nav_notice", _P.OPEN, r"/notice"),
)
"""The navigation, in its order: a role sees the places that it may open, and begins at the first of them."""
SIGN_IN, PASSWORD = "/sign-in", "/password"
OPERATORS = (Role.ADMIN, Role.DATA_SCIENTIST)
"""Roles that are told which command to run; others are told whom to ask."""


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
        **_door(request),
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


def home_of(request: Request, caller: Caller | None) -> str:
    """Return where a caller begins: the first place of the role, or the sign-in; the query goes along."""
    query = f"?{request.url.query}" if request.url.query else ""
    if caller is None:
        return SIGN_IN + query
    if caller.must_change:
        return PASSWORD + query
    return _open_to(caller)[0].path + query


def problem_page(request: Request, kind: Kind, detail: str) -> Response:
    """Return an error as a page in the reader's language; who is not signed in is led to the sign-in."""
    if kind is Kind.SIGN_IN and request.method == "GET":
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': wanted})}", status_code=303)
    if kind is Kind.CHANGE_PASSWORD:
        return RedirectResponse(PASSWORD, status_code=303)
    asked = request.query_params.get("lang") or request.cookies.get(COOKIE)
    language = "en" if asked == "en" else "zh"
    told = words.one_language(detail, language) or words.say("problem_detail", language)
    caller: Caller | None = getattr(request.state, "caller", None)
    home = next(iter(_open_to(caller)), None) if caller and not caller.must_change else None
    return page(
        request,
        "problem.html",
        language,
        status=kind.status,
        title=kind.title(language),
        detail=told,
        home=home,
        lost=getattr(request.state, "lost", []),
    )


def _door(request: Request) -> dict[str, Any]:
    """Who reads, and which places are open to them."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return {
        "caller": caller,
        "csrf": caller.csrf if caller else "",
        "navigation": _open_to(caller),
        "place": next((place for place in NAVIGATION if place.holds(request.url.path)), None),
        "may": _may(caller),
        "operator": caller is not None and caller.role in OPERATORS,
        "Permission": Permission,
    }


def _open_to(caller: Caller | None) -> list[Place]:
    """The places of the navigation that a caller may open, in its order."""
    return [place for place in NAVIGATION if place.permission in _may(caller)]


def _may(caller: Caller | None) -> frozenset[Permission]:
    return caller.permissions if caller and not caller.must_change else frozenset({Permission.OPEN})
