"""Round amounts: an account sends large round sums one after the other, as people do who move money and pay for nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, side
from app.detection.money import pounds
from app.detection.sight import Sights

NAME: Final = "round_amounts"


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    even = (sights.amount % max(thresholds["multiple"], 1) == 0) & (sights.amount >= thresholds["least_amount"])
    completes: Mask = even & sights.sterling & sights.payer_is_own & (sights.sent(thresholds["window"]) + 1 >= thresholds["payments"])
    return completes


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """At least ``payments`` payments in sterling leave an account within ``window`` seconds, each a multiple of ``multiple`` pence.

    Each is ``least_amount`` pence or more.
    """
    amount = book.payments.amount
    even = book.sterling & (amount % max(thresholds["multiple"], 1) == 0) & (amount >= thresholds["least_amount"])
    out = side(book, paying=True, chosen=even)
    begins = out.begins(thresholds["window"] * SECOND_US)
    counts, sums = np.arange(len(begins)) - begins + 1, out.sums(begins)
    return [
        replace(
            alert,
            reason=f"{NAME}_sent",
            sentence=f"{counts[place]} payments, each a multiple of {pounds(thresholds['multiple'])}, left the account {alert.sentence}:"
            f" {pounds(int(sums[place]))} together.",
        )
        for place, alert in alerts(book, out, out.crossings(counts >= thresholds["payments"], begins), begins)
    ]
