"""A round of mentoring from list and stars to its end: vetoes, reasons, the life of a pair, who sees what, the log."""

import datetime as dt
import html
import itertools
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select, update

from features.assessment.assess import assess
from features.histories.store import load_histories
from features.histories.tables import event_table
from features.months import month_end, month_of, month_text
from serving.access.audit import Actor, faults
from serving.access.roles import Role
from serving.access.sight import Sight
from serving.access.tables import AuditRow
from serving.answers.problems import Kind, Problem
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.database import open_database, transaction
from serving.decisions.flags import raise_flags
from serving.decisions.tables import Flag
from serving.mentoring.candidates import candidates
from serving.mentoring.lifecycle import Decided, Outcome, Step, decide, keep_apart, say_no
from serving.mentoring.pairing import best_pairs
from serving.mentoring.proposals import matched, propose
from serving.mentoring.reading import pairs_seen, round_now
from serving.mentoring.recent import recent
from serving.mentoring.tables import MentoringRound, Mentorship, MentorshipStep, SaidNo, Unmatched
from serving.mentoring.telling import told_pairs
from serving.offers.standing import help_standing
from serving.pages.mentoring import OPEN
from serving.tables import Batch, Score
from serving.words import number, same, say
from tests.serving_fixtures import last_month, signed_in_client

HR = Actor("the hr", "hr")
TODAY = dt.date(2024, 12, 31)
RULES = {"check_in_days": 30, "refusal_months": 12}


@pytest.fixture(scope="module")
def force(made_home, tmp_path_factory):
    """A home with an assessment and one round of matching."""
    home = shutil.copytree(made_home, tmp_path_factory.mktemp("mentoring") / "home")
    engine = open_database(home)
    given = load_histories(home)
    store_assessment(assess(given, last_month(given)), engine)
    with transaction(engine) as session:
        made = propose(session, home, HR, today=TODAY)
    yield SimpleNamespace(home=home, engine=engine, given=given, round=made, as_of=month_end(last_month(given)))
    engine.dispose()


@pytest.fixture
def session(force):
    """A session whose work is taken back."""
    with transaction(force.engine) as made:
        yield made
        made.rollback()


def open_pairs(session):
    return session.scalars(select(Mentorship).where(Mentorship.status == "proposed").order_by(Mentorship.id)).all()


def test_everyone_within_capacity_has_a_mentor_or_a_reason(session, force):
    statement = select(Score.officer_id).join(Batch, Batch.id == Score.batch_id)
    listed = set(
        session.scalars(
            statement.where(
                Batch.risk == "efficiency_decline", Batch.as_of == force.as_of, Score.rank <= Batch.capacity
            )
        )
    )
    paired = {pair.mentee_id for pair in open_pairs(session)}
    without = session.scalars(select(Unmatched).where(Unmatched.side == "mentee")).all()
    assert paired | {row.officer_id for row in without} == listed
    assert not paired & {row.officer_id for row in without}
    assert paired
    assert all(row.reason["zh"] and row.reason["en"] for row in without)


def test_no_mentor_is_on_the_list_nor_has_two_mentees(session):
    pairs = open_pairs(session)
    mentors = [pair.mentor_id for pair in pairs]
    assert len(set(mentors)) == len(mentors)
    assert not set(mentors) & {pair.mentee_id for pair in pairs}


def chain(superior, name):
    """Everybody above somebody."""
    above = []
    while (name := superior.get(name)) and name not in above:
        above.append(name)
    return above


