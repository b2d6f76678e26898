"""The command rest: a rest plan of a month under a quota, into the store and in words."""

import datetime as dt
from typing import Any

import click

from features.console import Console, command
from features.errors import Refusal
from features.histories.reach import stored_reach
from features.histories.store import load_roster
from features.months import month_end, month_of, parse_month
from serving.access.audit import SYSTEM
from serving.access.sight import WHOLE
from serving.database import open_database, transaction
from serving.rest.asking import LONGEST, PlanRequest
from serving.rest.days import Blackout
from serving.rest.lifecycle import make_plan
from serving.rest.outcome import Outcome
from serving.rest.reading import Rest, rests_of
from serving.rest.tables import RestPlan
from serving.words import points, say

SHOWN = 12


@click.option("--as-of", required=True, metavar="YYYY-MM", help="The month from whose list and records it is planned.")
@click.option("--quota", type=click.IntRange(min=0), required=True, help="Places in all for rest by expected benefit.")
@click.option("--places", multiple=True, metavar="KIND=N", help="Places of one kind (repeatable); else the profile's.")
@click.option(
    "--weeks", type=click.IntRange(1, LONGEST), default=8, show_default=True, help="Weeks from the next Monday."
)
@click.option(
    "--slack", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Places a unit may lack of its share."
)
@click.option(
    "--blackout", multiple=True, metavar="DAY/DAY[@UNIT]", help="Closed days, YYYY-MM-DD/YYYY-MM-DD (repeatable)."
)
@click.option("--postpone", is_flag=True, help="Postpone rights that the places or blackouts given leave no room for.")
@click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _rest(
    console: Console, *, as_of: str, quota: int, places: tuple[str, ...], weeks: int, slack: float,
    blackout: tuple[str, ...], postpone: bool, db: str | None, lang: str,
) -> dict[str, Any]:  # fmt: skip
    """Plan rest over the coming weeks: the greatest expected benefit under quota, staffing, rights and fairness.

    The plan is a draft until a wellness officer confirms it on the page Rest plan.
    """
    request = PlanRequest(
        as_of=month_end(parse_month(as_of)), quota=quota, places=dict(map(_places, places)), weeks=weeks, slack=slack,
        blackouts=tuple(map(_blackout, blackout)), rights_first=postpone,
    )  # fmt: skip
    stored_reach(console.home).check_months(month_of(request.as_of))  # before a store is made where no histories are
    _check_units(console, request)
    engine = open_database(console.home, db)
    plan_id, found = make_plan(engine, console.home, SYSTEM, request)
    if found.conflict is not None:
        raise Refusal(
            say("rest_impossible", lang), [one[lang] for one in found.conflict], hint=say("rest_impossible_hint", lang)
        )
    with transaction(engine, writes=False) as session:
        plan = session.get_one(RestPlan, plan_id)
        rests = rests_of(session, WHOLE, plan)
    _tell(console, plan, found, rests, lang)
    return _as_json(plan, rests)


rest = command("rest")(_rest)


def _places(text: str) -> tuple[str, int]:
    kind, _, count = text.partition("=")
    if not count.isdigit():
        raise Refusal(f"'{text}' is not KIND=N.", hint="For example --places recuperation=4")
    return kind.strip(), int(count)


def _blackout(text: str) -> Blackout:
    days, _, unit = text.partition("@")
    first, _, last = days.partition("/")
    try:
        return Blackout(dt.date.fromisoformat(first), dt.date.fromisoformat(last or first), unit or None)
    except ValueError:
        raise Refusal(f"'{text}' is not DAY/DAY.", hint="For example --blackout 2024-07-01/2024-07-05") from None


def _check_units(console: Console, request: PlanRequest) -> None:
    known = set(load_roster(console.home).units)
    strangers = [one.unit for one in request.blackouts if one.unit and one.unit not in known]
    if strangers:
        raise Refusal("Days are closed for units that the roster does not name:", strangers,
                      hint="Name a unit as the roster does, or leave @UNIT out for all.")  # fmt: skip


def _tell(console: Console, plan: RestPlan, found: Outcome, rests: list[Rest], language: str) -> None:
    figures, labels = found.figures or {}, {kind["key"]: kind["label"][language] for kind in plan.kinds}
    console.say(
        say("rest_told", language, plan=plan.id, first=plan.first_monday, weeks=plan.weeks, quota=plan.quota,
            by_benefit=figures["by_benefit"], by_right=figures["by_right"], benefit=f"{figures['benefit']:.2f}")
    )  # fmt: skip
    if figures["assumed"]:
        console.say(say("rest_told_assumed", language, n=figures["assumed"]))
    best = sorted((one for one in rests if not one.by_right), key=lambda one: (-(one.benefit or 0), one.officer_id))
    for one in best[:SHOWN]:
        span = f"{one.first_day} – {one.last_day}" if one.last_day > one.first_day else str(one.first_day)
        console.say(f"  {one.officer_id} ({one.unit})  {labels[one.kind]}  {span}  {points(-(one.benefit or 0))}")
    if len(best) > SHOWN:
        console.say(say("rest_told_more", language, n=len(best) - SHOWN))
    if figures["postponed"]:
        console.say(say("rest_told_postponed", language, n=figures["postponed"]))
        for words in figures["why_postponed"]:
            console.say(f"  - {words[language]}")
    for key, gain in figures["one_more"].items():
        kind = labels.get(key) or say("rest_any_kind", language)
        console.say(say("rest_told_one_more", language, kind=kind, gain=f"{gain:.3f}"))


def _as_json(plan: RestPlan, rests: list[Rest]) -> dict[str, Any]:
    entries = [
        {"officer_id": one.officer_id, "unit": one.unit, "post": one.post, "kind": one.kind, "week": one.week,
         "first_day": one.first_day, "last_day": one.last_day, "benefit": one.benefit, "basis": one.basis,
         "by_right": bool(one.by_right)}
        for one in rests
    ]  # fmt: skip
    return {
        "plan": plan.id,
        "as_of": plan.as_of.strftime("%Y-%m"),
        "first_day": plan.first_monday,
        "weeks": plan.weeks,
        "quota": plan.quota,
        "places": plan.places,
        "entries": [one for one in entries if not one["by_right"]],
        "by_right": [one for one in entries if one["by_right"]],
        **{
            key: (plan.solved or {})[key]
            for key in ("benefit", "optimal", "gap", "seconds", "lacking", "one_more", "postponed", "why_postponed")
        },
    }
