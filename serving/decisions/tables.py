"""The tables of what people decide. No query lives here."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables import Table


class Flag(Table):
    """A person within the capacity of a list, until somebody closes it or it expires; one that lives at a time."""

    __tablename__ = "flags"
    __table_args__ = (
        Index("ix_flags_risk_status", "risk", "status"),
        Index("ix_flags_officer_id", "officer_id"),
        UniqueConstraint("risk", "officer_id", "raised_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    risk: Mapped[str] = mapped_column(String(120))
    purpose: Mapped[str] = mapped_column(String(20))
    officer_id: Mapped[str] = mapped_column(String(200))
    raised_on: Mapped[dt.date]
    """The as-of of the list that raised it."""
    renewed_on: Mapped[dt.date]
    """The as-of of the last list that named the person again."""
    status: Mapped[str] = mapped_column(String(20))
    """open, acted, watched, dismissed or expired."""
    version: Mapped[int]
    """Counts the decisions: who decides must have seen the present one."""
    asked: Mapped[bool]
    """The person asked for help: this outranks any model."""


class Review(Table):
    """One decision on a flag; a later one does not erase it."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    flag_id: Mapped[int] = mapped_column(ForeignKey("flags.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    decision: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text())
    action: Mapped[str | None] = mapped_column(String(120))
    """The key of the action that was decided on."""
    by: Mapped[str] = mapped_column(String(120), index=True)
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    as_of: Mapped[dt.date]
    """The list that the reviewer looked at."""


class Feedback(Table):
    """What a person said of a score or of one of its reasons; the data scientist sees it without the person."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True)
    risk: Mapped[str] = mapped_column(String(120), index=True)
    as_of: Mapped[dt.date]
    officer_id: Mapped[str] = mapped_column(String(200))
    measure: Mapped[str] = mapped_column(String(120))
    """The reason that is meant; empty for the score as a whole."""
    verdict: Mapped[str] = mapped_column(String(20))
    """right, wrong or unclear."""
    note: Mapped[str] = mapped_column(Text())
    by: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(20))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class Objection(Table):
    """A person contests a record or a score: a clock, a decision by somebody else, the score without the record."""

    __tablename__ = "objections"

    id: Mapped[int] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), index=True)
    against: Mapped[str] = mapped_column(String(20))
    """record, score or warning."""
    purpose: Mapped[str] = mapped_column(String(20), server_default="wellness")
    """Whose eyes it is for: wellness where the risk or a contested record is health data, else development."""
    risk: Mapped[str | None] = mapped_column(String(120))
    as_of: Mapped[dt.date | None]
    event_ids: Mapped[list[Any]]
    """The records that are contested."""
    measure: Mapped[str | None] = mapped_column(String(120))
    told: Mapped[str] = mapped_column(Text())
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    due_on: Mapped[dt.date]
    status: Mapped[str] = mapped_column(String(20))
    """open, upheld, partly or rejected."""
    version: Mapped[int]
    answer: Mapped[str | None] = mapped_column(Text())
    decided_by: Mapped[str | None] = mapped_column(String(120))
    decided_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """By risk, the scores that were contested."""
    without: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """By risk, the same scores computed anew without the disputed records."""


class Consent(Table):
    """A basis for processing a person's health data, from a day, until it is withdrawn."""

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), index=True)
    basis: Mapped[str] = mapped_column(String(40))
    given_on: Mapped[dt.date]
    withdrawn_on: Mapped[dt.date | None]
    by: Mapped[str] = mapped_column(String(120))
    counts_until: Mapped[dt.date | None]
    """Once withdrawn: the last as-of that may still use the data; lists that stand are later than that."""
    rescored_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    """Once withdrawn: when the standing scores were computed anew without the data."""


class Rescored(Table):
    """A person's score computed anew beside a list that stands: shown in place of the list's own."""

    __tablename__ = "rescored"
    __table_args__ = (Index("ix_rescored_risk_as_of", "risk", "as_of"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    risk: Mapped[str] = mapped_column(String(120))
    as_of: Mapped[dt.date]
    officer_id: Mapped[str] = mapped_column(String(200), index=True)
    cause: Mapped[str] = mapped_column(String(20))
    """consent (withdrawn) or objection (upheld)."""
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    score: Mapped[dict[str, Any]]
    """probability, low, high, rank, evidence, model_version, contributions, strongest (serving.months.rerun)."""


class HelpRequest(Table):
    """A person asked for help; it is answered by people and outranks any model."""

    __tablename__ = "help_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    told: Mapped[str] = mapped_column(Text())
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    answered_by: Mapped[str | None] = mapped_column(String(120))
    answered_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    answer: Mapped[str | None] = mapped_column(Text())


class Published(Table):
    """A month's list as it was published: it never changes."""

    __tablename__ = "published"
    __table_args__ = (UniqueConstraint("risk", "as_of"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    risk: Mapped[str] = mapped_column(String(120))
    as_of: Mapped[dt.date]
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of all that the list says, after the number of its form (sealed.py)."""
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class Repeated(Table):
    """Answers to writes that carried an Idempotency-Key: the same key gets the same answer."""

    __tablename__ = "repeated_requests"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Digest of account, route and key."""
    request: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    answer: Mapped[dict[str, Any]]
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class Delivery(Table):
    """A notice of a published list, sent by one channel; a failed one can be sent again."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("published_id", "channel"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    published_id: Mapped[int] = mapped_column(ForeignKey("published.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(String(20))
    """smtp or webhook."""
    state: Mapped[str] = mapped_column(String(20))
    """sent or failed."""
    told: Mapped[str] = mapped_column(String(120))
    """What kind of failure; never an address or a password."""
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class SeenNotice(Table):
    """An account has seen that a list is out: the page does not say it again."""

    __tablename__ = "notices_seen"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    published_id: Mapped[int] = mapped_column(ForeignKey("published.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
