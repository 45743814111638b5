"""Decision trees as flat arrays: what every detector here scores with, in a batch and for one payment, by the same arithmetic.

scikit-learn grows the trees; nothing of it is needed to score, and no file of a model can run code. The scores agree with
scikit-learn's (tests/unit/models), and those of a batch with those of a single row to the bit: a row's sum takes the trees in one order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.features.vector import Vectors
from app.jit import kernel

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]
Nodes = npt.NDArray[np.void]

LEAF: Final = -1
_BLOCK: Final = 128  # rows that walk through a tree together, level by level: no step of one waits for another's
_TREES: Final = 16  # trees that one row walks through together

_NODE: Final = np.dtype([("threshold", "<f4"), ("feature", "<i4"), ("left", "<i4"), ("right", "<i4")])


@dataclass(frozen=True)
class Grown:
    """One tree as scikit-learn has grown it, its root first."""

    feature: npt.NDArray[Any]  # LEAF at a leaf
    threshold: npt.NDArray[Any]
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]
    value: npt.NDArray[Any]  # what the tree gives; it counts at leaves only
    rows: npt.NDArray[Any]  # how many rows each node was grown from


@dataclass(frozen=True)
class Trees:
    """All nodes of all trees. A row goes left where its feature is at most the threshold; a leaf leads to itself."""

    nodes: Nodes
    value: Scores  # a leaf's is what the tree gives; any other's is the mean over the rows that it was grown from
    roots: Numbers
    depths: Numbers  # of each tree: how many steps reach every leaf

    def sums(self, rows: Matrix) -> Scores:
        """For each row what all trees give together: float64[n]."""
        out = np.zeros(len(rows), dtype=np.float64)
        _sums(rows, self.nodes, self.value, self.roots, self.depths, np.empty(_BLOCK, dtype=np.int32), out)
        return out

    def contributions(self, rows: Matrix) -> Scores:
        """For each row and feature how much its splits moved the sum: float64[n, features].

        Exact: a row's contributions and ``base`` add up to its sum. (Path attribution: each step from a node to its child is put down
        to the node's feature.)
        """
        out = np.zeros(rows.shape, dtype=np.float64)
        _contributions(rows, self.nodes, self.value, self.roots, self.depths, np.empty(_BLOCK, dtype=np.int32), out)
        return out

    @property
    def base(self) -> float:
        """The sum of a row of which nothing is known."""
        return float(self.value[self.roots].sum())


def as_matrix(vectors: Vectors) -> Matrix:
    """Features as trees compare them: scikit-learn grows them from float32."""
    return np.ascontiguousarray(vectors, dtype=np.float32)


def join(trees: Sequence[Grown]) -> Trees:
    """Several trees as one set of arrays."""
    sizes = [len(tree.feature) for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    nodes, value = np.empty(sum(sizes), dtype=_NODE), np.empty(sum(sizes), dtype=np.float64)
    for tree, root, size in zip(trees, roots.tolist(), sizes, strict=True):
        part, own = nodes[root : root + size], np.arange(root, root + size)
        leaves = tree.feature == LEAF
        part["feature"] = np.where(leaves, 0, tree.feature)
        part["threshold"] = _rounded_down(np.where(leaves, 0.0, tree.threshold))
        part["left"], part["right"] = (np.where(leaves, own, side + root) for side in (tree.left, tree.right))
        value[root : root + size] = tree.value
    rows = np.concatenate([tree.rows for tree in trees]).astype(np.float64)
    _means(nodes, rows, value)
    return Trees(nodes, value, roots, np.array([depths(tree.left, tree.right).max() for tree in trees], dtype=np.int32))


def depths(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many steps each node of a grown tree is away from its root. A leaf's children are LEAF, or (in boosted trees) its root."""
    found = np.zeros(len(left), dtype=np.int64)
    level = np.zeros(1, dtype=np.int64)
    while level.size:
        level = level[left[level].astype(np.int64) > 0]
        for children in (left[level], right[level]):
            found[children] = found[level] + 1
        level = np.concatenate([left[level], right[level]]).astype(np.int64)
    return found


def _rounded_down(threshold: Scores) -> npt.NDArray[np.float32]:
    """The greatest float32 that is not above: a row's float32 is at most the one exactly if it is at most the other."""
    nearest = threshold.astype(np.float32)
    return np.where(nearest.astype(np.float64) > threshold, np.nextafter(nearest, np.float32(-np.inf)), nearest)


@kernel
def _means(nodes: Nodes, rows: Scores, value: Scores) -> None:
    for node in range(nodes.size - 1, -1, -1):  # children have greater numbers than their parents
        a, b = nodes[node].left, nodes[node].right
        if a != node:
            value[node] = (value[a] * rows[a] + value[b] * rows[b]) / (rows[a] + rows[b])


@kernel
def _sum(row: npt.NDArray[np.float32], nodes: Nodes, value: Scores, roots: Numbers, steps: Numbers, at: Numbers) -> float:
    """``_sums`` of one row: it walks through several trees together, for the same reason; their values are added in the same order."""
    total = 0.0
    for begin in range(0, roots.size, _TREES):
        count = min(_TREES, roots.size - begin)
        most = 0
        for i in range(count):
            at[i] = roots[begin + i]
            most = max(most, steps[begin + i])
        for _ in range(most):
            for i in range(count):
                node = nodes[at[i]]
                at[i] = node.left if row[node.feature] <= node.threshold else node.right
        for i in range(count):
            total += value[at[i]]
    return total


@kernel
def _sums(rows: Matrix, nodes: Nodes, value: Scores, roots: Numbers, steps: Numbers, at: Numbers, out: Scores) -> None:
    if out.size < _TREES:
        for row in range(out.size):
            out[row] = _sum(rows[row], nodes, value, roots, steps, at)
        return
    for begin in range(0, out.size, _BLOCK):
        count = min(_BLOCK, out.size - begin)
        for tree in range(roots.size):
            at[:count] = roots[tree]
            for _ in range(steps[tree]):
                for i in range(count):
                    node = nodes[at[i]]
                    at[i] = node.left if rows[begin + i, node.feature] <= node.threshold else node.right
            for i in range(count):
                out[begin + i] += value[at[i]]


@kernel
def _contributions(rows: Matrix, nodes: Nodes, value: Scores, roots: Numbers, steps: Numbers, at: Numbers, out: Scores) -> None:
    for begin in range(0, out.shape[0], _BLOCK):
        count = min(_BLOCK, out.shape[0] - begin)
        for tree in range(roots.size):
            at[:count] = roots[tree]
            for _ in range(steps[tree]):
                for i in range(count):
                    node = nodes[at[i]]
                    child = node.left if rows[begin + i, node.feature] <= node.threshold else node.right
                    out[begin + i, node.feature] += value[child] - value[at[i]]  # 0 at a leaf: it leads to itself
                    at[i] = child
