"""What stands in the store and the log says nothing of: a log that was cut, or emptied with its mark, shows here."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.tables import AuditRow
from serving.decisions.objections import OPEN
from serving.decisions.tables import Consent, HelpRequest, Objection, Published, Review

Told = tuple[str, dict[str, Any]]
"""A row of the log: what it is about, and its details."""


def unlogged(session: Session) -> list[str]:
    """Return in words every publication, decision, objection, request and withdrawal that no row of the log tells of.

    Each was written in one transaction with its row, so that one without it was put in, or its row taken out.
    """
    return [*_publications(session), *_reviews(session), *_objections(session), *_requests(session),
            *_withdrawals(session)]  # fmt: skip


def _publications(session: Session) -> Iterator[str]:
    told = {(subject, details.get("as_of"), details.get("digest"))
            for subject, details in _rows(session, "list published")}  # fmt: skip
    for row in session.scalars(select(Published).order_by(Published.id)):
        if (row.risk, str(row.as_of), row.digest) not in told:
            yield f"the list of {row.risk}, {row.as_of:%Y-%m}, is published, and the log does not say so"


def _reviews(session: Session) -> Iterator[str]:
    told = {(subject, details.get("version"), details.get("decision"))
            for subject, details in _rows(session, "flag decided")}  # fmt: skip
    for row in session.scalars(select(Review).order_by(Review.id)):
        if (f"flag {row.flag_id}", row.version, row.decision) not in told:
            yield f"flag {row.flag_id}: decision {row.version} is not in the log as it stands"


def _objections(session: Session) -> Iterator[str]:
    made = {subject for subject, _ in _rows(session, "objection made")}
    ended = {(subject, details.get("outcome")) for subject, details in _rows(session, "objection decided")}
    for row in session.scalars(select(Objection).order_by(Objection.id)):
        name = f"objection {row.id}"
        if name not in made or (row.status != OPEN and (name, row.status) not in ended):
            yield f"{name} ({row.status}) is not in the log as it stands"


def _requests(session: Session) -> Iterator[str]:
    made = {subject for subject, _ in _rows(session, "help asked for")}
    ended = {subject for subject, _ in _rows(session, "help answered")}
    for row in session.scalars(select(HelpRequest).order_by(HelpRequest.id)):
        name = f"request {row.id}"
        if name not in made or (row.answered_at is not None and name not in ended):
            yield f"{name} for help is not in the log as it stands"


def _withdrawals(session: Session) -> Iterator[str]:
    told = {subject for subject, _ in _rows(session, "consent withdrawn")}
    ended = select(Consent).where(Consent.counts_until.is_not(None)).order_by(Consent.id)
    for row in session.scalars(ended):
        if f"officer {row.officer_id}" not in told:
            yield f"consent {row.id} was withdrawn, and the log does not say so"


def _rows(session: Session, action: str) -> list[Told]:
    rows = session.scalars(select(AuditRow).where(AuditRow.action == action))
    return [(row.subject, row.details) for row in rows]
