"""What was known of a payment's parties when it was booked: earlier payments of theirs that analysts had judged by then."""

from typing import Final

import numpy as np
import numpy.typing as npt

from app.features.feature_set import Feature
from app.features.payments import DAY_US, Int64s, Payments
from app.features.timeline import HORIZON_US, UNASKED
from app.features.vector import Vectors
from app.jit import inlined, kernel
from app.lineage.graph import How, Parts

Labels = npt.NDArray[np.int8]

SUSPICIOUS: Final = 1
CLEARED: Final = 0
UNLABELLED: Final = -1

DELAY_US: Final = 30 * DAY_US
"""A label is known this long after its payment: an investigation takes weeks."""

_PRIOR: Final = (0.02, 2.0)
"""A share is taken together with two judged payments of which one in a hundred is suspicious: a first judgement says little."""

_WORDS = tuple((side, way, there) for side in ("payer", "payee") for way, there in (("out", "left"), ("in", "reached")))
FEATURES: Final = (
    *(Feature(f"{s}_suspicious_{w}", f"judged suspicious: payments that {t} the {s}", "payments", "180 d") for s, w, t in _WORDS),
    *(Feature(f"{s}_suspicious_{w}_share", f"their share of the judged ones that {t} the {s}", "ratio", "180 d") for s, w, t in _WORDS),
)
NAMES: Final = tuple(feature.name for feature in FEATURES)
COUNT: Final = len(FEATURES)

OF_SILVER: Final[Parts] = {
    How.GROUP_BY: ("amount_minor", "currency", "payer", "payee"),
    How.WINDOW: ("booked_at",),
    How.JOIN: ("transaction_id",),
}
"""What each of them is made of, in columns of silver; and of feedback it is OF_FEEDBACK."""
OF_FEEDBACK: Final[Parts] = {How.AGGREGATION: ("is_suspicious",), How.JOIN: ("transaction_id",)}

OF_PAYER: Final = (0, 1, 4, 5)
"""Which counts are known from the payer's payments alone; the rest is known from the payee's."""
OF_PAYEE: Final = (2, 3, 6, 7)


def outcomes(payments: Payments, labels: Labels) -> Vectors:
    """The outcome features of every payment: float64[n, 8]."""
    return of_counts(judged_before(payments, labels))


def judged_before(payments: Payments, labels: Labels) -> Int64s:
    """For each payment, how many of its parties' payments were known by then to be suspicious, and how many to be judged at all.

    int64[n, 8]: four counts of each. Known are labels of payments booked at least DELAY_US before, and no longer ago than the horizon.
    ``labels`` has SUSPICIOUS, CLEARED or UNLABELLED for each payment; a transfer is suspicious if one of its legs is.
    """
    of_transfer = np.full(len(payments), UNLABELLED, dtype=np.int8)
    np.maximum.at(of_transfer, payments.stands_for, labels)
    counts = np.zeros((len(payments), COUNT), dtype=np.int64)
    entries, begins = payments.timelines()
    tell(payments.booked_at, of_transfer, entries, begins, np.arange(len(payments)), counts)
    return np.asarray(counts[payments.stands_for])


def of_counts(counts: Int64s) -> Vectors:
    """The features of such counts."""
    suspicious, judged = counts[:, :4].astype(np.float64), counts[:, 4:]
    return np.hstack([suspicious, (suspicious + _PRIOR[0]) / (judged + _PRIOR[1])])


@kernel
def tell(booked_at: Int64s, labels: Labels, entries: Int64s, begins: Int64s, asked: Int64s, counts: Int64s) -> None:
    """Walk through each party's entries, and write the counts of the rows that are ``asked`` for, as ``timeline.tell`` does."""
    for party in range(begins.size - 1):
        known = begins[party]  # the first entry whose label is not known yet
        forgotten = begins[party]  # the first entry within the horizon
        out_bad = in_bad = out_judged = in_judged = 0
        for place in range(begins[party], begins[party + 1]):
            row, side = entries[place] >> 1, entries[place] & 1
            while known < place and booked_at[entries[known] >> 1] + DELAY_US <= booked_at[row]:
                out_bad, in_bad, out_judged, in_judged = _counted(
                    labels[entries[known] >> 1], entries[known] & 1, 1, out_bad, in_bad, out_judged, in_judged
                )
                known += 1
            while forgotten < known and booked_at[row] - booked_at[entries[forgotten] >> 1] > HORIZON_US:
                out_bad, in_bad, out_judged, in_judged = _counted(
                    labels[entries[forgotten] >> 1], entries[forgotten] & 1, -1, out_bad, in_bad, out_judged, in_judged
                )
                forgotten += 1
            if asked[row] == UNASKED:
                continue
            told = counts[asked[row]]
            told[2 * side] = out_bad
            told[2 * side + 1] = in_bad
            told[4 + 2 * side] = out_judged
            told[4 + 2 * side + 1] = in_judged


@inlined
def _counted(label: int, side: int, by: int, out_bad: int, in_bad: int, out_judged: int, in_judged: int) -> tuple[int, int, int, int]:
    """The four counts with one label more, or one less."""
    bad, judged = by * (label == SUSPICIOUS), by * (label != UNLABELLED)
    if side:
        return out_bad, in_bad + bad, out_judged, in_judged + judged
    return out_bad + bad, in_bad, out_judged + judged, in_judged
