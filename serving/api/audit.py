"""The log as JSON for the auditor: the hash-chained rows, and whether they are as they were written."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from serving.access.audit import Fault, faults
from serving.access.caller import needs
from serving.access.roles import Permission
from serving.access.tables import AuditHead, AuditRow
from serving.access.trail import Wanted, details_shown, how_many, trail
from serving.answers.problems import Kind, problem_answers
from serving.api.answers import Answer, Text
from serving.sessions import Database

MOST = 500

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])
Filter = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]*$")]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$", examples=["2024-06-30"])]


class LogRow(Answer):
    """One thing that was done, chained to the row before by its hash."""

    number: int = Field(examples=[1041])
    at: str = Field(examples=["2024-06-30T08:15:02.120000+00:00"], description="UTC, ISO 8601.")
    actor: str = Field(examples=["chen"])
    role: str = Field(examples=["wellness"])
    action: str = Field(examples=["flag decided"])
    subject: str = Field(examples=["flag 12"])
    details: dict[str, Any]
    withheld: list[str] = Field(description="Details that tell of somebody's health: hashed with the row, not shown.")
    previous: str
    hash: str


class Log(Answer):
    """A page of the log, the newest first; ``next_cursor`` leads to older rows, null at the end."""

    rows: list[LogRow]
    total: int
    next_cursor: int | None


class Found(Answer):
    """A row that is not as it was written."""

    number: int
    what: Text


class Verified(Answer):
    """Whether the chain is whole; ``head`` is worth writing down elsewhere: it names the last row and its hash."""

    whole: bool
    rows: int
    head: str | None = Field(examples=["1041:9f2c..."])
    faults: list[Found]


@router.get(
    "",
    dependencies=[needs(Permission.SEE_AUDIT)],
    response_model=Log,
    responses=problem_answers(Kind.SIGN_IN, Kind.FORBIDDEN, Kind.INVALID),
)
def log(
    database: Database,
    cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    actor: Filter = "",
    action: Filter = "",
    subject: Filter = "",
    since: Day = "",
    until: Day = "",
) -> Log:
    """Return rows of the log below a cursor, the newest first, filtered where asked."""
    wanted = Wanted(actor, action, subject, since, until)
    rows = trail(database, wanted, before=cursor, limit=limit + 1)
    return Log(
        rows=[_told(row) for row in rows[:limit]],
        total=how_many(database),
        next_cursor=rows[limit - 1].number if len(rows) > limit else None,
    )


@router.get(
    "/verify",
    dependencies=[needs(Permission.SEE_AUDIT)],
    response_model=Verified,
    responses=problem_answers(Kind.SIGN_IN, Kind.FORBIDDEN),
)
def verify(database: Database) -> Verified:
    """Check every row of the log against the chain."""
    found, head = faults(database), database.get(AuditHead, 1)
    return Verified(
        whole=not found,
        rows=how_many(database),
        head=f"{head.number}:{head.hash}" if head else None,
        faults=[_fault(each) for each in found],
    )


def _told(row: AuditRow) -> LogRow:
    plain = {name: getattr(row, name) for name in LogRow.model_fields if name not in ("details", "withheld")}
    details, withheld = details_shown(row)
    return LogRow(**plain, details=details, withheld=withheld)


def _fault(fault: Fault) -> Found:
    return Found(number=fault.number, what=Text(zh=fault.what_zh, en=fault.what_en))
