"""The monitor measured on simulated forces: alarms in stable months, and a planted shift of half an SD found."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from features.histories.tables import Histories, histories
from features.months import parse_month
from features.profile import load_profile
from features.simulation import simulate
from serving.models.monitored import FALSE_DISCOVERIES
from training.monitoring.coverage import SILENT, arrivals_by_measure, arrivals_by_unit, artefacts, holes
from training.monitoring.drift import Drift, Series, drifts
from training.monitoring.inputs import measure_series

SIZES = {100: range(40), 1000: range(20), 10_000: range(2)}
"""Officers -> seeds."""
AS_OFS = ("2024-02", "2024-04", "2024-06", "2024-09", "2024-12")
REFERENCE = range(parse_month("2021-07"), parse_month("2023-07"))
"""What a model trained until 2023-12 with a horizon of six months has learned from."""
POWER_SEEDS = 5
FEWEST_WITH_VALUE = 100
"""Of a measure that fewer of 1,000 officers have in a month half a standard deviation isn't asked to be found."""


@dataclass
class _Count:
    """Runs of the monitor and how many of them alarmed."""

    runs: int = 0
    inputs: int = 0
    coverage: int = 0


Line = tuple[str, str, str, bool]
"""What was measured, the figure, the goal, and whether it was met."""


def monitored_forces() -> Iterator[Line]:
    """False alarms by size of force, and power at 1,000."""
    for officers, seeds in SIZES.items():
        count, hit = _Count(), []
        for seed in seeds:
            given = _force(officers, seed)
            for as_of in map(parse_month, AS_OFS):
                found = _stable(given, as_of, count)
                if officers == 1000 and seed < POWER_SEEDS and as_of == parse_month("2024-06"):
                    hit += _planted(given, as_of, found)
        rate, whole = count.inputs / count.runs, f"of {count.runs} runs on {len(seeds)} forces"
        yield f"monitor: any input alarm, {officers:,} officers", f"{rate:.1%} {whole}", "at most 5 %", rate <= 0.05
        rate = count.coverage / count.runs
        yield f"monitor: any hole or artefact, {officers:,}", f"{rate:.1%} {whole}", "at most 5 %", rate <= 0.05
        if hit:
            power = float(np.mean(hit))
            yield "monitor: half an SD found, 1,000", f"{power:.1%} of {len(hit)}", "at least 90 %", power >= 0.9


def _force(officers: int, seed: int) -> Histories:
    made = simulate(officers=officers, months=48, seed=5000 + seed, with_truth=False)
    return histories(profile=load_profile("gongan"), roster=made.roster, events=made.events)


def _series(given: Histories, as_of: int) -> list[Series]:
    return measure_series(given, range(REFERENCE[0], as_of + 1), given.profile.measure_keys)


def _stable(given: Histories, as_of: int, count: _Count) -> list[Drift]:
    known = given.until(as_of)
    found = drifts(_series(known, as_of), REFERENCE)
    gone = holes(arrivals_by_measure(known, as_of))
    silent = holes(arrivals_by_unit(known, as_of), at_most=SILENT)
    count.runs += 1
    count.inputs += any(one.q <= FALSE_DISCOVERIES for one in found)
    count.coverage += bool(gone or silent or artefacts(known))
    return found


def _planted(given: Histories, as_of: int, found: list[Drift]) -> list[bool]:
    """Half of a person-month's standard deviation added to everyone's latest month, one measure after the other."""
    series = _series(given.until(as_of), as_of)
    hit = []
    for one in series:
        with_value = int((~np.isnan(one.values[-1])).sum())
        base = one.values[: len(REFERENCE)]
        if with_value < FEWEST_WITH_VALUE or np.isnan(base).all() or not np.nanstd(base) > 0:
            continue
        moved = one.values.copy()
        moved[-1] += 0.5 * np.nanstd(base)
        # the shrinking of variances needs other series beside it; the correction takes in all
        beside = list(itertools.islice((each for each in series if each.subject != one.subject), 15))
        mine = drifts([replace(one, values=moved), *beside], REFERENCE)[0]
        others = [each.p for each in found if each.subject != one.subject]
        hit.append(bool(stats.false_discovery_control([mine.p, *others])[0] <= FALSE_DISCOVERIES))
    return hit
