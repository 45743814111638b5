"""The payments of each account, kept in memory, for one payment at a time: the online caller of the batch's own functions."""

from array import array
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.features.payments import DAY_US, UNKNOWN, Int64s, Payments, in_order, legs
from app.features.timeline import HORIZON_US
from app.features.vector import Vectors, vectors


@dataclass(frozen=True)
class Payment:
    """One accepted payment, with the parties as silver writes them; None where the feed names none."""

    transaction_id: str
    booked_at: int  # µs since 1970, UTC
    amount_minor: int  # signed
    currency: str
    payer: str | None
    payee: str | None


class Histories:
    """What is known of every account. A payment is told what lay before it, and belongs to the histories from then on."""

    def __init__(self) -> None:
        self._booked_at, self._signed, self._payer, self._payee = (array("q") for _ in range(4))
        self._ids: list[bytes] = []
        self._parties: dict[tuple[str, str], int] = {}
        self._timelines: list[array[int]] = []  # of each party the rows of its payments, in order

    def take(self, payment: Payment) -> Vectors:
        """The features of this payment, float64[24], by all payments taken so far that come before it; late ones are welcome."""
        row = len(self._ids)
        payer, payee = self._party(payment.payer, payment.currency), self._party(payment.payee, payment.currency)
        payee = UNKNOWN if payee == payer else payee
        for column, value in zip(
            (self._booked_at, self._signed, self._payer, self._payee), (payment.booked_at, payment.amount_minor, payer, payee), strict=True
        ):
            column.append(value)
        self._ids.append(payment.transaction_id.encode())
        before = [self._insert(party, row) for party in (payer, payee) if party != UNKNOWN]
        rows = np.unique(np.concatenate([np.array([row]), *before]))
        # The payment itself comes last: what is after it was left out.
        (vector,) = vectors(self._payments(rows), np.array([len(rows) - 1]))
        return np.asarray(vector)

    def _party(self, name: str | None, currency: str) -> int:
        if name is None:
            return UNKNOWN
        number = self._parties.setdefault((name, currency), len(self._timelines))
        if number == len(self._timelines):
            self._timelines.append(array("q"))
        return number

    def _insert(self, party: int, row: int) -> Int64s:
        """Put the row where it belongs; give the rows before it, back to the first day that can matter."""
        timeline = self._timelines[party]
        place = bisect_left(timeline, (self._booked_at[row], self._ids[row]), key=lambda other: (self._booked_at[other], self._ids[other]))
        timeline.insert(place, row)
        # Whole days: ``legs`` pairs within one.
        first = (self._booked_at[row] - HORIZON_US) // DAY_US * DAY_US
        begin = bisect_left(timeline, first, hi=place, key=lambda other: self._booked_at[other])
        return np.array(timeline[begin:place], dtype=np.int64)

    def _payments(self, rows: Int64s) -> Payments:
        booked_at, signed, payer, payee = (
            np.frombuffer(column, dtype=np.int64)[rows] for column in (self._booked_at, self._signed, self._payer, self._payee)
        )
        order = in_order(booked_at, lambda places: pa.array([self._ids[row] for row in rows[places].tolist()], pa.binary()))
        booked_at, signed, payer, payee = booked_at[order], signed[order], payer[order], payee[order]
        known, numbers = np.unique(np.concatenate([payer, payee]), return_inverse=True)
        # UNKNOWN is the least of all numbers, and stays what it is.
        unknown = int(known[0] == UNKNOWN)
        payers, payees = np.split((numbers - unknown).astype(np.int32), 2)
        return Payments(booked_at, np.abs(signed), payers, payees, legs(booked_at, signed, payers, payees), len(known) - unknown)
