"""The assessment in the score store, on SQLite and PostgreSQL: whole, replaced as a whole, letters by consent."""

import datetime as dt

import pandas as pd
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import StatementError

from features.assessment.assess import Assessment, assess
from features.assessment.export import as_records
from features.assessment.ground.assessable import assessable
from features.assessment.opened import opened
from features.months import month_end, month_of_day
from serving.access.sight import WHOLE
from serving.assessed import reading
from serving.assessed.opening import behind
from serving.assessed.storing import LETTER, OF_PERSONS, consented, store_assessment
from serving.assessed.tables import AssessedPerson, AssessedRow, AssessmentHead
from serving.database import transaction
from serving.decisions.tables import Consent, Objection
from tests.assessment_force import NOW, force, work

COMPLAINT = ("P00", "complaint", "2021-11-05", 1)
NINE = dt.datetime(2022, 1, 3, 9, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def found() -> Assessment:
    return assess(force([*work(skill={"P07": 5.0}), COMPLAINT]), NOW, consents=["P07"])


def _rounded(record):
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in record.items()}


def _told(table: pd.DataFrame) -> list[dict[str, object]]:
    return [_rounded(record) for record in as_records(table.drop(columns="row", errors="ignore"))]


def test_what_is_read_back_is_what_was_assessed(store: Engine, found: Assessment) -> None:
    store_assessment(found, store)
    with transaction(store, writes=False) as session:
        head = reading.head_of(session, None)
        assert (head.as_of, head.officers) == (month_end(NOW), 24)
        for name in ("units", "warnings", "leaders", "lint", "force_months"):
            told = [_rounded(row) for row in reading.rows_of(session, WHOLE, head, name)]
            assert sorted(told, key=str) == sorted(_told(found.tables[name]), key=str)
        report = reading.report_of(session, WHOLE, head, "P07")
        people = found.tables["people"]
        assert report.levels == _told(people[people["officer_id"] == "P07"])[0]
        for name in OF_PERSONS:
            own = found.tables[name]
            assert report.rows(name) == _told(own[own["officer_id"] == "P07"]), name
        assert reading.report_of(session, WHOLE, head, "nobody") is None


def test_the_same_month_again_takes_the_place_of_the_earlier(store: Engine, found: Assessment) -> None:
    store_assessment(found, store)
    store_assessment(found, store)
    with transaction(store, writes=False) as session:
        assert session.scalar(select(func.count()).select_from(AssessmentHead)) == 1
        assert session.scalar(select(func.count()).select_from(AssessedPerson)) == 24
        heads = set(session.scalars(select(AssessedRow.assessment_id)))
        assert heads == {reading.head_of(session, None).id}


def test_a_month_that_fails_to_be_stored_leaves_the_earlier_one(store: Engine, found: Assessment) -> None:
    store_assessment(found, store)
    lint = found.tables["lint"].assign(share=object())
    broken = Assessment(found.as_of, found.profile, found.labels, {**found.tables, "lint": lint})
    with pytest.raises((StatementError, TypeError)):
        store_assessment(broken, store)
    with transaction(store, writes=False) as session:
        assert reading.report_of(session, WHOLE, reading.head_of(session, None), "P07") is not None


def test_an_open_objection_to_a_record_shows_the_warning_as_appealed(store: Engine, found: Assessment) -> None:
    store_assessment(found, store)
    with transaction(store) as session:
        session.add(
            Objection(officer_id="P00", against="record", event_ids=[], measure="complaint", told="not me",
                      made_at=NINE, due_on=NINE.date(), status="open", version=1)
        )  # fmt: skip
    with transaction(store, writes=False) as session:
        head = reading.head_of(session, None)
        assert [row["state"] for row in reading.warnings_of(session, WHOLE, head)] == ["appealed"]
        assert reading.report_of(session, WHOLE, head, "P00").rows("warnings")[0]["state"] == "appealed"


def test_a_letter_follows_the_consent_and_its_withdrawal(store: Engine) -> None:
    with transaction(store) as session:
        session.add(Consent(officer_id="A", basis=LETTER, given_on=dt.date(2021, 5, 1), by="A"))
        session.add(Consent(officer_id="B", basis="health_consent", given_on=dt.date(2021, 5, 1), by="B"))
        session.add(
            Consent(
                officer_id="C", basis=LETTER, given_on=dt.date(2021, 5, 1), withdrawn_on=dt.date(2021, 6, 1), by="C"
            )
        )
    assert consented(store, dt.date(2021, 12, 31)) == {"A"}
    assert consented(store, dt.date(2021, 5, 20)) == {"A", "C"}
    with transaction(store, writes=False) as session:
        assert [reading.letter_allowed(session, name) for name in "ABC"] == [True, True, False]


def test_one_officers_events_read_alone_are_those_of_the_whole_histories(made_home, given) -> None:
    month = int(month_of_day(given.last_recorded))
    view = assessable(given, month)
    for officer in given.officers[view.now.post >= 0][::40]:
        whole, alone = opened(view, str(officer)), behind(made_home, str(officer), month)
        for told, table in ((alone.events, whole.events), (alone.entries, whole.entries)):
            assert [{key: row[key] for key in row if key != "event_id"} for row in told] == as_records(
                table.drop(columns="row")
            )
        assert sum(row["cents"] for row in alone.entries) == whole.entries["cents"].sum()
