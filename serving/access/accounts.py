"""Accounts: who may sign in. Passwords are Argon2 hashes; failures are throttled; nothing has a default."""

import datetime as dt
import functools
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.audit import Actor, record
from serving.access.roles import Role
from serving.access.tables import Account, Failure, SignedIn, Token

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""No letter that is mistaken for another one when a first password is copied by hand."""
LONGEST_WAIT = dt.timedelta(minutes=15)
FORGOTTEN_AFTER = dt.timedelta(hours=24)

_hasher = PasswordHasher()


@dataclass(frozen=True)
class SignIn:
    """What came of a sign-in: the account, or how long to wait before the next one is looked at."""

    account: Account | None
    wait_seconds: int = 0


@dataclass(frozen=True)
class NewAccount:
    """Who is to be added; a commander needs units, an officer an officer_id."""

    name: str
    role: Role
    units: tuple[str, ...] = ()
    officer_id: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > 120 or self.name != self.name.strip():
            raise Refusal("An account's name has 1 to 120 characters, and no space at either end.")
        if self.role is Role.COMMANDER and not self.units:
            raise Refusal("A commander answers for units.", hint="Name them: --unit NAME (more than once for more).")
        if self.role is not Role.COMMANDER and self.units:
            raise Refusal("Only a commander's account is bound to units.")
        if self.role is Role.OFFICER and not self.officer_id:
            raise Refusal("An officer's account belongs to one record.", hint="Name it: --officer OFFICER_ID")


def add_account(session: Session, actor: Actor, new: NewAccount, *, password: str | None = None) -> str:
    """Add an account and return its first password, which must be changed at the first sign-in.

    Where the bureau's provider vouches for its name it needs none (``enter_by_provider``). A Refusal says when
    the name is taken.
    """
    if session.scalar(select(Account.id).where(Account.name == new.name)) is not None:
        raise Refusal(f"There is an account '{new.name}' already.", hint="See: jingxing user list")
    first = password or first_password()
    session.add(
        Account(
            name=new.name,
            role=new.role.value,
            units=list(new.units),
            officer_id=new.officer_id,
            password=_hasher.hash(first),
            must_change=True,
            created_at=dt.datetime.now(dt.UTC),
            disabled_at=None,
        )
    )
    record(session, actor, "account added", new.name, role=new.role.value, units=list(new.units))
    return first


def first_password() -> str:
    """Return a password of twenty letters in groups of five (about 100 bits)."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def account_named(session: Session, name: str) -> Account:
    """Return an account; a Refusal where there is none of that name."""
    found = session.scalar(select(Account).where(Account.name == name))
    if found is None:
        raise Refusal(f"There is no account '{name}'.", hint="See: jingxing user list")
    return found


def accounts(session: Session) -> Sequence[Account]:
    """Return all accounts by name."""
    return session.scalars(select(Account).order_by(Account.name)).all()


def how_many(session: Session) -> int:
    """Return how many accounts there are."""
    return session.scalar(select(func.count()).select_from(Account)) or 0


def disable(session: Session, actor: Actor, name: str) -> None:
    """Close an account: its sign-ins and tokens end at once."""
    account = account_named(session, name)
    account.disabled_at = account.disabled_at or dt.datetime.now(dt.UTC)
    _sign_out_everywhere(session, account)
    session.execute(delete(Token).where(Token.account_id == account.id))
    record(session, actor, "account disabled", name)


def sign_in(session: Session, name: str, password: str, *, address: str, now: dt.datetime | None = None) -> SignIn:
    """Return the account where name and password are right and neither is throttled.

    Every failure is counted and written to the audit chain; wrong names take as long as wrong passwords.
    """
    moment = now or dt.datetime.now(dt.UTC)
    throttles = _throttles(name, address)
    wait = max(_wait(session, key, limit, moment) for key, limit in throttles)
    if wait > 0:
        return SignIn(None, wait)
    account = session.scalar(select(Account).where(Account.name == name, Account.disabled_at.is_(None)))
    if not _right(account, password) or account is None:
        for key, _ in throttles:
            _failed(session, key, moment)
        record(session, Actor(name[:120] if account else "unknown", "none"), "sign-in failed")
        return SignIn(None, max(_wait(session, key, limit, moment) for key, limit in throttles))
    session.execute(delete(Failure).where(Failure.throttled == throttles[0][0]))
    if account.password and _hasher.check_needs_rehash(account.password):
        account.password = _hasher.hash(password)
    record(session, Actor(account.name, account.role), "signed in")
    return SignIn(account)


