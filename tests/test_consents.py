"""The basis for health data: features use it only where there is one on that day; a withdrawal counts at once."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from features.engine import feature_names, feature_rows
from features.errors import Refusal
from features.histories.bases import NO_BASES, bases_of, load_bases
from features.histories.store import load_histories
from features.histories.versions import known_digest
from features.months import month_end
from serving.access.audit import Actor, faults
from serving.access.roles import Role
from serving.access.sight import WHOLE, Sight
from serving.access.tables import AuditRow
from serving.answers.problems import Problem
from serving.commands import chosen_models
from serving.database import open_database, transaction
from serving.decisions import consents
from serving.decisions.consents import basis_of, give, withdraw
from serving.decisions.rescored import rescore_owed, rescore_withdrawn
from serving.decisions.tables import Consent, Rescored
from serving.decisions.unlogged import unlogged
from serving.months.replay import past_list, replay
from serving.months.rerun import as_of_now
from serving.persons.seen import health_groups
from serving.persons.timeline import timeline
from serving.scored.queries import batch_of, entries, person_risks
from serving.scored.scoring import score_into_store
from serving.tables import RecommendationRow, Score
from tests.forces import force, random_tables
from tests.reference import end_of, reference_rows
from tests.serving_fixtures import last_month
from training.registry.registry import Registry

AS_OF = 2021 * 12 + 5
WANG = Actor("wang", "officer")
TODAY = dt.date(2026, 1, 5)


def personal(profile, basis="person"):
    return profile.model_copy(update={"settings": profile.settings.model_copy(update={"sensitive_basis": basis})})


def with_bases(tables, spans, basis):
    made = force(*tables)
    made = force(*tables, profile=personal(made.profile, basis))
    return type(made)(**{**vars_of(made), "bases": bases_of(spans)})


def vars_of(made):
    return {
        name: getattr(made, name) for name in ("profile", "officers", "posts", "units", "postings", "events", "people")
    }


def random_spans(seed):
    rng = np.random.default_rng(seed)
    spans = []
    for number in rng.permutation(12)[: int(rng.integers(0, 12))]:
        first = dt.date(2020, 1, 1) + dt.timedelta(days=int(rng.integers(0, 900)))
        last = None if rng.random() < 0.4 else first + dt.timedelta(days=int(rng.integers(-5, 400)))
        spans.append((f"R{number:02d}", first, last))
    return spans


def plainly_covered(spans, officer, day, register):
    """The rule as a person would say it."""
    own = [span for span in spans if span[0] == officer and span[1] <= day]
    return register if not own else any(last is None or last >= day for _, _, last in own)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(seed=st.integers(0, 10_000), basis=st.sampled_from(["organisation", "person"]))
def test_feature_rows_equal_a_slow_reference_that_knows_no_health_data_without_a_basis(seed, basis):
    roster, events = random_tables(seed, officers=12, months=24)
    spans = random_spans(seed)
    made = with_bases((roster, events), spans, basis)
    day = end_of(AS_OF)
    barred = {str(o) for o in made.officers if not plainly_covered(spans, str(o), day, basis == "organisation")}
    opened = set(feature_names(made.profile, sensitive=False))
    names = [name for name in feature_names(made.profile) if name not in opened]
    rows = feature_rows(made, [AS_OF - 7, AS_OF], names=names)
    rows = rows.take(rows.as_of == AS_OF)
    slow = reference_rows(made.profile, roster, events, AS_OF, barred=barred)
    mine = pd.DataFrame(rows.values, columns=list(rows.names), index=made.officers[rows.officer])[names]
    theirs = pd.DataFrame(slow).T[names]
    np.testing.assert_allclose(mine.to_numpy(), theirs.loc[mine.index].to_numpy(float), rtol=2e-5, atol=2e-5)


def test_what_is_given_or_withdrawn_later_changes_no_feature_of_before():
    for basis in ("organisation", "person"):
        for seed in range(6):
            tables, spans = random_tables(seed), random_spans(seed)
            day = end_of(AS_OF)
            later = [("R00", day + dt.timedelta(days=1), None), ("R05", day + dt.timedelta(days=40), None)]
            ended = [(who, first, None if last is None or last > day else last) for who, first, last in spans]
            before, after = (with_bases(tables, each, basis) for each in (spans, [*ended, *later]))
            assert feature_rows(before, [AS_OF]).values.tobytes() == feature_rows(after, [AS_OF]).values.tobytes()
            assert known_digest(before, AS_OF) == known_digest(after, AS_OF)


def test_without_a_basis_nothing_else_of_a_person_is_lost_and_nobody_elses_own_history_changes():
    tables = random_tables(3)
    whole = with_bases(tables, [], "organisation")
    gone = with_bases(tables, [("R03", consents.ALWAYS, end_of(AS_OF - 1))], "organisation")
    one, other = feature_rows(whole, [AS_OF]), feature_rows(gone, [AS_OF])
    opened = set(feature_names(whole.profile, sensitive=False))
    health = np.array([name not in opened for name in one.names])
    mine = whole.officers[one.officer] == "R03"
    assert mine.any()
    assert np.isnan(other.values[np.ix_(mine, health)]).all()
    assert not np.isnan(one.values[np.ix_(mine, health)]).all()
    np.testing.assert_array_equal(one.values[:, ~health], other.values[:, ~health])
    compared = np.array([("__vs_peers__" in name or "__unit__" in name) for name in one.names])
    np.testing.assert_array_equal(one.values[np.ix_(~mine, ~compared)], other.values[np.ix_(~mine, ~compared)])
    assert known_digest(whole, AS_OF) != known_digest(gone, AS_OF)
    assert known_digest(whole, AS_OF - 3) == known_digest(gone, AS_OF - 3)


def test_a_training_row_equals_the_serving_row_of_the_same_day_under_a_basis():
    made = with_bases(random_tables(5), random_spans(5), "person")
    walked = feature_rows(made, list(range(AS_OF - 6, AS_OF + 4)))
    alone = feature_rows(made, [AS_OF])
    assert walked.take(walked.as_of == AS_OF).values.tobytes() == alone.values.tobytes()


def change(store, what, home, *, register=False, today=TODAY, **more):
    with transaction(store) as session:
        what(session, WANG, "R01", register=register, home=home, today=today, **more)


def basis(store, *, register=False):
    with transaction(store, writes=False) as session:
        return basis_of(session, "R01", register=register)


def test_consent_given_and_withdrawn_is_kept_with_an_audit_row_each(store, tmp_path):
    assert not basis(store).covered
    change(store, give, tmp_path)
    assert basis(store).covered
    with pytest.raises(Problem):
        change(store, give, tmp_path)
    change(store, withdraw, tmp_path, today=TODAY + dt.timedelta(days=9))
    assert not basis(store).covered
    with pytest.raises(Problem):
        change(store, withdraw, tmp_path)
    change(store, give, tmp_path, today=TODAY + dt.timedelta(days=20))
    assert [(row.given_on, row.withdrawn_on) for row in basis(store).rows] == [
        (TODAY, TODAY + dt.timedelta(days=9)), (TODAY + dt.timedelta(days=20), None),
    ]  # fmt: skip
    with transaction(store) as session:
        assert session.scalars(select(AuditRow.action).order_by(AuditRow.number)).all() == [
            "consent given", "consent withdrawn", "consent given",
        ]  # fmt: skip
        assert faults(session) == []


def test_the_file_says_what_the_table_says(store, tmp_path):
    assert load_bases(tmp_path) == NO_BASES
    change(store, withdraw, tmp_path, register=True)
    kept, officers = load_bases(tmp_path), np.array(["R00", "R01"])
    days = [(date - dt.date(1970, 1, 1)).days for date in (TODAY - dt.timedelta(days=1), TODAY)]
    assert [kept.covering(officers, day, register=True).tolist() for day in days] == [[True, True], [True, False]]
    change(store, give, tmp_path, register=True, today=TODAY + dt.timedelta(days=3))
    later = load_bases(tmp_path).covering(officers, days[1] + 3, register=True)
    assert later.tolist() == [True, True]


def test_withdrawn_for_the_past_too_no_month_uses_it(store, tmp_path):
    change(store, give, tmp_path)
    change(store, withdraw, tmp_path, today=TODAY + dt.timedelta(days=100), past=True)
    officers = np.array(["R01"])
    for days in (0, 50, 200):
        day = (TODAY - dt.date(1970, 1, 1)).days + days
        assert not load_bases(tmp_path).covering(officers, day, register=False).any()


def test_consent_under_the_register_is_needed_only_after_a_withdrawal(store, tmp_path):
    assert basis(store, register=True).by_register
    with pytest.raises(Problem):
        change(store, give, tmp_path, register=True)


@pytest.fixture
def withdrawn(own_home):
    """A home in which the person with the strongest health reason withdrew; who, and the list's view before."""
    engine = open_database(own_home)
    with transaction(engine) as session:
        batch = batch_of(session, WHOLE, "burnout")
        health = health_groups(session, batch)
        first = entries(session, WHOLE, batch, limit=60)
        push = lambda entry: max((abs(r["contribution"]) for r in entry.strongest if r["measure"] in health), default=0)  # noqa: E731
        chosen = max(first, key=push)
        who = chosen.score.officer_id
        withdraw(session, WANG, who, register=True, home=own_home, today=dt.date.today())
    yield own_home, engine, who, chosen
    engine.dispose()


