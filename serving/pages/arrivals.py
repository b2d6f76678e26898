"""The data page: upload an export, see what was not taken in and why, and what arrives by measure, unit and month."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from features.errors import Refusal
from features.histories.ingest import IngestResult
from features.histories.store import quarantined, stored_profile
from features.profile import Profile
from serving.access.audit import record
from serving.access.caller import Caller, TheCaller, needs
from serving.access.roles import Permission
from serving.answers.headers import LARGEST_UPLOAD
from serving.answers.problems import Kind, Problem
from serving.arrivals.arrived import FORCE, Arrived, arrived
from serving.arrivals.arrived_charts import MOST, arrived_chart
from serving.arrivals.reasons import reason_told
from serving.arrivals.refused import Refused, refusal_told
from serving.arrivals.uploads import Sent, take_in
from serving.database import transaction
from serving.decisions.objections import to_correct
from serving.pages.frame import Reader, page
from serving.persons.own_histories import mark_of
from serving.scored.kept import Newest
from serving.sessions import Database

Size = Literal["wide", "narrow"]
LISTED, SHOWN_REASONS = 200, 40
"""So many rows of the quarantine are shown one by one, and so many reasons counted."""

router = APIRouter(prefix="/arrivals", include_in_schema=False)
SEEN = [needs(Permission.SEE_DATA)]


@router.get("", dependencies=SEEN)
def arrivals_page(
    request: Request, caller: TheCaller, database: Database, language: Reader, unit: str = FORCE
) -> Response:
    """Show what arrives, what is in quarantine, and what upheld objections say is wrong at the source."""
    return _page(request, caller, language, database=database, unit=unit)


@router.get("/picture.svg", dependencies=SEEN)
def picture(
    request: Request,
    language: Reader,
    unit: str = FORCE,
    by: Literal["measure", "unit"] = "measure",
    size: Size = "wide",
) -> Response:
    """Draw what arrives, a row a measure (of the force, or of a unit) or a row a unit."""
    home = request.app.state.home
    found, profile = arrived(home), stored_profile(home)
    series = found.by_unit() if by == "unit" else _series(found, unit)
    if not series:
        raise Problem(Kind.NOT_FOUND, "There is nothing to draw. 没有可绘制的数据。")
    svg = arrived_chart(
        _ordered(found, series),
        found.months,
        holes=found.holes(series),
        labels={key: profile.label(key, language) for key, _ in series},
        language=language,
        size=size,
    )
    return Response(svg, media_type="image/svg+xml")


@router.post("", dependencies=[needs(Permission.UPLOAD)])
def upload(
    request: Request,
    caller: TheCaller,
    language: Reader,
    export: Annotated[list[UploadFile], File(max_length=64)],
    strict: Annotated[bool, Form()] = False,
) -> Response:
    """Take in an export, and show what was taken in and what was not."""
    engine, home = request.app.state.engine, request.app.state.home
    sent = [Sent(each.filename or "", each.file) for each in export if each.filename]
    with transaction(engine) as session:
        record(session, caller.actor, "upload begun", files=len(sent), strict=strict)
    try:
        result = take_in(home, sent, strict=strict)
    except Refusal as refusal:
        with transaction(engine) as session:
            record(session, caller.actor, "upload refused")
            return _page(request, caller, language, database=session, refused=refusal_told(refusal, language))
    told: dict[str, Any] = {"new": result.events_new, "known": result.events_known, "quarantined": len(result.entries)}
    with transaction(engine) as session:
        record(session, caller.actor, "histories taken in", **told, changed=result.changed)
        return _page(request, caller, language, database=session, result=result)


def _page(
    request: Request,
    caller: Caller,
    language: str,
    *,
    database: Any,
    unit: str = FORCE,
    result: IngestResult | None = None,
    refused: Refused | None = None,
) -> Response:
    home = request.app.state.home
    try:
        found, profile, left_out = arrived(home), stored_profile(home), _left_out(home)
    except Refusal:
        found, profile, left_out = None, None, LeftOut(0, (), ())
    return page(
        request,
        "arrivals.html",
        language,
        status=Kind.INVALID.status if refused else 200,
        result=result,
        refused=refused,
        uploads=Permission.UPLOAD in caller.permissions,
        largest=LARGEST_UPLOAD // 1024**3,
        bad=[{**row, "reason": reason_told(row["reason"], language)} for row in left_out.first],
        bad_total=left_out.rows,
        reasons=[((file, column, reason_told(why, language)), rows) for (file, column, why), rows in left_out.reasons],
        wrong=to_correct(database),
        unit=unit,
        **(_counted(found, profile, unit, language) if found and profile else {"found": None}),
    )


@dataclass(frozen=True)
class LeftOut:
    """What is in quarantine: how many rows, the first of them, and how many by file, column and reason."""

    rows: int
    first: Sequence[dict[str, Any]]
    reasons: Sequence[tuple[tuple[str, str, str], int]]


_known: Newest[LeftOut] = Newest(1)


def _left_out(home: Path) -> LeftOut:
    """What is in quarantine, read once for each version of the store."""
    return _known.of(mark_of(home), lambda: _told(quarantined(home)))


def _told(bad: Sequence[dict[str, Any]]) -> LeftOut:
    counted = Counter((row["file"], row["column"] or "", row["reason"]) for row in bad)
    return LeftOut(len(bad), tuple(bad[:LISTED]), tuple(counted.most_common(SHOWN_REASONS)))


def _counted(found: Arrived, profile: Profile, unit: str, language: str) -> dict[str, Any]:
    series = _series(found, unit)
    units = found.by_unit()
    return {
        "found": found,
        "series": _ordered(found, series),
        "units": found.named,
        "by_unit": _ordered(found, units)[: MOST["wide"]] if unit == FORCE else [],
        "holes": found.holes(series),
        "unit_holes": found.holes(units) if unit == FORCE else [],
        "label": lambda key: profile.label(key, language),
    }


def _series(found: Arrived, unit: str) -> list[tuple[str, Any]]:
    if unit not in found.units:
        raise Problem(Kind.NOT_FOUND, "There is no such unit. 没有这个单位。")
    return found.of(unit)


def _ordered(found: Arrived, series: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Those with holes first, then the most regular ones."""
    silent = {hole.measure for hole in found.holes(series)}
    return sorted(series, key=lambda row: (row[0] not in silent, -int((row[1] > 0).sum()), -int(row[1].sum()), row[0]))
