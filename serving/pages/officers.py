"""A person's page and its pictures: the risks, why, what was recorded, what to offer."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from features.months import month_end, month_of, parse_month
from serving import charts
from serving.access.caller import Caller, TheCaller, looked, needs, picture_looked
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.pages.frame import Reader, page
from serving.pages.person_parts import parts
from serving.persons.seen import OTHERS, number_of
from serving.persons.timeline import LANES, MONTHS, lanes, timeline
from serving.persons.whole import person_of
from serving.scored import queries
from serving.scored.kept import unchanged_of
from serving.scored.told import gated, whose
from serving.sessions import AsOf, Database
from serving.words import say

Size = Literal["wide", "narrow"]
BARS = 8
"""So many reasons are drawn; the others are summed in one bar."""

NOT_TOLD = dict.fromkeys(("value", "usual", "peers", "window"))

router = APIRouter(prefix="/officers/{officer_id}", include_in_schema=False)


@dataclass(frozen=True)
class Bar:
    """One signed bar; ``x`` and ``width`` on a line from 0 to 200 with its zero at 100."""

    label: str
    sentence: str
    points: float
    x: float
    width: float


@router.get("", dependencies=[needs(Permission.SEE_PERSON)])
def officer_page(
    request: Request,
    officer_id: str,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    risk: str | None = None,
) -> Response:
    """Show a person: how sure, why, what now, who decides."""
    person = person_of(unchanged_of(request), database, caller.sight, officer_id, as_of)
    looked(request, caller, officer_id, found=person is not None)
    if person is None:
        raise Problem(Kind.NOT_FOUND, "Nobody of this number has been scored. 没有此人的评分。")
    facts, offers = person.facts, person.offers
    found = sorted(person.risks, key=lambda each: each.batch.risk != risk)
    return page(
        request,
        "person.html",
        language,
        facts=facts,
        risks=[_told(each, language) for each in found],
        series={each.batch.risk: _series(each, language) for each in found},
        offers=offers,
        post_label=_label(found, facts.post, language),
        **parts(database, caller, facts, found=found, offers=offers, home=request.app.state.home),
    )


@router.get("/risk.svg", dependencies=[needs(Permission.SEE_PERSON)])
def risk_picture(
    request: Request,
    officer_id: str,
    risk: str,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    size: Size = "wide",
) -> Response:
    """Draw one risk over the scored months."""
    view = _one(request, caller, database, officer_id, risk=risk, as_of=as_of)
    points = [
        charts.RiskPoint(
            as_of=batch.as_of,
            probability=score.probability,
            low=score.low,
            high=score.high,
            mean=float(batch.post_means.get(score.post or "", batch.post_means[""])),
            whose=whose(batch, score.post),
        )
        for batch, score in view.trend
    ]
    return _picture(charts.risk_chart(points, language, size))


@router.get("/history.svg", dependencies=[needs(Permission.SEE_PERSON)])
def history_picture(
    request: Request,
    officer_id: str,
    risk: str,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    size: Size = "wide",
) -> Response:
    """Draw the measures behind the strongest reasons month by month."""
    view = _one(request, caller, database, officer_id, risk=risk, as_of=as_of)
    series = _series(view, language)
    if not series:
        raise Problem(Kind.NOT_FOUND, "There is no history to draw.")
    return _picture(charts.history_chart(series, language, size))


@router.get("/timeline.svg", dependencies=[needs(Permission.SEE_PERSON)])
def timeline_picture(
    request: Request,
    officer_id: str,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    size: Size = "wide",
) -> Response:
    """Draw the rare events of a person."""
    facts = queries.facts_of(database, caller.sight, officer_id, as_of)
    picture_looked(request, caller, database, officer_id, found=facts is not None)
    number = number_of(database, caller.sight, officer_id)
    month = month_of(facts.as_of) if facts else 0
    happened = timeline(request.app.state.home, number, month, sight=caller.sight) if facts else []
    if not happened:
        raise Problem(Kind.NOT_FOUND, "There are no events to draw. 没有可画的事件。")
    points = [charts.Event(each.day, say(LANES[each.lane], language), each.label[language]) for each in happened]
    order = [say(LANES[lane], language) for lane in lanes(happened)]
    first = month_end(month - MONTHS) + dt.timedelta(days=1)
    return _picture(charts.timeline_chart(points, order, (first, month_end(month)), size))


def _one(
    request: Request, caller: Caller, database: Session, officer_id: str, *, risk: str, as_of: Any
) -> queries.PersonRisk:
    person = person_of(unchanged_of(request), database, caller.sight, officer_id, as_of)
    picture_looked(request, caller, database, officer_id, found=person is not None)
    for each in person.risks if person else ():
        if each.batch.risk == risk:
            return each
    raise Problem(Kind.NOT_FOUND, "Nobody of this number has been scored for this risk and month.")


def _picture(svg: bytes) -> Response:
    return Response(svg, media_type="image/svg+xml")


def _told(view: queries.PersonRisk, language: str) -> dict[str, Any]:
    """One risk as the template needs it: bars that add up, and the table of all reasons."""
    drawn = [reason for reason in view.reasons.strongest if gated(reason)][:BARS]
    changes = [reason["contribution"] * view.points_per_unit for reason in drawn]
    total = (view.margin - view.batch.base_value) * view.points_per_unit
    withheld = (view.reasons.withheld or 0.0) * view.points_per_unit
    left = total - sum(changes) - withheld
    widest = max((abs(change) for change in [*changes, left, withheld]), default=0.0) or 1.0
    return {
        "view": view,
        "bars": [
            _bar(_named(view, reason["measure"], language), reason[f"sentence_{language}"], change, widest)
            for reason, change in zip(drawn, changes, strict=True)
        ]
        + ([_bar(say("reasons_withheld", language), "", withheld, widest)] if withheld else []),
        "rest": _bar("", "", left, widest),
        "rest_count": view.reasons.number - len(drawn),
        "start": view.start,
        "table": _all_reasons(view, language),
    }


def _bar(label: str, sentence: str, points: float, widest: float) -> Bar:
    width = round(95 * abs(points) / widest, 2)
    told = sentence.removeprefix(label).strip(" :：,，")  # the label stands in bold before the rest
    return Bar(label, told, points, 100 if points > 0 else 100 - width, width)


def _all_reasons(view: queries.PersonRisk, language: str) -> list[dict[str, Any]]:
    """Every group with its numbers where they were kept, the strongest first."""
    known = {reason["measure"]: reason for reason in view.reasons.strongest}
    pairs = zip(view.reasons.groups, view.reasons.contributions, strict=True)
    withheld = (view.reasons.withheld or 0.0) * view.points_per_unit
    return [
        {
            "label": _named(view, group, language),
            "points": contribution * view.points_per_unit,
            **{name: known.get(group, {}).get(name) for name in ("value", "usual", "peers", "window")},
        }
        for group, contribution in sorted(pairs, key=lambda pair: -abs(pair[1]))
    ] + ([{"label": say("reasons_withheld", language), "points": withheld, **NOT_TOLD}] if withheld else [])


def _named(view: queries.PersonRisk, group: str, language: str) -> str:
    if group == OTHERS and view.reasons.together:
        return say("rest", language, n=view.reasons.together)
    label: str = view.batch.labels["measures"].get(group, {}).get(language, group)
    return label


def _series(view: queries.PersonRisk, language: str) -> list[charts.Series]:
    months = [month_end(parse_month(text)) for text in view.batch.months]
    medians = view.batch.medians.get(view.score.post or "", {})
    labels = view.batch.labels["measures"]
    return [
        charts.Series(
            label=_with_unit(labels.get(key, {}), key, language),
            months=months,
            values=values,
            medians=medians.get(key, [None] * len(months)),
        )
        for key, values in view.reasons.history.items()
    ]


def _with_unit(label: dict[str, str], key: str, language: str) -> str:
    unit = label.get(f"unit_{language}", "")
    between = "（{}）" if language == "zh" else " ({})"
    return label.get(language, key) + (between.format(unit) if unit else "")


def _label(found: list[queries.PersonRisk], post: str | None, language: str) -> str:
    labels = found[0].batch.labels["posts"] if found else {}
    text: str = labels.get(post, {}).get(language, post or "")
    return text
