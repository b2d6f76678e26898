"""What came after a list was made: bases for health data that ended, corrected scores. Read for replaying it."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from features.histories.bases import Span
from serving.access.tables import AuditRow
from serving.decisions.tables import Consent, Published, Rescored
from serving.tables import Batch, SupersededList

OFFICER = "officer "
"""How the log names a person: officer NUMBER."""


@dataclass(frozen=True)
class Corrected:
    """A score of the list that was computed anew since; ``cause`` is consent or objection."""

    officer_id: str
    cause: str
    on: dt.date


@dataclass(frozen=True)
class Then:
    """What was otherwise when a list was made.

    ``bases`` are the spans as they stood; ``gone`` who has since taken health data of that month out for the past too;
    ``reordered`` whose correction moved others while the list was a draft.
    """

    bases: tuple[Span, ...] = ()
    gone: tuple[str, ...] = ()
    corrected: tuple[Corrected, ...] = ()
    reordered: frozenset[str] = frozenset()


AS_NOW = Then()


def then_of(session: Session, row: Batch | SupersededList) -> Then:
    """Return what came after a list was scored: after it was published, or set aside, where it was."""
    made = _utc(row.scored_at)
    ended = _withdrew_since(session, made)
    rows = session.scalars(select(Consent).order_by(Consent.officer_id, Consent.given_on)).all()
    mine = [each for each in rows if each.given_on <= made.date()]
    corrected, drafted = _corrected(session, row, made)
    return Then(
        bases=tuple((each.officer_id, each.given_on, _last_then(each, ended, made.date())) for each in mine),
        gone=tuple(sorted({each.officer_id for each in mine if each.officer_id in ended and _past_too(each)})),
        corrected=corrected,
        reordered=drafted,
    )


def _last_then(consent: Consent, ended: Collection[str], day: dt.date) -> dt.date | None:
    """The last day of a span as it stood at a day; who took the past out too is taken at the word."""
    later = consent.officer_id in ended and consent.withdrawn_on is not None and consent.withdrawn_on >= day
    return None if later and not _past_too(consent) else consent.counts_until


def _past_too(consent: Consent) -> bool:
    return consent.counts_until is not None and consent.counts_until < consent.given_on


def _withdrew_since(session: Session, moment: dt.datetime) -> set[str]:
    """Who withdrew after a moment: the log knows the time, the register the day."""
    table = AuditRow
    rows = session.execute(select(table.subject, table.at).where(table.action == "consent withdrawn"))
    return {subject.removeprefix(OFFICER) for subject, at in rows if _utc(dt.datetime.fromisoformat(at)) >= moment}


def _corrected(
    session: Session, row: Batch | SupersededList, made: dt.datetime
) -> tuple[tuple[Corrected, ...], frozenset[str]]:
    """The newest correction of each person, and who was corrected before the list was out."""
    rows = session.scalars(select(Rescored).where(Rescored.risk == row.risk, Rescored.as_of == row.as_of))
    until = _utc(row.superseded_at) if isinstance(row, SupersededList) else dt.datetime.now(dt.UTC)
    found = [each for each in sorted(rows, key=lambda each: each.id) if made <= _utc(each.at) <= until]
    out = session.scalar(select(Published.at).where(Published.batch_id == row.id)) if isinstance(row, Batch) else None
    told = {each.officer_id: Corrected(each.officer_id, each.cause, _utc(each.at).date()) for each in found}
    drafted = frozenset(each.officer_id for each in found if out is None or _utc(each.at) <= _utc(out))
    return tuple(told[officer] for officer in sorted(told)), drafted


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
