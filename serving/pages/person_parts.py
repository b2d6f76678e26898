"""What a person's page tells besides the risks: report, events, words for a talk, what was done and what came."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from features.months import month_of
from serving.access.caller import Caller
from serving.access.roles import Field, Permission
from serving.access.sight import Sight
from serving.assessed import reading
from serving.decisions.flags import flag_of
from serving.decisions.help import requests_of
from serving.decisions.publishing import published_of
from serving.decisions.reviews import reviews_of
from serving.decisions.seen import feedback_rows, flags_seen
from serving.decisions.tables import Flag, Published, Review
from serving.offers.standing import help_standing
from serving.pages.assessed_frame import signed
from serving.pages.codes import key_of
from serving.pages.objections import hears
from serving.persons.first_words import first_words
from serving.persons.heights import falls_from_height
from serving.persons.seen import Known, Seen, number_of
from serving.persons.timeline import LANES, Happened, timeline
from serving.scored.queries import PersonRisk
from serving.scored.told import gated
from serving.tables import ProfileRow, RecommendationRow

HELP = "action"
FOLLOWED = 5
STANDING_WORDS = {
    "pair": {
        "offered": "pair_offered", "accepted": "pair_accepted", "running": "pair_running", "refused": "pair_refused",
        "ended": "pair_ended",
    },
    "rest": {"confirmed": "rest_confirmed", "taken": "rest_taken", "declined": "rest_declined"},
    "offer": {
        "proposed": "offer_proposed", "accepted": "offer_accepted", "declined": "offer_declined", "done": "offer_done",
        "lapsed": "offer_lapsed",
    },
}  # fmt: skip
"""Kind of help -> its state -> how that is said."""
SCORES = ("workload", "quality", "satisfaction")


@dataclass(frozen=True)
class Done:
    """A decision with what came after it: the risk then, and help that was recorded since."""

    review: Review
    then: Seen | None
    followed: Sequence[Happened]


@dataclass(frozen=True)
class Reviewed:
    """One risk of the person under review; all empty where the caller may not know the reviews."""

    published: Published | None
    flag: Flag | None
    done: Sequence[Done]
    feedback: int
    questions: Sequence[dict[str, Any]]
    """The score, then each reason that is named: measure and label."""


def parts(
    database: Session, caller: Caller, facts: Known, *, found: Sequence[PersonRisk], offers: Sequence[Any], home: Path
) -> dict[str, Any]:
    """Return what the template needs of these parts, each as far as the caller may see it."""
    sight = caller.sight
    number = number_of(database, sight, facts.officer_id)
    profile = _profile(database, found)
    happened = timeline(home, number, month_of(facts.as_of), sight=sight)
    offers_told = any(Field.OFFERS in sight.fields(purpose) for purpose in sight.purposes)
    return {
        "happened": happened,
        "told_events": not sight.pseudonymous,
        "lane_words": LANES,
        "with_health": Field.HEALTH in sight.fields("wellness"),
        "reviewed": {
            each.batch.risk: _reviewed(database, sight, each, number=number, happened=happened) for each in found
        },
        "offers_told": offers_told,
        "words": _words(sight, found, offers, profile) if offers_told else None,
        "action_names": {key: action["label"] for key, action in (profile or {}).get("actions", {}).items()},
        "signed": signed,
        "falls": {
            risk for each in found if falls_from_height(profile, risk := each.batch.risk, each.reasons.strongest)
        },
        "standing": help_standing(database, sight, number),
        "standing_words": STANDING_WORDS,
        "asked": requests_of(database, number) if hears(caller) else [],
        "code": key_of,
        "report": _report(database, caller, number, facts.as_of),
    }


def _reviewed(
    database: Session, sight: Sight, view: PersonRisk, *, number: str, happened: Sequence[Happened]
) -> Reviewed:
    batch = view.batch
    published = published_of(database, batch.risk, batch.as_of)
    if Field.REVIEWS not in sight.fields(batch.purpose):
        return Reviewed(published, None, (), 0, ())
    flag = flags_seen(database, sight, batch, [number]).get(number) or flag_of(database, batch.risk, number)
    return Reviewed(
        published=published,
        flag=flag,
        done=[_done(row, view, happened) for row in (reviews_of(database, flag.id) if flag else ())],
        feedback=len(feedback_rows(database, batch.risk, as_of=batch.as_of, officer_id=number)),
        questions=_questions(view),
    )


def _done(row: Review, view: PersonRisk, happened: Sequence[Happened]) -> Done:
    then = next((score for batch, score in view.trend if batch.as_of == row.as_of), None)
    since = [each for each in happened if each.lane == HELP and each.day > row.as_of]
    return Done(row, then, since[:FOLLOWED])


def _questions(view: PersonRisk) -> list[dict[str, Any]]:
    labels = view.batch.labels["measures"]
    named = [reason["measure"] for reason in view.reasons.strongest if gated(reason)]
    return [{"measure": "", "label": None}, *({"measure": key, "label": labels.get(key)} for key in named)]


def _profile(database: Session, found: Sequence[PersonRisk]) -> dict[str, Any] | None:
    held = database.get(ProfileRow, found[0].batch.profile_digest) if found else None
    return held.content if held else None


def _words(
    sight: Sight,
    found: Sequence[PersonRisk],
    offers: Sequence[RecommendationRow],
    profile: dict[str, Any] | None,
) -> dict[str, list[str]] | None:
    """Words for whoever will talk to the person: of the risk whose list names them, the reader's own list first."""
    if not found or sight.pseudonymous:
        return None
    view = next((each for each in found if each.score.within(each.batch.capacity)), found[0])
    return first_words(
        view.reasons.strongest,
        labels=view.batch.labels["measures"],
        profile=profile,
        offers=[offer.label for offer in offers],
    )


def _report(database: Session, caller: Caller, number: str, as_of: dt.date) -> dict[str, Any] | None:
    """The three dimensions for who may see appraisals, from the assessment alone."""
    if Permission.SEE_ASSESSMENT not in caller.permissions:
        return None
    head = reading.head_of(database, as_of) or reading.head_of(database, None)
    report = reading.report_of(database, caller.sight, head, number) if head else None
    if head is None or report is None:
        return None
    levels = report.levels
    rows = [
        {"score": score, **{part: levels[f"{score}_{part}"] for part in ("level", "low", "high")}} for score in SCORES
    ]
    return {"as_of": head.as_of, "rows": rows, "warnings": len(report.rows("warnings"))}
