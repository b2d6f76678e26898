"""A round of matching: who is to be paired, the best pairs, why and why not, stored as proposals with one audit row."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from features.names import group_label
from serving.access.audit import Actor, record
from serving.mentoring.candidates import Candidates, candidates
from serving.mentoring.fit import Fits, fits
from serving.mentoring.pairing import Pairing, best_pairs
from serving.mentoring.tables import MentoringRound, Mentorship, MentorshipStep, Unmatched
from serving.mentoring.telling import free_words, left_words, needs_of, told_pairs, unmatched_words

WORTH_TELLING = 0.005
PURPOSE = "development"


@dataclass(frozen=True)
class Matched:
    """A round before it is stored: both sides, the fit of every pair, and the best pairs."""

    found: Candidates
    fit: Fits
    pairing: Pairing


def propose(
    session: Session, home: Path, actor: Actor, *, as_of: dt.date | None = None, today: dt.date | None = None
) -> MentoringRound:
    """Match those warned of decline with stars, store the proposals of the round, and return it.

    Proposals of earlier rounds that nobody acted on are withdrawn; pairs that were offered, accepted or run are kept,
    and count against their mentor's places. A Refusal says what is missing.
    """
    return _stored(session, actor, matched(candidates(session, home, as_of)), today or dt.date.today())


def propose_once(session: Session, home: Path, actor: Actor, *, as_of: dt.date) -> tuple[MentoringRound, bool]:
    """Return the month's newest round where matching again proposes the same pairs, else a new one; and if it is new.

    So the monthly run may be run again: proposals that people have before them stay. A Refusal says what is missing.
    """
    made = matched(candidates(session, home, as_of))
    standing = select(MentoringRound).where(MentoringRound.as_of == as_of).order_by(MentoringRound.id.desc()).limit(1)
    held = session.scalar(standing)
    if held is not None and _open_pairs(session) == _pairs_of(made):
        return held, False
    return _stored(session, actor, made, dt.date.today()), True


def _stored(session: Session, actor: Actor, made: Matched, day: dt.date) -> MentoringRound:
    _withdraw(session, actor, day)
    row = _round(made, actor)
    session.add(row)
    session.flush()
    for pair in _pairs(made, row):
        session.add(pair)
        session.flush()
        session.add(_step(pair, actor, day))
    session.add_all(_unmatched(made, row))
    session.flush()
    told = {"as_of": str(row.as_of), "pairs": row.pairs, "mentees": row.mentees, "mentors": row.mentors}
    record(session, actor, "mentorships proposed", f"mentoring round {row.id}", **told, kept=row.kept)
    return row


def matched(found: Candidates) -> Matched:
    """Return the fit of every pair and the best pairs."""
    fit = fits(found.profile.settings.mentoring, found.mentors, found.mentees, near=found.near, barred=found.barred)
    return Matched(found, fit, best_pairs(fit, found.places))


def _open_pairs(session: Session) -> set[tuple[str, str]]:
    """Mentee and mentor of the proposals that nobody acted on yet."""
    columns = select(Mentorship.mentee_id, Mentorship.mentor_id).where(Mentorship.status == "proposed")
    return {(mentee, mentor) for mentee, mentor in session.execute(columns)}


def _pairs_of(made: Matched) -> set[tuple[str, str]]:
    found, mentor_of = made.found, made.pairing.mentor_of
    pairs = ((mentee, mentor_of[mentee]) for mentee in np.flatnonzero(mentor_of >= 0))
    return {(str(found.mentees.officer_id[mentee]), str(found.mentors.officer_id[mentor])) for mentee, mentor in pairs}


def _withdraw(session: Session, actor: Actor, day: dt.date) -> None:
    """Proposals that nobody acted on give way to those of the new round."""
    old = session.scalars(select(Mentorship).where(Mentorship.status == "proposed")).all()
    for pair in old:
        pair.status, pair.outcome, pair.ended_on, pair.version = "ended", "withdrawn", day, pair.version + 1
        session.add(_step(pair, actor, day, step="withdraw"))


def _round(made: Matched, actor: Actor) -> MentoringRound:
    found, pairing = made.found, made.pairing
    return MentoringRound(
        as_of=found.as_of,
        risk=found.risks[0],
        purpose=PURPOSE,
        made_at=dt.datetime.now(dt.UTC),
        by=actor.name,
        mentees=len(found.mentees),
        mentors=len(found.mentors),
        pairs=int((pairing.mentor_of >= 0).sum()),
        kept=found.kept,
        total_fit=pairing.total,
        labels=_labels(found),
        one_more=_one_more(made),
    )


def _labels(found: Candidates) -> dict[str, Any]:
    posts = sorted({post for post, _ in found.place_of.values()})
    return {
        "risk": {language: found.profile.label(found.risks[0], language) for language in ("zh", "en")},
        "posts": {key: {language: found.profile.label(key, language) for language in ("zh", "en")} for key in posts},
        "skills": {
            key: {language: group_label(found.profile, key, language) for language in ("zh", "en")}
            for key in found.skills
        },
    }


def _one_more(made: Matched) -> list[dict[str, Any]]:
    """Of each post the mentor with whom one more place would bring most: so many pairs, so much total fit."""
    found, pairing = made.found, made.pairing
    best: dict[str, int] = {}
    for row in np.lexsort((-pairing.gained, -pairing.one_more)):
        post = found.place_of[str(found.mentors.officer_id[row])][0]
        best.setdefault(post, int(row))
    return [
        {
            "post": post,
            "mentor_id": str(found.mentors.officer_id[row]),
            "pairs": int(pairing.one_more[row]),
            "fit": round(float(pairing.gained[row]), 4),
        }
        for post, row in best.items()
        if pairing.one_more[row] or pairing.gained[row] > WORTH_TELLING
    ]


def _pairs(made: Matched, row: MentoringRound) -> Iterator[Mentorship]:
    found = made.found
    for mentee, told in told_pairs(found, made.fit, made.pairing).items():
        names = str(found.mentees.officer_id[mentee]), str(found.mentors.officer_id[made.pairing.mentor_of[mentee]])
        (post, unit), (mentor_post, mentor_unit) = (found.place_of[name] for name in names)
        yield Mentorship(
            round_id=row.id,
            risk=row.risk,
            purpose=row.purpose,
            as_of=row.as_of,
            mentee_id=names[0],
            mentee_post=post,
            mentee_unit=unit,
            mentor_id=names[1],
            mentor_post=mentor_post,
            mentor_unit=mentor_unit,
            fit=round(told.fit, 6),
            parts=told.parts,
            reason=told.reason,
            instead=told.instead,
            status="proposed",
            version=0,
        )


def _step(pair: Mentorship, actor: Actor, day: dt.date, *, step: str = "propose") -> MentorshipStep:
    now = dt.datetime.now(dt.UTC)
    return MentorshipStep(
        mentorship_id=pair.id, version=pair.version, step=step, on=day, by=actor.name, at=now, who=None, note=""
    )


def _unmatched(made: Matched, row: MentoringRound) -> Iterator[Unmatched]:
    """Everybody who stays without: mentees by what stood in the way, mentors for whom nobody was left."""
    found, pairing = made.found, made.pairing
    for mentee in np.flatnonzero(pairing.mentor_of < 0):
        kind, words = unmatched_words(found, made.fit, pairing, int(mentee))
        name = str(found.mentees.officer_id[mentee])
        yield _without(found, row, name, side="mentee", kind=kind, reason=words, needs=needs_of(found, int(mentee)))
    taken = np.bincount(pairing.mentor_of[pairing.mentor_of >= 0], minlength=len(found.mentors))
    for mentor in np.flatnonzero(taken == 0):
        name = str(found.mentors.officer_id[mentor])
        yield _without(found, row, name, side="mentor", kind="free", reason=free_words(), needs=[])
    for left in found.left_out:
        words = left_words(found.profile, left)
        yield _without(found, row, left.officer_id, side=left.side, kind=left.kind, reason=words, needs=[])


def _without(
    found: Candidates,
    row: MentoringRound,
    name: str,
    *,
    side: str,
    kind: str,
    reason: dict[str, str],
    needs: list[str],
) -> Unmatched:
    post, unit = found.place_of[name]
    return Unmatched(
        round_id=row.id, officer_id=name, side=side, post=post, unit=unit, kind=kind, reason=reason, needs=needs
    )
