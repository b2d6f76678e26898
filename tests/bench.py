"""The benchmark table of `make bench`: our feature engine beside pandas, written as its documentation says.

Both make the same outputs from the same rows, cube building included, in interleaved rounds in one run; the ratio
is the median over the rounds. Exit 1 where a goal is missed by more than the noise that was measured.
"""

import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from features.engine import feature_rows
from features.histories.tables import Histories, histories
from features.profile import Profile

OFFICERS, MONTHS, MEASURES, ROUNDS = 1500, 48, 6, 5
START = pd.Timestamp("2020-01-01")
WINDOWS = (1, 3, 6, 12, 36)
GOAL = 2.0


def bench_profile() -> Profile:
    """Return a profile of summed measures only, so that pandas can make the same outputs."""
    measures = {f"measure_{number}": {"dimension": "workload"} for number in range(MEASURES)}
    parts = {"settings": {"name": "bench"}, "measures": measures, "posts": {}, "risks": {}, "actions": {}}
    return Profile.model_validate(parts)


def bench_tables(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a roster and on-time events: pandas could not do late ones."""
    names = [f"B{number:05d}" for number in range(OFFICERS)]
    roster = pd.DataFrame({"officer_id": names, "valid_from": START, "post": "any", "unit": "one"})
    size = OFFICERS * MONTHS * MEASURES
    occurred = START + pd.to_timedelta(rng.integers(0, MONTHS * 30, size), unit="D")
    events = pd.DataFrame(
        {
            "officer_id": np.asarray(names)[rng.integers(0, OFFICERS, size)],
            "measure": [f"measure_{number}" for number in rng.integers(0, MEASURES, size)],
            "occurred_on": occurred,
            "recorded_on": occurred,
            "value": rng.integers(1, 9, size).astype(float),
        }
    )
    return roster, events


def ours(given: Histories) -> np.ndarray:
    """Sums and trends of every window, by the engine."""
    rows = feature_rows(given, range(first_month(), first_month() + MONTHS), names=wanted(given.profile))
    return rows.values


def wanted(profile: Profile) -> list[str]:
    """Return the outputs that both sides make."""
    return [f"{key}__{kind}" for key in profile.measures for kind in (*(f"sum__{w}m" for w in WINDOWS), "spread__12m")]


def first_month() -> int:
    return START.year * 12 + START.month - 1 + 6


def pandas_way(profile: Profile, events: pd.DataFrame, officers: list[str]) -> np.ndarray:
    """The same by groupby and rolling, on a month grid."""
    month = events["occurred_on"].dt.year * 12 + events["occurred_on"].dt.month - 1
    grid = events.assign(month=month).pivot_table(
        index=["officer_id", "month"], columns="measure", values="value", aggfunc="sum", fill_value=0.0
    )
    months = range(first_month() - 6, first_month() + MONTHS)
    full = pd.MultiIndex.from_product([officers, months], names=["officer_id", "month"])
    grid = grid.reindex(full, fill_value=0.0)
    people = grid.groupby(level="officer_id", sort=False)
    parts = {w: people.rolling(w, min_periods=1).sum().droplevel(0) for w in WINDOWS}
    spread = people.rolling(12, min_periods=1).std(ddof=0).droplevel(0)
    columns = []
    for key in profile.measures:
        columns += [parts[w][key] for w in WINDOWS] + [spread[key]]
    table = pd.concat(columns, axis=1)
    return table[table.index.get_level_values("month") >= first_month()].to_numpy(dtype=np.float32)


def rounds(*ways: Callable[[], np.ndarray]) -> list[list[float]]:
    """Return the seconds of each way, round by round, one after the other."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for number, way in enumerate(ways):
            start = time.perf_counter()
            way()
            seconds[number].append(time.perf_counter() - start)
    return seconds


def main() -> int:
    """Measure, print the table, and say by the exit code whether the goal was met."""
    profile, (roster, events) = bench_profile(), bench_tables(np.random.default_rng(1))
    given = histories(profile=profile, roster=roster, events=events)
    mine, theirs = ours(given), pandas_way(profile, events, sorted(roster["officer_id"]))
    compared = [n for n, name in enumerate(wanted(profile)) if "__sum__" in name]
    np.testing.assert_allclose(mine[:, compared], theirs[:, compared], rtol=1e-5)
    fast, slow = rounds(lambda: ours(given), lambda: pandas_way(profile, events, sorted(roster["officer_id"])))
    ratios = [b / a for a, b in zip(fast, slow, strict=True)]
    rows = OFFICERS * MONTHS
    table = Table(title=f"{OFFICERS:,} officers x {MONTHS} months x {MEASURES} measures, {mine.shape[1]} outputs a row")
    for column in ("", "median s", "officer-months a second"):
        table.add_column(column, justify="right")
    for name, seconds in (("feature engine", fast), ("pandas groupby.rolling", slow)):
        middle = statistics.median(seconds)
        table.add_row(name, f"{middle:.2f}", f"{rows / middle:,.0f}")
    console = Console()
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, pandas {pd.__version__}"
    middle, noise = statistics.median(ratios), max(ratios) - min(ratios)
    console.print(f"{versions}; {ROUNDS} interleaved rounds, one thread, peak memory {peak:.1f} GB.")
    console.print(f"Ratio to pandas: {middle:.1f} (from {min(ratios):.1f} to {max(ratios):.1f}); goal {GOAL:g}.")
    return 0 if middle + noise >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
