"""Velocity: many payments, or a large sum, leave an account within minutes, as when it has been taken over."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, side
from app.detection.money import pounds
from app.detection.sight import Sights

NAME: Final = "velocity"


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    window = thresholds["window"]
    many = sights.sent(window) + 1 > thresholds["payments"]
    return sights.payer_is_own & (many | (sights.sterling & (sights.sent_sum(window) + sights.amount > thresholds["sum"])))


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """More than ``payments`` payments, or more than ``sum`` pence in sterling, within ``window`` seconds that slide exactly."""
    out = side(book, paying=True)
    begins = out.begins(thresholds["window"] * SECOND_US)
    counts, sums = np.arange(len(begins)) - begins + 1, out.sums(begins)
    many, much = counts > thresholds["payments"], (sums > thresholds["sum"]) & book.sterling[out.rows]
    found = []
    for place, alert in alerts(book, out, out.crossings(many | much, begins), begins):
        what = f"{counts[place]} payment{'s' if counts[place] > 1 else ''}" + (
            f" and {pounds(int(sums[place]))}" if book.sterling[out.rows[place]] else ""
        )
        reason = f"{NAME}_count" if many[place] else f"{NAME}_sum"
        found.append(
            replace(alert, reason=reason, sentence=f"{what} left the account within {thresholds['window']} seconds, {alert.sentence}.")
        )
    return found
