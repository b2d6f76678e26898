"""The tables of effects: estimates, expected benefits, tracked figures, draws by lot. No query lives here."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, Date, DateTime, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables import Table


class EffectRow(Table):
    """What an action did to a risk, as told at a month; of one action since a date where it is a policy's."""

    __tablename__ = "effects"
    __table_args__ = (UniqueConstraint("as_of", "action", "risk", "since"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date]
    action: Mapped[str] = mapped_column(String(120))
    risk: Mapped[str] = mapped_column(String(120))
    since: Mapped[str] = mapped_column(String(7))
    """The month from which a policy held, YYYY-MM; empty for the action as such."""
    position: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(20))
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    estimable: Mapped[bool]
    figures: Mapped[dict[str, Any]]
    """``effect``, ``groups``, ``study`` (the event study) and ``labels`` of action, risk and posts."""


class ExpectedBenefit(Table):
    """What an action would spare a person: the fall of the probability with its interval; empty where not estimable."""

    __tablename__ = "expected_benefits"

    as_of: Mapped[dt.date] = mapped_column(Date(), primary_key=True)
    action: Mapped[str] = mapped_column(String(120), primary_key=True)
    risk: Mapped[str] = mapped_column(String(120), primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    position: Mapped[int]
    """The place of the risk among those of the action."""
    benefit: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    estimable: Mapped[bool]


class TrackedFigure(Table):
    """A figure of the whole force in a month; count and share are empty where fewer than five stand behind it."""

    __tablename__ = "tracked_figures"

    as_of: Mapped[dt.date] = mapped_column(Date(), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    month: Mapped[dt.date] = mapped_column(Date(), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    """event or index where it is a risk's outcome; own for a figure with a name of its own."""
    label: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    people: Mapped[int]
    count: Mapped[int | None]
    share: Mapped[float | None]


class BandDraw(Table):
    """One person in a draw by lot among equals at the edge of capacity: the chance, and what came of it."""

    __tablename__ = "band_draws"
    __table_args__ = (
        UniqueConstraint("as_of", "action", "officer_id"),
        Index("ix_band_draws_officer_id", "officer_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date]
    action: Mapped[str] = mapped_column(String(120))
    officer_id: Mapped[str] = mapped_column(String(200))
    chance: Mapped[float]
    """Places over persons in the band: known, so that the effect can be told without a model of who is helped."""
    drawn: Mapped[bool]
    seed: Mapped[str] = mapped_column(String(40))
    audit_number: Mapped[int]
    """The row of the log that tells of the draw."""
