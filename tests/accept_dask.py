"""Past one machine, measured: seconds, memory and agreement of one and two Dask workers at three sizes of force.

JINGXING_DASK_OFFICERS="10000 30000" chooses other sizes. Each force is made here, 36 months long. Training is compared
up to 10,000 officers: what one machine trains on more takes it hours.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score

from features.engine import FeatureRows, feature_names, feature_rows
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.labels import labels
from features.months import month_of_day, parse_month
from features.parts.blocks import Block, blocks_of
from features.parts.passes import FeaturesOf, Shared, extent_of, needs, shared_figures, spread_rows
from features.parts.workers import Workers, distributed, opened
from features.simulation import simulate, write_export
from serving.scored.in_parts import score_file
from training.in_parts import train_in_parts
from training.models.risk_model import RiskModel
from training.train import Trained, train_all

Line = tuple[str, str, str, bool]
"""What was measured, the figure, the goal, and whether it was met."""
SIZES = tuple(map(int, os.environ.get("JINGXING_DASK_OFFICERS", "10000 30000 100000").split()))
TRAINED, LEARNED = 10_000, 1_500
"""So many officers are trained on at most; a model of so few scores every force."""
SIMULATED = 20_000
"""So many officers are simulated at a time."""
MONTHS, UNTIL, TESTED, RISK = 36, "2024-06", ("2024-07", "2024-08", "2024-09"), "efficiency_decline"
KEYS = ["officer_id", "as_of"]
PROGRAM = Path(sys.executable).parent / "jingxing"


def spread(home: Path) -> Iterator[Line]:
    """Every size of force, each in a home of its own."""
    model = _model(_force(home / "learned", LEARNED))
    for officers in SIZES:
        yield from measured(_force(home / str(officers), officers), train=officers <= TRAINED, model=model)


def measured(home: Path, *, train: bool, model: RiskModel) -> Iterator[Line]:
    """Return the figures of the force stored in a home; ``model`` scores it."""
    blocks = blocks_of(home)
    name = f"{sum(map(len, blocks)):,} officers"
    yield _passes(name, blocks[len(blocks) // 2])
    yield from _features(home, name, blocks)
    yield from _scores(home, name, blocks, model)
    yield from _memory(name, blocks)
    yield from _killed(name, blocks)
    yield from _elsewhere(home, name)
    if train:
        yield from _training(home, name)


def _force(home: Path, officers: int) -> Path:
    """A home with a force; a large one is put together of forces whose simulation this machine's memory holds."""
    export, rosters = home / "export", []
    (export / "events").mkdir(parents=True)
    for part, first in enumerate(range(0, officers, SIMULATED)):
        made = simulate(officers=min(SIMULATED, officers - first), months=MONTHS, seed=3 + part)
        roster, events = (_of_part(table, part) for table in (made.roster, made.events))
        write_export(replace(made, roster=roster, events=events), home / "part")
        (home / "part" / "events.parquet").rename(export / "events" / f"{part}.parquet")
        rosters.append(pq.read_table(home / "part" / "roster.parquet"))
    pq.write_table(pa.concat_tables(rosters), export / "roster.parquet")
    ingest(export, home=home, profile="gongan", strict=False)
    shutil.rmtree(export)
    return home


def _of_part(table: pd.DataFrame, part: int) -> pd.DataFrame:
    """The table with keys that no other part has."""
    own = [name for name in ("officer_id", "unit", "supervisor_id", "event_id") if name in table]
    return table.assign(**{name: f"{part}." + table[name] for name in own})


def _model(home: Path) -> RiskModel:
    found = train_all(load_histories(home), [RISK], until=parse_month(UNTIL))[RISK]
    assert isinstance(found, Trained)
    return found.model


def _features(home: Path, name: str, blocks: Sequence[Block]) -> Iterator[Line]:
    given = load_histories(home)
    question = _question(given.profile, int(month_of_day(given.last_recorded)))
    start = time.perf_counter()
    whole = feature_rows(given, question.as_ofs)
    yield f"{name}: features on one machine", f"{time.perf_counter() - start:.0f} s", "", True
    del given
    for number in (1, 2):
        with opened(f"local:{number}") as workers:
            start = time.perf_counter()
            shared = shared_figures(workers, blocks, [question])
            figures = time.perf_counter() - start
            differs = _differs(whole, workers, blocks, shared, question)
            seconds, (cpu, peak) = time.perf_counter() - start, _used(workers)
        told = f"{seconds:.0f} s (figures {figures:.0f} s), CPU {cpu:.0f} s, a worker's peak {peak:.0f} MB"
        yield f"{name}: features, local:{number}, {len(blocks)} blocks", told, "", True
        own, others = differs
        figure = f"{own:.0e} of the officer's own, {others:.0e} beside others"
        yield f"{name}: features, local:{number}, largest difference", figure, "0, 1e-6", own == 0 and others <= 1e-6


