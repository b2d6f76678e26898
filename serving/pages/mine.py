"""My record: what is held of me, what was predicted and why, who looked; objections, help, consent."""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from features.profile import Profile
from serving import charts
from serving.access.caller import TheCaller, needs
from serving.access.looking import who_looked
from serving.access.roles import Permission
from serving.access.sight import Sight
from serving.answers.problems import Kind, Problem
from serving.api.objections import NO_NUL, NewObjection, RecordName, contested
from serving.assessed import reading
from serving.assessed.letters import letter_agreed
from serving.assessed.tables import AssessmentHead
from serving.decisions import consents, help, objections, reruns, rescored
from serving.decisions.held import Held, held_of
from serving.decisions.objections import LONGEST, SHORTEST, Against
from serving.decisions.standing import corrected
from serving.mentoring.reading import own_pairs
from serving.offers.life import offers_seen
from serving.pages.assessed_frame import told_by
from serving.pages.codes import CODES, key_of
from serving.pages.frame import Reader, page
from serving.pages.mentoring import STATUS_WORDS
from serving.pages.my_answers import MINE
from serving.pages.my_answers import own_of as _own
from serving.persons.whole import person_of
from serving.scored import queries
from serving.scored.kept import Unchanged, unchanged_of
from serving.scored.told import gated, whose
from serving.sessions import LARGEST_NUMBER, Database, Writing

Size = Literal["wide", "narrow"]
SHOWN = 400
"""So many records of a measure are shown on a page."""

router = APIRouter(prefix=MINE, include_in_schema=False)
SEEN = [needs(Permission.SEE_OWN_RECORD)]
Words = Annotated[str, Form(max_length=LONGEST, pattern=NO_NUL)]


@router.get("", dependencies=SEEN)
def my_record(
    request: Request,
    caller: TheCaller,
    database: Database,
    language: Reader,
    after: BackgroundTasks,
    done: str = "",
) -> Response:
    """Show one's own record; scores that a killed server owes are computed after the answer."""
    own = _own(caller)
    held = held_of(request.app.state.home, own)
    basis = consents.basis_of(database, own, register=_register(held))
    head = reading.head_of(database, None)
    if basis.computing:
        after.add_task(rescored.rescore_withdrawn, request.app.state.engine, request.app.state.home)
    return page(
        request,
        "mine.html",
        language,
        code=key_of,
        own=own,
        held=held,
        recorded={row.measure for row in held.by_measure()},
        name=lambda key: held.profile.label(key, language),
        unit_of=_unit_of(held.profile, language),
        basis=basis,
        looked=who_looked(database, (own, caller.sight.pseudonym(own))),
        pair_words=STATUS_WORDS,
        kinds=list(help.Wanted),
        days=held.profile.settings.policy.objection_days,
        done=done if done in DONE else "",
        head=head,
        **(told_by(head, language) if head else {}),
        **_judged(unchanged_of(request), database, caller.sight, own, head=head),
    )


DONE = tuple(CODES["done"])
"""What a page can say was just done."""


@router.get("/risk.svg", dependencies=SEEN)
def risk_picture(
    request: Request, caller: TheCaller, database: Database, language: Reader, risk: str, size: Size = "wide"
) -> Response:
    """Draw one of one's own risks over the scored months."""
    person = person_of(unchanged_of(request), database, caller.sight, _own(caller))
    view = next((each for each in person.risks if each.batch.risk == risk), None) if person else None
    if view is None:
        raise Problem(Kind.NOT_FOUND, "There is no score of this risk. 没有这一风险的评分。")
    points = [
        charts.RiskPoint(
            as_of=batch.as_of,
            probability=score.probability,
            low=score.low,
            high=score.high,
            mean=float(batch.post_means.get(score.post or "", batch.post_means[""])),
            whose=whose(batch, score.post),
        )
        for batch, score in view.trend
    ]
    return Response(charts.risk_chart(points, language, size), media_type="image/svg+xml")


@router.get("/records", dependencies=SEEN)
def records_page(
    request: Request,
    caller: TheCaller,
    language: Reader,
    measure: str,
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER)] = 0,
) -> Response:
    """Show every record of one measure, each with a box to contest it."""
    own = _own(caller)
    held = held_of(request.app.state.home, own)
    rows = held.of(measure)
    if not rows:
        raise Problem(Kind.NOT_FOUND, "There is no record of this. 没有这一项目的记录。")
    return page(
        request,
        "my_records.html",
        language,
        code=key_of,
        measure=measure,
        label=held.profile.label(measure, language),
        unit=_unit_of(held.profile, language)(measure),
        rows=rows[after : after + SHOWN],
        total=len(rows),
        other=sum(row.state != "counts" for row in rows),
        after=after,
        step=SHOWN,
        days=held.profile.settings.policy.objection_days,
        shortest=SHORTEST,
    )