def test_a_superior_and_somebody_kept_apart_are_never_paired(session, force):
    pair = open_pairs(session)[0]
    keep_apart(session, HR, pair.mentee_id, pair.mentor_id)
    found = candidates(session, force.home)
    names = found.mentors.officer_id[found.barred.mentor], found.mentees.officer_id[found.barred.mentee]
    barred = {(str(a), str(b)): str(why) for a, b, why in zip(*names, found.barred.why, strict=True)}
    assert barred[pair.mentor_id, pair.mentee_id] == "conflict"
    superior = {
        row.officer_id: row.supervisor_id for row in force.given.people.dropna(subset=["supervisor_id"]).itertuples()
    }
    command = {pair for pair, why in barred.items() if why == "command"}
    assert all(one in chain(superior, other) or other in chain(superior, one) for one, other in command)
    both = itertools.product(map(str, found.mentors.officer_id), map(str, found.mentees.officer_id))
    assert command == {(a, b) for a, b in both if a in chain(superior, b) or b in chain(superior, a)}
    propose(session, force.home, HR, today=TODAY)
    assert (pair.mentee_id, pair.mentor_id) not in {(row.mentee_id, row.mentor_id) for row in open_pairs(session)}


def test_the_reason_is_told_in_both_languages_with_the_parts_of_the_fit(session):
    pair = open_pairs(session)[0]
    assert "师父的长处" in pair.reason["zh"]
    assert "strong in" in pair.reason["en"]
    assert set(pair.parts) == {"strengths", "same_post", "near", "tenure_gap", "shared_shifts"}
    assert all(0 <= part <= 1 for part in pair.parts.values())


def test_what_one_more_place_brings_is_what_it_brings(session, force):
    found = matched(candidates(session, force.home))
    told = next(row for row in force.round.one_more if row["pairs"])
    places = found.found.places.copy()
    places[list(found.found.mentors.officer_id).index(told["mentor_id"])] += 1
    more = best_pairs(found.fit, places)
    assert (more.mentor_of >= 0).sum() == force.round.pairs + told["pairs"]
    assert more.total - found.pairing.total == pytest.approx(told["fit"], abs=1e-3)


def test_whether_a_star_is_on_a_wellness_list_changes_nothing(session, force):
    before = candidates(session, force.home)
    wellness = select(Batch.id).where(Batch.purpose == "wellness")
    session.execute(update(Score).where(Score.batch_id.in_(wellness)).values(rank=1, probability=0.99))
    after = candidates(session, force.home)
    assert list(after.mentors.officer_id) == list(before.mentors.officer_id)
    assert after.left_out == before.left_out


def test_a_star_who_carries_too_much_or_is_warned_is_not_asked(session, force):
    found = candidates(session, force.home)
    star, other = (str(name) for name in found.mentors.officer_id[:2])
    rules = found.profile.settings.mentoring.model_copy(update={"mentor_limits": {"hours_worked": 1.0}})
    settings = found.profile.settings.model_copy(update={"mentoring": rules})
    profile = found.profile.model_copy(update={"settings": settings})
    seen = recent(force.home, [star, other], month_of(force.as_of), profile)
    measure, value, limit = seen.above(star, {"hours_worked": 1.0})
    events = event_table(force.given)
    since = pd.Timestamp(force.as_of) - pd.DateOffset(months=3)
    known = events[(events.officer_id == star) & (events.measure == "hours_worked") & (events.occurred_on > since)]
    assert (measure, limit) == ("hours_worked", 1.0)
    assert value == pytest.approx(known["value"].sum() / 3, rel=0.15)  # corrections apart
    batch = session.scalars(select(Batch).where(Batch.risk == "efficiency_decline", Batch.as_of == force.as_of)).one()
    session.execute(update(Score).where(Score.batch_id == batch.id, Score.officer_id == star).values(rank=1))
    left = {each.officer_id: each.kind for each in candidates(session, force.home).left_out if each.side == "mentor"}
    assert left[star] == "strain"


def test_whoever_was_dismissed_by_a_reviewer_is_no_mentee(session, force):
    pair = open_pairs(session)[0]
    batch = session.scalars(select(Batch).where(Batch.risk == pair.risk, Batch.as_of == pair.as_of)).one()
    raise_flags(session, batch, expires_months=3)
    session.execute(
        update(Flag).where(Flag.officer_id == pair.mentee_id, Flag.risk == pair.risk).values(status="dismissed")
    )
    session.flush()
    assert pair.mentee_id not in candidates(session, force.home).mentees.officer_id


