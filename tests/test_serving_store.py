"""The score store: the same on SQLite and PostgreSQL, whole lists replaced whole, ranks linked."""

import datetime as dt
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from features.errors import Refusal
from features.months import month_end, parse_month
from serving.access.sight import WHOLE
from serving.database import migrate, open_database, transaction
from serving.effects.tables import ExpectedBenefit
from serving.scored import queries
from serving.scored.lists import (
    PersonFacts,
    Recommendation,
    ScoredList,
    ScoredPerson,
    store_facts,
    store_list,
    store_recommendations,
)
from serving.scored.offered import offers_of
from serving.tables import Batch, Reasons, Score, Table

JUNE = parse_month("2024-06")


def _list(as_of=JUNE, *, people=("a", "b", "c"), risk="burnout", version="1"):
    reason = {"measure": "night_shift", "contribution": 0.5, "sentence_zh": "夜班", "sentence_en": "nights"}
    scored = [
        ScoredPerson(
            name, "patrol", "U1" if rank % 2 else "U2", 0.5 / rank, 0.1 / rank, 0.9 / rank, rank, [0.5, -0.25], [reason]
        )
        for rank, name in enumerate(people, start=1)
    ]  # fmt: skip
    return ScoredList(
        risk=risk, as_of=as_of, model_version=version, capacity=2, horizon_months=6, purpose="wellness",
        recorded_until=dt.date(2024, 6, 30), profile_digest="0", base_value=-2.0, groups=["night_shift", "rest"],
        labels={"risk": {"zh": "倦怠", "en": "Burnout"}, "posts": {}, "measures": {}}, people=scored,
    )  # fmt: skip


def _ranks(session, batch):
    rows = session.scalars(select(Score).where(Score.batch_id == batch.id).order_by(Score.rank))
    return [(row.officer_id, row.rank, row.previous_rank) for row in rows]


def test_migrations_make_exactly_the_declared_tables(store):
    with store.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Table.metadata)
    assert found == []


def test_opening_a_migrated_database_again_changes_nothing(store):
    with transaction(store) as session:
        store_list(session, _list())
    with store.begin() as connection:
        migrate(connection)
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(Score)) == 3


def test_a_rescore_replaces_the_list_and_nothing_else(store):
    with transaction(store) as session:
        store_list(session, _list())
        store_list(session, _list(risk="decline"))
        store_list(session, _list(people=("x", "y"), version="2"))
    with transaction(store) as session:
        assert session.scalar(select(func.count()).select_from(Batch)) == 2
        batch = queries.batch_of(session, WHOLE, "burnout")
        assert batch.model_version == "2"
        assert [officer for officer, *_ in _ranks(session, batch)] == ["x", "y"]
        assert session.scalar(select(func.count()).select_from(Reasons)) == 5


def test_a_rescore_that_fails_leaves_the_old_list(store):
    with transaction(store) as session:
        store_list(session, _list())
    broken = _list(people=("x", "x"))
    with pytest.raises(Exception, match=r"UNIQUE|duplicate"), transaction(store) as session:
        store_list(session, broken)
    with transaction(store) as session:
        assert [officer for officer, *_ in _ranks(session, queries.batch_of(session, WHOLE, "burnout"))] == [
            "a",
            "b",
            "c",
        ]


def test_ranks_know_the_list_before_also_when_it_is_scored_later(store):
    with transaction(store) as session:
        july = store_list(session, _list(JUNE + 1, people=("b", "a", "new")))
        store_list(session, _list(JUNE))
    with transaction(store) as session:
        assert _ranks(session, july) == [("b", 1, 2), ("a", 2, 1), ("new", 3, None)]
    with transaction(store) as session:
        store_list(session, _list(JUNE, people=("a", "new", "b")))
    with transaction(store) as session:
        assert _ranks(session, july) == [("b", 1, 3), ("a", 2, 1), ("new", 3, 2)]


