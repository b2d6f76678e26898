"""The cockpit: the three dimensions of the force, a unit and a person; each figure down to its events."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from serving.access.caller import TheCaller, needs
from serving.access.roles import SCOPE_OF, Permission, Reach
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.api.assessment import SMALL, head_or_problem, opened_or_problem, report_or_problem
from serving.assessed import reading
from serving.assessed.pictures import force_chart, months_chart
from serving.assessed.tables import AssessmentHead
from serving.decisions.objections import a_year_ago, counts
from serving.pages.assessed_frame import assessed_page, empty_page, saying
from serving.pages.frame import Reader
from serving.scored.kept import unchanged_of
from serving.sessions import AsOf, Database

Size = Literal["wide", "narrow"]
MOST = 60
"""So many units are shown of the force; the others are chosen by name."""

router = APIRouter(include_in_schema=False)
SEEN = [needs(Permission.SEE_ASSESSMENT)]


@router.get("/cockpit", dependencies=SEEN)
def cockpit_page(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    unit: str | None = None,
    force: bool = False,
) -> Response:
    """Show the force, or a unit with its persons: the three dimensions against peers, and twelve months.

    Who answers for units begins at these; ``force`` shows the figures of all beside, and no list of one's own.
    """
    head = reading.head_of(database, as_of)
    if head is None and as_of is None:
        return empty_page(request, language)
    head = head_or_problem(database, as_of)
    sight, kept = caller.sight, unchanged_of(request)
    mark = head.id, head.assessed_at, sight
    names = kept.value(database, ("units", *mark), lambda session: reading.units_of(session, sight, head))
    of_units = SCOPE_OF[caller.role] is Reach.UNITS
    own = of_units and not force and not unit
    unit = unit or (names[0] if own and len(names) == 1 else None)
    shown = (unit,) if unit else ("", *names[:MOST])
    told = kept.value(
        database,
        ("cockpit", *mark, shown, own),
        lambda session: _told(session, sight, head, shown, by_post=not unit and not own),
    )
    if unit and not told["members"]:
        raise Problem(Kind.NOT_FOUND, SMALL)
    return assessed_page(
        request,
        "cockpit.html",
        language,
        database=database,
        head=head,
        unit=unit or "",
        mine=own and not unit,
        of_units=of_units,
        listed=not of_units or not force,
        most=MOST,
        names=names,
        objections=counts(database, since=a_year_ago(), purposes=("development",)),
        **told,
    )


def _told(
    session: Session, sight: Sight, head: AssessmentHead, shown: Sequence[str], *, by_post: bool
) -> dict[str, Any]:
    """What stands in the store of the force ('' and some units) or of one unit with its persons."""
    first, unit = shown[0], shown[0] or None
    rows = reading.standings_of(session, sight, head, shown)
    return {
        "own": {row["score"]: row for row in rows if row["unit"] == first},
        "units": _by_unit(rows),
        "members": reading.members_of(session, sight, head, unit) if unit else [],
        "history": reading.rows_of(session, sight, head, "unit_months", unit=first),
        "warned": reading.how_many(session, sight, head, "warnings", unit=unit),
        "posts": _by_post(reading.rows_of(session, sight, head, "force_months")) if by_post else {},
    }


@router.get("/cockpit/months.svg", dependencies=SEEN)
def cockpit_picture(
    caller: TheCaller, database: Database, language: Reader, as_of: AsOf, unit: str = "", size: Size = "wide"
) -> Response:
    """Draw twelve months of the force or a unit."""
    head = head_or_problem(database, as_of)
    return _picture(reading.rows_of(database, caller.sight, head, "unit_months", unit=unit), language, size)


@router.get("/cockpit/force.svg", dependencies=SEEN)
def force_picture(
    caller: TheCaller, database: Database, language: Reader, as_of: AsOf, post: str, size: Size = "wide"
) -> Response:
    """Draw twelve months of each indicator of a post, the mean of all in it."""
    head = head_or_problem(database, as_of)
    rows = [row for row in reading.rows_of(database, caller.sight, head, "force_months") if row["post"] == post]
    if not rows:
        raise Problem(Kind.NOT_FOUND, SMALL)
    said = saying(head, language)
    return _svg(force_chart(rows, {row["indicator"]: said(row["indicator"]) for row in rows}, language, size))


@router.get("/officers/{officer_id}/cockpit", dependencies=SEEN)
def person_page(
    request: Request, officer_id: str, caller: TheCaller, database: Database, language: Reader, as_of: AsOf
) -> Response:
    """Show a person: how they stand among peers, how sure that is, what changed and why, points and warnings."""
    head = head_or_problem(database, as_of)
    report = report_or_problem(request, caller, database, head=head, officer_id=officer_id)
    return assessed_page(
        request,
        "cockpit_person.html",
        language,
        database=database,
        head=head,
        report=report,
        person=report.levels,
        counted=_by_dimension([row for row in report.rows("indicators") if row["weight"]]),
        uncounted=[row for row in report.rows("indicators") if not row["weight"]],
    )


@router.get("/officers/{officer_id}/cockpit.svg", dependencies=SEEN)
def person_picture(
    request: Request,
    officer_id: str,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    size: Size = "wide",
) -> Response:
    """Draw a person's twelve months against the peers' middle."""
    report = report_or_problem(request, caller, database, head=head_or_problem(database, as_of), officer_id=officer_id)
    return _picture(report.rows("history"), language, size)


@router.get("/officers/{officer_id}/points", dependencies=SEEN)
def points_page(
    request: Request, officer_id: str, caller: TheCaller, database: Database, language: Reader, as_of: AsOf
) -> Response:
    """Show a person's points ledger, each entry with its event and rule, and the balance after it."""
    head = head_or_problem(database, as_of)
    report = report_or_problem(request, caller, database, head=head, officer_id=officer_id)
    entries, balance = [], 0
    for entry in opened_or_problem(request, officer_id, head).entries:
        balance += entry["cents"]
        entries.append({**entry, "balance_cents": balance})
    months = [(month, list(rows)) for month, rows in groupby(reversed(entries), lambda row: row["booked_on"][:7])]
    return assessed_page(
        request, "points.html", language, database=database, head=head, report=report, person=report.levels,
        by_month=months, balance=balance,
    )  # fmt: skip


