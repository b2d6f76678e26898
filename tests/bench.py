"""The benchmark table of `make bench`: every figure is a ratio to a rival measured in the same run on the same data.

Medians of interleaved rounds, with the noise that was measured: a goal that is missed by more than that makes exit
code 1. `make bench ARGS=features` runs one part; what each rival does is in tests/bench_<part>.py.
"""

import importlib.metadata
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import bench_features, bench_reasons, bench_start

ROUNDS = 5
VERSIONS = ("numpy", "pandas", "polars", "numba", "lightgbm", "shap", "mlflow", "fastapi")


@dataclass(frozen=True)
class Ratio:
    """How many times faster than a rival: one entry a round; ``goal`` None where it is only told."""

    name: str
    ours: list[float]
    rivals: list[float]
    goal: float | None

    @property
    def rounds(self) -> list[float]:
        """The ratio of each round."""
        return [theirs / mine for mine, theirs in zip(self.ours, self.rivals, strict=True)]

    @property
    def noise(self) -> float:
        """Half of what the rounds differ by."""
        return (max(self.rounds) - min(self.rounds)) / 2

    @property
    def met(self) -> bool:
        """Whether the goal was met, or missed by no more than the noise."""
        return self.goal is None or statistics.median(self.rounds) + self.noise >= self.goal


@dataclass(frozen=True)
class Limit:
    """Something that must take less than so many seconds."""

    name: str
    ours: list[float]
    goal: float

    @property
    def noise(self) -> float:
        """Half of what the rounds differ by."""
        return (max(self.ours) - min(self.ours)) / 2

    @property
    def met(self) -> bool:
        """Whether the limit was kept, or missed by no more than the noise."""
        return statistics.median(self.ours) - self.noise <= self.goal


def rounds(ways: Mapping[str, Callable[[], Any]], number: int = ROUNDS) -> dict[str, list[float]]:
    """Return the seconds of each way, one way after the other, ``number`` times; a first time is not counted."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(number):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def features() -> Iterator[Ratio | Limit]:
    """The feature engine beside Polars and pandas."""
    given = bench_features.bench_histories()
    ways = bench_features.ways(given)
    mine = ways["feature engine"]()
    for name in ("Polars", "pandas"):
        bench_features.the_same(mine, ways[name](), months=bench_features.MONTHS, name=name)
    took = rounds(ways)
    size = f"{bench_features.OFFICERS:,} officers x {bench_features.MONTHS} months x {bench_features.MEASURES} measures"
    yield Ratio(f"features, {size}, {mine.shape[1]} outputs: Polars", took["feature engine"], took["Polars"], 10.0)
    yield Ratio("features, the same: pandas groupby.rolling", took["feature engine"], took["pandas"], 100.0)


def reasons() -> Iterator[Ratio | Limit]:
    """Contributions beside LightGBM's own and shap's."""
    for rows, rival, goal, ways in bench_reasons.cases():
        took = rounds(ways)
        ours, theirs = took.values()
        yield Ratio(f"reasons, {rows}: {rival}", ours, theirs, goal)


def start() -> Iterator[Ratio | Limit]:
    """What people wait for before anything happens."""
    yield Limit("jingxing --help", [bench_start.help_seconds() for _ in range(ROUNDS)], 0.4)
    with bench_start.a_home() as home:
        yield Limit("the server answers", [bench_start.serving_seconds(home) for _ in range(ROUNDS)], 4.0)


PARTS: dict[str, Callable[[], Iterator[Ratio | Limit]]] = {"features": features, "reasons": reasons, "start": start}


def main(chosen: list[str]) -> int:
    """Measure, print the table, and say by the exit code whether a goal was missed by more than the noise."""
    console, table = Console(), Table(title=f"Medians of {ROUNDS} interleaved rounds")
    for column in ("", "ours", "rival", "ratio", "noise", "goal", ""):
        table.add_column(column, justify="left" if column == "" else "right")
    found = [line for name in chosen or PARTS for line in _told(console, PARTS[name]())]
    for line in found:
        table.add_row(*_row(line))
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    console.print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} threads, peak {peak:.1f} GB.")
    missed = [line.name for line in found if not line.met]
    console.print(json.dumps({"missed": missed}, ensure_ascii=False))
    return 1 if missed else 0


def _told(console: Console, lines: Iterator[Ratio | Limit]) -> Iterator[Ratio | Limit]:
    for line in lines:
        console.print(*_row(line)[:4], "goal", _row(line)[5], _row(line)[6])
        yield line


def _row(line: Ratio | Limit) -> tuple[str, ...]:
    ours = f"{statistics.median(line.ours) * 1000:,.1f} ms"
    met = "met" if line.met else "missed"
    if isinstance(line, Limit):
        return line.name, ours, "", "", f"{line.noise * 1000:.0f} ms", f"below {line.goal:g} s", met
    rival = f"{statistics.median(line.rivals) * 1000:,.1f} ms"
    goal = f"{line.goal:g}" if line.goal else "(told)"
    return line.name, ours, rival, f"{statistics.median(line.rounds):.1f}", f"{line.noise:.1f}", goal, met


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
