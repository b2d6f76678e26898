"""Sign-in, sign-out and the change of a password: server-side sessions, one cookie that holds a random secret."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from features.errors import Refusal
from serving.access import credentials, signing_in
from serving.access.caller import COOKIE, TheCaller, needs, same_site
from serving.access.passwords import WrongPassword
from serving.access.roles import Permission
from serving.access.tables import Account
from serving.answers.addresses import parts_of
from serving.answers.problems import Kind, Problem
from serving.pages.frame import PASSWORD, SIGN_IN, Reader, page
from serving.sessions import Turn, Writing

TOO_OFTEN = "Too many wrong passwords: wait a while, then try again. 密码错误次数过多，请稍后再试。"
UNLIKE = "The new password was not repeated alike. 两次输入的新密码不一致。"

router = APIRouter(include_in_schema=False)
OPEN = [needs(Permission.OPEN)]
Words = Annotated[str, Form(max_length=1000, pattern=r"^[^\x00]*$")]


@router.get(SIGN_IN, dependencies=OPEN)
def sign_in_page(request: Request, language: Reader, wanted: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Ask for name and password."""
    return page(request, "sign_in.html", language, next=local(wanted), **_form(request))


@router.post(SIGN_IN, dependencies=OPEN)
def sign_in(
    request: Request,
    language: Reader,
    _turn: Turn,
    name: Words,
    password: Words,
    wanted: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Sign in, or say that it did not work: never which of the two was wrong."""
    same_site(request)
    address = request.client.host if request.client else ""
    found = signing_in.sign_in(request.app.state.engine, name, password, address=address)
    if found.account is None:
        kind = Kind.TOO_MANY if found.wait_seconds else Kind.SIGN_IN
        answer: Response = page(
            request, "sign_in.html", language, status=kind.status, next=local(wanted),
            **_form(request, name=name, failed=True, wait=found.wait_seconds),
        )  # fmt: skip
        if found.wait_seconds:
            answer.headers["Retry-After"] = str(found.wait_seconds)
        return answer
    return entered(request, found.account, found.secret, wanted)


@router.post("/sign-out", dependencies=OPEN)
def sign_out(request: Request, writing: Writing) -> Response:
    """End this browser's sign-in."""
    credentials.end(writing, request.cookies.get(COOKIE, ""))
    answer = RedirectResponse(SIGN_IN, status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get(PASSWORD, dependencies=OPEN)
def password_page(request: Request, _caller: TheCaller, language: Reader) -> Response:
    """Ask for a new password."""
    return page(request, "password.html", language)


@router.post(PASSWORD, dependencies=OPEN)
def change_password(request: Request, caller: TheCaller, _turn: Turn, old: Words, new: Words, again: Words) -> Response:
    """Change the password: every other sign-in of the account ends, this one goes on."""
    if new != again:
        raise Problem(Kind.INVALID, UNLIKE, field="again")
    address = request.client.host if request.client else ""
    try:
        found = signing_in.change_password(
            request.app.state.engine, caller.actor.name, old=old, new=new, address=address
        )
    except Refusal as refusal:
        wrong = "old" if isinstance(refusal, WrongPassword) else "new"
        raise Problem(Kind.INVALID, refusal.what, field=wrong) from None
    if found.account is None:
        raise Problem(Kind.TOO_MANY, TOO_OFTEN, retry_after=found.wait_seconds)
    return entered(request, found.account, found.secret, "/")


def local(wanted: str) -> str:
    """Return an address of this service; the front page for any other."""
    parts = parts_of(wanted.replace("\\", "/"))
    ours = (
        parts is not None
        and not parts.scheme
        and not parts.netloc
        and wanted.startswith("/")
        and not wanted.startswith("//")
    )
    return wanted if ours and wanted.isprintable() else "/"


def _form(request: Request, *, name: str = "", failed: bool = False, wait: int = 0) -> dict[str, Any]:
    return {"name": name, "failed": failed, "wait": wait, "provider": request.app.state.provider is not None}


def entered(request: Request, account: Account, secret: str, wanted: str) -> Response:
    """The browser goes on with its cookie: to change a first password before anything else."""
    answer = RedirectResponse(PASSWORD if account.must_change else local(wanted), status_code=303)
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer
