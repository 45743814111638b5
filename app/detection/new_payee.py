"""New payee, large amount: an account pays somebody for the first time, and far more than ever, as a deceived customer does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import Book, side
from app.detection.money import pounds
from app.detection.sight import Sights
from app.features.payments import UNKNOWN, Int32s, Int64s
from app.features.timeline import PAYER_PAID_PAYEE
from app.jit import kernel

NAME: Final = "new_payee"


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    new: Mask = sights.facts[:, PAYER_PAID_PAYEE] == 0
    return sights.payer_is_own & sights.sterling & new & (sights.amount >= thresholds["least_amount"])


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """A first payment in sterling to a known payee: ``least_amount`` pence or more, and ``times`` the largest that left the account before.

    The account has sent ``payments`` payments before. Before means: as far back as the book goes.
    """
    out = side(book, paying=True, chosen=book.sterling)
    places = np.arange(len(out.rows))
    largest, before = (np.zeros(len(places), dtype=np.int64) for _ in range(2))
    _largest_before(out.party, out.amount, largest, before)
    fires = _first(out.party, out.other) & (out.amount >= thresholds["least_amount"])
    fires &= (before >= thresholds["payments"]) & (out.amount >= largest * thresholds["times"])
    return [
        replace(
            alert,
            reason=f"{NAME}_large",
            sentence=f"{pounds(int(out.amount[place]))} left the account for a payee that it had not paid before; the largest of its"
            f" {before[place]:,} payments before was {pounds(int(largest[place]))}.",
        )
        for place, alert in alerts(book, out, np.flatnonzero(fires), places)
    ]


def _first(party: Int32s, other: Int32s) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where a known party on the other side comes for the first time with this one."""
    first = np.zeros(len(party), dtype=np.bool_)
    known = np.flatnonzero(other != UNKNOWN)
    pairs = (party[known].astype(np.int64) << 32) + other[known]
    first[known[np.unique(pairs, return_index=True)[1]]] = True
    return first


@kernel
def _largest_before(party: Int32s, amount: Int64s, largest: Int64s, before: Int64s) -> None:
    for place in range(1, amount.size):
        if party[place] == party[place - 1]:
            largest[place] = max(largest[place - 1], amount[place - 1])
            before[place] = before[place - 1] + 1
