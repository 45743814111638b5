"""Structuring: sums that stay a little below a line at which questions are asked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, side
from app.detection.money import pounds
from app.detection.sight import Sights

NAME: Final = "structuring"


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    close = (sights.amount < thresholds["line"]) & (sights.amount * 100 >= thresholds["line"] * thresholds["least_share"])
    return close & sights.sterling & sights.payee_is_own & (sights.arrived(thresholds["window"]) + 1 >= thresholds["payments"])


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """At least ``payments`` payments in sterling to an account within ``window`` seconds, each a little below ``line``.

    A little: not under ``least_share`` percent of it.
    """
    line, amount = thresholds["line"], book.payments.amount
    close = book.sterling & (amount < line) & (amount * 100 >= line * thresholds["least_share"])
    into = side(book, paying=False, chosen=close)
    begins = into.begins(thresholds["window"] * SECOND_US)
    counts, sums = np.arange(len(begins)) - begins + 1, into.sums(begins)
    return [
        replace(
            alert,
            reason=f"{NAME}_below_line",
            sentence=f"{counts[place]} payments, each below {pounds(line)} by at most {100 - thresholds['least_share']} %,"
            f" came to the account {alert.sentence}: {pounds(int(sums[place]))} together.",
        )
        for place, alert in alerts(book, into, into.crossings(counts >= thresholds["payments"], begins), begins)
    ]
