"""A force in parts: what several workers make of blocks of officers is what one machine makes of the whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.engine import FeatureRows, feature_names, feature_rows
from features.histories.bases import bases_of
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.labels import labels
from features.months import month_end, month_of_day, month_text
from features.others import Counts, Moments
from features.parts.blocks import blocks_of, joined_histories
from features.parts.passes import FeaturesOf, LabelsOf, joined_rows, needs, shared_figures, spread_rows
from features.parts.workers import Workers, opened
from features.statistics import group_moments
from serving.database import open_database
from serving.scored.in_parts import computed_by
from serving.scored.scoring import score_into_store
from tests.serving_fixtures import quick_model
from tests.training_force import MEASURES, RISKS, SETTINGS, small_force
from training.grown import grown
from training.in_parts import train_in_parts
from training.judging.metrics import MODEL
from training.registry.registry import Registry
from training.train import Trained, train

JINGXING = Path(sys.executable).parent / "jingxing"
SIZE = 60
"""Officers to a block: the small force has four."""
MEASURED = MEASURES | {
    "night": {**MEASURES["night"], "better": "up"},
    "mark": {"dimension": "quality", "aggregate": "mean", "better": "up"},
    "complaint": {**MEASURES["complaint"], "better": "down"},
}
DECLINE = {"outcome": {"index": "efficiency", "falls_by": 0.5, "baseline_months": 6}, "horizon_months": 3}
WEIGHTS = {"workload": {"night": 1.0}, "satisfaction": {"moans": 1.0}}
PROFILE = {
    "profile": {**SETTINGS, "rates": {"moans": {"of": "complaint", "per": "night", "better": "down"}}},
    "measures": MEASURED,
    "posts": {"patrol": {"indicators": WEIGHTS}, "desk": {"indicators": WEIGHTS}},
    "risks": RISKS | {"decline": DECLINE},
}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two worker processes on this machine."""
    with opened("local:2") as found:
        yield found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 240 officers under a small profile with an index of a count, a rating and a rate."""
    folder = tmp_path_factory.mktemp("parts")
    force = small_force(months=24)
    for name, table in (("roster", force.roster), ("events", force.events)):
        (folder / "export").mkdir(exist_ok=True)
        table.to_csv(folder / "export" / f"{name}.csv", index=False)
    for name, content in PROFILE.items():
        (folder / "profile").mkdir(exist_ok=True)
        (folder / "profile" / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    ingest(folder / "export", home=folder, profile=str(folder / "profile"), strict=False)
    return folder


@pytest.fixture(scope="module")
def force(home: Path) -> Histories:
    """Its histories."""
    return load_histories(home)


@pytest.fixture(scope="module")
def question(force: Histories) -> FeaturesOf:
    """All features at the last month and the one half a year before."""
    last = int(month_of_day(force.last_recorded))
    return FeaturesOf((last - 6, last), feature_names(force.profile))


@pytest.fixture(scope="module")
def whole(force: Histories, question: FeaturesOf) -> FeatureRows:
    """What one machine makes."""
    return feature_rows(force, question.as_ofs)


def _spread(workers: Workers, home: Path, question: FeaturesOf, *, size: int = SIZE) -> FeatureRows:
    blocks = blocks_of(home, officers=size)
    shared = shared_figures(workers, blocks, [question])
    return joined_rows(rows for _, rows in spread_rows(workers, blocks, shared, question))


def _apart(mine: FeatureRows, theirs: FeatureRows) -> list[str]:
    """What differs: a column of who, what is of the officer alone by any bit, or the rest by more than 1e-6."""
    found = [name for name in ("officer", "as_of", "post", "unit")
             if not np.array_equal(getattr(mine, name), getattr(theirs, name))]  # fmt: skip
    alone = [number for number, name in enumerate(mine.names) if needs(name) == 0]
    if mine.values[:, alone].tobytes() != theirs.values[:, alone].tobytes():
        found.append("alone")
    if not np.allclose(mine.values, theirs.values, rtol=1e-6, atol=1e-6, equal_nan=True):
        found.append("beside others")
    return found


def test_opening_workers_leaves_dasks_own_settings(tmp_path: Path) -> None:
    opens = """
