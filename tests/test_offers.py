"""Offers: made of recommendations and ladders, followed, declined freely, counted; and help taken becomes events."""

import datetime as dt
import re
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import pandas as pd
import pytest
from sqlalchemy import func, select

from features.assessment.assess import assess
from features.histories.store import load_histories
from features.histories.tables import event_table
from features.months import month_end
from features.profile import load_profile
from serving.access.audit import Actor, faults
from serving.access.roles import Role
from serving.access.sight import Sight
from serving.access.tables import Account, AuditRow
from serving.answers.problems import Kind, Problem
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.database import open_database, transaction
from serving.decisions.tables import Flag, Review
from serving.mentoring.tables import MentoringRound, Mentorship, MentorshipStep, Offer, OfferStep
from serving.offers.ledger import ingest_ledger, ledger_events
from serving.offers.life import Decided, Step, counted, decide, may_decide, offers_seen
from serving.offers.raising import raise_offers
from serving.rest.tables import RestEntry, RestPlan
from serving.tables import RecommendationRow
from serving.words import say
from tests.serving_fixtures import last_month, signed_in_client
from training.spells import Ledger, marks

PROFILE = load_profile("gongan")
WELL, HR = Actor("the wellness", "wellness"), Actor("the hr", "hr")
NOW = dt.datetime(2024, 12, 20, 9, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def force(made_home, tmp_path_factory):
    """A home with an assessment and the offers of its last month."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("offers") / "home")
    engine = open_database(home)
    given = load_histories(home)
    store_assessment(assess(given, last_month(given)), engine)
    as_of = month_end(last_month(given))
    with transaction(engine) as session:
        made = raise_offers(session, given.profile, as_of)
    yield SimpleNamespace(home=home, engine=engine, given=given, as_of=as_of, made=made)
    engine.dispose()


@pytest.fixture
def session(force):
    """A session whose work is taken back."""
    with transaction(force.engine) as made:
        yield made
        made.rollback()


def test_every_recommendation_but_rest_and_mentoring_becomes_an_offer_with_owner_and_due_date(session, force):
    kinds = ("training", "rotation", "care", "culture")
    rows = session.scalars(
        select(RecommendationRow).where(RecommendationRow.as_of == force.as_of, RecommendationRow.kind.in_(kinds))
    ).all()
    offers = session.scalars(select(Offer)).all()
    assert {(row.officer_id, row.action, row.purpose) for row in rows} == {
        (offer.officer_id, offer.action, offer.purpose) for offer in offers if offer.kind != "ladder"
    }
    assert force.made.new == len(offers)
    assert all(offer.owner and offer.decides and offer.due_on > force.as_of and offer.unit for offer in offers)
    assert {offer.kind for offer in offers} & {"rest", "mentoring"} == set()


def test_an_offer_against_a_risk_rests_on_the_reasons_of_lists_of_its_own_purpose(session):
    offers = session.scalars(select(Offer).where(Offer.kind == "culture")).all()
    assert offers
    assert any(offer.evidence for offer in offers)
    sick = PROFILE.measures["sick_days"].label
    for offer in offers:
        if offer.purpose == "development":
            assert not any(sick.zh in each["zh"] for each in offer.evidence)


def test_ladders_are_offered_to_hr_and_decided_by_the_person(session):
    ladders = session.scalars(select(Offer).where(Offer.kind == "ladder")).all()
    assert all((offer.owner, offer.decides, offer.purpose) == ("hr", "officer", "development") for offer in ladders)


def test_the_same_month_again_changes_nothing_and_later_months_renew_or_lapse(session, force):
    again = raise_offers(session, force.given.profile, force.as_of)
    assert (again.new, again.renewed, again.lapsed) == (0, 0, 0)
    expires = force.given.profile.settings.policy.flag_expires_months
    later = raise_offers(session, force.given.profile, month_end(last_month(force.given) + expires))
    assert later.lapsed == force.made.new


def test_what_was_declined_is_not_offered_again_soon(session, force):
    offer = session.scalars(select(Offer).order_by(Offer.id)).first()
    step(session, offer, Step.DECLINE)
    assert raise_offers(session, force.given.profile, force.as_of).new == 0


def step(session, offer, which, on=dt.date(2024, 12, 20), version=None):
    return decide(session, HR, Decided(offer.id, offer.version if version is None else version, which, on))


def test_an_offer_is_followed_to_done_and_each_step_is_audited(session):
    offer = session.scalars(select(Offer).order_by(Offer.id)).first()
    offer = step(session, offer, Step.ACCEPT)
    with pytest.raises(Problem) as late:
        step(session, offer, Step.DECLINE, version=0)
    assert late.value.kind is Kind.DECIDED_MEANWHILE
    offer = step(session, offer, Step.DONE)
    assert (offer.status, offer.done_on) == ("done", dt.date(2024, 12, 20))
    with pytest.raises(Problem) as over:
        step(session, offer, Step.ACCEPT)
    assert over.value.kind is Kind.INVALID
    steps = session.scalars(select(OfferStep.step).where(OfferStep.offer_id == offer.id).order_by(OfferStep.version))
    assert list(steps) == ["propose", "accept", "done"]
    rows = session.scalar(select(func.count()).select_from(AuditRow).where(AuditRow.subject == f"offer {offer.id}"))
    assert rows == 2
    assert faults(session) == []


def test_offers_for_a_wellness_purpose_are_hidden_from_hr_and_commander(session):
    offer = session.scalars(select(Offer).order_by(Offer.id)).first()
    offer.purpose = "wellness"
    session.flush()
    for sight in (Sight(Role.HR), Sight(Role.COMMANDER, units=(offer.unit,))):
        assert offer.id not in {row.id for row in offers_seen(session, sight)}
    assert offer.id in {row.id for row in offers_seen(session, Sight(Role.WELLNESS))}
    assert offer.id in {row.id for row in offers_seen(session, Sight(Role.OFFICER, officer_id=offer.officer_id))}
    everything = sum(sum(each.states.values()) for each in counted(session, Sight(Role.WELLNESS)))
    assert everything == session.scalar(select(func.count()).select_from(Offer))


def test_only_who_arranges_or_decides_or_is_meant_has_a_say(session):
    offer = session.scalars(select(Offer).where(Offer.owner == "hr", Offer.decides == "hr")).first()
    assert may_decide(Sight(Role.HR), offer)
    assert not may_decide(Sight(Role.WELLNESS), offer)
    assert may_decide(Sight(Role.OFFICER, officer_id=offer.officer_id), offer)
    assert not may_decide(Sight(Role.OFFICER, officer_id="another"), offer)


def test_the_page_and_the_api_follow_offers_and_make_one_by_hand(force):
    app = create_app(force.home, force.engine)
    with transaction(force.engine, writes=False) as reading:
        person = reading.scalars(select(RecommendationRow.officer_id)).first()
    with signed_in_client(app, force.engine, "hr") as hr:
        assert "Record the answer" in hr.get("/offers?lang=en").text
        sent = {"csrf": hr.headers["x-csrf-token"], "officer_id": person, "action": "childrens_schooling"}
        assert hr.post("/offers", data=sent).status_code == 303
        made = hr.get("/api/v1/offers?kind=care").json()["offers"][-1]
        assert (made["action"], made["status"]) == ("childrens_schooling", "proposed")
        answer = hr.post(f"/api/v1/offers/{made['id']}/decision", json={"version": 0, "step": "done"})
        assert answer.json()["status"] == "done"
        assert hr.post("/api/v1/offers", json={"officer_id": person, "action": "recuperation"}).status_code == 422
        assert hr.post("/api/v1/offers", json={"officer_id": person, "action": "family_help"}).status_code == 403
        assert (
            hr.post("/api/v1/offers", json={"officer_id": "nobody", "action": "childrens_schooling"}).status_code == 404
        )
        counts = {each["action"]: each["states"] for each in hr.get("/api/v1/offers").json()["counts"]}
        assert counts["childrens_schooling"]["done"] == 1


def test_an_offer_and_a_step_sent_twice_with_one_key_are_done_once(force):
    with transaction(force.engine, writes=False) as reading:
        person = reading.scalar(select(func.max(RecommendationRow.officer_id)))
    with signed_in_client(create_app(force.home, force.engine), force.engine, "hr") as hr:

        def twice(path, sent, key):
            answers = [hr.post(path, json=sent, headers={"Idempotency-Key": key}) for _ in range(2)]
            assert answers[0].status_code == answers[1].status_code < 300
            assert answers[0].json() == answers[1].json()
            return answers[0].json()

        made = twice("/api/v1/offers", {"officer_id": person, "action": "childrens_schooling"}, "offer-sent-twice")
        step = {"version": made["version"], "step": "done"}
        assert twice(f"/api/v1/offers/{made['id']}/decision", step, "step-sent-twice")["status"] == "done"
        other = {"officer_id": person, "action": "family_help"}
        assert hr.post("/api/v1/offers", json=other, headers={"Idempotency-Key": "offer-sent-twice"}).status_code == 422
    with transaction(force.engine, writes=False) as reading:
        of_person = select(Offer.id).where(Offer.officer_id == person, Offer.action == "childrens_schooling")
        assert reading.scalars(of_person).all() == [made["id"]]
        steps = select(OfferStep.step).where(OfferStep.offer_id == made["id"]).order_by(OfferStep.id)
        assert reading.scalars(steps).all().count("done") == 1


def test_a_person_declines_what_is_offered_to_them_and_nobody_elses(force):
    app = create_app(force.home, force.engine)
    with signed_in_client(app, force.engine, "officer") as officer:
        with transaction(force.engine, writes=False) as reading:
            mine = reading.scalars(select(Offer).where(Offer.status == "proposed").order_by(Offer.id)).first()
        sent = {"csrf": officer.headers["x-csrf-token"], "version": mine.version, "step": "decline"}
        assert officer.post(f"/my-record/offers/{mine.id}", data=sent).status_code == 404
    with signed_in_client(app, force.engine, "officer", officer_id=mine.officer_id) as officer:
        with transaction(force.engine) as session:
            own = session.get_one(Offer, mine.id)
            own.officer_id = whose(session)
        assert officer.post(f"/my-record/offers/{mine.id}", data={**sent, "csrf": officer.headers["x-csrf-token"]}).status_code == 303  # noqa: E501 # fmt: skip


def test_a_person_does_not_note_that_the_own_offer_was_done(force):
    with own_offer(force) as (officer, mine):
        sent = {"csrf": officer.headers["x-csrf-token"], "version": mine.version, "step": "done"}
        assert officer.post(f"/my-record/offers/{mine.id}", data=sent).status_code == 403
        by_call = officer.post(f"/api/v1/offers/{mine.id}/decision", json={"version": mine.version, "step": "done"})
        assert by_call.status_code == 403
    with transaction(force.engine) as session:
        kept = session.get_one(Offer, mine.id)
        assert (kept.status, kept.done_on) == ("proposed", None)
        kept.officer_id = mine.officer_id


def test_an_offer_that_was_accepted_says_so_on_the_own_record(force):
    with own_offer(force) as (officer, mine):
        sent = {"csrf": officer.headers["x-csrf-token"], "version": mine.version, "step": "accept"}
        answer = officer.post(f"/my-record/offers/{mine.id}", data=sent)
        page = officer.get(answer.headers["location"].partition("#")[0] + "&lang=en").text
    assert say("mine_done_offer_accept", "en") in page
    offered = page.split('id="offers"')[1].split("</section>")[0]
    assert f'{mine.label["en"]} <span class="tag">{say("offer_accepted", "en")}</span>' in offered


def test_the_page_shows_the_offers_of_a_unit(force):
    with transaction(force.engine, writes=False) as reading:
        units = set(reading.scalars(select(Offer.unit).where(Offer.status == "proposed", Offer.purpose != "wellness")))
    one = sorted(units)[0]
    with signed_in_client(create_app(force.home, force.engine), force.engine, "hr") as hr:
        whole, chosen = hr.get("/offers").text, hr.get("/offers", params={"unit": one}).text
    shown = re.findall(r'<span class="small">([^<]*?) · [^<]*</span></p>', chosen)
    assert set(shown) == {one}
    assert len(set(re.findall(r'<span class="small">([^<]*?) · [^<]*</span></p>', whole))) > 1
    assert f"<option selected>{one}</option>" in chosen


@contextmanager
def own_offer(force):
    """An officer's client, and an offer that is made theirs and is open."""
    with transaction(force.engine, writes=False) as reading:
        mine = reading.scalars(select(Offer).where(Offer.status == "proposed").order_by(Offer.id.desc())).first()
    app = create_app(force.home, force.engine)
    with signed_in_client(app, force.engine, "officer", officer_id=mine.officer_id) as officer:
        with transaction(force.engine) as session:
            session.get_one(Offer, mine.id).officer_id = whose(session)
        yield officer, mine


def whose(session):
    return session.scalars(select(Account.officer_id).where(Account.role == "officer")).one()


def helped(session, person, mentor, entered=NOW):
    """A mentorship begun and met once, an offer done, a rest taken, a flag acted on."""
    made = MentoringRound(
        as_of=NOW.date(), risk="efficiency_decline", purpose="development", made_at=NOW, by="hr", mentees=1, mentors=1,
        pairs=1, kept=0, total_fit=0.5, labels={}, one_more=[],
    )  # fmt: skip
    flag = Flag(
        risk="burnout", purpose="wellness", officer_id=person, raised_on=NOW.date(), renewed_on=NOW.date(),
        status="acted", version=1, asked=False,
    )  # fmt: skip
    session.add_all([made, flag])
    session.flush()
    pair = Mentorship(
        round_id=made.id, risk=made.risk, purpose=made.purpose, as_of=NOW.date(), mentee_id=person, mentee_post="p",
        mentee_unit="u", mentor_id=mentor, mentor_post="p", mentor_unit="u", fit=0.5, parts={},
        reason={"zh": "", "en": ""}, instead=[], status="running", version=2,
    )  # fmt: skip
    offer = Offer(
        officer_id=person, post="p", unit="u", purpose="development", action="childrens_schooling", kind="care",
        label={}, reason={}, evidence=[], opening=None, owner="hr", decides="hr", by_right=False, as_of=NOW.date(),
        renewed_on=NOW.date(), due_on=NOW.date(), recorded_as="schooling_help", amount=1.0, status="done", version=1,
        done_on=NOW.date(),
    )  # fmt: skip
    review = Review(
        flag_id=flag.id, version=1, decision="act", reason="", action=None, by="w", at=entered, as_of=NOW.date()
    )
    session.add_all([pair, offer, review])
    session.flush()
    for version, name in ((1, "start"), (2, "check_in")):
        session.add(
            MentorshipStep(
                mentorship_id=pair.id, version=version, step=name, on=dt.date(2024, 12, 3 + version), by="hr",
                at=entered, who=None, note="",
            )
        )  # fmt: skip
    session.add(OfferStep(offer_id=offer.id, version=1, step="done", on=NOW.date(), by="hr", at=entered, note=""))
    session.flush()


def test_help_that_was_taken_becomes_events_under_lasting_ids(session):
    helped(session, "P000001", "P000002")
    before = ledger_events(session, PROFILE)
    assert ledger_events(session, PROFILE).equals(before)
    told = before[before["event_id"].str.startswith("jx-")].groupby("measure")["officer_id"].agg(["size", "first"])
    assert told.loc["mentoring_received"].tolist() == [2, "P000001"]
    assert told.loc["mentoring_given"].tolist() == [2, "P000002"]
    assert {"decline_flag_acted", "burnout_flag_acted", "schooling_help"} <= set(told.index)
    assert before["event_id"].is_unique
    assert (before["recorded_on"] >= before["occurred_on"]).all()


def test_the_ledger_is_ingested_once_and_never_beyond_what_the_store_knows(force, tmp_path):
    home = shutil.copytree(force.home, tmp_path / "home")
    engine = open_database(home)
    person, mentor = (str(name) for name in force.given.officers[:2])
    with transaction(engine) as session:
        helped(session, person, mentor)
        helped(session, mentor, person, entered=dt.datetime(2025, 3, 1, tzinfo=dt.UTC))
    with transaction(engine, writes=False) as session:
        late = ledger_events(session, PROFILE)["recorded_on"] > pd.Timestamp("2024-12-31")
        result, waiting = ingest_ledger(session, home)
        assert result is not None
        again, _ = ingest_ledger(session, home)
    assert (again.events_new, again.changed) == (0, False)
    after = load_histories(home)
    acted = event_table(after).query("measure == 'decline_flag_acted' and officer_id == @person")
    assert acted["occurred_on"].tolist()[-1] == pd.Timestamp("2024-12-04")
    assert after.last_recorded == force.given.last_recorded
    assert len(after.events) == len(force.given.events) + result.events_new
    assert waiting == late.sum() > 0
    engine.dispose()


def test_a_mentorship_begun_after_a_flag_is_a_treated_spell_of_the_next_training(force, tmp_path):
    home = shutil.copytree(force.home, tmp_path / "home")
    engine = open_database(home)
    assert marks(force.given.profile, "efficiency_decline") == ("decline_flag_acted",)
    with transaction(engine) as session:
        helped(session, str(force.given.officers[0]), str(force.given.officers[1]))
    with transaction(engine, writes=False) as session:
        ingest_ledger(session, home)
    given = load_histories(home)
    ledger = Ledger.of(given, marks(given.profile, "efficiency_decline"))
    assert ledger.helped[-1, 0]
    engine.dispose()


def test_rest_that_was_taken_is_an_event_in_the_unit_of_its_measure(session):
    held = RestPlan(
        as_of=NOW.date(), first_monday=NOW.date(), weeks=4, quota=1, places={}, slack=0.0, blackouts=[],
        state="confirmed", version=1, pending=False, made_by="w", made_at=NOW, decided_by=None, decided_at=None,
        kinds=[], posts={}, solved=None, conflict=None, staff={},
    )  # fmt: skip
    session.add(held)
    session.flush()
    for measure, days in (("compensatory_leave", 3), ("roster_relief", 28), ("health_checkup", 1)):
        first = dt.date(2024, 12, 2)
        session.add(
            RestEntry(
                plan_id=held.id, officer_id="P000001", unit="u", post="p", kind=measure, measure=measure, takes="duty",
                discreet=False, by_right=False, week=0, first_day=first, last_day=first + dt.timedelta(days=days - 1),
                pinned=False, state="taken",
            )
        )  # fmt: skip
    session.flush()
    table = ledger_events(session, PROFILE).set_index("measure")["value"]
    assert table[["compensatory_leave", "roster_relief", "health_checkup"]].tolist() == [3.0, 4.0, 1.0]
