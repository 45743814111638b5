"""The isolation forest: how few random cuts set a payment apart from the others (Liu, Ting and Zhou, 2008)."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.features import feature_set
from app.features.vector import Vectors
from models.trees import LEAF, Grown, Matrix, Scores, Trees, as_matrix, depths, join


@dataclass(frozen=True)
class ForestSettings:
    """How a forest is grown.

    Small samples see a crowd of similar anomalies as normal no longer than large ones do; large samples see a lone one among many payments.
    So a rough forest of small samples first finds the payments that are not normal, and the forest is grown from large samples
    of the others.
    """

    trees: int = 200
    samples: int = 16_384
    rough_trees: int = 100
    rough_samples: int = 256
    trimmed: float = 0.02  # of the payments are left out


@dataclass(frozen=True)
class IsolationForest:
    """A grown forest."""

    trees: Trees
    samples: int
    features_version: int

    def scores(self, vectors: Vectors, version: int = feature_set.VERSION) -> Scores:
        """The anomaly score of each payment, from 0 to 1, as the paper defines it; UsageError for features of another version."""
        feature_set.require(self.features_version, version)
        depth = self.trees.sums(as_matrix(vectors)) / len(self.trees.roots)
        return np.asarray(np.exp2(-depth / average_path(self.samples)))

    def contributions(self, vectors: Vectors) -> Scores:
        """How much each feature shortened a payment's path, in cuts, on average over the trees: float64[n, features]."""
        return -self.trees.contributions(as_matrix(vectors)) / len(self.trees.roots)


def fit(vectors: Vectors, seed: int, settings: ForestSettings = ForestSettings()) -> IsolationForest:  # it is frozen
    """Grow a forest from these payments; the same seed grows the same forest."""
    rows = as_matrix(vectors)
    rough = _grow(rows, settings.rough_trees, settings.rough_samples, seed)
    scores = rough.scores(vectors)
    kept = rows[scores <= np.quantile(scores, 1 - settings.trimmed)]
    return _grow(kept, settings.trees, settings.samples, seed + 1)


def _grow(rows: Matrix, trees: int, samples: int, seed: int) -> IsolationForest:
    from sklearn.ensemble import IsolationForest as Grower  # here: whoever only scores need not wait for it

    samples = min(samples, len(rows))
    grown = Grower(n_estimators=trees, max_samples=samples, random_state=seed).fit(rows)
    nodes = []
    for estimator in grown.estimators_:
        tree = estimator.tree_
        leaves = tree.children_left == LEAF
        value = depths(tree.children_left, tree.children_right) + average_paths(tree.n_node_samples)
        feature = np.where(leaves, LEAF, tree.feature)
        nodes.append(Grown(feature, tree.threshold, tree.children_left, tree.children_right, value, tree.n_node_samples))
    return IsolationForest(join(nodes), samples, feature_set.VERSION)


def average_path(rows: int) -> float:
    """The mean number of cuts that sets one of so many rows apart (the paper's c(n))."""
    if rows <= 2:
        return float(max(rows - 1, 0))
    return 2.0 * (math.log(rows - 1) + float(np.euler_gamma)) - 2.0 * (rows - 1) / rows


def average_paths(rows: npt.NDArray[np.int64]) -> Scores:
    """``average_path`` of each."""
    sizes, which = np.unique(rows, return_inverse=True)
    return np.array([average_path(int(size)) for size in sizes.tolist()])[which]
