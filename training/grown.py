"""LightGBM's Dask estimator: boosters grown by several workers together, and grown again when one of them dies."""

import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import lightgbm as lgb
import numpy as np

from features.errors import Refusal
from features.late import Late
from features.parts.workers import Workers

dask: Any = Late("dask")
arrays: Any = Late("dask.array")
distributed: Any = Late("distributed")
estimators: Any = Late("lightgbm.dask")

LOG = logging.getLogger("jingxing.lightgbm")
LOG.setLevel(logging.ERROR)
ATTEMPTS = 3
LOOK_SECONDS = 1
SPOKEN = {
    "min_data_in_leaf": "min_child_samples",
    "bagging_fraction": "subsample",
    "bagging_freq": "subsample_freq",
    "feature_fraction": "colsample_bytree",
    "lambda_l2": "reg_lambda",
    "seed": "random_state",
}
"""The estimator's names of LightGBM's settings."""
OWN = ("num_threads",)
"""The estimator sets it itself, by its workers' threads."""
ADDRESSES = re.compile(r"^\[(machines|machine_list_filename|local_listen_port|num_machines|time_out): .*\]\n", re.M)
"""What a booster's text says of the cluster it was grown on: of no use later, and nobody's business."""
ONE_AT_A_TIME = Lock()
"""Two fits at once would each wait for the other's workers."""


def grown(
    workers: Workers, parts: Sequence[Any], settings: Sequence[Mapping[str, Any]], *, names: tuple[str, ...], trees: int
) -> tuple[tuple[lgb.Booster, ...], int]:
    """Return a booster for each of some settings, grown by the workers that hold the parts; how many rows.

    ``parts`` are futures of values [row, name], labels and weights. LightGBM's workers wait for one another, so that
    one that dies ends a fit; its rows are made again and the fit is tried anew. A Refusal after ATTEMPTS.
    """
    with ONE_AT_A_TIME:
        sizes = workers.client.gather([workers.begun(_size, part) for part in parts])
        filled = [part for part, size in zip(parts, sizes, strict=True) if size]
        return tuple(_grown(workers, filled, each, names=names, trees=trees) for each in settings), sum(sizes)


def _size(part: tuple[Any, ...]) -> int:
    return len(part[1])


def _grown(
    workers: Workers, parts: Sequence[Any], settings: Mapping[str, Any], *, names: tuple[str, ...], trees: int
) -> lgb.Booster:
    for _ in range(ATTEMPTS):
        booster = _tried(workers, parts, settings, names=names, trees=trees)
        if booster is not None:
            return lgb.Booster(model_str=ADDRESSES.sub("", booster))
    raise Refusal(
        f"Workers died in {ATTEMPTS} attempts to grow the trees.", hint="Is their memory enough? See features/parts."
    )


def _tried(
    workers: Workers, parts: Sequence[Any], settings: Mapping[str, Any], *, names: tuple[str, ...], trees: int
) -> str | None:
    """The booster's text; None where a worker died meanwhile: the others are begun anew, they wait for it for ever."""
    client = workers.client
    lgb.register_logger(LOG)  # its notices of ports and threads are nobody's business here
    client.gather([workers.begun(_size, part) for part in parts])
    there = set(client.nthreads())
    with ThreadPoolExecutor(max_workers=1) as thread:
        fitting = thread.submit(_fitted, client, parts, settings, names=names, trees=trees)
        while not fitting.done():
            _pause(fitting)
            if there - set(client.nthreads()):
                _begin_anew(client, there)
                break
        failed = fitting.exception()
    if failed is None:
        return fitting.result()
    if not there - set(client.nthreads()):
        raise failed
    return None


def _pause(fitting: Any) -> None:
    """Wait a moment for a fit, or for its end."""
    try:
        fitting.exception(timeout=LOOK_SECONDS)
    except TimeoutError:
        return


def _begin_anew(client: Any, there: set[str]) -> None:
    fits = [key for key in client.futures if str(key).startswith("_train_part")]
    client.cancel([distributed.Future(key, client) for key in fits], force=True)
    client.restart_workers(sorted(there & set(client.nthreads())))


def _fitted(
    client: Any, parts: Sequence[Any], settings: Mapping[str, Any], *, names: tuple[str, ...], trees: int
) -> str:
    spoken = {SPOKEN.get(name, name): value for name, value in settings.items() if name not in OWN}
    estimator = estimators.DaskLGBMRegressor(client=client, n_estimators=trees, tree_learner="data", **spoken)
    values, label, weight = (_array(parts, place, columns) for place, columns in enumerate((len(names), 0, 0)))
    with client.as_current():  # LightGBM waits for the parts by the thread's own client
        estimator.fit(values, label, sample_weight=weight, feature_name=list(names))
    return str(estimator.booster_.model_to_string())


def _array(parts: Sequence[Any], place: int, columns: int) -> Any:
    """One of the parts' arrays as Dask's, a chunk for each part; it is not known here how many rows they have."""
    shape = (np.nan, columns) if columns else (np.nan,)
    chunks = [arrays.from_delayed(dask.delayed(part)[place], shape, dtype=np.float32) for part in parts]
    return arrays.concatenate(chunks, allow_unknown_chunksizes=True)
