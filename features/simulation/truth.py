"""The true probability of each label, from forward paths of the mechanism; README.md says how far it is exact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from features.asknown import KnownCube
from features.cohort import Cohort, cohort
from features.efficiency import monthly_index
from features.histories.tables import Floats, Histories, Ints
from features.months import last_day, timestamps
from features.profile_rows import IndexOutcome, Risk
from features.simulation.mechanism import (
    Mechanism,
    Noise,
    State,
    Traits,
    UnitShocks,
    burnout_hazard,
    leaving_hazard,
    next_month,
)  # fmt: skip

PATHS = 32
"""Forward paths per officer and as-of, antithetic in pairs."""


@dataclass(frozen=True)
class Snapshot:
    """The hidden states at the end of a month, with the burden and the performance of that month."""

    state: State
    burden: Floats
    performance: Floats


@dataclass(frozen=True)
class IndexModel:
    """How the index follows the hidden state, by post: least squares on the realised force.

    ``slope`` is [post, regressor]; ``residual`` what it leaves, [month, officer]. ``lasting`` says by post how much
    of the own mean residual of the baseline lasts through the horizon, ``spread`` how much the rest varies.
    """

    slope: Floats
    residual: Floats
    lasting: Floats
    spread: Floats


@dataclass(frozen=True)
class Paths:
    """What forward paths say per officer: [path, officer]. ``index`` is the mean over the index horizon."""

    reached: Floats
    escaped: Floats
    index: Floats
    staying: Floats


def true_probabilities(
    given: Histories,
    snapshots: Mapping[int, Snapshot],
    *,
    traits: Traits,
    mechanism: Mechanism,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return officer_id, as_of (month end), risk and probability for the cohort of every simulated month.

    For burnout: of the paths that are not lost to leaving, those with an episode. For the decline: where the own
    baseline is known, the chance that the mean index of the horizon lies ``falls_by`` below it.
    """
    burnout, decline = given.profile.risks["burnout"], given.profile.risks["efficiency_decline"]
    months = range(min(snapshots), max(snapshots) + 1)
    index = realised_index(given, months)
    model = fit_index(given, snapshots, index, traits=traits, risk=decline)
    parts = []
    for row, month in enumerate(months):
        members = cohort(given, month)
        if not len(members):
            continue
        paths = forward(
            members, snapshots[month], model, traits=traits, mechanism=mechanism, rng=rng, risks=(burnout, decline)
        )
        known = paths.reached + paths.escaped
        parts.append(_table(given, members, "burnout", paths.reached.mean(axis=0) / known.mean(axis=0)))
        chance = decline_chance(members, paths, model, row=row, index=index, risk=decline)
        parts.append(_table(given, members, "efficiency_decline", chance))
    truth = pd.concat(parts, ignore_index=True).dropna(subset=["probability"])
    return truth.sort_values(["risk", "officer_id", "as_of"], kind="stable", ignore_index=True)


def realised_index(given: Histories, months: range) -> Floats:
    """Return the index of each month and officer as known at the end."""
    cube = KnownCube(given, last_month=months[-1])
    for month in range(cube.base, months[-1] + 1):
        cube.advance(month)
    return monthly_index(given, cube, months)


def fit_index(
    given: Histories, snapshots: Mapping[int, Snapshot], index: Floats, *, traits: Traits, risk: Risk
) -> IndexModel:
    """Return the least-squares map, by post, from hidden state to index, both centred on the post and month."""
    months, posts = sorted(snapshots), len(given.posts)
    features = np.stack([_regressors(snapshots[month], traits) for month in months])
    post = np.stack([snapshots[month].state.post for month in months])
    known = ~np.isnan(index)
    centred = _centred(features, post, known, posts=posts)
    slope, residual = np.zeros((posts, features.shape[2])), np.full(index.shape, np.nan)
    for number in range(posts):
        rows = known & (post == number)
        if rows.sum() > 5 * features.shape[2]:
            slope[number] = np.linalg.lstsq(centred[rows], index[rows], rcond=None)[0]
            residual[rows] = index[rows] - centred[rows] @ slope[number]
    lasting, spread = _persistence(residual, post, posts=posts, risk=risk)
    return IndexModel(slope, residual, lasting, spread)


def _regressors(snapshot: Snapshot, traits: Traits) -> Floats:
    return np.column_stack([snapshot.performance, snapshot.burden, traits.aptitude])


def _centred(features: Floats, post: Ints, known: np.ndarray, *, posts: int) -> Floats:
    found = features.copy()
    for month in range(len(features)):
        for number in range(posts):
            rows = post[month] == number
            seen = rows & known[month]
            if seen.any():
                found[month, rows] -= features[month, seen].mean(axis=0)
    return found


