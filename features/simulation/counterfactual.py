"""What an action would have done: true probabilities with it begun in the month after an as-of, and without it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.cohort import Cohort, cohort
from features.histories.tables import Floats, Histories, Ints
from features.months import last_day, timestamps
from features.profile_rows import Risk
from features.simulation.intervention import Trial
from features.simulation.mechanism import (
    Mechanism,
    Noise,
    Traits,
    UnitShocks,
    burnout_hazard,
    leaving_hazard,
    next_month,
)  # fmt: skip
from features.simulation.truth import (
    PATHS,
    IndexModel,
    Paths,
    Snapshot,
    _moved,
    decline_chance,
    fit_index,
    realised_index,
)

COLUMNS = ["officer_id", "as_of", "action", "risk", "without", "with_help"]


@dataclass(frozen=True)
class _Force:
    given: Histories
    snapshots: Mapping[int, Snapshot]
    reached: Mapping[int, Ints]
    traits: Traits
    mechanism: Mechanism
    seed: int
    index: Floats
    model: IndexModel


@dataclass(frozen=True)
class _Arm:
    """One arm's paths, [path, officer]; ``index`` [month ahead, path, officer], not yet centred."""

    reached: Floats
    escaped: Floats
    staying: Floats
    index: Floats


def true_benefits(
    given: Histories,
    snapshots: Mapping[int, Snapshot],
    trials: Sequence[Trial],
    *,
    reached: Mapping[int, Ints],
    traits: Traits,
    mechanism: Mechanism,
    seed: int,
) -> pd.DataFrame:
    """Return officer_id, as_of (month end), action, risk, and the probability ``without`` and ``with_help``.

    Both arms start from the hidden state at the as-of and live through the same random numbers; policies go on in
    both, but for the action itself in the first month. One person's arms are compared while the peers, from whom
    the index is told, live as they did: ``reached`` says by month (as positions) whom help from outside reached.
    """
    decline = given.profile.risks["efficiency_decline"]
    index = realised_index(given, range(min(snapshots), max(snapshots) + 1))
    model = fit_index(given, snapshots, index, traits=traits, risk=decline)
    force = _Force(given, snapshots, reached, traits, mechanism, seed, index, model)
    tables = [_of_month(force, trial, as_of) for trial in trials for as_of in trial.as_ofs]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def _of_month(force: _Force, trial: Trial, as_of: int) -> pd.DataFrame:
    members, risk = cohort(force.given, as_of), force.given.profile.risks[trial.risk]
    arms = [_arm(force, trial, members, risk, given=given) for given in (False, True)]
    helped = np.isin(members.officer, force.reached.get(as_of + 1, []))
    centre = _centre(np.where(helped, arms[1].index, arms[0].index), members)
    without, with_help = (_chance(force, members, arm, risk, centre) for arm in arms)
    return pd.DataFrame(
        {
            "officer_id": force.given.officers[members.officer],
            "as_of": timestamps(np.full(len(members), last_day(as_of))),
            "action": trial.action,
            "risk": trial.risk,
            "without": without,
            "with_help": with_help,
        }
    )


def _arm(force: _Force, trial: Trial, members: Cohort, risk: Risk, *, given: bool) -> _Arm:
    """Live through the horizon on every path; the first month with or without the action."""
    snapshot, who = force.snapshots[members.as_of], np.tile(members.officer, PATHS)
    state, mine = snapshot.state.take(who), force.traits.take(who)
    noise = Noise(np.random.default_rng([force.seed, 4, members.as_of]), len(who), antithetic=True)
    whole, reached, staying = np.ones(len(who)), np.zeros(len(who)), np.ones(len(who))
    index = []
    for ahead in range(1, risk.horizon_months + 1):
        state = _moved(state, mechanism=force.mechanism, noise=noise)
        shocks = UnitShocks(noise.normal(), noise.normal())
        first = ahead == 1
        state, seen = next_month(
            state,
            mine,
            month=members.as_of + ahead,
            mechanism=trial.without_policy(force.mechanism) if first else force.mechanism,
            noise=noise,
            shocks=shocks,
            extra=trial.extra(len(who), given=given) if first else None,
        )
        hazard, leaving = burnout_hazard(state.strain, force.mechanism), leaving_hazard(state.strain, force.mechanism)
        reached, whole = reached + whole * hazard, whole * (1 - hazard) * (1 - leaving)
        staying = staying * (1 - leaving)
        regressors = np.column_stack([seen.performance, seen.burden, mine.aptitude]).reshape(PATHS, len(members), -1)
        index.append((regressors * force.model.slope[members.post]).sum(axis=2))
    shape = (PATHS, len(members))
    return _Arm(reached.reshape(shape), whole.reshape(shape), staying.reshape(shape), np.stack(index))


def _centre(index: Floats, members: Cohort) -> Floats:
    """[month ahead, officer]: what is expected of the post's members."""
    found = np.zeros((len(index), len(members)))
    for number in np.unique(members.post):
        mine = members.post == number
        found[:, mine] = index[:, :, mine].mean(axis=(1, 2))[:, None]
    return found


def _chance(force: _Force, members: Cohort, arm: _Arm, risk: Risk, centre: Floats) -> Floats:
    if risk is not force.given.profile.risks["efficiency_decline"]:
        known = arm.reached + arm.escaped
        return np.asarray(arm.reached.mean(axis=0) / known.mean(axis=0))
    paths = Paths(arm.reached, arm.escaped, (arm.index - centre[:, None, :]).mean(axis=0), arm.staying)
    row = members.as_of - min(force.snapshots)
    return decline_chance(members, paths, force.model, row=row, index=force.index, risk=risk)
