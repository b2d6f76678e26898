"""Exact path-dependent TreeSHAP of LightGBM's trees by quadrature, compiled. Only numbers here, no reasons.

On a leaf's path let feature j have z_j, the product of the cover ratios of its splits, and o_j, 1 where the row
follows them all and 0 otherwise. The leaf's game is a product, so j's Shapley value is

    value (o_j - z_j) Integral over t from 0 to 1 of Prod over the path's other features i of (t o_i + (1 - t) z_i)

The integrand is a polynomial of degree D - 1 for D features on the path: Gauss-Legendre with D / 2 nodes is exact.
All z are fixed by the tree, so every factor and its inverse is known before the first row comes. Going down, the K
products are carried along; going up, the K weighted sums of leaves; each edge is settled once. Where a feature is
split again further down, the deeper edge takes back what the higher one will count too much.
"""

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

from features.late import Late

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
BLOCK = 16
"""So many rows go through a tree while it is in the nearest cache."""
FEW_ROWS = 32
"""Up to so many rows one thread is faster than two."""
ROOT = -1
CATEGORICAL, DEFAULT_LEFT = 1, 2
NONE, ZERO, NAN = 0, 1, 2
NEAR_ZERO = 1e-35
"""LightGBM takes a value within this of zero for zero."""


class NotExplainable(ValueError):
    """A tree that this kernel can't explain exactly: LightGBM's own values must be used."""


