"""What a request shows to be let in: a browser's cookie or a program's token. Only digests are kept."""

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.accounts import account_named
from serving.access.audit import HEAD, Actor, record
from serving.access.roles import PERMISSIONS_OF, Permission, Role
from serving.access.tables import Account, AuditHead, SignedIn, Token

IDLE = dt.timedelta(hours=2)
LONGEST = dt.timedelta(hours=12)
SEEN_EVERY = dt.timedelta(minutes=5)
"""The time of the last request is written no more often than this."""
TOKEN_HEAD = "jx_"
LONGEST_TOKEN_DAYS = 366
_SIGNED_IN = (
    select(Account, SignedIn)
    .join(SignedIn, SignedIn.account_id == Account.id)
    .where(SignedIn.digest == bindparam("digest"), Account.disabled_at.is_(None))
)
_account, _token, _head = (each.__table__.c for each in (Account, Token, AuditHead))
_BEARER = (
    select(
        _account.id,
        _account.name,
        _account.role,
        _account.units,
        _account.officer_id,
        _account.must_change,
        _token.id,
        _token.permissions,
        _token.ends_at,
        _head.number,
        _head.hash,
    )
    .join(Token.__table__, _token.account_id == _account.id)
    .outerjoin(AuditHead.__table__, _head.id == 1)
    .where(_token.digest == bindparam("digest"), _token.revoked_at.is_(None), _account.disabled_at.is_(None))
)
"""Asked at every request: written once, of columns alone, which takes half as long as of mapped classes.

It brings the end of the audit chain along for those who ask next.
"""


class Whose(Protocol):
    """An account as a request needs it."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def units(self) -> Sequence[str]: ...
    @property
    def officer_id(self) -> str | None: ...
    @property
    def must_change(self) -> bool: ...


class Bearer(NamedTuple):
    """Whose token a program shows, and what the token is good for."""

    id: int
    name: str
    role: str
    units: Sequence[str]
    officer_id: str | None
    must_change: bool
    token: int
    permissions: Sequence[str]
    ends_at: dt.datetime


def begin(session: Session, account: Account, *, now: dt.datetime | None = None) -> str:
    """Sign a browser in and return the secret for its cookie."""
    moment, secret = now or dt.datetime.now(dt.UTC), secrets.token_urlsafe(32)
    session.execute(delete(SignedIn).where(SignedIn.ends_at < moment))
    session.add(
        SignedIn(
            digest=_digest(secret), account_id=account.id, started_at=moment, seen_at=moment, ends_at=moment + LONGEST
        )
    )
    return secret


def end(session: Session, secret: str) -> None:
    """Sign a browser out."""
    session.execute(delete(SignedIn).where(SignedIn.digest == _digest(secret)))


def holder(session: Session, secret: str, *, now: dt.datetime | None = None) -> tuple[Account, SignedIn] | None:
    """Return whose cookie this is; None when it is nobody's, too old, or its account is closed."""
    moment = now or dt.datetime.now(dt.UTC)
    found = session.execute(_SIGNED_IN, {"digest": _digest(secret)}).one_or_none()
    if found is None:
        return None
    account, signed = found
    return (account, signed) if moment < min(_utc(signed.ends_at), _utc(signed.seen_at) + IDLE) else None


def stale(signed: SignedIn, *, now: dt.datetime | None = None) -> bool:
    """Return whether it is time to write that this browser was seen."""
    return (now or dt.datetime.now(dt.UTC)) - _utc(signed.seen_at) > SEEN_EVERY


def csrf_token(secret: str) -> str:
    """Return what this browser's forms must send back: only pages that it was given know it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def add_token(
    session: Session,
    actor: Actor,
    name: str,
    *,
    label: str,
    days: int = 90,
    permissions: Sequence[Permission] = (),
) -> str:
    """Return a new token of an account, shown this once; a Refusal where it asks for more than the account may."""
    account = account_named(session, name)
    if account.disabled_at is not None:
        raise Refusal(f"The account '{name}' is closed. 该账号已停用。")
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Refusal(
            f"A token is good for 1 to {LONGEST_TOKEN_DAYS} days. 令牌有效期为 1 至 {LONGEST_TOKEN_DAYS} 天。"
        )
    beyond = set(permissions) - PERMISSIONS_OF[Role(account.role)]
    if beyond:
        raise Refusal(
            f"The role {account.role} may not do all of this. 该角色没有所选的全部权限。",
            sorted(each.value for each in beyond),
        )
    secret, now = TOKEN_HEAD + secrets.token_urlsafe(32), dt.datetime.now(dt.UTC)
    session.add(
        Token(
            account_id=account.id,
            label=label,
            digest=_digest(secret),
            permissions=sorted(each.value for each in permissions),
            made_at=now,
            ends_at=now + dt.timedelta(days=days),
            revoked_at=None,
        )
    )
    record(session, actor, "token made", name, label=label, days=days, permissions=sorted(permissions))
    return secret


def bearer(session: Session, secret: str, *, now: dt.datetime | None = None) -> Bearer | None:
    """Return whose token this is; None when it is nobody's, over, revoked, or its account is closed."""
    moment = now or dt.datetime.now(dt.UTC)
    row = session.execute(_BEARER, {"digest": _digest(secret)}).one_or_none()
    if row is None:
        return None
    *held, number, mark = row
    if mark is not None:
        session.info[HEAD] = (number, mark)
    found = Bearer(*held)
    return found if moment < _utc(found.ends_at) else None


def revoke(session: Session, actor: Actor, token_id: int) -> None:
    """End a token; a Refusal where there is none of that number."""
    token = session.get(Token, token_id)
    if token is None:
        raise Refusal(f"There is no token {token_id}. 没有这个令牌。", hint="See: jingxing user list")
    token.revoked_at = token.revoked_at or dt.datetime.now(dt.UTC)
    record(session, actor, "token revoked", str(token_id))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
