"""Contributions of a LightGBM model of 400 trees, 63 leaves and 150 features: ours, LightGBM's own, shap's."""

import warnings
from collections.abc import Callable, Iterator

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from training.models.treeshap import forest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap imports matplotlib, which warns of its own future
    import shap

TREES, LEAVES, FEATURES, LEARNED, BATCH = 400, 63, 150, 20_000, 500

Case = tuple[str, str, float, dict[str, Callable[[], object]]]


def cases() -> Iterator[Case]:
    """Give what is compared: rows, rival, goal, and the two ways, ours first; they agree to 1e-9."""
    model, rows = _model()
    trees = forest([model])
    theirs = model.predict(rows[:50], pred_contrib=True, num_threads=2)
    np.testing.assert_allclose(trees.contributions(rows[:50]), theirs, atol=1e-9)
    one, batch = rows[:1], rows[:BATCH]
    explain = shap.TreeExplainer(model)
    yield "one row, 50 times", "pred_contrib", 3.0, {
        "ours": lambda: [trees.contributions(one) for _ in range(50)],
        "theirs": lambda: [model.predict(one, pred_contrib=True, num_threads=1) for _ in range(50)],
    }  # fmt: skip
    yield f"{BATCH} rows", "pred_contrib, two threads", 3.0, {
        "ours": lambda: trees.contributions(batch, threads=2),
        "theirs": lambda: model.predict(batch, pred_contrib=True, num_threads=2),
    }  # fmt: skip
    yield f"{BATCH} rows", "shap.TreeExplainer", 5.0, {
        "ours": lambda: trees.contributions(batch, threads=2),
        "theirs": lambda: explain.shap_values(batch),
    }  # fmt: skip


def _model() -> tuple[lgb.Booster, npt.NDArray[np.float32]]:
    draw = np.random.default_rng(1)
    rows = draw.normal(size=(LEARNED, FEATURES)).astype(np.float32)
    rows[draw.random(rows.shape) < 0.05] = np.nan
    signal = np.nan_to_num(rows[:, :40]) @ draw.normal(size=40) / 3 + np.nan_to_num(rows[:, 3] * rows[:, 4])
    label = (draw.random(LEARNED) < 1 / (1 + np.exp(-signal))).astype(float)
    settings = {"objective": "binary", "num_leaves": LEAVES, "learning_rate": 0.05, "verbose": -1, "num_threads": 2}
    return lgb.train(settings, lgb.Dataset(rows, label), num_boost_round=TREES), rows
