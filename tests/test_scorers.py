"""Processes that score beside the server: they answer as it does, are replaced when killed, and none outlives it."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from fastapi.testclient import TestClient

from features.errors import Refusal
from features.months import month_text
from serving.access import accounts, credentials
from serving.access.audit import SYSTEM
from serving.access.roles import Role
from serving.app import create_app
from serving.database import open_database, transaction
from serving.models import scorers as module
from serving.models.scorers import Scorers
from serving.settings import Settings
from tests.export_files import as_sent
from tests.serving_fixtures import HERE, last_month
from tests.test_serve import ended, started

PATH = "/api/v1/predictions"


def which(champions, asked):
    """Which process does the work, with which champions; an error that is no refusal is a bug."""
    if asked == "refused":
        raise Refusal("No.")
    if asked == "broken":
        raise ZeroDivisionError
    return f"{os.getpid()} {champions.versions()}".encode()


def much(_champions, asked):
    """Far more than a pipe holds: who sends it is killed in the middle."""
    return bytes(asked)


def begun(scorers):
    """Ask until a process has begun; what it answered then."""
    assert scorers.answered(which, "who") is None  # whoever asks once needs none
    while (told := scorers.answered(which, "who")) is None:
        pass
    return int(told.split()[0])


@pytest.fixture(scope="module")
def two(made_home):
    """Two processes, one of which has begun."""
    scorers = Scorers(made_home, 2)
    begun(scorers)
    yield scorers
    scorers.close()


@pytest.fixture(scope="module")
def science(engine):
    """The header of a data scientist's program."""
    return token(engine)


def token(engine):
    with transaction(engine) as session:
        accounts.add_account(session, SYSTEM, accounts.NewAccount("scorers", Role.DATA_SCIENTIST))
        session.flush()
        secret = credentials.add_token(session, SYSTEM, "scorers", label="test")
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def sent(given):
    """All that is recorded of one person, as a program sends it."""
    return {**as_sent(given, str(given.officers[3]))[1], "as_of": month_text(last_month(given))}


def test_the_work_is_done_in_another_process_by_the_same_champions(two):
    pid, _, champions = two.answered(which, "who").decode().partition(" ")
    assert int(pid) in {child.pid for child in psutil.Process().children()} - {os.getpid()}
    assert "burnout" in champions
    assert two.answered(which, "who").decode().startswith(pid)  # who asks one by one needs no second


def test_what_cannot_be_answered_is_left_to_the_server_and_a_bug_is_told(two, caplog):
    assert two.answered(which, "refused") is None
    assert caplog.messages == []
    assert two.answered(which, "broken") is None
    assert caplog.messages == ["A process that scores has failed (ZeroDivisionError); the server scores."]


def test_many_at_once_are_each_answered_with_their_own(two):
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda size: two.answered(much, size), range(200)))
    assert [len(each) for each in found if each is not None] == [
        size for size, each in enumerate(found) if each is not None
    ]
    assert any(each is not None for each in found)


def test_a_killed_process_is_replaced_and_no_answer_is_lost(made_home):
    scorers = Scorers(made_home, 1)
    try:
        killed = begun(scorers)
        os.kill(killed, signal.SIGKILL)
        assert scorers.answered(which, "who") is None  # the server does it
        assert begun(scorers) != killed
    finally:
        scorers.close()
    assert not psutil.pid_exists(killed)


def test_a_process_killed_in_the_middle_of_its_answer_holds_nobody_up(made_home):
    scorers = Scorers(made_home, 1)
    try:
        process = psutil.Process(begun(scorers))
        found = []
        asking = threading.Thread(target=lambda: found.append(scorers.answered(much, 2_000_000_000)))
        before = psutil.Process().memory_info().rss
        asking.start()
        while psutil.Process().memory_info().rss < before + 50_000_000:  # the answer is on its way
            pass
        process.kill()
        asking.join(timeout=60)
        assert found == [None]
        assert begun(scorers) != process.pid
    finally:
        scorers.close()


def test_where_no_process_can_be_started_the_server_scores_and_tries_again_later(made_home, monkeypatch, caplog):
    def refuses(*_given, **_named):
        raise BlockingIOError("no more processes")

    scorers = Scorers(made_home, 1, pause=3600.0)
    with monkeypatch.context() as patched:
        patched.setattr(module.NEW, "Process", refuses)
        assert [scorers.answered(which, "who") for _ in range(4)] == [None] * 4
    assert caplog.messages == ["A process that scores could not be started (BlockingIOError)."]  # once in a pause
    assert scorers.answered(which, "who") is None
    scorers = Scorers(made_home, 1, pause=0.0)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(module.NEW, "Process", refuses)
            assert [scorers.answered(which, "who") for _ in range(2)] == [None] * 2
        begun(scorers)
    finally:
        scorers.close()


def test_the_route_answers_the_same_from_another_process(made_home, engine, science, sent):
    wrong = {**sent, "events": [{**sent["events"][0], "value": -1e300}]}
    app, alone = create_app(made_home, engine, Settings(scorers=1)), create_app(made_home, engine)
    with (
        TestClient(app, base_url="http://localhost", client=HERE, headers=science) as calls,
        TestClient(alone, base_url="http://localhost", client=HERE, headers=science) as own,
    ):
        here = calls.post(PATH, json=sent)
        assert here.json()["predictions"]
        begun(app.state.scorers)
        assert calls.post(PATH, json=sent).content == here.content == own.post(PATH, json=sent).content
        refused = calls.post(PATH, json=wrong)
        assert refused.status_code == 422
        assert "events.0.value" in refused.text
        broken = calls.post(PATH, content=b"{", headers={"content-type": "application/json"})
        assert broken.status_code == 400
    assert app.state.scorers.answered(which, "who") is None  # the application has ended


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_none_outlives_the_server_and_none_complains(tmp_path, number, sent):
    service, port, _ = started(tmp_path, "--scorers", "2")
    try:
        engine = open_database(tmp_path)
        headers = token(engine)
        engine.dispose()
        for _ in range(2):
            answer = httpx.post(f"http://127.0.0.1:{port}{PATH}", json=sent, headers=headers)
            assert answer.status_code == 422  # nothing was ingested
        beside = psutil.Process(service.pid).children(recursive=True)
        assert beside
        for process in [service, *beside] if number == signal.SIGINT else [service]:  # Ctrl+C reaches all of them
            os.kill(process.pid, number)
        _, alive = psutil.wait_procs([psutil.Process(service.pid), *beside], timeout=60)
        assert not alive
    finally:
        _, _, said = ended(service)
    assert "Traceback" not in said
