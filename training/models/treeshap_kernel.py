"""The compiled walk of exact TreeSHAP through a forest's splits; the mathematics stands in treeshap.py."""

import numba
import numpy as np

BLOCK = 16
"""So many rows go through a tree while it is in the nearest cache."""
ROOT = -1
CATEGORICAL, DEFAULT_LEFT = 1, 2
ZERO, NAN = 1, 2
NEAR_ZERO = 1.0000000180025095e-35
"""LightGBM takes a value within this of zero for zero: 1e-35 as a float32."""
NEITHER = 2


@numba.njit(cache=True, nogil=True, inline="always")
def _goes_left(x, threshold, kind, categories, bits):  # type: ignore[no-untyped-def]
    """Where LightGBM sends a value at a split; of a categorical one the threshold says which it is."""
    if kind & CATEGORICAL:
        first, last = categories[int(threshold)]
        if np.isnan(x) or x <= -1.0 or x >= 2147483648.0:  # LightGBM cuts the fraction off first
            return False
        number = int(x)
        word = first + number // 32
        return word < last and (bits[word] >> np.uint32(number % 32)) & np.uint32(1) == 1
    missing = (kind >> 2) & 3
    if abs(x) <= NEAR_ZERO or (np.isnan(x) and missing != NAN):
        x = 0.0
    if (missing == ZERO and x == 0.0) or (missing == NAN and np.isnan(x)):
        return kind & DEFAULT_LEFT != 0
    return x <= threshold


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, boundscheck=False, error_model="numpy")
def explain(  # type: ignore[no-untyped-def]
    rows, found, starts, nodes, before, child, feature, threshold, kind, categories, bits, share, odds, quadrature
):  # fmt: skip
    """Add to ``found`` [row, feature] what each feature brings in each tree; the arrays are those of a Forest."""
    longest = 0
    for tree in range(len(nodes)):
        longest = max(longest, starts[tree + 1] - starts[tree])
    held = np.empty((2 * longest + 1, quadrature.shape[2]))  # of each split and leaf: its product, then its total
    follows = np.empty(2 * longest, dtype=np.int8)
    taken = np.empty(longest, dtype=np.int8)
    for block in range(0, len(rows), BLOCK):
        for tree in range(len(nodes)):
            start, size, count = starts[tree], starts[tree + 1] - starts[tree], nodes[tree]
            weight, t, rest, over = quadrature[tree, 0], quadrature[tree, 1], quadrature[tree, 2], quadrature[tree, 3]
            for row in range(block, min(block + BLOCK, len(rows))):
                for node in range(count):
                    held[0, node] = weight[node]
                for split in range(size):  # down: which way, and the products
                    at = start + split
                    goes_left = _goes_left(rows[row, feature[at]], threshold[at], kind[at], categories, bits)
                    side = 0 if goes_left else 1
                    again = before[at]
                    counts = again == ROOT or follows[again] == 1
                    follows[2 * split + side] = 1 if counts else 0
                    follows[2 * split + 1 - side] = 0
                    taken[split] = side if counts else NEITHER
                    mine, other, above = held[child[at, side]], held[child[at, 1 - side]], held[split]
                    two, one = share[at, 1 - side], share[at, side]
                    if not counts:  # the feature was left further up: its factor stays what it is
                        for node in range(count):
                            product = above[node]
                            mine[node] = product * one
                            other[node] = product * two
                    else:
                        if again != ROOT:
                            higher = odds[2 * start + again] + 1.0
                            for node in range(count):
                                above[node] /= t[node] * higher + rest[node]
                        stepped = one * (odds[2 * at + side] + 1.0)
                        for node in range(count):
                            product = above[node]
                            mine[node] = product * (t[node] * stepped + rest[node] * one)
                            other[node] = product * rest[node] * two
                for split in range(size - 1, -1, -1):  # up: the sums of leaves; each split is settled once
                    at = start + split
                    side = taken[split]
                    total = held[split]
                    if side == NEITHER:
                        mine, other = held[child[at, 0]], held[child[at, 1]]
                        for node in range(count):
                            total[node] = mine[node] + other[node]
                    else:
                        mine, other = held[child[at, side]], held[child[at, 1 - side]]
                        gain = odds[2 * at + side]
                        own = gain + 1.0
                        followed = 0.0
                        left = 0.0
                        for node in range(count):
                            followed += mine[node] / (t[node] * own + rest[node])
                            left += other[node] * over[node]
                            total[node] = mine[node] + other[node]
                        gained = gain * followed - left
                        again = before[at]
                        if again != ROOT:  # what the higher edge will count of these leaves
                            gain = odds[2 * start + again]
                            higher = gain + 1.0
                            followed = 0.0
                            for node in range(count):
                                followed += total[node] / (t[node] * higher + rest[node])
                            gained -= gain * followed
                        found[row, feature[at]] += gained
