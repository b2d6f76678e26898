"""The force of the service's and the month's benchmark: 30,000 simulated officers, made once and kept in var/bench.

Its champions are those of a smaller force: what they cost is the same. `make clean` takes it away.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "var" / "bench"
PROGRAM = Path(sys.executable).parent / "jingxing"
OFFICERS, MONTHS, MONTH = 30_000, 24, "2024-12"
LEARNED, LEARNED_MONTHS = 2_000, 36


def force() -> Path:
    """Return a home with the force's histories and both champions; nothing is scored in it."""
    home = ROOT / "force"
    if not (home / "ready").exists():
        _simulated(home, OFFICERS, MONTHS)
        shutil.copytree(_learned() / "mlruns", home / "mlruns")
        (home / "ready").touch()
    return home


def scored() -> Path:
    """Return a home of the force whose last month has been run: lists, recommendations, assessment, monitor."""
    home = ROOT / "scored"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        fresh_copy(home)
        jingxing(home, "month", MONTH)
        (home / "ready").touch()
    return home


def fresh_copy(home: Path) -> None:
    """Make a home of the force that is not scored; the histories are hard links."""
    shutil.copytree(force() / "var" / "histories", home / "var" / "histories", copy_function=_linked)
    shutil.copytree(force() / "mlruns", home / "mlruns")


def jingxing(home: Path, *words: str) -> str:
    """Run the program and return what it printed."""
    return subprocess.run([PROGRAM, "--home", home, *words], check=True, capture_output=True, text=True).stdout


def _learned() -> Path:
    home = ROOT / "learned"
    if not (home / "ready").exists():
        _simulated(home, LEARNED, LEARNED_MONTHS)
        jingxing(home, "train")
        (home / "ready").touch()
    return home


def _simulated(home: Path, officers: int, months: int) -> None:
    shutil.rmtree(home, ignore_errors=True)
    told = ("--officers", str(officers), "--months", str(months), "--seed", "7", "--out", str(home / "export"))
    jingxing(home, "simulate", *told)
    jingxing(home, "ingest", str(home / "export"), "--profile", "gongan")
    shutil.rmtree(home / "export")


def _linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)
