"""The tables of the score store: lists, scores, reasons, facts, recommendations. No query lives here."""

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Words = dict[str, str]
"""A text as ``{"zh": ..., "en": ...}``."""


class Table(DeclarativeBase):
    """The base of all tables; JSON columns hold lists and dicts."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, dict[str, str]: JSON}  # noqa: RUF012


class Batch(Table):
    """One list: the whole cohort scored for one risk at one as-of by one model version."""

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("risk", "as_of"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    risk: Mapped[str] = mapped_column(String(120))
    as_of: Mapped[dt.date]
    model_version: Mapped[str] = mapped_column(String(40))
    scored_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    cohort: Mapped[int]
    capacity: Mapped[int]
    horizon_months: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(20))
    recorded_until: Mapped[dt.date]
    profile_digest: Mapped[str] = mapped_column(String(64))
    base_value: Mapped[float]
    groups: Mapped[list[Any]]
    """Keys of the groups of reasons, in the order of Reasons.contributions."""
    labels: Mapped[dict[str, Any]]
    """Labels of the risk, posts and measures as they were when scored, so that a page needs no profile."""
    post_means: Mapped[dict[str, Any]]
    """Mean probability of each post, and of all under the key ''."""
    months: Mapped[list[Any]]
    """The months (YYYY-MM) of every history drawn from this batch."""
    medians: Mapped[dict[str, Any]]
    """Post -> measure -> the post's median in each of ``months``."""


class Score(Table):
    """One person in one list."""

    __tablename__ = "scores"
    __table_args__ = (
        Index("ix_scores_batch_id_rank", "batch_id", "rank"),
        Index("ix_scores_officer_id", "officer_id"),
    )

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    post: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(200))
    probability: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    rank: Mapped[int]
    previous_rank: Mapped[int | None]
    """The rank in the list of the same risk before this one."""


class Reasons(Table):
    """Why: the contribution of every group, and the words and numbers of the strongest."""

    __tablename__ = "reasons"
    __table_args__ = (
        ForeignKeyConstraint(["batch_id", "officer_id"], ["scores.batch_id", "scores.officer_id"], ondelete="CASCADE"),
    )

    batch_id: Mapped[int] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    contributions: Mapped[list[Any]]
    """Log-odds of each of Batch.groups; with the base value they sum to the margin."""
    strongest: Mapped[list[Any]]
    """The strongest reasons: measure, contribution, value, usual, peers, window, sentence_zh, sentence_en."""
    history: Mapped[dict[str, Any]]
    """Measure -> the person's value in each of Batch.months."""


class Facts(Table):
    """What a person's page says of the person at an as-of, whatever the risk."""

    __tablename__ = "facts"

    as_of: Mapped[dt.date] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    post: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(200))
    tenure_months: Mapped[int]
    dimensions: Mapped[dict[str, Any]]
    """workload, quality, satisfaction -> percentile within the post, or absent where too little is known."""


class RecommendationRow(Table):
    """One thing to offer to one person, with its reason and who decides."""

    __tablename__ = "recommendations"
    __table_args__ = (Index("ix_recommendations_officer_id", "officer_id"),)

    as_of: Mapped[dt.date] = mapped_column(primary_key=True)
    officer_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(20))
    label: Mapped[dict[str, str]]
    reason: Mapped[dict[str, str]]
    opening: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    why: Mapped[dict[str, str]]
    owner: Mapped[str] = mapped_column(String(20))
    decides: Mapped[str] = mapped_column(String(20))
    by_right: Mapped[bool]
    """Due whatever the risk."""
    mentor_id: Mapped[str | None] = mapped_column(String(200))
    benefit: Mapped[float | None]
    """Expected change of the risk; empty = not estimable."""
