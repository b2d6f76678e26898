"""A draft that is put into another order is another draft: to its pages, to its units, and to whoever publishes it."""

import threading

import pytest
from sqlalchemy import select

from features.months import month_end
from serving.access.audit import SYSTEM, record
from serving.access.sight import WHOLE
from serving.answers.problems import Kind, Problem
from serving.app import create_app
from serving.database import open_database, transaction
from serving.decisions import rescored
from serving.decisions.publishing import altered, list_of, publish
from serving.decisions.tables import Published, Rescored
from serving.scored.queries import batch_of, units
from serving.tables import Batch, Score
from tests.serving_fixtures import signed_in_client
from tests.test_month import JUNE, LI, scored, written

DAY = month_end(JUNE)
LOW = {"probability": 0.01, "low": 0.0, "high": 0.02, "rank": 3, "evidence": "sufficient", "model_version": "1",
       "contributions": [0.1], "strongest": []}  # fmt: skip
LIST = "/api/v1/risk-lists/burnout"


def test_a_list_published_while_a_correction_is_written_is_published_in_its_order(store):
    written(store, scored())
    kept, done = threading.Event(), []

    def correct():
        with transaction(store) as session:
            rescored.keep(session, "burnout", DAY, "a", score=LOW, cause="objection")
            session.flush()
            kept.set()
            released.wait(1.0)  # what else this transaction does, while the other one comes
        done.append("corrected")

    def put_out():
        kept.wait()
        with transaction(store) as session:
            publish(session, LI, list_of(session, "burnout", DAY))
        done.append("published")

    released = threading.Event()
    threads = [threading.Thread(target=each) for each in (correct, put_out)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert done == ["corrected", "published"]
    with transaction(store, writes=False) as session:
        assert altered(session) == []
        ranks = select(Score.officer_id).where(Score.rank.is_not(None)).order_by(Score.rank)
        assert session.scalars(ranks).all() == ["b", "c", "a"]
        out, anew = session.scalars(select(Published)).one(), session.scalars(select(Rescored)).one()
        assert anew.at < out.at  # it is part of what was published, and is told as such


def test_a_draft_that_was_reordered_since_it_was_looked_at_is_not_published(store):
    written(store, scored())
    with transaction(store) as session:
        seen = list_of(session, "burnout", DAY).reordered
        rescored.keep(session, "burnout", DAY, "a", score=LOW, cause="objection")
    with pytest.raises(Problem) as problem, transaction(store) as session:
        publish(session, LI, list_of(session, "burnout", DAY), reordered=seen)
    assert problem.value.kind is Kind.LIST_CHANGED
    with transaction(store) as session:
        batch = list_of(session, "burnout", DAY)
        assert batch.reordered == seen + 1
        publish(session, LI, batch, reordered=batch.reordered)


def test_a_correction_that_moves_nobody_leaves_the_draft_what_it_was(store):
    written(store, scored())
    with transaction(store) as session:
        rescored.keep(session, "burnout", DAY, "c", score=LOW, cause="objection")
        assert list_of(session, "burnout", DAY).reordered == 0


def test_a_draft_that_was_scored_anew_meanwhile_is_not_published(store):
    written(store, scored())
    with transaction(store, writes=False) as session:
        seen = list_of(session, "burnout", DAY)
    written(store, scored(version="2"))
    with pytest.raises(Problem) as problem, transaction(store) as session:
        publish(session, LI, Batch(id=seen.id + 100, risk="burnout", as_of=DAY))
    assert problem.value.kind is Kind.LIST_CHANGED


@pytest.fixture
def served(own_home):
    engine = open_database(own_home)
    yield signed_in_client(create_app(own_home, engine), engine, "wellness"), engine
    engine.dispose()


def moved_down(engine, rank):
    """The person of a rank of the newest burnout list gets a score that puts them last."""
    with transaction(engine) as session:
        batch = batch_of(session, WHOLE, "burnout")
        who = session.scalar(select(Score.officer_id).where(Score.batch_id == batch.id, Score.rank == rank))
        score = LOW | {"probability": 0.0001, "low": 0.0, "high": 0.001, "contributions": [0.0] * len(batch.groups)}
        rescored.keep(session, "burnout", batch.as_of, who, score=score, cause="objection")
        record(session, SYSTEM, "objection decided", "objection 1")  # as every change has its row in the chain
        return who


def test_a_page_of_a_draft_in_another_order_is_refused_and_nobody_is_left_out(served):
    client, engine = served
    first = client.get(LIST, params={"limit": 10}).json()
    moved_down(engine, 3)
    second = client.get(LIST, params={"limit": 10, "cursor": first["next_cursor"]})
    assert second.status_code == Kind.LIST_CHANGED.status
    again = client.get(LIST, params={"limit": 10}).json()
    assert (first["reordered"], again["reordered"]) == (0, 1)
    assert client.get(LIST, params={"limit": 10, "cursor": again["next_cursor"]}).status_code == 200


def test_what_was_looked_at_is_published_by_page_and_by_api(served):
    client, engine = served
    seen = client.get(LIST, params={"limit": 1}).json()
    moved_down(engine, 1)
    told = {"as_of": seen["as_of"], "run": seen["run"], "despite": "in the tests it is so"}
    api = client.post(f"{LIST}/publication", json={**told, "reordered": seen["reordered"]})
    form = client.post("/months/publish", data={**told, "risk": "burnout", "reordered": seen["reordered"]})
    assert {api.status_code, form.status_code} == {Kind.LIST_CHANGED.status}
    assert 'name="reordered" value="1"' in client.get("/months").text
    assert client.post(f"{LIST}/publication", json={**told, "reordered": 1}).status_code == 201


def test_units_are_told_by_the_order_that_stands(served):
    _, engine = served

    def listed():
        with transaction(engine, writes=False) as session:
            batch = batch_of(session, WHOLE, "burnout")
            rows = session.scalars(select(Score.unit).where(Score.batch_id == batch.id, Score.rank <= batch.capacity))
            counted = list(rows)
            return {view.unit: view.listed for view in units(session, WHOLE, batch)}, counted

    before, _ = listed()
    for _ in range(6):
        moved_down(engine, 1)
    after, counted = listed()
    assert after != before
    assert after == {unit: counted.count(unit) for unit in after}
