"""The list of a risk, the notice, and the files that pages need."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from features.statistics import FEWEST
from serving import queries, units
from serving.pages.frame import Reader, page
from serving.permissions import Permission, needs
from serving.problems import Kind, Problem
from serving.sessions import AsOf, Database
from serving.tables import Batch

BELOW_THE_LINE = 10
"""So many are shown below the capacity line, for reference."""
STANDS_OUT = 1.3
"""A unit is spoken of first where its mean risk is so many times that of the others."""
FEWEST_OF_A_UNIT = 8
STATIC = {name: Path(__file__).parents[1] / "static" / name for name in ("style.css", "print.css", "icon.svg")}

router = APIRouter(include_in_schema=False)


@router.get("/", dependencies=[needs(Permission.SEE_LISTS)])
def front_page(request: Request, database: Database, language: Reader) -> Response:
    """Go to the newest list; say what to do where there is none."""
    known = queries.risks(database)
    if not known:
        return page(request, "empty.html", language)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/lists/{next(iter(known))}{query}", status_code=303)


@router.get("/lists/{risk}", dependencies=[needs(Permission.SEE_LISTS)])
def list_page(
    request: Request,
    risk: str,
    database: Database,
    language: Reader,
    as_of: AsOf,
    unit: str | None = None,
    post: str | None = None,
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Show who needs attention: units first, then persons, with the line of the team's capacity."""
    batch = queries.batch_of(database, risk, as_of)
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month. 没有这一风险和月份的名单。")
    limit = batch.capacity + BELOW_THE_LINE
    shown = queries.entries(database, batch, unit=unit or None, post=post or None, after=after, limit=limit + 1)
    return page(
        request,
        "list.html",
        language,
        batch=batch,
        risks=queries.risks(database),
        months=queries.months_scored(database, risk),
        posts=queries.posts(database, batch),
        filters={"unit": unit or "", "post": post or ""},
        entries=shown[:limit],
        more=shown[limit - 1].score.rank if len(shown) > limit else None,
        after=after,
        scale=_scale(shown),
        unranked=[] if after else queries.unranked(database, batch, unit=unit or None, post=post or None),
        **_splits(batch, shown),
        **_summary(database, batch, shown),
    )


@router.get("/notice", dependencies=[needs(Permission.OPEN)])
def notice(request: Request, language: Reader) -> Response:
    """Say what is processed, why, and what it may not be used for."""
    return page(request, "notice.html", language)


@router.get("/static/{name}", dependencies=[needs(Permission.OPEN)])
def static(name: str) -> Response:
    """Send one of the files that pages need."""
    if name not in STATIC:
        raise Problem(Kind.NOT_FOUND, "There is no such file.")
    return FileResponse(STATIC[name], headers={"Cache-Control": "max-age=300"})


def _summary(database: Session, batch: Batch, shown: Sequence[queries.Entry]) -> dict[str, Any]:
    views = queries.units(database, batch)
    leading = [
        view
        for view in views
        if view.people >= FEWEST_OF_A_UNIT and view.listed and view.mean >= STANDS_OUT * view.others
    ]
    means = batch.post_means
    return {
        "units": views,
        "fewest": FEWEST,
        "roster_units": units.by_rosters(database, batch),
        "leading_unit": leading[0] if leading else None,
        "moves": queries.moves(database, batch),
        "mean": means.get("", 0.0),
        "mean_listed": queries.mean_within_capacity(database, batch),
        "line_after": _line(shown, batch.capacity),
    }


def _splits(batch: Batch, shown: Sequence[queries.Entry]) -> dict[str, Any]:
    """Each person's split into post, unit and person, on a common scale."""
    splits = {entry.score.officer_id: units.parts_of(entry.score, batch.base_value) for entry in shown}
    return {"splits": splits, "split_scale": max((each.reach for each in splits.values() if each), default=0.0)}


def _line(shown: Sequence[queries.Entry], capacity: int) -> int | None:
    """The rank below which the capacity line is drawn, where it falls within what is shown."""
    within = [entry.score.rank for entry in shown if entry.score.within(capacity)]
    return within[-1] if within and len(within) < len(shown) else None


def _scale(shown: Sequence[queries.Entry]) -> float:
    """The probability at the right end of the bands, a round number."""
    highest = max((entry.score.high for entry in shown), default=1.0)
    return next(step for step in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if highest <= step or step == 1.0)