def test_a_withdrawal_rescores_the_standing_lists_at_once_without_health_data(withdrawn):
    home, engine, who, before = withdrawn
    assert rescore_withdrawn(engine, home) == 1  # the other list uses no health data
    assert rescore_withdrawn(engine, home) == 0
    with transaction(engine, writes=False) as session:
        batch = batch_of(session, WHOLE, "burnout")
        health = health_groups(session, batch)
        shown = next(e for e in entries(session, WHOLE, batch, limit=500) if e.score.officer_id == who)
        assert shown.score.probability != before.score.probability
        assert all(reason["value"] is None for reason in shown.strongest if reason["measure"] in health)
        risk = next(r for r in person_risks(session, WHOLE, who, batch.as_of) if r.batch.risk == "burnout")
        assert not health & set(risk.reasons.history)
        assert risk.score.probability == shown.score.probability
        assert risk.trend[-1][1].probability == shown.score.probability
        assert 1 / (1 + np.exp(-risk.margin)) == pytest.approx(shown.score.probability)
        stored = session.get_one(Score, (batch.id, who))
        assert stored.probability == before.score.probability  # a published list never changes
        assert session.scalar(select(Consent.rescored_at)) is not None
        assert faults(session) == unlogged(session) == []


def test_a_list_scored_after_a_withdrawal_agrees_with_what_was_shown_at_once(withdrawn):
    home, engine, who, _ = withdrawn
    rescore_withdrawn(engine, home)
    with transaction(engine, writes=False) as session:
        held = session.scalars(select(Rescored).order_by(Rescored.risk)).all()
    given_ = load_histories(home)
    month = last_month(given_)
    rows = feature_rows(given_, [month - 1, month])
    opened = set(feature_names(given_.profile, sensitive=False))
    health = [number for number, name in enumerate(rows.names) if name not in opened]
    mine = given_.officers[rows.officer] == who
    values = rows.values[:, health]
    assert np.isnan(values[mine & (rows.as_of == month)]).all()
    assert not np.isnan(values[mine & (rows.as_of == month - 1)]).all()  # the month before keeps what was lawful
    assert {row.as_of for row in held} == {month_end(month)}


