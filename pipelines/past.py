"""The lake's accepted payments as detectors learn from them: in order, with their features and what was known of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.contracts.lake import SILVER
from app.errors import UsageError
from app.features import timeline
from app.features.outcomes import DELAY_US, UNLABELLED, Labels, outcomes
from app.features.payments import Payments, payments
from app.features.vector import Vectors, vectors
from app.lake.lake import Lake
from models import evaluation
from models.evaluation import Mask, Split
from pipelines.labels import LabelFile
from pipelines.progress import Observer

_COLUMNS = ("transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee")


@dataclass(frozen=True)
class Past:
    """Everything that is known of the lake's payments, in order."""

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

    def known(self, instant: int) -> Mask:
        """The payments whose label was known at that instant."""
        return np.asarray(self.judged & (self.payments.booked_at + DELAY_US <= instant))


def read_past(lake: Lake, labels: LabelFile | None, observer: Observer) -> Past:
    """All accepted payments of the lake, with these labels if there are any."""
    observer.begun("read", 1)
    table = lake.table(SILVER)
    silver = table.to_pyarrow_table(columns=list(_COLUMNS))
    if silver.num_rows < 2:
        raise UsageError("the lake has no accepted payments to learn from; load some with `leofric run`")
    if labels is None:
        found, typologies = np.full(silver.num_rows, UNLABELLED, dtype=np.int8), np.full(silver.num_rows, "", dtype=object)
    else:
        found, typologies = labels.of(silver["transaction_id"])
    observer.ended("read")
    observer.begun("features", 1)
    ordered, rows = payments(silver)
    warm = timeline.look_back(ordered)[:, timeline.PAYER_OUTS] > 0
    past = Past(ordered, vectors(ordered), outcomes(ordered, found[rows]), warm, found[rows], typologies[rows], table.version())
    observer.ended("features")
    return past
