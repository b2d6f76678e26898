"""Answers that are kept hold exactly as long as nothing in the store changes."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from sqlalchemy import select, update

from serving.access.audit import SYSTEM, record
from serving.access.tables import AuditHead
from serving.database import transaction
from serving.scored.kept import LARGEST, Newest, Unchanged


@pytest.fixture
def asked(store):
    """Ask once more; what is made is numbered."""
    kept, numbers = Unchanged(), itertools.count(1)

    def ask(what="list", size=1):
        with transaction(store, writes=False) as session:
            return kept.of(session, what, lambda: (b"x" * size, {"made": str(next(numbers))}))[1]["made"]

    return ask


def _did(store, action):
    with transaction(store) as session:
        record(session, SYSTEM, action, "somebody")


def test_what_was_made_is_kept_while_nothing_changes(asked, store):
    _did(store, "flag decided")
    assert [asked(), asked(), asked("another"), asked()] == ["1", "1", "2", "1"]


@pytest.mark.parametrize("action", ["flag decided", "list published", "offers made", "token revoked"])
def test_a_change_makes_it_anew(asked, store, action):
    _did(store, "flag decided")
    first = asked()
    _did(store, action)
    assert (first, asked()) == ("1", "2")


def test_a_change_among_looks_makes_it_anew(asked, store):
    _did(store, "flag decided")
    asked()
    for action in ("looked", "flag decided", "looked"):
        _did(store, action)
    assert asked() == "2"


def test_looking_and_refusing_change_nothing(asked, store):
    _did(store, "flag decided")
    asked()
    for action in ("looked", "refused", "signed in"):
        _did(store, action)
    assert asked() == "1"


def test_another_chain_makes_it_anew(asked, store):
    _did(store, "flag decided")
    asked()
    with transaction(store) as session:  # as after a restore
        session.execute(update(AuditHead).values(hash="1" * 64))
    assert asked() == "2"


def test_a_very_large_answer_is_not_kept(asked, store):
    _did(store, "flag decided")
    assert [asked(size=LARGEST + 1), asked(size=LARGEST + 1)] == ["1", "2"]


@pytest.fixture
def valued(store):
    """Ask for a value once more; what is made is numbered."""
    kept, numbers = Unchanged(), itertools.count(1)

    def ask(what="list", writes=False, session=None):
        if session is not None:
            return kept.value(session, what, lambda _: next(numbers))
        with transaction(store, writes=writes) as own:
            return kept.value(own, what, lambda _: next(numbers))

    return ask


def test_a_value_is_kept_until_something_changes(valued, store):
    _did(store, "flag decided")
    first = [valued(), valued("another"), valued()]
    _did(store, "looked")
    looked = valued()
    _did(store, "list published")
    assert [*first, looked, valued()] == [1, 2, 1, 1, 3]


def test_who_began_before_a_change_does_not_bring_what_was_before_it(valued, store):
    _did(store, "flag decided")
    with transaction(store, writes=False) as early:
        seen = valued(session=early)
        _did(store, "flag decided")
        later = valued()
        again = valued(session=early)
    assert (seen, later) == (1, 2)
    assert again == {"sqlite": 3, "postgresql": 2}[store.dialect.name]  # its own snapshot, or each statement anew
    assert valued() == 2


def test_who_began_before_a_look_does_not_make_all_anew(valued, store):
    _did(store, "flag decided")
    valued()
    with transaction(store, writes=False) as early:
        early.scalar(select(AuditHead.number))
        _did(store, "looked")
        assert valued() == 1
        assert valued(session=early) == 1
    assert valued() == 1


def test_a_session_that_writes_is_given_what_it_sees_and_leaves_nothing(valued, store):
    _did(store, "flag decided")
    with transaction(store) as session:
        record(session, SYSTEM, "flag decided", "somebody")
        own = valued(session=session)
    assert [own, valued(), valued()] == [1, 2, 2]


def test_what_could_not_be_made_is_not_kept(store):
    _did(store, "flag decided")
    kept = Unchanged()

    def fails(_):
        raise LookupError

    with transaction(store, writes=False) as session:
        with pytest.raises(LookupError):
            kept.value(session, "list", fails)
        assert kept.value(session, "list", lambda _: 7) == 7


def test_rows_of_a_value_outlive_a_request_that_fails(store):
    _did(store, "flag decided")
    kept = Unchanged()

    def asked(session):
        return kept.value(session, "head", lambda own: own.get(AuditHead, 1))

    with transaction(store, writes=False) as session:
        asked(session)
        session.rollback()  # as where the page could not be made: its rows are read anew or not at all
    with transaction(store, writes=False) as session:
        assert asked(session).number > 0


def test_no_more_than_so_many_values_are_kept():
    newest, made = Newest(2), []

    def ask(key):
        return newest.of(key, lambda: made.append(key) or key)

    assert [ask(key) for key in "ababcab"] == list("ababcab")
    assert made == list("abcab")


def test_what_many_ask_for_at_once_is_made_once():
    newest, begun, go, made = Newest(4), Event(), Event(), []

    def make():
        begun.set()
        go.wait()
        made.append("value")
        return made[-1]

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(newest.of, "key", make)
        begun.wait()
        others = [pool.submit(newest.of, "key", make) for _ in range(5)]
        assert newest.of("another", lambda: 7) == 7
        go.set()
        assert [each.result() for each in (first, *others)] == ["value"] * 6
    assert made == ["value"]
