"""What the log does not tell of is found, and every change that a command makes has its row."""

import datetime as dt

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError

from features.assessment.assess import assess
from features.months import month_end, month_text
from serving.access.audit import BEGINNING, Actor, faults
from serving.access.tables import AuditHead, AuditRow
from serving.assessed.storing import store_assessment
from serving.cli import main
from serving.database import transaction
from serving.decisions import consents, help, objections, reviews
from serving.decisions.objections import Against, Contested
from serving.decisions.publishing import list_of, publish
from serving.decisions.reviews import Decision, Verdict
from serving.decisions.tables import Flag
from serving.decisions.unlogged import unlogged
from serving.effects.storing import store_tracked
from serving.models.monitored import STABLE, MonitoredMonth, store_month
from tests.serving_fixtures import last_month
from tests.test_month import JUNE, LI, scored, written

DAY = month_end(JUNE)


def watched(session, officer_id, *, reason=""):
    """A flag of the month, raised and put under watch."""
    flag = Flag(risk="burnout", purpose="wellness", officer_id=officer_id, raised_on=DAY, renewed_on=DAY, status="open",
                version=0, asked=False)  # fmt: skip
    session.add(flag)
    session.flush()
    reviews.decide(session, LI, Verdict(flag.id, 0, Decision.WATCH, DAY, reason=reason))


def busy(store, home):
    """A store in which a list was published, a flag decided, an objection and a request made, consent withdrawn."""
    written(store, scored())
    with transaction(store) as session:
        publish(session, LI, list_of(session, "burnout", DAY))
        watched(session, "a")
        objections.contest(session, LI, Contested("b", Against.SCORE, "not so at all", risk="burnout"), days=15)
        help.ask_for_help(session, Actor("c", "officer"), "c", kind=help.Wanted.TALK)
        consents.withdraw(session, Actor("a", "officer"), "a", register=True, home=home, today=dt.date.today())


def test_a_log_that_is_as_it_was_written_tells_of_all(store, tmp_path):
    busy(store, tmp_path)
    with transaction(store, writes=False) as session:
        assert unlogged(session) == []


def test_a_log_that_was_emptied_with_its_mark_is_found(store, store_url, tmp_path, made_home):
    busy(store, tmp_path)
    with transaction(store) as session:
        session.execute(delete(AuditRow))
        session.execute(update(AuditHead).values(number=0, hash=BEGINNING))
    with transaction(store, writes=False) as session:
        assert faults(session) == []  # the chain itself can't tell
        assert len(unlogged(session)) == 5
    told = CliRunner().invoke(main, ["--home", str(made_home), "verify", "--db", store_url])
    assert told.exit_code == 1
    assert "is published, and the log does not say so" in told.output


def test_a_tail_that_was_cut_with_its_mark_is_found_by_what_it_told_of(store, tmp_path):
    busy(store, tmp_path)
    with transaction(store) as session:
        first = session.scalars(select(AuditRow).order_by(AuditRow.number).limit(2)).all()[-1]
        session.execute(delete(AuditRow).where(AuditRow.number > first.number))
        session.execute(update(AuditHead).values(number=first.number, hash=first.hash))
    with transaction(store, writes=False) as session:
        assert faults(session) == []
        assert len(unlogged(session)) == 3


def test_a_decision_changed_behind_the_log_is_found(store, tmp_path):
    busy(store, tmp_path)
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE reviews SET decision = 'dismiss'")
    with transaction(store, writes=False) as session:
        assert unlogged(session) == [
            "flag 1: review 1 is not as row 2 of the log says (flag decided)", "flag 1 is not as it was decided",
        ]  # fmt: skip


SHARE = (
    "INSERT INTO unit_shares (batch_id, unit, people, elevated, shared, verdict, carried, levers) "
    "VALUES (1, '{}', 9, 0.1, 0.1, 'none', '[]', '[]')"
)


@pytest.mark.parametrize("change", ["UPDATE unit_shares SET verdict = 'roster'", "DELETE FROM unit_shares",
                                    SHARE.format("U2")])  # fmt: skip
def test_what_a_published_list_says_of_a_unit_is_kept_by_the_database(store, change):
    written(store, scored())
    with transaction(store) as session:
        session.execute(text(SHARE.format("U1")))
        session.execute(text("UPDATE unit_shares SET people = 8"))  # a draft may
        publish(session, LI, list_of(session, "burnout", DAY))
    with pytest.raises(IntegrityError, match="never change"), transaction(store) as session:
        session.execute(text(change))


def actions(store):
    with transaction(store, writes=False) as session:
        return [(row.action, row.subject) for row in session.scalars(select(AuditRow).order_by(AuditRow.number))]


def test_a_month_that_is_monitored_or_tracked_has_its_row(store, given):
    words = {"zh": "平稳", "en": "stable"}
    with transaction(store) as session:
        store_month(session, MonitoredMonth(JUNE, "", STABLE, words, [], {}))
    store_tracked(store, given.profile, JUNE, [])
    assert actions(store) == [("month monitored", "2024-06"), ("figures tracked", "2024-06")]


@pytest.fixture(scope="module")
def assessed(given):
    return assess(given, last_month(given))


def test_a_month_that_is_assessed_has_its_row(store, given, assessed):
    store_assessment(assessed, store)
    assert actions(store) == [("month assessed", month_text(last_month(given)))]
