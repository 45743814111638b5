"""Challengers of the small champion, registered in a lake: good ones, and ones that must be taken away again."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from app.features import feature_set, outcomes
from app.features.outcomes import SUSPICIOUS
from app.lake import registry, rollouts
from app.lake.registry import Card
from app.lake.rollouts import Rollout
from models import archive, isolation_forest, supervised
from models.isolation_forest import ForestSettings
from models.profile import profile
from models.supervised import RankerSettings
from pipelines.rollouts import Limits, start
from tests.support.champion import NOW, forest
from tests.support.lake import opened

GOOD, FAILING, DRIFTED, RANKER = "isolation_forest-good", "isolation_forest-failing", "isolation_forest-drifted", "supervised-good"
PATIENT = Limits(most_errors=1.0, most_drift=100.0)


@cache
def _grown() -> tuple[Card, bytes]:
    """A forest of another seed, whose scores the tests' payments are near to: its profile says so."""
    rng = np.random.default_rng(4)
    vectors = rng.gamma(1.0, 3.0, (2_000, feature_set.COUNT))
    model = isolation_forest.fit(vectors, 7, ForestSettings(trees=30, samples=256, rough_trees=10, rough_samples=64))
    scores = model.scores(vectors)
    data = archive.pack(model)
    held = replace(profile(feature_set.NAMES, vectors, scores, scores), medium=0.47, high=0.48)
    return replace(forest()[0], model_id=GOOD, seed=7, sha256=sha256(data).hexdigest(), profile=held.document()), data


@cache
def _ranker() -> tuple[Card, bytes]:
    rng = np.random.default_rng(5)
    vectors = rng.gamma(1.0, 3.0, (400, feature_set.COUNT + len(outcomes.NAMES)))
    labels = np.where(vectors[:, 0] > 5, SUSPICIOUS, outcomes.CLEARED).astype(np.int8)
    model = supervised.fit(vectors, labels, 1, RankerSettings(rounds=20, rows_in_leaf=5))
    scores, data = model.scores(vectors), archive.pack(model)
    held = profile((*feature_set.NAMES, *outcomes.NAMES), vectors, scores, scores)
    digest = sha256(data).hexdigest()
    return replace(forest()[0], model_id=RANKER, kind=archive.RANKER, sha256=digest, profile=held.document()), data


def _failing() -> tuple[Card, bytes]:
    """Its file says that it is of another feature set: that is found out when it has to score."""
    card, data = _grown()
    model = archive.unpack(data)
    if not isinstance(model, isolation_forest.IsolationForest):
        raise TypeError(model)
    other = archive.pack(replace(model, features_version=feature_set.VERSION + 1))
    return replace(card, model_id=FAILING, sha256=sha256(other).hexdigest()), other


def _drifted() -> tuple[Card, bytes]:
    """In its training window, its card says, scores were much lower."""
    card, data = _grown()
    document: dict[str, Any] = asdict(card)["profile"]
    spread = document["score"] | {"edges": [edge / 10 for edge in document["score"]["edges"]]}
    return replace(card, model_id=DRIFTED, profile=document | {"score": spread}), data


def register(lake: Path, model_id: str) -> Card:
    """Put one of them into the lake."""
    makers: dict[str, Callable[[], tuple[Card, bytes]]] = {GOOD: _grown, FAILING: _failing, DRIFTED: _drifted, RANKER: _ranker}
    card, data = makers[model_id]()
    registry.keep(opened(lake).storage, card, data)
    return card


def tried(lake: Path, model_id: str, mode: str, share: float = 0.5, limits: Limits = PATIENT) -> Rollout:
    """Register one, and let the service try it."""
    register(lake, model_id)
    return start(opened(lake), model_id, mode, share, limits, "for tests", "tests", NOW)


def past(lake: Path) -> list[tuple[str, str, str]]:
    """What was written down about rollouts: mode, who, why."""
    return [(rollout.mode, rollout.by, rollout.why) for rollout in rollouts.past(opened(lake).storage)]
