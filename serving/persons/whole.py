"""All that lists, facts and offers tell of one person: a person's page and each of its pictures ask for it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from serving.access.sight import Sight
from serving.persons.seen import Known
from serving.scored.kept import Unchanged
from serving.scored.offered import offers_of
from serving.scored.queries import PersonRisk, facts_of, person_risks
from serving.tables import RecommendationRow


@dataclass(frozen=True)
class Person:
    """What is known of a person at a month: facts, every risk that the caller may know of, and what is offered."""

    facts: Known
    risks: Sequence[PersonRisk]
    offers: Sequence[RecommendationRow]


def person_of(
    kept: Unchanged, session: Session, sight: Sight, officer_id: str, as_of: dt.date | None = None
) -> Person | None:
    """Return all of this at a month, the newest when none is given; None for who may not be seen.

    It is kept while nothing changes, for whoever has the same sight.
    """
    return kept.value(session, ("person", officer_id, as_of, sight), lambda own: _person(own, sight, officer_id, as_of))


def _person(session: Session, sight: Sight, officer_id: str, as_of: dt.date | None) -> Person | None:
    facts = facts_of(session, sight, officer_id, as_of)
    if facts is None:
        return None
    return Person(
        facts=facts,
        risks=tuple(person_risks(session, sight, officer_id, facts.as_of)),
        offers=tuple(offers_of(session, sight, facts.as_of, [officer_id]).get(officer_id, ())),
    )
