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
    run: Mapped[int] = mapped_column(default=1, server_default="1")
    """The list of this risk and month was scored so many times; earlier ones are in superseded_lists."""
    reordered: Mapped[int] = mapped_column(default=0, server_default="0")
    """So many times the draft was put into another order since it was scored (decisions/restated.py)."""
    histories_version: Mapped[str | None] = mapped_column(String(40))
    """The version of the store that was scored; kept under HOME/var/replay."""
    known_digest: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of all that was known at the as-of (features.histories.versions)."""
    served: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """By whose word the model served when the list was scored: since, by, reason, forced, objections."""


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
    rank: Mapped[int | None]
    """Empty where the evidence is not sufficient: such a person is not ranked."""
    evidence: Mapped[str] = mapped_column(String(20), default="sufficient", server_default="sufficient")
    """sufficient, little_history or unlike_training (training.models.evidence)."""
    previous_rank: Mapped[int | None]
    """The rank in the list of the same risk before this one."""
    part_post: Mapped[float | None]
    """Log-odds: Batch.base_value + part_post + part_unit + part_person is the margin. Empty in older lists."""
    part_unit: Mapped[float | None]
    part_person: Mapped[float | None]

    def within(self, capacity: int) -> bool:
        """Return whether the person is ranked within the list's capacity."""
        return self.rank is not None and self.rank <= capacity


class UnitShareRow(Table):
    """A unit of a list against all others: how far its risk is raised, how much its people share, what carries it."""

    __tablename__ = "unit_shares"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    unit: Mapped[str] = mapped_column(String(200), primary_key=True)
    people: Mapped[int]
    elevated: Mapped[float]
    """Log-odds above everyone else's, the posts' parts left out."""
    shared: Mapped[float]
    """The part of it that the unit's people have in common."""
    verdict: Mapped[str] = mapped_column(String(20))
    """roster, shared, persons or none (serving.scored.shares)."""
    carried: Mapped[list[Any]]
    """The measures that carry it: measure, push, value, others, window, roster."""
    levers: Mapped[list[Any]]
    """What a commander can change, as texts in both languages."""


class ProfileRow(Table):
    """A profile that lists were made with, whole, by its digest."""

    __tablename__ = "profiles"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[dict[str, Any]]


class SupersededList(Table):
    """A list that was scored anew: what is needed to rebuild it and to compare, a row for the whole cohort."""

    __tablename__ = "superseded_lists"
    __table_args__ = (UniqueConstraint("risk", "as_of", "run"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    risk: Mapped[str] = mapped_column(String(120))
    as_of: Mapped[dt.date]
    run: Mapped[int]
    model_version: Mapped[str] = mapped_column(String(40))
    scored_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    superseded_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    histories_version: Mapped[str | None] = mapped_column(String(40))
    known_digest: Mapped[str | None] = mapped_column(String(64))
    profile_digest: Mapped[str] = mapped_column(String(64))
    capacity: Mapped[int]
    base_value: Mapped[float]
    groups: Mapped[list[Any]]
    people: Mapped[dict[str, Any]]
    """By column, in the order of officer_id: serving.scored.lists.KEPT_COLUMNS."""
    contributions_digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of all contributions in the order of officer_id and groups."""
    served: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """By whose word the model served, as in Batch."""


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
    """The strongest reasons: measure, contribution, stable, value, usual, peers, window, sentence_zh, sentence_en."""
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
    purpose: Mapped[str] = mapped_column(String(20), default="wellness", server_default="wellness")
    """Of the risk or the records that it answers: who may not see the one may not see the other."""
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


class MonitorRun(Table):
    """What the monitor found at an as-of: its verdict, and the figures that the page draws."""

    __tablename__ = "monitor_runs"
    __table_args__ = (UniqueConstraint("as_of", "scope"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date]
    scope: Mapped[str] = mapped_column(String(120))
    """The risk where only one was looked at; empty for all."""
    ran_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    level: Mapped[int]
    """3 don't publish lists, 2 look first, 1 keep an eye on it, 0 stable, -1 not judged."""
    verdict: Mapped[dict[str, str]]
    figures: Mapped[dict[str, Any]]


class MonitorFindingRow(Table):
    """One finding of a run, the most severe at position 0."""

    __tablename__ = "monitor_findings"

    run_id: Mapped[int] = mapped_column(ForeignKey("monitor_runs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    level: Mapped[int]
    risk: Mapped[str | None] = mapped_column(String(120))
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[dict[str, str]]
    action: Mapped[dict[str, str]]
    figures: Mapped[dict[str, Any]]
