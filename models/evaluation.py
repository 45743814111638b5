"""How good a ranking of payments is, tested on a later time than it was trained on.

Accuracy is never among the figures: where three payments in a thousand are suspicious, finding none of them is 99.7 % accurate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.features.payments import DAY_US, Int64s
from models.trees import Scores

Mask = npt.NDArray[np.bool_]

TRAIN_FROM: Final = 0.15
"""The share of the time span that is not trained on: before it, accounts have no past yet."""
TEST: Final = 0.60
"""Where the part that `leofric evaluate` tests on begins."""

_ALERTED: Final = 0.005
_FALSE_POSITIVES: Final = 0.01


@dataclass(frozen=True)
class Metrics:
    """Of one ranking of judged payments."""

    auroc: float
    average_precision: float
    precision_at_half_percent: float  # of the highest-scored half percent, how many are suspicious
    recall_at_1pct_fpr: float  # of the suspicious, how many score above all but one in a hundred of the others
    alerts_per_day: float  # if the highest-scored half percent were alerts


@dataclass(frozen=True)
class Split:
    """Which payments are trained and which are tested on."""

    train: Mask
    test: Mask
    begins: int  # µs since 1970: the first payment of all
    ends: int

    def at(self, share: float) -> int:
        """The instant at this share of the span."""
        return self.begins + int((self.ends - self.begins) * share)


def split(booked_at: Int64s, test_from: float) -> Split:
    """Split payments, which are in order, by time: the test begins at this share of the span."""
    whole = Split(np.zeros(0, np.bool_), np.zeros(0, np.bool_), int(booked_at[0]), int(booked_at[-1]))
    test = booked_at >= whole.at(test_from)
    train = (booked_at >= whole.at(TRAIN_FROM)) & ~test
    return Split(train, test, whole.begins, whole.ends)


def metrics(scores: Scores, suspicious: Mask, days: float) -> Metrics | None:
    """The metrics of scored, judged payments over so many days; None unless there are both kinds."""
    if not suspicious.any() or suspicious.all():
        return None
    from sklearn.metrics import average_precision_score, roc_auc_score  # here: whoever only scores need not wait for it

    alerts = max(1, round(len(scores) * _ALERTED))
    first = np.argsort(-scores, kind="stable")[:alerts]
    return Metrics(
        float(roc_auc_score(suspicious, scores)),
        float(average_precision_score(suspicious, scores)),
        float(suspicious[first].mean()),
        float((scores[suspicious] >= threshold(scores, suspicious)).mean()),
        alerts / days,
    )


def threshold(scores: Scores, suspicious: Mask) -> float:
    """The lowest score at which at most one in a hundred of the unsuspicious is alerted."""
    from sklearn.metrics import roc_curve

    false, _, at = roc_curve(suspicious, scores, drop_intermediate=False)
    return float(at[np.flatnonzero(false <= _FALSE_POSITIVES)[-1]])


def mean(of_seeds: Sequence[Metrics | None]) -> dict[str, float] | None:
    """The mean of each metric over several seeds."""
    found = [one for one in of_seeds if one is not None]
    if not found:
        return None
    return {field.name: float(np.mean([getattr(one, field.name) for one in found])) for field in fields(Metrics)}


def by_typology(scores: Scores, suspicious: Mask, typologies: npt.NDArray[np.object_]) -> dict[str, dict[str, Any]]:
    """Of each typology how many payments there are, and what share of them scores above all but one in a hundred of the others."""
    line = threshold(scores, suspicious)
    names = sorted({str(name) for name in typologies[suspicious]})
    chosen = {name: suspicious & (typologies == name) for name in names}
    return {
        name or "unnamed": {"payments": int(rows.sum()), "recall_at_1pct_fpr": float((scores[rows] >= line).mean())}
        for name, rows in chosen.items()
    }


def stability(of_seeds: Sequence[Scores]) -> float | None:
    """The mean rank correlation of the scores of each two seeds; None for a single one."""
    ranks = [np.argsort(np.argsort(scores)) for scores in of_seeds]
    pairs = [np.corrcoef(a, b)[0, 1] for i, a in enumerate(ranks) for b in ranks[i + 1 :]]
    return float(np.mean(pairs)) if pairs else None


def days_between(begin: int, end: int) -> float:
    """Days, at least one."""
    return max((end - begin) / DAY_US, 1.0)
