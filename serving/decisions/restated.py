"""What a corrected score changes besides itself: a draft's order and flags, and what is offered to the person.

A published list keeps its order; the correction stands beside it.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.histories.store import load_histories
from features.months import month_end
from features.policy import Policy
from features.profile import Profile
from serving.decisions.flags import raise_flags
from serving.decisions.publishing import held_still
from serving.decisions.standing import corrected
from serving.decisions.tables import Published
from serving.months.rerun import histories_without
from serving.offers.raising import restate_offers
from serving.scored.lists import insert_recommendations, link_ranks
from serving.scored.recommendations import Situation, recommend, situations
from serving.scored.scoring import flags
from serving.tables import Batch, ProfileRow, RecommendationRow, Score
from training.models.evidence import SUFFICIENT


@dataclass(frozen=True)
class Circumstances:
    """The situation of some months, by as-of, without what may not be used of a person."""

    officer_id: str
    profile: Profile
    situations: dict[int, Situation]


def rerank(session: Session, batch: Batch) -> int:
    """Put a draft into the order of its scores as they stand, its flags with it; return how many places changed.

    Those whose scores were not computed anew keep their order among each other. A published list is left alone.
    """
    held_still(session, batch.id)
    if session.scalar(select(Published.id).where(Published.batch_id == batch.id)) is not None:
        return 0
    before, now = _places(session, batch)
    moved = [{"batch_id": batch.id, "officer_id": who, "rank": now.get(who)}
             for who, rank in before.items() if now.get(who) != rank]  # fmt: skip
    if moved:
        session.execute(update(Score), moved)
        batch.reordered += 1
        link_ranks(session, batch)
        raise_flags(session, batch, expires_months=_expires_months(session, batch))
    return len(moved)


def circumstances(
    home: Path, officer_id: str, as_ofs: Collection[int], *, disputed: Collection[str] = ()
) -> Circumstances | None:
    """Return what offers are made of at some months, as it may be used now, without disputed records of the person.

    None where there are no months, or the histories don't tell. It takes as long as scoring: nothing is locked.
    """
    if not as_ofs:
        return None
    try:
        given = load_histories(home)
        if disputed:
            given = histories_without(given, home, officer_id, frozenset(disputed))
        return Circumstances(officer_id, given.profile, situations(given, sorted(as_ofs)))
    except Refusal:
        return None


def offer_anew(session: Session, found: Circumstances) -> bool:
    """Make the person's recommendations and open offers of these months anew from the scores as they stand.

    Returns whether anything changed: whoever calls writes it to the log.
    What was recommended for a reason that is gone goes with it, also where the month is published.
    """
    who, changed = found.officer_id, False
    for as_of, situation in found.situations.items():
        day = month_end(as_of)
        told = {officer: each for officer, each in flags(session, day, officer_id=who).items() if officer == who}
        offers = [each for each in recommend(situation, told) if each.officer_id == who]
        before = _recommended(session, day, who)
        table = RecommendationRow
        session.execute(delete(table).where(table.as_of == day, table.officer_id == who))
        insert_recommendations(session, day, offers)
        changed |= before != _recommended(session, day, who)
        changed |= restate_offers(session, found.profile, day, who)
    return changed


def _recommended(session: Session, day: dt.date, officer_id: str) -> Sequence[Any]:
    """The person's recommendations of a month, all that they say."""
    table = RecommendationRow.__table__.c
    mine = select(RecommendationRow.__table__).where(table.as_of == day, table.officer_id == officer_id)
    return session.execute(mine.order_by(table.position)).all()


def _places(session: Session, batch: Batch) -> tuple[dict[str, int | None], dict[str, int]]:
    """The places that a draft's rows have, and those of the scores as they stand."""
    anew = corrected(session, batch)
    columns = (Score.officer_id, Score.rank, Score.probability, Score.evidence)
    rows = session.execute(select(*columns).where(Score.batch_id == batch.id)).all()
    places = {row.officer_id: row.rank for row in rows}
    stands = {row.officer_id: (row.probability, row.evidence) for row in rows}
    stands |= {who: (anew[who].score["probability"], anew[who].score["evidence"]) for who in anew.keys() & stands}
    judged = [who for who, (_, evidence) in stands.items() if evidence == SUFFICIENT]
    ordered = sorted(judged, key=lambda who: (-stands[who][0], places[who] is None, places[who] or 0, who))
    return places, {who: place for place, who in enumerate(ordered, 1)}


def _expires_months(session: Session, batch: Batch) -> int:
    held = session.get(ProfileRow, batch.profile_digest)
    policy = Profile.model_validate(held.content).settings.policy if held else Policy()
    return policy.flag_expires_months