from features.parts.workers import opened
if __name__ == "__main__":
    with opened("local:1"):
        pass
    import dask
    print(dask.config.get("distributed.comm.require-encryption"), dask.config.get("distributed.admin"))
"""
    (tmp_path / "opens.py").write_text(opens)
    done = subprocess.run([sys.executable, tmp_path / "opens.py"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("None ")
    assert "large-graph-warning-threshold': '10MB'" in done.stdout


def test_features_of_blocks_are_those_of_the_whole_force(
    workers: Workers, home: Path, question: FeaturesOf, whole: FeatureRows
) -> None:
    """To 1e-6; to the bit where nobody is held against others."""
    assert _apart(_spread(workers, home, question), whole) == []


def test_blocks_without_their_peers_differ(home: Path, question: FeaturesOf, whole: FeatureRows) -> None:
    """The figures of others do matter: the test above could fail."""
    block = blocks_of(home, officers=SIZE)[0]
    own = feature_rows(block.histories(), question.as_ofs)
    rows = whole.take(whole.officer < SIZE)
    peers = [number for number, name in enumerate(whole.names) if needs(name)]
    assert not np.allclose(own.values[:, peers], rows.values[:, peers], equal_nan=True)


def test_figures_that_were_never_added_up_are_missed(workers: Workers, home: Path, question: FeaturesOf) -> None:
    """A block never falls back to its own peers."""
    blocks = blocks_of(home, officers=SIZE)
    shared = shared_figures(workers, blocks, [replace(question, as_ofs=question.as_ofs[:1])])
    with pytest.raises(ValueError, match="never collected"):
        feature_rows(blocks[0].histories(others=shared.told(blocks[0])), question.as_ofs)


def test_labels_of_blocks_are_those_of_the_whole_force(workers: Workers, home: Path, force: Histories) -> None:
    """The index outcome rests on peers, the end of the horizon on the force's last record."""
    blocks, last = blocks_of(home, officers=SIZE), int(month_of_day(force.last_recorded))
    for until in (last, last - 3):
        question = LabelsOf("decline", tuple(range(last - 8, last - 2)), until)
        shared = shared_figures(workers, blocks, [question], until=until)
        parts = [
            labels(shared.histories(block, shared.told(block)), question.risk, question.as_ofs, until=until)
            for block in blocks
        ]
        expected = labels(force.until(until), question.risk, question.as_ofs, until=until)
        assert np.isnan(expected.label).any() or until == last
        np.testing.assert_array_equal(np.concatenate([part.label for part in parts]), expected.label)


def test_consent_withdrawn_by_one_is_kept_in_every_block(
    workers: Workers, home: Path, tmp_path: Path, force: Histories, question: FeaturesOf
) -> None:
    """Who has no basis counts among nobody's peers, in whichever block."""
    own_home = Path(shutil.copytree(home, tmp_path / "home"))
    day = month_end(question.as_ofs[0] - 2)
    spans = [(str(force.officers[0]), day, day), (str(force.officers[SIZE + 1]), day, day)]
    rows = [[officer, str(first), str(last)] for officer, first, last in spans]
    (own_home / "var" / "bases.json").write_text(json.dumps(rows), encoding="utf-8")
    less = replace(force, bases=bases_of(spans))
    expected = feature_rows(less, question.as_ofs)
    assert np.isnan(expected.values).sum() > np.isnan(feature_rows(force, question.as_ofs).values).sum()
    assert _apart(_spread(workers, own_home, question), expected) == []


def test_one_block_is_the_whole_force_to_the_bit(
    workers: Workers, home: Path, question: FeaturesOf, whole: FeatureRows
) -> None:
    """One code path: with a single block nothing is added up in another order."""
    assert _spread(workers, home, question, size=10_000).values.tobytes() == whole.values.tobytes()


def test_joined_blocks_are_the_store(home: Path, force: Histories, question: FeaturesOf) -> None:
    """Blocks read one by one and joined give the features of the whole, though each is numbered by itself."""
    again = joined_histories([block.histories() for block in blocks_of(home, officers=SIZE)])
    assert np.array_equal(again.officers, force.officers)
    assert (
        feature_rows(again, question.as_ofs).values.tobytes() == feature_rows(force, question.as_ofs).values.tobytes()
    )