def taken(session, pair, step, **more):
    decided = Decided(pair.id, pair.version, step, more.pop("on", TODAY), **more)
    return decide(session, HR, decided, **RULES)


def test_a_rematch_keeps_the_pairs_that_live_and_replaces_the_others(session, force):
    pairs = open_pairs(session)
    kept, given_up = pairs[0], [pair.id for pair in pairs[1:]]
    taken(session, kept, Step.OFFER)
    again = propose(session, force.home, HR, today=TODAY)
    assert (again.kept, kept.status) == (1, "offered")
    fresh = open_pairs(session)
    assert kept.mentee_id not in {pair.mentee_id for pair in fresh}
    assert kept.mentor_id not in {pair.mentor_id for pair in fresh}
    ended = session.scalars(select(Mentorship).where(Mentorship.id.in_(given_up))).all()
    assert {(pair.status, pair.outcome) for pair in ended} == {("ended", "withdrawn")}


def test_a_pair_lives_from_proposal_to_end_with_check_ins(session):
    pair = open_pairs(session)[0]
    for step in (Step.OFFER, Step.ACCEPT):
        pair = taken(session, pair, step)
    pair = taken(session, pair, Step.START, on=dt.date(2024, 11, 1))
    assert (pair.status, pair.next_check_in) == ("running", dt.date(2024, 12, 1))
    pair = taken(session, pair, Step.CHECK_IN, on=dt.date(2024, 12, 2), note="going well")
    assert pair.next_check_in == dt.date(2025, 1, 1)
    pair = taken(session, pair, Step.END, outcome=Outcome.COMPLETED)
    assert (pair.status, pair.outcome, pair.next_check_in) == ("ended", "completed", None)
    steps = session.scalars(select(MentorshipStep).where(MentorshipStep.mentorship_id == pair.id).order_by(MentorshipStep.version))  # noqa: E501 # fmt: skip
    assert [row.step for row in steps] == ["propose", "offer", "accept", "start", "check_in", "end"]
    audited = session.scalar(
        select(func.count()).select_from(AuditRow).where(AuditRow.subject == f"mentorship {pair.id}")
    )
    assert audited == 5
    assert faults(session) == []


def test_who_was_too_late_is_told_and_nothing_is_written(session):
    pair = open_pairs(session)[0]
    seen = SimpleNamespace(id=pair.id, version=pair.version)
    taken(session, pair, Step.OFFER)
    before = session.scalar(select(func.count()).select_from(AuditRow))
    with pytest.raises(Problem) as late:
        taken(session, seen, Step.REFUSE)
    assert late.value.kind is Kind.DECIDED_MEANWHILE
    with pytest.raises(Problem) as wrong:
        taken(session, pair, Step.START)
    assert wrong.value.kind is Kind.INVALID
    assert (pair.status, session.scalar(select(func.count()).select_from(AuditRow))) == ("offered", before)


def test_who_says_no_is_not_asked_again_and_the_pair_is_not_proposed_again(session, force):
    pair = open_pairs(session)[0]
    taken(session, pair, Step.REFUSE, who="mentor", any_mentorship=True)
    held = session.scalars(select(SaidNo)).one()
    assert (held.officer_id, held.side, held.until) == (pair.mentor_id, "mentor", dt.date(2025, 12, 28))
    held.until = dt.date(2999, 1, 1)
    session.flush()
    found = candidates(session, force.home)
    assert pair.mentor_id not in found.mentors.officer_id
    assert next(each.kind for each in found.left_out if each.officer_id == pair.mentor_id) == "said_no"


def test_parting_in_conflict_bars_the_pair(session, force):
    pair = open_pairs(session)[0]
    for step in (Step.OFFER, Step.ACCEPT, Step.START):
        pair = taken(session, pair, step)
    taken(session, pair, Step.END, outcome=Outcome.CONFLICT)
    found = matched(candidates(session, force.home))
    row = list(found.found.mentors.officer_id).index(pair.mentor_id)
    column = list(found.found.mentees.officer_id).index(pair.mentee_id)
    assert found.fit[row, column] != found.fit[row, column]  # NaN: no pair