@router.get("/officers/{officer_id}/events", dependencies=SEEN)
def events_page(
    request: Request, officer_id: str, caller: TheCaller, database: Database, language: Reader, as_of: AsOf
) -> Response:
    """Show the events behind each figure of a person."""
    head = head_or_problem(database, as_of)
    report = report_or_problem(request, caller, database, head=head, officer_id=officer_id)
    figures: dict[str, list[dict[str, Any]]] = {row["indicator"]: [] for row in report.rows("indicators")}
    for event in opened_or_problem(request, officer_id, head).events:
        figures.setdefault(event["figure"], []).append(event)
    return assessed_page(
        request, "events.html", language, database=database, head=head, report=report, person=report.levels,
        figures=figures,
    )  # fmt: skip


def _picture(rows: list[reading.Record], language: str, size: str) -> Response:
    if not rows:
        raise Problem(Kind.NOT_FOUND, SMALL)
    return _svg(months_chart(rows, language, size))


def _svg(picture: bytes) -> Response:
    return Response(picture, media_type="image/svg+xml")


def _by_unit(rows: list[reading.Record]) -> dict[str, dict[str, reading.Record]]:
    found: dict[str, dict[str, reading.Record]] = {}
    for row in rows:
        if row["unit"]:
            found.setdefault(row["unit"], {})[row["score"]] = row
    return found


def _by_dimension(rows: list[reading.Record]) -> dict[str, list[reading.Record]]:
    found: dict[str, list[reading.Record]] = {}
    for row in rows:
        found.setdefault(row["dimension"], []).append(row)
    return found


def _by_post(rows: list[reading.Record]) -> dict[str, dict[str, list[reading.Record]]]:
    """Post -> indicator -> its months."""
    found: dict[str, dict[str, list[reading.Record]]] = {}
    for row in rows:
        found.setdefault(row["post"], {}).setdefault(row["indicator"], []).append(row)
    return found
