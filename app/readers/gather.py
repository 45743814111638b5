"""From places in a unit's bytes to columns: each column's bytes are copied once, next to each other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import Bytes, Mask, Offsets, Text, to_arrow
from app.jit import kernel
from app.readers.parsed import Numbers
from app.vector import CHUNK, copy

Places = npt.NDArray[np.int32]
Bits = npt.NDArray[np.uint16]
MAX_UNIT_BYTES = 2**31 - 1


@dataclass(frozen=True)
class Spans:
    """The raw bytes of n records: record i is ``data[begin[i]:stop[i]]``."""

    data: Bytes
    begin: Places
    stop: Places

    def take(self, rows: Numbers) -> pa.BinaryArray:
        """The bytes of those records."""
        chosen = column(self.data, self.begin[rows], self.stop[rows], np.zeros(len(rows), dtype=np.uint16), 0)
        return pa.BinaryArray.from_buffers(pa.binary(), len(chosen), [None, pa.py_buffer(chosen.offsets), pa.py_buffer(chosen.data)])


def column(data: Bytes, begin: Places, stop: Places, escaped: Bits, bit: int) -> Text:
    """The texts ``data[begin[i]:stop[i]]``; where ``escaped[i]`` has the bit, each pair of quotes becomes one."""
    offsets = np.empty(len(begin) + 1, dtype=np.int32)
    length = _measure(data, begin, stop, escaped, bit, offsets)
    out = np.empty(length + CHUNK, dtype=np.uint8)  # the copy of a text may write so much beyond it
    _copy(data, begin, stop, escaped, bit, out)
    return Text(out[: max(length, 1)], offsets)


def arrow_column(data: Bytes, begin: Places, stop: Places, escaped: Bits, bit: int, null: Mask | None = None) -> pa.StringArray:
    """The same as an Arrow array."""
    return to_arrow(column(data, begin, stop, escaped, bit), null)


@kernel
def _measure(data: Bytes, begin: Places, stop: Places, escaped: Bits, bit: int, offsets: Offsets) -> int:
    total = 0
    offsets[0] = 0
    for i in range(begin.size):
        total += stop[i] - begin[i]
        if (escaped[i] >> bit) & 1:
            at = begin[i]
            while at < stop[i]:
                if data[at] == 34:
                    total -= 1
                    at += 1
                at += 1
        offsets[i + 1] = total
    return total


@kernel
def _copy(data: Bytes, begin: Places, stop: Places, escaped: Bits, bit: int, out: Bytes) -> None:
    to = 0
    for i in range(begin.size):
        at = begin[i]
        end = stop[i]
        if (escaped[i] >> bit) & 1:
            while at < end:
                byte = data[at]
                out[to] = byte
                to += 1
                at += 2 if byte == 34 else 1
        else:
            copy(data, at, end - at, out, to)
            to += end - at