def test_a_failing_audit_row_changes_nothing(force, monkeypatch):
    with transaction(force.engine, writes=False) as reading:
        before = reading.scalar(select(func.count()).select_from(MentoringRound))

    def fails(*_args, **_more):
        raise RuntimeError("no audit row")

    monkeypatch.setattr("serving.mentoring.proposals.record", fails)
    with pytest.raises(RuntimeError), transaction(force.engine) as session:
        propose(session, force.home, HR)
    with transaction(force.engine, writes=False) as reading:
        assert reading.scalar(select(func.count()).select_from(MentoringRound)) == before


def test_a_commander_sees_the_own_units_pairs_and_no_other_persons(session):
    pair = next(row for row in open_pairs(session) if row.mentee_unit != row.mentor_unit)
    commander = Sight(role=Role.COMMANDER, units=(pair.mentor_unit,), salt="s")
    seen = {each.row.id: each for each in pairs_seen(session, commander)}
    assert all(pair.mentor_unit in (each.row.mentee_unit, each.row.mentor_unit) for each in seen.values())
    mine = seen[pair.id]
    assert (mine.reason, mine.parts, mine.instead, mine.steps) == (None, {}, [], [])
    assert mine.mentee_id != pair.mentee_id
    assert pairs_seen(session, Sight(role=Role.AUDITOR)) == []


def test_the_page_leads_hr_from_proposal_to_start_without_a_script(force):
    app = create_app(force.home, force.engine)
    with signed_in_client(app, force.engine, "hr") as hr:
        page = hr.get("/mentorships?lang=en").text
        assert "Offer it to both" in page
        assert "without a mentor: why, and what is needed" in page
        with transaction(force.engine, writes=False) as reading:
            pair = open_pairs(reading)[0]
        sent = {"version": 0, "step": "offer", "csrf": hr.headers["x-csrf-token"]}
        assert hr.post(f"/mentorships/{pair.id}/decision", data=sent).status_code == 303
        late = hr.post(f"/mentorships/{pair.id}/decision", data=sent, headers={"accept": "text/html"})
        assert late.status_code == 409
        assert "Both said yes" in hr.get("/mentorships").text
        assert "双方都同意了" in hr.get("/mentorships?lang=zh").text


def test_the_api_matches_decides_and_answers_within_reach(force):
    app = create_app(force.home, force.engine)
    with signed_in_client(app, force.engine, "hr") as hr:
        made = hr.post("/api/v1/mentorships/proposals", json={"as_of": month_text(month_of(force.as_of))})
        assert made.status_code == 201
        first = made.json()["proposals"][0]
        path = f"/api/v1/mentorships/{first['id']}/decision"
        assert hr.post(path, json={"version": 0, "step": "offer"}).json()["status"] == "offered"
        assert hr.post(path, json={"version": 0, "step": "offer"}).status_code == 409
        assert hr.post(path, json={"version": 1, "step": "end"}).status_code == 422
        assert hr.post(path, json={"version": 1, "step": "accept", "on": "2999-01-01"}).status_code == 422
        found = hr.get("/api/v1/mentorships?status=offered").json()["mentorships"]
        assert first["id"] in {each["id"] for each in found}
        assert hr.post("/api/v1/mentorships/kept-apart", json={"one": "a", "other": "a"}).status_code == 422
        assert hr.post("/api/v1/mentorships/proposals", json={"as_of": "1999-01"}).status_code == 422
    with signed_in_client(app, force.engine, "commander") as commander:
        assert commander.post("/api/v1/mentorships/proposals", json={}).status_code == 403
        assert commander.get("/api/v1/mentorships").status_code == 200


