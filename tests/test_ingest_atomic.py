"""An ingest is all or nothing: killed at any moment, watched by readers, or started twice."""

import multiprocessing
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from features.errors import Refusal
from features.histories import store
from features.histories.ingest import ingest
from features.histories.store import load_histories, quarantined
from tests.export_files import EVENTS, fingerprint, take_in, write_export, write_profile

MORE = EVENTS + "P2,night_shift,2021-08-01,1,,,e7\nP7,night_shift,2021-08-01,1,,,e8\n"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")


@pytest.fixture(scope="module")
def processes() -> Any:
    """Child processes that start from one that has imported the door already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["features.histories.ingest"])
    return context


def _ingest_and_die(export: Path, home: Path, *, at_event: int) -> None:
    """Ingest, and be killed by SIGKILL right before a use of a file under ``home``, counted from the first write."""
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            path = str(arguments[0])
            seen += path.startswith(str(home)) and (seen > 0 or store._UNFINISHED in path)
            if seen == at_event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    ingest(export, home=home, profile=None, strict=False)


def _ingest(export: Path, home: Path) -> None:
    ingest(export, home=home, profile=None, strict=False)


def _contents(home: Path) -> tuple[Any, ...]:
    found = load_histories(home)
    return found.events.occurred.tolist(), found.events.value.tolist()[:3], list(found.officers), len(quarantined(home))


@pytest.fixture
def three_homes(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An export, a home before it and a home after it."""
    take_in(tmp_path)
    export = write_export(tmp_path / "more", events=MORE)
    before, after = tmp_path / "home", tmp_path / "after"
    shutil.copytree(before, after)
    _ingest(export, after)
    return export, before, after


def _check_whole(home: Path, export: Path, *, states: list[Any], after: Path) -> bool:
    """Check that the home is before or after, and that the next ingest mends it; return whether it was before."""
    found = _contents(home)
    assert found in states
    _ingest(export, home)
    assert fingerprint(home) == fingerprint(after)
    return bool(found == states[0])


def test_killed_at_each_use_of_a_file_the_store_is_before_or_after(
    tmp_path: Path, three_homes: tuple[Path, Path, Path], processes: Any
) -> None:
    export, before, after = three_homes
    states = [_contents(before), _contents(after)]
    were_before, moment, code = [], 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        moment += 1
        home = tmp_path / f"killed{moment}"
        shutil.copytree(before, home)
        child = processes.Process(target=_ingest_and_die, args=(export, home), kwargs={"at_event": moment})
        child.start()
        child.join()
        code = child.exitcode
        were_before.append(_check_whole(home, export, states=states, after=after))
    assert code == 0
    assert moment > 15
    assert were_before == sorted(were_before, reverse=True)
    assert were_before[0]
    assert not were_before[-2]


def test_killed_at_random_moments_the_store_is_before_or_after(
    tmp_path: Path, three_homes: tuple[Path, Path, Path], processes: Any
) -> None:
    export, before, after = three_homes
    states = [_contents(before), _contents(after)]
    for number in range(6):
        home = tmp_path / f"killed{number}"
        shutil.copytree(before, home)
        child = processes.Process(target=_ingest, args=(export, home))
        child.start()
        child.join(random.Random(number).uniform(0.02, 0.4))
        child.kill()
        child.join()
        _check_whole(home, export, states=states, after=after)


def test_the_first_ingest_killed_leaves_no_store_or_a_whole_one(tmp_path: Path, processes: Any) -> None:
    profile = write_profile(tmp_path / "profile")
    export = write_export(tmp_path / "export")
    for number in range(3):
        home = tmp_path / f"home{number}"
        child = processes.Process(
            target=ingest, args=(export,), kwargs={"home": home, "profile": profile, "strict": False}
        )
        child.start()
        child.join(0.05 + 0.1 * number)
        child.kill()
        child.join()
        if (home / "var" / "histories" / "current.json").exists():
            assert len(load_histories(home).events) == 4
        else:
            with pytest.raises(Refusal, match="Nothing was ingested"):
                load_histories(home)
        assert ingest(export, home=home, profile=profile, strict=False).events_total == 4


def test_readers_see_only_whole_states_while_ingests_go_on(
    tmp_path: Path, three_homes: tuple[Path, Path, Path], processes: Any
) -> None:
    export, home, after = three_homes
    whole = [_contents(home), _contents(after)]
    child = processes.Process(target=_ingest, args=(export, home))
    child.start()
    seen = []
    while child.is_alive():
        seen.append(_contents_of_events(home))
    child.join()
    assert child.exitcode == 0
    assert set(seen) <= {len(state[0]) for state in whole}
    assert _contents(home) == whole[1]


def _contents_of_events(home: Path) -> int:
    return len(load_histories(home).events)


def test_a_reader_that_opened_the_version_before_can_still_read_it(tmp_path: Path) -> None:
    take_in(tmp_path)
    opened = tmp_path / "home" / "var" / "histories" / "v000001"
    take_in(tmp_path, events=MORE)
    assert (opened / "events.parquet").exists()
    take_in(tmp_path, events=MORE + "P1,night_shift,2021-09-01,1,,,\n")
    assert not opened.exists()


def test_a_second_ingest_at_the_same_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_in(tmp_path)
    monkeypatch.setattr(store, "WAIT_SECONDS", 0)
    with (
        FileLock(tmp_path / "home" / "var" / "histories" / "ingest.lock"),
        pytest.raises(Refusal, match="Another ingest"),
    ):
        take_in(tmp_path)