@router.post("/objections", dependencies=[needs(Permission.OBJECT)])
def object_to(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    after: BackgroundTasks,
    against: Annotated[Against, Form()],
    told: Annotated[str, Form(min_length=SHORTEST, max_length=LONGEST, pattern=NO_NUL)],
    risk: Annotated[str, Form(max_length=120, pattern=NO_NUL)] = "",
    measure: Annotated[str, Form(max_length=120, pattern=NO_NUL)] = "",
    record: Annotated[list[RecordName], Form(max_length=objections.MOST_RECORDS)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Contest records, a score or a warning of one's own; the score without the records is computed right after."""
    asked = NewObjection(against=against, told=told, risk=risk or None, measure=measure or None, event_ids=record)
    row = contested(request, caller, writing, asked)
    after.add_task(reruns.rerun, request.app.state.engine, request.app.state.home, row.id)
    return _back("objection")


@router.post("/help", dependencies=[needs(Permission.ASK_FOR_HELP)])
def ask_for_help(
    caller: TheCaller, writing: Writing, kind: Annotated[help.Wanted, Form()], told: Words = ""
) -> Response:
    """Ask for help for oneself: it stands above every list until somebody answers."""
    help.ask_for_help(writing, caller.actor, _own(caller), kind=kind, told=told)
    return _back("help")


@router.post("/consent", dependencies=[needs(Permission.CONSENT)])
def consent(
    request: Request,
    caller: TheCaller,
    writing: Writing,
    after: BackgroundTasks,
    act: Annotated[Literal["give", "withdraw"], Form()],
    past: Annotated[bool, Form()] = False,
) -> Response:
    """Give or withdraw consent to one's own health data; a withdrawal has the standing scores computed anew."""
    own, home, today = _own(caller), request.app.state.home, dt.datetime.now(dt.UTC).date()
    register = _register(held_of(home, own))
    if act == "give":
        consents.give(writing, caller.actor, own, register=register, home=home, today=today)
        return _back("given")
    consents.withdraw(writing, caller.actor, own, register=register, home=home, today=today, past=past)
    after.add_task(rescored.rescore_withdrawn, request.app.state.engine, home)
    return _back("withdrawn")


def _back(done: str) -> Response:
    return RedirectResponse(f"{MINE}?done={done}#done", status_code=303)


def _judged(
    kept: Unchanged, database: Session, sight: Sight, own: str, *, head: AssessmentHead | None
) -> dict[str, Any]:
    """What models and rules say of the person, what the person said against it, and what is offered."""
    asked = ("mine", own, sight, (head.id, head.assessed_at) if head else None)
    return kept.value(database, asked, lambda session: _read(session, sight, own, head))


def _read(database: Session, sight: Sight, own: str, head: AssessmentHead | None) -> dict[str, Any]:
    facts = queries.facts_of(database, sight, own)
    found = queries.person_risks(database, sight, own, facts.as_of) if facts else []
    report = reading.report_of(database, sight, head, own) if head else None
    return {
        "facts": facts,
        "asked": help.requests_of(database, own),
        "offers": offers_seen(database, sight, status=("proposed", "accepted"), officer_id=own),
        "pairs": own_pairs(database, own),
        "letter": letter_agreed(database, own),
        "risks": [_told(database, each, own) for each in found],
        "report": report,
        "warnings": report.rows("warnings") if report else [],
        "contested": [
            (
                row,
                *(reruns.scores_seen(database, sight, scores, officer_id=own) for scores in (row.before, row.without)),
            )
            for row in objections.objections_seen(database, sight)
        ],
    }


def _register(held: Held) -> bool:
    return held.profile.settings.sensitive_basis == "organisation"


def _unit_of(profile: Profile, language: str) -> Any:
    def unit(key: str) -> str:
        text = profile.measures[key].unit
        told = text.get(language) if text else ""
        return (
            "" if profile.label(key, language).lower().endswith(told.lower()) else told
        )  # not "Complaints complaints"

    return unit


def _told(database: Session, view: queries.PersonRisk, own: str) -> dict[str, Any]:
    """One risk: the score as it stands, the reasons that hold, and why it was computed anew where it was."""
    anew = corrected(database, view.batch, [own]).get(own)
    return {
        "view": view,
        "score": view.score,
        "cause": anew.cause if anew else "",
        "reasons": [reason for reason in view.reasons.strongest if gated(reason)],
    }
