"""The page Rest plan: plans and how to make one; a plan as a calendar, its staffing, and what a person may change."""

import datetime as dt
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, BackgroundTasks, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from features.histories.store import load_roster, stored_profile
from features.months import month_end, parse_month
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.api.rest import NO_PLAN
from serving.api.reviews import LARGEST_ID
from serving.database import transaction
from serving.decisions.publishing import published_of
from serving.pages.frame import Language, Reader, page
from serving.rest import lifecycle, reading, solving
from serving.rest.asking import LONGEST, PlanRequest, calendar_of
from serving.rest.days import Blackout
from serving.rest.lifecycle import Change, Decision
from serving.rest.reading import ANY, Rest
from serving.rest.tables import RestPlan
from serving.scored import queries
from serving.scored.kept import unchanged_of
from serving.sessions import Database, NumberInPath
from serving.words import say

SHOWN, WAITING, STAFFED = 60, 20, 40
"""So many persons of the calendar, of those who get nothing, and units stand on a page; a unit narrows it."""
MOST_PLACES = 100_000
AGAIN = "5"
"""So many seconds until the page of a plan that is being solved looks again, by itself."""
STATES = {
    "solving": "rest_solving",
    "failed": "rest_failed",
    "draft": "rest_draft",
    "confirmed": "rest_confirmed",
    "withdrawn": "rest_withdrawn",
}
DONE = {"make": "rest_done_make", "solve": "rest_done_solve", "pin": "rest_done_pin", "move": "rest_done_move",
        "strike": "rest_done_strike", "release": "rest_done_release", "confirm": "rest_done_confirm",
        "withdraw": "rest_done_withdraw", "taken": "rest_done_taken", "declined": "rest_done_declined"}  # fmt: skip
