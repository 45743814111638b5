"""Decision trees as flat arrays: what every detector here scores with, in a batch and for one payment, by the same arithmetic.

scikit-learn grows the trees; nothing of it is needed to score, and no file of a model can run code. The scores agree with
scikit-learn's (tests/unit/models), and those of a batch with those of a single row to the bit: a row's sum takes the trees in one order.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.jit import kernel

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]

LEAF: Final = -1
_BLOCK: Final = 512  # rows that walk through a tree together, while its nodes are near


@dataclass(frozen=True)
class Trees:
    """All nodes of all trees. A row goes left where its feature is at most the threshold."""

    feature: Numbers  # LEAF at a leaf
    threshold: Scores
    left: Numbers
    right: Numbers
    value: Scores  # a leaf's is what the tree gives; any other's is the mean over the rows that it was grown from
    roots: Numbers

    def sums(self, rows: Matrix) -> Scores:
        """For each row what all trees give together: float64[n]."""
        out = np.zeros(len(rows), dtype=np.float64)
        _sums(rows, self.feature, self.threshold, self.left, self.right, self.value, self.roots, out)
        return out

    def contributions(self, rows: Matrix) -> Scores:
        """For each row and feature how much its splits moved the sum: float64[n, features].

        Exact: a row's contributions and ``base`` add up to its sum. (Path attribution: each step from a node to its child is put down
        to the node's feature.)
        """
        out = np.zeros(rows.shape, dtype=np.float64)
        _contributions(rows, self.feature, self.threshold, self.left, self.right, self.value, self.roots, out)
        return out

    @property
    def base(self) -> float:
        """The sum of a row of which nothing is known."""
        return float(self.value[self.roots].sum())


def join(trees: list[dict[str, npt.NDArray[Any]]]) -> Trees:
    """Trees, each with its own node numbers, as one. ``rows`` is how many rows each node was grown from; ``value`` counts at leaves."""
    sizes = [len(tree["feature"]) for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)

    def all_of(name: str) -> npt.NDArray[Any]:
        return np.concatenate([tree[name] for tree in trees])

    start = np.repeat(roots, sizes)
    feature = all_of("feature").astype(np.int32)
    left, right = (np.where(feature == LEAF, LEAF, all_of(name) + start).astype(np.int32) for name in ("left", "right"))
    value = all_of("value").astype(np.float64)
    _means(feature, left, right, all_of("rows").astype(np.float64), value)
    return Trees(feature, all_of("threshold").astype(np.float64), left, right, value, roots)


@kernel
def _means(feature: Numbers, left: Numbers, right: Numbers, rows: Scores, value: Scores) -> None:
    for node in range(feature.size - 1, -1, -1):  # children have greater numbers than their parents
        if feature[node] != LEAF:
            a, b = left[node], right[node]
            value[node] = (value[a] * rows[a] + value[b] * rows[b]) / (rows[a] + rows[b])


@kernel
def _sums(
    rows: Matrix, feature: Numbers, threshold: Scores, left: Numbers, right: Numbers, value: Scores, roots: Numbers, out: Scores
) -> None:
    for begin in range(0, out.size, _BLOCK):
        for root in roots:
            for row in range(begin, min(begin + _BLOCK, out.size)):
                node = root
                while feature[node] != LEAF:
                    node = left[node] if rows[row, feature[node]] <= threshold[node] else right[node]
                out[row] += value[node]


@kernel
def _contributions(
    rows: Matrix, feature: Numbers, threshold: Scores, left: Numbers, right: Numbers, value: Scores, roots: Numbers, out: Scores
) -> None:
    for row in range(out.shape[0]):
        for root in roots:
            node = root
            while feature[node] != LEAF:
                child = left[node] if rows[row, feature[node]] <= threshold[node] else right[node]
                out[row, feature[node]] += value[child] - value[node]
                node = child
