"""Sign-in through the bureau's own provider: there, and back."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from serving.access import accounts, credentials
from serving.access.caller import needs
from serving.access.provider import OwnProvider
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.pages.door import entered, local
from serving.pages.frame import SIGN_IN, problem_page
from serving.sessions import Writing

COOKIE = "jingxing-provider"
BACK = f"{SIGN_IN}/provider/back"
NO_ACCOUNT = "The provider knows you, but there is no account for you here. 本系统没有您的账号，请联系管理员。"
MINUTES = 10

router = APIRouter(include_in_schema=False)
OPEN = [needs(Permission.OPEN)]
Given = Annotated[str, Query(max_length=4000)]


@router.get(f"{SIGN_IN}/provider", dependencies=OPEN)
def go_there(
    request: Request, writing: Writing, wanted: Annotated[str, Query(alias="next", max_length=2000)] = "/"
) -> Response:
    """Send the browser to the provider."""
    begun = _provider(request).begin(writing, _back(request), local(wanted))
    answer = RedirectResponse(begun.address, status_code=303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, begun.browser, max_age=60 * MINUTES, path=BACK, httponly=True, samesite="lax", secure=secure
    )
    return answer


@router.get(BACK, dependencies=OPEN)
def come_back(request: Request, writing: Writing, state: Given = "", code: Given = "") -> Response:
    """Take the browser back and sign it in as the account that the provider vouches for."""
    name, wanted = _provider(request).finish(
        writing, back=_back(request), state=state, code=code, browser=request.cookies.get(COOKIE, "")
    )
    account = accounts.enter_by_provider(writing, name)
    if account is None:
        return problem_page(request, Kind.FORBIDDEN, NO_ACCOUNT)  # not raised: the failure is written
    answer = entered(request, account, credentials.begin(writing, account), wanted)
    answer.delete_cookie(COOKIE, path=BACK)
    return answer


def _provider(request: Request) -> OwnProvider:
    found: OwnProvider | None = request.app.state.provider
    if found is None:
        raise Problem(Kind.NOT_FOUND, "No provider is set up here. 未配置统一认证。")
    return found


def _back(request: Request) -> str:
    return str(request.base_url).rstrip("/") + BACK