@dataclass(frozen=True)
class Forest:
    """The trees of some boosters, flattened. Edges of all trees stand one after the other, parents before children.

    An edge leads from a split (``parent``, an edge or ROOT) to its child; ``left`` tells which. ``before`` is the
    nearest edge above that splits on the same feature, or ROOT. A factor is t o + (1 - t) z at each quadrature
    node; ``inverse`` [edge, node] is one over it where o is 1, and where o is 0 it is (1 / z) (1 / (1 - t)).
    """

    features: int
    base: float
    starts: npt.NDArray[np.int64]
    """[tree + 1]: where each tree's edges begin."""
    nodes: Ints
    """[tree]: how many quadrature nodes its longest path needs."""
    parent: Ints
    before: Ints
    left: npt.NDArray[np.bool_]
    feature: Ints
    threshold: Array
    kind: Ints
    """LightGBM's decision type: categorical, default left, how missing values are told."""
    categories: Ints
    """[edge, 2]: where a categorical split's bits begin and end in ``bits``."""
    bits: npt.NDArray[np.uint32]
    value: Array
    """Leaf value times its share of the mean over boosters; 0 on the way."""
    leaf: npt.NDArray[np.bool_]
    cover: Array
    """z: the merged cover ratio of the edge's feature on the path down to it."""
    inverse: Array
    quadrature: Array
    """[tree, 4, node]: Gauss-Legendre weights on (0, 1), t, 1 - t and 1 / (1 - t); padded, with weight 0."""

    def contributions(self, values: npt.NDArray[np.float32], *, threads: int | None = None) -> Array:
        """Return [rows, features + 1]: each feature's share of the raw score, and the base value last."""
        rows = np.ascontiguousarray(values, dtype=np.float64)
        found = np.zeros((len(rows), self.features + 1))
        workers = (threads or os.cpu_count() or 1) if len(rows) > FEW_ROWS else 1
        cuts = np.linspace(0, len(rows), workers + 1).astype(int)
        parts = [slice(first, last) for first, last in itertools.pairwise(cuts.tolist())]
        if workers == 1:
            self._fill(rows, found)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(lambda part: self._fill(rows[part], found[part]), parts))
        found[:, -1] = self.base
        return found

    def _fill(self, rows: Array, found: Array) -> None:
        _explain(rows, found, *self._arrays)

    @cached_property
    def _arrays(self) -> tuple[Any, ...]:
        return (
            self.starts, self.nodes, self.parent, self.before, self.left, self.feature, self.threshold, self.kind,
            self.categories, self.bits, self.value, self.leaf, self.cover, self.inverse, self.quadrature,
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
    """One tree of LightGBM's text, as edges in the order of a walk from the root."""

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
        self.leaves, self.counts, self.inner = leaves, counts, inner
        self.children = np.stack([_numbers(text[f"{side}_child"], int) for side in ("left", "right")], axis=1)
        self.split_feature = _numbers(text["split_feature"], int)
        self.split_threshold = _numbers(text["threshold"], float)
        self.split_kind = _numbers(text["decision_type"], int)
        self.boundaries = _numbers(text.get("cat_boundaries", ""), int)
        self.bits = _numbers(text.get("cat_threshold", ""), int).astype(np.uint32)

    def _walk(self) -> None:
        """Lay the edges out, parents before children, with merged covers and the edge of the same feature above."""
        found: list[tuple[Any, ...]] = []
        depth = 0
        waiting: list[tuple[int, int, dict[int, int]]] = [(0, ROOT, {})]
        while waiting:
            node, parent, above = waiting.pop()
            feature = int(self.split_feature[node])
            before = above.get(feature, ROOT)
            for side in (0, 1):
                child = int(self.children[node, side])
                count = self.inner[child] if child >= 0 else self.counts[~child]
                cover = float(count / self.inner[node]) * (1.0 if before == ROOT else found[before][4])
                number = len(found)
                value = 0.0 if child >= 0 else float(self.leaves[~child])
                found.append((parent, before, side == 0, node, cover, child < 0, value))
                path = {**above, feature: number}
                if child >= 0:
                    waiting.append((child, number, path))
                else:
                    depth = max(depth, len(path))
        self.edges, self.features_on_path = found, depth


def _flattened(trees: Sequence[_Tree], features: int, base: float) -> Forest:
    sizes = np.asarray([len(tree.edges) for tree in trees], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    needed = np.asarray([(tree.features_on_path + 1) // 2 for tree in trees], dtype=np.int32)
    nodes = (needed + LANES - 1) // LANES * LANES
    most = int(nodes.max(initial=LANES))
    if needed.max(initial=1) > MOST_NODES:
        raise NotExplainable(f"A path of more than {2 * MOST_NODES} features.")
    edges = [(tree, *edge) for tree in trees for edge in tree.edges]
    split = np.asarray([edge[4] for edge in edges], dtype=np.int64)
    column = {
        name: np.asarray([getattr(edge[0], name)[number] for edge, number in zip(edges, split, strict=True)])
        for name in ("split_feature", "split_threshold", "split_kind")
    }
    bits_before = np.concatenate([[0], np.cumsum([len(tree.bits) if tree.splits else 0 for tree in trees])])
    cover = np.asarray([edge[5] for edge in edges], dtype=np.float64)
    inverse, quadrature = _quadrature(cover, np.repeat(needed, sizes), needed, most)
    return Forest(
        features=features,
        base=base,
        starts=starts,
        nodes=nodes,
        parent=np.asarray([edge[1] for edge in edges], dtype=np.int32),
        before=np.asarray([edge[2] for edge in edges], dtype=np.int32),
        left=np.asarray([edge[3] for edge in edges], dtype=np.bool_),
        feature=column["split_feature"].astype(np.int32),
        threshold=column["split_threshold"].astype(np.float64),
        kind=column["split_kind"].astype(np.int32),
        categories=_categories(edges, column, np.repeat(bits_before[:-1], sizes)),
        bits=np.concatenate([tree.bits for tree in trees] or [np.zeros(0, np.uint32)]),
        value=np.asarray([edge[7] for edge in edges], dtype=np.float64),
        leaf=np.asarray([edge[6] for edge in edges], dtype=np.bool_),
        cover=cover,
        inverse=inverse,
        quadrature=quadrature,
    )


def _categories(edges: "list[tuple[Any, ...]]", column: dict[str, npt.NDArray[Any]], before: Any) -> Ints:
    found = np.zeros((len(edges), 2), dtype=np.int32)
    for number in np.flatnonzero(column["split_kind"].astype(int) & CATEGORICAL):
        bounds = edges[number][0].boundaries
        which = int(column["split_threshold"][number])
        found[number] = bounds[which] + before[number], bounds[which + 1] + before[number]
    return found


def _quadrature(cover: Array, nodes: Ints, per_tree: Ints, most: int) -> tuple[Array, Array]:
    """The inverse factors of followed edges, and the nodes and weights of each tree."""
    inverse = np.ones((len(cover), most))
    told = np.zeros((len(per_tree), 4, most))
    told[:, 1:] = np.asarray([0.5, 0.5, 2.0])[:, None]
    for count in np.unique(per_tree):
        place, weight = np.polynomial.legendre.leggauss(int(count))
        at = (place + 1) / 2
        told[per_tree == count, :, :count] = np.stack([weight / 2, at, 1 - at, 1 / (1 - at)])
        mine = np.flatnonzero(nodes == count)
        inverse[mine, :count] = 1 / (at + (1 - at) * cover[mine, None])
    return inverse, told


def _blocks(text: str) -> list[dict[str, str]]:
    """The trees of a model's text, each as its keys and values."""
    if "\naverage_output\n" in text:
        raise NotExplainable("A random forest's output is averaged.")
    body = text.split("\nend of trees", 1)[0].split("\nTree=")[1:]
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in body]


def _numbers(text: str, kind: type) -> npt.NDArray[Any]:
    return np.asarray([kind(part) for part in text.split()], dtype=np.float64 if kind is float else np.int64)


@numba.njit(cache=True, nogil=True, inline="always")
def _goes_left(x, threshold, kind, first, last, bits):  # type: ignore[no-untyped-def]
    """Where LightGBM sends a value at a split."""
    if kind & CATEGORICAL:
        if np.isnan(x) or x <= -1.0 or x >= 2147483648.0:  # LightGBM cuts the fraction off first
            return False
        number = int(x)
        word = first + number // 32
        return word < last and (bits[word] >> np.uint32(number % 32)) & np.uint32(1) == 1
    missing = (kind >> 2) & 3
    if np.isnan(x) and missing != NAN:
        x = 0.0
    if (missing == ZERO and abs(x) <= NEAR_ZERO) or (missing == NAN and np.isnan(x)):
        return kind & DEFAULT_LEFT != 0
    return x <= threshold


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, boundscheck=False, error_model="numpy")
def _explain(  # type: ignore[no-untyped-def]
    rows, found, starts, nodes, parent, before, left, feature, threshold, kind, categories, bits, value, leaf, cover,
    inverse, quadrature,
):  # fmt: skip
    """Add to ``found`` [row, feature] what each feature brings in each tree."""
    longest = 0
    for tree in range(len(nodes)):
        longest = max(longest, starts[tree + 1] - starts[tree])
    most = quadrature.shape[2]
    product, total = np.empty((longest, most)), np.empty((longest, most))
    follows = np.empty(longest, dtype=np.int8)
    for block in range(0, len(rows), BLOCK):
        for tree in range(len(nodes)):
            start, size, count = starts[tree], starts[tree + 1] - starts[tree], nodes[tree]
            weight, t, rest, over = quadrature[tree]
            for row in range(block, min(block + BLOCK, len(rows))):
                goes = False
                for edge in range(size):  # down: o and the products
                    at = start + edge
                    if left[at]:
                        goes = _goes_left(
                            rows[row, feature[at]], threshold[at], kind[at], categories[at, 0], categories[at, 1], bits
                        )
                    else:  # the edge before this one is its sibling
                        goes = not goes
                    own = np.int8(1) if goes else np.int8(0)
                    up, again = parent[at], before[at]
                    if again != ROOT:
                        own = own & follows[again]
                    follows[edge] = own
                    above = product[up] if up != ROOT else weight
                    mine, z = product[edge], cover[at]
                    if own == 1:
                        for node in range(count):
                            mine[node] = above[node] * (t[node] + rest[node] * z)
                    else:
                        for node in range(count):
                            mine[node] = above[node] * rest[node] * z
                    if again != ROOT:
                        if follows[again] == 1:
                            for node in range(count):
                                mine[node] *= inverse[start + again, node]
                        else:
                            scale = 1.0 / cover[start + again]
                            for node in range(count):
                                mine[node] *= over[node] * scale
                    if leaf[at]:
                        for node in range(count):
                            total[edge, node] = mine[node] * value[at]
                    else:
                        for node in range(count):
                            total[edge, node] = 0.0
                for edge in range(size - 1, -1, -1):  # up: the sums of leaves; each edge is settled once
                    at = start + edge
                    up, again = parent[at], before[at]
                    gained = _settled(total[edge], follows[edge], cover[at], inverse[at], over, count)
                    if again != ROOT:
                        higher = start + again
                        gained -= _settled(total[edge], follows[again], cover[higher], inverse[higher], over, count)
                    found[row, feature[at]] += gained
                    if up != ROOT:
                        for node in range(count):
                            total[up, node] += total[edge, node]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, inline="always", error_model="numpy")
def _settled(total, own, z, inverse, over, count):  # type: ignore[no-untyped-def]
    """(o - z) times the sum of an edge's leaves without the feature's own factor."""
    summed = 0.0
    if own == 1:
        for node in range(count):
            summed += total[node] * inverse[node]
        return (1.0 - z) * summed
    for node in range(count):
        summed += total[node] * over[node]
    return -summed
