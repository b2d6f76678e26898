"""Signing in with a password, and changing it. Argon2 runs between two transactions: nobody waits for a hash."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from serving.access import credentials, throttle
from serving.access.accounts import sign_out_everywhere
from serving.access.audit import Actor, record
from serving.access.passwords import WrongPassword, check_new, hashed, outdated, right
from serving.access.tables import Account
from serving.database import transaction

WRONG = "The present password is not right. 当前密码不正确。"


@dataclass(frozen=True)
class SignIn:
    """What came of a sign-in: the account and the secret for its cookie, or how long to wait before the next one."""

    account: Account | None
    secret: str = ""
    wait_seconds: int = 0


def sign_in(engine: Engine, name: str, password: str, *, address: str, now: dt.datetime | None = None) -> SignIn:
    """Return the account and a cookie's secret where name and password are right and neither is throttled.

    Every attempt is counted as failed before its password is looked at; a right one is taken back. Failures are
    written to the audit chain; wrong names take as long as wrong passwords.
    """
    moment = now or dt.datetime.now(dt.UTC)
    with transaction(engine) as session:
        wait = throttle.count_attempt(session, name, address, moment)
        kept = _kept(session, name) if wait == 0 else None
    if wait:
        return SignIn(None, wait_seconds=wait)
    good = right(kept, password)
    anew = hashed(password) if good and kept and outdated(kept) else None
    with transaction(engine) as session:
        account = _open(session, name)
        if not good or account is None or account.password != kept:
            record(session, Actor(name[:120] if account else "unknown", "none"), "sign-in failed")
            return SignIn(None, wait_seconds=throttle.wait_after(session, name, address, moment))
        throttle.forget(session, name, address)
        account.password = anew or account.password
        record(session, Actor(account.name, account.role), "signed in")
        return SignIn(account, credentials.begin(session, account, now=now))


def change_password(
    engine: Engine, name: str, *, old: str, new: str, address: str, now: dt.datetime | None = None
) -> SignIn:
    """Set a new password and end all other sign-ins; return the account with the secret of a new one.

    Guesses at the present one are counted and written down as those at the sign-in are, and wait as long. A Refusal
    says what is wrong with the new one, WrongPassword that the present one is not right.
    """
    moment = now or dt.datetime.now(dt.UTC)
    with transaction(engine) as session:
        wait = throttle.count_attempt(session, name, address, moment)
        kept = _kept(session, name) if wait == 0 else None
    if wait:
        return SignIn(None, wait_seconds=wait)
    good = right(kept, old)
    with transaction(engine) as session:
        _counted(session, name, address, good=good)
    if not good:
        raise WrongPassword(WRONG)
    check_new(new, old=old, name=name)
    made = hashed(new)
    with transaction(engine) as session:
        account = _open(session, name)
        if account is None or account.password != kept:
            raise WrongPassword(WRONG)
        account.password, account.must_change = made, False
        sign_out_everywhere(session, account)
        record(session, Actor(account.name, account.role), "password changed")
        return SignIn(account, credentials.begin(session, account))


def _counted(session: Session, name: str, address: str, *, good: bool) -> None:
    """Take back what a right password was counted for; write a wrong one down."""
    account = _open(session, name)
    if good:
        throttle.forget(session, name, address)
    elif account is not None:
        record(session, Actor(account.name, account.role), "sign-in failed", "password")


def _open(session: Session, name: str) -> Account | None:
    return session.scalar(select(Account).where(Account.name == name, Account.disabled_at.is_(None)))


def _kept(session: Session, name: str) -> str | None:
    account = _open(session, name)
    return account.password if account is not None else None
