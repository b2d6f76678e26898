"""The monthly run of 30,000 officers: seconds and memory of `jingxing month`, each time in a home not scored before."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass

from tests.bench_force import MONTH, PROGRAM, ROOT, force, fresh_copy

CORES = 2


@dataclass(frozen=True)
class Run:
    """What a command took: wall and processor seconds, and its largest memory in GB."""

    seconds: float
    cpu: float
    gigabytes: float


def month() -> Run:
    """Return what the monthly run takes, both risks, from stored histories to written lists, on two cores."""
    home = ROOT / "month"
    shutil.rmtree(home, ignore_errors=True)
    fresh_copy(home)
    found = measured([str(PROGRAM), "--home", str(home), "month", MONTH])
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
    began = time.perf_counter()
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:CORES])
    process = subprocess.Popen(["taskset", "--cpu-list", cores, *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}.")
    return Run(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6)
