"""Exact path-dependent TreeSHAP of LightGBM's trees by quadrature. Only numbers here, no reasons.

On a leaf's path let feature j have z_j, the product of the cover ratios of its splits, and o_j, 1 where the row
follows them all and 0 otherwise. The leaf's game is a product, so j's Shapley value is

    value (o_j - z_j) Integral over t from 0 to 1 of Prod over the path's other features i of (t o_i + (1 - t) z_i)

The integrand is a polynomial of degree D - 1 for D features on the path: Gauss-Legendre with D / 2 nodes is exact.
The product of all z on a path is the leaf's share of the rows learned from. Taken out of the factors it goes to the
leaf's value, and a factor becomes t / z_i + (1 - t) where o_i is 1, and 1 - t where it is 0. Going down, the K
products are carried along; going up, the K weighted sums of leaves; each split is settled once. Where a feature is
split again further down, the deeper split takes back what the higher one will count too much; where the row has left
the feature further up, nothing changes at the split.
"""

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.late import Late
from training.models.treeshap_kernel import CATEGORICAL, ROOT, explain

if TYPE_CHECKING:
    import lightgbm as lgb
else:
    lgb = Late("lightgbm")

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

MOST_NODES = 64
"""So many quadrature nodes serve paths of twice as many features."""
LANES = 4
"""Quadrature nodes are padded to whole vectors of the processor."""
FEW_ROWS = 32
"""Up to so many rows one thread is faster than two."""


class NotExplainable(ValueError):
    """A tree that this kernel can't explain exactly: LightGBM's own values must be used."""


@dataclass(frozen=True)
class Forest:
    """The trees of some boosters, flattened. Splits of all trees stand one after the other, parents before children.

    Split s of a tree has the edges 2 s (left) and 2 s + 1. ``before`` is the nearest edge above that splits on the
    same feature, or ROOT. z is the merged cover ratio of the edge's feature on the path down to it.
    """

    features: int
    base: float
    starts: npt.NDArray[np.int64]
    """[tree + 1]: where each tree's splits begin."""
    nodes: Ints
    """[tree]: how many quadrature nodes its longest path needs."""
    before: Ints
    child: Ints
    """[split, side]: the child's place in its tree; leaves stand after the splits."""
    feature: Ints
    threshold: Array
    """Of a categorical split its place among ``categories``."""
    kind: npt.NDArray[np.int8]
    """LightGBM's decision type: categorical, default left, how missing values are told."""
    categories: Ints
    """[categorical split, 2]: where its bits begin and end in ``bits``."""
    bits: npt.NDArray[np.uint32]
    share: Array
    """[split, side]: of a leaf its value times its share of the rows and of the mean over boosters; 1 on the way."""
    odds: Array
    """[edge]: 1 / z - 1. A factor is t / z + 1 - t; it is worked out anew: memory is slower than a division."""
    quadrature: Array
    """[tree, 4, node]: Gauss-Legendre weights on (0, 1), t, 1 - t and 1 / (1 - t); padded, with weight 0."""

    def contributions(self, values: npt.NDArray[np.float32], *, threads: int | None = None) -> Array:
        """Return [rows, features + 1]: each feature's share of the raw score, and the base value last."""
        rows = np.ascontiguousarray(values, dtype=np.float64)
        found = np.zeros((len(rows), self.features + 1))
        workers = (threads or os.cpu_count() or 1) if len(rows) > FEW_ROWS else 1
        if workers == 1:
            self._fill(rows, found)
        else:
            cuts = np.linspace(0, len(rows), workers + 1).astype(int)
            parts = [slice(first, last) for first, last in itertools.pairwise(cuts.tolist())]
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(lambda part: self._fill(rows[part], found[part]), parts))
        found[:, -1] = self.base
        return found

    def _fill(self, rows: Array, found: Array) -> None:
        explain(rows, found, *self._arrays)

    @cached_property
    def _arrays(self) -> tuple[Any, ...]:
        return (
            self.starts, self.nodes, self.before, self.child, self.feature, self.threshold, self.kind, self.categories,
            self.bits, self.share, self.odds, self.quadrature,
        )  # fmt: skip


def forest(boosters: "Sequence[lgb.Booster]") -> Forest:
    """Return the trees of boosters on the same inputs; their contributions are those of the boosters' mean.

    Raises NotExplainable for trees with empty nodes, linear leaves, or paths of too many features.
    """
    trees, base = [], 0.0
    for booster in boosters:
        texts = _blocks(booster.model_to_string())
        for text in texts:
            tree = _Tree(text, share=1 / len(boosters))
            base += tree.expected
            if tree.splits:
                trees.append(tree)
    features = boosters[0].num_feature()
    return _flattened(trees, features, base)


