"""A list as a file to take along: with the filters of the page, and a row in the log."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response

from serving.access.audit import record
from serving.access.caller import TheCaller, needs
from serving.access.roles import Field, Permission
from serving.answers.problems import Kind, Problem
from serving.decisions.seen import flags_seen
from serving.pages.frame import Reader
from serving.scored import exports, queries
from serving.sessions import AsOf, Writing
from serving.words import month_name

MOST = 100_000
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

router = APIRouter(include_in_schema=False)


@router.get("/lists/{risk}/export.{form}", dependencies=[needs(Permission.SEE_LISTS)])
def export(
    risk: str,
    form: Literal["csv", "xlsx"],
    caller: TheCaller,
    writing: Writing,
    language: Reader,
    as_of: AsOf,
    unit: str | None = None,
    post: str | None = None,
    status: str | None = None,
) -> Response:
    """Send the list as the caller may see it; that it was taken along is written to the audit chain."""
    sight = caller.sight
    batch = queries.batch_of(writing, sight, risk, as_of)
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month. 没有这一风险和月份的名单。")
    place = {"unit": unit or None, "post": post or None}
    entries = queries.entries(writing, sight, batch, **place, status=status or None, after=0, limit=MOST)
    reviewed = Field.REVIEWS in sight.fields(batch.purpose)
    flags = flags_seen(writing, sight, batch, [entry.score.officer_id for entry in entries]) if reviewed else None
    heading, rows = exports.table(batch, entries, flags, language)
    record(writing, caller.actor, "list exported", risk, as_of=str(batch.as_of), rows=len(rows), form=form)
    title = f"{batch.labels['risk'][language]} {month_name(batch.as_of, language)}"
    content = exports.as_csv(heading, rows) if form == "csv" else exports.as_xlsx(title, heading, rows)
    name = f"jingxing-{batch.as_of:%Y-%m}.{form}"
    return Response(content, media_type=TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}"'})