def test_a_killed_worker_changes_no_bit(home: Path, question: FeaturesOf) -> None:
    """Killed in the middle of the rows; its blocks are made again from the store."""
    with opened("local:2") as workers:
        blocks = blocks_of(home, officers=SIZE)
        shared = shared_figures(workers, blocks, [question])
        undisturbed = joined_rows(rows for _, rows in spread_rows(workers, blocks, shared, question))
        pids, made = workers.client.run(os.getpid), []
        for block, rows in spread_rows(workers, blocks, shared, question):
            if not made:
                os.kill(next(iter(pids.values())), signal.SIGKILL)
            made.append(rows)
            assert rows.officer.min() >= block.first
        now = workers.client.run(os.getpid)
    assert joined_rows(made).values.tobytes() == undisturbed.values.tobytes()
    assert set(now.values()) != set(pids.values())


def test_blocks_of_a_larger_force_are_no_larger(home: Path) -> None:
    """What a worker holds is bounded by the block, whatever the force."""
    for officers in (20, 40):
        held = [len(block.histories().officers) for block in blocks_of(home, officers=officers)]
        assert max(held) == officers
    numbers = [int(block.histories().events.event.max()) for block in blocks_of(home, officers=20)]
    rows = [len(block.histories().events) for block in blocks_of(home, officers=20)]
    assert all(number < size for number, size in zip(numbers, rows, strict=True))


def test_moments_of_parts_are_those_of_all() -> None:
    """Chan's formula, with groups that a part does not have."""
    generator = np.random.default_rng(4)
    level, group = generator.normal(1e4, 1.0, 400), generator.integers(0, 5, 400).astype(np.int32)
    level[::7], group[:100] = np.nan, 2
    parts = [group_moments(level[part], group[part], 5) for part in (slice(0, 100), slice(100, 250), slice(250, 400))]
    joined: Moments = parts[0].joined(parts[1]).joined(parts[2])
    np.testing.assert_allclose(joined.table, group_moments(level, group, 5).table, rtol=1e-12)


def test_medians_of_counts_are_numpys() -> None:
    """Exact, of an even or an odd number, in the values' own precision."""
    generator = np.random.default_rng(5)
    for kind in (np.float32, np.float64):
        value, group = generator.normal(size=301).round(1).astype(kind), generator.integers(0, 4, 301)
        halves = [Counts.of(value[part], group[part]) for part in (slice(0, 150), slice(150, 301))]
        found = halves[0].joined(halves[1]).medians(5)
        assert [found[one] for one in range(4)] == [np.median(value[group == one]) for one in range(4)]
        assert np.isnan(found[4])


@pytest.fixture(scope="module")
def registered(home: Path, force: Histories) -> Path:
    """The home with a model, which was never judged on folds."""
    Registry(home).register(quick_model(force, "collapse"))
    return home


