import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import IsolationForest as Reference

from app.errors import UsageError
from app.features import feature_set
from app.features.outcomes import CLEARED, SUSPICIOUS
from app.features.vector import Vectors
from models import isolation_forest, supervised
from models.isolation_forest import ForestSettings, average_path
from models.supervised import RankerSettings
from models.trees import as_matrix

SMALL = ForestSettings(trees=20, samples=128, rough_trees=10, rough_samples=64)


def cloud(rows: int, columns: int = feature_set.COUNT) -> Vectors:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(rows, columns))
    vectors[:, 3] = np.round(vectors[:, 3])  # ties at a threshold
    return vectors


@pytest.mark.parametrize("samples", [2, 3, 50, 256, 2_000])
def test_the_forest_scores_as_scikit_learn_does(samples: int) -> None:
    vectors = cloud(1_000)
    reference = Reference(n_estimators=30, max_samples=min(samples, 1_000), random_state=9).fit(vectors.astype(np.float32))
    ours = isolation_forest._grow(vectors.astype(np.float32), 30, samples, 9)
    np.testing.assert_allclose(ours.scores(vectors), -reference.score_samples(vectors.astype(np.float32)), rtol=0, atol=1e-6)


def test_the_ranker_scores_as_scikit_learn_does() -> None:
    vectors = cloud(2_000, 32)
    labels = np.where(vectors[:, 0] + vectors[:, 3] > 2, SUSPICIOUS, CLEARED).astype(np.int8)
    settings = RankerSettings(rounds=30)
    ours = supervised.fit(vectors, labels, 4, settings)
    reference = HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.03, max_leaf_nodes=15, min_samples_leaf=50, l2_regularization=10.0, max_features=0.3,
        early_stopping=False, random_state=4,
    ).fit(vectors.astype(np.float32), labels == SUSPICIOUS)  # fmt: skip
    np.testing.assert_allclose(ours.scores(vectors), reference.predict_proba(vectors.astype(np.float32))[:, 1], rtol=0, atol=1e-6)


def test_one_row_and_a_batch_are_scored_alike_to_the_bit() -> None:
    vectors = cloud(2_000)
    forest = isolation_forest.fit(vectors, 1, SMALL)
    batch = forest.scores(vectors)
    assert [forest.scores(vectors[i : i + 1]).tobytes() for i in range(600)] == [batch[i : i + 1].tobytes() for i in range(600)]


def test_contributions_add_up_to_what_the_trees_give() -> None:
    vectors = cloud(500)
    forest = isolation_forest.fit(vectors, 1, SMALL)
    rows = as_matrix(vectors)
    np.testing.assert_allclose(forest.trees.contributions(rows).sum(axis=1) + forest.trees.base, forest.trees.sums(rows), atol=1e-9)


def test_the_feature_that_sets_a_payment_apart_contributes_most() -> None:
    vectors = cloud(2_000)
    forest = isolation_forest.fit(vectors, 1, SMALL)
    strange = np.zeros((1, feature_set.COUNT))
    strange[0, 7] = 30.0
    assert forest.contributions(strange)[0].argmax() == 7
    assert forest.scores(strange)[0] > forest.scores(np.zeros_like(strange))[0]


def test_the_same_seed_grows_the_same_forest_and_another_seed_another() -> None:
    vectors = cloud(1_000)
    one, again, other = (isolation_forest.fit(vectors, seed, SMALL).scores(vectors).tobytes() for seed in (1, 1, 2))
    assert one == again != other


def test_a_model_refuses_features_of_another_version() -> None:
    forest = isolation_forest.fit(cloud(300), 1, SMALL)
    with pytest.raises(UsageError, match="feature set 1"):
        forest.scores(cloud(1), feature_set.VERSION + 1)
    labels = np.where(cloud(300)[:, 0] > 1, SUSPICIOUS, CLEARED).astype(np.int8)
    ranker = supervised.fit(cloud(300), labels, 1, RankerSettings(rounds=2))
    with pytest.raises(UsageError, match="feature set 1"):
        ranker.scores(cloud(1), feature_set.VERSION + 1)


@pytest.mark.parametrize(("rows", "expected"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 1.2073923), (256, 10.2447694)])
def test_the_average_path_is_the_papers(rows: int, expected: float) -> None:
    assert average_path(rows) == pytest.approx(expected)
