"""Codes of capital letters, looked up in a table: currencies and countries."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.jit import kernel

KNOWN = 0
MISSING = 1
FORMAT = 2  # not that many capital letters
UNKNOWN = 3  # not in the table; entries of the table's own kinds are greater


def table_of(entries: Mapping[str, int], letters: int) -> Bytes:
    """The table of ``26 ** letters`` entries, UNKNOWN where ``entries`` has no such code."""
    table = np.full(26**letters, UNKNOWN, dtype=np.uint8)
    for code, entry in entries.items():
        position = 0
        for letter in code:
            position = position * 26 + ord(letter) - ord("A")
        table[position] = entry
    return table


def look_up(text: Text, letters: int, table: Bytes) -> npt.NDArray[np.uint8]:
    """The table's entry of each text, or MISSING or FORMAT. Only A to Z are letters; case is not folded."""
    entries = np.empty(len(text), dtype=np.uint8)
    _look_up(text.data, text.offsets, letters, table, entries)
    return entries


@kernel
def _look_up(data: Bytes, offsets: Offsets, letters: int, table: Bytes, entries: Bytes) -> None:
    for row in range(entries.size):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length != letters:
            entries[row] = MISSING if length == 0 else FORMAT
            continue
        position = 0
        capital = True
        for i in range(letters):
            letter = int(data[start + i]) - 65
            capital &= 0 <= letter < 26
            position = position * 26 + letter
        entries[row] = table[position] if capital else FORMAT
