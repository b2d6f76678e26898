"""GET /officers/{id} and its recommendations."""

from typing import Annotated

from fastapi import APIRouter, Path

from serving import queries
from serving.api.answers import Offers, Officer, offer_of, officer_risk_of
from serving.permissions import Permission, needs
from serving.problems import Kind, Problem, problem_answers
from serving.sessions import AsOf, Database
from serving.tables import Facts

OfficerId = Annotated[str, Path(examples=["021457"])]
NOBODY = "Nobody of this number has been scored at this month."

router = APIRouter(prefix="/api/v1/officers", tags=["officers"])


@router.get(
    "/{officer_id}",
    dependencies=[needs(Permission.SEE_PERSON)],
    response_model=Officer,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def officer(officer_id: OfficerId, database: Database, as_of: AsOf) -> Officer:
    """Return a person's risks with reasons and trend, at a month (the newest by default)."""
    facts = _facts(database, officer_id, as_of)
    offers = queries.offers_of(database, facts.as_of, [officer_id]).get(officer_id, [])
    return Officer(
        officer_id=officer_id,
        as_of=facts.as_of,
        post=facts.post,
        unit=facts.unit,
        tenure_months=facts.tenure_months,
        risks=[officer_risk_of(view) for view in queries.person_risks(database, officer_id, facts.as_of)],
        actions=[offer.action for offer in offers],
    )


@router.get(
    "/{officer_id}/recommendations",
    dependencies=[needs(Permission.SEE_RECOMMENDATIONS)],
    response_model=Offers,
    responses=problem_answers(Kind.NOT_FOUND, Kind.INVALID),
)
def recommendations(officer_id: OfficerId, database: Database, as_of: AsOf) -> Offers:
    """Return what to offer, why, the expected benefit or "not estimable", and who decides."""
    facts = _facts(database, officer_id, as_of)
    offers = queries.offers_of(database, facts.as_of, [officer_id]).get(officer_id, [])
    return Offers(officer_id=officer_id, as_of=facts.as_of, recommendations=[offer_of(row) for row in offers])


def _facts(database: Database, officer_id: str, as_of: AsOf) -> Facts:
    facts = queries.facts_of(database, officer_id, as_of)
    if facts is None:
        raise Problem(Kind.NOT_FOUND, NOBODY)
    return facts
