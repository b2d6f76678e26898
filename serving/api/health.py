"""Whether the service runs (/healthz) and can do its work (/readyz)."""

from typing import Literal

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from serving.access.caller import needs
from serving.access.probes import probed
from serving.access.roles import Permission
from serving.answers.problems import Kind, Problem, problem_answers
from serving.api.answers import Answer
from serving.database import transaction
from serving.models.champions import Champions

router = APIRouter(tags=["health"])


class Health(Answer):
    """The service runs."""

    status: Literal["ok"]


class Readiness(Answer):
    """The database answers, and these risks have a champion."""

    status: Literal["ready"]
    champions: dict[str, str]


@router.get("/healthz", dependencies=[needs(Permission.OPEN), probed()], response_model=Health)
def healthz() -> Health:
    """Return ok as long as the process answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    dependencies=[needs(Permission.OPEN), probed()],
    response_model=Readiness,
    responses=problem_answers(Kind.NOT_READY),
)
def readyz(request: Request) -> Readiness:
    """Return ready when the database answers and some risk has a champion."""
    try:
        with transaction(request.app.state.engine) as session:
            session.execute(select(1))
    except SQLAlchemyError:
        raise Problem(Kind.NOT_READY, "The database doesn't answer.") from None
    champions: Champions = request.app.state.champions
    versions = champions.versions()
    if not versions:
        raise Problem(Kind.NOT_READY, "No risk has a champion; run jingxing train first.")
    return Readiness(status="ready", champions=versions)
