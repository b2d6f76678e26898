"""What a person answers on the own record: to a mentorship that is offered, and to a letter to the family."""

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from serving.access.caller import Caller, TheCaller, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem
from serving.api.mentoring import LARGEST_ID, take_step
from serving.assessed.letters import agree_to_letters, withdraw_from_letters
from serving.mentoring.lifecycle import LONGEST_NOTE, Decided, Step
from serving.mentoring.reading import own_pairs
from serving.sessions import NumberInPath, Writing

MINE = "/my-record"
NO_PAIR = "There is no such mentorship of yours. 没有您的这一结对。"
NO_RECORD = "This account belongs to no record. 此账号未关联本人档案。"
Words = Annotated[str, Form(max_length=LONGEST_NOTE, pattern=r"^[^\x00]*$")]

router = APIRouter(prefix=MINE, include_in_schema=False)


@router.post("/mentorships/{mentorship_id}", dependencies=[needs(Permission.SEE_OWN_RECORD)])
def own_answer(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    mentorship_id: NumberInPath,
    version: Annotated[int, Form(ge=0, le=LARGEST_ID)],
    step: Annotated[Literal["agree", "refuse"], Form()],
    any_mentorship: Annotated[bool, Form()] = False,
    note: Words = "",
) -> Response:
    """Say yes or no to a mentorship that was offered; it begins when both said yes, and no reason is asked."""
    pair = next((pair for pair in own_pairs(writing, own_of(caller)) if pair.row.id == mentorship_id), None)
    if pair is None:
        raise Problem(Kind.NOT_FOUND, NO_PAIR)
    if step == "agree" and pair.side in pair.agreed:
        raise Problem(Kind.INVALID, "You said yes already. 您已同意。")
    decided = Decided(
        mentorship_id=mentorship_id,
        version=version,
        step=Step(step),
        on=dt.date.today(),
        note=note,
        who=pair.side,
        any_mentorship=any_mentorship and step == "refuse",
    )
    take_step(request, writing, caller, decided)
    return _back("pair_agreed" if step == "agree" else "pair_refused")


@router.post("/letter", dependencies=[needs(Permission.CONSENT)])
def own_letter(caller: TheCaller, writing: Writing, act: Annotated[Literal["agree", "withdraw"], Form()]) -> Response:
    """Agree to a letter of honour to the family, or withdraw."""
    change = agree_to_letters if act == "agree" else withdraw_from_letters
    change(writing, caller.actor, own_of(caller), today=dt.datetime.now(dt.UTC).date())
    return _back("letter_agreed" if act == "agree" else "letter_withdrawn")


def own_of(caller: Caller) -> str:
    """Return whose record the caller's own is; a Problem where the account belongs to none."""
    own = caller.sight.officer_id
    if own is None:
        raise Problem(Kind.NOT_FOUND, NO_RECORD)
    return own


def _back(done: str) -> Response:
    return RedirectResponse(f"{MINE}?done={done}#done", status_code=303)
