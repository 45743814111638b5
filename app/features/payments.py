"""Payments as edges from payer to payee, in the one order that "before" means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.jit import kernel

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

COLUMNS: Final = ("transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee")
"""What is read of silver."""

UNKNOWN: Final = -1
"""The number of a party that the feed does not name: it has no history."""

DAY_US: Final = 86_400 * 1_000_000


@dataclass(frozen=True)
class Payments:
    """n payments, ordered by (booked_at, transaction_id).

    A party is an account in one currency: pence and cents are never added. ``stands_for`` is the row itself, except for the
    second leg of an on-us transfer: there it is the row of the first leg, which is the same payment.
    """

    booked_at: Int64s  # µs since 1970, UTC
    amount: Int64s  # minor units, not negative
    payer: Int32s  # numbers from 0, or UNKNOWN
    payee: Int32s
    stands_for: Int64s
    parties: int

    def __len__(self) -> int:
        return len(self.booked_at)

    def timelines(self) -> tuple[Int64s, Int64s]:
        """The entries of each party in order, and where each party's begin. Entry 2·row is the payment leaving, 2·row + 1 arriving.

        Second legs are left out.
        """
        return entries_of(self.payer, self.payee, np.flatnonzero(self.stands_for == np.arange(len(self))), self.parties)


def entries_of(payer: Int32s, payee: Int32s, rows: Int64s, parties: int) -> tuple[Int64s, Int64s]:
    """The entries of these rows by party, in their order, and where each party's begin."""
    begins = np.zeros(parties + 1, dtype=np.int64)
    _count(payer, payee, rows, begins)
    np.cumsum(begins, out=begins)
    entries = np.empty(int(begins[-1]), dtype=np.int64)
    _scatter(payer, payee, rows, begins[:-1].copy(), entries)
    return entries, begins


def payments(silver: pa.Table) -> tuple[Payments, Int64s]:
    """Rows of silver (COLUMNS, in any order) as payments, and for each payment its row there."""
    booked_at = silver["booked_at"].combine_chunks().view(pa.int64()).to_numpy()
    identifiers = silver["transaction_id"].combine_chunks()
    order = in_order(booked_at, lambda places: identifiers.take(pa.array(places)))
    signed = silver["amount_minor"].to_numpy()[order]
    payer, payee, parties = numbered(silver)
    booked_at, payer, payee = booked_at[order], payer[order], payee[order]
    amount = np.abs(signed)
    return Payments(booked_at, amount, payer, payee, legs(booked_at, signed, payer, payee), len(parties)), order


def in_order(booked_at: Int64s, ids: Callable[[Int64s], pa.Array]) -> Int64s:
    """Positions sorted by (booked_at, transaction_id); ``ids`` gives the ids at some positions. Ids compare as bytes."""
    order = np.argsort(booked_at, kind="stable")
    ascending = booked_at[order]
    tied = np.zeros(len(order), dtype=np.bool_)
    np.equal(ascending[1:], ascending[:-1], out=tied[1:])
    tied[:-1] |= tied[1:]
    places = np.flatnonzero(tied)
    if places.size:
        again = pa.table({"at": ascending[places], "id": ids(order[places]).cast(pa.binary())})
        order[places] = order[places][pc.sort_indices(again, [("at", "ascending"), ("id", "ascending")]).to_numpy()]
    return order


def numbered(silver: pa.Table) -> tuple[Int32s, Int32s, pa.StringArray]:
    """Payer and payee as numbers, and the parties by number, as ``party`` names them. A payment to oneself has no payee."""
    rows = silver.num_rows
    currency = silver["currency"]
    both = pa.chunked_array([*silver["payer"].chunks, *silver["payee"].chunks], pa.string())
    keys = pc.binary_join_element_wise(both, pa.chunked_array([*currency.chunks, *currency.chunks], pa.string()), " ")
    encoded = keys.combine_chunks().dictionary_encode()
    numbers = pc.fill_null(encoded.indices, UNKNOWN).to_numpy()
    payer, payee = numbers[:rows], numbers[rows:]
    return payer, np.where(payee == payer, np.int32(UNKNOWN), payee), encoded.dictionary


def party(account: str, currency: str) -> str:
    """What the account in one currency is called here."""
    return f"{account} {currency}"


def legs(booked_at: Int64s, signed: Int64s, payer: Int32s, payee: Int32s) -> Int64s:
    """Which payment each row stands for.

    An on-us transfer is booked twice, on the payer's account (minus) and on the payee's (plus). A row that has the parties and the
    amount of an earlier one of the same UTC day, with the other sign, is its second leg; the earliest one that has none yet is taken.
    No day depends on another, so whole days of history are enough to know the legs in them.
    """
    stands_for = np.arange(len(booked_at))
    order = np.lexsort((stands_for, np.abs(signed), payee, payer))
    pair(order, booked_at, signed, payer, payee, np.empty(len(order), dtype=np.int64), stands_for)
    return stands_for


@kernel
def pair(order: Int64s, booked_at: Int64s, signed: Int64s, payer: Int32s, payee: Int32s, waiting: Int64s, stands_for: Int64s) -> None:
    """Find second legs among rows in ``order``: by payer, payee and amount, then by time; ``waiting`` is as long as that."""
    head = tail = 0  # of the rows in ``waiting`` whose second leg may still come: all of one sign, or they would have met
    for place in range(order.size):
        row = order[place]
        if payer[row] == UNKNOWN or payee[row] == UNKNOWN:
            continue
        if head < tail:
            before = waiting[head]
            same = payer[row] == payer[before] and payee[row] == payee[before] and abs(signed[row]) == abs(signed[before])
            if not same or booked_at[row] // DAY_US != booked_at[before] // DAY_US:
                head = tail
        if head < tail and (signed[waiting[head]] < 0) != (signed[row] < 0):
            stands_for[row] = waiting[head]
            head += 1
        else:
            waiting[tail] = row
            tail += 1


@kernel
def _count(payer: Int32s, payee: Int32s, rows: Int64s, begins: Int64s) -> None:
    for row in rows:
        if payer[row] != UNKNOWN:
            begins[payer[row] + 1] += 1
        if payee[row] != UNKNOWN:
            begins[payee[row] + 1] += 1


@kernel
def _scatter(payer: Int32s, payee: Int32s, rows: Int64s, following: Int64s, entries: Int64s) -> None:
    for row in rows:
        if payer[row] != UNKNOWN:
            entries[following[payer[row]]] = 2 * row
            following[payer[row]] += 1
        if payee[row] != UNKNOWN:
            entries[following[payee[row]]] = 2 * row + 1
            following[payee[row]] += 1
