"""The page of mentorships: pairs with reasons, who stays without and why, the next step of each by a form."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from features.histories.store import load_roster
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.api.mentoring import LARGEST_ID, take_step
from serving.mentoring import lifecycle
from serving.mentoring.fit import PARTS
from serving.mentoring.lifecycle import Decided, Outcome, Step
from serving.mentoring.proposals import propose
from serving.mentoring.reading import (
    Pair,
    RoundNow,
    Without,
    newest_round,
    pair_seen,
    pairs_seen,
    round_now,
    unmatched_seen,
    whole_force,
)
from serving.mentoring.tables import MentoringRound
from serving.pages.frame import Reader, page
from serving.scored.kept import unchanged_of
from serving.sessions import Database, NumberInPath, Writing, as_of_of
from serving.words import joined, say

PLACE = "/mentorships"
SHOWN, LISTED = 40, 100
"""So many pairs stand on a page, and so many names in each list below them."""
OPEN = ("proposed", "offered", "accepted", "running")
OVER = ("refused", "ended")
PART_WORDS = {
    "strengths": "part_strengths", "same_post": "part_same_post", "near": "part_near",
    "tenure_gap": "part_tenure_gap", "shared_shifts": "part_shared_shifts",
}  # fmt: skip
STATUS_WORDS = {
    "proposed": "pair_proposed", "offered": "pair_offered", "accepted": "pair_accepted", "running": "pair_running",
    "refused": "pair_refused", "ended": "pair_ended",
}  # fmt: skip
STEP_WORDS = {
    "propose": "pair_step_propose", "withdraw": "pair_step_withdraw", "offer": "pair_step_offer",
    "agree": "pair_step_agree", "accept": "pair_step_accept", "refuse": "pair_step_refuse", "start": "pair_step_start",
    "check_in": "pair_step_check_in", "end": "pair_step_end",
}  # fmt: skip
OUTCOME_WORDS = {
    "completed": "outcome_completed", "conflict": "outcome_conflict", "moved": "outcome_moved",
    "other": "outcome_other", "withdrawn": "outcome_withdrawn",
}  # fmt: skip
DONE = {"propose": "pair_done_propose", "apart": "pair_done_apart", "offer": "pair_done_offer",
        "agree": "pair_done_recorded", "accept": "pair_done_accept", "refuse": "pair_done_refuse",
        "start": "pair_done_start", "check_in": "pair_done_recorded", "end": "pair_done_end"}  # fmt: skip
"""What was just done, and how the page says so."""
Words = Annotated[str, Form(max_length=lifecycle.LONGEST_NOTE, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Form(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Form(ge=0, le=LARGEST_ID)]

router = APIRouter(prefix=PLACE, include_in_schema=False)


@dataclass(frozen=True)
class Mentoring:
    """All that the page tells: the round, the pairs by state in the order of what to do next, and who is without."""

    made: MentoringRound | None
    pairs: Sequence[Pair]
    over: Sequence[Pair]
    mentees: Sequence[Without]
    mentors: Sequence[Without]
    now: RoundNow | None


@router.get("", dependencies=[needs(Permission.SEE_MENTORING)])
def mentoring_page(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    pair: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the pairs, so many a page: what to do next first; then who stays without, then what is over.

    ``pair`` is one that is shown first, whatever the page: somebody has just decided on it.
    """
    sight, today = caller.sight, dt.date.today()
    told = unchanged_of(request).value(database, ("mentorships", sight), lambda session: _told(session, sight))
    made, pairs = told.made, told.pairs
    first = [each for each in pairs if each.row.id == pair]
    shown = [*first, *(each for each in pairs[after : after + SHOWN] if each not in first)]
    return page(
        request,
        "mentoring.html",
        language,
        made=made,
        now=told.now,
        since=max(0, told.now.warned - told.now.paired - len(told.mentees)) if told.now else 0,
        done=DONE.get(done, ""),
        groups=[(status, [each for each in shown if each.row.status == status]) for status in reversed(OPEN)],
        counts={
            **Counter(each.row.status for each in pairs),
            **{name: len(getattr(told, name)) for name in ("over", "mentees", "mentors")},
        },
        open_pairs=len(pairs),
        after=after,
        more=after + SHOWN if after + SHOWN < len(pairs) else None,
        over=told.over[:LISTED],
        mentees=told.mentees[:LISTED],
        mentors=told.mentors[:LISTED],
        due=sum(each.row.next_check_in is not None and each.row.next_check_in <= today for each in pairs),
        one_more=made.one_more if made and whole_force(sight) else [],
        label=_labels(made.labels if made else {}, language),
        whole=whole_force(sight),
        odd=lambda pair: joined([say(key, language) for key in _odd(pair)], language),
        may_decide=Permission.DECIDE_MENTORING in caller.permissions,
        today=today,
        parts=[(name, PART_WORDS[name]) for name in PARTS],
        status_words=STATUS_WORDS,
        step_words=STEP_WORDS,
        outcome_words=OUTCOME_WORDS,
        outcomes=[outcome.value for outcome in Outcome],
    )


