"""GET /risk-lists/{risk}: the ranked list, a page at a time."""

import base64
import binascii
import hashlib
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from serving import queries
from serving.api.answers import RiskList, Text, entry_of, unranked_of
from serving.permissions import Permission, needs
from serving.problems import Kind, Problem, problem_answers
from serving.sessions import AsOf, Database
from serving.tables import Batch

Status = Literal["open", "acted", "watched", "dismissed"]

router = APIRouter(prefix="/api/v1/risk-lists", tags=["risk lists"])


@router.get(
    "/{risk}",
    dependencies=[needs(Permission.SEE_LISTS)],
    response_model=RiskList,
    responses={
        **problem_answers(Kind.NOT_FOUND, Kind.LIST_CHANGED, Kind.INVALID),
        304: {"description": "Not changed since the ETag given."},
    },
)
def risk_list(
    request: Request,
    response: Response,
    database: Database,
    risk: Annotated[str, Path(examples=["burnout"])],
    as_of: AsOf,
    unit: str | None = None,
    post: str | None = None,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> RiskList | Response:
    """Return the list of a risk at a month (the newest by default), highest risk first.

    The order is the model's; it is advice. A list scored anew while you page answers 409: start again.
    """
    batch = queries.batch_of(database, risk, as_of)
    if batch is None:
        raise Problem(Kind.NOT_FOUND, "There is no list of this risk and month; run jingxing score first.")
    tag = _etag(batch, str(request.url.query))
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match and tag in [part.strip() for part in if_none_match.split(",")]:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    wanted = status in (None, "open")  # nothing has been decided yet: everyone is open
    after = _position(cursor, batch) if cursor else 0
    found = queries.entries(database, batch, unit=unit, post=post, after=after, limit=limit + 1) if wanted else []
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
        total=queries.how_many(database, batch, unit=unit, post=post) if wanted else 0,
        entries=[entry_of(entry, batch) for entry in found[:limit]],
        unranked=[
            unranked_of(score)
            for score in ([] if cursor or not wanted else queries.unranked(database, batch, unit=unit, post=post))
        ],
        next_cursor=_cursor(batch, found[limit - 1].score.rank or 0) if len(found) > limit else None,
    )


def _etag(batch: Batch, query: str) -> str:
    digest = hashlib.sha256(f"{batch.id} {batch.scored_at.timestamp()} {query}".encode()).hexdigest()[:20]
    return f'W/"{digest}"'


def _cursor(batch: Batch, rank: int) -> str:
    return base64.urlsafe_b64encode(f"{batch.id}.{rank}".encode()).decode().rstrip("=")


def _position(cursor: str, batch: Batch) -> int:
    """Return the rank after which to go on."""
    try:
        number, rank = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(".")
        asked, after = int(number), int(rank)
    except (ValueError, binascii.Error):
        raise Problem(Kind.INVALID, "cursor: not one that this service gave.") from None
    if asked != batch.id:
        raise Problem(Kind.LIST_CHANGED, "The list has been scored anew: start again without a cursor.")
    return after
