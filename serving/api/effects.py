"""Effects of help as JSON: estimates with intervals, naive figures beside them, event studies, tracked figures."""

import datetime as dt
from typing import Any

from fastapi import APIRouter

from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer
from serving.effects.reading import effects_at, months_told, tracked_at
from serving.sessions import AsOf, Database

NOTHING = "No effect has been told for this month. 该月尚无成效估计。"

router = APIRouter(prefix="/api/v1", tags=["effects"])


class EffectAnswer(Answer):
    """What an action did to a risk: differences are of probabilities, negative is fewer outcomes; intervals 90 %."""

    action: str
    risk: str
    since: str | None
    """YYYY-MM where the action is studied as a policy from that month on."""
    estimable: bool
    effect: dict[str, Any] | None
    groups: list[dict[str, Any]]
    study: dict[str, Any] | None


class TrackedAnswer(Answer):
    """A figure of the whole force in a month; null where fewer than five people stand behind it."""

    name: str
    month: dt.date
    people: int
    count: int | None
    share: float | None


class Effects(Answer):
    """All that was told at a month, of the risks that the caller may know of."""

    as_of: dt.date
    effects: list[EffectAnswer]
    tracked: list[TrackedAnswer]


@router.get(
    "/effects",
    dependencies=[needs(Permission.SEE_EFFECTS)],
    response_model=Effects,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def effects(caller: TheCaller, database: Database, as_of: AsOf) -> Effects:
    """Return what help did, as told at a month (the newest by default)."""
    months = months_told(database, caller.sight)
    month = as_of or (months[0] if months else None)
    rows = effects_at(database, caller.sight, month) if month else []
    if month is None or not rows:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    found = [
        EffectAnswer(
            action=row.action,
            risk=row.risk,
            since=row.since or None,
            estimable=row.estimable,
            effect=row.figures["effect"],
            groups=row.figures["groups"],
            study=row.figures["study"],
        )
        for row in rows
    ]
    tracked = [
        TrackedAnswer(name=name, month=one.month, people=one.people, count=one.count, share=one.share)
        for name, figures in tracked_at(database, caller.sight, month).items()
        for one in figures
    ]
    return Effects(as_of=month, effects=found, tracked=tracked)
