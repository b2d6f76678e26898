"""A JSON body is read in its route's own thread, not on the event loop; what it says and documents is the model."""

import threading

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, field_validator

from serving.answers.problems import answer_problems
from serving.answers.sent import ReadHere, Sent

READ_BY = []
JSON = {"content-type": "application/json"}


class Asked(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def noted(cls, number):
        READ_BY.append(threading.get_ident())
        return number


async def loop():
    return threading.get_ident()


@pytest.fixture
def calls():
    router = APIRouter(route_class=ReadHere)

    @router.post("/twice")
    def twice(sent: Sent[Asked], on: int = Depends(loop)) -> dict[str, int]:
        return {"twice": 2 * sent.read().number, "loop": on}

    app = FastAPI()
    app.include_router(router)
    answer_problems(app)
    READ_BY.clear()
    with TestClient(app) as client:
        yield client


def test_a_body_is_read_where_the_route_runs(calls):
    answer = calls.post("/twice", json={"number": 4}).json()
    assert answer["twice"] == 8
    assert len(READ_BY) == 1
    assert answer["loop"] not in READ_BY


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b'{"number": "x"}', JSON, 422, "body.number: "),
        (b'{"number": 1', JSON, 400, "body: Invalid JSON"),
        (b"[]", JSON, 422, "body: "),
        (b"", JSON, 422, "body: "),
        (b'{"number": 1}', {"content-type": "text/plain"}, 422, "body: "),
    ],
)
def test_what_can_not_be_read_is_told_as_for_any_body(calls, body, headers, status, told):
    answer = calls.post("/twice", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["problems"][0].startswith(told)
    assert READ_BY == []


def test_the_document_tells_the_model(calls):
    found = calls.get("/openapi.json").json()
    body = found["paths"]["/twice"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Asked"}
    assert body["required"]
    assert found["components"]["schemas"]["Asked"]["properties"]["number"]["type"] == "integer"