def _persistence(residual: Floats, post: Ints, *, posts: int, risk: Risk) -> tuple[Floats, Floats]:
    """Regress, by post, the mean residual of the horizon on that of the baseline; return slope and what is left."""
    last = len(residual) - risk.horizon_months
    before = np.stack([_baseline(residual, row, risk) for row in range(last)])
    after = np.stack([_mean(residual[row + 1 : row + 1 + risk.horizon_months]) for row in range(last)])
    known = ~np.isnan(before + after)
    lasting, spread = np.zeros(posts), np.full(posts, float(np.nanstd(after)) if known.any() else 1.0)
    for number in range(posts):
        rows = known & (post[:last] == number)
        if rows.sum() > 100:
            lasting[number] = (before[rows] * after[rows]).mean() / (before[rows] ** 2).mean()
            spread[number] = (after[rows] - lasting[number] * before[rows]).std()
    return lasting, spread


def forward(
    members: Cohort,
    snapshot: Snapshot,
    model: IndexModel,
    *,
    traits: Traits,
    mechanism: Mechanism,
    rng: np.random.Generator,
    risks: tuple[Risk, Risk],
) -> Paths:
    """Return what becomes of a cohort on each of its forward paths."""
    burnout, decline = risks
    shape = (PATHS, len(members))
    who = np.tile(members.officer, PATHS)
    state, mine = snapshot.state.take(who), traits.take(who)
    noise = Noise(rng, len(who), antithetic=True)
    whole, reached, staying = np.ones(len(who)), np.zeros(len(who)), np.ones(len(who))
    index = np.zeros(shape)
    for ahead in range(1, max(burnout.horizon_months, decline.horizon_months) + 1):
        state = _moved(state, mechanism=mechanism, noise=noise)
        shocks = UnitShocks(noise.normal(), noise.normal())
        month = members.as_of + ahead
        state, seen = next_month(state, mine, month=month, mechanism=mechanism, noise=noise, shocks=shocks)
        leaving = leaving_hazard(state.strain, mechanism)
        if ahead <= burnout.horizon_months:
            hazard = burnout_hazard(state.strain, mechanism)
            reached, whole = reached + whole * hazard, whole * (1 - hazard) * (1 - leaving)
        if ahead <= decline.horizon_months:
            staying = staying * (1 - leaving)
            regressors = np.column_stack([seen.performance, seen.burden, mine.aptitude])
            index += _expected(regressors.reshape(*shape, -1), members, model) / decline.horizon_months
    return Paths(reached.reshape(shape), whole.reshape(shape), index, staying.reshape(shape))


def _moved(state: State, *, mechanism: Mechanism, noise: Noise) -> State:
    moved = noise.happens(np.full(noise.size, mechanism.transfer_chance))
    return replace(state, dip=np.where(moved, 0.7 * mechanism.transfer_dip, state.dip))


def _expected(regressors: Floats, members: Cohort, model: IndexModel) -> Floats:
    """Return the expected index, centred on what is expected of the post's members."""
    found: Floats = (regressors * model.slope[members.post]).sum(axis=2)
    for number in np.unique(members.post):
        found[:, members.post == number] -= found[:, members.post == number].mean()
    return found


def _baseline(index: Floats, row: int, risk: Risk) -> Floats:
    """Return the own mean of the baseline months up to ``row``, known where half of them were assessed."""
    assert isinstance(risk.outcome, IndexOutcome)
    length = risk.outcome.baseline_months
    return _mean(index[max(0, row + 1 - length) : row + 1], at_least=length / 2)


def _mean(months: Floats, *, at_least: float = 1.5) -> Floats:
    number = (~np.isnan(months)).sum(axis=0)
    mean = np.nansum(months, axis=0) / np.maximum(number, 1)
    found: Floats = np.where(number >= at_least, mean, np.nan)
    return found


def decline_chance(members: Cohort, paths: Paths, model: IndexModel, *, row: int, index: Floats, risk: Risk) -> Floats:
    """Return the chance of a fall by ``falls_by`` from the baseline, over the paths and the noise of the index."""
    assert isinstance(risk.outcome, IndexOutcome)
    before = _baseline(index, row, risk)[members.officer]
    own = np.nan_to_num(_baseline(model.residual, row, risk)[members.officer]) * model.lasting[members.post]
    fall = before - (paths.index + own) - risk.outcome.falls_by
    chance = ndtr(fall / model.spread[members.post])
    return np.asarray((chance * paths.staying).sum(axis=0) / paths.staying.sum(axis=0), dtype=np.float64)


def _table(given: Histories, members: Cohort, risk: str, probability: Floats) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "officer_id": given.officers[members.officer],
            "as_of": timestamps(np.full(len(members), last_day(members.as_of))),
            "risk": risk,
            "probability": np.round(probability, 6),
        }
    )
