"""What an objection to a record does to the scores: computed anew beside the old ones; in their place once upheld."""

import datetime as dt
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.errors import Refusal
from features.months import month_end, month_of
from serving.access.audit import SYSTEM, record
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.database import transaction
from serving.decisions.objections import OPEN, Outcome, keep_rerun, upheld_records
from serving.decisions.publishing import held_still
from serving.decisions.rescored import LEFT_OUT, keep, rescore_withdrawn, waiting
from serving.decisions.restated import Circumstances, circumstances, offer_anew
from serving.decisions.standing import OBJECTION, corrected, lapsed, without_basis
from serving.decisions.tables import Consent, Objection
from serving.months.replay import PastList, past_list
from serving.months.rerun import without_records
from serving.persons.seen import health_groups, hidden_groups, shown_reasons
from serving.scored.queries import batch_of
from serving.tables import Batch, Reasons, Score

TOLD = 5
"""So many of the strongest reasons of the old score are kept beside the new one."""
OWN = ("probability", "low", "high", "rank", "evidence")
SEEN = (*OWN, "as_of", "model_version", "exact", "refused")


def rerun(engine: Engine, home: Path, objection_id: int) -> None:
    """Compute the scores concerned without the disputed records and keep both; nothing where no record is disputed.

    Concerned are the contested score, or the newest of every risk. A score that can't be computed says why not.
    Left out too are the records of the person's objections that were upheld, and health data whose basis ended; asked
    again while it is open, what changed in these since is computed anew, so that only the records lie between the two.
    """
    with transaction(engine, writes=False) as session:
        officer_id = session.get_one(Objection, objection_id).officer_id
        owed = session.scalar(select(Consent.id).where(Consent.officer_id == officer_id, waiting()).limit(1))
    if owed is not None:
        rescore_withdrawn(engine, home)
    with transaction(engine, writes=False) as session:
        row = session.get_one(Objection, objection_id)
        lists = [(past, _made_with(session, row, month_end(past.as_of))) for past in _to_compute(session, row)]
        before = {past.risk: _as_listed(session, past, row.officer_id) for past, _ in lists}
    if not lists:
        return
    without = {past.risk: _without(home, past, row.officer_id, made_with) for past, made_with in lists}
    with transaction(engine) as session:
        keep_rerun(session, SYSTEM, objection_id, before=before, without=without)


def in_force(session: Session, row: Objection, offers: Circumstances | None = None) -> None:
    """Let the scores without the disputed records stand in place of the old ones, where the objection was upheld.

    What is offered to the person is made anew of them, by ``offers`` (circumstances_of). Raises a Problem where consent
    was withdrawn or another objection upheld since they were computed.
    """
    if row.status != Outcome.UPHELD:
        return
    kept: dict[str, str] = {}
    for risk, score in (row.without or {}).items():
        if "refused" not in score:
            as_of = dt.date.fromisoformat(score["as_of"])
            if not _as_it_is(session, row, score):
                raise Problem(
                    Kind.DECIDED_MEANWHILE,
                    "What the score may be made of changed meanwhile; nothing was written. Decide again. "
                    "评分依据刚刚发生变化，决定尚未写入，请重新提交。",
                )
            kept |= keep(session, risk, as_of, row.officer_id, score=score, cause=OBJECTION)
    if kept:
        record(session, SYSTEM, LEFT_OUT, f"officer {row.officer_id}", lists=len(kept), digest=kept)
    if offers is not None:
        offer_anew(session, offers)


def hold_lists(session: Session, objection_id: int) -> None:
    """Hold still the lists whose scores an objection may change: before the log is written to, as whoever publishes."""
    scores = (session.get_one(Objection, objection_id).without or {}).items()
    days = [(risk, dt.date.fromisoformat(score["as_of"])) for risk, score in scores]
    lists = [session.scalar(select(Batch.id).where(Batch.risk == risk, Batch.as_of == day)) for risk, day in days]
    held_still(session, *(number for number in lists if number is not None))


def circumstances_of(engine: Engine, home: Path, objection_id: int) -> Circumstances | None:
    """Return what offers are to be made of once an objection to records is upheld; None where none is."""
    with transaction(engine, writes=False) as session:
        row = session.get_one(Objection, objection_id)
        left_out = {*row.event_ids, *upheld_records(session, row.officer_id)}
        told = (row.without or {}).values()
        months = {month_of(dt.date.fromisoformat(score["as_of"])) for score in told if "refused" not in score}
    return circumstances(home, row.officer_id, months, disputed=left_out) if months else None


