"""Notices that a list is out: on the page, and by SMTP or a webhook where HOME/var/notices.toml names one.

A notice says which list is out, when, and where to read it. It holds no person, no number and no reason.
"""

import datetime as dt
import hashlib
import hmac
import json
import os
import smtplib
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.audit import SYSTEM, record
from serving.database import transaction
from serving.decisions.tables import Delivery, Published, SeenNotice
from serving.tables import Batch
from serving.words import LANGUAGES, month_name, say

FILE = "notices.toml"
SECONDS = 10
SIGNATURE = "X-Jingxing-Signature"
SENT, FAILED = "sent", "failed"

Purposes = tuple[Literal["wellness", "development"], ...]
BOTH: Purposes = ("wellness", "development")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Smtp(_Settings):
    """A mail server; the password stands in the environment, never in the file."""

    host: str = Field(min_length=1)
    port: int = Field(default=25, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = Field(min_length=1)
    user: str = ""
    password_env: str = "JINGXING_SMTP_PASSWORD"
    purposes: Purposes = BOTH


class Webhook(_Settings):
    """An address that is sent JSON; signed with HMAC-SHA256 where the environment holds a secret."""

    url: str = Field(pattern=r"^https?://[^\s/]+")
    secret_env: str = "JINGXING_WEBHOOK_SECRET"
    purposes: Purposes = BOTH


class NoticeSettings(_Settings):
    """HOME/var/notices.toml: a channel that is not named is not used."""

    address: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    """Under which address people reach the service."""
    smtp: Smtp | None = None
    webhook: Webhook | None = None


@dataclass(frozen=True)
class Notice:
    """What is told of a published list."""

    risk: str
    label: Mapping[str, str]
    purpose: str
    as_of: dt.date
    published_at: dt.datetime
    digest: str
    address: str

    def subject(self) -> str:
        """Return one line in both languages."""
        return " / ".join(self._said("notice_subject", language) for language in LANGUAGES)

    def text(self) -> str:
        """Return the message, Chinese first."""
        told = [self._said("notice_mail", language) for language in LANGUAGES]
        return "\n\n".join([*told, *([self.address] if self.address else [])]) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Return what a webhook is sent."""
        when = self.published_at.isoformat(timespec="seconds")
        told = {"risk": self.risk, "label": dict(self.label), "as_of": str(self.as_of), "published_at": when}
        return {"event": "list_published", **told, "digest": self.digest, "address": self.address}

    def _said(self, key: str, language: str) -> str:
        month = month_name(self.as_of, language)
        return say(key, language, risk=self.label[language], month=month, digest=self.digest[:12])


def notice_settings(home: Path) -> NoticeSettings:
    """Return what HOME/var/notices.toml says; nothing is sent where there is no such file. A Refusal names mistakes."""
    path = home / "var" / FILE
    if not path.exists():
        return NoticeSettings()
    try:
        return NoticeSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} can't be read: {error}", hint="It is TOML; see serving/README.md.") from None
    except ValidationError as error:
        faults = [f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in error.errors()]
        raise Refusal(f"{path} has mistakes:", faults, hint="See serving/README.md for what may stand there.") from None


def send_notices(engine: Engine, home: Path, published_id: int) -> dict[str, str]:
    """Send the notice of a published list by every channel that has not sent it yet; return channel -> sent or failed.

    A channel that fails leaves the list published; it is kept as failed, with the kind of failure, and can be tried
    again. Each attempt writes an audit row.
    """
    settings = notice_settings(home)
    with transaction(engine, writes=False) as session:
        notice = _notice(session, published_id, settings.address)
        done = set(session.scalars(_deliveries(published_id).where(Delivery.state == SENT)))
    told = {name: _tried(channel, notice) for name, channel in _channels(settings, notice) if name not in done}
    if told:
        with transaction(engine) as session:
            for name, (state, what) in told.items():
                _keep(session, published_id, name, state=state, told=what)
                record(session, SYSTEM, "notice sent" if state == SENT else "notice failed", notice.risk, channel=name)
    return {name: state for name, (state, _) in told.items()}


def deliveries_of(session: Session, published_id: int) -> list[Delivery]:
    """Return how a list's notice was sent, channel by channel."""
    statement = select(Delivery).where(Delivery.published_id == published_id).order_by(Delivery.channel)
    return list(session.scalars(statement))


def unseen(session: Session, account_id: int, purposes: tuple[str, ...]) -> list[tuple[Published, Batch]]:
    """Return the lists of some purposes that are out and that an account has not yet marked as seen: newest of each."""
    seen = select(SeenNotice.published_id).where(SeenNotice.account_id == account_id)
    statement = (
        select(Published, Batch)
        .join(Batch, Batch.id == Published.batch_id)
        .where(Batch.purpose.in_(purposes))
        .order_by(Published.as_of.desc(), Published.id.desc())
    )
    newest: dict[str, tuple[Published, Batch]] = {}
    for row, batch in session.execute(statement):
        newest.setdefault(row.risk, (row, batch))
    known = set(session.scalars(seen))
    return [pair for pair in newest.values() if pair[0].id not in known]


def mark_seen(session: Session, account_id: int, published_id: int) -> None:
    """Keep that an account has seen that a list is out; a second time changes nothing."""
    if session.get(SeenNotice, (account_id, published_id)) is None and session.get(Published, published_id) is not None:
        session.add(SeenNotice(account_id=account_id, published_id=published_id, at=dt.datetime.now(dt.UTC)))


def _notice(session: Session, published_id: int, address: str) -> Notice:
    statement = select(Published, Batch).join(Batch, Batch.id == Published.batch_id)
    row, batch = session.execute(statement.where(Published.id == published_id)).one()
    link = f"{address.rstrip('/')}/lists/{row.risk}?as_of={row.as_of:%Y-%m}" if address else ""
    return Notice(
        risk=row.risk,
        label=batch.labels["risk"],
        purpose=batch.purpose,
        as_of=row.as_of,
        published_at=row.at,
        digest=row.digest,
        address=link,
    )


def _deliveries(published_id: int) -> Any:
    return select(Delivery.channel).where(Delivery.published_id == published_id)


def _channels(settings: NoticeSettings, notice: Notice) -> list[tuple[str, Smtp | Webhook]]:
    pairs = (("smtp", settings.smtp), ("webhook", settings.webhook))
    return [(name, channel) for name, channel in pairs if channel is not None and notice.purpose in channel.purposes]


def _tried(channel: Smtp | Webhook, notice: Notice) -> tuple[str, str]:
    """Whether it was sent, and the kind of failure: its name only, for messages hold addresses."""
    try:
        if isinstance(channel, Smtp):
            _mail(channel, notice)
        else:
            _call(channel, notice)
    except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
        return FAILED, type(error).__name__
    return SENT, ""


def _mail(channel: Smtp, notice: Notice) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = notice.subject(), channel.sender, ", ".join(channel.to)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=channel.sender.partition("@")[2])
    message.set_content(notice.text())
    safe = ssl.create_default_context()
    wrapped = channel.security == "tls"
    server: smtplib.SMTP = (
        smtplib.SMTP_SSL(channel.host, channel.port, timeout=SECONDS, context=safe)
        if wrapped
        else smtplib.SMTP(channel.host, channel.port, timeout=SECONDS)
    )
    with server:
        if channel.security == "starttls":
            server.starttls(context=safe)
        if channel.user:
            server.login(channel.user, os.environ.get(channel.password_env, ""))
        server.send_message(message)


def _call(channel: Webhook, notice: Notice) -> None:
    body = json.dumps(notice.as_json(), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    secret = os.environ.get(channel.secret_env, "")
    if secret:
        headers[SIGNATURE] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    httpx.post(channel.url, content=body, headers=headers, timeout=SECONDS).raise_for_status()


def _keep(session: Session, published_id: int, channel: str, *, state: str, told: str) -> None:
    held = session.scalar(
        select(Delivery).where(Delivery.published_id == published_id, Delivery.channel == channel)
    ) or Delivery(published_id=published_id, channel=channel)
    held.state, held.told, held.at = state, told, dt.datetime.now(dt.UTC)
    session.add(held)
