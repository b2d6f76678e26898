"""Scores computed anew beside a list that stands: after consent was withdrawn, or where objections were upheld.

A published list never changes, the correction is shown beside it; a draft takes the order of what stands.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import ColumnElement, Engine, Select, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.months import month_end, month_of
from serving.access.audit import SYSTEM, record
from serving.database import transaction
from serving.decisions.objections import contested_with_success, upheld_records
from serving.decisions.publishing import held_still
from serving.decisions.restated import Circumstances, circumstances, offer_anew, rerank
from serving.decisions.sealed import RESCORED, seal
from serving.decisions.standing import CONSENT, OBJECTION, uses_health
from serving.decisions.tables import Consent, Rescored
from serving.months.replay import PastList, past_list
from serving.months.rerun import PersonScore, as_of_now
from serving.tables import Batch, Score

LEFT_OUT, NO_HEALTH = "rescored without upheld records", "rescored without health data"
"""The actions of the log when scores are kept; with the digest of each."""


def keep(
    session: Session, risk: str, as_of: dt.date, officer_id: str, *, score: dict[str, Any], cause: str
) -> dict[str, str]:
    """Keep a score that was computed anew (rerun.PersonScore as plain values); a draft is put into order by it.

    Returns its number with the digest of what it says, for the row of the log.
    """
    batch = session.scalar(select(Batch).where(Batch.risk == risk, Batch.as_of == as_of))
    if batch is not None:
        held_still(session, batch.id)  # before the time is taken: what is published first is earlier
    now = dt.datetime.now(dt.UTC)
    row = Rescored(risk=risk, as_of=as_of, officer_id=officer_id, cause=cause, at=now, score=score)
    session.add(row)
    session.flush()
    if batch is not None:
        rerank(session, batch)
    return {str(row.id): seal(row, RESCORED)}


def rescore_owed(engine: Engine, home: Path, as_ofs: Sequence[int]) -> int:
    """Compute what lists just made owe to people: to who withdrew meanwhile, and to whose objection was upheld."""
    return rescore_withdrawn(engine, home) + rescore_upheld(engine, home, as_ofs)


def rescore_withdrawn(engine: Engine, home: Path) -> int:
    """Compute the standing scores of all who withdrew consent since; return how many scores were made anew.

    Asked again it does nothing; a run that was killed is made up for by the next one. One runs at a time.
    """
    with FileLock(home / "var" / "rescoring.lock"):
        with transaction(engine, writes=False) as session:
            owed = list(session.scalars(select(Consent).where(waiting())))
            standing = {each.id: _standing(session, each) for each in owed}
            upheld = {each.id: upheld_records(session, each.officer_id) for each in owed}
        return sum(_rescore(engine, home, each, standing[each.id], upheld[each.id]) for each in owed)


def rescore_upheld(engine: Engine, home: Path, as_ofs: Sequence[int]) -> int:
    """Compute the scores of lists just made without the records of objections upheld before; return how many changed.

    Such records count until they are corrected at the source: then there is nothing more to leave out.
    """
    with FileLock(home / "var" / "rescoring.lock"):
        with transaction(engine, writes=False) as session:
            upheld = {who: upheld_records(session, who) for who in contested_with_success(session)}
            named = {who: _made_without_it(session, who, as_ofs) for who, records in upheld.items() if records}
        return sum(_leave_out(engine, home, who, named[who], upheld[who]) for who in named if named[who])


def _made_without_it(session: Session, officer_id: str, as_ofs: Sequence[int]) -> list[tuple[PastList, float]]:
    """The lists of these months that name the person and know of no upheld objection, with the probability in each."""
    found = session.execute(_undone(officer_id, OBJECTION).where(Batch.as_of.in_(map(month_end, as_ofs)))).all()
    return [(past_list(session, batch.risk, month_of(batch.as_of)), said) for batch, said in found]


def _leave_out(
    engine: Engine, home: Path, who: str, named: Sequence[tuple[PastList, float]], upheld: Sequence[str]
) -> int:
    """One person's new lists: what the records change is kept beside them, and what is offered made anew."""
    scores = [(past, score) for past, said in named
              if (score := _if_possible(home, past, who, upheld)) and score.probability != said]  # fmt: skip
    offers = circumstances(home, who, {past.as_of for past, _ in named}, disputed=upheld)
    with transaction(engine) as session:
        if upheld_records(session, who) != upheld:  # decided meanwhile: that decision computes them
            return 0
        kept, changed = _put(session, who, scores, offers, OBJECTION)
        if scores or changed:
            record(session, SYSTEM, LEFT_OUT, f"officer {who}", lists=len(scores), digest=kept)
    return len(scores)


