"""Offers made of a month's recommendations and ladders: reason, evidence, owner, due date. Rest has its own plan."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from features.months import month_end, month_of
from features.profile import Profile
from serving.access.audit import SYSTEM, Actor, record
from serving.assessed.tables import AssessedRow, AssessmentHead
from serving.decisions.standing import corrected, standing_strongest
from serving.mentoring.tables import Offer, OfferStep
from serving.scored.told import gated
from serving.tables import Batch, Facts, Reasons, RecommendationRow, Words
from serving.words import both, same

KINDS = ("training", "rotation", "care", "culture")
LADDER = "ladder"
LADDERS = {"technical": "ladder_technical", "leading": "ladder_leading", "either": "ladder_either"}
DUE_DAYS = 60
"""Advice on a ladder has time."""
EVIDENCE = 3
LIVING = ("proposed", "accepted")
BY_HAND = same("offer_by_hand")
"""The reason of an offer that no rule made."""
AGAIN_AFTER_MONTHS = 6
"""What was declined or done is not offered again for so long."""


@dataclass(frozen=True)
class Made:
    """What a month did to the offers."""

    new: int
    renewed: int
    lapsed: int


@dataclass(frozen=True)
class Proposal:
    """An offer before it is stored."""

    officer_id: str
    purpose: str
    action: str
    kind: str
    label: Words
    reason: Words
    evidence: list[Words]
    opening: Words | None
    owner: str
    decides: str
    by_right: bool
    due_days: int
    recorded_as: str | None = None
    amount: float = 1.0


def raise_offers(session: Session, profile: Profile, as_of: dt.date) -> Made:
    """Make an offer of every recommendation of a month that is none yet, renew those that live, let old ones lapse.

    Training, rotation, care, culture, and the ladders of the assessment. Asked twice for a month, the second time
    changes nothing. One audit row tells how many.
    """
    proposals = {
        (each.officer_id, each.action, each.purpose): each
        for each in (*_recommended(session, profile, as_of), *_ladders(session, as_of))
    }
    living, recent = _held(session, as_of)
    renewed = [offer for key, offer in living.items() if key in proposals and offer.renewed_on < as_of]
    for offer in renewed:
        offer.renewed_on = as_of
    lapsed = _lapse(session, profile, as_of)
    new = [each for key, each in proposals.items() if key not in living and key not in recent]
    places = _places(session, as_of)
    for each in new:
        _store(session, each, as_of, SYSTEM, place=places.get(each.officer_id, ("", "")))
    found = Made(len(new), len(renewed), lapsed)
    if new or renewed or lapsed:
        record(session, SYSTEM, "offers made", str(as_of), **vars(found))
    return found


def restate_offers(session: Session, profile: Profile, as_of: dt.date, officer_id: str) -> bool:
    """Let a person's open offers of a month say what its recommendations say now; those without any lapse.

    Returns whether anything changed.
    What was accepted stays until it is done, in the words of now; what somebody offered by hand stays as it is.
    """
    rows = _recommended(session, profile, as_of, officer_id=officer_id)
    proposals = {(each.action, each.purpose): each for each in rows}
    table = Offer
    held = select(table).where(table.officer_id == officer_id, table.renewed_on == as_of, table.status.in_(LIVING))
    changed = False
    for offer in session.scalars(held.where(table.kind.in_(KINDS))).all():
        now = proposals.get((offer.action, offer.purpose))
        if now is not None:
            said = now.reason, now.evidence, now.opening
            changed |= said != (offer.reason, offer.evidence, offer.opening)
            offer.reason, offer.evidence, offer.opening = said
        elif offer.reason != BY_HAND:
            _withdraw(session, offer, as_of)
            changed = True
    return changed


def offer_by_hand(
    session: Session,
    actor: Actor,
    profile: Profile,
    *,
    officer_id: str,
    action: str,
    place: tuple[str, str],
    as_of: dt.date,
) -> Offer:
    """Make an offer that no rule made, such as help with children's schooling, and return it."""
    part = profile.actions[action]
    proposal = Proposal(
        officer_id=officer_id,
        purpose=_purpose(profile, action),
        action=action,
        kind=part.kind,
        label={"zh": part.label.zh, "en": part.label.en},
        reason=BY_HAND,
        evidence=[],
        opening={"zh": part.opening.zh, "en": part.opening.en} if part.opening else None,
        owner=part.owner,
        decides=part.decides,
        by_right=False,
        due_days=part.due_days,
        recorded_as=part.recorded_as,
    )
    row = _store(session, proposal, as_of, actor, place=place)
    record(session, actor, "offer made", f"offer {row.id}", action=action, officer=officer_id)
    return row


def _recommended(
    session: Session, profile: Profile, as_of: dt.date, *, officer_id: str | None = None
) -> Iterator[Proposal]:
    table = RecommendationRow
    statement = select(table).where(table.as_of == as_of, table.kind.in_(KINDS))
    if officer_id is not None:
        statement = statement.where(table.officer_id == officer_id)
    rows = session.scalars(statement.order_by(table.officer_id, table.position)).all()
    told = _evidence(session, profile, as_of, rows)
    shared = ("officer_id", "purpose", "action", "kind", "label", "reason", "opening", "owner", "decides", "by_right")
    for row in rows:
        action = profile.actions.get(row.action)
        if action is not None:
            yield Proposal(
                **{name: getattr(row, name) for name in shared},
                evidence=told.get((row.officer_id, row.action, row.purpose), []),
                due_days=action.due_days,
                recorded_as=action.recorded_as,
            )


