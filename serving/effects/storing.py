"""Puts what was estimated into the store: a row an action and risk, its benefits, the tracked figures."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from sqlalchemy import Engine, delete, insert
from sqlalchemy.orm import Session

from features.months import month_end, month_text
from features.profile import Profile
from features.profile_rows import EventOutcome
from serving.access.audit import SYSTEM, record
from serving.database import transaction
from serving.effects.tables import EffectRow, ExpectedBenefit, TrackedFigure
from training.effects.benefit import GroupEffect
from training.effects.estimate import Effect
from training.effects.staggered import EventStudy
from training.effects.tracked import Tracked

CHUNK = 2000


def store_effect(
    engine: Engine,
    profile: Profile,
    as_of: int,
    *,
    study: EventStudy | None,
    effect: Effect | None = None,
    groups: Sequence[GroupEffect] = (),
    benefits: pd.DataFrame | None = None,
    position: int = 0,
    every: int = 1,
) -> None:
    """Store one action's effect on one risk with its audit row, in the place of what was told of the same month.

    ``every``: one as-of in so many was studied.
    """
    told = effect or study
    if told is None:
        raise ValueError("There is neither an effect nor an event study to store.")
    since = month_text(study.since) if study is not None and study.since is not None else ""
    key = {"as_of": month_end(as_of), "action": told.action, "risk": told.risk, "since": since}
    row = EffectRow(
        **key,
        position=position,
        purpose=profile.risks[told.risk].purpose,
        made_at=dt.datetime.now(dt.UTC),
        estimable=effect.estimable if effect is not None else study is not None and study.overall is not None,
        figures={
            "every": every,
            "effect": asdict(effect) if effect else None,
            "groups": [asdict(group) for group in groups],
            "study": asdict(study) if study else None,
            "labels": _labels(profile, (told.action, told.risk, *profile.posts, *([study.outcome] if study else []))),
        },
    )
    with transaction(engine) as session:
        session.execute(delete(EffectRow).filter_by(**key))
        session.add(row)
        if benefits is not None:
            _store_benefits(session, row, benefits)
        record(session, SYSTEM, "effect told", month_text(as_of), action=told.action, risk=told.risk)


def store_tracked(engine: Engine, profile: Profile, as_of: int, figures: Sequence[Tracked]) -> None:
    """Store the tracked figures of a month, in the place of earlier ones of it."""
    day = month_end(as_of)
    rows = [
        {
            "as_of": day, "name": one.name, "month": month_end(one.month), "people": one.people, "count": one.count,
            "purpose": profile.risks[one.name].purpose if one.name in profile.risks else "development",
            "kind": _kind(profile, one.name), "share": one.share, "label": _labels(profile, (one.name,)).get(one.name),
        }
        for one in figures
    ]  # fmt: skip
    with transaction(engine) as session:
        session.execute(delete(TrackedFigure).where(TrackedFigure.as_of == day))
        if rows:
            session.execute(insert(TrackedFigure), rows)
        record(session, SYSTEM, "figures tracked", month_text(as_of), rows=len(rows))


def _store_benefits(session: Session, row: EffectRow, table: pd.DataFrame) -> None:
    key = {"as_of": row.as_of, "action": row.action, "risk": row.risk}
    session.execute(delete(ExpectedBenefit).filter_by(**key))
    told = table.astype(object).where(table.notna(), None)
    rows: list[dict[str, Any]] = [
        {**{str(name): value for name, value in record.items()}, **key, "position": row.position}
        for record in told.to_dict("records")
    ]
    for start in range(0, len(rows), CHUNK):
        session.execute(insert(ExpectedBenefit), rows[start : start + CHUNK])


def _kind(profile: Profile, name: str) -> str:
    if name not in profile.risks:
        return "own"
    return "event" if isinstance(profile.risks[name].outcome, EventOutcome) else "index"


def _labels(profile: Profile, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    return {key: {language: profile.label(key, language) for language in ("zh", "en")} for key in keys
            if profile.label(key, "en") != key or profile.label(key, "zh") != key}  # fmt: skip