Words = Annotated[str, Form(max_length=2000, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Form(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Form(ge=0, le=LARGEST_ID)]

router = APIRouter(prefix="/rest", include_in_schema=False)


@router.get("", dependencies=[needs(Permission.SEE_REST_PLANS)])
def rest_plans_page(request: Request, database: Database, caller: TheCaller, language: Reader) -> Response:
    """Show the plans, and for who may make one what to ask for."""
    rests = _rest_actions(request)
    risks = [risk for action in rests.values() for risk in action.risks]
    months = sorted(
        {day for risk in risks for day in queries.months_scored(database, caller.sight, risk)}, reverse=True
    )
    return page(
        request,
        "rest.html",
        language,
        plans=reading.plans(database, caller.sight),
        last_day=lambda plan: calendar_of(plan).last_day,
        full=reading.sees_health(caller.sight),
        months=months,
        kinds=[(key, action.label.get(language)) for key, action in rests.items()],
        states=STATES,
        longest=LONGEST,
    )


@router.post("", dependencies=[needs(Permission.DECIDE_REST_PLANS)])
def make(
    request: Request,
    caller: TheCaller,
    after: BackgroundTasks,
    as_of: Key,
    quota: Number,
    weeks: Annotated[int, Form(ge=1, le=LONGEST)] = 8,
    kind: Annotated[list[Key], Form()] = [],  # noqa: B006 - FastAPI copies it
    places: Annotated[list[Key], Form()] = [],  # noqa: B006
    closed_first: Key = "",
    closed_last: Key = "",
    closed_unit: Key = "",
    postpone: Annotated[bool, Form()] = False,
) -> Response:
    """Begin a plan and go to it, solved after the answer; what was wrong about the request is said on the form."""
    state = request.app.state
    wanted = PlanRequest(
        as_of=month_end(parse_month(as_of[:7])),
        quota=quota,
        places=_places(kind, places),
        weeks=weeks,
        blackouts=_blackouts(closed_first, closed_last, _unit(state.home, closed_unit)),
        rights_first=postpone,
    )
    plan_id, everyone = solving.begin(state.engine, state.home, caller.actor, wanted)
    after.add_task(solving.finish, state.engine, state.home, state.underway, plan_id, everyone)
    return RedirectResponse(f"/rest/{plan_id}", status_code=303)


def _places(kinds: list[str], places: list[str]) -> dict[str, int]:
    """Places by kind, of those that were filled in; whatever is no number from 0 is told at its own field."""
    found = {}
    for number, (kind, typed) in enumerate(zip(kinds, places, strict=False)):
        if typed.strip() and not (typed.strip().isdecimal() and int(typed) <= MOST_PLACES):
            wrong = f"Places are a whole number from 0 to {MOST_PLACES}. 名额须为 0 至 {MOST_PLACES} 的整数。"
            raise Problem(Kind.INVALID, wrong, field=f"places#{number}")
        if typed.strip():
            found[kind] = int(typed)
    return found


def _unit(home: Path, typed: str) -> str | None:
    """The unit whose days are closed, None for all; one that the roster does not name would be closed to nobody."""
    unit = typed.strip()
    if unit and unit not in load_roster(home).units:
        wrong = "The roster names no such unit: write it as the roster does. 编制中没有这个单位，请按编制中的名称填写。"
        raise Problem(Kind.INVALID, wrong, field="closed_unit")
    return unit or None


def _blackouts(first: str, last: str, unit: str | None) -> tuple[Blackout, ...]:
    """The days on which nobody of a unit rests; without a last day it is the first alone."""
    if not first and (last or unit):
        raise Problem(Kind.INVALID, "Give the first of the closed days. 请填写首日。", field="closed_first")
    if not first:
        return ()
    begins, ends = (_day(text, field) for text, field in ((first, "closed_first"), (last or first, "closed_last")))
    if ends < begins:
        raise Problem(Kind.INVALID, "The last day lies before the first. 结束日早于开始日。", field="closed_last")
    return (Blackout(begins, ends, unit),)


def _day(text: str, field: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise Problem(Kind.INVALID, "A day is written YYYY-MM-DD. 日期格式为 YYYY-MM-DD。", field=field) from None


@router.get("/{plan_id}", dependencies=[needs(Permission.SEE_REST_PLANS)])
def rest_plan_page(
    request: Request,
    plan_id: NumberInPath,
    database: Database,
    caller: TheCaller,
    language: Reader,
    after: BackgroundTasks,
    unit: str = "",
    officer: str = "",
    kind: str = "",
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show a plan: what to do first, then who rests when, then the staffing, then who waits."""
    plan = reading.plan_of(database, caller.sight, plan_id)
    if plan is None:
        raise Problem(Kind.NOT_FOUND, NO_PLAN)
    if plan.state in (solving.SOLVING, solving.FAILED):
        return _waiting(request, plan, language, after)
    sight, kept, mark = caller.sight, unchanged_of(request), (plan.id, plan.version, plan.state, caller.sight)
    rests = kept.value(database, ("rests", *mark), lambda session: reading.rests_of(session, sight, plan))
    told = kept.value(
        database,
        ("rest plan", *mark, unit),
        lambda session: {**_calendar(plan, rests, unit), **_around(session, sight, plan, unit)},
    )
    return page(
        request,
        "rest_plan.html",
        language,
        plan=plan,
        states=STATES,
        done=DONE.get(done, ""),
        told=DONE,
        full=reading.sees_health(caller.sight),
        unit=unit,
        chosen=_chosen(database, caller.sight, plan, rests, (officer, kind)),
        label=_labels(plan, language),
        why=_why(request, language),
        **told,
    )


def _waiting(request: Request, plan: RestPlan, language: Reader, after: BackgroundTasks) -> Response:
    """A plan that is being solved, or why it was not; where a killed server left it, it is begun again."""
    state = request.app.state
    answer = page(request, "rest_waiting.html", language, plan=plan, states=STATES, again=AGAIN)
    if plan.state == solving.SOLVING:
        after.add_task(solving.finish, state.engine, state.home, state.underway, plan.id)
        answer.headers["Refresh"] = AGAIN
    return answer


def _calendar(plan: RestPlan, rests: list[Rest], unit: str) -> dict[str, Any]:
    """Who rests when: a row a person, and by week for a narrow screen."""
    shown = [one for one in rests if not unit or one.unit == unit]
    people = list(_people(plan, shown))
    return {
        "calendar": calendar_of(plan),
        "weeks": range(plan.weeks),
        "units": sorted({one.unit for one in rests}),
        "people": people[:SHOWN],
        "people_count": len(people),
        "by_week": [(week, list(ones)) for week, ones in groupby(shown[:SHOWN], key=lambda one: one.week)],
    }


def _around(database: Session, sight: Sight, plan: RestPlan, unit: str) -> dict[str, Any]:
    """What stands around the calendar: staffing, who waits, what was fixed and changed."""
    staffing = reading.staffing_of(database, sight, plan)
    waiting, count = reading.waiting_of(database, sight, plan, limit=WAITING)
    by_unit = groupby(staffing, key=lambda one: one.unit)
    units = [(name, list(row)) for name, row in by_unit if not unit or name == unit]
    return {
        "staffing": units[: None if unit else STAFFED],
        "staffed": len(units),
        "waiting": waiting,
        "waiting_count": count,
        "left_out": reading.left_out(database, sight, plan),
        "decisions": reading.decisions_of(database, sight, plan),
        "kinds": reading.kinds_seen(sight, plan),
        "drafts": _draft_lists(database, sight, plan),
    }


@router.post("/{plan_id}", dependencies=[needs(Permission.DECIDE_REST_PLANS)])
def decide(
    request: Request,
    plan_id: NumberInPath,
    caller: TheCaller,
    version: Number,
    decision: Key,
    officer: Key = "",
    kind: Key = "",
    week: Key = "",
    unit: Key = "",
    postpone: Annotated[bool, Form()] = False,
    reason: Words = "",
) -> Response:
    """Write a decision, or solve again, and go back to the plan."""
    engine = request.app.state.engine
    if decision == "solve":
        lifecycle.solve_again(engine, caller.actor, plan_id, version, rights_first=postpone)
    elif decision in set(Decision):
        place = int(week) if week.isdigit() else None
        change = Change(plan_id, version, Decision(decision), officer or None, kind or None, place, reason)
        with transaction(engine) as session:
            lifecycle.decide(session, caller.actor, change)
    else:
        raise Problem(Kind.INVALID, "There is no such decision. 没有这种决定。")
    query = urlencode({"done": decision, **({"unit": unit} if unit else {})})
    return RedirectResponse(f"/rest/{plan_id}?{query}", status_code=303)


def _people(plan: RestPlan, rests: list[Rest]) -> Any:
    """A row a person, with a cell for each week or run of weeks: (rest or None, weeks that it spans)."""
    ordered = sorted(rests, key=lambda one: (one.unit, one.officer_id, one.week))
    for (unit, officer), ones in groupby(ordered, key=lambda one: (one.unit, one.officer_id)):
        cells: list[tuple[Rest | None, int]] = []
        week = 0
        for one in ones:
            if one.week < week:
                continue
            cells += [(None, 1)] * (one.week - week)
            span = min(((one.last_day - one.first_day).days + one.first_day.weekday()) // 7 + 1, plan.weeks - one.week)
            cells.append((one, span))
            week = one.week + span
        cells += [(None, 1)] * (plan.weeks - week)
        yield {"officer": officer, "unit": unit, "cells": cells}


def _chosen(
    database: Session, sight: Sight, plan: RestPlan, rests: list[Rest], wanted: tuple[str, str]
) -> dict[str, Any] | None:
    """The rest or wish that is to be changed, with the week it has."""
    officer, kind = wanted
    if not officer or not reading.sees_health(sight):
        return None
    entry = next((one for one in rests if (one.officer_id, one.kind) == (officer, kind)), None)
    wish = reading.wish_of(database, sight, plan, officer, kind)
    return {"officer": officer, "kind": kind, "entry": entry, "wish": wish} if wish else None


def _labels(plan: RestPlan, language: Language) -> Any:
    known = {kind["key"]: kind["label"][language] for kind in plan.kinds} | {ANY: say("rest_any", language)}
    return lambda key: known.get(key, key)


def _why(request: Request, language: Language) -> Any:
    """What makes a rest due, in words."""
    fixed = {"calendar": "rest_why_calendar", "never": "rest_why_never"}
    profile = stored_profile(request.app.state.home)

    def told(code: str | None) -> str:
        if not code:
            return ""
        key = fixed.get(code)
        return say(key, language) if key else say("rest_why_after", language, measure=profile.label(code, language))

    return told


def _rest_actions(request: Request) -> dict[str, Any]:
    profile = stored_profile(request.app.state.home)
    return {key: action for key, action in profile.actions.items() if action.kind == "rest"}


def _draft_lists(database: Session, sight: Sight, plan: RestPlan) -> bool:
    """Whether the plan rests on a list that nobody has published yet."""
    if not reading.sees_health(sight):
        return False
    risks = {kind["risk"] for kind in plan.kinds if kind["risk"]}
    return any(published_of(database, risk, plan.as_of) is None for risk in risks)
