"""The whole API as each role, with made-up requests: no 5xx, and no answer outside the schema."""

import collections
import copy
import os
import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from features.assessment.assess import assess
from features.histories.store import load_histories
from features.months import month_of_day
from serving.access.caller import COOKIE, HEADER
from serving.access.credentials import csrf_token
from serving.access.roles import Role
from serving.answers.document import document
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.database import open_database, transaction
from tests.serving_fixtures import an_officer, sign_in
from tests.store_fixtures import copied, new_database

EXAMPLES = int(os.environ.get("JINGXING_SCHEMA_EXAMPLES", "2"))
"""Requests to each call as each role; the acceptance run sends many more."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
          response_headers_conformance]  # fmt: skip


@pytest.fixture(scope="module")
def served(made_home, tmp_path_factory):
    """A copy of the served force with an assessment: the requests write to it."""
    home = tmp_path_factory.mktemp("schema") / "home"
    shutil.copytree(made_home, home)
    engine, histories = open_database(home), load_histories(home)
    store_assessment(assess(histories, int(month_of_day(histories.last_recorded))), engine)
    yield create_app(home, engine), engine
    engine.dispose()


@pytest.fixture
def served_from_postgres(served, postgres_address):
    """The same in a store on PostgreSQL."""
    home, url = served[0].state.home, new_database(postgres_address)
    copied(home, url)
    engine = open_database(home, url)
    yield create_app(home, engine), engine
    engine.dispose()


def whole_api(app, *, told=None):
    """Return the calls of the document; its security is left out, since each request is signed in already."""
    told = told or copy.deepcopy(document(app))
    told["components"].pop("securitySchemes", None)
    for methods in told["paths"].values():
        for call in methods.values():
            call.pop("security", None)
    schema = schemathesis.openapi.from_dict(told)
    schema.app = app
    return [found.ok() for found in schema.get_all_operations()]


def headers_of(engine, role):
    secret = sign_in(engine, role)
    return {"host": "localhost", "cookie": f"{COOKIE}={secret}", HEADER: csrf_token(secret)}


def known(engine):
    """Values of path parameters that are really there, so that not every answer is a 404."""
    with transaction(engine, writes=False) as session:
        officer, _ = an_officer(session)
    return {"risk": ["burnout", "efficiency_decline"], "officer_id": [officer], "flag_id": [1], "plan_id": [1],
            "objection_id": [1], "mentorship_id": [1], "offer_id": [1]}  # fmt: skip


def asked(call, headers, there, *, examples=EXAMPLES):
    """Send made-up requests to one call, half of them to what is there; return the faults and the statuses."""
    faults, statuses = [], collections.Counter()

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=call.as_strategy(), pick=strategies.randoms(use_true_random=False))
    def send(case, pick):
        for name in case.path_parameters:
            if name in there and pick.random() < 0.7:
                case.path_parameters[name] = pick.choice(there[name])
        for name in [name for name in case.query or {} if pick.random() < 0.5]:
            del case.query[name]
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except BaseExceptionGroup as found:
            faults.extend(f"{call.label} {answer.status_code}: {fault}" for fault in found.exceptions)

    send()
    return faults, statuses


@pytest.mark.parametrize("role", Role)
def test_no_call_fails_or_answers_outside_the_schema(served, role):
    assert _faults(*served, role) == []


def test_nor_does_any_on_postgresql(served_from_postgres):
    assert _faults(*served_from_postgres, Role.WELLNESS) == []


def _faults(app, engine, role):
    headers, there, wrong = headers_of(engine, role.value), known(engine), []
    for call in whole_api(app):
        wrong += asked(call, headers, there)[0]
    return wrong


def test_a_fault_would_be_found(served):
    """The check itself: an answer that the document does not know is reported."""
    app, engine = served
    told = copy.deepcopy(document(app))
    told["paths"] = {"/api/v1/stars": told["paths"]["/api/v1/stars"]}
    del told["paths"]["/api/v1/stars"]["get"]["responses"]["200"]
    (call,) = whole_api(app, told=told)
    wrong, statuses = asked(call, headers_of(engine, "hr"), {}, examples=8)
    assert statuses[200] > 0
    assert any("200" in fault for fault in wrong)
