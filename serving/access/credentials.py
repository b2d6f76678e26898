"""What a request shows to be let in: a browser's cookie or a program's token. Only digests are kept."""

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.accounts import account_named
from serving.access.audit import Actor, record
from serving.access.roles import PERMISSIONS_OF, Permission, Role
from serving.access.tables import Account, SignedIn, Token

IDLE = dt.timedelta(hours=2)
LONGEST = dt.timedelta(hours=12)
SEEN_EVERY = dt.timedelta(minutes=5)
"""The time of the last request is written no more often than this."""
TOKEN_HEAD = "jx_"
LONGEST_TOKEN_DAYS = 366


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
    statement = (
        select(Account, SignedIn)
        .join(SignedIn, SignedIn.account_id == Account.id)
        .where(SignedIn.digest == _digest(secret), Account.disabled_at.is_(None))
    )
    found = session.execute(statement).one_or_none()
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
        raise Refusal(f"The account '{name}' is closed.")
    if not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Refusal(f"A token is good for 1 to {LONGEST_TOKEN_DAYS} days.")
    beyond = set(permissions) - PERMISSIONS_OF[Role(account.role)]
    if beyond:
        raise Refusal(f"A {account.role} may not:", sorted(each.value for each in beyond))
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


def bearer(session: Session, secret: str, *, now: dt.datetime | None = None) -> tuple[Account, Token] | None:
    """Return whose token this is; None when it is nobody's, over, revoked, or its account is closed."""
    moment = now or dt.datetime.now(dt.UTC)
    statement = (
        select(Account, Token)
        .join(Token, Token.account_id == Account.id)
        .where(Token.digest == _digest(secret), Token.revoked_at.is_(None), Account.disabled_at.is_(None))
    )
    found = session.execute(statement).one_or_none()
    return (found[0], found[1]) if found is not None and moment < _utc(found[1].ends_at) else None


def revoke(session: Session, actor: Actor, token_id: int) -> None:
    """End a token; a Refusal where there is none of that number."""
    token = session.get(Token, token_id)
    if token is None:
        raise Refusal(f"There is no token {token_id}.", hint="See: jingxing user list")
    token.revoked_at = token.revoked_at or dt.datetime.now(dt.UTC)
    record(session, actor, "token revoked", str(token_id))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
