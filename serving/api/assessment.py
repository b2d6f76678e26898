"""The assessment as JSON: a person's report and points, the cockpit of a unit and the force, the star wall."""

import datetime as dt
from typing import Any

from fastapi import APIRouter, Request

from features.errors import Refusal
from features.months import parse_month
from serving.access.caller import Caller, TheCaller, looked, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer
from serving.api.people import OfficerId
from serving.assessed import reading
from serving.assessed.opening import behind
from serving.assessed.tables import AssessmentHead
from serving.sessions import AsOf, Database

Rows = list[dict[str, Any]]
NO_MONTH = "There is no assessment of this month; run jingxing assess first. 没有这个月的考评。"
NOBODY = "Nobody of this number was in a post at the end of this month. 当月末没有此警号在岗。"
SMALL = "No unit of five persons or more has this name. 没有这个单位，或不足 5 人。"
ANSWERS = problem_answers(Kind.NOT_FOUND, Kind.INVALID)

router = APIRouter(prefix="/api/v1", tags=["assessment"])


class PersonReport(Answer):
    """The three-dimension report of one person; levels are standard deviations of the same post."""

    officer_id: str
    as_of: dt.date
    profile: str
    report: dict[str, Any]
    """Window, status, and for index and dimensions level, interval, percentile, trend and change."""
    tables: dict[str, Rows]
    """indicators, reasons, history, weeks, warnings, stars, honours, ladders, points, leaders, declines and others."""


class PersonPoints(Answer):
    """One person's points ledger."""

    officer_id: str
    as_of: dt.date
    balance_cents: int
    entries: Rows
    """Each with its event, rule version and cents; what was corrected is booked back beside it."""


class Cockpit(Answer):
    """The three dimensions of a unit or, without one, of the force; cells of fewer than five persons are null."""

    as_of: dt.date
    unit: str | None
    scores: Rows
    months: Rows
    units: Rows
    """Every unit's row, for the force only."""


class StarWall(Answer):
    """The stars of the quarter so far, by post and rank."""

    as_of: dt.date
    stars: Rows


@router.get(
    "/officers/{officer_id}/report",
    dependencies=[needs(Permission.SEE_ASSESSMENT)],
    response_model=PersonReport,
    responses=ANSWERS,
)
def officer_report(
    request: Request, officer_id: OfficerId, caller: TheCaller, database: Database, as_of: AsOf
) -> PersonReport:
    """Return a person's three-dimension report at a month (the newest by default)."""
    head = head_or_problem(database, as_of)
    report = report_or_problem(request, caller, database, head=head, officer_id=officer_id)
    return PersonReport(
        officer_id=officer_id, as_of=head.as_of, profile=head.profile, report=report.levels, tables=report.tables
    )


@router.get(
    "/officers/{officer_id}/points",
    dependencies=[needs(Permission.SEE_ASSESSMENT)],
    response_model=PersonPoints,
    responses=ANSWERS,
)
def officer_points(
    request: Request, officer_id: OfficerId, caller: TheCaller, database: Database, as_of: AsOf
) -> PersonPoints:
    """Return a person's points ledger as known at the end of a month."""
    head = head_or_problem(database, as_of)
    report_or_problem(request, caller, database, head=head, officer_id=officer_id)
    entries = opened_or_problem(request, officer_id, head).entries
    return PersonPoints(
        officer_id=officer_id,
        as_of=head.as_of,
        balance_cents=sum(entry["cents"] for entry in entries),
        entries=entries,
    )


@router.get("/cockpit", dependencies=[needs(Permission.SEE_ASSESSMENT)], response_model=Cockpit, responses=ANSWERS)
def cockpit(caller: TheCaller, database: Database, as_of: AsOf, unit: str | None = None) -> Cockpit:
    """Return the three dimensions of a unit, or of the force."""
    head = head_or_problem(database, as_of)
    scores = reading.rows_of(database, caller.sight, head, "units", unit=unit or "")
    if unit and not scores:
        raise Problem(Kind.NOT_FOUND, SMALL)
    return Cockpit(
        as_of=head.as_of,
        unit=unit,
        scores=scores,
        months=reading.rows_of(database, caller.sight, head, "unit_months", unit=unit or ""),
        units=[] if unit else [row for row in reading.rows_of(database, caller.sight, head, "units") if row["unit"]],
    )


@router.get("/stars", dependencies=[needs(Permission.SEE_STARS)], response_model=StarWall, responses=ANSWERS)
def stars(caller: TheCaller, database: Database, as_of: AsOf) -> StarWall:
    """Return the star wall: the stars of the quarter so far, with rank, ties and reasons."""
    head = head_or_problem(database, as_of)
    return StarWall(as_of=head.as_of, stars=reading.rows_of(database, caller.sight, head, "stars"))


def head_or_problem(database: Database, as_of: dt.date | None) -> AssessmentHead:
    """Return the assessment of a month, or the problem that there is none."""
    head = reading.head_of(database, as_of)
    if head is None:
        raise Problem(Kind.NOT_FOUND, NO_MONTH)
    return head


def report_or_problem(
    request: Request, caller: Caller, database: Database, *, head: AssessmentHead, officer_id: str
) -> reading.Report:
    """Return a person's report, or the problem that there is none within the caller's reach; the look is logged."""
    report = reading.report_of(database, caller.sight, head, officer_id)
    looked(request, caller, officer_id, found=report is not None)
    if report is None:
        raise Problem(Kind.NOT_FOUND, NOBODY)
    return report


def opened_or_problem(request: Request, officer_id: str, head: AssessmentHead) -> Any:
    """Return what stands behind a person's figures, or the problem that the histories do not tell."""
    try:
        return behind(request.app.state.home, officer_id, parse_month(head.as_of.strftime("%Y-%m")))
    except Refusal as refusal:
        raise Problem(Kind.NOT_FOUND, f"{refusal.what} {refusal.hint}") from None
