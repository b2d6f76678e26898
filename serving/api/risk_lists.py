"""GET /risk-lists/{risk}: the ranked list, a page at a time."""

import base64
import binascii
import datetime as dt
import hashlib
from typing import Annotated, Literal, NamedTuple, TypedDict

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy.orm import Session

from serving.access.caller import Caller, TheCaller, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import RiskList, Text, entry_of, unranked_of
from serving.decisions.publishing import published_of
from serving.scored import queries
from serving.scored.as_before import answered
from serving.scored.kept import Answer
from serving.sessions import LARGEST_NUMBER, AsOf, Database
from serving.tables import Batch

Status = Literal["open", "acted", "watched", "dismissed", "expired"]


class Filters(TypedDict):
    """What a list is narrowed to."""

    unit: str | None
    post: str | None
    status: str | None


class Wanted(NamedTuple):
    """Which list, and which page of it."""

    risk: str
    as_of: dt.date | None
    limit: int
    cursor: str


router = APIRouter(prefix="/api/v1/risk-lists", tags=["risk lists"])


@router.get(
    "/{risk}",
    dependencies=[needs(Permission.SEE_LISTS)],
    response_model=RiskList,
    responses={
        **problem_answers(Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.LIST_CHANGED, Kind.INVALID),
    },
)
def risk_list(
    request: Request,
    caller: TheCaller,
    database: Database,
    risk: Annotated[str, Path(examples=["burnout"])],
    as_of: AsOf,
    unit: str | None = None,
    post: str | None = None,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Response:
    """Return the list of a risk at a month (the newest by default), highest risk first.

    The order is the model's; it is advice. A list scored anew while you page answers 409: start again.
    """
    filters = Filters(unit=unit, post=post, status=status)
    wanted = Wanted(risk, as_of, limit, cursor or "")
    return answered(request, database, caller, lambda: _told(database, caller, wanted, filters, request.url.query))


def _told(database: Session, caller: Caller, wanted: Wanted, filters: Filters, query: str) -> Answer:
    """The answer's body and headers, or the Problem."""
    sight = caller.sight
    batch = queries.batch_of(database, sight, wanted.risk, wanted.as_of)
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month; run jingxing score first.")
    total = queries.how_many(database, sight, batch, **filters)  # what may not be asked is refused here
    body = _page(database, sight, batch, wanted=wanted, filters=filters, total=total).model_dump_json().encode()
    return body, {"ETag": _etag(body, caller, query), "Cache-Control": "private, no-cache"}


def _page(database: Session, sight: Sight, batch: Batch, *, wanted: Wanted, filters: Filters, total: int) -> RiskList:
    after = _position(wanted.cursor, batch) if wanted.cursor else 0
    limit, first = wanted.limit, not (wanted.cursor or filters["status"])
    found = queries.entries(database, sight, batch, **filters, after=after, limit=limit + 1)
    unranked = queries.unranked(database, sight, batch, unit=filters["unit"], post=filters["post"]) if first else []
    published = published_of(database, batch.risk, batch.as_of)
    return RiskList(
        risk=batch.risk,
        label=Text(**batch.labels["risk"]),
        as_of=batch.as_of,
        model_version=batch.model_version,
        forced=batch.served["reason"] if batch.served and batch.served["forced"] else None,
        scored_at=batch.scored_at,
        recorded_until=batch.recorded_until,
        horizon_months=batch.horizon_months,
        cohort=batch.cohort,
        capacity=batch.capacity,
        base_value=batch.base_value,
        total=total,
        state="published" if published else "draft",
        run=batch.run,
        reordered=batch.reordered,
        digest=published.digest if published else None,
        entries=[entry_of(entry, batch) for entry in found[:limit]],
        unranked=[unranked_of(score) for score in unranked],
        next_cursor=_cursor(batch, found[limit - 1].score.rank or 0) if len(found) > limit else None,
    )


def _etag(body: bytes, caller: Caller, query: str) -> str:
    """A tag of what the answer says and who asked what: it changes with the answer, and tells no more than it."""
    told = f"{caller.account_id} {query} ".encode() + body
    return f'W/"{hashlib.sha256(told).hexdigest()[:20]}"'


def _cursor(batch: Batch, rank: int) -> str:
    return base64.urlsafe_b64encode(f"{batch.id}.{batch.reordered}.{rank}".encode()).decode().rstrip("=")


def _position(cursor: str, batch: Batch) -> int:
    """Return the rank after which to go on."""
    try:
        parts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(".")
        number, reordered, after = (int(part) for part in parts)
        if not 0 <= after <= LARGEST_NUMBER:
            raise ValueError(after)
    except (ValueError, binascii.Error):
        raise Problem(Kind.INVALID, "cursor: not one that this service gave.") from None
    if (number, reordered) != (batch.id, batch.reordered):
        raise Problem(
            Kind.LIST_CHANGED, "The list has been scored anew or put into another order: start again without a cursor."
        )
    return after
