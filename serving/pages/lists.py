"""The list of a risk, and the files that pages need."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from features.statistics import FEWEST
from serving.access.caller import MaybeCaller, TheCaller, needs
from serving.access.roles import Field, Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.decisions.publishing import published_of
from serving.decisions.reviews import agreeing
from serving.decisions.seen import STATUS_WORDS, asking, progress
from serving.months.notices import unseen
from serving.pages.frame import Reader, home_of, page
from serving.scored import queries, units
from serving.scored.changes import changes
from serving.scored.kept import unchanged_of
from serving.scored.told import average_start, whose
from serving.sessions import LARGEST_NUMBER, AsOf, Database
from serving.tables import Batch

BELOW_THE_LINE = 10
"""So many are shown below the capacity line, for reference."""
MOST = 40
"""So many rows at most on one page; the next page goes on."""
MOST_UNITS = 60
"""So many units are told in the table, the highest first; the filter names all of them."""
STANDS_OUT = 1.3
"""A unit is spoken of first where its mean risk is so many times that of the others."""
FEWEST_OF_A_UNIT = 8
STATIC = {
    name: Path(__file__).parents[1] / "static" / name for name in ("style.css", "print.css", "icon.svg", "page.js")
}

router = APIRouter(include_in_schema=False)


class Filters:
    """What the page is narrowed to; kept in its address."""

    def __init__(self, unit: str = "", post: str = "", status: str = "") -> None:
        if status and status not in STATUS_WORDS:
            raise Problem(Kind.INVALID, f"status: one of {', '.join(STATUS_WORDS)}. 处理状态有误。")
        self.unit, self.post, self.status = unit, post, status

    @property
    def place(self) -> dict[str, str | None]:
        """Unit and post, None where all."""
        return {"unit": self.unit or None, "post": self.post or None}

    @property
    def chosen(self) -> dict[str, str | None]:
        """All of them, None where all."""
        return {**self.place, "status": self.status or None}


@router.get("/", dependencies=[needs(Permission.OPEN)])
def front_page(request: Request, caller: MaybeCaller) -> Response:
    """Go to the first page of the caller's role, or to the sign-in."""
    return RedirectResponse(home_of(request, caller), status_code=303)


@router.get("/lists", dependencies=[needs(Permission.SEE_LISTS)])
def newest_list(request: Request, caller: TheCaller, database: Database, language: Reader) -> Response:
    """Go to the newest list; say what to do where there is none."""
    known = queries.risks(database, caller.sight)
    if not known:
        return page(request, "empty.html", language)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/lists/{next(iter(known))}{query}", status_code=303)


@router.get("/lists/{risk}", dependencies=[needs(Permission.SEE_LISTS)])
def list_page(
    request: Request,
    risk: str,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    filters: Annotated[Filters, Depends()],
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER)] = 0,
) -> Response:
    """Show who needs attention: changes and units first, then persons, with the line of the team's capacity."""
    sight, kept = caller.sight, unchanged_of(request)
    asked = ("list", risk, as_of, *filters.chosen.values(), after, sight)
    told = kept.value(database, asked, lambda session: _told(session, sight, risk, as_of, filters=filters, after=after))
    watches = Permission.SEE_MONITOR in caller.permissions
    return page(
        request,
        "list.html",
        language,
        filters=filters,
        statuses=STATUS_WORDS,
        after=after,
        exported=lambda form: _exported(told["batch"], filters, form),
        whose=whose,
        unseen=unseen(database, caller.account_id, sight.purposes),
        agreeing=kept.value(database, "agreeing", agreeing) if watches else [],
        **told,
    )


def _told(
    session: Session, sight: Sight, risk: str, as_of: dt.date | None, *, filters: Filters, after: int
) -> dict[str, Any]:
    """All that the page tells of a list to whoever has this sight."""
    batch = queries.batch_of(session, sight, risk, as_of)
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month. 没有这一风险和月份的名单。")
    limit = min(batch.capacity + BELOW_THE_LINE, MOST)
    shown = queries.entries(session, sight, batch, **filters.chosen, after=after, limit=limit + 1)
    first = not after and not any(filters.chosen.values())
    return {
        "batch": batch,
        "risks": queries.risks(session, sight),
        "months": queries.months_scored(session, sight, risk),
        "posts": queries.posts(session, sight, batch),
        "entries": shown[:limit],
        "more": shown[limit - 1].score.rank if len(shown) > limit else None,
        "scale": _scale(shown),
        "unranked": [] if after or filters.status else queries.unranked(session, sight, batch, **filters.place),
        "changed": changes(session, sight, batch) if first else None,
        "published": published_of(session, batch.risk, batch.as_of),
        "decided": progress(session, sight, batch),
        "offers_told": Field.OFFERS in sight.fields(batch.purpose),
        "helped": asking(session, sight),
        **_splits(batch, shown),
        **_summary(session, sight, batch, shown),
    }


@router.get("/static/{name}", dependencies=[needs(Permission.OPEN)])
def static(name: str) -> Response:
    """Send one of the files that pages need."""
    if name not in STATIC:
        raise Problem(Kind.NOT_FOUND, "There is no such file.")
    return FileResponse(STATIC[name], headers={"Cache-Control": "max-age=300"})


def _exported(batch: Batch, filters: Filters, form: str) -> str:
    query = {"as_of": f"{batch.as_of:%Y-%m}", **{name: value for name, value in filters.chosen.items() if value}}
    return f"/lists/{quote(batch.risk, safe='')}/export.{form}?{urlencode(query)}"


def _summary(database: Session, sight: Sight, batch: Batch, shown: Sequence[queries.Entry]) -> dict[str, Any]:
    views = queries.units(database, sight, batch)
    leading = [
        view
        for view in views
        if view.people >= FEWEST_OF_A_UNIT and view.listed and view.mean >= STANDS_OUT * view.others
    ]
    means = batch.post_means
    return {
        "units": views,
        "most_units": MOST_UNITS,
        "fewest": FEWEST,
        "roster_units": units.by_rosters(database, sight, batch),
        "leading_unit": leading[0] if leading else None,
        "moves": queries.moves(database, sight, batch),
        "mean": means.get("", 0.0),
        "mean_listed": queries.mean_within_capacity(database, sight, batch),
        "line_after": _line(shown, batch.capacity),
        "own": None if sight.whole_force else (sum(view.listed for view in views), sum(view.people for view in views)),
    }


def _splits(batch: Batch, shown: Sequence[queries.Entry]) -> dict[str, Any]:
    """Each person's split into post, unit and person, on a common scale."""
    splits = {entry.score.officer_id: units.parts_of(entry.score, batch.base_value) for entry in shown}
    return {
        "splits": splits,
        "split_scale": max((each.reach for each in splits.values() if each), default=0.0),
        "split_start": average_start(batch.base_value) if any(splits.values()) else None,
    }


def _line(shown: Sequence[queries.Entry], capacity: int) -> int | None:
    """The rank below which the capacity line is drawn, where it falls within what is shown."""
    within = [entry.score.rank for entry in shown if entry.score.within(capacity)]
    return within[-1] if within and len(within) < len(shown) else None


def _scale(shown: Sequence[queries.Entry]) -> float:
    """The probability at the right end of the bands, a round number."""
    highest = max((entry.score.high for entry in shown), default=1.0)
    return next(step for step in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if highest <= step or step == 1.0)
