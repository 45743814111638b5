"""A detector trained on a lake, measured on the payments after those that it was trained on, and put into the registry."""

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from app.compliance import signature
from app.errors import UsageError
from app.features import feature_set, outcomes
from app.features.outcomes import SUSPICIOUS
from app.lake import registry
from app.lake.lake import Lake
from app.lake.registry import Card
from app.settings import Settings
from models import archive, evaluation, isolation_forest, supervised
from models.archive import Model
from models.champions import key_in, read_model
from models.evaluation import Mask, Split
from models.isolation_forest import ForestSettings
from models.profile import Profile, profile
from models.supervised import RankerSettings
from pipelines.labels import LabelFile
from pipelines.past import Past, read_past
from pipelines.progress import Observer

HOLDOUT = 0.80
"""Where the part of the time span begins that no registered model was trained on."""


@dataclass(frozen=True)
class _Making:
    """What a card says beside what was learnt."""

    lake: Lake
    seed: int
    now: datetime
    who: str
    settings: Settings


def train(
    lake: Lake,
    labels: LabelFile | None,
    seed: int,
    observer: Observer,
    now: datetime,
    who: str,
    settings: Settings,
    most: int | None = None,
) -> list[Card]:
    """Train an isolation forest, and a ranker if the labels known by then are of both kinds; both are challengers until one is promoted.

    Each learns from at most ``most`` payments, all if None, chosen by the seed.
    """
    past = read_past(lake, labels, observer)
    split = past.split(HOLDOUT)
    if int(split.train.sum()) < 2:
        raise UsageError("the lake has too few payments to train on; load more days with `leofric run`")
    trained = _sample(split.train, most, seed)
    learnt = _sample(split.train & past.known(split.at(HOLDOUT)), most, seed)
    trains_ranker = past.of_both_kinds(learnt)
    observer.begun("train", 1 + trains_ranker)
    models: list[tuple[Model, dict[str, Any], Mask]] = [
        (isolation_forest.fit(past.vectors[trained], seed), asdict(ForestSettings()), trained)
    ]
    observer.advanced("train")
    if trains_ranker:
        models.append((supervised.fit(past.for_ranker(learnt), past.labels[learnt], seed), asdict(RankerSettings()), learnt))
        observer.advanced("train")
    observer.ended("train")
    making = _Making(lake, seed, now, who, settings)
    return [_register(making, past, split, model, parameters, used) for model, parameters, used in models]


def _sample(rows: Mask, most: int | None, seed: int) -> Mask:
    """At most so many of these payments."""
    places = np.flatnonzero(rows)
    if most is None or len(places) <= most:
        return rows
    chosen = np.zeros(len(rows), dtype=np.bool_)
    chosen[np.random.default_rng(seed).choice(places, most, replace=False)] = True
    return chosen


def _profile(model: Model, past: Past, trained: Mask, measured: Mask) -> Profile:
    forest = isinstance(model, isolation_forest.IsolationForest)
    vectors = past.vectors[trained] if forest else past.for_ranker(trained)
    names = feature_set.NAMES if forest else (*feature_set.NAMES, *outcomes.NAMES)
    return profile(names, vectors, past.scores(model, trained), past.scores(model, measured))


def _register(making: _Making, past: Past, split: Split, model: Model, parameters: dict[str, Any], used: Mask) -> Card:
    data, kind = archive.pack(model), archive.kind_of(model)
    digest = hashlib.sha256(data).hexdigest()
    card = Card(
        model_id=f"{kind}-{making.now:%Y%m%dT%H%M%S.%fZ}-{digest[:8]}",
        kind=kind,
        features_version=feature_set.VERSION,
        seed=making.seed,
        parameters=parameters,
        profile=_profile(model, past, used, split.test).document(),
        trained={"from": _text(split.at(evaluation.TRAIN_FROM)), "to": _text(split.at(HOLDOUT)), "payments": int(used.sum())},
        holdout=_holdout(making.lake, past, split, model, kind, making.settings.trusted_key_file),
        silver_version=past.silver_version,
        code_version=version("leofric"),
        sha256=digest,
        created_at=making.now.isoformat(timespec="seconds"),
        created_by=making.who,
    )
    if making.settings.signing_key_file is not None:
        card = replace(card, signature=signature.sign(card.signed_part(), key_in(making.settings.signing_key_file)))
    registry.keep(making.lake.storage, card, data)
    return card


def _holdout(lake: Lake, past: Past, split: Split, model: Model, kind: str, trusted: Path | None) -> dict[str, Any] | None:
    """How well the model does on the holdout, and how well the champion of its kind does there."""
    judged = split.test & past.judged
    days = evaluation.days_between(split.at(HOLDOUT), split.ends)

    def figures(of: Model) -> dict[str, float] | None:
        return evaluation.mean([evaluation.metrics(past.scores(of, judged), past.labels[judged] == SUSPICIOUS, days)])

    found = figures(model)
    if found is None:
        return None
    name = registry.champions(registry.decisions(lake.storage)).get(kind)
    champion = None if name is None else read_model(lake.storage, registry.card_of(lake.storage, name), trusted)
    fits = champion is not None and champion.features_version == feature_set.VERSION
    return {
        "from": _text(split.at(HOLDOUT)),
        "to": _text(split.ends),
        "judged": int(judged.sum()),
        "suspicious": int((past.labels[judged] == SUSPICIOUS).sum()),
        "metrics": found,
        "champion": name,
        "champion_metrics": figures(champion) if champion is not None and fits else None,
    }


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1e6, UTC).isoformat(timespec="seconds")
