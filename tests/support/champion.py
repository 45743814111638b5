"""A small forest put into use in a lake: the same in every lake."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from app.features import feature_set
from app.lake import registry
from app.lake.registry import Card
from models import archive, isolation_forest
from models.isolation_forest import ForestSettings
from models.profile import profile
from pipelines import models
from tests.support.lake import opened

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)


@cache
def forest() -> tuple[Card, bytes]:
    """Grown from random vectors; its bands are such that payments of tests are in all of them."""
    rng = np.random.default_rng(3)
    vectors = rng.gamma(1.0, 3.0, (2_000, feature_set.COUNT))
    model = isolation_forest.fit(vectors, 1, ForestSettings(trees=30, samples=256, rough_trees=10, rough_samples=64))
    scores = model.scores(vectors)
    held = replace(profile(feature_set.NAMES, vectors, scores, scores), medium=0.475, high=0.485)
    data = archive.pack(model)
    trained = {"from": "2026-03-01T00:00:00+00:00", "to": "2026-03-02T00:00:00+00:00", "payments": len(vectors)}
    digest = sha256(data).hexdigest()
    card = Card(
        "isolation_forest-small", archive.ISOLATION_FOREST, feature_set.VERSION, 1, {}, trained, held.document(), None, 0, "0", digest,
        NOW.isoformat(), "tests",
    )  # fmt: skip
    return card, data


def put_into_use(lake: Path) -> None:
    """Make the small forest the champion of a lake."""
    card, data = forest()
    registry.keep(opened(lake).storage, card, data)
    models.promote(opened(lake), card.model_id, "for tests", "tests", NOW, past_gate=True)