def enter_by_provider(session: Session, name: str) -> Account | None:
    """Return the account that the bureau's provider vouches for by its name; None where there is none, or it is closed.

    A first password that nobody used ends with that. The provider gives no role: that is the account's.
    """
    account = session.scalar(select(Account).where(Account.name == name, Account.disabled_at.is_(None)))
    if account is None:
        record(session, Actor("unknown", "none"), "sign-in failed", "provider")
        return None
    if account.must_change:
        account.password, account.must_change = None, False
    record(session, Actor(account.name, account.role), "signed in", "provider")
    return account


def change_password(session: Session, account: Account, *, old: str, new: str) -> None:
    """Set a new password and end all other sign-ins; a Refusal says what is wrong with it."""
    if not _right(account, old):
        raise Refusal("The present password is not right. 当前密码不正确。")
    if not SHORTEST_PASSWORD <= len(new) <= LONGEST_PASSWORD:
        raise Refusal(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters. "
            f"密码须为 {SHORTEST_PASSWORD} 至 {LONGEST_PASSWORD} 个字符。"
        )
    if new == old or account.name.lower() in new.lower():
        raise Refusal("Choose one that is new and does not hold the account's name. 新密码不得与旧密码相同或含账号名。")
    account.password, account.must_change = _hasher.hash(new), False
    _sign_out_everywhere(session, account)
    record(session, Actor(account.name, account.role), "password changed")


def reset_password(session: Session, actor: Actor, name: str) -> str:
    """Give an account a new first password, to be changed at the next sign-in; all its sign-ins end."""
    account = account_named(session, name)
    first = first_password()
    account.password, account.must_change = _hasher.hash(first), True
    _sign_out_everywhere(session, account)
    record(session, actor, "password reset", name)
    return first


def _right(account: Account | None, password: str) -> bool:
    kept = account.password if account is not None and account.password else _nobody()
    try:
        matches = _hasher.verify(kept, password[: LONGEST_PASSWORD * 4])
    except (VerificationError, InvalidHashError):
        return False
    return matches and account is not None and account.password is not None


@functools.cache
def _nobody() -> str:
    """A hash that no password fits: who does not exist takes as long as who does."""
    return _hasher.hash(secrets.token_urlsafe(16))


def _sign_out_everywhere(session: Session, account: Account) -> None:
    session.execute(delete(SignedIn).where(SignedIn.account_id == account.id))


def _throttles(name: str, address: str) -> list[tuple[str, int]]:
    """What is throttled, and after how many failures: the name at this address, the address, the name anywhere."""
    keys = ((f"both\0{name}\0{address}", 5), (f"address\0{address}", 30), (f"name\0{name}", 100))
    return [(hashlib.sha256(key.encode()).hexdigest(), limit) for key, limit in keys]


def _wait(session: Session, key: str, limit: int, now: dt.datetime) -> int:
    """Seconds until the next attempt is looked at: none up to the limit, then doubling up to LONGEST_WAIT."""
    found = session.get(Failure, key)
    if found is None or found.failures < limit or now - _aware(found.last_at) > FORGOTTEN_AFTER:
        return 0
    pause = min(LONGEST_WAIT, dt.timedelta(seconds=2 ** min(found.failures - limit + 1, 20)))
    left = _aware(found.last_at) + pause - now
    return max(0, -int(-left.total_seconds() // 1))


def _failed(session: Session, key: str, now: dt.datetime) -> None:
    found = session.get(Failure, key)
    if found is None:
        session.add(Failure(throttled=key, failures=1, last_at=now))
        session.flush()
        return
    stale = now - _aware(found.last_at) > FORGOTTEN_AFTER
    found.failures, found.last_at = (1 if stale else found.failures + 1), now
    session.flush()


def _aware(moment: dt.datetime) -> dt.datetime:
    """SQLite gives back times without their zone: they are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
