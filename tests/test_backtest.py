"""Backtests: no hindsight, what came of lists by hand, immature months told apart, the rule's ties at random."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from features.engine import feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.months import last_day, month_text, parse_month
from serving.cli import main
from tests.training_force import small_force
from training.dataset import training_months, training_set
from training.fitting import fit
from training.judging import backtest_report
from training.judging.backtest import _walks, run_backtest, steps_of, what_came
from training.judging.followed import Outcomes, followed, weighted_median
from training.judging.ranked import bounds_of, gain
from training.models.scoring import score_cohort

FIRST, LAST = parse_month("2021-04"), parse_month("2022-04")
MONTHS = list(range(FIRST, LAST + 1))
NAN = float("nan")


@pytest.fixture(scope="module")
def force():
    return small_force(officers=140, months=28, seed=4).histories()


@pytest.fixture(scope="module")
def found(force):
    steps = []
    result = run_backtest(force, "collapse", MONTHS, every=6, progress=steps.append)
    assert sum(steps) == steps_of(MONTHS, every=6)
    return result


def _outcomes(label, after, *, mature=None, expires=2):
    ready = np.ones(len(label), dtype=bool) if mature is None else np.asarray(mature)
    return Outcomes(np.asarray(label, dtype=float), np.asarray(after, dtype=float), ready, expires)


def test_rows_of_the_one_walk_are_those_of_histories_cut_at_each_month(force):
    learned = [FIRST + 6 * ((month - FIRST) // 6) for month in MONTHS]
    ((_, rows),) = _walks(force, "collapse", (MONTHS, learned), None, lambda _: None)
    for month in (MONTHS[0], MONTHS[7], MONTHS[-1]):
        cut = feature_rows(force.until(month), [month], names=rows.names)
        whole = rows.take(rows.as_of == month)
        assert np.array_equal(whole.officer, cut.officer)
        assert np.array_equal(whole.values, cut.values, equal_nan=True)


def test_a_list_is_what_a_model_of_that_day_gives_and_later_rows_change_nothing(force, found):
    month = FIRST + 8
    known = force.until(month)
    model = fit(training_set(known, "collapse", until=FIRST + 6), known.profile).model("collapse")
    rows = feature_rows(known, [month], names=model.names)
    listed = rows.officer[np.argsort(-model.probability(rows), kind="stable")[:10]]
    label = what_came(force, "collapse", MONTHS).label[8]
    assert found.model.months[8].hits == label[listed].sum()
    poisoned = _with_later_rows(force)
    again = run_backtest(poisoned, "collapse", MONTHS[:3], every=6)
    assert [month.new for month in again.model.months[1:]] == [month.new for month in found.model.months[1:3]]


def _with_later_rows(given: Histories) -> Histories:
    """The same force with every later night made enormous, recorded after the first months."""
    late = (given.events.recorded > last_day(FIRST + 2)) & (given.events.measure == 0)
    value = np.where(late, 99.0, given.events.value)
    return replace(given, events=replace(given.events, value=value))


def test_months_whose_outcome_is_not_over_are_immature_and_no_misses(found):
    # the last month is not over on the last recorded day: it counts for no horizon
    assert found.mature == tuple(month + 3 < LAST for month in MONTHS)
    assert all(np.isnan(month.precision) for month in found.model.months[-4:])
    assert not any(np.isnan(month.precision) for month in found.model.months[:-4])
    assert "4 of 13 months are immature" in backtest_report.text(found)


def test_the_months_until_an_event_are_those_of_the_events(force):
    outcomes = what_came(force, "collapse", MONTHS)
    measure = force.profile.measure_number["collapse"]
    events = force.events.take(force.events.measure == measure)
    month = (pd.to_datetime(events.occurred, unit="D").year * 12 + pd.to_datetime(events.occurred, unit="D").month) - 1
    for place in (0, 5):
        for officer in range(40):
            later = month[(events.officer == officer) & (month > MONTHS[place])]
            first = min(later) - MONTHS[place] if len(later) else 99
            expected = float(first) if first <= 3 else NAN
            assert outcomes.after[place, officer] == pytest.approx(expected, nan_ok=True)


def test_spells_leads_and_expiry_by_hand():
    listed = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=float)
    label = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]
    after = [[3, NAN, NAN], [2, NAN, NAN], [1, NAN, NAN], [NAN, NAN, 3], [NAN, NAN, 2], [NAN, NAN, NAN]]
    told = followed(listed, _outcomes(label, after), ties=1)
    assert (told.spells, told.with_outcome) == (3, 2)
    assert told.leads == ((3, 1.0), (4, 1.0))
    assert (told.expired, told.expired_without, told.later) == (3, 2, 1)
    assert told.flags_per_true_positive == pytest.approx(5 / 3)
    assert [month.new for month in told.months[1:4]] == [0.0, 1.0, 0.0]


def test_a_flag_renewed_in_time_is_one_spell_and_a_later_one_another():
    listed = np.array([[1], [0], [1], [0], [0], [1]], dtype=float)
    none = np.full((6, 1), NAN)
    told = followed(listed, _outcomes(np.zeros((6, 1)), none), ties=1)
    assert told.spells == 2
    assert (told.expired, told.expired_without) == (1, 1)


def test_unknown_labels_count_neither_as_hits_nor_as_misses():
    label = [[NAN, 1, 0]] * 2
    after = [[NAN, 1, NAN]] * 2
    told = followed(np.array([[1, 1, 0]] * 2, dtype=float), _outcomes(label, after), ties=1)
    assert (told.precision, told.spells) == (1.0, 1)
    immature = followed(np.array([[0, 0, 1]] * 2, dtype=float), _outcomes(label, after, mature=[False] * 2), ties=1)
    assert np.isnan(immature.precision)
    assert (immature.spells, immature.expired) == (0, 0)


def test_ties_of_the_rule_count_as_expected_over_all_ways_to_break_them():
    shares = np.full((3, 200), 0.02)
    label = np.tile(np.arange(200) < 100, (3, 1)).astype(float)
    told = followed(shares, _outcomes(label, np.where(label == 1, 1.0, NAN)), ties=400)
    assert told.precision == pytest.approx(0.5)
    assert told.spells == pytest.approx(4.0, abs=0.5)
    assert told.with_outcome == pytest.approx(2.0, abs=0.4)
    assert told.new == pytest.approx(0.0)


def test_the_median_weighs_counts():
    assert weighted_median(((1, 1.0), (4, 3.0))) == 4
    assert np.isnan(weighted_median(()))


def test_the_model_beats_the_rule_where_there_is_skill_to_find(found):
    assert found.model.precision > found.rule.precision + 0.1
    assert found.rule.months[0].length == found.model.months[0].length == 10


def test_a_version_that_has_seen_later_months_is_refused(force):
    model = fit(training_set(force, "collapse", until=FIRST + 2), force.profile).model("collapse", {"until": "2021-06"})
    with pytest.raises(Refusal, match="hindsight"):
        run_backtest(force, "collapse", MONTHS, model=model.named("3"))
    later = run_backtest(force, "collapse", MONTHS[2:5], model=model.named("3"))
    assert (later.version, later.learned) == ("3", (FIRST + 2,) * 3)


def test_months_outside_the_store_are_refused(force):
    with pytest.raises(Refusal, match="holds nothing after 2022-04"):
        run_backtest(force, "collapse", [LAST, LAST + 1])


def test_training_months_are_those_of_the_training_set(force):
    months, names = training_months(force, "collapse", until=FIRST)
    rows = training_set(force, "collapse", until=FIRST)
    assert (tuple(months), names) == (rows.as_ofs, rows.names)


def test_the_command_tells_and_writes_the_months(made_home, tmp_path):
    out = tmp_path / "months.csv"
    arguments = ["backtest", "--risk", "burnout", "--from", "2024-06", "--to", "2024-08", "--every", "12", "--out", out]
    answer = CliRunner().invoke(main, ["--home", str(made_home), "--json", *map(str, arguments)])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert [row["as_of"] for row in told["months"]] == ["2024-06", "2024-07", "2024-08"]
    assert {row["learned_until"] for row in told["months"]} == {"2024-06"}
    assert told["mature_months"] == 1
    assert len(pd.read_csv(out)) == 3
    wrong = CliRunner().invoke(main, ["--home", str(made_home), *map(str, arguments[:-1]), str(tmp_path / "x.txt")])
    assert wrong.exit_code == 2


def test_a_command_whose_months_run_backwards_is_refused(made_home):
    words = ["backtest", "--risk", "burnout", "--from", "2024-08", "--to", "2024-06"]
    answer = CliRunner().invoke(main, ["--home", str(made_home), *words])
    assert (answer.exit_code, "is after" in answer.stderr) == (2, True)


def test_who_has_insufficient_evidence_is_on_neither_list_as_when_the_model_serves(force):
    """Bounds that let hardly half of the force through: the lists are those that scoring gives, the rule's beside."""
    until = MONTHS[-1] - 4
    rows = training_set(force, "collapse", until=until)
    made = replace(fit(rows, force.profile).model("collapse"), card={"until": month_text(until)})
    middle = np.nanquantile(rows.values[:, rows.columns(made.names)], 0.7, axis=0)
    limits = replace(bounds_of(rows, made.names, gain(made)), highest=tuple(middle.tolist()), most_outside=0.3)
    model = replace(made, bounds=limits)
    months = [until, until + 1]
    found = run_backtest(force, "collapse", months, model=model)
    label = what_came(force, "collapse", months).label
    for place, month in enumerate(months):
        cohort = score_cohort(force, model, month)
        listed = cohort.officer[(cohort.rank > 0) & (cohort.rank <= 10)]
        assert 10 < found.unranked[place] == int((cohort.rank == 0).sum()) < len(cohort) - 10
        assert found.model.months[place].hits == np.nansum(label[place, listed])
    assert f"{sum(found.unranked)} persons in all months" in backtest_report.text(found)
    assert backtest_report.month_rows(found)[0]["unranked"] == found.unranked[0]
    everyone = run_backtest(force, "collapse", months, model=made)
    assert everyone.unranked == (0, 0)
    assert everyone.rule.months[0].length == found.rule.months[0].length == 10
