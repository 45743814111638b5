"""New high-risk country: an account that had nothing to do with a high-risk country begins to pay there, or to be paid from there."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, Mask, both_sides, windows
from app.detection.money import pounds
from app.detection.sight import Sights
from app.features.payments import DAY_US, Int32s, Int64s
from app.reference.high_risk_countries import high_risk_countries

NAME: Final = "high_risk_country"

_EPOCH: Final = date(1970, 1, 1)


def possible(sights: Sights, thresholds: Mapping[str, int]) -> Mask:  # noqa: ARG001 (its thresholds are of what is not known)
    """Which payments could complete it."""
    return sights.sterling & np.array([country in _countries() for country in sights.country], dtype=np.bool_)


@cache
def _countries() -> frozenset[str]:
    return frozenset(one.country for one in high_risk_countries())


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """``least_sum`` pence or more to and from one country on its high-risk days, in and out together, within ``window`` seconds.

    Only if the account had no payment with that country, listed then or not, in the ``new_for`` seconds before the window. Sterling only.
    """
    listings = high_risk_countries()
    names = sorted({one.country for one in listings})
    country = pc.index_in(book.country, value_set=pa.array(names, pa.string())).fill_null(-1).to_numpy(zero_copy_only=False)
    seen = both_sides(book, book.sterling & (country >= 0))
    of_country = _by_country(seen.party, country[seen.rows], len(names))
    order = np.lexsort((seen.rows, of_country))
    seen = replace(seen, **{name: getattr(seen, name)[order] for name in ("rows", "party", "other", "booked_at", "amount")})
    of_country, which = of_country[order], country[seen.rows]
    begins = windows(of_country, seen.booked_at, thresholds["window"] * SECOND_US)
    new = windows(of_country, seen.booked_at, (thresholds["window"] + thresholds["new_for"]) * SECOND_US) == begins
    listed = _listed(seen.booked_at, [names[place] for place in which.tolist()])
    sums = seen.sums(begins)
    # One payment on a listed day is enough to look; the sum is of all that passed between the two.
    fires = new & listed & (sums >= thresholds["least_sum"])
    return [
        replace(
            alert,
            reason=f"{NAME}_new",
            sentence=f"{pounds(int(sums[place]))} passed between the account and {names[which[place]]}, a high-risk country,"
            f" {alert.sentence}; nothing had in the {thresholds['new_for'] // 86_400} days before.",
        )
        for place, alert in alerts(book, seen, seen.crossings(fires, begins), begins)
    ]


def _by_country(party: Int32s, country: Int64s, countries: int) -> Int32s:
    return (party.astype(np.int64) * countries + country).astype(np.int32)


def _listed(booked_at: Int64s, countries: list[str]) -> Mask:
    """Whether each country was listed on the UTC day of its payment."""
    of_country: dict[str, list[tuple[int, int]]] = {}
    for one in high_risk_countries():
        until = date.max if one.delisted is None else one.delisted
        of_country.setdefault(one.country, []).append(((one.listed - _EPOCH).days, (until - _EPOCH).days))
    days = (booked_at // DAY_US).tolist()
    found = [any(begin <= day < end for begin, end in of_country[name]) for day, name in zip(days, countries, strict=True)]
    return np.array(found, dtype=np.bool_)
