"""Known effects on the simulated force: do intervals hold the truth, and does planning by benefit spare more?"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.engine import feature_rows
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.histories.tables import Histories, histories
from features.months import last_day, timestamps
from features.profile import load_profile
from features.simulation import Mechanism, SimulatedForce, Trial, known_waves, simulate
from features.simulation.force import LAST_MONTH
from tests.test_real_histories import CHICAGO
from training.effects.benefit import benefits_at
from training.effects.estimate import Figure, Fitted, fitted
from training.effects.scores import scores_of
from training.effects.staggered import courses, event_study

OFFICERS, MONTHS = 2000, 48
SEEDS, WITHOUT = range(1, 21), range(21, 41)
"""Forces with the known effects, and as many others in which help does nothing."""
QUOTA = 0.05
"""Places of a plan, as a share of the cohort."""
ACTIONS = {"recuperation": "recuperation", "mentoring": "one_to_one_mentoring"}
"""What the truth calls it -> the action of the profile."""
NAMES = {"recuperation": "rest on burnout", "mentoring": "mentoring on decline"}
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One estimate beside the truth of the same estimand, and what plans by benefit, by risk and at random spare."""

    action: str
    average: Figure | None
    truth: float
    naive: float
    spared: tuple[float, float, float]

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth; what is not estimable holds nothing."""
        return self.average is not None and self.average.low <= self.truth <= self.average.high


def judged(*, seed: int, with_effect: bool, officers: int = OFFICERS, months: int = MONTHS) -> list[Judged]:
    """Return, for rest and mentoring, the estimate and the truth of a force; the truth is 0 without effects."""
    waves, trials = known_waves(last_month=LAST_MONTH, months=months, seed=seed)
    force = simulate(
        officers=officers,
        months=months,
        seed=seed,
        mechanism=Mechanism(effect_scale=1.0 if with_effect else 0.0),
        with_truth=False,
        intervene=waves,
        trials=trials if with_effect else (),
    )
    given = histories(profile=load_profile("gongan"), roster=force.roster, events=force.events)
    return [_judged(given, force, trial, with_effect=with_effect) for trial in trials]


def _judged(given: Histories, force: SimulatedForce, trial: Trial, *, with_effect: bool) -> Judged:
    found = fitted(given, ACTIONS[trial.action], trial.risk, as_ofs=trial.as_ofs)
    assert found.effect.naive is not None
    naive = found.effect.naive.value
    if not with_effect:
        return Judged(trial.action, found.effect.average, 0.0, naive, (0.0, 0.0, 0.0))
    truth = force.benefits[force.benefits["action"] == trial.action]
    return Judged(trial.action, found.effect.average, _truth(given, found, truth), naive, spared(given, trial, truth))


def _truth(given: Histories, found: Fitted, truth: pd.DataFrame) -> float:
    """The mean true effect of those rows that were helped: what the estimate is of."""
    rows = found.study
    key = {"officer_id": given.officers[rows.officer], "as_of": timestamps(last_day(rows.as_of))}
    both = pd.DataFrame(key)[rows.treated].merge(truth, on=["officer_id", "as_of"], how="left")
    return float((both["with_help"] - both["without"]).mean())


def spared(given: Histories, trial: Trial, truth: pd.DataFrame) -> tuple[float, float, float]:
    """Return what plans of the same quota at the last as-of truly spare: by benefit, by risk, at random.

    Everything is learned from the as-ofs whose outcomes were known by then.
    """
    as_of, horizon = trial.as_ofs[-1], given.profile.risks[trial.risk].horizon_months
    before = [month for month in trial.as_ofs if month + horizon <= as_of]
    found = fitted(given, ACTIONS[trial.action], trial.risk, until=as_of, as_ofs=before)
    rows = feature_rows(given, [as_of], names=found.study.names)
    told = benefits_at(given, found, rows)
    now = truth[truth["as_of"] == pd.Timestamp(timestamps(last_day([as_of]))[0])]
    table = told.merge(now, on="officer_id").dropna(subset=["without"])
    true = (table["without"] - table["with_help"]).to_numpy()
    places = round(QUOTA * len(table))
    best = np.argsort(-table["benefit"].fillna(-np.inf).to_numpy(), kind="stable")[:places]
    assert found.scores is not None
    risk = pd.Series(scores_of(found.study, found.scores, rows.values).prognosis, index=given.officers[rows.officer])
    riskiest = np.argsort(-risk.loc[table["officer_id"]].to_numpy(), kind="stable")[:places]
    return float(true[best].sum()), float(true[riskiest].sum()), float(true.mean() * places)


def effects() -> Iterator[tuple[str, str, str, bool]]:
    """Yield coverage of the truth and of no effect, each over twenty seeds, and what the three plans spare."""
    cases = [*((seed, True) for seed in SEEDS), *((seed, False) for seed in WITHOUT)]
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as workers:
        found = dict(zip(cases, workers.map(_case, cases), strict=True))
    for place, action in enumerate(ACTIONS):
        with_effect = [found[seed, True][place] for seed in SEEDS]
        without = [found[seed, False][place] for seed in WITHOUT]
        yield _coverage(f"effects: {NAMES[action]}, interval holds the truth", with_effect, 0.80)
        yield _coverage(f"effects: {NAMES[action]}, no effect in the truth, 0 not excluded", without, 0.85)
        yield _plans(f"effects: {NAMES[action]}, spared by a plan of {QUOTA:.0%}", with_effect)


def _case(case: tuple[int, bool]) -> list[Judged]:
    return judged(seed=case[0], with_effect=case[1])


def _coverage(what: str, runs: list[Judged], goal: float) -> tuple[str, str, str, bool]:
    held, number = sum(one.holds for one in runs), len(runs)
    told = [one.average for one in runs if one.average is not None]
    mean, width = np.mean([one.value for one in told]), np.mean([one.high - one.low for one in told])
    figure = (
        f"{held} of {number}; mean truth {np.mean([one.truth for one in runs]):+.4f}, estimate {mean:+.4f}, "
        f"width {width:.4f}, naive {np.mean([one.naive for one in runs]):+.4f}; told in {len(told)}"
    )
    return what, figure, f"at least {goal:.0%}", held / number >= goal


def _plans(what: str, runs: list[Judged]) -> tuple[str, str, str, bool]:
    benefit, risk, chance = np.mean([one.spared for one in runs], axis=0)
    better = sum(one.spared[0] > one.spared[1] for one in runs)
    figure = (
        f"by expected benefit {benefit:.2f}, by risk {risk:.2f}, at random {chance:.2f} outcomes a month "
        f"(benefit above risk in {better} of {len(runs)})"
    )
    return what, figure, "benefit > risk and > random", bool(benefit > risk and benefit > chance)


def training_effect(home: Path) -> Iterator[tuple[str, str, str, bool]]:
    """Yield what procedural-justice training did to complaints (real, dated, staggered), the naive figure beside it."""
    folder = CHICAGO.parent / "chicago_training"
    if not folder.is_dir():
        return
    ingest(folder, home=home, profile=str(folder / "profile"), strict=False)
    told = event_study(courses(load_histories(home), "complaint_soon"), "justice_training")
    assert told.overall is not None
    assert told.naive is not None
    assert told.drift is not None
    figure = (
        f"{_per_hundred(told.overall)} complaints per 100 officers a month over the year after, from "
        f"{100 * told.before:.2f}; naive {_per_hundred(told.naive)}; before the start {_per_hundred(told.drift)}, "
        f"p {told.drift_p:.3f}; {told.helped} officers, {told.cohorts} months of start"
    )
    yield "training: effect on complaints, interval", figure, "(told)", True


def _per_hundred(figure: Figure) -> str:
    return f"{100 * figure.value:+.3f} ({100 * figure.low:+.3f} to {100 * figure.high:+.3f})"
