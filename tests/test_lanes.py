"""LightGBM's number of threads: never two at once in a process, which would end it."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from training.models.lanes import Lanes

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = """
import sys, threading
import lightgbm as lgb, numpy as np
from training.models.lanes import LANES
draw = np.random.default_rng(0)
values = (draw.random((5_000, 40)) * (draw.random((5_000, 40)) < 0.05)).astype(np.float32)
label = (draw.random(5_000) < 0.3).astype(np.float32)
settings = {"objective": "binary", "verbose": -1}

def learned(threads):
    mine = {**settings, "num_threads": threads}
    return lgb.train(mine, lgb.Dataset(values, label, params=mine), 3)

def often():
    while not done.is_set():
        with LANES.asked(2) as threads:
            model.predict(values, num_threads=threads)

with LANES.asked(1) as threads:
    model = learned(threads)
done = threading.Event()
other = threading.Thread(target=often)
other.start()
for _ in range(30):
    with LANES.asked(1) as threads:
        learned(threads)
done.set()
other.join()
print("whole")
"""


def test_calls_that_overlap_share_one_number():
    lanes = Lanes()
    with lanes.asked(1) as first, lanes.asked(2) as beside:
        assert (first, beside) == (1, 1)
    with lanes.asked(2) as alone, lanes.asked(1) as beside:
        assert (alone, beside) == (2, 2)


def test_side_by_side_each_call_takes_one_thread():
    lanes = Lanes()
    with lanes.side_by_side(2), lanes.asked(2) as threads:
        assert threads == 1
    with lanes.side_by_side(1), lanes.asked(2) as threads:
        assert threads == 2


def test_a_call_that_fails_gives_its_number_back():
    lanes = Lanes()
    with ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(_failing, lanes).exception(), ValueError)
    with lanes.asked(2) as threads:
        assert threads == 2


def _failing(lanes):
    with lanes.asked(1):
        raise ValueError


def test_learning_and_scoring_at_once_does_not_end_the_process():
    found = subprocess.run([sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, "whole"), found.stderr[-500:]


def test_every_call_of_lightgbm_asks_for_its_number():
    calls = re.compile(r"lgb\.train\(|boosters?\.predict\(|\bone\.predict\(")
    without = []
    for file in sorted((ROOT / "training").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if calls.search(text) and "LANES.asked(" not in text:
            without.append(file.name)
    assert without == []