class _Tree:
    """One tree of LightGBM's text; its splits in the order of a walk from the root."""

    def __init__(self, text: dict[str, str], *, share: float) -> None:
        if text.get("is_linear", "0") != "0":
            raise NotExplainable("Linear leaves are not explained here.")
        leaves = _numbers(text["leaf_value"], float) * share
        self.splits = int(text["num_leaves"]) - 1
        if not self.splits:
            self.expected = float(leaves[0])
            return
        counts, inner = _numbers(text["leaf_count"], float), _numbers(text["internal_count"], float)
        if (counts <= 0).any() or (inner <= 0).any():
            raise NotExplainable("A node without rows has no cover.")
        self.expected = float((leaves * counts).sum() / counts.sum())
        self._read(text, leaves, counts, inner)
        self._walk()

    def _read(self, text: dict[str, str], leaves: Array, counts: Array, inner: Array) -> None:
        self.worth, self.counts, self.inner = leaves * counts / inner[0], counts, inner
        self.children = np.stack([_numbers(text[f"{side}_child"], int) for side in ("left", "right")], axis=1)
        self.split_feature = _numbers(text["split_feature"], int)
        self.split_threshold = _numbers(text["threshold"], float)
        self.split_kind = _numbers(text["decision_type"], int)
        self.boundaries = _numbers(text.get("cat_boundaries", ""), int)
        self.bits = _numbers(text.get("cat_threshold", ""), int).astype(np.uint32)

    def _walk(self) -> None:
        """Number the splits, parents before children; merged covers, and the edge of the same feature above."""
        self.order: list[int] = []
        self.before: list[int] = []
        self.cover: list[float] = []
        self.child = np.zeros((self.splits, 2), dtype=np.int32)
        self.share = np.ones((self.splits, 2))
        self.features_on_path = 0
        waiting: list[tuple[int, int, dict[int, int]]] = [(0, ROOT, {})]
        while waiting:
            node, parent, above = waiting.pop()
            split, feature = len(self.order), int(self.split_feature[node])
            if parent != ROOT:
                self.child[divmod(parent, 2)] = split
            self.order.append(node)
            self.before.append(above.get(feature, ROOT))
            for side in (0, 1):
                path = {**above, feature: 2 * split + side}
                if self._enter(node, split, side) < 0:
                    self.features_on_path = max(self.features_on_path, len(path))
                else:
                    waiting.append((int(self.children[node, side]), 2 * split + side, path))

    def _enter(self, node: int, split: int, side: int) -> int:
        """Note an edge's cover, and a leaf's place and share at its end; return LightGBM's number of the child."""
        child, before = int(self.children[node, side]), self.before[split]
        count = self.inner[child] if child >= 0 else self.counts[~child]
        self.cover.append(float(count / self.inner[node]) * (1.0 if before == ROOT else self.cover[before]))
        if child < 0:
            self.child[split, side] = self.splits + ~child
            self.share[split, side] = self.worth[~child]
        return child


def _flattened(trees: Sequence[_Tree], features: int, base: float) -> Forest:
    sizes = np.asarray([tree.splits for tree in trees], dtype=np.int64)
    needed = np.asarray([(tree.features_on_path + 1) // 2 for tree in trees], dtype=np.int32)
    if needed.max(initial=1) > MOST_NODES:
        raise NotExplainable(f"A path of more than {2 * MOST_NODES} features.")
    nodes = (needed + LANES - 1) // LANES * LANES
    cover = np.asarray([z for tree in trees for z in tree.cover])
    kind = _each(trees, "split_kind", np.int8)
    categories, threshold = _categories(trees, kind, _each(trees, "split_threshold", np.float64))
    return Forest(
        features=features,
        base=base,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        nodes=nodes,
        before=np.asarray([edge for tree in trees for edge in tree.before], dtype=np.int32),
        child=np.concatenate([tree.child for tree in trees] or [np.zeros((0, 2), np.int32)]),
        feature=_each(trees, "split_feature", np.int32),
        threshold=threshold,
        kind=kind,
        categories=categories,
        bits=np.concatenate([tree.bits for tree in trees] or [np.zeros(0, np.uint32)]),
        share=np.concatenate([tree.share for tree in trees] or [np.ones((0, 2))]),
        odds=(1 - cover) / cover,
        quadrature=_quadrature(needed, int(nodes.max(initial=LANES))),
    )


def _each(trees: Sequence[_Tree], name: str, kind: type) -> npt.NDArray[Any]:
    """Something of each split, in the order of the walk."""
    found = [getattr(tree, name)[tree.order] for tree in trees]
    return np.concatenate(found or [np.zeros(0)]).astype(kind)


def _categories(trees: Sequence[_Tree], kind: npt.NDArray[np.int8], threshold: Array) -> tuple[Ints, Array]:
    """Where the bits of each categorical split begin and end among those of all trees, and who points there."""
    found: list[npt.NDArray[Any]] = []
    first = before = 0
    for tree in trees:
        for split in first + np.flatnonzero(kind[first : first + tree.splits] & CATEGORICAL):
            which = int(threshold[split])
            threshold[split] = len(found)
            found.append(tree.boundaries[which : which + 2] + before)
        first, before = first + tree.splits, before + len(tree.bits)
    return np.asarray(found, dtype=np.int32).reshape(-1, 2), threshold


def _quadrature(needed: Ints, most: int) -> Array:
    """The nodes and weights of each tree."""
    told = np.zeros((len(needed), 4, most))
    told[:, 1:] = np.asarray([0.5, 0.5, 2.0])[:, None]
    for count in np.unique(needed):
        place, weight = np.polynomial.legendre.leggauss(int(count))
        at = (place + 1) / 2
        told[needed == count, :, :count] = np.stack([weight / 2, at, 1 - at, 1 / (1 - at)])
    return told


def _blocks(text: str) -> list[dict[str, str]]:
    """The trees of a model's text, each as its keys and values."""
    if "\naverage_output\n" in text:
        raise NotExplainable("A random forest's output is averaged.")
    body = text.split("\nend of trees", 1)[0].split("\nTree=")[1:]
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in body]


def _numbers(text: str, kind: type) -> npt.NDArray[Any]:
    return np.asarray(text.split(), dtype=np.float64 if kind is float else np.int64)
