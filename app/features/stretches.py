"""Payments as rows, and each party's as a stretch of one pool of rows, in their order: arrays that grow, which kernels work on."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import Text, to_arrow
from app.features import timeline
from app.features.outcomes import Labels
from app.features.payments import UNKNOWN, Int32s, Int64s
from app.features.timeline import State
from app.jit import inlined, kernel

NOBODY: Final = -1
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


class Rows(NamedTuple):
    """Columns of all payments; what lies behind the last one means nothing yet.

    A payment's values lie next to each other (``new_rows``): a party's payments lie far apart, and each look at one waits for memory, once
    and not once a column.
    """

    booked_at: Int64s
    amount: Int64s  # not negative
    signed: Int64s
    log: Int64s
    payer: Int32s
    payee: Int32s
    stands_for: Int64s
    country: Int32s
    label: Labels  # what was decided of the row
    judged: Labels  # of the transfer: of its two legs
    high: Words
    low: Words
    content: Words
    id_begin: Int64s
    id_end: Int64s
    asked: Int64s  # for the kernels: all UNASKED


_LINE: Final = 64
"""How many bytes memory gives at a time."""
_LOOKED_AT: Final = {
    "booked_at": "<i8", "amount": "<i8", "log": "<i8", "stands_for": "<i8", "asked": "<i8", "payer": "<i4", "payee": "<i4", "judged": "i1",
    "label": "i1",
}  # fmt: skip
"""What a walk through a party's payments reads of each: all in one line."""
_REST: Final = {"signed": "<i8", "high": "<u8", "low": "<u8", "content": "<u8", "id_begin": "<i8", "id_end": "<i8", "country": "<i4"}
_PAYMENT: Final = np.dtype([("looked_at", [*_LOOKED_AT.items()]), ("_", "V14"), ("rest", [*_REST.items()]), ("__", "V12")])
"""Two lines."""


def new_rows(count: int) -> Rows:
    """Columns for so many payments, all 0."""
    memory = np.zeros((count + 1) * _PAYMENT.itemsize, dtype=np.uint8)
    begin = -memory.ctypes.data % _LINE
    payments = memory[begin : begin + count * _PAYMENT.itemsize].view(_PAYMENT)
    columns = {name: payments[part][name] for part, names in (("looked_at", _LOOKED_AT), ("rest", _REST)) for name in names}
    return Rows(**columns)


def more_rows(rows: Rows, least: int) -> Rows:
    """The same payments with room for twice as many as there are to be."""
    out = new_rows(max(2 * least, 1024))
    had = _memory(rows)
    _memory(out)[: len(had)] = had
    return out


def _memory(rows: Rows) -> Int64s:
    """All that the columns hold, as it lies: payments begin with ``booked_at``, and nothing lies between them."""
    words = _PAYMENT.itemsize // rows.booked_at.itemsize
    return np.lib.stride_tricks.as_strided(rows.booked_at, (len(rows.booked_at) * words,), (rows.booked_at.itemsize,))


class Stretches(NamedTuple):
    """Of each party where its rows lie in the pool: from ``at``, so many, with room for so many."""

    at: Int64s
    size: Int64s
    room: Int64s
    coming: Int64s  # for the kernels: all 0
    own: Int64s  # 1 if a payment was booked on it: it is an account of this bank


class Scratch(NamedTuple):
    """What the kernels work in."""

    entries: Int64s  # this and all to ``were_judged``: as long as the longest stretch
    waiting: Int64s
    booked_at: Int64s  # one party's payments next to each other: rows lie far apart, and each look at one waits for memory
    amount: Int64s
    log: Int64s
    payer: Int32s
    payee: Int32s
    asked: Int64s
    judged: Labels
    stood_for: Int64s
    were_judged: Labels
    met: npt.NDArray[np.int32]  # [3, parties], all zero
    first: Int64s  # of each party the earliest and the latest row of its that is asked about; NOBODY
    last: Int64s
    begins: Int64s
    state: State


_PLACES: Final = {
    "entries": "<i8", "waiting": "<i8", "booked_at": "<i8", "amount": "<i8", "log": "<i8", "payer": "<i4", "payee": "<i4", "asked": "<i8",
    "judged": "i1", "stood_for": "<i8", "were_judged": "i1",
}  # fmt: skip
"""What ``Scratch`` has for each payment of a stretch."""


