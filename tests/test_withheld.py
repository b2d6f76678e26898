"""Who withdrew consent: in no month is a health reason told by name, and sums stay; nobody else sees that."""

import datetime as dt

import pytest
from sqlalchemy import select

from features.histories.store import load_histories
from features.months import month_end, month_text
from serving.access.sight import WHOLE
from serving.app import create_app
from serving.database import open_database, transaction
from serving.decisions import objections
from serving.decisions.consents import give, withdraw
from serving.decisions.objections import Against, Contested
from serving.decisions.rescored import rescore_withdrawn
from serving.decisions.tables import Consent, Repeated
from serving.months.replay import past_list, replay
from serving.persons.seen import health_groups
from serving.scored.changes import changes
from serving.scored.queries import batch_of, entries, person_risks
from serving.tables import Batch, Reasons, RecommendationRow
from tests.serving_fixtures import last_month, signed_in_client
from tests.test_corrections import RISK, WANG, batch_month


@pytest.fixture
def home(own_home):
    engine = open_database(own_home)
    yield own_home, engine
    engine.dispose()


@pytest.fixture
def earlier(home):
    """The month before the newest, and the person of it whom firm health reasons push most."""
    path, engine = home
    day = month_end(last_month(load_histories(path)) - 1)
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK, day)
        health = health_groups(session, batch)
        listed = entries(session, WHOLE, batch, limit=60)

        def push(entry):
            return max((r["contribution"] for r in entry.shown if r["measure"] in health), default=0)

        return day, max(listed, key=push).score.officer_id


def gone(home, engine, who):
    with transaction(engine) as session:
        withdraw(session, WANG, who, register=True, home=home, today=dt.date.today())
    rescore_withdrawn(engine, home)


def words_of_health(engine, day):
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK, day)
        labels = batch.labels["measures"]
        named = {labels[key][lang] for key in health_groups(session, batch) if key in labels for lang in ("zh", "en")}
        actions = {text for label in session.scalars(select(RecommendationRow.label)) for text in label.values()}
        return named - actions  # some help is called as its record is


def test_an_earlier_months_health_reasons_are_one_line_everywhere_and_sums_stay(home, earlier):
    path, engine = home
    day, who = earlier
    month = month_text(last_month(load_histories(path)) - 1)
    with transaction(engine, writes=False) as session:
        before = next(r for r in person_risks(session, WHOLE, who, day) if r.batch.risk == RISK)
    gone(path, engine, who)
    with transaction(engine, writes=False) as session:
        after = next(r for r in person_risks(session, WHOLE, who, day) if r.batch.risk == RISK)
        health = health_groups(session, after.batch)
        assert (after.score, after.margin) == (before.score, before.margin)
        assert not health & {*after.reasons.groups, *after.reasons.history}
        assert not health & {reason["measure"] for reason in after.reasons.strongest}
        whole = after.batch.base_value + sum(after.reasons.contributions) + after.reasons.withheld
        assert whole == pytest.approx(before.margin)
    client = signed_in_client(create_app(path, engine), engine, "wellness")
    hidden = words_of_health(engine, day)
    told = client.get(f"/api/v1/risk-lists/{RISK}?as_of={month}&limit=500").json()["entries"]
    entry = next(each for each in told if each["officer_id"] == who)
    assert entry["withheld"] == pytest.approx(after.reasons.withheld)
    assert not health & {reason["measure"] for reason in entry["reasons"]}
    assert [each["officer_id"] for each in told if each["withheld"] is not None] == [who]
    alone = next(r for r in client.get(f"/api/v1/officers/{who}?as_of={month}").json()["risks"] if r["risk"] == RISK)
    assert alone["base_value"] + sum(alone["contributions"].values()) + alone["withheld"] == pytest.approx(
        alone["margin"]
    )
    for language, line in (("zh", "健康类理由合计"), ("en", "Health reasons together, withheld")):
        ask = f"as_of={month}&lang={language}"
        page = client.get(f"/officers/{who}?risk={RISK}&{ask}").text
        assert line in page
        why = page[page.index('<table class="reasons">') : page.index("</section>")]
        assert not [word for word in hidden if word in why]
        row = next(line for line in client.get(f"/lists/{RISK}/export.csv?{ask}").text.splitlines() if who in line)
        assert not [word for word in hidden if word in row]
        assert line in row
        drawn = client.get(f"/officers/{who}/history.svg?risk={RISK}&{ask}").text
        assert not [word for word in hidden if word in drawn]
    offers = client.get(f"/api/v1/officers/{who}/recommendations?as_of={month}").text
    assert not [word for word in hidden if word in offers]
    assert replay(path, replayed(engine, path)).equal


def replayed(engine, path):
    with transaction(engine, writes=False) as session:
        return past_list(session, RISK, last_month(load_histories(path)) - 1)


def test_given_again_the_months_before_are_told_again(home, earlier):
    path, engine = home
    day, who = earlier
    gone(path, engine, who)
    with transaction(engine) as session:
        give(session, WANG, who, register=True, home=path, today=dt.date.today())
    with transaction(engine, writes=False) as session:
        risk = next(r for r in person_risks(session, WHOLE, who, day) if r.batch.risk == RISK)
        assert risk.reasons.withheld is None
        assert health_groups(session, risk.batch) & set(risk.reasons.groups)


