"""Abstaining: strangers are marked and not ranked, those like the force are; nobody is lost from the file."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.engine import feature_rows
from features.months import parse_month
from serving.access.sight import WHOLE
from serving.app import create_app
from serving.database import open_database, transaction
from serving.scored import queries
from serving.tables import Score
from tests.serving_fixtures import signed_in_client
from tests.training_force import SmallForce, small_force
from training.dataset import training_set
from training.fitting import fit
from training.guards import coverage, evidence_audit, guarded
from training.judging.metrics import figures
from training.judging.ranked import bounds_of, gain
from training.judging.validation import judged_folds, validate
from training.models.evidence import LITTLE_HISTORY, SUFFICIENT, UNLIKE_TRAINING, Bounds, bounds
from training.models.risk_model import RiskModel
from training.models.scoring import score_cohort
from training.recipe import STANDARD

LAST = parse_month("2022-06")
UNTIL = parse_month("2022-01")
RECIPE = STANDARD.single()


@pytest.fixture(scope="module")
def force():
    return small_force()


@pytest.fixture(scope="module")
def rows(force):
    return training_set(force.histories(), "collapse", until=UNTIL)


@pytest.fixture(scope="module")
def model(force, rows):
    profile = force.histories().profile
    fitted = fit(rows, profile, recipe=RECIPE)
    return guarded(fitted.model("collapse"), rows, profile, made=(RECIPE, fitted))


def _with(force, officer, events):
    """The force with other events of one officer from 2021-06 on."""
    own = (force.events["officer_id"] == officer) & (force.events["occurred_on"] >= "2021-06-01")
    return SmallForce(force.roster, pd.concat([force.events[~own], events(force.events[own])], ignore_index=True))


def test_hardly_anyone_of_months_never_seen_is_marked(force, model):
    later = feature_rows(force.histories(), list(range(UNTIL + 1, LAST + 1)), names=model.names)
    assert len(later) > 1000
    assert (model.evidence(later) != SUFFICIENT).mean() <= 0.01


def test_a_stranger_with_ten_times_the_values_is_marked_and_not_ranked(force, model):
    strange = _with(force, "P0007", lambda own: own.assign(value=own["value"] * 10))
    cohort = score_cohort(strange.histories(), model, LAST)
    row = list(cohort.officer_id).index("P0007")
    assert cohort.evidence[row] == UNLIKE_TRAINING
    assert cohort.rank[row] == 0
    assert sorted(cohort.rank[cohort.rank > 0]) == list(range(1, int((cohort.rank > 0).sum()) + 1))
    assert (cohort.rank[cohort.order()][-int((cohort.rank == 0).sum()) :] == 0).all()
    line = cohort.frame().set_index("officer_id").loc["P0007"]
    assert (line["evidence"], line["rank"] is pd.NA) == (UNLIKE_TRAINING, True)
    assert line["low"] <= line["probability"] <= line["high"]


def test_someone_of_whom_nearly_nothing_is_known_has_too_little_history(force, model):
    rows = feature_rows(force.histories(), [LAST], names=model.names)
    empty = np.where(np.arange(len(rows))[:, None] < 3, np.float32(np.nan), rows.values)
    found = model.evidence(replace(rows, values=empty))
    assert set(found[:3]) == {LITTLE_HISTORY}
    assert (found[3:] == SUFFICIENT).mean() > 0.98


def test_of_whom_nothing_is_known_there_is_little_history_whatever_the_bounds():
    loose = Bounds(lowest=(0.0, 0.0), highest=(1.0, 1.0), gain=(1.0, 0.0), least_known=0.0, most_outside=1.0)
    values = np.array([[np.nan, np.nan], [np.nan, 0.5], [0.5, np.nan]], dtype=np.float32)
    assert loose.judged(values).tolist() == [LITTLE_HISTORY, SUFFICIENT, SUFFICIENT]
    none = Bounds(lowest=(), highest=(), gain=(), least_known=0.0, most_outside=1.0)
    assert none.judged(values[:, :0]).tolist() == [SUFFICIENT] * 3


def test_a_post_that_nobody_in_training_had_is_unlike_training():
    found = Bounds((0.0,), (9.0,), (1.0,), 0.0, 0.5, ("patrol", "desk"))
    posts = np.asarray(["patrol", "submarine", "desk"])
    values = np.asarray([[1.0], [1.0], [1.0]], dtype=np.float32)
    assert list(found.judged(values, posts)) == [SUFFICIENT, UNLIKE_TRAINING, SUFFICIENT]
    assert set(found.judged(values)) == {SUFFICIENT}


def test_an_input_without_gain_marks_nobody():
    values = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    found = bounds(values, np.asarray([1.0, 0.0]))
    strange = np.asarray([[0.0, 99.0], [99.0, 0.0], [np.nan, 0.0], [0.0, np.nan]], dtype=np.float32)
    assert list(found.judged(strange)) == [SUFFICIENT, UNLIKE_TRAINING, LITTLE_HISTORY, SUFFICIENT]


def test_what_grows_with_time_is_allowed_for():
    """A count that rises month by month: later months lie beyond the earlier ones, and that is measured."""
    month = np.repeat(np.arange(20), 200)
    rising = (month + np.random.default_rng(0).random(len(month)))[:, None].astype(np.float32)
    earlier, held = month < 10, month >= 16
    assert bounds(rising, np.ones(1)).most_outside < 1
    assert bounds(rising, np.ones(1), earlier=earlier, held=held).most_outside == 1


def test_bounds_are_stored_with_the_model_to_the_bit(model, force, tmp_path):
    model.save(tmp_path)
    loaded = RiskModel.load(tmp_path)
    assert loaded.bounds == model.bounds
    rows = feature_rows(force.histories(), [LAST], names=model.names)
    assert (loaded.evidence(rows) == model.evidence(rows)).all()


def test_the_bounds_of_a_fold_know_nothing_of_its_test_months(rows, model):
    early = rows.as_ofs[: len(rows.as_ofs) // 2]
    spoilt = replace(rows, values=np.where(np.isin(rows.as_of, early)[:, None], rows.values, np.float32(1e6)))
    found = [bounds_of(each.at(early), model.names, gain(model)) for each in (rows, spoilt)]
    assert found[0] == found[1]


def test_the_report_says_how_the_abstained_fared(rows, model, force):
    profile = force.histories().profile
    folds = judged_folds(rows, profile)
    found = validate(rows, folds, profile, RECIPE, with_rivals=False)
    audit = evidence_audit(found)
    assert audit.rows == len(found)
    assert "insufficient evidence" in audit.lines()[0]
    assert set(audit.card()) == {"rows", "shares", "log_loss", "expected_to_seen", "worse"}
    told = coverage(found)
    assert told.groups == 20
    assert told.fits >= 0.8
    assert 0 < told.width < 0.5


def test_strangers_have_the_worse_probabilities(rows, model, force):
    """Some test rows hold ten times another person's values: the model takes them at their word, and is wrong."""
    profile = force.histories().profile
    folds = judged_folds(rows, profile)
    generator = np.random.default_rng(0)
    odd = np.isin(rows.as_of, folds[-1].test) & (generator.random(len(rows)) < 0.15)
    others = 10 * rows.values[generator.permutation(len(rows))]
    strange = replace(rows, values=np.where(odd[:, None], others, rows.values))
    found = validate(strange, folds[-1:], profile, RECIPE, with_rivals=False)
    audit = evidence_audit(found)
    assert dict(audit.shares)[UNLIKE_TRAINING] > 0.05
    assert audit.worse.low > 0
    assert "worse" in " ".join(audit.lines())
    assert "left out of the figures above" in audit.lines()[0]