def test_scores_and_reasons_by_block_are_those_of_the_whole(registered: Path, tmp_path: Path) -> None:
    """The file of `score --dask` holds the same people, ranks, numbers and sentences."""
    month = month_text(int(month_of_day(load_histories(registered).last_recorded)))
    program = (
        "import sys; import features.parts.blocks as blocks; "
        f"blocks.blocks_of.__kwdefaults__['officers'] = {SIZE}; from serving.cli import main; main(sys.argv[1:])"
    )
    start = [sys.executable, "-c", program, "--home", str(registered), "--json", "score", "--as-of", month]
    for name, words in (("one", []), ("two", ["--dask", "local:2"])):
        out = ["--model", "latest", "--out", str(tmp_path / f"{name}.parquet")]
        done = subprocess.run([*start, *out, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["lists"]
    one, two = (pq.read_table(tmp_path / f"{name}.parquet").to_pandas() for name in ("one", "two"))
    plain = ["officer_id", "as_of", "risk", "rank", "model_version", "evidence"]
    pd.testing.assert_frame_equal(one[plain], two[plain])
    for name in ("probability", "low", "high", "base_value"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6)
    for mine, theirs in zip(one["reasons"], two["reasons"], strict=True):
        assert [reason["sentence_zh"] for reason in mine] == [reason["sentence_zh"] for reason in theirs]


def test_stored_lists_are_the_same_when_workers_computed_them(
    workers: Workers, home: Path, force: Histories, tmp_path: Path
) -> None:
    """Features and scores of two workers, told by this machine."""
    model, month = quick_model(force, "collapse"), int(month_of_day(force.last_recorded))
    computed = computed_by(workers, blocks_of(home, officers=SIZE), force, [model], month)
    made = []
    for number, known in enumerate((None, computed)):
        (tmp_path / str(number)).mkdir()
        database = open_database(tmp_path / str(number))
        made += score_into_store(force, [model], [month], database, advance=lambda _: None, computed=known)
        database.dispose()
    one, two = made
    np.testing.assert_allclose(one.probability, two.probability, rtol=1e-6)
    assert one.rank.tolist() == two.rank.tolist()
    sentences = [[[reason.sentence_zh for reason in person] for person in each.reasons] for each in made]
    assert sentences[0] == sentences[1]


def test_feature_file_of_blocks_is_that_of_one_machine(home: Path, tmp_path: Path) -> None:
    """The command's own doors: the file, the months it refuses, an address that is none."""
    month = month_text(int(month_of_day(load_histories(home).last_recorded)))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [JINGXING, "--home", home, "features", "--out", tmp_path / "x.parquet", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("--as-of", month).returncode == 0
    one = pq.read_table(tmp_path / "x.parquet")
    assert run("--as-of", month, "--dask", "local:1").returncode == 0
    assert pq.read_table(tmp_path / "x.parquet").equals(one)
    beyond = run("--as-of", "2031-01", "--dask", "local:1")
    assert (beyond.returncode, "outside the store" in beyond.stderr) == (1, True)
    for wrong in ("local:none", "local:0", "local:65", "local:²", "", "nonsense", "http://127.0.0.1:9"):
        refused = run("--as-of", month, "--dask", wrong)
        assert (refused.returncode, "Write --dask local:2" in refused.stderr) == (2, True), wrong


PART_ROWS = 3000
GROWN = {
    "objective": "binary", "learning_rate": 0.05, "num_leaves": 8, "min_data_in_leaf": 50, "seed": 20,
    "deterministic": True, "force_col_wise": True, "verbose": -1, "num_threads": 1, "metric": "auc",
    "monotone_constraints": [1, 0, 0],
}  # fmt: skip


def _rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(PART_ROWS, 3)).astype(np.float32)
    label = (generator.random(PART_ROWS) < 1 / (1 + np.exp(2 - values[:, 0]))).astype(np.float32)
    return values, label, np.ones(PART_ROWS, dtype=np.float32)


def test_trees_are_grown_again_when_a_worker_dies() -> None:
    """LightGBM's workers wait for one another: the fit is tried anew with the rows made again."""
    with opened("local:2") as workers:
        parts = [workers.begun(_rows, seed) for seed in range(2)]
        pid = next(iter(workers.client.run(os.getpid).values()))
        killed = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
        killed.start()
        (booster,), rows = grown(workers, parts, [GROWN], names=("a", "b", "c"), trees=2000)
        killed.join()
        assert pid not in workers.client.run(os.getpid).values()
    assert rows == 2 * PART_ROWS
    assert booster.num_trees() == 2000
    assert "127.0.0.1" not in booster.model_to_string()


def test_training_in_parts_learns_what_training_does(workers: Workers, home: Path, force: Histories) -> None:
    """The same inputs, trees and figures on the folds; the final trees are grown on everyone's rows by the workers."""
    alone = train(force, "collapse")
    found = train_in_parts(home, ["collapse"], workers, blocks=blocks_of(home, officers=SIZE))["collapse"]
    assert isinstance(found, Trained)
    assert found.model.names == alone.model.names
    assert found.report.figures[MODEL] == alone.report.figures[MODEL]
    told = found.model.card["in_parts"]
    assert told["rows"] == alone.report.rows
    assert told["judged"] == told["officers"] == len(force.officers)
    assert found.model.card["leak_test"]["passed"]
    rows = feature_rows(force, [int(month_of_day(force.last_recorded))], names=alone.model.names)
    mine, theirs = found.model.probability(rows), alone.model.probability(rows)
    assert np.corrcoef(mine, theirs)[0, 1] > 0.9
