"""Rapid pass-through: what comes to an account leaves it almost whole within a day, as through a mule's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, side
from app.detection.money import pounds
from app.detection.sight import Sights

NAME: Final = "pass_through"


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    window = thresholds["window"]
    came, left = sights.received_sum(window), sights.sent_sum(window) + sights.amount
    enough = came >= thresholds["least_sum"]
    if sights.sums_are_exact(window):
        share = np.floor_divide(left * 100, np.maximum(came, 1))
        enough &= (share >= thresholds["least_share"]) & (share <= thresholds["most_share"])
    completes: Mask = enough & sights.payer_is_own & sights.sterling
    return completes


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """From ``least_share`` to ``most_share`` percent of what came in ``window`` seconds left in them; ``least_sum`` pence came or more.

    The window ends at a payment that leaves. Sterling only. Evidence: what came, then what left.
    """
    window = thresholds["window"] * SECOND_US
    out = side(book, paying=True, chosen=book.sterling)
    into = side(book, paying=False, chosen=book.sterling)
    begins = out.begins(window)
    from_, to = into.before(out, window)
    total = np.concatenate([[0], np.cumsum(into.amount)])
    came, left = total[to] - total[from_], out.sums(begins)
    share = np.floor_divide(left * 100, np.maximum(came, 1))
    fires = (came >= thresholds["least_sum"]) & (share >= thresholds["least_share"]) & (share <= thresholds["most_share"])
    return [
        replace(
            alert,
            reason=f"{NAME}_share",
            sentence=f"{pounds(int(left[place]))} left the account {alert.sentence}; {pounds(int(came[place]))} had come to it in the"
            f" {thresholds['window'] // 3600} hours before: {share[place]} %.",
            evidence=tuple(book.transaction_id[row].as_py() for row in into.rows[from_[place] : to[place]].tolist()) + alert.evidence,
        )
        for place, alert in alerts(book, out, out.crossings(fires, begins), begins)
    ]
