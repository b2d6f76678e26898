"""The service: pages and API over the score store. It imports nothing that can fit a model."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from serving.access.caller import needs
from serving.access.large import LargeFromKnown
from serving.access.provider import OwnProvider
from serving.access.rates import Rates
from serving.access.roles import Permission
from serving.access.secrets import salt_of
from serving.answers.document import document
from serving.answers.headers import AtHome, Headed, Logged, Tagged
from serving.answers.problems import LastDoor, answer_problems
from serving.api import assessment as assessment_answers
from serving.api import audit as audit_answers
from serving.api import effects as effects_answers
from serving.api import health, metrics, people, predictions, reviews, risk_lists
from serving.api import mentoring as mentoring_answers
from serving.api import models as models_answers
from serving.api import objections as objections_answers
from serving.api import offers as offers_answers
from serving.api import rest as rest_answers
from serving.api import what_if as what_if_answers
from serving.models.champions import Champions
from serving.models.scorers import Scorers
from serving.pages import (
    accounts,
    arrivals,
    assessment,
    cockpit,
    door,
    exports,
    lists,
    log,
    mine,
    monitor,
    months,
    my_answers,
    notice,
    officers,
    provider,
    units,
)
from serving.pages import effects as effects_pages
from serving.pages import mentoring as mentoring_pages
from serving.pages import models as models_pages
from serving.pages import objections as objections_pages
from serving.pages import offers as offers_pages
from serving.pages import rest as rest_pages
from serving.pages import reviews as reviews_pages
from serving.pages import what_if as what_if_pages
from serving.pages.again import form_again
from serving.pages.frame import problem_page
from serving.rest.solving import Underway
from serving.scored.as_before import AsBefore
from serving.scored.kept import Unchanged
from serving.sessions import Turns
from serving.settings import Settings

SUMMARY = "Early warning of efficiency decline and burnout. It offers help; it never punishes."


PARTS = (
    risk_lists, people, reviews, predictions, health, metrics, assessment_answers, audit_answers, objections_answers,
    door, provider, accounts, exports, lists, months, reviews_pages, monitor, officers, units, cockpit, assessment,
    mine, my_answers, objections_pages, log, arrivals, notice,
    rest_answers, rest_pages, effects_answers, effects_pages,
    mentoring_answers, mentoring_pages, models_answers, models_pages, what_if_answers, what_if_pages,
    offers_answers, offers_pages,
)  # fmt: skip
"""Every module with routes; where two addresses could mean the same, the first one answers."""


def create_app(home: Path, engine: Engine, settings: Settings | None = None) -> FastAPI:
    """Return the service over the score store at ``engine`` and the models and profile at ``home``."""
    settings = settings or Settings()
    app = FastAPI(
        title="Jingxing 警醒",
        summary=SUMMARY,
        version="1",
        openapi_url=None,  # served below, with a permission like every other route
        docs_url=None,  # the stock pages load from a CDN
        redoc_url=None,
        generate_unique_id_function=_operation,
        lifespan=_lifespan,
    )
    _remember(app, home, engine, settings)
    for part in PARTS:
        app.include_router(part.router)
    app.add_api_route(
        "/openapi.json",
        lambda: JSONResponse(document(app)),
        dependencies=[needs(Permission.OPEN)],
        include_in_schema=False,
        response_class=Response,
    )
    answer_problems(app)
    _surround(app, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What ends with the service."""
    yield
    app.state.scorers.close()


def _remember(app: FastAPI, home: Path, engine: Engine, settings: Settings) -> None:
    """What routes find at ``request.app.state``."""
    app.state.home = home
    app.state.engine = engine
    app.state.salt = salt_of(engine)
    app.state.settings = settings
    app.state.turns = Turns(settings.at_once)
    app.state.provider = OwnProvider(settings.provider) if settings.provider else None
    app.state.rates = Rates(settings.calls_a_minute)
    app.state.champions = Champions(home)
    app.state.scorers = Scorers(home, settings.scorers)
    app.state.unchanged = Unchanged()
    app.state.underway = Underway()
    app.state.problem_page = problem_page
    app.state.form_again = form_again


def _surround(app: FastAPI, settings: Settings) -> None:
    """What stands around every answer; the last added is the outermost."""
    app.add_middleware(AsBefore)
    app.add_middleware(LastDoor)
    app.add_middleware(Tagged)
    app.add_middleware(LargeFromKnown)
    app.add_middleware(Logged)
    app.add_middleware(AtHome, hosts=settings.trusted_hosts)
    app.add_middleware(Headed)


def _operation(route: APIRoute) -> str:
    """The name of a call in the document: its method and address, since two modules may use one function name."""
    words = re.findall(r"\w+", route.path_format.removeprefix("/api/v1"))
    return "_".join([*sorted(method.lower() for method in route.methods or ()), *words])
