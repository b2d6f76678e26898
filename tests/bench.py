"""The benchmark table of `make bench`: every figure is a ratio to a rival measured in the same run on the same data.

Medians of interleaved rounds, with the noise that was measured: a goal that is missed by more than that makes exit
code 1. `make bench ARGS=features` runs one part; what each rival does is in tests/bench_<part>.py.
"""

import importlib.metadata
import json
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import (
    bench_features,
    bench_growth,
    bench_month,
    bench_predictions,
    bench_reasons,
    bench_service,
    bench_start,
)

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
        """How far a round usually is from the median."""
        return noise_of(self.rounds)

    @property
    def met(self) -> bool:
        """Whether the goal was met, or missed by no more than the noise."""
        return self.goal is None or statistics.median(self.rounds) + self.noise >= self.goal


@dataclass(frozen=True)
class Limit:
    """Something that must take less than so many seconds, or be below so much of something else."""

    name: str
    ours: list[float]
    goal: float
    unit: str = "s"

    @property
    def noise(self) -> float:
        """How far a round usually is from the median."""
        return noise_of(self.ours)

    @property
    def met(self) -> bool:
        """Whether the limit was kept, or missed by no more than the noise."""
        return statistics.median(self.ours) - self.noise <= self.goal


def noise_of(values: Sequence[float]) -> float:
    """Return the median distance from the median: one odd round neither makes nor hides a miss."""
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


def rounds(
    ways: Mapping[str, Callable[[], Any]], number: int = ROUNDS, *, before: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Return the seconds of each way, one way after the other, ``number`` times; a first time is not counted.

    ``before`` is called before each way, and its time is not counted.
    """
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(number):
        for name, way in ways.items():
            before()
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
        bench_features.the_same(mine, ways[name](), name=name)
    took = rounds(ways, before=bench_features.memory_at_hand)
    size = f"{bench_features.OFFICERS:,} officers x {bench_features.MONTHS} months x {bench_features.MEASURES} measures"
    yield Ratio(f"features, {size}, {mine.shape[1]} outputs: Polars", took["feature engine"], took["Polars"], 10.0)
    yield Ratio("features, the same: pandas groupby.rolling", took["feature engine"], took["pandas"], 100.0)
    del mine, ways["pandas"]
    took = rounds(ways)
    yield Ratio("features, the same, memory as it comes: Polars", took["feature engine"], took["Polars"], None)
    sizes = {"officers": bench_features.OFFICERS, "months": bench_features.MONTHS, "measures": bench_features.MEASURES}
    held = [bench_growth.measured(**sizes).share for _ in range(ROUNDS)]
    yield Limit("features, the same: memory held", held, 2.5, "times the output")


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


def growth() -> Iterator[Ratio | Limit]:
    """How time and memory grow with officers, months and measures; draws features/growth.svg."""
    found = {along: bench_growth.grown(along) for along in bench_growth.SIZES}
    best = {along: bench_growth.best(rounds) for along, rounds in found.items()}
    Console().print(bench_growth.table(best))
    bench_growth.draw(best)
    for along, several in found.items():
        for of in ("cpu_seconds", "held"):
            powers = [bench_growth.exponent(along, costs, of) for costs in several]
            yield Limit(f"growth of {of.replace('_', ' ')} with {along} (1 is linear)", powers, 1.1, "power")


def service() -> Iterator[Ratio | Limit]:
    """The running service: the list route beside an empty one, pages with 10 users, 30,000 officers in the store."""
    for store, (ours, empty) in bench_service.lists(ROUNDS).items():
        times = [one.wall for one in ours], [one.wall for one in empty]
        yield Ratio(f"list route, {store}: the framework's empty JSON route", *times, 0.1)
        cpu = [one.cpu for one in ours], [one.cpu for one in empty]
        yield Ratio(f"list route, {store}, the server's processor time", *cpu, None)
    for pause in (bench_service.READING, 0.0):
        for store, found in bench_service.pages(ROUNDS, pause=pause).items():
            slowest, page = max(found.items(), key=lambda each: statistics.median(each[1].rounds))
            rest = f"{pause:g} s between" if pause else "no pause"
            name = f"{len(found)} pages, 10 users, {rest}, {store}: p95 of the slowest, {slowest}"
            yield Limit(name, page.rounds, 0.15 if pause else math.inf)  # without one, two cores are never at rest
            opened, first = max(found.items(), key=lambda each: each[1].first)
            yield Limit(f"... opened for the first time, no pause (told), {opened}", [first.first], math.inf)


def predictions() -> Iterator[Ratio | Limit]:
    """Requests a second: of histories, by our kernel and by pred_contrib; of a row of features, beside MLflow."""
    ours, theirs = bench_predictions.explained(ROUNDS)
    name = "predictions of histories, two models, reasons: the same route with pred_contrib"
    yield Ratio(name, [one.wall for one in ours], [one.wall for one in theirs], 3.0)
    yield Ratio(f"{name}, the server's processor time", [one.cpu for one in ours], [one.cpu for one in theirs], None)
    ours, theirs = bench_predictions.only_predicted(ROUNDS)
    times = [one.wall for one in ours], [one.wall for one in theirs]
    yield Ratio("predictions of feature rows: mlflow models serve", *times, 5.0)


def month() -> Iterator[Ratio | Limit]:
    """The monthly run of 30,000 officers, and the memory of training on them."""
    runs = [bench_month.lists() for _ in range(ROUNDS)]
    yield Limit("lists of 30,000 officers, features to written reasons", [run.seconds for run in runs], 90.0)
    yield Limit("lists of 30,000 officers, memory", [run.gigabytes for run in runs], 6.0, "GB")
    whole = bench_month.month()
    yield Limit("all of a month's work, from effects to a rest plan (told)", [whole.seconds], math.inf)
    yield Limit("all of a month's work, memory", [whole.gigabytes], 6.0, "GB")
    yield Limit("training on 30,000 officers, memory", [bench_month.training().gigabytes], 8.0, "GB")


PARTS: dict[str, Callable[[], Iterator[Ratio | Limit]]] = {
    "features": features,
    "reasons": reasons,
    "growth": growth,
    "start": start,
    "service": service,
    "predictions": predictions,
    "month": month,
}


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
    if isinstance(line, Limit) and line.unit != "s":
        return (
            line.name,
            f"{statistics.median(line.ours):.2f}",
            "",
            "",
            f"{line.noise:.2f}",
            f"{line.goal:g} {line.unit}",
            met,
        )
    if isinstance(line, Limit):
        return line.name, ours, "", "", f"{line.noise * 1000:.0f} ms", f"below {line.goal:g} s", met
    rival = f"{statistics.median(line.rivals) * 1000:,.1f} ms"
    goal = f"{line.goal:g}" if line.goal else "(told)"
    return line.name, ours, rival, f"{statistics.median(line.rounds):.3g}", f"{line.noise:.2g}", goal, met


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
