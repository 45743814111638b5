"""The ranker that learns from analysts' decisions: boosted trees on behaviour and on what was known of the parties by then."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.features import feature_set
from app.features.outcomes import SUSPICIOUS, Labels
from app.features.vector import Vectors
from models.trees import LEAF, Grown, Scores, Trees, as_matrix, join


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker is grown: many small steps, each on a part of the features, so that no label is learnt by heart."""

    rounds: int = 400
    rate: float = 0.03
    leaves: int = 15
    rows_in_leaf: int = 50
    regularization: float = 10.0
    features_in_split: float = 0.3


@dataclass(frozen=True)
class Ranker:
    """A grown ranker. Its rows are the behaviour features, and then the outcome features."""

    trees: Trees
    start: float  # log-odds before the first tree
    features_version: int

    def scores(self, vectors: Vectors, version: int = feature_set.VERSION) -> Scores:
        """The probability that each payment is suspicious, as far as the labels went; UsageError for features of another version."""
        feature_set.require(self.features_version, version)
        return np.asarray(1.0 / (1.0 + np.exp(-(self.start + self.trees.sums(as_matrix(vectors))))))

    def contributions(self, vectors: Vectors) -> Scores:
        """How much each feature moved the log-odds: float64[n, features]."""
        return self.trees.contributions(as_matrix(vectors))


def fit(vectors: Vectors, labels: Labels, seed: int, settings: RankerSettings = RankerSettings()) -> Ranker:  # it is frozen
    """Grow a ranker from judged payments, SUSPICIOUS or CLEARED."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # here: whoever only scores need not wait for it

    grown = HistGradientBoostingClassifier(
        max_iter=settings.rounds,
        learning_rate=settings.rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.rows_in_leaf,
        l2_regularization=settings.regularization,
        max_features=settings.features_in_split,
        early_stopping=False,
        random_state=seed,
    ).fit(as_matrix(vectors), labels == SUSPICIOUS)
    trees = [_nodes(predictor.nodes) for (predictor,) in grown._predictors]  # a test holds the scores to its own
    return Ranker(join(trees), float(grown._baseline_prediction.item()), feature_set.VERSION)


def _nodes(nodes: npt.NDArray[np.void]) -> Grown:
    feature = np.where(nodes["is_leaf"].astype(bool), LEAF, nodes["feature_idx"])
    left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
    return Grown(feature, nodes["num_threshold"], left, right, nodes["value"], nodes["count"])