def test_a_round_and_a_step_sent_twice_with_one_key_are_done_once(force):
    app = create_app(force.home, force.engine)
    with signed_in_client(app, force.engine, "hr") as hr:

        def twice(path, sent, key):
            answers = [hr.post(path, json=sent, headers={"Idempotency-Key": key}) for _ in range(2)]
            assert answers[0].status_code == answers[1].status_code < 300
            assert answers[0].json() == answers[1].json()
            return answers[0].json()

        month = {"as_of": month_text(month_of(force.as_of))}
        made = twice("/api/v1/mentorships/proposals", month, "round-sent-twice")
        with transaction(force.engine, writes=False) as session:
            assert session.scalar(select(func.max(MentoringRound.id))) == made["round"]
        pair = made["proposals"][0]
        step = {"version": pair["version"], "step": "offer"}
        told = twice(f"/api/v1/mentorships/{pair['id']}/decision", step, "step-sent-twice")
        assert (told["status"], told["version"]) == ("offered", pair["version"] + 1)


def test_without_stars_or_a_list_the_refusal_says_what_to_do(own_home):
    engine = open_database(own_home)
    with transaction(engine) as session, pytest.raises(Exception, match="stars") as refusal:
        propose(session, own_home, HR)
    assert "jingxing assess" in refusal.value.hint
    engine.dispose()


def planted(session):
    made = MentoringRound(
        as_of=TODAY, risk="efficiency_decline", purpose="development", made_at=dt.datetime.now(dt.UTC), by="hr",
        mentees=1, mentors=1, pairs=1, kept=0, total_fit=0.5, labels={}, one_more=[],
    )  # fmt: skip
    session.add(made)
    session.flush()
    pair = Mentorship(
        round_id=made.id, risk=made.risk, purpose=made.purpose, as_of=TODAY, mentee_id="a", mentee_post="p",
        mentee_unit="u", mentor_id="b", mentor_post="p", mentor_unit="u", fit=0.5, parts={},
        reason={"zh": "", "en": ""}, instead=[], status="proposed", version=0,
    )  # fmt: skip
    session.add(pair)
    session.flush()
    return pair


def test_the_life_of_a_pair_is_the_same_on_both_databases(store):
    with transaction(store) as session:
        pair = planted(session)
        for step in (Step.OFFER, Step.ACCEPT, Step.START, Step.CHECK_IN):
            pair = taken(session, pair, step)
        assert (pair.status, pair.version) == ("running", 4)
    with transaction(store) as session:
        stale = SimpleNamespace(id=pair.id, version=3)
        with pytest.raises(Problem):
            taken(session, stale, Step.END, outcome=Outcome.OTHER)


@pytest.mark.parametrize("step", [Step.OFFER, Step.ACCEPT, Step.START])
@pytest.mark.parametrize("veto", ["kept apart", "mentee", "mentor"])
def test_a_veto_given_after_the_proposal_stops_every_step_that_leads_on(store, step, veto):
    onward = [Step.OFFER, Step.ACCEPT, Step.START]
    with transaction(store) as session:
        pair = planted(session)
        for before in onward[: onward.index(step)]:
            pair = taken(session, pair, before)
        if veto == "kept apart":
            keep_apart(session, HR, "b", "a")
        else:
            say_no(session, HR, {"mentee": "a", "mentor": "b"}[veto], side=veto, until=dt.date(2999, 1, 1))
    with pytest.raises(Problem) as stopped, transaction(store) as session:
        taken(session, pair, step)
    assert stopped.value.kind is Kind.DECIDED_MEANWHILE
    assert {"kept apart": "不可结对", "mentee": "徒弟", "mentor": "师父"}[veto] in stopped.value.detail
    with transaction(store) as session:
        assert taken(session, session.get(Mentorship, pair.id), Step.REFUSE).status == "refused"


def test_a_refusal_that_has_run_out_or_is_of_the_other_side_stops_nothing(store):
    with transaction(store) as session:
        pair = planted(session)
        say_no(session, HR, "a", side="mentor", until=dt.date(2999, 1, 1))
        say_no(session, HR, "b", side="mentor", until=dt.date(2000, 1, 1))
        assert taken(session, pair, Step.OFFER).status == "offered"


