"""Stars, the letter of honour, the negative list, and what HR looks at: ladders, leaders, blind spots, gaming."""

from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.api.assessment import head_or_problem, report_or_problem
from serving.assessed import reading
from serving.assessed.tables import AssessmentHead
from serving.pages.assessed_frame import assessed_page, empty_page
from serving.pages.frame import Reader
from serving.scored.kept import unchanged_of
from serving.sessions import AsOf, Database
from serving.words import say

NO_LETTER = (
    "No letter: no star of this quarter, or the officer has not agreed. 没有家书：本季度未评为警星，或本人未同意。"
)
LOOKED_AT = ("ladders", "leaders", "declines", "hidden", "blind_spots", "gaming", "lint", "offers")
OF_UNITS = ("ladders", "leaders", "declines", "hidden", "blind_spots")
"""What can be looked at unit by unit; the others are of the whole force."""
MOST, WARNED = 60, 200
"""So many rows of a table, and of the warnings, are shown; a unit shows its own, the export all."""

router = APIRouter(include_in_schema=False)
SEEN = [needs(Permission.SEE_ASSESSMENT)]


@router.get("/stars", dependencies=[needs(Permission.SEE_STARS)])
def stars_page(request: Request, caller: TheCaller, database: Database, language: Reader, as_of: AsOf) -> Response:
    """Show the star wall: the stars of the quarter by post, with reasons."""
    head = reading.head_of(database, as_of)
    if head is None and as_of is None:
        return empty_page(request, language)
    head = head_or_problem(database, as_of)
    sight = caller.sight
    stars = unchanged_of(request).value(
        database,
        ("stars", head.id, head.assessed_at, sight),
        lambda session: reading.rows_of(session, sight, head, "stars"),
    )
    return assessed_page(
        request, "stars.html", language, database=database, head=head, stars=stars,
        by_post=[(post, list(rows)) for post, rows in groupby(stars, lambda row: row["post"])],
    )  # fmt: skip


@router.get("/officers/{officer_id}/letter", dependencies=SEEN)
def letter_page(
    request: Request, officer_id: str, caller: TheCaller, database: Database, language: Reader, as_of: AsOf
) -> Response:
    """Show the letter of honour to the family in both languages, where the officer agreed; it is made to be printed."""
    head = head_or_problem(database, as_of)
    letter = report_or_problem(request, caller, database, head=head, officer_id=officer_id).one("letters")
    if letter is None or not letter["agreed"] or not reading.letter_allowed(database, officer_id):
        raise Problem(Kind.NOT_FOUND, NO_LETTER)
    return assessed_page(
        request, "letter.html", language, database=database, head=head, letter=letter, officer_id=officer_id,
        in_language=say,
    )  # fmt: skip


@router.get("/warnings", dependencies=SEEN)
def warnings_page(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    unit: str | None = None,
) -> Response:
    """Show the negative list: what raised each warning and when, appeals, and what was lifted."""
    head = head_or_problem(database, as_of)
    rows = reading.warnings_of(database, caller.sight, head, unit=unit or None, limit=WARNED)
    return assessed_page(
        request, "warnings.html", language, database=database, head=head, unit=unit, most=WARNED,
        units=_units(request, database, caller.sight, head),
        cut=len(rows) == WARNED,
        standing=[row for row in rows if row["state"] != "lifted"],
        lifted=[row for row in rows if row["state"] == "lifted"],
    )  # fmt: skip


@router.get("/assessment", dependencies=SEEN)
def assessment_page(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    as_of: AsOf,
    unit: str | None = None,
) -> Response:
    """Show what HR looks at: two ladders, leaders, decline, hidden work, blind spots, gaming, weights, points."""
    head = reading.head_of(database, as_of)
    if head is None and as_of is None:
        return empty_page(request, language)
    head = head_or_problem(database, as_of)
    names = OF_UNITS if unit else LOOKED_AT
    sight = caller.sight
    found = unchanged_of(request).value(
        database,
        ("assessment", head.id, head.assessed_at, sight, unit),
        lambda session: {
            name: reading.rows_of(session, sight, head, name, unit=unit or None, limit=MOST) for name in names
        },
    )
    return assessed_page(
        request, "assessment.html", language, database=database, head=head, unit=unit, most=MOST,
        units=_units(request, database, sight, head), by_unit=[name.replace("_", "-") for name in OF_UNITS],
        **{name: found.get(name, []) for name in LOOKED_AT},
    )  # fmt: skip


def _units(request: Request, database: Session, sight: Sight, head: AssessmentHead) -> list[str]:
    """The units of which one can be chosen."""
    mark = ("units", head.id, head.assessed_at, sight)
    return unchanged_of(request).value(database, mark, lambda session: reading.units_of(session, sight, head))
