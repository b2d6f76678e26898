"""Answers that are kept hold exactly as long as nothing in the store changes."""

import itertools

import pytest
from sqlalchemy import update

from serving.access.audit import SYSTEM, record
from serving.access.tables import AuditHead
from serving.database import transaction
from serving.scored.kept import LARGEST, Unchanged


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