@pytest.mark.parametrize(("less", "why"), [(0.01, "instead_free"), (0.0, "instead_free_equal")])
def test_a_mentor_with_a_place_left_is_never_said_to_be_needed_elsewhere(session, force, less, why):
    made = matched(candidates(session, force.home))
    mentor_of, places = made.pairing.mentor_of, made.found.places
    taken = np.bincount(mentor_of[mentor_of >= 0], minlength=len(places))
    free, mentee = int(np.flatnonzero(taken < places)[0]), int(np.flatnonzero(mentor_of >= 0)[0])
    own, fit = int(mentor_of[mentee]), np.full_like(made.fit, np.nan)
    fit[own, mentee], fit[free, mentee] = 0.5, 0.5 - less
    (other,) = told_pairs(made.found, fit, best_pairs(fit, places))[mentee].instead
    assert other["why_not"] == same(why, loss=number(less))


def test_the_heads_of_the_page_follow_a_refusal_and_a_new_round(session, force):
    before = round_now(session, force.round, states=OPEN)
    gone = open_pairs(session)[0]
    taken(session, gone, Step.REFUSE)
    kept = taken(session, open_pairs(session)[0], Step.OFFER)
    after = round_now(session, force.round, states=OPEN)
    assert (after.warned, after.paired) == (before.warned, before.paired - 1)
    again = round_now(session, propose(session, force.home, HR), states=OPEN)
    assert again.warned == before.warned
    pairs = session.scalars(select(Mentorship.mentee_id).where(Mentorship.status.in_(OPEN))).all()
    assert again.paired == len(pairs)
    assert kept.mentee_id in pairs


def test_a_suggestion_that_gave_way_is_no_help_that_ended(session, force):
    pair = open_pairs(session)[0]
    propose(session, force.home, HR)
    assert session.get(Mentorship, pair.id, populate_existing=True).outcome == "withdrawn"
    assert "pair" not in {row.kind for row in help_standing(session, Sight(Role.HR), pair.mentee_id)}


def test_the_page_says_what_was_done_and_keeps_nobody_apart_whom_the_roster_does_not_know(force):
    with signed_in_client(create_app(force.home, force.engine), force.engine, "hr") as hr:
        csrf = {"csrf": hr.headers["x-csrf-token"]}
        names = [str(name) for name in force.given.officers[:2]]
        wrong = hr.post("/mentorships/kept-apart", data={**csrf, "one": names[0], "other": "NOBODY"},
                        headers={"accept": "text/html"})  # fmt: skip
        assert wrong.status_code == 404
        assert re.search(r'name="other"[^>]*value="NOBODY"[^>]*aria-invalid', wrong.text)
        steps = [("kept-apart", {"one": names[0], "other": names[1]}, "pair_done_apart"),
                 ("proposals", {}, "pair_done_propose")]  # fmt: skip
        for path, sent, word in steps:
            answer = hr.post(f"/mentorships/{path}", data=csrf | sent)
            place = answer.headers["location"].partition("#")[0]
            assert say(word, "en") in hr.get(f"{place}&lang=en").text
        with transaction(force.engine, writes=False) as reading:
            pair = open_pairs(reading)[0]
        sent = csrf | {"version": str(pair.version), "step": "refuse"}
        answer = hr.post(f"/mentorships/{pair.id}/decision", data=sent)
        page = hr.get(answer.headers["location"].partition("#")[0] + "&lang=en").text
        assert re.search(
            rf'<p[^>]*id="done" role="status">{re.escape(say("pair_done_refuse", "en"))}</p>', html.unescape(page)
        )
        head = int(re.search(rf"<b>(\d+)</b>{say('mentoring_without', 'en')}", page)[1])
        assert say("without_title", "en", n=head) in page
        assert say("without_since", "en", n=1) in html.unescape(page)
