"""A payment's row by its id: a table of hashes with open addressing."""

from typing import Any

import numpy as np

from app.features.payments import Int64s
from app.features.stretches import NOBODY, Rows, Words
from app.jit import inlined, kernel


@inlined
def _slot(high: np.uint64, slots: Int64s) -> Any:
    return np.int64(high & np.uint64(slots.size - 1))


@inlined
def find(high: np.uint64, low: np.uint64, rows: Rows, slots: Int64s) -> Any:
    """The row of an id, or NOBODY."""
    slot = _slot(high, slots)
    while slots[slot] != NOBODY:
        row = slots[slot]
        if rows.high[row] == high and rows.low[row] == low:
            return row
        slot = (slot + 1) & (slots.size - 1)
    return np.int64(NOBODY)


@inlined
def put(row: int, rows: Rows, slots: Int64s) -> None:
    """Let a row be found."""
    slot = _slot(rows.high[row], slots)
    while slots[slot] != NOBODY:
        slot = (slot + 1) & (slots.size - 1)
    slots[slot] = row


@kernel
def hash_all(count: int, rows: Rows, slots: Int64s) -> None:
    """The same for all rows."""
    for row in range(count):
        put(row, rows, slots)


@kernel
def find_all(high: Words, low: Words, rows: Rows, slots: Int64s, out: Int64s) -> None:
    """The rows of some ids."""
    for i in range(high.size):
        out[i] = find(high[i], low[i], rows, slots)
