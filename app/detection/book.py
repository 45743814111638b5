"""What scenarios look at: payments in order, each party's as it pays and as it is paid, and exact sliding windows over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.features import payments as payments_of_features
from app.features.around import Around
from app.features.payments import UNKNOWN, Int32s, Int64s, Payments, payments
from app.features.timeline import NEVER
from app.jit import kernel

Mask = npt.NDArray[np.bool_]

COLUMNS: Final = (*payments_of_features.COLUMNS, "country")
"""What is read of silver."""

SECOND_US: Final = 1_000_000


@dataclass(frozen=True)
class Book:
    """Accepted payments (rows of silver, in any order) as scenarios see them: by (booked_at, transaction_id)."""

    payments: Payments
    rows: Int64s  # where each payment stands in the table that the book was opened from
    transaction_id: pa.StringArray
    payer: pa.StringArray
    payee: pa.StringArray
    country: pa.StringArray  # of the counterparty
    sterling: Mask
    own: Mask  # of each party: it is an account of this bank, for payments were booked on it
    earlier: Int64s  # of each party: when it last paid or was paid before the book begins (µs since 1970), or NEVER, as far as is known
    asked: Mask | None = None  # the payments of which alerts are wanted; None: of all


def book(silver: pa.Table) -> Book:
    """Open the book of ``silver``."""
    ordered, order = payments(silver)
    columns = (silver[name].combine_chunks().take(pa.array(order)) for name in ("transaction_id", "payer", "payee", "country", "currency"))
    transaction_id, payer, payee, country, currency = columns
    leaving = silver["amount_minor"].to_numpy()[order] < 0
    booked = np.where(leaving, ordered.payer, ordered.payee)
    own = np.zeros(ordered.parties, dtype=np.bool_)
    own[booked[booked != UNKNOWN]] = True
    sterling = pc.equal(currency, "GBP").to_numpy(zero_copy_only=False)
    return Book(ordered, order, transaction_id, payer, payee, country, sterling, own, np.full(ordered.parties, NEVER))


def opened(around: Around, earlier: Mapping[str, int]) -> Book:
    """The book of the payments around some, which tells of those alone.

    ``earlier`` has when accounts last paid or were paid before all of them (µs since 1970), where that is known.
    """
    of = around.payments
    accounts = pc.utf8_slice_codeunits(around.parties, 0, -4)
    payer, payee = (accounts.take(pa.array(side, mask=side == UNKNOWN)) for side in (of.payer, of.payee))
    in_sterling = np.append(pc.ends_with(around.parties, " GBP").to_numpy(zero_copy_only=False), False)  # no party: the last
    sterling = in_sterling[of.payer] | in_sterling[of.payee]
    before = np.full(of.parties, NEVER)
    if earlier:
        before[:] = [earlier.get(account, NEVER) for account in accounts.to_pylist()]
    return Book(of, np.arange(len(of)), around.transaction_id, payer, payee, around.country, sterling, around.own, before, around.asked)


@dataclass(frozen=True)
class Side:
    """The payments of the bank's own accounts on one side, one account after the other, in order; a place is a position among them.

    Second legs are left out: they are the same payment.
    """

    rows: Int64s  # the payment at each place
    party: Int32s
    other: Int32s  # the party on the other side, or UNKNOWN
    booked_at: Int64s
    amount: Int64s
    parties: int

    def begins(self, window_us: int) -> Int64s:
        """For each place the first place of the window that ends there: the party's payments of at most ``window_us`` before."""
        return windows(self.party, self.booked_at, window_us)

    def sums(self, begins: Int64s) -> Int64s:
        """What the payments from ``begins`` to each place come to, in minor units."""
        total = np.concatenate([[0], np.cumsum(self.amount)])
        return np.asarray(total[1:] - total[begins])

    def others(self, begins: Int64s) -> Int64s:
        """How many different known parties the payments from ``begins`` to each place are with; ``begins`` never falls."""
        out = np.empty(len(self.rows), dtype=np.int64)
        _others(self.other, begins, np.zeros(self.parties, dtype=np.int32), out)
        return out

    def before(self, later: "Side", window_us: int) -> tuple[Int64s, Int64s]:
        """For each place of ``later`` where in this side the same account's payments of ``window_us`` before begin and end."""
        begins, ends = (np.empty(len(later.rows), dtype=np.int64) for _ in range(2))
        _before((self.party, later.party), (self.rows, later.rows), (self.booked_at, later.booked_at), window_us, begins, ends)
        return begins, ends

    def crossings(self, fires: Mask, begins: Int64s) -> Int64s:
        """The places where a condition becomes true: it was not at the payment before, if that is in the window, from ``begins`` on.

        One alert a burst, not one a payment; what the window has forgotten is another burst.
        """
        before = np.zeros(len(fires), dtype=np.bool_)
        before[1:] = fires[:-1] & (begins[1:] < np.arange(1, len(fires)))
        return np.flatnonzero(fires & ~before)


