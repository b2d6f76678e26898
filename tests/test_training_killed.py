"""Training killed while it registers: the champion still serves, nothing half-made does, and rerunning completes."""

import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.test_training_history import WRITES
from tests.training_force import small_force
from training.models.risk_model import RiskModel
from training.registry.registry import Registry
from training.train import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")

MOMENTS = (3, 10, 22, 40, 9999)
"""Before so many writes of registering the process is killed; before the last number it has ended."""
MODEL = "trained"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home whose first version was promoted by force, and a trained model beside it, not registered yet."""
    folder = tmp_path_factory.mktemp("made")
    model = train(small_force(officers=120).histories(), "collapse").model
    registry = Registry(folder / "home")
    registry.register(model)
    why = "the tests serve the first version whatever the gate says"
    registry.promote("collapse", "1", by="Lin", reason=why, force=True)
    model.save(folder / MODEL)
    return folder


def _register_and_die(made: Path, home: Path, *, at: int) -> None:
    model = RiskModel.load(made / MODEL)  # not before the fork: LightGBM's threads do not live on in the child
    seen = 0

    def count(_frame, event, argument):
        nonlocal seen
        seen += event == "c_call" and argument.__name__ in WRITES
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    Registry(home).register(model, by="Lin")


def _die_at_writes(made: Path, folder: Path) -> None:
    """In a process that has imported everything: one child for each moment, each with a home of its own."""
    for moment in MOMENTS:
        home = Path(shutil.copytree(made / "home", folder / f"{moment:04}"))
        child = os.fork()
        if child == 0:
            _register_and_die(made, home, at=moment)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended not in (0, -signal.SIGKILL) or (moment < 20 and ended == 0):
            sys.exit(f"at write {moment} registering ended with {ended}")


def test_killed_at_a_write_of_registering_the_champion_serves_and_rerunning_completes(made, tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=_die_at_writes, args=(made, tmp_path))
    child.start()
    child.join()
    assert child.exitcode == 0
    model = RiskModel.load(made / MODEL)
    served = []
    for home in sorted(tmp_path.iterdir()):
        registry = Registry(home)
        assert registry.verify().fault is None
        held = registry.champion("collapse")
        assert held.names == model.names  # whole, whichever version it is
        assert registry.in_production("collapse").version == held.version
        served.append(held.version)
        for one in registry.versions("collapse"):
            registry.version("collapse", one.version)  # every version that is listed can be loaded
        again = registry.register(model, by="Lin")
        assert again.version in {one.version for one in registry.versions("collapse")}
        assert registry.verify().fault is None
        assert [row.action for row in registry.history()][-1] in ("promoted", "refused")
    assert served[0] == "1"
