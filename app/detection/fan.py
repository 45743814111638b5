"""Fan-in and fan-out: an account that many others pay, or that pays many others, within a day: money is gathered or scattered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from app.columns import Mask
from app.detection.alert import Alert, alerts
from app.detection.book import SECOND_US, Book, side
from app.detection.sight import Sights

FAN_IN: Final = "fan_in"
FAN_OUT: Final = "fan_out"


def find_in(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """At least ``parties`` different payers of an account within ``window`` seconds."""
    return _find(book, thresholds, f"{FAN_IN}_payers", "different accounts paid this one", paying=False)


def find_out(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """At least ``parties`` different payees of an account within ``window`` seconds."""
    return _find(book, thresholds, f"{FAN_OUT}_payees", "different accounts were paid by this one", paying=True)


def possible_in(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    return sights.payee_is_own & (sights.payers(thresholds["window"]) + 1 >= thresholds["parties"])


def possible_out(sights: Sights, thresholds: Mapping[str, int]) -> Mask:
    """Which payments could complete it."""
    return sights.payer_is_own & (sights.payees(thresholds["window"]) + 1 >= thresholds["parties"])


def _find(book: Book, thresholds: Mapping[str, int], reason: str, what: str, *, paying: bool) -> list[Alert]:
    seen = side(book, paying=paying)
    begins = seen.begins(thresholds["window"] * SECOND_US)
    others = seen.others(begins)
    return [
        replace(alert, reason=reason, sentence=f"{others[place]} {what} {alert.sentence}.")
        for place, alert in alerts(book, seen, seen.crossings(others >= thresholds["parties"], begins), begins)
    ]
