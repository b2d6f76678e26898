"""A score corrected after a withdrawal or an upheld objection: beside a published list, in the order of a draft."""

import datetime as dt
import json

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from features.errors import Refusal
from features.histories.store import load_histories
from serving.access.audit import Actor, faults, record
from serving.access.sight import WHOLE
from serving.app import create_app
from serving.cli import main
from serving.database import open_database, transaction
from serving.decisions.consents import withdraw
from serving.decisions.publishing import altered, publish
from serving.decisions.rescored import rescore_withdrawn
from serving.decisions.standing import corrected
from serving.decisions.tables import Flag, Rescored
from serving.mentoring.tables import Offer
from serving.months.replay import past_list, replay
from serving.offers.raising import raise_offers
from serving.persons.seen import health_groups
from serving.scored.queries import batch_of, entries, person_risks
from serving.tables import RecommendationRow, Score
from serving.words import say
from tests.serving_fixtures import last_month, signed_in_client

WANG = Actor("wang", "officer")
RISK = "burnout"


@pytest.fixture
def home(own_home):
    engine = open_database(own_home)
    yield own_home, engine
    engine.dispose()


def chosen(engine, *, within=True):
    """The person of the burnout list whose health data pushes most, within its capacity."""
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK)
        health = health_groups(session, batch)
        listed = entries(session, WHOLE, batch, limit=batch.capacity if within else 60)
        push = lambda entry: max((r["contribution"] for r in entry.strongest if r["measure"] in health), default=0)  # noqa: E731
        return max(listed, key=push)


def published(engine):
    with transaction(engine) as session:
        for risk in ("burnout", "efficiency_decline"):
            publish(session, Actor("chen", "wellness"), batch_of(session, WHOLE, risk), despite="in the tests it is so")


def withdrawn(home, engine, who, *, past=False):
    with transaction(engine) as session:
        withdraw(session, WANG, who, register=True, home=home, today=dt.date.today(), past=past)


def replayed(home, engine):
    with transaction(engine, writes=False) as session:
        past = past_list(session, RISK, last_month(load_histories(home)))
    return replay(home, past)


def test_a_published_list_is_rebuilt_as_published_after_a_withdrawal_and_says_who_was_corrected(home):
    path, engine = home
    published(engine)
    who = chosen(engine).score.officer_id
    withdrawn(path, engine, who)
    assert replayed(path, engine).equal
    rescore_withdrawn(engine, path)
    found = replayed(path, engine)
    assert found.equal
    assert [(each.officer_id, each.cause) for each in found.past.then.corrected] == [(who, "consent")]
    words = ["--home", str(path), "replay", "--risk", RISK, "--as-of", f"{batch_month(engine)}"]
    told = json.loads(CliRunner().invoke(main, ["--json", *words]).stdout)
    assert told["corrected"] == [{"officer_id": who, "cause": "consent", "on": str(dt.datetime.now(dt.UTC).date())}]
    assert f"Corrected since: {who}" in CliRunner().invoke(main, words).stdout


def batch_month(engine):
    with transaction(engine, writes=False) as session:
        return f"{batch_of(session, WHOLE, RISK).as_of:%Y-%m}"


def test_a_list_made_with_data_that_was_taken_out_for_the_past_too_is_refused_with_the_reason(home):
    path, engine = home
    published(engine)
    who = chosen(engine).score.officer_id
    withdrawn(path, engine, who, past=True)
    with pytest.raises(Refusal, match="took their past months out since") as refused:
        replayed(path, engine)
    assert refused.value.problems == [who] or list(refused.value.problems) == [who]


