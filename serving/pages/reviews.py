"""Deciding on the pages, by plain forms; and how the deciding goes, for those who watch over it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.decisions import reviews, seen
from serving.decisions.reviews import Decision
from serving.pages.door import local
from serving.pages.frame import Reader, page
from serving.scored import queries
from serving.sessions import Database, Writing, as_of_of

LARGEST_ID = 2**31 - 1
Words = Annotated[str, Form(max_length=2000, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Form(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Form(ge=0, le=LARGEST_ID)]

router = APIRouter(include_in_schema=False)


@router.post("/flags/decision", dependencies=[needs(Permission.REVIEW)])
def decide(
    caller: TheCaller,
    writing: Writing,
    flag_id: Number,
    version: Number,
    decision: Annotated[Decision, Form()],
    reason: Words = "",
    action: Key = "",
    back: Words = "/lists",
) -> Response:
    """Write a decision and go back to where it was made; who was too late is told who decided, and what."""
    flag = seen.flag_seen(writing, caller.sight, flag_id)
    verdict = reviews.Verdict(
        flag_id=flag.id,
        version=version,
        decision=decision,
        as_of=flag.renewed_on,
        reason=reason,
        action=action or None,
    )
    reviews.decide(writing, caller.actor, verdict)
    return RedirectResponse(local(back), status_code=303)


@router.post("/feedback", dependencies=[needs(Permission.REVIEW)])
def give_feedback(
    caller: TheCaller,
    writing: Writing,
    risk: Key,
    as_of: Key,
    officer_id: Key,
    verdict: Annotated[str, Form(pattern="^(right|wrong|unclear)$")],
    measure: Key = "",
    note: Words = "",
    back: Words = "/lists",
) -> Response:
    """Keep what a reviewer says of a score or a reason, and go back."""
    day = as_of_of(as_of)
    assert day is not None
    number = seen.told_of(writing, caller.sight, risk=risk, as_of=day, officer_id=officer_id, measure=measure)
    told = {"risk": risk, "as_of": day, "measure": measure, "officer_id": number}
    given = {**told, "verdict": verdict, "note": note.strip()}
    reviews.give_feedback(writing, caller.actor, given)
    return RedirectResponse(local(back), status_code=303)


@router.get("/reviews", dependencies=[needs(Permission.SEE_MONITOR)])
def reviews_page(request: Request, caller: TheCaller, database: Database, language: Reader) -> Response:
    """Show how flags are decided, who agrees with everything, and what was said of the reasons: no person, no score."""
    sight = caller.sight
    risks = queries.risks(database, sight)
    labels = {risk: batch.labels for risk in risks if (batch := queries.batch_of(database, sight, risk)) is not None}
    return page(
        request,
        "reviews.html",
        language,
        reviewers=seen.reviewers(database),
        agreeing=reviews.agreeing(database),
        risks=risks,
        labels=labels,
        feedback={risk: reviews.feedback_by_measure(database, risk) for risk in risks},
    )