def scores_seen(
    session: Session, sight: Sight, scores: dict[str, Any] | None, *, officer_id: str | None = None
) -> dict[str, Any] | None:
    """Return kept scores by risk as a caller may see them: risks of their purposes, no reasons of hidden groups.

    Of an officer whose consent was withdrawn since, none has health reasons.
    """
    if scores is None:
        return None
    found, gone = {}, officer_id is not None and bool(without_basis(session, [officer_id]))
    for risk, score in scores.items():
        as_of = dt.date.fromisoformat(score["as_of"])
        batch = batch_of(session, sight, risk, as_of)
        if batch is None:
            continue
        told = {name: score[name] for name in SEEN if name in score}
        hidden = hidden_groups(session, sight, batch)
        if officer_id is not None and (gone or lapsed(session, as_of, [officer_id])):
            hidden |= health_groups(session, batch)
        found[risk] = told | {"strongest": shown_reasons(score.get("strongest", [])[:TOLD], hidden)}
    return found


def _to_compute(session: Session, row: Objection) -> list[PastList]:
    """The lists whose score without the records is missing, or was made of what may not be used any more."""
    if not row.event_ids:
        return []
    if row.without is None:
        return _concerned(session, row)
    stale = sorted((risk, score["as_of"]) for risk, score in row.without.items() if not _as_it_is(session, row, score))
    days = [(risk, dt.date.fromisoformat(as_of)) for risk, as_of in stale if row.status == OPEN]
    return [past_list(session, risk, month_of(as_of)) for risk, as_of in days]


def _as_it_is(session: Session, row: Objection, score: dict[str, Any]) -> bool:
    made = score.get("made_with", {"left_out": sorted(set(row.event_ids)), "health": True})
    return bool(made == _made_with(session, row, dt.date.fromisoformat(score["as_of"])))


def _made_with(session: Session, row: Objection, as_of: dt.date) -> dict[str, Any]:
    """What a score without the disputed records is to be made of: kept with it, to tell when that has changed."""
    left_out = sorted({*row.event_ids, *upheld_records(session, row.officer_id)})
    return {"left_out": left_out, "health": not lapsed(session, as_of, [row.officer_id])}


def _concerned(session: Session, row: Objection) -> list[PastList]:
    statement = (
        select(Batch.risk, Batch.as_of)
        .join(Score, Score.batch_id == Batch.id)
        .where(Score.officer_id == row.officer_id)
        .order_by(Batch.as_of)
    )
    if row.risk:
        statement = statement.where(Batch.risk == row.risk, Batch.as_of == row.as_of)
    newest: dict[str, dt.date] = {row.risk: row.as_of for row in session.execute(statement)}
    return [past_list(session, risk, month_of(as_of)) for risk, as_of in sorted(newest.items())]


def _as_listed(session: Session, past: PastList, officer_id: str) -> dict[str, Any]:
    as_of = month_end(past.as_of)
    statement = (
        select(Batch, Score, Reasons.strongest)
        .join(Score, Score.batch_id == Batch.id)
        .join(Reasons, (Reasons.batch_id == Score.batch_id) & (Reasons.officer_id == Score.officer_id))
        .where(Batch.risk == past.risk, Batch.as_of == as_of, Score.officer_id == officer_id)
    )
    batch, score, strongest = session.execute(statement).one()
    told = {name: getattr(score, name) for name in OWN} | {"strongest": strongest}
    anew = corrected(session, batch, [officer_id]).get(officer_id)
    if anew is not None:  # what stands now is what is contested
        told = {name: anew.score[name] for name in (*OWN, "strongest")}
    return {**told, "as_of": str(as_of), "model_version": past.model_version}


def _without(home: Path, past: PastList, officer_id: str, made_with: dict[str, Any]) -> dict[str, Any]:
    kept = {"as_of": str(month_end(past.as_of)), "made_with": made_with}
    try:
        return {**without_records(home, past, officer_id, made_with["left_out"]).as_json(), **kept}
    except Refusal as refusal:
        return {"refused": refusal.what, **kept}
