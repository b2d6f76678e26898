"""GET /officers/{id} and its recommendations."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from serving.access.caller import Caller, TheCaller, looked, needs
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Offers, Officer, offer_of, officer_risk_of
from serving.persons.seen import Known
from serving.scored import queries
from serving.scored.offered import offers_of
from serving.sessions import AsOf, Database

OfficerId = Annotated[str, Path(examples=["021457"])]
NOBODY = "Nobody of this number has been scored at this month."

router = APIRouter(prefix="/api/v1/officers", tags=["officers"])


@router.get(
    "/{officer_id}",
    dependencies=[needs(Permission.SEE_PERSON)],
    response_model=Officer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def officer(request: Request, officer_id: OfficerId, caller: TheCaller, database: Database, as_of: AsOf) -> Officer:
    """Return a person's risks with reasons and trend, at a month (the newest by default)."""
    facts = _facts(request, caller, database, officer_id, as_of)
    offers = offers_of(database, caller.sight, facts.as_of, [officer_id]).get(officer_id, [])
    return Officer(
        officer_id=facts.officer_id,
        as_of=facts.as_of,
        post=facts.post,
        unit=facts.unit,
        tenure_months=facts.tenure_months,
        risks=[officer_risk_of(view) for view in queries.person_risks(database, caller.sight, officer_id, facts.as_of)],
        actions=[offer.action for offer in offers],
    )


@router.get(
    "/{officer_id}/recommendations",
    dependencies=[needs(Permission.SEE_RECOMMENDATIONS)],
    response_model=Offers,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def recommendations(
    request: Request, officer_id: OfficerId, caller: TheCaller, database: Database, as_of: AsOf
) -> Offers:
    """Return what to offer, why, the expected benefit or "not estimable", and who decides."""
    facts = _facts(request, caller, database, officer_id, as_of)
    offers = offers_of(database, caller.sight, facts.as_of, [officer_id]).get(officer_id, [])
    return Offers(officer_id=facts.officer_id, as_of=facts.as_of, recommendations=[offer_of(row) for row in offers])


def _facts(request: Request, caller: Caller, database: Database, officer_id: str, as_of: AsOf) -> Known:
    facts = queries.facts_of(database, caller.sight, officer_id, as_of)
    looked(request, caller, officer_id, found=facts is not None)
    if facts is None:
        raise Problem(Kind.NOT_FOUND, NOBODY)
    return facts
