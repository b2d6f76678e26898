"""The simulated force: reproducible, in the contract's shape, with known truth and known effects."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import Refusal
from features.histories.tables import EVENT_COLUMNS, ROSTER_COLUMNS, Histories, histories
from features.labels import labels
from features.profile import load_profile
from features.simulation import Mechanism, SimulatedForce, simulate, write_export
from features.simulation.mechanism import Noise, State, Traits, UnitShocks, next_month

OFFICERS, MONTHS = 400, 36
LAST = 2024 * 12 + 11


@pytest.fixture(scope="module")
def force() -> SimulatedForce:
    return simulate(officers=OFFICERS, months=MONTHS, seed=7)


@pytest.fixture(scope="module")
def given(force: SimulatedForce) -> Histories:
    return histories(profile=load_profile("gongan"), roster=force.roster, events=force.events)


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def export(folder: Path, *, seed: int, format: str = "parquet") -> dict[str, str]:
    write_export(simulate(officers=40, months=10, seed=seed), folder, format=format)  # type: ignore[arg-type]
    return digest(folder)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, form: str) -> None:
    first = export(tmp_path / "a", seed=1, format=form)
    assert first == export(tmp_path / "b", seed=1, format=form)
    other = export(tmp_path / "c", seed=2, format=form)
    assert set(first) == {f"roster.{form}", f"events.{form}", "truth.parquet"}
    assert all(first[name] != other[name] for name in first)


def test_the_tables_have_the_columns_of_the_contract(force: SimulatedForce) -> None:
    assert tuple(force.roster.columns) == ROSTER_COLUMNS
    assert tuple(force.events.columns) == EVENT_COLUMNS
    assert list(force.truth.columns) == ["officer_id", "as_of", "risk", "probability"]
    assert force.roster["officer_id"].nunique() == OFFICERS


def test_nothing_is_recorded_before_it_occurred_or_after_the_end(force: SimulatedForce) -> None:
    events = force.events
    assert (events["recorded_on"] >= events["occurred_on"]).all()
    assert events["recorded_on"].max() == pd.Timestamp("2024-12-31")
    assert (events["began_on"].dropna() <= events["occurred_on"][events["began_on"].notna()]).all()
    assert events["occurred_on"].min() >= pd.Timestamp("2022-01-01")


def test_events_lie_within_postings_and_postings_do_not_overlap(force: SimulatedForce) -> None:
    roster = force.roster.assign(until=force.roster["valid_to"].fillna(pd.Timestamp("2100-01-01")))
    assert (roster["valid_from"] <= roster["until"]).all()
    before = roster.groupby("officer_id")["until"].shift()
    assert (roster["valid_from"][before.notna()] > before.dropna()).all()
    span = roster.groupby("officer_id").agg(first=("valid_from", "min"), last=("until", "max"))
    events = force.events.join(span, on="officer_id")
    assert (events["occurred_on"] >= events["first"]).all()
    assert (events["occurred_on"] <= events["last"]).all()


def test_a_month_has_about_twenty_to_thirty_rows_per_officer(force: SimulatedForce) -> None:
    assert 20 <= len(force.events) / OFFICERS / MONTHS <= 30


def test_leavers_joiners_transfers_late_corrected_and_retracted_rows_are_there(force: SimulatedForce) -> None:
    roster, events = force.roster, force.events
    last = roster.groupby("officer_id").tail(1)["valid_to"]
    assert 0.02 < last.notna().mean() < 0.3
    first = roster.groupby("officer_id")["valid_from"].first()
    assert 0.02 < (first > pd.Timestamp("2022-01-01")).mean() < 0.2
    assert (roster.groupby("officer_id").size() > 1).mean() > 0.1
    assert roster.groupby("officer_id")["post"].nunique().max() > 1
    late = (events["recorded_on"] - events["occurred_on"]).dt.days
    assert (late > 60).sum() > 20
    again = events[events["event_id"].duplicated(keep=False) & events["event_id"].notna()]
    versions = again.sort_values("recorded_on").groupby("event_id")
    assert (versions.size() == 2).all()
    assert versions["recorded_on"].nunique().eq(2).all()
    final = versions["value"].last(skipna=False)
    assert final.isna().sum() > 20
    assert final.notna().sum() > 20
    assert events.loc[~events["event_id"].duplicated(), "value"].notna().all()


def test_long_cases_span_months_and_are_seen_in_hand(force: SimulatedForce) -> None:
    cases = force.events[force.events["began_on"].notna()]
    assert set(cases["measure"]) == {"case_solved"}
    assert (cases["occurred_on"] - cases["began_on"]).dt.days.min() > 60
    assert (force.events["measure"] == "case_in_hand").sum() > len(cases)


def test_base_rates_are_near_the_literature(given: Histories) -> None:
    found = {risk: labels(given, risk, range(LAST - 29, LAST - 6)).label for risk in given.profile.risks}
    assert 0.05 < np.nanmean(found["burnout"]) < 0.14
    assert 0.12 < np.nanmean(found["efficiency_decline"]) < 0.23


@pytest.mark.parametrize(("risk", "start"), [("burnout", LAST - 35), ("efficiency_decline", LAST - 27)])
def test_the_true_probabilities_are_calibrated_against_what_came(
    force: SimulatedForce, given: Histories, risk: str, start: int
) -> None:
    came = labels(given, risk, range(start, LAST - 6)).frame(given)
    truth = force.truth[force.truth["risk"] == risk].drop(columns="risk")
    both = came.merge(truth, on=["officer_id", "as_of"]).dropna()
    assert len(both) > 0.95 * came["label"].notna().sum()
    bins = pd.qcut(both["probability"], 10, duplicates="drop")
    table = both[["label", "probability"]].astype(float).groupby(bins, observed=True).mean()
    assert (table["label"] - table["probability"]).abs().mean() < 0.025
    top = both.nlargest(len(both) // 10, "probability")["label"].astype(float).mean()
    assert top > 3 * both["label"].astype(float).mean()


def test_truth_covers_the_cohort_and_lies_between_0_and_1(force: SimulatedForce, given: Histories) -> None:
    asked = labels(given, "burnout", [LAST - 12]).frame(given)
    told = force.truth[(force.truth["risk"] == "burnout") & (force.truth["as_of"] == asked["as_of"].iloc[0])]
    assert sorted(told["officer_id"]) == sorted(asked["officer_id"])
    assert force.truth["probability"].between(0, 1).all()


def one_month(mechanism: Mechanism, size: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    zero, none = np.zeros(size), np.zeros(size, dtype=np.int32)
    ones = np.ones((size, 3))
    traits = Traits(
        frailty=zero, aptitude=np.zeros((size, 3)), rest_response=ones, mentoring_response=ones[:, 0], tenure_years=zero
    )
    state = State(none, zero, zero, zero, zero, zero, zero, zero, zero, none, none)
    noise = Noise(rng, size)
    after, seen = next_month(state, traits, month=LAST, mechanism=mechanism, noise=noise, shocks=UnitShocks(zero, zero))
    return after.strain, seen.rest, after.coached


OFTEN = Mechanism(rest_policy=(0.0, -99.0, -99.0, -99.0), mentoring_level=0.0)


def test_rest_lowers_strain_and_mentoring_lifts_work_by_the_stated_effect() -> None:
    strain, rest, coached = one_month(OFTEN)
    rested = rest[:, 0] > 0
    gap = strain[~rested].mean() - strain[rested].mean()
    assert gap == pytest.approx(rest[rested, 0].mean() * OFTEN.rest_effect[0], abs=0.03)
    assert coached.max() == pytest.approx(OFTEN.mentoring_effect)


def test_an_effect_scale_of_zero_switches_every_effect_off() -> None:
    with_effect, rest, _ = one_month(OFTEN)
    without, same_rest, coached = one_month(replace(OFTEN, effect_scale=0.0))
    rested = rest[:, 0] > 0
    assert np.array_equal(rest, same_rest)
    assert np.array_equal(with_effect[~rested], without[~rested])
    assert (without[rested] > with_effect[rested]).all()
    assert abs(without[rested].mean() - without[~rested].mean()) < 0.03
    assert not coached.any()


def test_effects_differ_between_persons_and_are_told(force: SimulatedForce) -> None:
    assert len(force.effects) == OFFICERS
    spread = force.effects.drop(columns="officer_id")
    assert (spread.std() / spread.mean() > 0.2).all()
    none = simulate(officers=40, months=8, seed=1, mechanism=Mechanism(effect_scale=0.0)).effects
    assert not none.drop(columns="officer_id").to_numpy().any()


def test_strain_shows_in_the_survey_and_in_burnout(force: SimulatedForce) -> None:
    events = force.events
    mean = events[events["measure"] == "strain_survey"].groupby("officer_id")["value"].mean()
    ill = set(events.loc[events["measure"] == "burnout_episode", "officer_id"])
    assert mean[mean.index.isin(ill)].mean() > mean[~mean.index.isin(ill)].mean() + 8


def test_progress_is_told_month_by_month() -> None:
    steps: list[int] = []
    simulate(officers=30, months=8, seed=1, progress=steps.append)
    assert steps == [1] * 8


@pytest.mark.parametrize(("officers", "months"), [(5, 36), (100, 3)])
def test_too_small_a_force_is_refused(officers: int, months: int) -> None:
    with pytest.raises(Refusal, match="at least"):
        simulate(officers=officers, months=months, seed=1)
