"""What is changed behind the program's back, guards taken away, is named by verify: lists, decisions, consents."""

import dataclasses
import datetime as dt
import re
from contextlib import nullcontext

import pytest
from alembic import command
from alembic.config import Config
from click.testing import CliRunner
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from features.months import month_end
from serving.access.audit import SYSTEM, Actor, digest, record
from serving.access.tables import AuditHead, AuditRow
from serving.access.trail import details_shown
from serving.assessed.letters import agree_to_letters
from serving.backups.copying import copy_rows
from serving.cli import main
from serving.database import MIGRATIONS, open_database, transaction
from serving.decisions import consents, help, objections, reviews, sealed
from serving.decisions.objections import Against, Contested, Decided, Outcome
from serving.decisions.publishing import altered, list_of, missing, publish
from serving.decisions.rescored import LEFT_OUT, NO_HEALTH, keep
from serving.decisions.sealed import first_digest_of
from serving.decisions.tables import Consent, Published
from serving.decisions.unlogged import unlogged
from serving.scored.lists import ScoredUnit
from serving.tables import Batch, Reasons, Score, UnitShareRow
from tests.test_month import JUNE, LI, scored, written
from tests.test_objections import WELLNESS
from tests.test_unlogged import watched

DAY = month_end(JUNE)
TODAY = dt.date(2024, 7, 3)
CHEN, ANN, BO = Actor("chen", "wellness"), Actor("ann", "officer"), Actor("bo", "officer")
GUARDED = ("batches", "scores", "reasons", "unit_shares", "published", "profiles")
SENTENCE = {"measure": "sleep", "value": 6.3, "sentence_zh": "睡眠6.3小时", "sentence_en": "sleep 6.3 hours"}
SCORE = {"probability": 0.25, "low": 0.1, "high": 0.4, "rank": 2, "evidence": "sufficient", "strongest": []}
AGAIN = {"burnout": SCORE | {"as_of": str(DAY)}}


def told_list():
    """A list with words, histories and a unit's share."""
    plain = scored()
    people = [dataclasses.replace(each, strongest=[SENTENCE], history={"sleep": [6.1, None]}) for each in plain.people]
    unit = ScoredUnit("U1", 3, 0.25, 0.125, "roster", [{"measure": "sleep"}], [])
    return dataclasses.replace(plain, people=people, units=[unit], profile={"measures": {"sleep": {"sensitive": True}}},
                               served={"by": "zhao", "forced": True})  # fmt: skip


def filled(store, home):
    """A published list; a review, feedback, an objection upheld, one that waits, two requests; consents, rescored."""
    written(store, told_list())
    with transaction(store) as session:
        publish(session, LI, list_of(session, "burnout", DAY))
        watched(session, "c", reason="leave is arranged")
        said = {"risk": "burnout", "as_of": DAY, "officer_id": "a", "measure": "sleep", "verdict": "wrong", "note": "x"}
        reviews.give_feedback(session, LI, said)
        first = objections.contest(
            session, ANN, Contested("a", Against.SCORE, "not so at all", risk="burnout"), days=15
        )
        objections.keep_rerun(session, SYSTEM, first.id, before=AGAIN, without=AGAIN)
        objections.decide_objection(session, CHEN, Decided(first.id, 0, Outcome.UPHELD, "it is so"), WELLNESS)
        objections.contest(session, BO, Contested("b", Against.SCORE, "nor is this", risk="burnout"), days=15)
        help.answer_help(session, CHEN, help.ask_for_help(session, ANN, "a", kind=help.Wanted.TALK).id, "we talked")
        help.ask_for_help(session, BO, "b", kind=help.Wanted.REST, told="soon")
        given = {"register": True, "home": home, "today": TODAY}
        consents.withdraw(session, ANN, "a", **given)
        consents.give(session, ANN, "a", **given)
        consents.withdraw(session, BO, "b", **given)
        agree_to_letters(session, BO, "b", today=TODAY)
        for who, action, cause in (("a", LEFT_OUT, "objection"), ("b", NO_HEALTH, "consent")):
            kept = keep(session, "burnout", DAY, who, score=SCORE, cause=cause)
            record(session, SYSTEM, action, f"officer {who}", lists=1, not_computed=0, digest=kept)
        ended = session.scalars(select(Consent).where(Consent.officer_id == "b", Consent.withdrawn_on.is_not(None)))
        ended.one().rescored_at = dt.datetime.now(dt.UTC)


def problems(session):
    return [*(f"altered {row.risk}" for row in altered(session)), *missing(session), *unlogged(session)]


