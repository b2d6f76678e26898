"""Whom a model ranks: the bounds of its evidence, measured on the rows that it was trained on, asked of others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.dataset import TrainingSet
from training.models.evidence import FEWEST_OF_A_POST as FEWEST
from training.models.evidence import Bounds, bounds
from training.models.risk_model import RiskModel

Array = npt.NDArray[np.float64]

POST = "post__is__"


def gain(model: RiskModel) -> Array:
    """Return how much each of the model's inputs gained over all boosters; they add up to 1."""
    total = np.asarray([one.feature_importance("gain") for one in model.boosters], dtype=np.float64).sum(axis=0)
    return total / total.sum() if total.sum() > 0 else np.full(len(model.names), 1 / len(model.names))


def bounds_of(rows: TrainingSet, names: tuple[str, ...], gained: Array) -> Bounds:
    """Return the bounds of training rows for a model's inputs: measured on a third of officers in the last months."""
    months = rows.as_ofs
    last = rows.as_of >= months[-max(1, len(months) // 3)]
    earlier = (rows.third != 0) & ~last
    held = (rows.third == 0) & last
    posts = _posts(rows)
    met = rows.values[:, rows.columns(tuple(posts))].sum(axis=0) >= FEWEST
    seen = [name.removeprefix(POST) for name, there in zip(posts, met, strict=True) if there]
    values = rows.values[:, rows.columns(names)]
    return bounds(values, gained, earlier=earlier, held=held, posts=seen)


def evidence_of(model: RiskModel, earlier: TrainingSet, test: TrainingSet) -> npt.NDArray[np.str_]:
    """Return for each test row what bounds measured on a model's training rows say: one of evidence.KINDS."""
    limits = bounds_of(earlier, model.names, gain(model))
    return limits.judged(test.values[:, test.columns(model.names)], _post_keys(test, _posts(test)))


def _posts(rows: TrainingSet) -> list[str]:
    return [name for name in rows.names if name.startswith(POST)]


def _post_keys(rows: TrainingSet, names: Sequence[str]) -> npt.NDArray[np.str_] | None:
    if not names:
        return None
    which = rows.values[:, rows.columns(tuple(names))].argmax(axis=1)
    keys = np.asarray([name.removeprefix(POST) for name in names], dtype=np.str_)
    return np.asarray(keys[which], dtype=np.str_)
