"""The monthly lists: drafts, what is published and by whom, what was scored since, notices, and how to replay each."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.decisions import publishing
from serving.decisions.seen import progress
from serving.decisions.tables import Delivery, Published
from serving.models.monitored import run_of
from serving.months import notices
from serving.pages.door import local
from serving.pages.frame import Reader, page
from serving.pages.reviews import Key, Number, Words
from serving.scored import queries
from serving.sessions import Database, Writing, as_of_of
from serving.tables import Batch, MonitorRun

MOST = 36
"""So many lists are shown, the newest first."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class MonthRow:
    """One list with all that is told of its publication."""

    batch: Batch
    published: Published | None
    beside: list[publishing.Beside]
    decided: tuple[int, int] | None
    monitor: MonitorRun | None
    held_back: bool
    deliveries: list[Delivery]


@router.get("/months", dependencies=[needs(Permission.SEE_LISTS)])
def months_page(request: Request, caller: TheCaller, database: Database, language: Reader) -> Response:
    """Show every month's lists that the caller may know of, with what can be done."""
    pairs = publishing.publications(database, caller.sight.purposes)
    rows = [_row(database, caller.sight, batch, out) for batch, out in pairs[:MOST]]
    return page(
        request,
        "months.html",
        language,
        rows=rows,
        more=max(len(pairs) - MOST, 0),
        shortest=publishing.SHORTEST_REASON,
    )


@router.post("/months/publish", dependencies=[needs(Permission.PUBLISH)])
def publish(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    later: BackgroundTasks,
    risk: Key,
    as_of: Key,
    run: Number,
    reordered: Number = 0,
    despite: Words = "",
) -> Response:
    """Publish the draft that was looked at; the notice goes out once it is written."""
    batch = queries.batch_of(writing, caller.sight, risk, as_of_of(as_of))
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month. 没有这一风险和月份的名单。")
    if batch.run != run:
        raise Problem(
            Kind.LIST_CHANGED, f"The draft is run {batch.run} by now: look again. 草稿已重新计算，请重新查看。"
        )
    notices.notice_settings(request.app.state.home)  # a mistake there is told before anything is published
    row = publishing.publish(writing, caller.actor, batch, despite=despite, reordered=reordered)
    notices.mark_seen(writing, caller.account_id, row.id)
    later.add_task(notices.send_notices, request.app.state.engine, request.app.state.home, row.id)
    return RedirectResponse("/months", status_code=303, background=later)


@router.post("/months/notices", dependencies=[needs(Permission.PUBLISH)])
def send_again(request: Request, caller: TheCaller, database: Database, published_id: Number) -> Response:
    """Send the notice by the channels that failed."""
    _known(database, caller.sight, published_id)
    notices.send_notices(request.app.state.engine, request.app.state.home, published_id)
    return RedirectResponse("/months", status_code=303)


@router.post("/months/seen", dependencies=[needs(Permission.SEE_LISTS)])
def seen(
    caller: TheCaller, writing: Writing, published_id: Number, back: Annotated[str, Form(max_length=2000)] = "/lists"
) -> Response:
    """Keep that this account knows that a list is out."""
    _known(writing, caller.sight, published_id)
    notices.mark_seen(writing, caller.account_id, published_id)
    return RedirectResponse(local(back), status_code=303)


def _known(session: Session, sight: Sight, published_id: int) -> None:
    row = session.get(Published, published_id)
    batch = session.get(Batch, row.batch_id) if row else None
    if batch is None or batch.purpose not in sight.purposes:
        raise Problem(Kind.NOT_FOUND, "There is no such published list. 没有这一已发布名单。")


def _row(session: Session, sight: Sight, batch: Batch, out: Published | None) -> MonthRow:
    return MonthRow(
        batch=batch,
        published=out,
        beside=publishing.beside(session, batch) if out else [],
        decided=progress(session, sight, batch),
        monitor=run_of(session, batch.as_of, figures=False),
        held_back=out is None and publishing.held_back(session, batch),
        deliveries=notices.deliveries_of(session, out.id) if out else [],
    )
