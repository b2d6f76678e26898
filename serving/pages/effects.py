"""Whether help helps (practice G): estimates beside naive figures, who gained, before and after, figures followed."""

import datetime as dt
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from features.months import month_end, parse_month
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.effects import sentences
from serving.effects.pictures import Estimate, overview_chart, study_chart, tracked_chart
from serving.effects.reading import effect_by_id, effects_at, months_told, tracked_at
from serving.effects.tables import EffectRow, TrackedFigure
from serving.pages.frame import Language, Reader, page
from serving.sessions import AsOf, Database, NumberInPath
from serving.words import WORDS, month_name, say

Size = Literal["wide", "narrow"]
NOTHING = "No effect has been told for this month. 该月尚无成效估计。"

router = APIRouter(include_in_schema=False)
SEEN = [needs(Permission.SEE_EFFECTS)]


@router.get("/effects", dependencies=SEEN)
def effects_page(request: Request, database: Database, caller: TheCaller, language: Reader, as_of: AsOf) -> Response:
    """Show what each kind of help did, changes of policy, and the force's figures over time."""
    months = months_told(database, caller.sight)
    if not months:
        return page(request, "effects.html", language, month=None)
    month = as_of or months[0]
    rows = effects_at(database, caller.sight, month)
    if not rows:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    tracked = tracked_at(database, caller.sight, month)
    return page(
        request,
        "effects.html",
        language,
        month=month,
        months=months,
        rows=[row for row in rows if not row.since],
        policies=[row for row in rows if row.since],
        drawn=len(_drawn(rows, language)),
        tracked=[(_title(name, figures[0], language), figures) for name, figures in tracked.items()],
        told=_told,
        named=lambda row, key: _named(row, key, language),
        since=lambda row: month_name(month_end(parse_month(row.since)), language),
        words=sentences,
    )


@router.get("/effects/overview.svg", dependencies=SEEN)
def overview_picture(
    database: Database, caller: TheCaller, language: Reader, as_of: AsOf, size: Size = "wide"
) -> Response:
    """Draw the estimates beside the naive figures."""
    rows = effects_at(database, caller.sight, as_of or _newest(database, caller))
    drawn = _drawn(rows, language)
    if not drawn:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    return _picture(overview_chart(drawn, language, size))


@router.get("/effects/tracked.svg", dependencies=SEEN)
def tracked_picture(
    database: Database, caller: TheCaller, language: Reader, as_of: AsOf, size: Size = "wide"
) -> Response:
    """Draw the figures of the force over time."""
    found = tracked_at(database, caller.sight, as_of or _newest(database, caller))
    series = [
        (_title(name, figures[0], language), [one.month for one in figures], [one.share for one in figures])
        for name, figures in found.items()
    ]
    if not series:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    return _picture(tracked_chart(series, language, size))


@router.get("/effects/{number}", dependencies=SEEN)
def effect_page(
    request: Request, number: NumberInPath, database: Database, caller: TheCaller, language: Reader
) -> Response:
    """Show one effect: what it rests on, who gained more, before and after."""
    row = _row(database, caller, number)
    return page(
        request,
        "effect.html",
        language,
        row=row,
        effect=row.figures["effect"],
        study=row.figures["study"],
        groups=row.figures["groups"],
        named=lambda key: _named(row, key, language),
        group_name=lambda group: _group_name(row, group, language),
        since=month_name(month_end(parse_month(row.since)), language) if row.since else "",
        words=sentences,
        scale=1 if row.figures["study"] and row.figures["study"]["outcome"] == sentences.INDEX else 100,
    )


@router.get("/effects/{number}/study.svg", dependencies=SEEN)
def study_picture(
    number: NumberInPath, database: Database, caller: TheCaller, language: Reader, size: Size = "wide"
) -> Response:
    """Draw one effect's months before and after the start."""
    study = _row(database, caller, number).figures["study"]
    if not study or not study["points"]:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    return _picture(study_chart(study, language, size))


def _row(database: Database, caller: TheCaller, number: int) -> EffectRow:
    row = effect_by_id(database, caller.sight, number)
    if row is None:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    return row


def _newest(database: Database, caller: TheCaller) -> dt.date:
    months = months_told(database, caller.sight)
    if not months:
        raise Problem(Kind.NOT_FOUND, NOTHING)
    return months[0]


def _picture(svg: bytes) -> Response:
    return Response(svg, media_type="image/svg+xml")


def _drawn(rows: Any, language: Language) -> list[Estimate]:
    """The rows of the picture: those with an estimate or a naive figure."""
    found = []
    for row in rows:
        effect = row.figures["effect"]
        if effect and (effect["average"] or effect["naive"]):
            average = effect["average"] or {}
            value, low, high = (_hundred(average.get(key)) for key in ("value", "low", "high"))
            label = f"{_named(row, row.action, language)} – {_named(row, row.risk, language)}"
            found.append(Estimate(label, value, low, high, _hundred((effect["naive"] or {}).get("value"))))
    return found


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _told(row: EffectRow, language: str) -> str:
    """The finding of a row: of the effect, or of the event study where it is a policy's."""
    if row.figures["effect"]:
        return sentences.finding(row.figures["effect"], language)
    return sentences.of_study(row.figures["study"], language)[0]


def _named(row: EffectRow, key: str, language: str) -> str:
    return str(row.figures["labels"].get(key, {}).get(language, key))


def _group_name(row: EffectRow, group: dict[str, Any], language: str) -> str:
    key = f"effects_{group['kind']}_{group['group']}"
    return say(key, language) if key in WORDS else _named(row, group["group"], language)


def _title(name: str, figure: TrackedFigure, language: str) -> str:
    if figure.kind == "own":
        return say(f"effects_tracked_{name}", language)
    return say(f"effects_tracked_{figure.kind}", language, label=(figure.label or {}).get(language, name))
