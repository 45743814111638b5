"""The whole procedure tried on the past: trained on one part of the lake's time, tested on a later one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import UsageError
from app.features.outcomes import DELAY_US, SUSPICIOUS
from app.features.payments import DAY_US
from app.lake import registry
from app.lake.lake import Lake
from models import archive, evaluation, isolation_forest, supervised
from models.champions import read_model
from models.evaluation import TEST, Mask, Metrics
from models.trees import Scores
from pipelines.labels import LabelFile
from pipelines.past import Past, read_past
from pipelines.progress import Observer


@dataclass
class _Detector:
    """What a detector gave, seed by seed, for the judged payments of the test."""

    everyone: list[Metrics | None] = field(default_factory=list)
    warm: list[Metrics | None] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)

    def add(self, scores: Scores, suspicious: Mask, warm: Mask, days: float) -> None:
        self.everyone.append(evaluation.metrics(scores, suspicious, days))
        self.warm.append(evaluation.metrics(scores[warm], suspicious[warm], days))
        self.scores.append(scores)


def evaluate(lake: Lake, labels: LabelFile, seeds: Sequence[int], observer: Observer) -> dict[str, Any]:
    """Train on 15-60 % of the lake's time span and test on the last 40 %, with each seed; the means of the seeds."""
    past = read_past(lake, labels, observer)
    split = past.split(TEST)
    judged = past.judged & split.test
    learnt = split.train & past.known(split.at(TEST))
    suspicious = past.labels[judged] == SUSPICIOUS
    if not past.of_both_kinds(judged):
        raise UsageError(f"{labels.path}: the last 40 % of the time span need payments of both kinds, suspicious and not")
    of_judged = suspicious, past.warm[judged], evaluation.days_between(split.at(TEST), split.ends)
    forest, ranker = _Detector(), _Detector()
    trains_ranker = past.of_both_kinds(learnt)
    observer.begun("train", len(seeds))
    for seed in seeds:
        forest.add(isolation_forest.fit(past.vectors[split.train], seed).scores(past.vectors[judged]), *of_judged)
        if trains_ranker:
            ranker.add(supervised.fit(past.for_ranker(learnt), past.labels[learnt], seed).scores(past.for_ranker(judged)), *of_judged)
        observer.advanced("train")
    observer.ended("train")
    detectors = {"isolation_forest": forest, "supervised": ranker if trains_ranker else None}
    return _figures(detectors, suspicious, past.typologies[judged]) | {
        "split": {
            "train": {
                "from": _text(split.at(evaluation.TRAIN_FROM)),
                "to": _text(split.at(TEST)),
                "payments": int(split.train.sum()),
            },
            "test": _test(past, split.at(TEST), split.test, judged),
            "labels": {"file": labels.path, "known_when_the_test_begins": int(learnt.sum()), "known_after_days": DELAY_US // DAY_US},
        },
        "seeds": list(seeds),
    }


def evaluate_model(lake: Lake, labels: LabelFile, model_id: str, observer: Observer, trusted: Path | None) -> dict[str, Any]:
    """Test a model of the registry on the judged payments after those that it was trained on; the other detector is None."""
    card = registry.card_of(lake.storage, model_id)
    model = read_model(lake.storage, card, trusted)
    past = read_past(lake, labels, observer)
    # The card says to the second up to when it was trained.
    begins = int((datetime.fromisoformat(card.trained["to"]).timestamp() + 1) * 1e6)
    test = past.payments.booked_at >= begins
    judged = past.judged & test
    if not past.of_both_kinds(judged):
        raise UsageError(f"{labels.path}: payments after {_text(begins)}, to which {model_id} was trained, must be of both kinds")
    suspicious = past.labels[judged] == SUSPICIOUS
    found = _Detector()
    found.add(past.scores(model, judged), suspicious, past.warm[judged], evaluation.days_between(begins, int(past.payments.booked_at[-1])))
    detectors = {kind: found if kind == card.kind else None for kind in (archive.ISOLATION_FOREST, archive.RANKER)}
    return _figures(detectors, suspicious, past.typologies[judged]) | {
        "split": {"train": dict(card.trained), "test": _test(past, begins, test, judged), "labels": {"file": labels.path}},
        "model": model_id,
        "seeds": [card.seed],
    }


def _test(past: Past, begins: int, test: Mask, judged: Mask) -> dict[str, Any]:
    suspicious = judged & (past.labels == SUSPICIOUS)
    return {
        "from": _text(begins),
        "to": _text(int(past.payments.booked_at[-1])),
        "payments": int(test.sum()),
        "judged": int(judged.sum()),
        "suspicious": int(suspicious.sum()),
        "warm_senders_suspicious": int((suspicious & past.warm).sum()),
    }


def _figures(detectors: Mapping[str, _Detector | None], suspicious: Mask, typologies: npt.NDArray[np.object_]) -> dict[str, Any]:
    # Scores of several seeds are averaged: a typology is found or missed by all of them together.
    of_all = {name: None if one is None else np.mean(one.scores, axis=0) for name, one in detectors.items()}
    return {
        **{name: None if one is None else evaluation.mean(one.everyone) for name, one in detectors.items()},
        "warm_senders": {name: None if one is None else evaluation.mean(one.warm) for name, one in detectors.items()},
        "by_typology": {
            name: None if scores is None else evaluation.by_typology(scores, suspicious, typologies) for name, scores in of_all.items()
        },
        "stability": {name: None if one is None else evaluation.stability(one.scores) for name, one in detectors.items()},
    }


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1e6, UTC).isoformat()
