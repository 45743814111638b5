"""Cycles: money that comes back to the account that it left, through one to three others, within a week: layering."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.detection.alert import Alert
from app.detection.book import SECOND_US, Book, Side, instant, side
from app.detection.money import pounds
from app.features.payments import UNKNOWN, Int32s, Int64s
from app.jit import inlined, kernel

NAME: Final = "cycle"

_MOST_HOPS: Final = 4
_NONE: Final = -1


def relevant(silver: pa.Table, thresholds: Mapping[str, int]) -> pa.Table:
    """The rows of silver that can be part of a cycle: few, so that those of all accounts can be looked at together."""
    large = pc.greater_equal(pc.abs(silver["amount_minor"]), thresholds["least_amount"])
    known = pc.and_(pc.is_valid(silver["payer"]), pc.is_valid(silver["payee"]))
    return silver.filter(pc.and_(pc.and_(large, known), pc.equal(silver["currency"], "GBP")))


def find(book: Book, thresholds: Mapping[str, int]) -> list[Alert]:
    """Two to four payments in sterling, each by the one before's payee, the last to the first's payer, within ``window`` seconds.

    Each is ``least_amount`` pence or more, and from ``least_share`` to 100 percent of the one before. No account is passed twice. One that
    has sent more than ``most_payments`` such payments within the window does not count: through it, any two accounts are connected.
    """
    window = thresholds["window"] * SECOND_US
    out = side(book, paying=True, chosen=book.sterling & (book.payments.amount >= thresholds["least_amount"]), watched=False)
    busy = np.arange(len(out.rows)) - out.begins(window) + 1 > thresholds["most_payments"]
    kept = np.flatnonzero(~busy & (out.other != UNKNOWN))
    edges = Side(out.rows[kept], out.party[kept], out.other[kept], out.booked_at[kept], out.amount[kept], out.parties)
    begins = np.searchsorted(edges.party, np.arange(edges.parties + 1))
    paths = np.full((len(kept), _MOST_HOPS), _NONE, dtype=np.int64)
    _close(edges.rows, edges.party, edges.other, edges.booked_at, edges.amount, begins, window, thresholds["least_share"],
           np.zeros(_MOST_HOPS, dtype=np.int64), np.zeros(_MOST_HOPS, dtype=np.int64), paths)  # fmt: skip
    closed = [path[path != _NONE] for path in paths[paths[:, 0] != _NONE]]
    closed.sort(key=lambda path: int(edges.rows[path[-1]]))
    return [_alert(book, edges, path) for path in closed if book.own[edges.party[path[0]]]]


def _alert(book: Book, edges: Side, path: Int64s) -> Alert:
    rows = edges.rows[path]
    evidence = tuple(book.transaction_id[row].as_py() for row in rows.tolist())
    first, last = path[0], path[-1]
    sentence = (
        f"{pounds(int(edges.amount[first]))} left the account and {pounds(int(edges.amount[last]))} came back to it through"
        f" {len(path) - 1} other{'s' if len(path) > 2 else ''}, from {instant(int(edges.booked_at[first]))}"
        f" to {instant(int(edges.booked_at[last]))}."
    )
    return Alert(f"{NAME}_closed", book.payer[rows[0]].as_py(), sentence, int(edges.booked_at[last]), evidence[-1], evidence)


@kernel
def _close(
    rows: Int64s,
    payer: Int32s,
    payee: Int32s,
    booked_at: Int64s,
    amount: Int64s,
    begins: Int64s,
    window_us: int,
    share: int,
    path: Int64s,
    following: Int64s,
    paths: Int64s,
) -> None:
    """For each payment that closes a cycle, the first cycle found; ``path`` and ``following`` are the search's stack."""
    for first in range(rows.size):
        path[0] = first
        following[0] = _after(rows, begins, payee[first], rows[first])
        hops = 1
        while hops > 0:
            edge = following[hops - 1]
            now = path[hops - 1]
            at = payee[now]
            if edge == begins[at + 1] or booked_at[edge] - booked_at[first] > window_us:
                hops -= 1
                continue
            following[hops - 1] += 1
            if amount[edge] > amount[now] or amount[edge] * 100 < amount[now] * share:
                continue
            to = payee[edge]
            if to == payer[first]:
                if paths[edge, 0] == -1:
                    for hop in range(hops):
                        paths[edge, hop] = path[hop]
                    paths[edge, hops] = edge
                continue
            passed = False
            for hop in range(hops):
                passed = passed or payee[path[hop]] == to
            if hops + 1 < paths.shape[1] and not passed:
                path[hops] = edge
                following[hops] = _after(rows, begins, to, rows[edge])
                hops += 1


@inlined
def _after(rows: Int64s, begins: Int64s, party: int, row: int) -> int:
    """The first of a party's edges that comes after a row."""
    low, high = begins[party], begins[party + 1]
    while low < high:
        middle = (low + high) // 2
        if rows[middle] > row:
            high = middle
        else:
            low = middle + 1
    return int(low)
