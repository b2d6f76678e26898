"""A write that is sent twice with one Idempotency-Key is done once: of every route of the API, on both databases."""

import datetime as dt

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import select, update

from serving.access.repeated import ANEW, Asked, asked_of
from serving.answers.problems import Kind, Problem
from serving.app import create_app
from serving.database import transaction
from serving.decisions.tables import Repeated

SAFE = {"GET", "HEAD", "OPTIONS"}
WITHOUT_A_KEY = {
    "/api/v1/predictions": "nothing is stored",
    "/api/v1/predictions/{risk}": "nothing is stored",
    "/api/v1/officers/{officer_id}/what-if": "nothing is stored but that it was asked, each time",
    "/api/v1/mentorships/kept-apart": "asked again it changes nothing",
}
KEY = "k" * 64


def test_every_write_of_the_api_takes_a_key_or_says_why_not(made_home, engine):
    taking, without = set(), set()
    for context in iter_route_contexts(create_app(made_home, engine).routes):
        if context.path.startswith("/api/") and set(context.original_route.methods or ()) - SAFE:
            known = any(each.call is asked_of for each in context.dependant.dependencies)
            (taking if known else without).add(context.path)
    assert without == set(WITHOUT_A_KEY)
    assert len(taking) >= 13


def numbered(store, asked, made):
    """Do what makes the next number, in a transaction of its own."""

    def do():
        made.append(len(made) + 1)
        return made[-1]

    with transaction(store) as session:
        return asked.number(session, do)


def known(store, asked):
    with transaction(store, writes=False) as session:
        return asked.known(session)


def test_the_same_request_is_done_once_and_another_one_of_its_key_is_refused(store):
    made, asked = [], Asked(KEY, "a" * 64)
    assert known(store, asked) is None
    assert [numbered(store, asked, made) for _ in range(3)] == [1, 1, 1]
    assert (made, known(store, asked)) == ([1], 1)
    for again in (numbered, lambda engine, other, _: known(engine, other)):
        with pytest.raises(Problem) as problem:
            again(store, Asked(KEY, "b" * 64), made)
        assert problem.value.kind is Kind.INVALID
    assert made == [1]


def test_without_a_key_it_is_done_each_time(store):
    made = []
    assert [numbered(store, ANEW, made) for _ in range(2)] == [1, 2]
    assert known(store, ANEW) is None


def test_what_failed_is_done_when_it_is_sent_again(store):
    def fails():
        raise Problem(Kind.INVALID, "no")

    asked = Asked(KEY, "a" * 64)
    with pytest.raises(Problem), transaction(store) as session:
        asked.number(session, fails)
    assert numbered(store, asked, []) == 1


def test_after_two_days_a_key_is_free_and_what_is_kept_is_a_number(store):
    made, asked = [], Asked(KEY, "a" * 64)
    numbered(store, asked, made)
    with transaction(store) as session:
        assert session.scalars(select(Repeated.answer)).all() == [{"number": 1}]
        session.execute(update(Repeated).values(at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=49)))
    assert numbered(store, asked, made) == 2