def waiting() -> ColumnElement[bool]:
    """Return the condition for withdrawals whose scores are still to be computed, over consents."""
    return Consent.counts_until.is_not(None) & Consent.rescored_at.is_(None)


def _standing(session: Session, consent: Consent) -> list[tuple[PastList, bool]]:
    """The lists that name the person and are later than what the withdrawn data may count for, not done before.

    With each whether it uses health data at all: another one stays as it is, so that nobody sees who withdrew.
    """
    later = _undone(consent.officer_id, CONSENT).where(Batch.as_of > consent.counts_until)
    found = session.execute(later).all()
    return [(past_list(session, batch.risk, month_of(batch.as_of)), uses_health(session, batch)) for batch, _ in found]


def _undone(officer_id: str, cause: str) -> Select[Batch, float]:
    """Lists that name the person, the oldest first, with the probability in each: those not computed anew for this."""
    same = (Rescored.risk == Batch.risk) & (Rescored.as_of == Batch.as_of) & (Rescored.at >= Batch.scored_at)
    done = select(Rescored.id).where(same, Rescored.officer_id == officer_id, Rescored.cause == cause)
    named = select(Batch, Score.probability).join(Score, Score.batch_id == Batch.id)
    return named.where(Score.officer_id == officer_id, ~done.exists()).order_by(Batch.as_of, Batch.risk)


def _rescore(
    engine: Engine, home: Path, consent: Consent, named: Sequence[tuple[PastList, bool]], upheld: Sequence[str]
) -> int:
    """One person's lists; while one can't be computed (the model is gone) the withdrawal is not done: asked again."""
    who, standing = consent.officer_id, [past for past, with_health in named if with_health]
    scores = [(past, score) for past in standing if (score := _if_possible(home, past, who, upheld))]
    complete = len(scores) == len(standing)
    offers = circumstances(home, who, {past.as_of for past, _ in named}, disputed=upheld)
    with transaction(engine) as session:
        held = session.scalar(select(Consent).where(Consent.id == consent.id, waiting()).with_for_update())
        if held is None or upheld_records(session, who) != upheld:  # another one was quicker, or the next run does it
            return 0
        kept, changed = _put(session, who, scores, offers, CONSENT)
        if complete:
            held.rescored_at = dt.datetime.now(dt.UTC)
        if complete or scores or changed:
            told = {"lists": len(scores), "not_computed": len(standing) - len(scores), "digest": kept}
            record(session, SYSTEM, NO_HEALTH, f"officer {who}", **told)
    return len(scores)


def _put(
    session: Session, who: str, scores: Sequence[tuple[PastList, PersonScore]], offers: Circumstances | None, cause: str
) -> tuple[dict[str, str], bool]:
    """Keep a person's scores and make anew what is offered; the digest of each score, and whether offers changed."""
    kept: dict[str, str] = {}
    for past, score in scores:
        kept |= keep(session, past.risk, month_end(past.as_of), who, score=score.as_json(), cause=cause)
    return kept, offers is not None and offer_anew(session, offers)


def _if_possible(home: Path, past: PastList, officer_id: str, upheld: Sequence[str]) -> PersonScore | None:
    try:
        return as_of_now(home, past, officer_id, disputed=upheld)
    except Refusal:
        return None
