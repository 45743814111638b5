"""Histories that let go of what is too old to matter, while they are in use."""

from typing import Final

import numpy as np

from app.features.around import numbered_anew
from app.features.histories import Histories, Sorted
from app.features.payments import DAY_US, UNKNOWN, in_order
from app.features.stretches import gathered, texts_of

_PART: Final = 2_000
_FEW: Final = 200
"""So many payments that came meanwhile may be left for ``finish``."""


class Trimming:
    """Makes histories what they would be without the payments booked before a day (UTC): as if those had never been taken in.

    All but ``finish`` may run in another thread while the histories take in payments and tell of them; they must not be judged meanwhile.
    What a payment says never changes, so it is read from where it lies; what stands for what, and all that is kept of accounts, is made
    anew by the function that loads the first payments.
    """

    def __init__(self, of: Histories, before_us: int) -> None:
        self.before_us = before_us // DAY_US * DAY_US
        """Legs are paired within a day: a day stays whole."""
        self._of = of
        self._upto = of.count  # the count before the arrays: they hold so many at least
        rows, ids, self._names = of._rows, of._ids, of._names
        booked_at = rows.booked_at[: self._upto]
        self._booked_at = booked_at
        self._account = np.where(rows.signed[: self._upto] < 0, rows.payer[: self._upto], rows.payee[: self._upto])
        kept = np.flatnonzero(booked_at >= self.before_us)
        self.dropped = self._upto - len(kept)
        kept = kept[in_order(booked_at[kept], lambda places: texts_of(kept[places], (rows.id_begin, rows.id_end), ids))]
        self._made = Histories(of._hub)
        self._made._countries = dict(of._countries)
        payer, payee, used = numbered_anew(rows.payer[kept], rows.payee[kept])
        self._made._name([self._names[party] for party in used.tolist()])
        texts, offsets = gathered(kept, (rows.id_begin, rows.id_end), ids)
        words = (rows.high[kept], rows.low[kept], rows.content[kept])
        self._made._fill(Sorted(booked_at[kept], rows.signed[kept], payer, payee, rows.country[kept], *words, texts, offsets))
        judged = of._labelled
        self._made.judge(rows.high[judged], rows.low[judged], rows.label[judged])
        self._catch_up(_FEW)

    def finish(self) -> None:
        """Let the histories be what was made, with what came meanwhile. Short; what they were goes with this object."""
        self._catch_up(0)
        old = dict(vars(self._of))
        vars(self._of).update(vars(self._made))
        vars(self._made).update(old)

    def last_days(self, currency: str) -> dict[str, int]:
        """The day (since 1970) on which a payment that goes was last booked on an account, by accounts that have one, in one currency."""
        days = np.full(len(self._names) + 1, -1, dtype=np.int64)
        gone = self._booked_at < self.before_us
        np.maximum.at(days, self._account[gone], self._booked_at[gone] // DAY_US)
        return {self._names[party][:-4]: int(days[party]) for party in np.flatnonzero(days[:-1] >= 0).tolist() if self._is(party, currency)}

    def awake(self, currency: str, until_us: int) -> set[str]:
        """The accounts on which a payment that stays was booked before an instant, in one currency."""
        soon = (self._booked_at >= self.before_us) & (self._booked_at < until_us) & (self._account != UNKNOWN)
        return {self._names[party][:-4] for party in np.unique(self._account[soon]).tolist() if self._is(party, currency)}

    def _is(self, party: int, currency: str) -> bool:
        return self._names[party].endswith(f" {currency}")

    def _catch_up(self, few: int) -> None:
        while self._of.count - self._upto > few:
            end = min(self._of.count, self._upto + _PART)
            self._made.take(self._of.arrivals(np.arange(self._upto, end)), tell=False)
            self._upto = end
