"""Accounts: who may sign in, with which role and scope. Nothing has a default. Signing in stands in signing_in.py."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.audit import Actor, record
from serving.access.passwords import first_password, hashed
from serving.access.roles import Role
from serving.access.tables import Account, SignedIn, Token


@dataclass(frozen=True)
class NewAccount:
    """Who is to be added; a commander needs units, an officer an officer_id."""

    name: str
    role: Role
    units: tuple[str, ...] = ()
    officer_id: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > 120 or self.name != self.name.strip():
            raise Refusal(
                "An account's name has 1 to 120 characters, and no space at either end. "
                "账号名为 1 至 120 个字符，首尾不得有空格。"
            )
        if self.role is Role.COMMANDER and not self.units:
            raise Refusal(
                "A commander answers for units. 指挥员账号须填写所管单位。",
                hint="Name them: --unit NAME (more than once for more).",
            )
        if self.role is not Role.COMMANDER and self.units:
            raise Refusal("Only a commander's account is bound to units. 只有指挥员账号才填写单位。")
        if self.role is Role.OFFICER and not self.officer_id:
            raise Refusal(
                "An officer's account belongs to one record. 民警账号须填写本人编号。",
                hint="Name it: --officer OFFICER_ID",
            )


def add_account(session: Session, actor: Actor, new: NewAccount, *, password: str | None = None) -> str:
    """Add an account and return its first password, which must be changed at the first sign-in.

    Where the bureau's provider vouches for its name it needs none (``enter_by_provider``). A Refusal says when
    the name is taken.
    """
    if session.scalar(select(Account.id).where(Account.name == new.name)) is not None:
        raise Refusal(f"There is an account '{new.name}' already. 已有同名账号。", hint="See: jingxing user list")
    first = password or first_password()
    session.add(
        Account(
            name=new.name,
            role=new.role.value,
            units=list(new.units),
            officer_id=new.officer_id,
            password=hashed(first),
            must_change=True,
            created_at=dt.datetime.now(dt.UTC),
            disabled_at=None,
        )
    )
    record(session, actor, "account added", new.name, role=new.role.value, units=list(new.units))
    return first


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
    sign_out_everywhere(session, account)
    session.execute(delete(Token).where(Token.account_id == account.id))
    record(session, actor, "account disabled", name)


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


def reset_password(session: Session, actor: Actor, name: str) -> str:
    """Give an account a new first password, to be changed at the next sign-in; all its sign-ins end."""
    account = account_named(session, name)
    first = first_password()
    account.password, account.must_change = hashed(first), True
    sign_out_everywhere(session, account)
    record(session, actor, "password reset", name)
    return first


def sign_out_everywhere(session: Session, account: Account) -> None:
    """End every sign-in of an account."""
    session.execute(delete(SignedIn).where(SignedIn.account_id == account.id))
