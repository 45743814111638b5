import io

import numpy as np
import pytest

from app.errors import ModelError
from app.features import feature_set
from app.features.outcomes import CLEARED, SUSPICIOUS
from models import archive, isolation_forest, supervised
from models.isolation_forest import ForestSettings, IsolationForest
from models.supervised import Ranker, RankerSettings


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(600, feature_set.COUNT))


def test_a_forest_comes_back_as_it_was(vectors: np.ndarray) -> None:
    model = isolation_forest.fit(vectors, 1, ForestSettings(trees=5, samples=64, rough_trees=5, rough_samples=32))
    again = archive.unpack(archive.pack(model))
    assert isinstance(again, IsolationForest)
    assert again.scores(vectors).tobytes() == model.scores(vectors).tobytes()
    assert archive.pack(again) == archive.pack(model)


def test_a_ranker_comes_back_as_it_was(vectors: np.ndarray) -> None:
    labels = np.where(vectors[:, 0] > 1, SUSPICIOUS, CLEARED).astype(np.int8)
    model = supervised.fit(vectors, labels, 1, RankerSettings(rounds=5))
    again = archive.unpack(archive.pack(model))
    assert isinstance(again, Ranker)
    assert again.scores(vectors).tobytes() == model.scores(vectors).tobytes()


def pickled() -> bytes:
    out = io.BytesIO()
    np.savez(out, head=np.array([{"kind": "isolation_forest"}], dtype=object), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"x" * 100, pickled()])
def test_what_is_no_model_is_refused_and_nothing_in_it_is_run(data: bytes) -> None:
    with pytest.raises(ModelError, match="not those of a model"):
        archive.unpack(data)
