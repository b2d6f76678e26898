"""What help a person is offered or has, and how far it came: mentorships, rest and offers in one row each."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.sight import Sight
from serving.mentoring.reading import pairs_of
from serving.offers.life import offers_seen
from serving.rest.reading import sees_health
from serving.rest.tables import RestEntry, RestPlan
from serving.tables import Words
from serving.words import same

REST_SHOWN = ("confirmed", "taken", "declined")
PAIR_STATES = ("offered", "accepted", "running", "refused", "ended")


@dataclass(frozen=True)
class Standing:
    """One help: what it is, in which state (``kind`` and ``state`` name its text), and since or for which day."""

    kind: str
    label: Words
    state: str
    day: dt.date | None


def help_standing(session: Session, sight: Sight, officer_id: str) -> list[Standing]:
    """Return what help a person within reach is offered or has, newest last; nothing for who knows pseudonyms only.

    Rest is told to the wellness team alone: its kinds tell of health, and who declined is nobody else's business.
    """
    if sight.pseudonymous:
        return []
    return [
        *_pairs(session, sight, officer_id),
        *_rests(session, sight, officer_id),
        *_offers(session, sight, officer_id),
    ]


def _pairs(session: Session, sight: Sight, officer_id: str) -> list[Standing]:
    """Mentorships that the two knew of: a mere suggestion that gave way to another one never began."""
    found = pairs_of(session, sight, officer_id, status=PAIR_STATES)
    return [
        Standing(
            "pair",
            same("standing_mentee" if row.mentee_id == officer_id else "standing_mentor"),
            row.status,
            row.ended_on or row.started_on,
        )
        for row in found
        if row.outcome != "withdrawn"
    ]


def _rests(session: Session, sight: Sight, officer_id: str) -> list[Standing]:
    if not sees_health(sight):
        return []
    statement = (
        select(RestEntry, RestPlan.kinds)
        .join(RestPlan, RestPlan.id == RestEntry.plan_id)
        .where(RestEntry.officer_id == officer_id, RestEntry.state.in_(REST_SHOWN))
        .order_by(RestEntry.first_day)
    )
    found = []
    for entry, kinds in session.execute(statement):
        labels: dict[str, Words] = {kind["key"]: kind["label"] for kind in kinds}
        label = labels.get(entry.kind, {"zh": entry.kind, "en": entry.kind})
        found.append(Standing("rest", label, entry.state, entry.first_day))
    return found


def _offers(session: Session, sight: Sight, officer_id: str) -> list[Standing]:
    rows = offers_seen(session, sight, officer_id=officer_id)
    return [Standing("offer", row.label, row.status, row.done_on or row.due_on) for row in rows]