def test_facts_and_recommendations_of_a_month_are_replaced_whole(store):
    words = {"zh": "调休", "en": "Leave"}
    offer = Recommendation("a", "leave", "rest", words, words, words, "commander", "wellness", opening=None)
    with transaction(store) as session:
        store_facts(session, JUNE, [PersonFacts("a", "patrol", "U1", 12), PersonFacts("b", "patrol", "U1", 12)])
        store_facts(session, JUNE, [PersonFacts("a", "patrol", "U1", 13)])
        store_recommendations(session, JUNE, [offer, replace(offer, action="talk"), replace(offer, officer_id="b")])
        store_recommendations(session, JUNE, [offer, replace(offer, action="talk")])
    with transaction(store) as session:
        assert queries.facts_of(session, WHOLE, "a").tenure_months == 13
        assert queries.facts_of(session, WHOLE, "b") is None
        found = offers_of(session, WHOLE, month_end(JUNE), ["a", "b"])
        assert [row.action for row in found["a"]] == ["leave", "talk"]
        assert found["a"][0].opening is None
        assert found["a"][0].benefit is None
        assert "b" not in found


def test_an_offer_has_the_expected_change_of_its_purpose_where_effects_were_told(store):
    words = {"zh": "调休", "en": "Leave"}
    offer = Recommendation("a", "leave", "rest", words, words, words, "commander", "wellness", opening=None)
    told = {"as_of": month_end(JUNE), "action": "leave", "risk": "burnout", "position": 1, "low": 0.0, "high": 0.1}
    with transaction(store) as session:
        store_list(session, _list())
        session.add(ExpectedBenefit(**told, officer_id="a", benefit=0.04, estimable=True))
        session.add(ExpectedBenefit(**told, officer_id="b", benefit=None, estimable=False))
        session.add(ExpectedBenefit(**told, officer_id="c", benefit=0.9, estimable=True))
        development = replace(offer, purpose="development")
        several = [
            offer,
            replace(offer, officer_id="b"),
            replace(offer, officer_id="c"),
            replace(development, action="x"),
        ]
        store_recommendations(session, JUNE, several)
        store_recommendations(session, JUNE + 1, [development])
    with transaction(store) as session:
        found = offers_of(session, WHOLE, month_end(JUNE), ["a", "b", "c"])
        assert [row.benefit for row in found["a"]] == [-0.04, None]
        assert found["b"][0].benefit is None
        batch = queries.batch_of(session, WHOLE, "burnout")
        own = session.get_one(Score, (batch.id, "c")).probability
        assert own < 0.9
        assert found["c"][0].benefit == -own  # no more than there is can be spared
        assert offers_of(session, WHOLE, month_end(JUNE + 1), ["a"])["a"][0].benefit is None


def test_units_are_compared_with_all_others(store):
    with transaction(store) as session:
        batch = store_list(session, _list(people=("a", "b", "c", "d")))
        one, two = queries.units(session, WHOLE, batch)
    assert (one.unit, one.people, one.listed) == ("U1", 2, 1)
    assert one.mean == pytest.approx((0.5 + 0.5 / 3) / 2)
    assert one.others == pytest.approx(two.mean) == pytest.approx((0.25 + 0.125) / 2)


def test_a_large_list_is_written_whole(store):
    people = tuple(f"P{number:06d}" for number in range(12_000))
    with transaction(store) as session:
        batch = store_list(session, _list(people=people))
    with transaction(store) as session:
        assert queries.how_many(session, WHOLE, batch) == 12_000
        last = queries.entries(session, WHOLE, batch, after=11_990, limit=50)
        assert [entry.score.rank for entry in last] == list(range(11_991, 12_001))


def test_an_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(Refusal, match="not one of a database"):
        open_database(tmp_path, "nonsense")


def test_a_database_that_does_not_answer_is_refused_without_its_password(tmp_path):
    with pytest.raises(Refusal) as refused:
        open_database(tmp_path, "postgresql://someone:sesame@127.0.0.1:9/none")
    assert "sesame" not in refused.value.message()
    assert "--db" in refused.value.message()
