"""A program that asks again is answered as before exactly while nothing changed: in the store, or about the program."""

import itertools
import logging

import pytest
from fastapi import APIRouter, Request, Response
from fastapi.testclient import TestClient

from serving.access import accounts, credentials
from serving.access.audit import SYSTEM, record
from serving.access.caller import TheCaller, needs
from serving.access.roles import Permission, Role
from serving.access.tables import Token
from serving.answers.logs import TOLD
from serving.app import create_app
from serving.database import transaction
from serving.scored.as_before import answered
from serving.sessions import Database
from serving.settings import Settings
from tests.serving_fixtures import HERE

PATH = "/api/v1/numbered?a=1"


class Desk:
    """A service with one route whose answers are numbered as they are made, and programs that ask it."""

    def __init__(self, home, engine, **settings):
        self.engine, self.made = engine, 0
        router, numbers = APIRouter(), itertools.count(1)

        @router.get("/api/v1/numbered", dependencies=[needs(Permission.SEE_LISTS)])
        def numbered(request: Request, caller: TheCaller, database: Database) -> Response:
            def make():
                self.made = next(numbers)
                return str(self.made).encode(), {"ETag": f'W/"{self.made}"'}

            return answered(request, database, caller, make)

        self.app = create_app(home, engine, Settings(**settings))
        self.app.include_router(router)

    def account(self, name, role=Role.WELLNESS):
        with transaction(self.engine) as session:
            accounts.add_account(session, SYSTEM, accounts.NewAccount(name, role))
        return name

    def program(self, name, permissions=()):
        with transaction(self.engine) as session:
            secret = credentials.add_token(session, SYSTEM, name, label="x", permissions=permissions)
        asks = {"authorization": f"Bearer {secret}"}
        return TestClient(self.app, base_url="http://localhost", client=HERE, headers=asks)

    def did(self, action):
        with transaction(self.engine) as session:
            record(session, SYSTEM, action, "somebody")


@pytest.fixture
def desk(tmp_path, store):
    made = Desk(tmp_path, store)
    made.account("robot")
    return made


def test_what_is_asked_again_is_not_made_again(desk):
    robot = desk.program("robot")
    first, second, other = (robot.get(path) for path in (PATH, PATH, "/api/v1/numbered?a=2"))
    assert [first.text, second.text, other.text] == ["1", "1", "2"]
    assert first.headers == second.headers
    assert robot.get(PATH, headers={"if-none-match": 'W/"1"'}).status_code == 304
    assert robot.get(PATH).text == "1"  # and the short answer took nothing away from the long one


@pytest.mark.parametrize(("action", "number"), [("flag decided", "2"), ("looked", "1")])
def test_a_change_makes_it_anew_and_a_look_does_not(desk, action, number):
    robot = desk.program("robot")
    robot.get(PATH)
    desk.did(action)
    assert robot.get(PATH).text == number


def test_nobody_is_given_the_answer_to_another(desk):
    desk.account("other")
    programs = [desk.program("robot"), desk.program("other")]
    assert [[each.get(PATH).text for each in programs] for _ in range(2)] == [["1", "2"], ["1", "2"]]


def test_a_token_that_may_less_is_refused_what_its_account_was_given(desk):
    all_of_it = desk.program("robot")
    less = desk.program("robot", permissions=[Permission.REVIEW])
    assert all_of_it.get(PATH).status_code == 200
    assert less.get(PATH).status_code == 403


@pytest.mark.parametrize("secret", ["Bearer jx_guessed", "Basic cm9ib3Q6eA==", "Bearer"])
def test_what_was_answered_is_behind_the_door_still(desk, secret):
    assert desk.program("robot").get(PATH).text == "1"
    stranger = TestClient(desk.app, base_url="http://localhost", client=HERE)
    assert stranger.get(PATH, headers={"authorization": secret}).status_code == 401
    assert stranger.get(PATH).status_code == 401


def _revoked(session):
    credentials.revoke(session, SYSTEM, session.query(Token).one().id)


def _revoked_in_silence(session):
    """As by somebody at the database: no row of the log tells of it."""
    token = session.query(Token).one()
    token.revoked_at = token.made_at


def _closed(session):
    accounts.disable(session, SYSTEM, "robot")


@pytest.mark.parametrize("end", [_revoked, _revoked_in_silence, _closed])
def test_a_token_that_ended_is_given_nothing_more(desk, end):
    robot = desk.program("robot")
    assert [robot.get(PATH).text for _ in range(2)] == ["1", "1"]
    with transaction(desk.engine) as session:
        end(session)
    assert robot.get(PATH).status_code == 401


def test_each_call_is_counted_once(tmp_path, store):
    desk = Desk(tmp_path, store, calls_a_minute=30)
    robot = desk.program(desk.account("robot"))
    answers = [robot.get(PATH) for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_the_log_tells_of_both_alike(desk, caplog):
    robot = desk.program("robot")
    with caplog.at_level(logging.INFO, "serving.answers.headers"):
        robot.get(PATH)
        robot.get(PATH)
    told = [getattr(line, TOLD) for line in caplog.records]
    assert desk.made == 1
    assert [(each["route"], each["role"], each["status"]) for each in told] == [
        ("/api/v1/numbered", "wellness", 200)
    ] * 2