def test_a_published_list_shows_what_was_published_with_the_correction_beside_it(home):
    path, engine = home
    published(engine)
    before = chosen(engine)
    who = before.score.officer_id
    withdrawn(path, engine, who)
    rescore_withdrawn(engine, path)
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK)
        shown = entries(session, WHOLE, batch, limit=500)
        mine = next(each for each in shown if each.score.officer_id == who)
        names = ("probability", "low", "high", "rank")
        assert [getattr(mine.score, name) for name in names] == [getattr(before.score, name) for name in names]
        assert mine.correction.probability != before.score.probability
        assert mine.correction.on == dt.datetime.now(dt.UTC).date()
        assert [each.score.officer_id for each in shown if each.correction] == [who]
        assert not {reason["measure"] for reason in mine.strongest} & health_groups(session, batch)
        assert altered(session) == []
        risk = next(each for each in person_risks(session, WHOLE, who, batch.as_of) if each.batch.risk == RISK)
        assert (risk.score.probability, risk.published.probability) == (
            mine.correction.probability, before.score.probability,
        )  # fmt: skip
    client = signed_in_client(create_app(path, engine), engine, "wellness")
    told = client.get(f"/api/v1/risk-lists/{RISK}?limit=500").json()["entries"]
    entry = next(each for each in told if each["officer_id"] == who)
    assert (entry["probability"], entry["correction"]["probability"]) == (
        before.score.probability, mine.correction.probability,
    )  # fmt: skip
    assert entry["correction"]["rank"] == mine.correction.rank
    assert sum(each["correction"] is not None for each in told) == 1
    mine_alone = client.get(f"/api/v1/officers/{who}").json()["risks"]
    risk_told = next(each for each in mine_alone if each["risk"] == RISK)
    assert risk_told["as_published"]["probability"] == before.score.probability
    for language, mark, stays in (
        ("zh", "更正", "名次和数值不再更改"),
        ("en", "corrected on", "its places and figures stay"),
    ):
        page = client.get(f"/lists/{RISK}?lang={language}").text
        assert mark in page
        assert stays in page
        assert page.count(say("corrected_place", language)) == 1  # why the place may not fit the corrected risk
        assert mark in client.get(f"/officers/{who}?lang={language}").text
        exported = client.get(f"/lists/{RISK}/export.csv?lang={language}").text
        assert {"zh": "更正后风险", "en": "Risk since"}[language] in exported


def test_a_draft_takes_the_order_of_its_corrected_scores_with_its_flags_and_is_still_rebuilt(home):
    path, engine = home
    who = chosen(engine).score.officer_id
    withdrawn(path, engine, who)
    rescore_withdrawn(engine, path)
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK)
        shown = entries(session, WHOLE, batch, limit=500)
        risks = [each.score.probability for each in shown]
        assert risks == sorted(risks, reverse=True)
        assert [each.score.rank for each in shown] == list(range(1, len(shown) + 1))
        assert not any(each.correction for each in shown)
        place = next(each.score.rank for each in shown if each.score.officer_id == who)
        raw = session.get_one(Score, (batch.id, who))
        assert raw.probability != next(each.score.probability for each in shown if each.score.officer_id == who)
        named = {each.score.officer_id for each in shown[: batch.capacity]}
        open_ = select(Flag.officer_id).where(Flag.risk == RISK, Flag.status == "open", Flag.renewed_on == batch.as_of)
        assert named <= set(session.scalars(open_))
        assert (who in named) == (place <= batch.capacity)
        assert faults(session) == []
    found = replayed(path, engine)
    assert found.equal
    assert found.past.then.reordered == {who}
    published(engine)
    assert replayed(path, engine).equal
    with transaction(engine, writes=False) as session:
        shown = entries(session, WHOLE, batch_of(session, WHOLE, RISK), limit=500)
        assert [each.score.probability for each in shown] == risks  # what stood when it was published
        assert not any(each.correction for each in shown)
        assert altered(session) == []