class _Here:
    """Does in this process what workers would do."""

    def in_order(self, make: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return map(make, tasks)


def _passes(name: str, block: Block) -> Line:
    """The processor seconds of each pass over one block, its histories read in each; a first time is not counted."""
    given = block.histories()
    question, here = _question(given.profile, int(month_of_day(given.last_recorded))), cast(Workers, _Here())
    for _ in range(2):
        times = [time.process_time()]
        block.histories()
        times.append(time.process_time())
        extent = extent_of(here, [block])
        times.append(time.process_time())
        stages = partial(_noted, times)
        shared = shared_figures(here, [block], [question], extent=extent, progress=stages)
        for _ in spread_rows(here, [block], shared, question):
            times.append(time.process_time())
    read, *passes = np.diff(times)
    told = ", ".join(f"pass {number} {seconds:.1f}" for number, seconds in enumerate(passes))
    events = f"{len(given.events.officer) / 1e6:.1f} million events"
    return f"{name}: one block of {len(block):,}, CPU seconds", f"reading {events} {read:.1f}, {told}", "", True


def _noted(times: list[float], _step: int) -> None:
    times.append(time.process_time())


def _question(profile: Any, as_of: int) -> FeaturesOf:
    return FeaturesOf((as_of,), feature_names(profile))


def _differs(
    whole: FeatureRows, workers: Workers, blocks: Sequence[Block], shared: Shared, question: FeaturesOf
) -> tuple[float, float]:
    """The largest difference (of the value, or relative above 1) of own features, and of those beside others."""
    beside = np.array([needs(name) > 0 for name in whole.names])
    found = [0.0, 0.0]
    for block, rows in spread_rows(workers, blocks, shared, question):
        mine = whole.values[(whole.officer >= block.first) & (whole.officer < block.after)]
        for place, columns in enumerate((~beside, beside)):
            one, two = mine[:, columns].astype(np.float64), rows.values[:, columns].astype(np.float64)
            if (np.isnan(one) != np.isnan(two)).any():
                return float("inf"), float("inf")
            apart = np.abs(one - two) / np.maximum(1.0, np.abs(one))
            found[place] = max(found[place], float(np.nanmax(apart, initial=0.0)))
    return found[0], found[1]


def _scores(home: Path, name: str, blocks: Sequence[Block], model: RiskModel) -> Iterator[Line]:
    """A month's scores with reasons, by block into a file."""
    for number in (1, 2):
        with opened(f"local:{number}") as workers:
            start = time.perf_counter()
            score_file(workers, blocks, [model], parse_month(UNTIL), home / "scores.parquet", advance=lambda _: None)
            seconds, (cpu, peak) = time.perf_counter() - start, _used(workers)
        told = f"{seconds:.0f} s, CPU {cpu:.0f} s, a worker's peak {peak:.0f} MB"
        yield f"{name}: scores with reasons to a file, local:{number}", told, "", True


def _elsewhere(home: Path, name: str) -> Iterator[Line]:
    """A scheduler and two workers that others started: the command's file is that of one machine."""
    asked: list[str | Path] = [PROGRAM, "--home", home, "features", "--as-of", UNTIL, "--out"]
    subprocess.run([*asked, home / "alone.parquet"], check=True, capture_output=True)
    with _cluster() as address:
        start = time.perf_counter()
        subprocess.run([*asked, home / "spread.parquet", "--dask", address], check=True, capture_output=True)
        seconds = time.perf_counter() - start
    one, two = (pd.read_parquet(home / f"{file}.parquet") for file in ("alone", "spread"))
    same = one[KEYS].equals(two[KEYS]) and np.allclose(
        one.drop(columns=KEYS), two[one.columns].drop(columns=KEYS), rtol=1e-6, atol=1e-6, equal_nan=True
    )
    told = f"{seconds:.0f} s, {'the file of one machine' if same else 'ANOTHER file than one machine'}"
    yield f"{name}: features at a scheduler's address, two workers", told, "1e-6", same


@contextmanager
def _cluster() -> Iterator[str]:
    """A scheduler's address, with two workers, on this machine."""
    dask = [Path(sys.executable).parent / "dask"]
    with tempfile.TemporaryDirectory() as there:
        file = Path(there) / "scheduler.json"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": there}
        asked = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file]
        scheduler = subprocess.Popen(asked, **quiet)  # type: ignore[call-overload]
        asked = [*dask, "worker", "--scheduler-file", file, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
        workers = subprocess.Popen(asked, **quiet)  # type: ignore[call-overload]
        try:
            with distributed.Client(scheduler_file=str(file), timeout=60) as client:
                client.wait_for_workers(2, timeout=60)
                yield client.scheduler.address
        finally:
            for process in (workers, scheduler):
                process.terminate()
                process.wait()


def _memory(name: str, blocks: Sequence[Block]) -> Iterator[Line]:
    """The peak of one worker over a quarter of the blocks, and over all: the block bounds it."""
    peaks = []
    given = blocks[0].histories()
    question = _question(given.profile, int(month_of_day(given.last_recorded)))
    for some in (blocks[: max(1, len(blocks) // 4)], blocks):
        with opened("local:1") as workers:
            shared = shared_figures(workers, some, [question])
            for _ in spread_rows(workers, some, shared, question):
                pass
            peaks.append(_used(workers)[1])
    figure = f"{peaks[0]:.0f} MB with {max(1, len(blocks) // 4)} blocks, {peaks[1]:.0f} MB with {len(blocks)}"
    yield f"{name}: a worker's peak memory", figure, "at most 1.25 times", peaks[1] <= 1.25 * peaks[0]


def _killed(name: str, blocks: Sequence[Block]) -> Iterator[Line]:
    """A worker is killed while rows are made; they must be the same to the bit."""
    given = blocks[0].histories()
    question = _question(given.profile, int(month_of_day(given.last_recorded)))
    with opened("local:2") as workers:
        shared = shared_figures(workers, blocks, [question])
        undisturbed = [rows.values.tobytes() for _, rows in spread_rows(workers, blocks, shared, question)]
        again: list[bytes] = []
        pid = next(iter(workers.client.run(os.getpid).values()))
        for _, rows in spread_rows(workers, blocks, shared, question):
            if not again:
                os.kill(pid, signal.SIGKILL)
            again.append(rows.values.tobytes())
    same = again == undisturbed
    yield f"{name}: a killed worker", "the same bits" if same else "other values", "the same bits", same


def _training(home: Path, name: str) -> Iterator[Line]:
    given, until = load_histories(home), parse_month(UNTIL)
    start = time.perf_counter()
    alone = train_all(given, [RISK], until=until)[RISK]
    yield f"{name}: training on one machine", f"{time.perf_counter() - start:.0f} s", "", True
    with opened("local:2") as workers:
        start = time.perf_counter()
        found = train_in_parts(home, [RISK], workers, until=until)[RISK]
        seconds, (cpu, peak) = time.perf_counter() - start, _used(workers)
    told = f"{seconds:.0f} s, the workers' CPU {cpu:.0f} s, a worker's peak {peak:.0f} MB"
    yield f"{name}: training, local:2", told, "", True
    assert isinstance(alone, Trained)
    assert isinstance(found, Trained)
    mine, theirs = (_precision(given, each.model) for each in (found, alone))
    figure = f"{mine:.4f} against {theirs:.4f} of one machine"
    yield f"{name}: average precision of {RISK}", figure, "within 0.01", abs(mine - theirs) <= 0.01


def _precision(given: Any, model: RiskModel) -> float:
    """Mean average precision over the months after training."""
    months = [parse_month(month) for month in TESTED]
    rows, label = feature_rows(given, months, names=model.names), labels(given, RISK, months).label
    said = model.probability(rows)
    parts = [(rows.as_of == month) & ~np.isnan(label) for month in months]
    return float(np.mean([average_precision_score(label[part], said[part]) for part in parts]))


def _used(workers: Workers) -> tuple[float, float]:
    """CPU seconds of all workers, and the largest peak memory of one, in MB."""
    found = list(workers.client.run(_usage).values())
    return sum(cpu for cpu, _ in found), max(peak for _, peak in found)


def _usage() -> tuple[float, float]:
    """CPU seconds and peak memory in MB of the process that runs it; Linux counts a parent's peak in ru_maxrss."""
    told = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return told.ru_utime + told.ru_stime, int(peak.split()[1]) / 1024
