"""A dormant account wakes: after months without a payment, large sums come or go within a day."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, both_sides
from app.detection.money import pounds
from app.detection.sight import Sights
from app.features.timeline import HORIZON_US, NEVER, PAYEE_AGE, PAYER_AGE

NAME: Final = "dormant"


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it: all that is known of one of its accounts may be of the day on which it wakes."""
    if thresholds["silence"] * SECOND_US < HORIZON_US:
        return sights.sterling
    window, wakes = thresholds["window"] * SECOND_US, np.zeros(len(sights.amount), dtype=np.bool_)
    for own, fact in ((sights.payer_is_own, PAYER_AGE), (sights.payee_is_own, PAYEE_AGE)):
        age = sights.facts[:, fact]
        wakes |= own & ((age == NEVER) | (age <= window) | (age >= HORIZON_US))
    return sights.sterling & wakes


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """``least_sum`` pence or more, in and out together, within ``window`` seconds from the first payment after ``silence`` seconds or more.

    An account that has no payment before, in the book or ``earlier``, is new, not dormant. Sterling only.
    """
    seen = both_sides(book, book.sterling)
    places = np.arange(len(seen.rows))
    silent = np.zeros(len(places), dtype=np.int64)
    same = seen.party[1:] == seen.party[:-1]
    silent[1:][same] = np.diff(seen.booked_at)[same]
    first = np.concatenate([np.ones(min(len(places), 1), dtype=np.bool_), ~same])
    first &= book.earlier[seen.party] != NEVER
    silent[first] = seen.booked_at[first] - book.earlier[seen.party[first]]
    wakes = silent >= max(thresholds["silence"] * SECOND_US, 1)
    woke = np.maximum.accumulate(np.where(wakes, places, -1)) if len(places) else places
    awake = woke >= 0
    awake[awake] &= (seen.party[woke[awake]] == seen.party[awake]) & (
        seen.booked_at[awake] - seen.booked_at[woke[awake]] <= thresholds["window"] * SECOND_US
    )
    begins = np.where(awake, woke, places)
    sums = seen.sums(begins)
    return [
        replace(
            alert,
            reason=f"{NAME}_wakes",
            sentence=f"{pounds(int(sums[place]))} came to or left the account {alert.sentence},"
            f" after {silent[begins[place]] // (86_400 * SECOND_US)} days without a payment.",
        )
        for place, alert in alerts(book, seen, seen.crossings(awake & (sums >= thresholds["least_sum"]), begins), begins)
    ]