def new_scratch(places: int, met: npt.NDArray[np.int32], first: Int64s, last: Int64s) -> Scratch:
    """With room for so many payments of a stretch."""
    arrays = {name: np.zeros(places, dtype=kind) for name, kind in _PLACES.items()}
    return Scratch(**arrays, met=met, first=first, last=last, begins=np.zeros(2, dtype=np.int64), state=timeline.state())


def longer(column: npt.NDArray[Any], least: int) -> npt.NDArray[Any]:
    """The same column with room for twice as much."""
    out = np.zeros((max(2 * least, 1024), *column.shape[1:]), dtype=column.dtype)
    out[: len(column)] = column
    return out


@kernel
def longest(size: Int64s, sides: Int32s) -> Any:
    """How many payments the one of these parties has that has most."""
    most = 0
    for side in sides:
        if side != UNKNOWN and size[side] > most:
            most = size[side]
    return most


@kernel
def reserve(pool: Int64s, pooled: int, stretches: Stretches, sides: Int32s) -> Any:
    """Give each party room for its payments among ``sides``: what has none is copied to the pool's end. Gives the pool's end.

    If that is behind the pool, nothing is done: make the pool longer, and call again.
    """
    at, size, room, coming, _ = stretches
    for side in sides:
        if side != UNKNOWN:
            coming[side] += 1
    needed = pooled
    for side in sides:
        if side != UNKNOWN and coming[side] > 0 and size[side] + coming[side] > room[side]:
            needed += 2 * (size[side] + coming[side])
            coming[side] = -coming[side]  # each party once
    end = pooled
    for side in sides:
        if side != UNKNOWN:
            if coming[side] < 0 and needed <= pool.size:
                for place in range(size[side]):
                    pool[end + place] = pool[at[side] + place]
                at[side] = end
                room[side] = 2 * (size[side] - coming[side])
                end += room[side]
            coming[side] = 0
    return needed


@inlined
def precedes(one: int, other: int, rows: Rows, ids: Bytes) -> bool:
    """(booked_at, transaction_id) of one row is less than the other's."""
    if rows.booked_at[one] != rows.booked_at[other]:
        return bool(rows.booked_at[one] < rows.booked_at[other])
    a, b = rows.id_begin[one], rows.id_begin[other]
    while a < rows.id_end[one] and b < rows.id_end[other]:
        if ids[a] != ids[b]:
            return bool(ids[a] < ids[b])
        a += 1
        b += 1
    return bool(a == rows.id_end[one] and b < rows.id_end[other])


@inlined
def place_of(row: int, begin: int, end: int, rows: Rows, ids: Bytes, pool: Int64s) -> int:
    """Where in a stretch the row is, or belongs."""
    if begin < end and precedes(pool[end - 1], row, rows, ids):  # most payments come last
        return end
    while begin < end:
        middle = (begin + end) // 2
        if precedes(pool[middle], row, rows, ids):
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel
def insert(row: int, side: int, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches) -> Any:
    """Put a row into its place in a party's stretch, which it gives."""
    at, size = stretches.at, stretches.size
    place = place_of(row, at[side], at[side] + size[side], rows, ids, pool)
    for later in range(at[side] + size[side], place, -1):
        pool[later] = pool[later - 1]
    pool[place] = row
    size[side] += 1
    return place - at[side]


@inlined
def comes_last(row: int, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches) -> bool:
    """Whether nothing of its parties lies behind a row: then it changes nothing that was to be said of the others."""
    for side in (rows.payer[row], rows.payee[row]):
        if side != UNKNOWN and stretches.size[side] and not precedes(pool[stretches.at[side] + stretches.size[side] - 1], row, rows, ids):
            return False
    return True


def gathered(rows: Int64s, places: tuple[Int64s, Int64s], ids: Bytes) -> tuple[Bytes, Int64s]:
    """Some rows' ids next to each other, and where each begins."""
    begin, end = (place[rows] for place in places)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(end - begin, out=offsets[1:])
    texts = np.zeros(int(offsets[-1]), dtype=np.uint8)
    _gather(begin, ids, offsets, texts)
    return texts, offsets


def texts_of(rows: Int64s, places: tuple[Int64s, Int64s], ids: Bytes) -> pa.StringArray:
    """The same as an array."""
    texts, offsets = gathered(rows, places, ids)
    return to_arrow(Text(texts, offsets.astype(np.int32)))


@kernel
def _gather(begin: Int64s, ids: Bytes, offsets: Int64s, texts: Bytes) -> None:
    for i in range(begin.size):
        for byte in range(offsets[i + 1] - offsets[i]):
            texts[offsets[i] + byte] = ids[begin[i] + byte]