def test_the_judged_list_is_the_served_one_without_those_who_are_not_ranked(rows, force):
    """The highest probabilities of the newest fold are strangers': they take no place on the list that is judged."""
    profile = force.histories().profile
    folds = judged_folds(rows, profile)
    whole = validate(rows, folds, profile, RECIPE)
    month = folds[-1].test[-1]
    here = whole.as_of == month
    strange = here & (whole.probability >= np.sort(whole.probability[here])[-5])
    marked = replace(whole, evidence=np.where(strange, UNLIKE_TRAINING, SUFFICIENT))
    found = marked.ranked()
    rest = np.flatnonzero(here & ~strange)
    served = rest[np.argsort(-whole.probability[rest], kind="stable")[: whole.capacities[month]]]
    last = next(each for each in found.judged() if month in each.as_of)
    kept = last.as_of == month
    one = replace(last, **{name: getattr(last, name)[kept] for name in ("officer", "as_of", "label", "score")})
    figure = figures([one], np.ones((1, len(force.roster))), capacities=found.capacities)["precision_capacity"]
    assert figure.value == pytest.approx(whole.label[served].mean())
    assert found.capacities == whole.capacities
    assert {len(score) for score in found.rivals.values()} == {len(found)} == {len(whole) - int(strange.sum())}


def test_pages_and_answers_show_the_unranked_as_a_group_of_their_own(own_home):
    engine = open_database(own_home)
    with transaction(engine) as session:
        batch = queries.batch_of(session, WHOLE, "burnout")
        first, second = queries.entries(session, WHOLE, batch, limit=2)
        gone, next_one = first.score.officer_id, second.score.officer_id
        score = session.get_one(Score, (batch.id, gone))
        score.rank, score.evidence = None, LITTLE_HISTORY
        cohort, risk = batch.cohort, batch.risk
    with signed_in_client(create_app(own_home, engine), engine, "wellness") as calls:
        told = calls.get(f"/api/v1/risk-lists/{risk}").json()
        own = calls.get(f"/api/v1/officers/{gone}").json()
        page, person = calls.get(f"/lists/{risk}").text, calls.get(f"/officers/{gone}?risk={risk}").text
    engine.dispose()
    assert gone not in [entry["officer_id"] for entry in told["entries"]]
    assert told["entries"][0]["officer_id"] == next_one
    assert [(each["officer_id"], each["evidence"]) for each in told["unranked"]] == [(gone, LITTLE_HISTORY)]
    assert told["total"] == cohort - 1
    judged = next(each for each in own["risks"] if each["risk"] == risk)
    assert (judged["rank"], judged["in_capacity"], judged["evidence"]) == (None, False, LITTLE_HISTORY)
    shown = sum(reason["contribution"] for reason in judged["reasons"] if reason["stable"])
    assert judged["base_value"] + shown + judged["other_influences"] == pytest.approx(judged["margin"])
    table, group = page.split("证据不足，不排名（1 人）")
    assert gone not in table.split('<table class="people"')[1]  # above it stands who has left the list
    assert gone in group
    assert "在案记录太少" in group
    assert "当面谈话" in person
    assert "其他影响" in person
