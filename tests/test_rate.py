"""Limits and repeats: calls of a token, turns at the database, writes sent twice, unchanged answers."""

import threading

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy import func, select

from serving.access import accounts, credentials
from serving.access.audit import SYSTEM, record
from serving.access.caller import TheCaller, needs
from serving.access.rates import Rates
from serving.access.repeated import Once
from serving.access.roles import Permission, Role
from serving.access.tables import AuditRow
from serving.answers.problems import Problem
from serving.app import create_app
from serving.database import transaction
from serving.sessions import Writing
from serving.settings import Settings
from tests.serving_fixtures import HERE


class Wanted(BaseModel):
    what: str


class Done(BaseModel):
    number: int


router = APIRouter()


@router.post("/api/v1/things", dependencies=[needs(Permission.REVIEW)])
def thing(wanted: Wanted, once: Once, writing: Writing, caller: TheCaller) -> Done:
    return once.once(writing, Done, lambda: Done(number=record(writing, caller.actor, "thing", wanted.what).number))


def app_of(tmp_path, engine, **settings):
    app = create_app(tmp_path, engine, Settings(**settings))
    app.include_router(router)
    return app


def program(app, engine, name="robot"):
    with transaction(engine) as session:
        accounts.add_account(session, SYSTEM, accounts.NewAccount(name, Role.WELLNESS))
        secret = credentials.add_token(session, SYSTEM, name, label="x")
    return TestClient(app, base_url="http://localhost", client=HERE, headers={"authorization": f"Bearer {secret}"})


def things(engine):
    with transaction(engine, writes=False) as session:
        return session.scalar(select(func.count()).select_from(AuditRow).where(AuditRow.action == "thing"))


def test_a_token_has_so_many_calls_and_gets_them_back_evenly():
    now = [0.0]
    rates = Rates(60, clock=lambda: now[0])
    for _ in range(6):
        rates.count(1)
    with pytest.raises(Problem) as refused:
        rates.count(1)
    assert refused.value.retry_after == 1
    rates.count(2)
    now[0] = 1.0
    rates.count(1)
    with pytest.raises(Problem):
        rates.count(1)
    now[0] = 1000.0
    for _ in range(6):
        rates.count(1)


def test_the_service_tells_a_hasty_program_when_to_come_back(tmp_path, store):
    calls = program(app_of(tmp_path, store, calls_a_minute=30), store)
    statuses = [calls.get("/api/v1/risk-lists/none").status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    answer = calls.get("/api/v1/risk-lists/none")
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1


def test_a_write_sent_twice_with_one_key_is_done_once(tmp_path, store):
    calls = program(app_of(tmp_path, store), store)
    key = {"Idempotency-Key": "8e03978e-40d5-43dd"}
    first, second = (calls.post("/api/v1/things", json={"what": "a"}, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert things(store) == 1
    other = calls.post("/api/v1/things", json={"what": "b"}, headers=key)
    assert other.status_code == 422
    assert calls.post("/api/v1/things", json={"what": "a"}).json() != first.json()
    assert things(store) == 2


def test_a_key_counts_for_the_account_that_sent_it(tmp_path, store):
    app = app_of(tmp_path, store)
    key = {"Idempotency-Key": "8e03978e-40d5-43dd"}
    answers = [program(app, store, name).post("/api/v1/things", json={"what": "a"}, headers=key).json()
               for name in ("one", "other")]  # fmt: skip
    assert answers[0] != answers[1]


def test_of_two_at_once_with_one_key_one_is_done_and_both_get_its_answer(tmp_path, store):
    calls = program(app_of(tmp_path, store), store)
    answers = []

    def send():
        key = {"Idempotency-Key": "8e03978e-40d5-43dd"}
        answers.append(calls.post("/api/v1/things", json={"what": "a"}, headers=key))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert things(store) == 1


def test_more_requests_than_connections_all_get_their_turn(tmp_path, store):
    app = app_of(tmp_path, store, at_once=3, calls_a_minute=100_000)
    calls = program(app, store)
    with calls:  # one loop for all of them
        answers = []

        def send(number):
            answers.append(calls.post("/api/v1/things", json={"what": str(number)}).status_code)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [200] * 40
    assert things(store) == 40


@pytest.mark.parametrize("path", ["/api/v1/risk-lists/burnout?limit=5", "/api/v1/officers/{id}"])
def test_an_answer_that_has_not_changed_is_not_sent_again(client, path):
    officer = client.get("/api/v1/risk-lists/burnout?limit=1").json()["entries"][0]["officer_id"]
    path = path.replace("{id}", officer)
    tag = client.get(path).headers["etag"]
    again = client.get(path, headers={"if-none-match": f'"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-type" not in again.headers
    assert client.get(path, headers={"if-none-match": '"x"'}).status_code == 200
