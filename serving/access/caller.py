"""The caller of a request: read from cookie or token, checked against the permission that its route declares."""

import datetime as dt
import hmac
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access import credentials
from serving.access.audit import Actor, record
from serving.access.looking import looked_lately
from serving.access.roles import FIELD_NEEDS, PERMISSIONS_OF, Field, Permission, Role
from serving.access.sight import Sight
from serving.access.tables import SignedIn
from serving.answers.addresses import parts_of
from serving.answers.problems import Kind, Problem
from serving.database import transaction
from serving.sessions import Database

COOKIE = "jingxing"
FORM_FIELD, HEADER = "csrf", "x-csrf-token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class Caller:
    """Who asks: an account signed in by cookie (``secret``) or by token."""

    actor: Actor
    account_id: int
    role: Role
    permissions: frozenset[Permission]
    sight: Sight
    must_change: bool
    secret: str | None

    @property
    def csrf(self) -> str:
        """What this browser's forms send back; empty for a program."""
        return credentials.csrf_token(self.secret) if self.secret else ""


class Program(NamedTuple):
    """A caller by token, and which token it is."""

    token: int
    caller: Caller


def caller_of(request: Request, database: Database) -> Caller | None:
    """Return who asks; None where nobody is signed in. A token that is not good is a problem, not nobody."""
    request.state.caller = found = _asking(request, database)
    return found


def _asking(request: Request, database: Database) -> Caller | None:
    if request.headers.get("authorization", ""):
        shown = program_of(request, database)
        if shown is None:
            raise Problem(Kind.SIGN_IN, "The token is not good: unknown, over or revoked. 令牌无效。")
        request.app.state.rates.count(shown.token)
        return shown.caller
    secret = request.cookies.get(COOKIE, "")
    held = credentials.holder(database, secret) if secret else None
    if held is None:
        return None
    account, signed = held
    if credentials.stale(signed):
        _seen(request, signed.digest)
    return _caller(account, PERMISSIONS_OF[Role(account.role)], request.app.state.salt, secret=secret)


def program_of(request: Request, database: Session) -> Program | None:
    """Return who shows a token; None where it is not good. The call is not counted."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    found = credentials.bearer(database, secret.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        return None
    granted = frozenset(Permission(name) for name in found.permissions) or PERMISSIONS_OF[Role(found.role)]
    caller = _caller(found, granted & PERMISSIONS_OF[Role(found.role)], request.app.state.salt)
    return Program(found.token, caller)


MaybeCaller = Annotated[Caller | None, Depends(caller_of, scope="function")]


class Needs:
    """The dependency of a route: refuses who is not signed in, may not, or sends a form that is not ours."""

    def __init__(self, permission: Permission, *, before_change: bool = False) -> None:
        self.permission = permission
        self.before_change = before_change

    async def __call__(self, request: Request, caller: MaybeCaller) -> None:
        """Let the caller pass, or raise the problem; a refusal is written to the audit chain."""
        if self.permission is not Permission.OPEN:
            await self._allowed(request, caller)
        if caller is not None and request.method not in SAFE and caller.secret is not None:
            await _same_browser(request, caller)

    async def _allowed(self, request: Request, caller: Caller | None) -> None:
        if caller is None:
            raise Problem(Kind.SIGN_IN, "Sign in first. 请先登录。")
        if caller.must_change and caller.secret is not None and not self.before_change:
            raise Problem(Kind.CHANGE_PASSWORD, "Choose a password of your own first. 请先修改初始密码。")
        if self.permission not in caller.permissions:
            await run_in_threadpool(refused, request, caller, self.permission.value)
            raise Problem(Kind.FORBIDDEN, "Your role may not do this. 您的角色无权进行此操作。")


def needs(permission: Permission, *, before_change: bool = False) -> Any:
    """Return the dependency for a route: ``dependencies=[needs(Permission.SEE_LISTS)]``."""
    return Depends(Needs(permission, before_change=before_change))


async def the_caller(request: Request) -> Caller:
    """Return who asks, as the route's permission found out, on a route that needs somebody."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise Problem(Kind.SIGN_IN, "Sign in first. 请先登录。")
    return caller


TheCaller = Annotated[Caller, Depends(the_caller)]


def refused(request: Request, caller: Caller, what: str) -> None:
    """Write a refusal to the audit chain, in a transaction of its own: the request's own is rolled back."""
    with transaction(request.app.state.engine) as session:
        route = request.scope.get("route")
        record(session, caller.actor, "refused", getattr(route, "path", ""), permission=what, method=request.method)


def looked(request: Request, caller: Caller, asked: str, *, found: bool) -> None:
    """Write to the audit chain that a person was looked at, or that the caller asked for nobody within reach.

    The second holds a pseudonym of what was typed: it may be anything.
    """
    with transaction(request.app.state.engine) as session:
        place = getattr(request.scope.get("route"), "path", "")
        if found:
            record(session, caller.actor, "looked", asked, at=place)
        else:
            record(session, caller.actor, "refused", place, asked=caller.sight.pseudonym(asked))


def picture_looked(request: Request, caller: Caller, database: Session, asked: str, *, found: bool) -> None:
    """Write a look at a person's picture, as ``looked`` does; one beside a page that was just opened is that look."""
    if not (found and looked_lately(database, caller.actor, asked)):
        looked(request, caller, asked, found=found)


def _caller(
    account: credentials.Whose, granted: frozenset[Permission], salt: str, *, secret: str | None = None
) -> Caller:
    role = Role(account.role)
    return Caller(
        actor=Actor(account.name, account.role),
        account_id=account.id,
        role=role,
        permissions=granted,
        sight=Sight(role, tuple(account.units), account.officer_id, salt, _hidden(role, granted)),
        must_change=account.must_change,
        secret=secret,
    )


def _hidden(role: Role, granted: frozenset[Permission]) -> frozenset[Field]:
    """The fields of which the role has the permission and the token has not."""
    missing = PERMISSIONS_OF[role] - granted
    return frozenset(field for field, permission in FIELD_NEEDS.items() if permission in missing)


def same_site(request: Request) -> None:
    """Refuse what a browser says another site sent."""
    origin = request.headers.get("origin")
    foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if foreign or (origin is not None and not _ours(request, origin)):
        raise Problem(Kind.FOREIGN_FORM, "This was sent from another site. 请求来自其他站点。")


def _ours(request: Request, origin: str) -> bool:
    """Whether an origin is this service; ``null``, of a page that hides its own, is not."""
    parts = parts_of(origin)
    return parts is not None and parts.netloc == request.headers.get("host", "")


async def _same_browser(request: Request, caller: Caller) -> None:
    """A change by cookie must come from our own page: same origin, and the secret that its forms carry."""
    same_site(request)
    given = request.headers.get(HEADER, "")
    if not given and request.headers.get("content-type", "").split(";")[0] in FORMS:
        given = str((await request.form()).get(FORM_FIELD, ""))
    if not hmac.compare_digest(given.encode(errors="replace"), caller.csrf.encode()):
        raise Problem(Kind.FOREIGN_FORM, "The form is too old: open the page again. 表单已过期，请重新打开页面。")


def _seen(request: Request, digest: str) -> None:
    with transaction(request.app.state.engine) as session:
        signed = session.scalar(select(SignedIn).where(SignedIn.digest == digest))
        if signed is not None:
            signed.seen_at = dt.datetime.now(dt.UTC)
