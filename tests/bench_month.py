"""The monthly run of 30,000 officers: seconds and memory of `jingxing score`, each time in a home not scored before.

That is features to written lists with reasons, both risks. `jingxing month` does more: what help did, the assessment,
the monitor, mentorships, a rest plan; it is told beside.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from tests.bench_force import MONTH, PROGRAM, ROOT, force, fresh_copy

CORES = 2


@dataclass(frozen=True)
class Run:
    """What a command took: wall and processor seconds, and its largest memory in GB."""

    seconds: float
    cpu: float
    gigabytes: float


def lists() -> Run:
    """Return what the lists take, both risks, from stored histories to written reasons, on two cores."""
    return _in_a_fresh_home("score", "--as-of", MONTH)


def month() -> Run:
    """Return what all of the month's work takes, on two cores."""
    return _in_a_fresh_home("month", MONTH)


def _in_a_fresh_home(*words: str) -> Run:
    home = ROOT / "month"
    shutil.rmtree(home, ignore_errors=True)
    fresh_copy(home)
    found = measured([str(PROGRAM), "--home", str(home), *words])
    shutil.rmtree(home)
    return found


def training() -> Run:
    """Return what training on the force takes; a refusal of one risk (too few as-ofs) is no failure of the run."""
    home = ROOT / "trained"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(force() / "var" / "histories", home / "var" / "histories", copy_function=os.link)
    found = measured([str(PROGRAM), "--home", str(home), "train"], allowed=(0, 1))
    shutil.rmtree(home)
    return found


def measured(command: list[str], allowed: tuple[int, ...] = (0,)) -> Run:
    """Return what a command took, held to so many cores; an error where it ended otherwise than allowed."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:CORES])
    child = [sys.executable, "-m", "tests.bench_child", "taskset", "--cpu-list", cores, *command]
    told = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT.parents[1])
    seconds, cpu, gigabytes, code = json.loads(told.stdout)
    if code not in allowed:
        raise RuntimeError(f"{' '.join(command)} ended with {code}.")
    return Run(seconds, cpu, gigabytes)
