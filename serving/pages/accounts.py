"""Accounts, for the administrator: add, close, give a new first password; tokens for programs. Secrets show once."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from serving.access import accounts, credentials
from serving.access.caller import TheCaller, needs
from serving.access.roles import PERMISSIONS_OF, Permission, Role
from serving.access.rostered import check_rostered
from serving.access.tables import Account, Token
from serving.answers.problems import Kind, Problem
from serving.pages.frame import Reader, page
from serving.sessions import Database, NumberInPath, Writing

OWN = "Nobody closes the own account: ask another administrator. 不能停用自己的账号，请由其他管理员操作。"
NOBODY = "There is no such account. 没有这个账号。"

router = APIRouter(prefix="/accounts", include_in_schema=False)
MANAGE = [needs(Permission.MANAGE_ACCOUNTS)]
Words = Annotated[str, Form(max_length=2000)]
Find = Annotated[str, Query(max_length=120, pattern=r"^[^\x00]*$")]
SHOWN = 60
"""So many accounts stand on the page: every officer of a force may have one."""


@router.get("", dependencies=MANAGE)
def accounts_page(request: Request, database: Database, language: Reader, find: Find = "") -> Response:
    """Show the accounts with role, scope, state and tokens: the first of all, or those whose name holds a text."""
    return _shown(request, database, language, find=find.strip())


@router.post("", dependencies=MANAGE)
def add(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    language: Reader,
    name: Words,
    role: Annotated[Role, Form()],
    units: Words = "",
    officer: Words = "",
) -> Response:
    """Add an account and show its first password."""
    scope = tuple(line.strip() for line in units.splitlines() if line.strip())
    new = accounts.NewAccount(name.strip(), role, scope, officer.strip() or None)
    check_rostered(request.app.state.home, new.units, new.officer_id)
    secret = accounts.add_account(writing, caller.actor, new)
    return _shown(request, writing, language, secret=secret, of=new.name)


@router.post("/{account_id}/password", dependencies=MANAGE)
def reset(
    request: Request, account_id: NumberInPath, caller: TheCaller, writing: Writing, language: Reader
) -> Response:
    """Give a new first password and show it."""
    name = _account(writing, account_id).name
    secret = accounts.reset_password(writing, caller.actor, name)
    return _shown(request, writing, language, secret=secret, of=name)


@router.post("/{account_id}/close", dependencies=MANAGE)
def close(
    request: Request, account_id: NumberInPath, caller: TheCaller, writing: Writing, language: Reader
) -> Response:
    """Close an account: its sign-ins and tokens end at once."""
    if account_id == caller.account_id:
        raise Problem(Kind.INVALID, OWN)
    name = _account(writing, account_id).name
    accounts.disable(writing, caller.actor, name)
    return _shown(request, writing, language, of=name)


@router.post("/{account_id}/tokens", dependencies=MANAGE)
def add_token(
    request: Request,
    account_id: NumberInPath,
    caller: TheCaller,
    writing: Writing,
    language: Reader,
    label: Annotated[str, Form(max_length=120)],
    days: Annotated[int, Form(ge=1, le=credentials.LONGEST_TOKEN_DAYS)] = 90,
    permission: Annotated[list[Permission] | None, Form()] = None,
) -> Response:
    """Make a token of an account and show it."""
    name = _account(writing, account_id).name
    secret = credentials.add_token(writing, caller.actor, name, label=label, days=days, permissions=permission or ())
    return _shown(request, writing, language, secret=secret, of=name, token=True)


@router.post("/tokens/{token_id}/revoke", dependencies=MANAGE)
def revoke(request: Request, token_id: NumberInPath, caller: TheCaller, writing: Writing, language: Reader) -> Response:
    """End a token at once."""
    credentials.revoke(writing, caller.actor, token_id)
    return _shown(request, writing, language)


def _account(session: Session, account_id: int) -> Account:
    found = session.get(Account, account_id)
    if found is None:
        raise Problem(Kind.NOT_FOUND, NOBODY)
    return found


def _shown(
    request: Request,
    session: Session,
    language: str,
    *,
    secret: str = "",
    of: str = "",
    token: bool = False,
    find: str = "",
) -> Response:
    """The page with what was just made, and the account that it is of."""
    session.flush()
    chosen = select(Account).where(Account.name == of if of else Account.name.contains(find, autoescape=True))
    found = session.scalars(chosen.order_by(Account.name).limit(SHOWN)).all()
    mine = select(Token).where(Token.revoked_at.is_(None), Token.account_id.in_([each.id for each in found]))
    tokens: dict[int, list[Token]] = {}
    for each in session.scalars(mine.order_by(Token.id)):
        tokens.setdefault(each.account_id, []).append(each)
    values: dict[str, Any] = {
        "accounts": found,
        "total": session.scalar(select(func.count()).select_from(Account)),
        "fitting": session.scalar(select(func.count()).select_from(chosen.subquery())),
        "find": find,
        "tokens": tokens,
        "roles": list(Role),
        "permissions_of": {role.value: sorted(PERMISSIONS_OF[role] - {Permission.OPEN}) for role in Role},
        "secret": secret,
        "of": of,
        "token": token,
    }
    return page(request, "accounts.html", language, **values)