def test_lists_of_before_a_withdrawal_are_still_rebuilt_to_the_bit(withdrawn):
    home, engine, _, _ = withdrawn
    with transaction(engine, writes=False) as session:
        past = past_list(session, "burnout", last_month(load_histories(home)) - 1)
    assert replay(home, past).equal


def test_a_withdrawal_that_cannot_be_computed_waits_with_its_health_reasons_hidden_and_is_made_up_for(
    withdrawn, monkeypatch
):
    home, engine, who, before = withdrawn

    def gone(*_, **__):
        raise Refusal("The model's files are gone.")

    with monkeypatch.context() as without_model:
        without_model.setattr("serving.decisions.rescored.as_of_now", gone)
        assert rescore_withdrawn(engine, home) == 0
    with transaction(engine, writes=False) as session:
        assert session.scalar(select(Consent.rescored_at)) is None
        batch = batch_of(session, WHOLE, "burnout")
        health = health_groups(session, batch)
        risk = next(r for r in person_risks(session, WHOLE, who, batch.as_of) if r.batch.risk == "burnout")
        assert risk.score.probability == before.score.probability
        assert not health & ({r["measure"] for r in risk.reasons.strongest} | set(risk.reasons.history))
        assert not health & set(risk.reasons.groups)
        told = sum(risk.reasons.contributions) + risk.reasons.withheld
        assert batch.base_value + told == pytest.approx(risk.margin)
        assert 1 / (1 + np.exp(-risk.margin)) == pytest.approx(before.score.probability)
    assert rescore_withdrawn(engine, home) == 1  # the other list uses no health data
    with transaction(engine, writes=False) as session:
        assert session.scalar(select(Consent.rescored_at)) is not None


