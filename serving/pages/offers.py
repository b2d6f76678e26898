"""The page of offers: what is due, from whom, why; each taken a step further by a form; and how many came of it."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from features.histories.store import stored_profile
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.api.offers import LARGEST_ID, decided, made_by_hand
from serving.mentoring.tables import Offer
from serving.offers import life
from serving.offers.life import Decided, Step
from serving.offers.raising import KINDS
from serving.pages.frame import Reader, page
from serving.pages.mentoring import day_of
from serving.scored.kept import unchanged_of
from serving.sessions import Database, NumberInPath, Writing

PLACE = "/offers"
SHOWN = 60
OPEN = ("proposed", "accepted")
KIND_WORDS = {
    "training": "offer_kind_training", "rotation": "offer_kind_rotation", "ladder": "offer_kind_ladder",
    "care": "offer_kind_care", "culture": "offer_kind_culture",
}  # fmt: skip
STATE_WORDS = {
    "proposed": "offer_proposed", "accepted": "offer_accepted", "declined": "offer_declined", "done": "offer_done",
    "lapsed": "offer_lapsed",
}  # fmt: skip
Words = Annotated[str, Form(max_length=2000, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Form(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Form(ge=0, le=LARGEST_ID)]

router = APIRouter(include_in_schema=False)


@router.get(PLACE, dependencies=[needs(Permission.SEE_RECOMMENDATIONS)])
def offers_page(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    kind: str | None = None,
    unit: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")] = "",
) -> Response:
    """Show what is open, the first due first; what can be offered by hand; and the counts."""
    sight = caller.sight
    found, counts, units = unchanged_of(request).value(
        database, ("offers", kind, unit, sight), lambda session: _told(session, sight, kind or None, unit or None)
    )
    profile = stored_profile(request.app.state.home)
    by_hand = {
        key: action.label.get(language)
        for key, action in profile.actions.items()
        if action.kind in KINDS and caller.role.value in (action.owner, action.decides)
    }
    return page(
        request,
        "offers.html",
        language,
        offers=[(row, life.may_decide(sight, row)) for row in found[:SHOWN]],
        total=len(found),
        kind=kind or "",
        unit=unit,
        units=units,
        counts=counts,
        by_hand=by_hand,
        today=dt.date.today(),
        kinds=KIND_WORDS,
        states=STATE_WORDS,
        post=lambda key: profile.label(key, language),
    )


def _told(
    session: Session, sight: Sight, kind: str | None, unit: str | None
) -> tuple[list[Offer], list[life.Counted], list[str]]:
    """Open offers, the caller's own to decide first and the first due first; how many in each state; units of all."""
    found = life.offers_seen(session, sight, status=OPEN, kind=kind, unit=unit)
    found.sort(key=lambda row: (not life.may_decide(sight, row), row.due_on, row.id))
    return found, life.counted(session, sight), life.units_offered(session, sight, status=OPEN)


@router.post(PLACE, dependencies=[needs(Permission.SEE_RECOMMENDATIONS)])
def offer_made(request: Request, caller: TheCaller, writing: Writing, officer_id: Key, action: Key) -> Response:
    """Make an offer by hand and go back to the page."""
    made_by_hand(request, writing, caller, officer_id.strip(), action)
    return RedirectResponse(PLACE, status_code=303)


@router.post("/offers/{offer_id}/decision", dependencies=[needs(Permission.SEE_RECOMMENDATIONS)])
def offer_decided(
    caller: TheCaller,
    writing: Writing,
    offer_id: NumberInPath,
    version: Number,
    step: Annotated[Step, Form()],
    on: Key = "",
    note: Words = "",
) -> Response:
    """Take a step and go back to the page."""
    decided(writing, caller, Decided(offer_id, version, step, day_of(on), note))
    return RedirectResponse(PLACE, status_code=303)


@router.post("/my-record/offers/{offer_id}", dependencies=[needs(Permission.SEE_OWN_RECORD)])
def own_word(
    caller: TheCaller,
    writing: Writing,
    offer_id: NumberInPath,
    version: Number,
    step: Annotated[Step, Form()],
) -> Response:
    """The person accepts or declines what is offered to them, and goes back to the own record, which says so."""
    decided(writing, caller, Decided(offer_id, version, step, dt.date.today()))
    return RedirectResponse(f"/my-record?done=offer_{step.value}#done", status_code=303)
