"""Payments as a scenario's guard sees them: what is known already, before any history is opened.

A guard says of each whether it could be the one with which its scenario's condition becomes true. It may say yes too often, never no
too often: where what is known does not reach, it says yes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.columns import Mask
from app.features import timeline
from app.features.payments import Int64s

_HOUR, _DAY = 3_600, 86_400
_ALL: Final = timeline.HORIZON_US // 1_000_000
ENDLESS: Final = 1 << 62
"""More than anything: not known."""

_Known = tuple[tuple[int, int], ...]
_OUT_COUNTS: Final = (
    (_HOUR, timeline.PAYER_OUT_1H),
    (_DAY, timeline.PAYER_OUT_24H),
    (7 * _DAY, timeline.PAYER_OUT_7D),
    (30 * _DAY, timeline.PAYER_OUT_30D),
    (_ALL, timeline.PAYER_OUTS),
)
_OUT_SUMS: Final = ((_DAY, timeline.PAYER_OUT_SUM_24H), (30 * _DAY, timeline.PAYER_OUT_SUM_30D))
_IN_SUMS: Final = ((_DAY, timeline.PAYER_IN_SUM_24H),)
_PAYEES: Final = ((7 * _DAY, timeline.PAYER_PAYEES_7D), (_ALL, timeline.PAYER_OUTS))
_ARRIVALS: Final = (
    (_DAY, timeline.PAYEE_IN_24H),
    (7 * _DAY, timeline.PAYEE_IN_7D),
    (30 * _DAY, timeline.PAYEE_IN_30D),
    (_ALL, timeline.PAYEE_INS),
)
_PAYERS: Final = ((7 * _DAY, timeline.PAYEE_PAYERS_7D), (_ALL, timeline.PAYEE_INS))


@dataclass(frozen=True)
class Sights:
    """n payments that stand for themselves (no second legs).

    Numbers "at most" are of the shortest known window that covers what is asked.
    """

    booked_at: Int64s  # µs since 1970, UTC
    amount: Int64s  # minor units, not negative
    sterling: Mask
    country: Sequence[str]
    payer_is_own: Mask
    payee_is_own: Mask
    facts: Int64s  # as ``timeline.look_back`` gives them: [n, 25]

    def sent(self, seconds: int) -> Int64s:
        """At most so many payments has the payer sent before, within so many seconds."""
        return self._within(seconds, _OUT_COUNTS)

    def sent_sum(self, seconds: int) -> Int64s:
        """At most so much."""
        return self._within(seconds, _OUT_SUMS)

    def received_sum(self, seconds: int) -> Int64s:
        """At most so much has come to the payer."""
        return self._within(seconds, _IN_SUMS)

    def sums_are_exact(self, seconds: int) -> bool:
        """Whether ``sent_sum`` and ``received_sum`` give what it was, and not only what it was at most."""
        return all(seconds in dict(known) for known in (_OUT_SUMS, _IN_SUMS))

    def payees(self, seconds: int) -> Int64s:
        """At most so many others has the payer paid."""
        return self._within(seconds, _PAYEES)

    def arrived(self, seconds: int) -> Int64s:
        """At most so many payments have come to the payee."""
        return self._within(seconds, _ARRIVALS)

    def payers(self, seconds: int) -> Int64s:
        """At most so many others have paid the payee."""
        return self._within(seconds, _PAYERS)

    def _within(self, seconds: int, known: _Known) -> Int64s:
        for window, fact in known:
            if seconds <= window:
                return self.facts[:, fact]
        return np.full(len(self.amount), ENDLESS)