def test_nothing_is_offered_any_more_for_health_data_that_has_no_basis(home):
    path, engine = home
    given = load_histories(path)
    with transaction(engine) as session:
        batch = batch_of(session, WHOLE, RISK)
        raise_offers(session, given.profile, batch.as_of)
    published(engine)
    health = [each for key, each in given.profile.measures.items() if each.sensitive]
    named = [name for each in health for name in (each.label.zh, each.label.en.lower())]

    def telling(session, who):
        rows = session.scalars(select(RecommendationRow).where(RecommendationRow.officer_id == who)).all()
        kept = session.scalars(select(Offer).where(Offer.officer_id == who)).all()
        texts = [row.reason["zh"] + row.reason["en"].lower() for row in (*rows, *kept)]
        texts += [line["zh"] + line["en"].lower() for offer in kept for line in offer.evidence]
        return [text for text in texts if any(name in text for name in named)]

    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK)
        listed = [each.score.officer_id for each in entries(session, WHOLE, batch, limit=60)]
        who = next(each for each in listed if telling(session, each))
        others = {each: telling(session, each) for each in listed if each != who}
    withdrawn(path, engine, who)
    rescore_withdrawn(engine, path)
    with transaction(engine, writes=False) as session:
        day = batch_of(session, WHOLE, RISK).as_of
        now = select(RecommendationRow.reason).where(
            RecommendationRow.officer_id == who, RecommendationRow.as_of == day
        )
        told = [reason["zh"] + reason["en"].lower() for reason in session.scalars(now)]
        assert not [text for text in told if any(name in text for name in named)]
        offers = session.scalars(select(Offer).where(Offer.officer_id == who, Offer.as_of == day)).all()
        lines = [line["zh"] + line["en"].lower() for offer in offers for line in (offer.reason, *offer.evidence)]
        assert not [text for text in lines if any(name in text for name in named)]
        assert {each: telling(session, each) for each in others} == others


def test_a_withdrawal_changes_the_lists_tag_at_once_and_its_correction_again(home):
    path, engine = home
    client = signed_in_client(create_app(path, engine), engine, "wellness")
    tags = [client.get(f"/api/v1/risk-lists/{RISK}").headers["etag"]]
    who = chosen(engine).score.officer_id
    withdrawn(path, engine, who)
    tags.append(client.get(f"/api/v1/risk-lists/{RISK}").headers["etag"])
    rescore_withdrawn(engine, path)
    tags.append(client.get(f"/api/v1/risk-lists/{RISK}").headers["etag"])
    assert len(set(tags)) == 3


def test_who_stands_out_of_order_is_told_why_and_nobody_else_is(home):
    """A score that was computed anew without the list being put in order again, as lists of earlier versions are."""
    path, engine = home
    client = signed_in_client(create_app(path, engine), engine, "wellness")
    for language, tag in (("zh", "重新计算</span>"), ("en", "computed anew</span>")):
        assert tag not in client.get(f"/lists/{RISK}?lang={language}").text
    with transaction(engine) as session:
        batch = batch_of(session, WHOLE, RISK)
        second = entries(session, WHOLE, batch, limit=2)[1]
        figures = {"probability": 0.001, "low": 0.0, "high": 0.01, "rank": 2, "evidence": "sufficient"}
        made_of = {"model_version": batch.model_version, "contributions": {}, "strongest": list(second.strongest)}
        now, who = dt.datetime.now(dt.UTC), second.score.officer_id
        session.add(Rescored(risk=RISK, as_of=batch.as_of, officer_id=who, cause="objection", at=now,
                             score=figures | made_of))  # fmt: skip
        record(session, Actor("chen", "wellness"), "score rerun", "objection 1")
    for language, tag in (("zh", "重新计算</span>"), ("en", "computed anew</span>")):
        page = client.get(f"/lists/{RISK}?lang={language}").text
        assert page.count(tag) == 1
        row = page[page.index(f'id="p-{who}"') :]
        assert tag in row[: row.index("</tr>")]


def test_a_correction_is_the_newest_of_the_person_and_only_of_that_list(home):
    path, engine = home
    published(engine)
    who = chosen(engine).score.officer_id
    withdrawn(path, engine, who)
    rescore_withdrawn(engine, path)
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, RISK)
        held = session.scalars(select(Rescored).where(Rescored.risk == RISK)).one()
        assert corrected(session, batch)[who].score["probability"] == held.score["probability"]
        earlier = batch_of(session, WHOLE, RISK, batch.as_of.replace(day=1) - dt.timedelta(days=1))
        assert not any(each.correction for each in entries(session, WHOLE, earlier, limit=500))
