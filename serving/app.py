"""The service: pages and API over the score store. It imports nothing that can fit a model."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from serving.api import assessment as assessment_answers
from serving.api import health, metrics, people, predictions, risk_lists
from serving.champions import Champions
from serving.headers import AtHome, Headed
from serving.pages import assessment, cockpit, lists, monitor, officers, units
from serving.pages.frame import problem_page
from serving.permissions import Permission, needs
from serving.problems import LastDoor, answer_problems

SUMMARY = "Early warning of efficiency decline and burnout. It offers help; it never punishes."


def create_app(home: Path, engine: Engine) -> FastAPI:
    """Return the service over the score store at ``engine`` and the models and profile at ``home``."""
    app = FastAPI(
        title="Jingxing 警醒",
        summary=SUMMARY,
        version="1",
        openapi_url=None,  # served below, with a permission like every other route
        docs_url=None,  # the stock pages load from a CDN
        redoc_url=None,
        generate_unique_id_function=_operation,
    )
    app.state.home = home
    app.state.engine = engine
    app.state.champions = Champions(home)
    app.state.problem_page = problem_page
    answers = (risk_lists, people, predictions, health, metrics, assessment_answers)
    for part in (*answers, lists, monitor, officers, units, cockpit, assessment):
        app.include_router(part.router)
    app.add_api_route(
        "/openapi.json",
        lambda: JSONResponse(app.openapi()),
        dependencies=[needs(Permission.OPEN)],
        include_in_schema=False,
        response_class=Response,
    )
    answer_problems(app)
    for layer in (LastDoor, AtHome, Headed):  # the last added is the outermost
        app.add_middleware(layer)
    return app


def _operation(route: APIRoute) -> str:
    return route.name