def _evidence(
    session: Session, profile: Profile, as_of: dt.date, rows: Sequence[RecommendationRow]
) -> dict[tuple[str, str, str], list[Words]]:
    """The strongest reasons of the risk that an action answers, of lists with the same purpose only."""
    wanted = {row.officer_id for row in rows}
    found: dict[tuple[str, str, str], list[Words]] = {}
    for batch in session.scalars(select(Batch).where(Batch.as_of == as_of)):
        anew = corrected(session, batch)
        statement = select(Reasons.officer_id, Reasons.strongest).where(Reasons.batch_id == batch.id)
        reasons = {
            officer: [
                {"zh": each["sentence_zh"], "en": each["sentence_en"]}
                for each in standing_strongest(strongest, anew.get(officer))
                if each["contribution"] > 0 and gated(each)
            ][:EVIDENCE]
            for officer, strongest in session.execute(statement)
            if officer in wanted
        }
        for row in rows:
            action = profile.actions.get(row.action)
            if action and batch.risk in action.risks and batch.purpose == row.purpose:
                found[row.officer_id, row.action, row.purpose] = reasons.get(row.officer_id, [])
    return found


def _ladders(session: Session, as_of: dt.date) -> Iterator[Proposal]:
    """Advice on which ladder a record speaks for, to HR; the person may decline it like anything else."""
    head = session.scalar(select(AssessmentHead).where(AssessmentHead.as_of == as_of))
    if head is None:
        return
    rows = select(AssessedRow.cells).where(AssessedRow.assessment_id == head.id, AssessedRow.name == "ladders")
    for cells in session.scalars(rows):
        row = dict(zip(head.columns["ladders"], cells, strict=True))
        yield Proposal(
            officer_id=row["officer_id"],
            purpose="development",
            action=f"{LADDER}_{row['ladder']}",
            kind=LADDER,
            label=both(LADDERS[row["ladder"]], lambda _: {}),
            reason={"zh": row["reason_zh"], "en": row["reason_en"]},
            evidence=both_lines(row),
            opening=None,
            owner="hr",
            decides="officer",
            by_right=False,
            due_days=DUE_DAYS,
        )


def both_lines(row: dict[str, Any]) -> list[Words]:
    """Return what a ladder rests on: the year's mean and the months above the middle."""
    figures = {"index": f"{row['index']:+.1f}", "months": f"{row['months_above']:.0f}"}
    return [both("offer_ladder_evidence", lambda _: figures)]


def _held(session: Session, as_of: dt.date) -> tuple[dict[tuple[str, str, str], Offer], set[tuple[str, str, str]]]:
    """The offers that live, by person, action and purpose; and which were declined or done not long ago."""
    since = month_end(month_of(as_of) - AGAIN_AFTER_MONTHS)
    living: dict[tuple[str, str, str], Offer] = {}
    recent = set()
    for offer in session.scalars(select(Offer).where(Offer.renewed_on > since)):
        key = (offer.officer_id, offer.action, offer.purpose)
        if offer.status in LIVING:
            living[key] = offer
        elif offer.status in ("declined", "done"):
            recent.add(key)
    return living, recent


def _withdraw(session: Session, offer: Offer, as_of: dt.date) -> None:
    """A proposal ends without a reason that may be told; what was accepted loses the words of the old one."""
    if offer.status == "proposed":
        offer.status, offer.version = "lapsed", offer.version + 1
        session.add(_step(offer, "lapse", as_of, SYSTEM))
    offer.reason, offer.evidence, offer.opening = same("offer_reason_gone"), [], None


def _lapse(session: Session, profile: Profile, as_of: dt.date) -> int:
    """Proposals that no later month renewed end; what was accepted stays until it is done."""
    last = month_end(month_of(as_of) - profile.settings.policy.flag_expires_months)
    old = session.scalars(select(Offer).where(Offer.status == "proposed", Offer.renewed_on <= last)).all()
    for offer in old:
        offer.status, offer.version = "lapsed", offer.version + 1
        session.add(_step(offer, "lapse", as_of, SYSTEM))
    return len(old)


def _places(session: Session, as_of: dt.date) -> dict[str, tuple[str, str]]:
    rows = session.execute(select(Facts.officer_id, Facts.post, Facts.unit).where(Facts.as_of == as_of))
    return {officer: (post, unit) for officer, post, unit in rows}


def _purpose(profile: Profile, action: str) -> str:
    """For wellness where the action answers a wellness risk, or is recorded as health data."""
    part = profile.actions[action]
    sensitive = part.recorded_as is not None and profile.measures[part.recorded_as].sensitive
    answers = any(profile.risks[risk].purpose == "wellness" for risk in part.risks)
    return "wellness" if sensitive or answers else "development"


def _store(session: Session, each: Proposal, as_of: dt.date, actor: Actor, *, place: tuple[str, str]) -> Offer:
    plain = {part.name: getattr(each, part.name) for part in fields(each) if part.name != "due_days"}
    row = Offer(
        **plain,
        post=place[0],
        unit=place[1],
        as_of=as_of,
        renewed_on=as_of,
        due_on=max(as_of, dt.date.today()) + dt.timedelta(days=each.due_days),
        status="proposed",
        version=0,
        done_on=None,
    )
    session.add(row)
    session.flush()
    session.add(_step(row, "propose", as_of, actor))
    return row


def _step(offer: Offer, step: str, day: dt.date, actor: Actor) -> OfferStep:
    now = dt.datetime.now(dt.UTC)
    return OfferStep(offer_id=offer.id, version=offer.version, step=step, on=day, by=actor.name, at=now, note="")