def test_a_list_that_was_being_scored_during_a_withdrawal_is_computed_anew_too(withdrawn):
    home, engine, who, _ = withdrawn
    rescore_withdrawn(engine, home)
    read_before = replace(load_histories(home), bases=NO_BASES)  # as a run that began before the withdrawal
    month = last_month(read_before)
    models = chosen_models(Registry(home), read_before, risk="burnout")
    score_into_store(read_before, models, [month], engine, advance=lambda _: None)
    assert rescore_owed(engine, home, [month]) == 1
    with transaction(engine, writes=False) as session:
        past = past_list(session, "burnout", month)
        risk = next(r for r in person_risks(session, WHOLE, who, month_end(month)) if r.batch.risk == "burnout")
        assert not health_groups(session, risk.batch) & {reason["measure"] for reason in risk.reasons.strongest}
        stands, stored = risk.score.probability, session.get_one(Score, (risk.batch.id, who)).probability
        assert unlogged(session) == []
    assert stands == as_of_now(home, past, who).probability != stored
    score_into_store(load_histories(home), models, [month], engine, advance=lambda _: None)
    assert rescore_owed(engine, home, [month]) == 0  # this one knows of it


def test_what_a_withdrawal_changes_is_logged_also_where_no_score_can_be_computed(own_home, monkeypatch):
    monkeypatch.setattr("serving.decisions.rescored.as_of_now", lambda *_, **__: _refuse())
    engine = open_database(own_home)
    with transaction(engine, writes=False) as session:
        offered = sorted(set(session.scalars(select(RecommendationRow.officer_id))))
    logged = 0
    for who in offered[:8]:
        with transaction(engine) as session:
            withdraw(session, WANG, who, register=True, home=own_home, today=dt.date.today())
        before, rows = _offers(engine, who), _rescored_rows(engine)
        assert rescore_withdrawn(engine, own_home) == 0
        assert (_offers(engine, who) != before) == (_rescored_rows(engine) > rows), who
        again = _rescored_rows(engine)
        rescore_withdrawn(engine, own_home)
        assert _rescored_rows(engine) == again  # nothing changed any more
        logged += again > rows
    assert logged
    engine.dispose()


def _refuse():
    raise Refusal("The model's files are gone.")


def _offers(engine, who):
    with transaction(engine, writes=False) as session:
        table = RecommendationRow.__table__
        mine = select(table).where(table.c.officer_id == who).order_by(table.c.as_of, table.c.position)
        return session.execute(mine).all()


def _rescored_rows(engine):
    with transaction(engine, writes=False) as session:
        return len(session.scalars(select(AuditRow).where(AuditRow.action.startswith("rescored"))).all())


@pytest.mark.parametrize(("what", "first"), [(give, None), (withdraw, give)])
def test_of_several_at_once_one_is_taken(store, tmp_path, what, first):
    if first:
        change(store, first, tmp_path)

    def once(_):
        try:
            change(store, what, tmp_path)
        except Problem:
            return 0
        return 1

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(once, range(4))) == 1
    assert len(basis(store).rows) == 1


def test_a_timeline_draws_no_health_event_of_a_person_without_a_basis(made_home, own_home):
    given_ = load_histories(made_home)
    month, day = last_month(given_), dt.date.today()
    health = {given_.profile.label(key, "zh") for key, each in given_.profile.measures.items() if each.sensitive}

    def drawn(who, at=month):
        return {each.label["zh"] for each in timeline(own_home, who, at, sight=Sight(Role.WELLNESS))}

    who = next(str(each) for each in given_.officers if drawn(str(each)) & health)
    others = drawn(who) - health
    engine = open_database(own_home)
    with transaction(engine) as session:
        withdraw(session, WANG, who, register=True, home=own_home, today=day)
    engine.dispose()
    assert drawn(who) == others
    assert not drawn(who, month - 1) & health
