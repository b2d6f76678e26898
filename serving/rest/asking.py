"""What a plan is asked for, gathered from SQL and histories: the same whether it is made or solved again."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, undefer

from features.errors import Refusal
from features.histories.store import stored_profile
from features.months import month_end, month_of
from serving.answers.problems import Kind, Problem
from serving.database import transaction
from serving.rest.days import Blackout, Calendar, next_monday
from serving.rest.kinds import KindOfRest, kinds_of
from serving.rest.solver.problem import Ints, RestProblem
from serving.rest.standing import Standing, keep_standing, kept_standing, read_standing
from serving.rest.tables import RestEntry, RestPlan, RestWish
from serving.rest.wishes import Staff, Wishes, problem_of, running, staff_of, wishes_of, with_running

LONGEST = 26
"""Weeks that a plan can have at most."""


@dataclass(frozen=True)
class PlanRequest:
    """What a person asks for: places in all by benefit (None: those of the kinds together), and by kind."""

    as_of: dt.date
    quota: int | None = None
    places: Mapping[str, int] = field(default_factory=dict)
    weeks: int = 8
    slack: float = 1.0
    blackouts: tuple[Blackout, ...] = ()
    rights_first: bool = False
    """As many rights as can be held, the others postponed, instead of no plan where not all can."""

    def __post_init__(self) -> None:
        if self.as_of != month_end(month_of(self.as_of)):
            raise Refusal("An as-of is the last day of a month. 基准日须为月末。")
        if not 1 <= self.weeks <= LONGEST:
            raise Refusal(f"A plan has 1 to {LONGEST} weeks. 计划为 1 至 {LONGEST} 周。")
        if (self.quota or 0) < 0 or any(places < 0 for places in self.places.values()):
            raise Refusal("A quota is 0 or more. 名额不能为负数。")

    @property
    def calendar(self) -> Calendar:
        """The weeks, from the first Monday after the as-of."""
        return Calendar(next_monday(self.as_of), self.weeks, self.blackouts)


@dataclass(frozen=True)
class Asked:
    """Everything that solving needs, in the names of the force."""

    calendar: Calendar
    kinds: tuple[KindOfRest, ...]
    quota: int
    slack: float
    staff: Staff
    """As the histories tell it."""
    running: Sequence[RestEntry]
    wishes: Wishes
    pin: Ints
    rights_first: bool
    posts: Mapping[str, Mapping[str, str]]
    read_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    """When the entries of other plans were read."""
    late: npt.NDArray[np.bool_] | None = None
    """The wishes that were postponed when the plan was solved before; None where it was not."""
    beside: tuple[int, ...] = ()
    """The confirmed plans that were there before these were read: what was confirmed since may not be in it."""

    @property
    def there(self) -> Staff:
        """The staff less who is in another plan."""
        return with_running(self.staff, self.calendar, self.running)

    @property
    def problem(self) -> RestProblem:
        """The problem in numbers."""
        return problem_of(
            self.there, self.wishes, self.kinds, self.calendar,
            quota=self.quota, slack=self.slack, pin=self.pin, rights_first=self.rights_first, late=self.late,
        )  # fmt: skip


def asked(engine: Engine, home: Path, request: PlanRequest) -> Asked:
    """Return what a request asks for; reads the histories once per as-of and keeps what they say in SQL."""
    now = _standing(engine, home, request.as_of)
    profile, calendar = stored_profile(home), request.calendar
    kinds = kinds_of(profile, people=len(now), weeks=request.weeks, places=request.places)
    with transaction(engine, writes=False) as session:
        beside, others = confirmed(session), running(session, calendar)  # in this order: see Asked.beside
        found = wishes_of(session, now, kinds)
        found = found.only(_not_granted(found, now.officer_id.tolist(), kinds, others))
    granted = [kind.places for kind in kinds if kind.risk and kind.places is not None]
    labels = {
        key: post.label.model_dump() if post.label else {"zh": key, "en": key} for key, post in profile.posts.items()
    }
    return Asked(
        calendar=calendar,
        kinds=kinds,
        quota=sum(granted) if request.quota is None else request.quota,
        slack=request.slack,
        staff=staff_of(now, calendar),
        running=others,
        wishes=found,
        pin=np.full(len(found), -1),
        rights_first=request.rights_first,
        posts=labels,
        beside=beside,
    )


def asked_again(session: Session, plan_id: int, *, rights_first: bool = False) -> tuple[RestPlan, Asked]:
    """Return a stored plan and what it asks for with the pins and strikes that persons made since.

    What was postponed is asked for again: a place that was freed goes to one of these.
    """
    plan = session.get(RestPlan, plan_id, options=[undefer(RestPlan.staff)])
    if plan is None:
        raise Problem(Kind.NOT_FOUND, "There is no such plan. 没有这份计划。")
    kinds = tuple(KindOfRest.of_json(kept) for kept in plan.kinds)
    number = {kind.key: position for position, kind in enumerate(kinds)}
    calendar = calendar_of(plan)
    staff = _staff_of_json(plan.staff, calendar)
    statement = select(RestWish).where(RestWish.plan_id == plan_id, RestWish.struck.is_(False))
    rows = session.scalars(statement.order_by(RestWish.kind, RestWish.officer_id)).all()
    place = {officer: row for row, officer in enumerate(staff.officer_id.tolist())}
    wishes = Wishes(
        officer=np.array([place[row.officer_id] for row in rows], dtype=np.int64),
        kind=np.array([number[row.kind] for row in rows], dtype=np.int64),
        benefit=_numbers([row.benefit for row in rows]),
        low=_numbers([row.low for row in rows]),
        high=_numbers([row.high for row in rows]),
        basis=np.array([row.basis for row in rows], dtype=str),
        due=np.array([row.why.get("code", "") for row in rows], dtype=str),
        wait=_numbers([row.wait_months for row in rows]),
    )
    pin = np.array([-1 if row.pin is None else row.pin for row in rows], dtype=np.int64)
    beside, others = confirmed(session), running(session, calendar, besides=plan_id)
    free = _not_granted(wishes, staff.officer_id.tolist(), kinds, others)
    wishes, pin, late = wishes.only(free), pin[free], np.array([row.postponed for row in rows], dtype=bool)[free]
    found = Asked(
        calendar, kinds, plan.quota, plan.slack, staff, others, wishes, pin, rights_first, plan.posts,
        late=late, beside=beside,
    )  # fmt: skip
    return plan, found


def confirmed(session: Session) -> tuple[int, ...]:
    """Return the numbers of the plans that are confirmed."""
    return tuple(session.scalars(select(RestPlan.id).where(RestPlan.state == "confirmed").order_by(RestPlan.id)))


def calendar_of(plan: RestPlan) -> Calendar:
    """Return the weeks and closed days of a stored plan."""
    closed = tuple(
        Blackout(dt.date.fromisoformat(one["first"]), dt.date.fromisoformat(one["last"]), one["unit"])
        for one in plan.blackouts
    )
    return Calendar(plan.first_monday, plan.weeks, closed)


def staff_as_json(staff: Staff) -> dict[str, Any]:
    """Return the staff as it is kept with a plan: weeks as bits of a number, only of those who are ever away."""
    units, unit = np.unique(staff.unit, return_inverse=True)
    posts, post = np.unique(staff.post, return_inverse=True)
    bits = staff.away @ (1 << np.arange(staff.away.shape[1], dtype=np.int64))
    return {
        "officer_id": staff.officer_id.tolist(), "units": units.tolist(), "unit": unit.tolist(),
        "posts": posts.tolist(), "post": post.tolist(),
        "away": {str(row): int(bits[row]) for row in np.flatnonzero(bits)},
    }  # fmt: skip


def _staff_of_json(kept: Mapping[str, Any], calendar: Calendar) -> Staff:
    people = len(kept["officer_id"])
    away = np.zeros((people, calendar.weeks), dtype=bool)
    for row, bits in kept["away"].items():
        away[int(row)] = (bits >> np.arange(calendar.weeks)) & 1
    return Staff(
        officer_id=np.array(kept["officer_id"], dtype=str),
        unit=np.array(kept["units"], dtype=str)[np.array(kept["unit"], dtype=np.int64)],
        post=np.array(kept["posts"], dtype=str)[np.array(kept["post"], dtype=np.int64)],
        away=away,
        relieved=np.zeros_like(away),
    )


def _standing(engine: Engine, home: Path, as_of: dt.date) -> Standing:
    with transaction(engine, writes=False) as session:
        kept = kept_standing(session, home, as_of)
    if kept is not None:
        return kept
    found, _ = read_standing(home, as_of)
    if not len(found):
        raise Refusal(f"Nobody is on the roster at the end of {as_of:%Y-%m}. 该月末无人在编。")
    with transaction(engine) as session:
        keep_standing(session, home, found)
    return found


def _not_granted(
    wishes: Wishes, officers: list[str], kinds: Sequence[KindOfRest], entries: Sequence[RestEntry]
) -> npt.NDArray[np.bool_]:
    """Which wishes no other plan grants in these weeks."""
    given = {(entry.officer_id, entry.kind) for entry in entries}
    pairs = zip(wishes.officer.tolist(), wishes.kind.tolist(), strict=True)
    return np.array([(officers[officer], kinds[kind].key) not in given for officer, kind in pairs], dtype=bool)


def _numbers(values: list[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
