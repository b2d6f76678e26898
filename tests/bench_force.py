"""The force of the service's and the month's benchmark: 30,000 simulated officers, made once and kept in var/bench.

Its champions are those of a smaller force: what they cost is the same. `make clean` takes it away.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from features.histories.store import load_histories
from features.histories.tables import Histories
from training.dataset import training_set
from training.fitting import fit, refit
from training.guards import guarded
from training.models.risk_model import RiskModel
from training.recipe import STANDARD
from training.registry.registry import Registry

ROOT = Path(__file__).resolve().parents[1] / "var" / "bench"
PROGRAM = Path(sys.executable).parent / "jingxing"
OFFICERS, MONTHS, MONTH = 30_000, 24, "2024-12"
LEARNED, LEARNED_MONTHS = 2_000, 36
TREES, LEAVES, INPUTS = 400, 63, 150
"""The size of a model that the figures of explanations and predictions are measured on."""


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


def grown() -> Path:
    """Return a home of the smaller force whose champions are of the size above: a bag of three, and their witnesses."""
    home = ROOT / "grown"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(_learned() / "var" / "histories", home / "var" / "histories", copy_function=_linked)
        shutil.copytree(_learned() / "mlruns", home / "mlruns")
        registry, given = Registry(home), load_histories(home)
        for risk in given.profile.risks:
            held = registry.register(_of_size(given, registry.champion(risk)))
            told = {"by": "benchmark", "reason": "a model of the size that the benchmark asks for"}
            registry.promote(risk, held.version, **told, force=True)
        (home / "ready").touch()
    return home


def _of_size(given: Histories, champion: RiskModel) -> RiskModel:
    """A model by the product's own training and recipe but for its size, under the card of the champion."""
    rows = training_set(given, champion.risk)
    recipe = STANDARD.with_settings(num_leaves=LEAVES, min_data_in_leaf=20)
    fitted = fit(rows, given.profile, recipe=recipe)
    names = fitted.names[:INPUTS]
    bag = [{**recipe.settings, **each} for each in recipe.bag]
    boosters = tuple(refit(rows, names, given.profile, settings=each, trees=TREES) for each in bag)
    fitted = replace(fitted, boosters=boosters, names=names, trees=TREES)
    card = {**champion.card, "settings": dict(recipe.settings), "trees": TREES}
    return guarded(fitted.model(champion.risk, card), rows, given.profile, made=(recipe, fitted))


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
