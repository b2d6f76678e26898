"""What nobody is told any more of a person who withdrew consent: health reasons of any month, folded into one sum."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from serving.access.roles import Field
from serving.access.sight import Sight
from serving.decisions.standing import lapsed, uses_health, without_basis
from serving.decisions.tables import Rescored
from serving.persons.seen import health_groups
from serving.tables import Batch, Reasons


def withheld_sums(
    session: Session, sight: Sight, batch: Batch, officers: Sequence[str], anew: Mapping[str, Rescored]
) -> dict[str, float]:
    """Return by officer the log-odds of all health reasons together, of those whose consent is withdrawn today.

    ``anew`` are scores that stand in place of the list's own. Nobody, where the list uses no health data or the caller
    may not see it: then nothing tells that somebody withdrew.
    """
    health = health_groups(session, batch)
    if not uses_health(session, batch) or Field.HEALTH not in sight.fields(batch.purpose):
        return {}
    gone = without_basis(session, officers)
    if not gone:
        return {}
    mine = select(Reasons).where(Reasons.batch_id == batch.id, Reasons.officer_id.in_(gone))
    own = {row.officer_id: row.contributions for row in session.scalars(mine)}
    stands = own | {who: anew[who].score["contributions"] for who in own.keys() & anew.keys()}
    return {who: _sum(batch, told, health) for who, told in stands.items()}


def untold(session: Session, told: Iterable[tuple[str, dt.date]]) -> set[tuple[str, dt.date]]:
    """Return those of some officers' months whose words for wellness may name health data that was withdrawn since.

    Months that the withdrawal covers are made anew without: these only until that is done.
    """
    asked = set(told)
    gone = without_basis(session, sorted({officer for officer, _ in asked}))
    found = {(officer, day) for officer, day in asked if officer in gone}
    anew = {day: lapsed(session, day) for day in {day for _, day in found}}
    return {(officer, day) for officer, day in found if anew[day].get(officer, True)}


def _sum(batch: Batch, contributions: Sequence[float], health: frozenset[str]) -> float:
    return sum(push for group, push in zip(batch.groups, contributions, strict=True) if group in health)