def test_recommendations_of_an_earlier_month_lose_words_that_may_name_health_data(home, earlier):
    path, engine = home
    day, who = earlier
    client = signed_in_client(create_app(path, engine), engine, "wellness")
    with transaction(engine) as session:
        rows = select(RecommendationRow).where(RecommendationRow.officer_id == who, RecommendationRow.as_of == day)
        row = session.scalar(rows.where(RecommendationRow.purpose == "wellness"))
        row.reason = {"zh": "主要原因：睡眠时长", "en": "Mainly because of sleep hours"}
    asked = f"/api/v1/officers/{who}/recommendations?as_of={day:%Y-%m}"
    assert "sleep hours" in client.get(asked).text
    gone(path, engine, who)
    assert "sleep hours" not in client.get(asked).text
    assert "withheld" in client.get(asked).text


def test_the_change_to_a_list_made_after_a_withdrawal_names_no_health_reason(home, earlier):
    path, engine = home
    _, who = earlier
    gone(path, engine, who)
    with transaction(engine) as session:  # the newest list as one scored since: nobody's score stands beside it
        newest = batch_of(session, WHOLE, RISK)
        newest.scored_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    with transaction(engine, writes=False) as session:
        newest = batch_of(session, WHOLE, RISK)
        found = changes(session, WHOLE, newest, shown=500)
        mine = [each for each in (*found.new, *found.gone, *found.risen) if each.officer_id == who]
        assert [each.causes for each in mine] == [()] * len(mine)
        others = [each for each in (*found.new, *found.gone, *found.risen) if each.causes]
        assert others


def test_a_decision_sent_twice_tells_no_health_reason_that_was_withdrawn_between(home):
    path, engine = home
    with transaction(engine) as session:
        batch = batch_of(session, WHOLE, RISK)
        health = health_groups(session, batch)
        who = max(
            entries(session, WHOLE, batch, limit=60),
            key=lambda each: max((r["contribution"] for r in each.strongest if r["measure"] in health), default=0),
        ).score.officer_id
        told = Contested(who, Against.SCORE, "this score is not right", risk=RISK)
        row = objections.contest(session, WANG, told, days=15)
        strongest = session.get_one(Reasons, (batch.id, who)).strongest
        row.before = {RISK: {"as_of": str(batch.as_of), "probability": 0.5, "strongest": strongest}}
        number = row.id
    client = signed_in_client(create_app(path, engine), engine, "wellness")
    verdict = {"version": 0, "outcome": "rejected", "answer": "the records are right"}
    send = lambda: client.post(  # noqa: E731
        f"/api/v1/objections/{number}/decision", json=verdict, headers={"idempotency-key": "sent-twice-1"}
    )
    first = send()
    assert first.status_code == 200
    assert health & {each["measure"] for each in first.json()["before"][RISK]["strongest"]}
    gone(path, engine, who)
    second = send()
    assert (second.status_code, second.json()["version"]) == (200, first.json()["version"])
    assert not health & {each["measure"] for each in second.json()["before"][RISK]["strongest"]}
    with transaction(engine, writes=False) as session:
        assert [set(kept.answer) for kept in session.scalars(select(Repeated))] == [{"number"}]


def test_who_may_not_see_health_data_sees_nothing_of_a_withdrawal(home, earlier):
    path, engine = home
    _, who = earlier
    clients = [signed_in_client(create_app(path, engine), engine, role) for role in ("hr", "commander")]
    asked = "/api/v1/risk-lists/efficiency_decline?limit=500"
    before = [client.get(asked) for client in clients]
    gone(path, engine, who)
    after = [client.get(asked) for client in clients]
    assert [each.content for each in after] == [each.content for each in before]
    assert [each.headers["etag"] for each in after] == [each.headers["etag"] for each in before]


def test_a_lists_tag_changes_with_whatever_its_answer_tells(home):
    path, engine = home
    client = signed_in_client(create_app(path, engine), engine, "hr")
    asked = "/api/v1/risk-lists/efficiency_decline?limit=500"
    before = client.get(asked)
    with transaction(engine) as session:
        batch = session.scalar(select(Batch).where(Batch.risk == "efficiency_decline").order_by(Batch.as_of.desc()))
        rows = select(RecommendationRow).where(
            RecommendationRow.as_of == batch.as_of, RecommendationRow.purpose == "development"
        )
        for row in session.scalars(rows):
            session.delete(row)
    again = signed_in_client(create_app(path, engine), engine, "hr").get(
        asked, headers={"if-none-match": before.headers["etag"]}
    )
    assert again.status_code == 200
    assert again.content != before.content


def test_agreeing_to_a_letter_does_not_cover_health_data(home, earlier):
    path, engine = home
    day, who = earlier
    gone(path, engine, who)
    with transaction(engine) as session:
        session.add(Consent(officer_id=who, basis="letter_of_honour", given_on=dt.date(2020, 1, 1), withdrawn_on=None,
                            by="wang"))  # fmt: skip
    with transaction(engine, writes=False) as session:
        risk = next(r for r in person_risks(session, WHOLE, who, day) if r.batch.risk == RISK)
        assert risk.reasons.withheld is not None
    assert batch_month(engine)