def _told(session: Session, sight: Sight) -> Mentoring:
    made = newest_round(session, sight)
    without = unmatched_seen(session, sight, made) if made else []
    by_state = {state: place for place, state in enumerate(reversed(OPEN))}
    return Mentoring(
        made=made,
        pairs=sorted(pairs_seen(session, sight, status=OPEN), key=lambda pair: by_state[pair.row.status]),
        over=pairs_seen(session, sight, status=OVER)[::-1],
        mentees=[row for row in without if row.side == "mentee" and row.kind != "paired"],
        mentors=[row for row in without if row.side == "mentor"],
        now=round_now(session, made, states=OPEN) if made and whole_force(sight) else None,
    )


@router.post("/proposals", dependencies=[needs(Permission.DECIDE_MENTORING)])
def propose_pairs(request: Request, caller: TheCaller, writing: Writing, as_of: Key = "") -> Response:
    """Match anew and go back to the page."""
    propose(writing, request.app.state.home, caller.actor, as_of=as_of_of(as_of) if as_of else None)
    return RedirectResponse(f"{PLACE}?done=propose", status_code=303)


@router.post("/kept-apart", dependencies=[needs(Permission.DECIDE_MENTORING)])
def keep_two_apart(request: Request, caller: TheCaller, writing: Writing, one: Key, other: Key) -> Response:
    """Keep two persons apart and go back; a number that the roster does not have would protect nobody."""
    known = load_roster(request.app.state.home).officers
    for field, number in (("one", one), ("other", other)):
        if number.strip() not in known:
            raise Problem(Kind.NOT_FOUND, "Nobody has this number. 没有这个编号。", field=field)
    lifecycle.keep_apart(writing, caller.actor, one, other)
    return RedirectResponse(f"{PLACE}?done=apart#apart", status_code=303)


@router.post("/{mentorship_id}/decision", dependencies=[needs(Permission.DECIDE_MENTORING)])
def decide(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    mentorship_id: NumberInPath,
    version: Number,
    step: Annotated[Step, Form()],
    on: Key = "",
    note: Words = "",
    who: Key = "",
    any_mentorship: Key = "",
    outcome: Annotated[Outcome | None, Form()] = None,
) -> Response:
    """Take a step and go back to the pair; who was too late is told so."""
    pair_seen(writing, caller.sight, mentorship_id)
    decided = Decided(
        mentorship_id=mentorship_id,
        version=version,
        step=step,
        on=day_of(on),
        note=note,
        who=who or None,
        any_mentorship=bool(any_mentorship and who),
        outcome=outcome,
    )
    take_step(request, writing, caller, decided)
    return RedirectResponse(f"{PLACE}?pair={mentorship_id}&done={step.value}#done", status_code=303)


ODD = {"same_post": (1.0, "odd_post"), "strengths": (0.2, "odd_strengths"), "tenure_gap": (0.5, "odd_gap")}
"""Parts of a fit below which a pair looks odd, and how that is said."""
BESIDES = {"near": (1.0, "odd_unit"), "shared_shifts": (0.3, "odd_shifts")}
"""Said only beside something odd."""


def _odd(pair: Pair) -> list[str]:
    """What of a pair needs explaining; nothing where the pair is as one would expect."""
    found = [word for name, (least, word) in ODD.items() if pair.parts and pair.parts[name] < least]
    return found + [word for name, (least, word) in BESIDES.items() if found and pair.parts[name] < least]


def day_of(text: str) -> dt.date:
    """Return the day of a form; today where the field was left empty."""
    if not text:
        return dt.date.today()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise Problem(Kind.INVALID, "A day is written YYYY-MM-DD. 日期格式为 YYYY-MM-DD。", field="on") from None


def _labels(labels: dict[str, Any], language: str) -> Any:
    """Posts and indicators as they were called in the round."""
    known = {**labels.get("posts", {}), **labels.get("skills", {})}
    return lambda key: known.get(key, {}).get(language, key)