def unguarded(session):
    """Take the guards away, as whoever owns the database can."""
    if session.get_bind().dialect.name == "postgresql":
        for table in GUARDED:
            session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        return
    for (name,) in session.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        session.execute(text(f"DROP TRIGGER {name}"))


def after(store, change):
    """What is found after a change that is then undone; the change must have touched something."""
    with Session(store) as session:  # closed without a commit
        unguarded(session)
        assert session.execute(text(change)).rowcount > 0, change
        return problems(session)


OF_A_LIST = [
    """UPDATE reasons SET strongest = '[]' WHERE officer_id = 'a'""",
    """UPDATE reasons SET strongest = '[{"measure": "complaint", "value": 99}]' WHERE officer_id = 'a'""",
    "UPDATE reasons SET history = '{}' WHERE officer_id = 'b'",
    "UPDATE reasons SET contributions = '[0.2]' WHERE officer_id = 'b'",
    "DELETE FROM reasons WHERE officer_id = 'c'",
    "UPDATE scores SET probability = 0.01 WHERE officer_id = 'c'",
    "UPDATE scores SET previous_rank = 1 WHERE officer_id = 'c'",
    "UPDATE scores SET unit = 'U9' WHERE officer_id = 'c'",
    "UPDATE unit_shares SET verdict = 'none'",
    "UPDATE unit_shares SET levers = '[1]'",
    "DELETE FROM unit_shares",
    "INSERT INTO unit_shares (batch_id, unit, people, elevated, shared, verdict, carried, levers) "
    "SELECT batch_id, 'U2', people, elevated, shared, verdict, carried, levers FROM unit_shares",
    "UPDATE batches SET purpose = 'development'",
    "UPDATE batches SET served = NULL",
    "UPDATE batches SET labels = '{}'",
    "UPDATE batches SET horizon_months = 99",
    "UPDATE batches SET recorded_until = '2020-01-01'",
    "UPDATE batches SET scored_at = '2030-01-01 00:00:00'",
    "UPDATE published SET by = 'somebody'",
    "UPDATE published SET at = '2020-01-01 00:00:00'",
    "UPDATE published SET digest = 'x'",
    "DELETE FROM published",
    "UPDATE profiles SET content = '{}'",
    "DELETE FROM profiles",
]  # fmt: skip
OF_DECISIONS = [
    "UPDATE reviews SET by = 'chen'",
    "UPDATE reviews SET reason = 'forged'",
    "UPDATE reviews SET at = '2020-01-01 00:00:00'",
    "UPDATE reviews SET as_of = '2020-01-31'",
    "UPDATE reviews SET decision = 'act'",
    "UPDATE flags SET officer_id = 'x' WHERE id IN (SELECT flag_id FROM reviews)",
    "INSERT INTO reviews (flag_id, version, decision, reason, action, by, at, as_of) "
    "SELECT flag_id, version, decision, reason, action, by, at, as_of FROM reviews",
    "DELETE FROM reviews",
    "UPDATE flags SET status = 'open' WHERE status = 'watched'",
    "UPDATE flags SET status = 'open', version = 0 WHERE status = 'watched'",
    "UPDATE feedback SET verdict = 'right'",
    "UPDATE feedback SET by = 'chen'",
    "UPDATE feedback SET note = 'forged'",
    "DELETE FROM feedback",
    "UPDATE objections SET answer = 'forged' WHERE id = 1",
    "UPDATE objections SET decided_by = 'li' WHERE id = 1",
    "UPDATE objections SET decided_at = '2020-01-01 00:00:00' WHERE id = 1",
    "UPDATE objections SET status = 'rejected' WHERE id = 1",
    "UPDATE objections SET status = 'open', answer = NULL, decided_by = NULL, decided_at = NULL WHERE id = 1",
    "UPDATE objections SET status = 'upheld', answer = 'x', decided_by = 'chen', decided_at = made_at WHERE id = 2",
    "UPDATE objections SET told = 'forged' WHERE id = 2",
    "UPDATE objections SET officer_id = 'c' WHERE id = 2",
    "UPDATE objections SET due_on = '2030-01-01' WHERE id = 2",
    "UPDATE objections SET without = '{}' WHERE id = 1",
    "UPDATE objections SET before = NULL, without = NULL WHERE id = 1",
    "DELETE FROM objections WHERE id = 1",
    "DELETE FROM objections WHERE id = 2",
    "UPDATE help_requests SET answer = 'forged' WHERE id = 1",
    "UPDATE help_requests SET answered_by = 'li' WHERE id = 1",
    "UPDATE help_requests SET answered_at = NULL, answered_by = NULL, answer = NULL WHERE id = 1",
    "UPDATE help_requests SET answered_at = made_at, answered_by = 'li', answer = 'no' WHERE id = 2",
    "UPDATE help_requests SET told = 'forged' WHERE id = 2",
    "DELETE FROM help_requests WHERE id = 2",
    "DELETE FROM help_requests",
]  # fmt: skip
GIVEN = "INSERT INTO consents (officer_id, basis, given_on, by) VALUES ('{}', '{}', '2020-01-01', '{}')"
OF_CONSENTS = [
    "UPDATE consents SET withdrawn_on = NULL, counts_until = NULL WHERE officer_id = 'b' AND basis = 'health'",
    "UPDATE consents SET counts_until = '2030-01-01' WHERE officer_id = 'b' AND basis = 'health'",
    "UPDATE consents SET withdrawn_on = '2024-07-03', counts_until = '2020-01-01' WHERE withdrawn_on IS NULL",
    "UPDATE consents SET officer_id = 'c' WHERE officer_id = 'b' AND basis = 'health'",
    "UPDATE consents SET rescored_at = '2024-07-04 00:00:00' WHERE officer_id = 'a' AND withdrawn_on IS NOT NULL",
    "DELETE FROM consents WHERE officer_id = 'b' AND basis = 'health'",
    "DELETE FROM consents WHERE basis <> 'health'",
    GIVEN.format("b", "health", "b"),
    GIVEN.format("c", "health", "c"),
    GIVEN.format("c", "letter_of_honour", "c"),
    """UPDATE rescored SET score = '{"probability": 0.9}' WHERE officer_id = 'a'""",
    "UPDATE rescored SET at = '2020-01-01 00:00:00' WHERE officer_id = 'b'",
    "UPDATE rescored SET officer_id = 'c' WHERE officer_id = 'b'",
    "DELETE FROM rescored WHERE officer_id = 'a'",
    "DELETE FROM rescored WHERE officer_id = 'b'",
    "INSERT INTO rescored (risk, as_of, officer_id, cause, at, score) "
    "SELECT risk, as_of, officer_id, cause, '2030-01-01 00:00:00', score FROM rescored WHERE officer_id = 'a'",
    "INSERT INTO rescored (risk, as_of, officer_id, cause, at, score) "
    "SELECT risk, as_of, 'c', 'objection', at, score FROM rescored WHERE officer_id = 'a'",
]  # fmt: skip


