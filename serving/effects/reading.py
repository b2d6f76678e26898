"""Questions to the stored effects: what pages show, and what plans and proposals ask of expected benefit."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from serving.access.sight import Sight
from serving.effects.tables import EffectRow, ExpectedBenefit, TrackedFigure


@dataclass(frozen=True)
class Benefit:
    """What an action would spare a person: the fall of a risk's probability, with its 90 % interval; else None."""

    benefit: float | None
    low: float | None
    high: float | None
    estimable: bool
    risk: str


def benefits(session: Session, as_of: dt.date, action: str, *, risk: str | None = None) -> dict[str, Benefit]:
    """Return the expected benefit of an action by officer, as told at the newest month up to ``as_of``.

    Without ``risk`` that of the first risk which the action answers. Nothing where nothing was ever told.
    """
    newest = select(func.max(ExpectedBenefit.as_of)).where(
        ExpectedBenefit.action == action, ExpectedBenefit.as_of <= as_of
    )
    mine = select(ExpectedBenefit).where(
        ExpectedBenefit.action == action, ExpectedBenefit.as_of == newest.scalar_subquery()
    )
    if risk is not None:
        mine = mine.where(ExpectedBenefit.risk == risk)
    found: dict[str, Benefit] = {}
    for row in session.scalars(mine.order_by(ExpectedBenefit.position, ExpectedBenefit.risk)):
        found.setdefault(row.officer_id, Benefit(row.benefit, row.low, row.high, row.estimable, row.risk))
    return found


def effect_of(session: Session, as_of: dt.date, action: str, risk: str) -> EffectRow | None:
    """Return the average effect of an action on a risk, as told at the newest month up to ``as_of``."""
    mine = select(EffectRow).where(EffectRow.action == action, EffectRow.risk == risk, EffectRow.since == "")
    return session.scalar(mine.where(EffectRow.as_of <= as_of).order_by(EffectRow.as_of.desc()).limit(1))


def months_told(session: Session, sight: Sight) -> list[dt.date]:
    """Return the months at which effects were told that the caller may know of, the newest first."""
    statement = select(EffectRow.as_of).where(sight.lists(EffectRow.purpose)).distinct()
    return list(session.scalars(statement.order_by(EffectRow.as_of.desc())))


def effects_at(session: Session, sight: Sight, as_of: dt.date) -> Sequence[EffectRow]:
    """Return the effects told at a month, those that are estimable first."""
    mine = select(EffectRow).where(EffectRow.as_of == as_of, sight.lists(EffectRow.purpose))
    order = (EffectRow.since, EffectRow.estimable.desc(), EffectRow.position, EffectRow.action, EffectRow.risk)
    return session.scalars(mine.order_by(*order)).all()


def effect_by_id(session: Session, sight: Sight, number: int) -> EffectRow | None:
    """Return one stored effect that the caller may know of."""
    return session.scalar(select(EffectRow).where(EffectRow.id == number, sight.lists(EffectRow.purpose)))


def tracked_at(session: Session, sight: Sight, as_of: dt.date) -> dict[str, list[TrackedFigure]]:
    """Return the tracked figures by name, month by month."""
    mine = select(TrackedFigure).where(TrackedFigure.as_of == as_of, sight.lists(TrackedFigure.purpose))
    found: dict[str, list[TrackedFigure]] = {}
    for row in session.scalars(mine.order_by(TrackedFigure.name, TrackedFigure.month)):
        found.setdefault(row.name, []).append(row)
    return found
