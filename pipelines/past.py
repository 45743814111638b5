"""The lake's accepted payments as detectors learn from them: in order, with their features and what was known of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from app.contracts.lake import SILVER
from app.errors import UsageError
from app.features import feature_set, timeline
from app.features.outcomes import DELAY_US, UNLABELLED, Labels, outcomes
from app.features.payments import COLUMNS, Payments, payments
from app.features.vector import Vectors, of_facts
from app.lake.lake import Lake
from models import evaluation
from models.archive import Model
from models.evaluation import Mask, Split
from models.isolation_forest import IsolationForest
from models.trees import Scores
from pipelines.labels import LabelFile
from pipelines.progress import Observer


@dataclass(frozen=True)
class Past:
    """Everything that is known of the lake's payments, in order."""

    transaction_ids: pa.Array
    payments: Payments
    vectors: Vectors
    outcomes: Vectors
    warm: Mask  # the payer has paid before
    labels: Labels
    typologies: npt.NDArray[np.object_]
    silver_version: int

    @property
    def judged(self) -> Mask:
        """The payments that have a label."""
        return np.asarray(self.labels != UNLABELLED)

    def split(self, test: float) -> Split:
        """By time: the test begins at this share of the span."""
        return evaluation.split(self.payments.booked_at, test)

    def for_ranker(self, rows: Mask) -> Vectors:
        """What a ranker takes of these payments: behaviour, and then outcomes."""
        return np.hstack([self.vectors[rows], self.outcomes[rows]])

    def scores(self, model: Model, rows: Mask) -> Scores:
        """What a model says of these payments."""
        return model.scores(self.vectors[rows] if isinstance(model, IsolationForest) else self.for_ranker(rows))

    def of_both_kinds(self, rows: Mask) -> bool:
        """Whether these judged payments are some suspicious and some not."""
        return len(np.unique(self.labels[rows])) == 2

    def known(self, instant: int) -> Mask:
        """The payments whose label was known at that instant."""
        return np.asarray(self.judged & (self.payments.booked_at + DELAY_US <= instant))


def read_past(lake: Lake, labels: LabelFile | None, observer: Observer) -> Past:
    """All accepted payments of the lake, with these labels if there are any."""
    observer.begun("read", 1)
    table = lake.table(SILVER)
    silver = table.to_pyarrow_table(columns=list(COLUMNS))
    if silver.num_rows < 2:
        raise UsageError("the lake has no accepted payments to learn from; load some with `leofric run`")
    if labels is None:
        found, typologies = np.full(silver.num_rows, UNLABELLED, dtype=np.int8), np.full(silver.num_rows, "", dtype=object)
    else:
        found, typologies = labels.of(silver["transaction_id"])
    observer.ended("read")
    observer.begun("features", 1)
    ordered, rows = payments(silver)
    facts = timeline.look_back(ordered)
    warm = facts[:, timeline.PAYER_OUTS] > 0
    vectors = of_facts(ordered.booked_at[ordered.stands_for], ordered.amount, facts)
    ids = silver["transaction_id"].combine_chunks().take(pa.array(rows))
    past = Past(ids, ordered, vectors, outcomes(ordered, found[rows]), warm, found[rows], typologies[rows], table.version())
    observer.ended("features")
    return past


def write_features(lake: Lake, output: Path, observer: Observer) -> int:
    """Write a Parquet file with each payment's id, when it was booked, and its features, in order; returns how many payments."""
    past = read_past(lake, None, observer)
    columns = {"transaction_id": past.transaction_ids, "booked_at": pa.array(past.payments.booked_at).cast(pa.timestamp("us", tz="UTC"))}
    columns |= {name: pa.array(past.vectors[:, column]) for column, name in enumerate(feature_set.NAMES)}
    table = pa.table(columns).replace_schema_metadata({"leofric.features_version": str(feature_set.VERSION)})
    try:
        pq.write_table(table, output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error}") from None
    return len(past.payments)
