"""Who may get what, and who is owed what: benefits estimated or assumed, rights, months without rest, absences."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.sight import WHOLE
from serving.effects.reading import Benefit, benefits
from serving.rest.days import Calendar
from serving.rest.kinds import KindOfRest
from serving.rest.solver.problem import Flags, Floats, Ints, RestProblem
from serving.rest.standing import Standing, Texts
from serving.rest.tables import RestEntry
from serving.scored import queries
from serving.tables import Score

EPOCH = dt.date(1970, 1, 1)
RUNNING = ("confirmed", "taken")
"""Entries of earlier plans in these states count as away."""


@dataclass(frozen=True)
class Wishes:
    """Who may get what, one entry a wish; ``officer`` is a position in the standing, ``kind`` in the plan's kinds."""

    officer: Ints
    kind: Ints
    benefit: Floats
    low: Floats
    high: Floats
    basis: Texts
    """estimated, assumed or none."""
    due: Texts
    """Why it is due by right (Standing.due), or ""."""
    wait: Floats

    def __len__(self) -> int:
        return len(self.officer)

    def only(self, chosen: Flags) -> "Wishes":
        """Return some of them."""
        return replace(self, **{name: column[chosen] for name, column in vars(self).items()})


@dataclass(frozen=True)
class Staff:
    """Everyone on the roster: where, and in which weeks away or off nights whatever is planned (P, weeks)."""

    officer_id: Texts
    unit: Texts
    post: Texts
    away: Flags
    relieved: Flags


def wishes_of(session: Session, now: Standing, kinds: Sequence[KindOfRest]) -> Wishes:
    """Return every wish at an as-of: what is due by right, and what promises a benefit.

    The benefit is the stored estimate of the kind's effect for this person; where there is none, the risk of the
    month's list times the share that the profile assumes. Who had a kind lately, or has too little history for a
    risk, wishes it by right only.
    """
    risks = {risk: _risk_of(session, now, risk) for risk in {kind.risk for kind in kinds if kind.risk}}
    if risks and all(np.isnan(risk).all() for risk in risks.values()):
        raise Refusal(
            f"There is no list of {now.as_of:%Y-%m} to plan rest from: ask the administrator to have it made. "
            f"尚无 {now.as_of:%Y-%m} 的名单，请联系管理员生成。",
            hint=f"First: jingxing score --as-of {now.as_of:%Y-%m}",
        )
    wait = _without_rest(now, kinds)
    parts = [
        _of_kind(session, now, (number, kind), risks.get(kind.risk or ""), wait) for number, kind in enumerate(kinds)
    ]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    return Wishes(**columns)


def staff_of(now: Standing, calendar: Calendar) -> Staff:
    """Return who is there in each week as far as the histories tell: recorded absences, postings that end."""
    mondays = _mondays(calendar)
    away = (now.away_until[:, None] >= mondays[None, :]) | (now.gone_from[:, None] <= mondays[None, :] + 6)
    return Staff(now.officer_id, now.unit, now.post, away, np.zeros_like(away))


def with_running(staff: Staff, calendar: Calendar, entries: Sequence[RestEntry]) -> Staff:
    """Return the staff with the entries of other plans taken as away, or off nights."""
    mondays, away, relieved = _mondays(calendar), staff.away.copy(), staff.relieved.copy()
    place = {officer: row for row, officer in enumerate(staff.officer_id.tolist())}
    for entry in entries:
        row = place.get(entry.officer_id)
        if row is not None and entry.takes != "nothing":
            touched = (mondays <= (entry.last_day - EPOCH).days) & (mondays + 6 >= (entry.first_day - EPOCH).days)
            (away if entry.takes == "duty" else relieved)[row] |= touched
    return replace(staff, away=away, relieved=relieved)


def running(session: Session, calendar: Calendar, *, besides: int | None = None) -> Sequence[RestEntry]:
    """Return the entries of other plans that are confirmed or taken and touch the weeks of this one."""
    statement = select(RestEntry).where(
        RestEntry.state.in_(RUNNING),
        RestEntry.last_day >= calendar.first_monday,
        RestEntry.first_day <= calendar.last_day,
    )
    if besides is not None:
        statement = statement.where(RestEntry.plan_id != besides)
    return session.scalars(statement.order_by(RestEntry.id)).all()


