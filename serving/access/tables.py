"""The tables of accounts, sign-ins, tokens and the audit chain. No query lives here."""

import datetime as dt
from typing import Any

from sqlalchemy import DateTime, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables import Table


class Account(Table):
    """A person (or program) that may sign in, with one role and a scope."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    units: Mapped[list[Any]]
    """The units a commander answers for; empty for the roles whose scope is the force or oneself."""
    officer_id: Mapped[str | None] = mapped_column(String(200), index=True)
    """Whose own record this account may see."""
    password: Mapped[str | None] = mapped_column(String(200))
    """Argon2 hash; empty where only the bureau's own provider signs in."""
    must_change: Mapped[bool]
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    disabled_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class SignedIn(Table):
    """A browser that is signed in; the cookie holds the secret, the table its digest."""

    __tablename__ = "sign_ins"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    seen_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class Token(Table):
    """A program's key: shown once, kept as a digest, for some permissions of its account, until a day."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(120))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    permissions: Mapped[list[Any]]
    """What it may do; empty for all that its account may."""
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class Failure(Table):
    """Failed sign-ins in a row, by what is throttled: a name at an address, an address, a name."""

    __tablename__ = "sign_in_failures"

    throttled: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class Secret(Table):
    """What this home made for itself at its first start and tells nobody."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))


class ProviderAttempt(Table):
    """A sign-in that was sent to the bureau's own provider and has not come back."""

    __tablename__ = "provider_attempts"

    state: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Digest of what the provider gives back."""
    browser: Mapped[str] = mapped_column(String(64))
    """Digest of the cookie of the browser that began."""
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(String(128))
    wanted: Mapped[str] = mapped_column(String(2000))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class AuditRow(Table):
    """One thing that was done, chained to the one before by its hash."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(32))
    """UTC, ISO 8601: text, so that every database gives back what was hashed."""
    actor: Mapped[str] = mapped_column(String(120), index=True)
    role: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(60), index=True)
    subject: Mapped[str] = mapped_column(String(300), index=True)
    details: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Table):
    """The last row of the chain: where the next one is hung, one writer at a time."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
