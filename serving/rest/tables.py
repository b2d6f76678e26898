"""The tables of rest plans. No query lives here."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables import Table


class RestPlan(Table):
    """One plan over some weeks: what was asked, what came of it, who confirmed it."""

    __tablename__ = "rest_plans"

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date] = mapped_column(index=True)
    first_monday: Mapped[dt.date]
    weeks: Mapped[int]
    quota: Mapped[int]
    """Places in all for rest by benefit; what is due by right comes besides."""
    places: Mapped[dict[str, Any]]
    """Places of each kind; absent where it has no bound."""
    slack: Mapped[float]
    blackouts: Mapped[list[Any]]
    """Closed for this plan: first, last, unit (or null for all)."""
    state: Mapped[str] = mapped_column(String(20))
    """solving, failed, draft, confirmed or withdrawn."""
    version: Mapped[int]
    """Counts the changes: who changes it must have seen the present one."""
    pending: Mapped[bool]
    """Something was pinned, moved or struck since it was solved."""
    made_by: Mapped[str] = mapped_column(String(120))
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    decided_by: Mapped[str | None] = mapped_column(String(120))
    decided_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    kinds: Mapped[list[Any]]
    """The kinds as they were in the profile: key, label, length, staffing, blackouts."""
    posts: Mapped[dict[str, Any]]
    """Labels of the posts."""
    solved: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Benefit, bound, gap, seconds, units below their share, one place more; empty before there was any plan."""
    conflict: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    """Why what is demanded can't be met together, as texts in both languages."""
    staff: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    """Everyone on the roster: unit, post, weeks away and off nights; so that it can be solved again."""


class RestWish(Table):
    """Who may get what in a plan, why, and what a person fixed about it."""

    __tablename__ = "rest_wishes"

    plan_id: Mapped[int] = mapped_column(ForeignKey("rest_plans.id", ondelete="CASCADE"), primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(120), primary_key=True)
    unit: Mapped[str] = mapped_column(String(200))
    post: Mapped[str] = mapped_column(String(200))
    benefit: Mapped[float | None]
    """Expected fall of the probability; empty where only a right speaks for it."""
    low: Mapped[float | None]
    high: Mapped[float | None]
    basis: Mapped[str] = mapped_column(String(20))
    """estimated (serving/effects), assumed (risk times the profile's assumed share), or none."""
    by_right: Mapped[bool]
    why: Mapped[dict[str, Any]]
    """What makes it due by right, as codes; empty otherwise."""
    wait_months: Mapped[float | None]
    """Months since the last rest of any kind; empty where none is known."""
    pin: Mapped[int | None]
    """The week that a person fixed, counted from 0."""
    struck: Mapped[bool]
    """A person struck it out: it never comes back in this plan."""
    postponed: Mapped[bool]
    """Due by right, but not within this plan: what is demanded can't be met together."""


class RestEntry(Table):
    """One rest in a plan: who, what, from when to when."""

    __tablename__ = "rest_entries"
    __table_args__ = (
        Index("ix_rest_entries_plan_id_week", "plan_id", "week"),
        Index("ix_rest_entries_officer_id", "officer_id"),
        Index("ix_rest_entries_state_last_day", "state", "last_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("rest_plans.id", ondelete="CASCADE"))
    officer_id: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(200))
    post: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(120))
    """The key of the action."""
    measure: Mapped[str | None] = mapped_column(String(120))
    """The measure whose events say that it was taken."""
    takes: Mapped[str] = mapped_column(String(20))
    """duty, nights or nothing."""
    discreet: Mapped[bool]
    """Only the wellness team sees the kind."""
    by_right: Mapped[bool]
    week: Mapped[int]
    first_day: Mapped[dt.date]
    last_day: Mapped[dt.date]
    pinned: Mapped[bool]
    state: Mapped[str] = mapped_column(String(20))
    """planned, confirmed, taken, declined or withdrawn."""


class RestStaffing(Table):
    """A unit in a week of a plan: how many there are, how many are away, how many must be present."""

    __tablename__ = "rest_staffing"

    plan_id: Mapped[int] = mapped_column(ForeignKey("rest_plans.id", ondelete="CASCADE"), primary_key=True)
    unit: Mapped[str] = mapped_column(String(200), primary_key=True)
    week: Mapped[int] = mapped_column(primary_key=True)
    people: Mapped[int]
    away: Mapped[int]
    """Away whatever is planned: leave, secondment, operations, earlier plans, gone."""
    resting: Mapped[int]
    """Off duty by this plan."""
    discreet: Mapped[int]
    """Of those, by a rest whose kind only the wellness team sees."""
    off_nights: Mapped[int]
    needed: Mapped[int]
    """Present at least, by the strictest kind that is taken in the week (by the loosest where none is)."""


class RestDecision(Table):
    """One change that a person made to a plan; nothing is erased."""

    __tablename__ = "rest_decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("rest_plans.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    """The version of the plan that it made."""
    decision: Mapped[str] = mapped_column(String(20))
    officer_id: Mapped[str | None] = mapped_column(String(200))
    kind: Mapped[str | None] = mapped_column(String(120))
    week: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text())
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class RestStanding(Table):
    """What the histories say of everyone at an as-of, kept so that the web service need not read them again."""

    __tablename__ = "rest_standings"

    as_of: Mapped[dt.date] = mapped_column(primary_key=True)
    histories_version: Mapped[str] = mapped_column(String(80))
    people: Mapped[dict[str, Any]]
    """By column: officer_id, unit, post, away_until, gone_from, since (by kind), due (by kind)."""
