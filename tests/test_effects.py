"""Effects on forces whose truth is written by hand: confounding undone, no effect not invented, honest refusals."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.engine import feature_rows
from features.errors import Refusal
from features.histories.tables import Histories, histories
from features.months import parse_month
from features.profile import Profile
from serving.database import open_database
from serving.effects.telling import help_effects
from training.effects.benefit import benefits_at, by_group, expected_benefit
from training.effects.estimate import FEWEST_HELPED, Effect, Fitted, fitted, fitted_on
from training.effects.learner import learned, modifiers_of
from training.effects.staggered import EventStudy, courses, event_study
from training.effects.study import Study, covariates, ground, measure_of, study
from training.effects.tracked import tracked
from training.spells import standing_events

OFFICERS, MONTHS = 600, 26
START = parse_month("2020-01")
LAST = START + MONTHS - 1
PARTS = {
    "settings": {"name": "small", "windows_months": [1, 3, 12], "half_lives_months": [3], "min_tenure_months": 3},
    "measures": {
        "strain": {"dimension": "wellbeing", "sensitive": True, "aggregate": "mean"},
        "night": {"dimension": "workload"},
        "rest": {"dimension": "action"},
        "collapse": {"dimension": "wellbeing"},
    },
    "posts": {},
    "risks": {
        "collapse": {"outcome": {"measure": "collapse"}, "horizon_months": 3, "purpose": "wellness"},
        "open": {"outcome": {"measure": "collapse"}, "horizon_months": 3, "purpose": "development"},
    },
    "actions": {
        "stay": {"label": {"zh": "疗养", "en": "Stay"}, "kind": "rest", "practice": "C2", "owner": "wellness",
                 "decides": "wellness", "risks": ["collapse"], "recorded_as": "rest",
                 "why": {"zh": "歇", "en": "Rest"}},
        "talk": {"label": {"zh": "谈", "en": "Talk"}, "kind": "care", "practice": "C2", "owner": "wellness",
                 "decides": "wellness", "risks": ["collapse"], "why": {"zh": "谈", "en": "Talk"}},
    },
}  # fmt: skip
PROFILE = Profile.model_validate(PARTS)


@functools.cache
def force(
    *, effect: float = 0.5, everyone: bool = False, after: bool = False, start: int = 12, seed: int = 3
) -> Histories:
    """A force in which strain brings both help and collapse; help multiplies the chance of the coming months.

    Help begins in month ``start``. ``everyone``: all above a bound are helped, nobody else; ``after``: help comes to
    those who collapsed, a week later.
    """
    rng = np.random.default_rng(seed)
    ids = [f"P{number:04d}" for number in range(OFFICERS)]
    strain, eased, rows = rng.standard_normal(OFFICERS), np.zeros(OFFICERS), []
    seen = strain  # what was recorded by the month before: all that a superior goes by
    for month in range(MONTHS):
        first = pd.Timestamp("2020-01-01") + pd.DateOffset(months=month)
        eased = eased * 0.7
        helped = rng.random(OFFICERS) < 1 / (1 + np.exp(2.8 - 1.2 * seen))
        helped = (seen > 0.8 if everyone else helped) & (month >= start)
        eased = np.where(helped, 1.0, eased)
        chance = 1 / (1 + np.exp(3.6 - 1.1 * strain)) * (1 - (1 - effect) * eased)
        fell = rng.random(OFFICERS) < chance
        helped = fell & (month >= start) if after else helped
        rows += [(ids[i], "rest", first + pd.Timedelta(days=20 if after else int(rng.integers(27))), 1.0)
                 for i in np.flatnonzero(helped)]  # fmt: skip
        rows += [(ids[i], "collapse", first + pd.Timedelta(days=13 if after else int(rng.integers(27))), 1.0)
                 for i in np.flatnonzero(fell)]  # fmt: skip
        rows += [(one, "strain", first + pd.Timedelta(days=25), float(strain[i])) for i, one in enumerate(ids)]
        rows += [(one, "night", first + pd.Timedelta(days=26), float(rng.poisson(3))) for one in ids]
        seen = strain
        strain = 0.85 * strain + 0.53 * rng.standard_normal(OFFICERS)
    roster = pd.DataFrame({"officer_id": ids, "valid_from": pd.Timestamp("2019-01-01"), "post": "desk",
                           "unit": rng.choice(["north", "south"], OFFICERS),
                           "hired_on": pd.Timestamp("2019-01-01")
                           - pd.to_timedelta(rng.integers(0, 9000, OFFICERS), "D")})  # fmt: skip
    events = pd.DataFrame(rows, columns=["officer_id", "measure", "occurred_on", "value"])
    return histories(profile=PROFILE, roster=roster, events=events.assign(recorded_on=events["occurred_on"]))


@functools.cache
def found(**kind: float) -> Fitted:
    return fitted(force(**kind), "stay", "collapse")  # type: ignore[arg-type]


def test_help_that_helps_is_found_where_the_plain_difference_says_that_it_harms() -> None:
    effect = found(effect=0.5).effect
    assert effect.average is not None
    assert effect.naive is not None
    assert effect.naive.value > 0
    assert -0.15 < effect.average.value < -0.04
    assert effect.average.high < 0


def test_help_without_effect_is_not_said_to_help_or_harm() -> None:
    effect = found(effect=1.0).effect
    assert effect.average is not None
    assert effect.naive is not None
    assert effect.naive.low > 0.05
    assert effect.average.low <= 0 <= effect.average.high


def test_the_nuisances_are_those_that_econml_used() -> None:
    told = found(effect=0.5)
    assert told.scores is not None
    assert told.nuisance is not None
    assert told.gains is not None
    weight = 1 / (1 + np.exp(-told.scores.helped))
    root = np.sqrt(weight * (1 - weight))
    inputs = modifiers_of(told.study, told.scores)
    plain = np.linalg.lstsq(inputs * root[:, None], told.nuisance.pseudo(told.study) * root, rcond=None)[0]
    assert plain == pytest.approx(told.gains.coefficient, abs=1e-6)


def test_the_same_histories_give_the_same_effect() -> None:
    told = found(effect=0.5)
    assert told.scores is not None
    again, _ = learned(told.study, told.scores)
    assert told.gains is not None
    assert np.array_equal(again.coefficient, told.gains.coefficient)


def test_actions_told_side_by_side_say_what_each_says_alone(tmp_path: Path) -> None:
    pairs, given, told = {"collapse": ["stay", "rest"], "open": ["rest", "stay"]}, force(effect=0.5), list[int]()
    found = help_effects(given, pairs, LAST, engine=open_database(tmp_path, None), advance=told.append)
    alone = [
        fitted_on(ground(given, risk, until=LAST), action) for risk, actions in pairs.items() for action in actions
    ]
    assert [one.effect for one in found] == [one.effect for one in alone]
    assert all(one.effect is not None and one.effect.estimable for one in found)
    assert told == [1, 1, 1, 1]


def test_where_everyone_alike_is_helped_nothing_is_told() -> None:
    effect = fitted(force(everyone=True), "stay", "collapse").effect
    assert not effect.estimable
    assert {why.code for why in effect.why_not} & {"no_rival", "few_compared", "imbalance"}


def test_help_that_follows_the_outcome_is_not_called_its_cause() -> None:
    effect = fitted(force(after=True), "stay", "collapse").effect
    assert not effect.estimable
    assert "follows" in {why.code for why in effect.why_not}


def test_too_few_helped_is_said_and_fewer_than_five_are_not_counted() -> None:
    given = force(start=MONTHS - 4)
    given = given.officers_at(np.arange(len(given.officers)) < 150)
    told = fitted(given, "stay", "collapse", as_ofs=[LAST - 4]).effect
    assert told.why_not[0].code == "few_helped"
    assert told.why_not[0].bound == FEWEST_HELPED
    none = fitted(given, "stay", "collapse", as_ofs=[START + 8]).effect
    assert none.helped == 0
    assert none.naive is None


def test_an_action_without_a_record_is_refused_with_what_there_is() -> None:
    with pytest.raises(Refusal, match="leaves no record") as refusal:
        measure_of(PROFILE, "talk")
    assert "stay" in (refusal.value.hint or "")


def test_health_data_adjust_only_for_a_wellness_risk_and_marks_of_flags_never() -> None:
    marked = PROFILE.model_copy(
        update={"risks": {**PROFILE.risks, "open": PROFILE.risks["open"].model_copy(update={"acted_on": "night"})}}
    )
    assert any(name.startswith("strain__") for name in covariates(PROFILE, sensitive=True))
    assert not any(name.startswith("strain__") for name in ground(force(), "open").rows.names)
    assert not any(name.startswith("night__") for name in covariates(marked, sensitive=True))


def test_nothing_recorded_after_until_changes_a_study() -> None:
    given, until = force(), START + 18
    whole, cut = (study(ground(one, "collapse", until=until), "stay") for one in (given, given.until(until)))
    assert len(whole) == len(cut)
    assert np.array_equal(whole.treated, cut.treated)
    assert np.array_equal(whole.values, cut.values, equal_nan=True)


def test_help_that_was_corrected_to_something_else_does_not_stand() -> None:
    given, day = force(), pd.Timestamp("2020-03-01")
    rows = [(day, "rest", "a"), (day, "rest", "b"), (day + pd.Timedelta(days=3), "rest", None)]
    mended = [(day, "night", "a"), (day + pd.Timedelta(days=9), "rest", "b")]
    table = pd.DataFrame([*rows, *mended], columns=["occurred_on", "measure", "event_id"])
    recorded = table["occurred_on"] + pd.to_timedelta([0, 0, 0, 40, 40], "D")
    table = table.assign(recorded_on=recorded, officer_id=given.officers[0], value=1.0)
    roster = pd.DataFrame({"officer_id": given.officers[:1], "valid_from": day, "post": "desk", "unit": "north"})
    officer, days, _ = standing_events(histories(profile=PROFILE, roster=roster, events=table), ("rest",))
    assert officer.tolist() == [0, 0]
    assert (days - days[0]).tolist() == [0, 6]


def test_whoever_was_just_helped_is_not_eligible() -> None:
    given = force()
    rows = study(ground(given, "collapse", as_ofs=[START + 15]), "stay")
    month = given.events.occurred[given.events.measure == PROFILE.measure_number["rest"]].astype("datetime64[D]")
    who = given.events.officer[given.events.measure == PROFILE.measure_number["rest"]]
    inside = month.astype("datetime64[M]").astype(int) + 1970 * 12
    assert not set(rows.officer) & set(who[inside == START + 15])
    assert set(rows.officer[rows.treated]) == set(rows.officer) & set(who[inside == START + 16])


def test_expected_benefit_is_greater_where_the_risk_is_and_empty_where_nothing_can_be_told() -> None:
    given, told = force(effect=0.5), found(effect=0.5)
    rows = feature_rows(given, [LAST], names=told.study.names)
    table = benefits_at(given, told, rows)
    known = table[table["estimable"]]
    assert len(table) == OFFICERS
    assert 0.3 < len(known) / len(table) <= 1
    assert (known["low"] <= known["benefit"]).all()
    assert (known["benefit"] <= known["high"]).all()
    strain = rows.values[:, rows.names.index("strain__mean__3m")][table["estimable"]]
    assert np.corrcoef(strain, known["benefit"])[0, 1] > 0.4
    nothing = expected_benefit(force(everyone=True), "stay", "collapse", as_of=LAST)
    assert nothing["benefit"].isna().all()
    assert not nothing["estimable"].any()


def test_groups_add_up_and_small_ones_are_withheld() -> None:
    told = found(effect=0.5)
    groups = by_group(told, ("desk",))
    by_kind = {kind: [one for one in groups if one.kind == kind] for kind in ("post", "service", "risk")}
    assert sum(one.helped for one in by_kind["risk"]) == told.effect.helped
    assert all(one.effect is None for one in groups if one.helped < 30)
    assert by_kind["post"][0].effect == told.effect.average


# --- before and after ---


@functools.cache
def staggered(*, effect: float = -0.5, at_once: bool = False, seed: int = 1) -> Histories:
    """Collapses a month fall for everyone with time; training in staggered months changes them by ``effect``."""
    rng, size, months = np.random.default_rng(seed), 400, 40
    ids = [f"P{number:04d}" for number in range(size)]
    start = np.full(size, 20) if at_once else rng.choice([14, 18, 22, 26, 30, 36], size)
    rows = [(ids[i], "rest", pd.Timestamp("2019-01-15") + pd.DateOffset(months=int(start[i]))) for i in range(size)]
    for month in range(months):
        mean = (1.6 - 0.02 * month) * np.where(month >= start, 1 + effect, 1.0)
        day = pd.Timestamp("2019-01-10") + pd.DateOffset(months=month)
        rows += [(ids[i], "collapse", day) for i in np.repeat(np.arange(size), rng.poisson(mean))]
    roster = pd.DataFrame({"officer_id": ids, "valid_from": pd.Timestamp("2018-01-01"), "post": "desk", "unit": "u"})
    events = pd.DataFrame(rows, columns=["officer_id", "measure", "occurred_on"]).assign(value=1.0)
    return histories(profile=PROFILE, roster=roster, events=events.assign(recorded_on=events["occurred_on"]))


def studied(since: int | None = None, **kind: float) -> EventStudy:
    return event_study(courses(staggered(**kind), "collapse"), "stay", since=since)  # type: ignore[arg-type]


def test_a_staggered_start_tells_the_effect_and_not_the_trend() -> None:
    told = studied(effect=-0.5)
    assert told.overall is not None
    assert told.overall.value == pytest.approx(-0.6, abs=0.1)
    assert told.drift is not None
    assert told.drift_p > 0.01
    after = [point.effect.value for point in told.points if point.month >= 0]
    assert max(after) < -0.3
    assert all(abs(point.effect.value) < 0.3 for point in told.points if point.month < 0)


def test_a_falling_trend_is_no_effect_though_before_and_after_says_so() -> None:
    told = studied(effect=0.0)
    assert told.overall is not None
    assert told.naive is not None
    assert told.overall.low <= 0 <= told.overall.high
    assert told.naive.high < 0


def test_a_start_at_one_time_has_no_comparison_and_only_the_naive_figure() -> None:
    told = studied(effect=0.0, at_once=True)
    assert told.overall is None
    assert told.naive is not None
    assert [why.code for why in told.why_not] == ["all_at_once"]
    assert told.points == ()


def test_a_policy_counts_only_those_it_reached() -> None:
    since = parse_month("2020-11")
    told = studied(since, effect=-0.5)
    assert told.since == since
    assert told.helped + told.left_out == 400
    assert told.left_out > 50
    assert told.overall is not None
    assert told.overall.high < 0


def test_tracked_figures_withhold_small_counts() -> None:
    figures = tracked(force(), until=LAST)
    assert {one.name for one in figures} == {"collapse", "open"}
    shown = [one.count for one in figures if one.count is not None]
    assert shown
    assert not [count for count in shown if 0 < count < 5]
    few = replace_events(force(), keep=3)
    assert all(one.share is None or one.count == 0 for one in tracked(few, until=LAST) if one.name == "collapse")


def replace_events(given: Histories, *, keep: int) -> Histories:
    """The histories with so many collapses left, all in the last month."""
    outcome = given.events.measure == PROFILE.measure_number["collapse"]
    last = given.events.occurred >= np.datetime64("2022-02-01").astype(int)
    few = np.flatnonzero(outcome & last)[:keep]
    mask = ~outcome
    mask[few] = True
    return replace(given, events=given.events.take(mask))


def test_the_study_of_another_risk_is_of_the_same_people() -> None:
    one: Study = study(ground(force(), "open"), "stay")
    assert one.risk == "open"
    effect: Effect = fitted(force(), "stay", "open").effect
    assert effect.rows == len(one)
