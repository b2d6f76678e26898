"""What if, as a page: the levers of a person's roster with their bounds, and the score with some of them pulled."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import State

from features.months import month_of
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.api.what_if import Asked, asked_of, lever_label
from serving.pages.frame import Reader, page
from serving.persons.levers import Room, rooms_of
from serving.scored import queries
from serving.sessions import AsOf, Database

router = APIRouter(prefix="/officers/{officer_id}/what-if", include_in_schema=False)


@router.get("", dependencies=[needs(Permission.ASK_WHAT_IF)])
def what_if_page(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    officer_id: str,
    as_of: AsOf,
) -> Response:
    """Show how far each lever goes."""
    asked = asked_of(request, database, caller, officer_id, as_of, risk=None, less={})
    return _shown(request, language, officer_id, asked, less={})


async def _pulled(request: Request) -> dict[str, float]:
    """How much less of each lever, as the form says; what is computed of it is no business of the event loop."""
    form = await request.form()
    pulls = {key.removeprefix("less-"): str(value) for key, value in form.items() if key.startswith("less-")}
    return {lever: _amount(f"less-{lever}", text) for lever, text in pulls.items()}


@router.post("", dependencies=[needs(Permission.ASK_WHAT_IF)])
def what_if_answer(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    officer_id: str,
    as_of: AsOf,
    less: Annotated[dict[str, float], Depends(_pulled)],
) -> Response:
    """Show the scores with these levers pulled; one pulled too far is told at its field."""
    try:
        asked = asked_of(request, database, caller, officer_id, as_of, risk=None, less=less)
    except Problem as problem:
        facts = queries.facts_of(database, caller.sight, officer_id, as_of)
        if problem.kind is Kind.INVALID and facts is not None:
            _check_each(request.app.state, rooms_of(request.app.state.home, officer_id, month_of(facts.as_of)), less)
        raise
    return _shown(request, language, officer_id, asked, less=less)


def _amount(lever: str, text: str) -> float:
    try:
        amount = float(text or "0")
    except ValueError:
        amount = float("nan")
    if not 0 <= amount < 1e6:
        raise Problem(Kind.INVALID, "Write how much less as a number from 0. 请填写不小于 0 的数字。", field=lever)
    return amount


def _check_each(state: State, rooms: Sequence[Room], less: Mapping[str, float]) -> None:
    """Raise a Problem that names the first lever pulled too far, and how far it goes."""
    for room in rooms:
        amount, most = less.get(room.lever, 0.0), f"{room.less:g}"
        label = lever_label(state.champions.profile(), room.lever)
        if amount > room.less:
            wrong = f"{label['en']}: at most {most} less. {label['zh']}：最多减少 {most}。"
        elif room.whole and not amount.is_integer():
            wrong = f"{label['en']}: a whole number up to {most}. {label['zh']}：请填写不超过 {most} 的整数。"
        else:
            continue
        raise Problem(Kind.INVALID, wrong, field=f"less-{room.lever}")


def _shown(request: Request, language: str, officer_id: str, asked: Asked, *, less: dict[str, float]) -> Response:
    profile = asked.profile
    rooms: list[dict[str, Any]] = []
    for room in asked.rooms:
        unit = profile.measures[room.lever].unit
        rooms.append(
            {
                "room": room,
                "label": lever_label(profile, room.lever)[language],
                "unit": unit.get(language) if unit else "",
                "less": less.get(room.lever, 0),
            }
        )
    return page(
        request,
        "what_if.html",
        language,
        officer_id=officer_id,
        as_of=asked.as_of,
        months=profile.settings.what_if.months,
        rooms=rooms,
        risks=[(profile.label(risk, language), now, then) for risk, (_, now, then) in asked.risks.items()],
        pulled=any(less.values()),
        rules=profile.settings.what_if,
    )