def test_a_store_that_is_as_the_log_tells_has_no_problem(store, tmp_path):
    filled(store, tmp_path)
    with transaction(store, writes=False) as session:
        assert problems(session) == []


def test_a_copy_in_another_database_is_as_the_log_tells_too(store, tmp_path):
    filled(store, tmp_path)
    (tmp_path / "copy").mkdir()
    copy = open_database(tmp_path / "copy")
    with store.connect() as source, copy.begin() as target:
        copy_rows(source, target)
    with store.begin() as source, copy.connect() as target:
        copy_rows(target, source)  # and back
    for engine in (copy, store):
        with transaction(engine, writes=False) as session:
            assert problems(session) == []
    copy.dispose()


@pytest.mark.parametrize("changes", [OF_A_LIST, OF_DECISIONS, OF_CONSENTS], ids=["list", "decisions", "consents"])
def test_whatever_is_changed_behind_the_log_is_found(store, tmp_path, changes):
    filled(store, tmp_path)
    assert [change for change in changes if not after(store, change)] == []
    with transaction(store, writes=False) as session:
        assert problems(session) == []  # each was undone


def test_what_was_changed_is_named(store, tmp_path):
    filled(store, tmp_path)
    assert after(store, OF_A_LIST[0]) == ["altered burnout"]
    for change, name in (
        (
            "UPDATE reviews SET reason = 'forged'",
            r"flag 1: review 1 is not as row \d+ of the log says \(flag decided\)",
        ),
        ("DELETE FROM feedback", r"feedback 1 is not as row \d+ of the log says \(feedback given\)"),
        ("UPDATE objections SET answer = 'x' WHERE id = 1", r"objection 1 is not as row \d+ .* \(objection decided\)"),
        ("DELETE FROM help_requests WHERE id = 2", r"request 2 is not as row \d+ .* \(help asked for\)"),
        (GIVEN.format("c", "health", "c"), r"officer c: consent \d+ is not in the log .*"),
        ("DELETE FROM rescored WHERE officer_id = 'a'", r"officer a: rescored row 1 is not as row \d+ .*"),
    ):
        (found,) = after(store, change)
        assert re.fullmatch(name, found), found


