"""The tables of mentorships: rounds of matching, pairs and their life, who stays without, who is not to be asked."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables import Table


class MentoringRound(Table):
    """One matching: who was to be paired, and what came of it."""

    __tablename__ = "mentoring_rounds"

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date] = mapped_column(index=True)
    risk: Mapped[str] = mapped_column(String(120))
    purpose: Mapped[str] = mapped_column(String(20))
    made_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    by: Mapped[str] = mapped_column(String(120))
    mentees: Mapped[int]
    mentors: Mapped[int]
    pairs: Mapped[int]
    kept: Mapped[int]
    """Pairs of earlier rounds that live on."""
    total_fit: Mapped[float]
    labels: Mapped[dict[str, Any]]
    """Posts and indicators in both languages, so that a page needs no profile."""
    one_more: Mapped[list[Any]]
    """What one more place would bring, by post: post, mentor_id, pairs, fit."""


class Mentorship(Table):
    """One mentee and one mentor, from proposal to end."""

    __tablename__ = "mentorships"
    __table_args__ = (
        Index("ix_mentorships_mentee_id", "mentee_id"),
        Index("ix_mentorships_mentor_id", "mentor_id"),
        Index("ix_mentorships_status", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("mentoring_rounds.id"), index=True)
    risk: Mapped[str] = mapped_column(String(120))
    purpose: Mapped[str] = mapped_column(String(20))
    as_of: Mapped[dt.date]
    mentee_id: Mapped[str] = mapped_column(String(200))
    mentee_post: Mapped[str] = mapped_column(String(200))
    mentee_unit: Mapped[str] = mapped_column(String(200))
    mentor_id: Mapped[str] = mapped_column(String(200))
    mentor_post: Mapped[str] = mapped_column(String(200))
    mentor_unit: Mapped[str] = mapped_column(String(200))
    fit: Mapped[float]
    parts: Mapped[dict[str, Any]]
    """Part of the fit -> 0 to 1."""
    reason: Mapped[dict[str, str]]
    instead: Mapped[list[Any]]
    """Mentors that fit as well or nearly: mentor_id, fit, and why not, as texts in both languages."""
    status: Mapped[str] = mapped_column(String(20))
    """proposed, offered, accepted, refused, running or ended."""
    version: Mapped[int]
    """Counts the steps: who takes the next must have seen the present one."""
    started_on: Mapped[dt.date | None]
    next_check_in: Mapped[dt.date | None]
    ended_on: Mapped[dt.date | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    """How it ended: completed, conflict, moved, withdrawn or other."""


class MentorshipStep(Table):
    """One step of a mentorship's life, check-ins included; nothing is erased."""

    __tablename__ = "mentorship_steps"
    __table_args__ = (UniqueConstraint("mentorship_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    mentorship_id: Mapped[int] = mapped_column(ForeignKey("mentorships.id", ondelete="CASCADE"))
    version: Mapped[int]
    step: Mapped[str] = mapped_column(String(20))
    on: Mapped[dt.date]
    """The day on which it happened."""
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    who: Mapped[str | None] = mapped_column(String(20))
    """Who said no: mentee or mentor."""
    note: Mapped[str] = mapped_column(Text())


class Unmatched(Table):
    """Somebody who was to have a mentor, or could have been one, and stays without in a round: why."""

    __tablename__ = "mentoring_unmatched"

    round_id: Mapped[int] = mapped_column(ForeignKey("mentoring_rounds.id", ondelete="CASCADE"), primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    side: Mapped[str] = mapped_column(String(10), primary_key=True)
    """mentee or mentor."""
    post: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    """taken, poor_fit, nobody, said_no, paired, strain, full or free."""
    reason: Mapped[dict[str, str]]
    needs: Mapped[list[Any]]
    """What a mentor should be strong in: keys of indicators."""


class SaidNo(Table):
    """Somebody does not want to be mentored, or to mentor, until a day; nothing is asked of the reason."""

    __tablename__ = "mentoring_said_no"

    id: Mapped[int] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), index=True)
    side: Mapped[str] = mapped_column(String(10))
    until: Mapped[dt.date]
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class KeptApart(Table):
    """Two persons who are never paired, whatever the fit; the reason stays with those who know it."""

    __tablename__ = "mentoring_kept_apart"
    __table_args__ = (UniqueConstraint("one_id", "other_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    one_id: Mapped[str] = mapped_column(String(200))
    other_id: Mapped[str] = mapped_column(String(200))
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


class Offer(Table):
    """Something offered to a person, followed from proposal to the day it was done; it can be declined."""

    __tablename__ = "offers"
    __table_args__ = (
        Index("ix_offers_officer_id", "officer_id"),
        Index("ix_offers_status_due_on", "status", "due_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200))
    post: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(20))
    label: Mapped[dict[str, str]]
    reason: Mapped[dict[str, str]]
    evidence: Mapped[list[Any]]
    """What the reason rests on, as texts in both languages."""
    opening: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    owner: Mapped[str] = mapped_column(String(20))
    decides: Mapped[str] = mapped_column(String(20))
    by_right: Mapped[bool]
    as_of: Mapped[dt.date]
    renewed_on: Mapped[dt.date]
    """The as-of of the last month that offered the same."""
    due_on: Mapped[dt.date]
    recorded_as: Mapped[str | None] = mapped_column(String(120))
    amount: Mapped[float]
    """What one taking counts for, in the measure's unit."""
    status: Mapped[str] = mapped_column(String(20))
    """proposed, accepted, declined, done or lapsed."""
    version: Mapped[int]
    done_on: Mapped[dt.date | None]


class OfferStep(Table):
    """One step of an offer's life; nothing is erased."""

    __tablename__ = "offer_steps"
    __table_args__ = (UniqueConstraint("offer_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offers.id", ondelete="CASCADE"))
    version: Mapped[int]
    step: Mapped[str] = mapped_column(String(20))
    on: Mapped[dt.date]
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    note: Mapped[str] = mapped_column(Text())
