"""The whole procedure tried on the past: trained on one part of the lake's time, tested on a later one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from app.contracts.lake import SILVER
from app.errors import UsageError
from app.features import timeline
from app.features.outcomes import DELAY_US, SUSPICIOUS, UNLABELLED, Labels, outcomes
from app.features.payments import Payments, payments
from app.features.vector import Vectors, vectors
from app.lake.lake import Lake
from models import evaluation, isolation_forest, supervised
from models.evaluation import Mask, Metrics, Split
from models.trees import Scores
from pipelines.labels import LabelFile
from pipelines.progress import Observer

_COLUMNS = ("transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee")


@dataclass(frozen=True)
class _Past:
    """Everything that is known of the lake's payments, in order."""

    payments: Payments
    vectors: Vectors
    outcomes: Vectors
    warm: Mask  # the payer has paid before
    labels: Labels
    typologies: npt.NDArray[np.object_]
    split: Split

    @property
    def judged(self) -> Mask:
        """The payments that are tested on."""
        return np.asarray(self.split.test & (self.labels != UNLABELLED))

    @property
    def learnt(self) -> Mask:
        """The payments whose labels were known when the test begins."""
        known = self.payments.booked_at + DELAY_US <= self.split.at(evaluation.TEST)
        return np.asarray(self.split.train & known & (self.labels != UNLABELLED))


@dataclass
class _Detector:
    """What a detector gave, seed by seed, for the judged payments of the test."""

    everyone: list[Metrics | None] = field(default_factory=list)
    warm: list[Metrics | None] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)

    def add(self, past: _Past, scores: Scores) -> None:
        judged, days = past.judged, evaluation.days_between(past.split.at(evaluation.TEST), past.split.ends)
        suspicious, warm = past.labels[judged] == SUSPICIOUS, past.warm[judged]
        self.everyone.append(evaluation.metrics(scores, suspicious, days))
        self.warm.append(evaluation.metrics(scores[warm], suspicious[warm], days))
        self.scores.append(scores)


def evaluate(lake: Lake, labels: LabelFile, seeds: Sequence[int], observer: Observer) -> dict[str, Any]:
    """Train on 15-60 % of the lake's time span and test on the last 40 %, with each seed; the means of the seeds."""
    past = _past(lake, labels, observer)
    suspicious = past.labels[past.judged] == SUSPICIOUS
    if not suspicious.any() or suspicious.all():
        raise UsageError(f"{labels.path}: the last 40 % of the time span need payments of both kinds, suspicious and not")
    forest, ranker = _Detector(), _Detector()
    rows = np.hstack([past.vectors, past.outcomes])
    learnt = past.labels[past.learnt] == SUSPICIOUS
    trains_ranker = bool(learnt.any() and not learnt.all())
    observer.begun("train", len(seeds))
    for seed in seeds:
        forest.add(past, isolation_forest.fit(past.vectors[past.split.train], seed).scores(past.vectors[past.judged]))
        if trains_ranker:
            ranker.add(past, supervised.fit(rows[past.learnt], past.labels[past.learnt], seed).scores(rows[past.judged]))
        observer.advanced("train")
    observer.ended("train")
    return _document(past, labels, forest, ranker if trains_ranker else None, seeds)


def _past(lake: Lake, labels: LabelFile, observer: Observer) -> _Past:
    observer.begun("read", 1)
    silver = lake.table(SILVER).to_pyarrow_table(columns=list(_COLUMNS))
    if silver.num_rows < 2:
        raise UsageError("the lake has no accepted payments to learn from; load some with `leofric run`")
    found, typologies = labels.of(silver["transaction_id"])
    observer.ended("read")
    observer.begun("features", 1)
    ordered, rows = payments(silver)
    warm = timeline.look_back(ordered)[:, timeline.PAYER_OUTS] > 0
    past = _Past(
        ordered,
        vectors(ordered),
        outcomes(ordered, found[rows]),
        warm,
        found[rows],
        typologies[rows],
        evaluation.split(ordered.booked_at),
    )
    observer.ended("features")
    return past


def _document(past: _Past, labels: LabelFile, forest: _Detector, ranker: _Detector | None, seeds: Sequence[int]) -> dict[str, Any]:
    judged = past.judged
    suspicious, typologies = past.labels[judged] == SUSPICIOUS, past.typologies[judged]
    detectors = {"isolation_forest": forest, "supervised": ranker}
    # Scores of several seeds are averaged: a typology is found or missed by all of them together.
    of_all = {name: None if one is None else np.mean(one.scores, axis=0) for name, one in detectors.items()}
    return {
        **{name: None if one is None else evaluation.mean(one.everyone) for name, one in detectors.items()},
        "warm_senders": {name: None if one is None else evaluation.mean(one.warm) for name, one in detectors.items()},
        "by_typology": {
            name: None if scores is None else evaluation.by_typology(scores, suspicious, typologies) for name, scores in of_all.items()
        },
        "split": {
            "train": {
                "from": _text(past.split.at(evaluation.TRAIN[0])),
                "to": _text(past.split.at(evaluation.TEST)),
                "payments": int(past.split.train.sum()),
            },
            "test": {
                "from": _text(past.split.at(evaluation.TEST)),
                "to": _text(past.split.ends),
                "payments": int(past.split.test.sum()),
                "judged": int(judged.sum()),
                "suspicious": int(suspicious.sum()),
                "warm_senders_suspicious": int((suspicious & past.warm[judged]).sum()),
            },
            "labels": {
                "file": labels.path,
                "known_when_the_test_begins": int(past.learnt.sum()),
                "known_after_days": DELAY_US // (86_400 * 10**6),
            },
        },
        "seeds": list(seeds),
        "stability": {name: None if one is None else evaluation.stability(one.scores) for name, one in detectors.items()},
    }


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1e6, UTC).isoformat()