def side(book: Book, *, paying: bool, chosen: Mask | None = None, watched: bool = True) -> Side:
    """The payers' side, or the payees'; of the ``chosen`` payments only, if given.

    Other banks' accounts are left out unless not only ``watched`` ones are wanted: an employer elsewhere pays hundreds of salaries in a
    minute, and is not ours to watch.
    """
    of = book.payments
    party, other = (of.payer, of.payee) if paying else (of.payee, of.payer)
    known = party != UNKNOWN
    wanted = (of.stands_for == np.arange(len(of))) & known
    if watched:
        wanted[known] &= book.own[party[known]]
    rows = np.flatnonzero(wanted if chosen is None else wanted & chosen)
    return _arranged(book, rows, party[rows], other[rows])


def both_sides(book: Book, chosen: Mask) -> Side:
    """What leaves and what comes to each account, as one side."""
    out, into = (side(book, paying=paying, chosen=chosen) for paying in (True, False))
    return _arranged(book, *(np.concatenate([getattr(out, name), getattr(into, name)]) for name in ("rows", "party", "other")))


def _arranged(book: Book, rows: Int64s, party: Int32s, other: Int32s) -> Side:
    order = np.lexsort((rows, party))
    rows = rows[order]
    return Side(rows, party[order], other[order], book.payments.booked_at[rows], book.payments.amount[rows], book.payments.parties)


def windows(party: Int32s, booked_at: Int64s, window_us: int) -> Int64s:
    """For each place where the window that ends there begins; the places of a party lie together, in order."""
    out = np.empty(len(booked_at), dtype=np.int64)
    _begins(party, booked_at, window_us, out)
    return out


@kernel
def _begins(party: Int32s, booked_at: Int64s, window_us: int, out: Int64s) -> None:
    begin = 0
    for place in range(out.size):
        while party[begin] != party[place] or booked_at[place] - booked_at[begin] > window_us:
            begin += 1
        out[place] = begin


@kernel
def _others(others: Int32s, begins: Int64s, met: Int32s, out: Int64s) -> None:
    begin = 0
    distinct = 0
    for place in range(out.size):
        if others[place] != UNKNOWN:
            distinct += met[others[place]] == 0
            met[others[place]] += 1
        while begin < begins[place]:  # what fell out, and the whole party before
            if others[begin] != UNKNOWN:
                met[others[begin]] -= 1
                distinct -= met[others[begin]] == 0
            begin += 1
        out[place] = distinct


@kernel
def _before(
    party: tuple[Int32s, Int32s],
    rows: tuple[Int64s, Int64s],
    booked_at: tuple[Int64s, Int64s],
    window_us: int,
    begins: Int64s,
    ends: Int64s,
) -> None:
    begin = 0
    end = 0
    for place in range(ends.size):
        mine, row = party[1][place], rows[1][place]
        while end < rows[0].size and (party[0][end] < mine or (party[0][end] == mine and rows[0][end] < row)):
            end += 1
        while begin < end and (party[0][begin] != mine or booked_at[1][place] - booked_at[0][begin] > window_us):
            begin += 1
        begins[place] = begin
        ends[place] = end


def instant(us: int) -> str:
    """2026-01-02 10:00:00 UTC."""
    return f"{datetime.fromtimestamp(us // SECOND_US, UTC):%Y-%m-%d %H:%M:%S} UTC"
