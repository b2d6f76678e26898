"""The log for the auditor: who did what and when, filtered, and whether it is as it was written."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from features.errors import Refusal
from features.histories.store import stored_profile
from serving.access.audit import faults
from serving.access.caller import needs
from serving.access.roles import Permission
from serving.access.tables import AuditHead
from serving.access.trail import Wanted, actions, how_many, trail
from serving.pages.codes import DONE
from serving.pages.frame import Reader, page
from serving.pages.logged import Named, lines
from serving.sessions import Database
from serving.words import say

SHOWN = 100

router = APIRouter(include_in_schema=False)
Filter = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]*$")]
DAY = r"^(\d{4}-\d{2}-\d{2})?$"
Day = Annotated[str, Query(pattern=DAY)]


@router.get("/log", dependencies=[needs(Permission.SEE_AUDIT)])
def log_page(
    request: Request,
    database: Database,
    language: Reader,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    verify: bool = False,
    actor: Filter = "",
    action: Filter = "",
    subject: Filter = "",
    since: Day = "",
    until: Day = "",
    first: Annotated[str, Query(alias="from", pattern=DAY)] = "",
    last: Annotated[str, Query(alias="to", pattern=DAY)] = "",
) -> Response:
    """Show the rows of the log, the newest first; with ``verify`` every row is checked against the chain.

    ``from`` and ``to`` mean the same as ``since`` and ``until``.
    """
    wanted = Wanted(actor.strip(), action, subject.strip(), since or first, until or last)
    rows = trail(database, wanted, before=before, limit=SHOWN + 1)
    head = database.get(AuditHead, 1)
    return page(
        request,
        "log.html",
        language,
        lines=lines(rows[:SHOWN], language, _named(request, language)),
        found=how_many(database, wanted),
        did=lambda action: say(DONE[action], language) if action in DONE else action,
        older=rows[SHOWN - 1].number if len(rows) > SHOWN else None,
        wanted=wanted,
        actions=actions(database),
        total=how_many(database),
        head=f"{head.number}:{head.hash}" if head else "",
        verified=verify,
        faults=faults(database) if verify else [],
    )


def _named(request: Request, language: str) -> Named:
    """Say risks, measures and actions as the force's profile does; the key where there is no profile yet.

    What is of wellness or health keeps the key that the row was written with: auditors are told no more than that.
    """
    try:
        profile = stored_profile(request.app.state.home)
    except Refusal:
        return lambda key: key
    kept = {key for key, risk in profile.risks.items() if risk.purpose == "wellness"}
    kept |= {key for key, measure in profile.measures.items() if measure.sensitive}
    return lambda key: key if key in kept else profile.label(key, language)
