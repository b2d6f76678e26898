"""For who decides: requests for help first, then objections with their clocks and both scores."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response

from features.errors import Refusal
from features.histories.store import stored_profile
from serving.access.caller import Caller, TheCaller, needs
from serving.access.roles import Field, Permission
from serving.answers.problems import Kind, Problem
from serving.api.objections import NO_NUL, decided, looked_into
from serving.decisions import help, objections, reruns
from serving.decisions.held import Record, held_of
from serving.decisions.objections import LONGEST, SHORTEST, Decided, Outcome
from serving.decisions.tables import Objection
from serving.pages.codes import key_of
from serving.pages.frame import Reader, page
from serving.sessions import Database, Writing
from serving.words import one_language

OBJECTIONS = "/objections"
ANSWERED = 50
"""So many decided objections are shown below the open ones."""
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Words = Annotated[str, Form(min_length=SHORTEST, max_length=LONGEST, pattern=NO_NUL)]

router = APIRouter(prefix=OBJECTIONS, include_in_schema=False)
DECIDES = [needs(Permission.DECIDE_OBJECTIONS)]


@router.get("", dependencies=DECIDES)
def objections_page(request: Request, caller: TheCaller, database: Database, language: Reader) -> Response:
    """Show who asked for help, and what is contested: the open ones first, by the day they are due."""
    found, profile = objections.objections_seen(database, caller.sight), stored_profile(request.app.state.home)
    asked = help.waiting(database) if hears(caller) else []
    return page(
        request,
        "objections.html",
        language,
        code=key_of,
        asked=asked,
        asking=len({row.officer_id for row in asked}),
        answered=help.answered(database) if hears(caller) else [],
        open=[row for row in found if row.status == objections.OPEN],
        ended=[row for row in found if row.status != objections.OPEN][:ANSWERED],
        counts=objections.counts(database, purposes=caller.sight.purposes),
        label=lambda key: profile.label(key, language),
        today=dt.datetime.now(dt.UTC).date(),
    )


@router.get("/{objection_id}", dependencies=DECIDES)
def objection_page(
    request: Request, objection_id: Number, caller: TheCaller, database: Database, language: Reader
) -> Response:
    """Show one objection: what is contested, both scores side by side, and the form for the decision."""
    row, profile = (
        looked_into(request, caller, database, objection_id),
        stored_profile(request.app.state.home),
    )
    return page(
        request,
        "objection.html",
        language,
        code=key_of,
        row=row,
        records=_records(request, row),
        before=reruns.scores_seen(database, caller.sight, row.before, officer_id=row.officer_id),
        without=reruns.scores_seen(database, caller.sight, row.without, officer_id=row.officer_id),
        label=lambda key: profile.label(key, language),
        barred=one_language(objections.why_not(database, caller.actor, caller.sight, row) or "", language),
        outcomes=list(Outcome),
        today=dt.datetime.now(dt.UTC).date(),
    )


@router.post("/{objection_id}/decision", dependencies=DECIDES)
def decide(
    request: Request,
    objection_id: Number,
    caller: TheCaller,
    version: Annotated[int, Form(ge=0, le=2**31 - 1)],
    outcome: Annotated[Outcome, Form()],
    answer: Words,
) -> Response:
    """Decide an objection and go back to it."""
    decided(request, caller, Decided(objection_id, version, outcome, answer))
    return RedirectResponse(f"{OBJECTIONS}/{objection_id}", status_code=303)


@router.post("/help/{request_id}", dependencies=[needs(Permission.REVIEW)])
def answer_help(request_id: Number, caller: TheCaller, writing: Writing, answer: Words) -> Response:
    """Write what was agreed with somebody who asked for help."""
    if not hears(caller):
        raise Problem(Kind.FORBIDDEN, "Requests for help are answered by wellness officers. 求助由健康护航专员答复。")
    help.answer_help(writing, caller.actor, request_id, answer, own=caller.sight.officer_id)
    return RedirectResponse(f"{OBJECTIONS}#answered", status_code=303)


def hears(caller: Caller) -> bool:
    """Return whether the caller sees wellness at all: a request for help is health data."""
    return Field.HEALTH in caller.sight.fields("wellness") and not caller.sight.pseudonymous


def _records(request: Request, row: Objection) -> list[Record]:
    """The contested records as they are held now; none where the histories do not tell."""
    try:
        held = held_of(request.app.state.home, row.officer_id)
    except Refusal:
        return []
    return [record for record in held.records if record.name in set(row.event_ids)]