def problem_of(
    staff: Staff,
    wishes: Wishes,
    kinds: Sequence[KindOfRest],
    calendar: Calendar,
    *,
    quota: int,
    slack: float,
    pin: Ints,
    rights_first: bool = False,
    late: npt.NDArray[np.bool_] | None = None,
) -> RestProblem:
    """Return the problem of a plan; ``pin`` is the week that a person fixed for each wish, or -1.

    ``late`` are the wishes that were postponed when the plan was solved before.
    """
    units, unit = np.unique(staff.unit, return_inverse=True)
    post = np.unique(staff.post, return_inverse=True)[1]
    special = {each.unit for each in calendar.blackouts}
    opened = np.stack([np.tile(calendar.open(kind, ""), (len(units), 1)) for kind in kinds])
    for row in np.flatnonzero(np.isin(units, [name for name in special if name])):
        opened[:, row] = [calendar.open(kind, str(units[row])) for kind in kinds]
    return RestProblem(
        kinds=tuple(kind.as_rest_kind() for kind in kinds),
        weeks=calendar.weeks,
        unit=unit.astype(np.int64),
        post=post.astype(np.int64),
        away=staff.away,
        relieved=staff.relieved,
        person=wishes.officer,
        kind=wishes.kind,
        benefit=wishes.benefit,
        wait=wishes.wait,
        right=wishes.due != "",
        pin=pin,
        open=opened[wishes.kind, unit[wishes.officer]],
        total=quota,
        slack=slack,
        rights_first=rights_first,
        late=late,
    )


def _risk_of(session: Session, now: Standing, risk: str) -> Floats:
    """Each one's probability in the month's list, NaN where there is none or the evidence is not sufficient."""
    found = np.full(len(now), np.nan)
    batch = queries.batch_of(session, WHOLE, risk, now.as_of)
    if batch is None:
        return found
    statement = select(Score.officer_id, Score.probability).where(Score.batch_id == batch.id, Score.rank.is_not(None))
    return _spread(now.officer_id, {row[0]: row[1] for row in session.execute(statement)})


def _spread(officers: Texts, values: Mapping[str, float | None]) -> Floats:
    return np.array(
        [np.nan if (x := values.get(officer)) is None else x for officer in officers.tolist()], dtype=np.float64
    )


def _without_rest(now: Standing, kinds: Sequence[KindOfRest]) -> Floats:
    """Months since the last rest of any kind that answers a risk; NaN where none is known."""
    since = [now.since[kind.key] for kind in kinds if kind.risk]
    if not since:
        return np.full(len(now), np.nan)
    least = np.min([np.where(np.isnan(column), np.inf, column) for column in since], axis=0)
    return np.where(np.isinf(least), np.nan, least)


def _of_kind(
    session: Session, now: Standing, numbered: tuple[int, KindOfRest], risk: Floats | None, wait: Floats
) -> Wishes:
    number, kind = numbered
    due = now.due.get(kind.key, np.full(len(now), ""))
    lately = now.since[kind.key] < kind.rules.again_after_months
    told = (
        _benefit(now, kind, risk, benefits(session, now.as_of, kind.key, risk=kind.risk))
        if risk is not None
        else _none(len(now))
    )
    wanted = np.flatnonzero((due != "") | ((told.benefit > 0) & ~lately))
    return Wishes(
        officer=wanted.astype(np.int64),
        kind=np.full(len(wanted), number, dtype=np.int64),
        benefit=told.benefit[wanted],
        low=told.low[wanted],
        high=told.high[wanted],
        basis=told.basis[wanted],
        due=due[wanted],
        wait=wait[wanted],
    )


@dataclass(frozen=True)
class _Told:
    benefit: Floats
    low: Floats
    high: Floats
    basis: npt.NDArray[np.str_]


def _none(size: int) -> _Told:
    unknown = np.full(size, np.nan)
    return _Told(unknown, unknown, unknown, np.full(size, "none", dtype="<U9"))


def _benefit(now: Standing, kind: KindOfRest, risk: Floats, known: Mapping[str, Benefit]) -> _Told:
    """The estimate where there is one; else risk times the assumed share, without an interval.

    No more than the own risk can be spared: the estimate and its interval end there.
    """
    columns = {
        name: np.minimum(_spread(now.officer_id, {officer: getattr(one, name) for officer, one in known.items()}), risk)
        for name in ("benefit", "low", "high")
    }
    estimated = ~np.isnan(columns["benefit"]) & ~np.isnan(risk)
    assumed = risk * kind.rules.assumed_share
    basis = np.where(estimated, "estimated", np.where(assumed > 0, "assumed", "none"))
    return _Told(np.where(estimated, columns["benefit"], assumed), columns["low"], columns["high"], basis)


def _mondays(calendar: Calendar) -> Ints:
    return np.array([(calendar.monday(week) - EPOCH).days for week in range(calendar.weeks)], dtype=np.int64)