def test_the_command_says_it(store, store_url, tmp_path, made_home):
    filled(store, tmp_path)
    verify = ["--home", str(made_home), "verify", "--db", store_url]
    assert CliRunner().invoke(main, verify).exit_code == 0
    with store.begin() as connection:
        connection.execute(text("UPDATE objections SET answer = 'forged' WHERE id = 1"))
    told = CliRunner().invoke(main, verify)
    assert told.exit_code == 1
    assert "objection 1 is not as row" in told.output


def test_a_list_published_in_the_first_form_is_checked_by_its_own(store):
    written(store, told_list())
    with transaction(store) as session:
        batch = list_of(session, "burnout", DAY)
        first = first_digest_of(session, batch)
        now = dt.datetime.now(dt.UTC)
        session.add(Published(risk="burnout", as_of=DAY, batch_id=batch.id, digest=first, by=LI.name, at=now))
        session.flush()
        record(session, LI, "list published", "burnout", as_of=str(DAY), run=1, digest=first)
        assert problems(session) == []
    assert first.startswith("2:") is False
    assert after(store, "UPDATE scores SET probability = 0.01 WHERE officer_id = 'c'") == ["altered burnout"]
    assert after(store, "UPDATE published SET by = 'somebody'") != []


def rewritten(session):
    """Make the log's rows as they were written before they had digests, the chain made anew."""
    previous = "0" * 64
    for row in session.scalars(select(AuditRow).order_by(AuditRow.number)):
        if row.action != "list published":
            row.details = {name: value for name, value in row.details.items() if name != "digest"}
        row.previous = previous
        row.hash = previous = digest(row)
    session.execute(update(AuditHead).values(hash=previous))
    session.flush()


def test_rows_of_a_log_without_digests_still_count_for_what_they_say(store, tmp_path):
    filled(store, tmp_path)
    with transaction(store) as session:
        rewritten(session)
        assert problems(session) == []
    for change in (
        "UPDATE reviews SET by = 'chen'", "DELETE FROM reviews", "UPDATE feedback SET verdict = 'right'",
        "UPDATE objections SET status = 'rejected' WHERE id = 1", "DELETE FROM help_requests",
        GIVEN.format("c", "health", "c"), "UPDATE help_requests SET answered_by = 'li' WHERE id = 1",
    ):  # fmt: skip
        assert after(store, change), change


def test_no_digest_of_what_somebody_decided_or_said_is_shown_to_a_reader_of_the_log(store, tmp_path):
    filled(store, tmp_path)
    with transaction(store, writes=False) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action != "list published")).all()
        held = [row for row in rows if "digest" in row.details]
        assert len({row.action for row in held}) == 12
        assert [row.action for row in held if "digest" in details_shown(row)[0]] == []


def test_every_column_of_a_list_is_in_its_digest():
    columns = {
        table: {column.key for column in table.__table__.columns} for table in (Batch, Score, Reasons, UnitShareRow)
    }
    assert set(sealed.BATCH) == columns[Batch] - {"id"}
    for table, names in sealed.ROWS:
        assert set(names) == columns[table] - {"batch_id"}


def test_a_profile_that_a_published_list_needs_stays_and_another_may_go(store):
    written(store, told_list())
    with transaction(store) as session:
        session.execute(text("INSERT INTO profiles (digest, content) VALUES ('other', '{}')"))
        publish(session, LI, list_of(session, "burnout", DAY))
    with pytest.raises(IntegrityError, match="never change"), transaction(store) as session:
        session.execute(text("DELETE FROM profiles"))
    with transaction(store) as session:
        assert session.execute(text("DELETE FROM profiles WHERE digest = 'other'")).rowcount == 1


def test_the_guards_go_and_come_with_their_migration(store):
    written(store, told_list())
    with transaction(store) as session:
        publish(session, LI, list_of(session, "burnout", DAY))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    for go, guarded in ((command.downgrade, False), (command.upgrade, True)):
        with store.begin() as connection:
            config.attributes["connection"] = connection
            go(config, "head" if guarded else "0017")
        expected = pytest.raises(IntegrityError) if guarded else nullcontext()
        with store.connect() as connection, expected:  # closed without a commit
            connection.execute(text("DELETE FROM profiles"))


def test_nothing_that_a_published_list_needs_is_emptied_at_a_stroke(store):
    if store.dialect.name == "sqlite":
        pytest.skip("SQLite knows no TRUNCATE")
    written(store, told_list())
    with transaction(store) as session:
        session.execute(text("TRUNCATE unit_shares"))  # while nothing is published
        publish(session, LI, list_of(session, "burnout", DAY))
    for table in GUARDED:
        with pytest.raises(IntegrityError, match="never change"), transaction(store) as session:
            session.execute(text(f"TRUNCATE {table} CASCADE"))
    with transaction(store, writes=False) as session:
        assert problems(session) == []
