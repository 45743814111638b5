"""Text columns as kernels see them: bytes and offsets, shared with Arrow and not copied."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

Array = TypeVar("Array", bound=npt.NDArray[np.generic])

_EMPTY = np.zeros(1, dtype=np.uint8)
_EMPTY.flags.writeable = False


@dataclass(frozen=True)
class Text:
    """A column of n texts: text i is ``data[offsets[i]:offsets[i + 1]]``.

    A null and an empty text look the same: in the landing contract both mean "no value".
    """

    data: Bytes  # at least one byte long, so that kernels may take its address
    offsets: Offsets  # n + 1 of them, ascending

    def __len__(self) -> int:
        return len(self.offsets) - 1


def from_arrow(column: pa.StringArray | pa.ChunkedArray) -> Text:
    """See an Arrow string column as bytes and offsets; no copy unless it is in chunks or its nulls have bytes."""
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    validity, offsets, data = column.buffers()
    if offsets is None or len(column) == 0:
        return Text(_EMPTY, read_only(np.zeros(1, dtype=np.int32)))
    view = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    if column.null_count and view[-1] > view[0]:
        valid = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), count=column.offset + len(column), bitorder="little")
        if np.diff(view)[valid[column.offset :] == 0].any():
            return from_arrow(column.fill_null(""))  # Arrow lets a null have bytes
    return Text(read_only(np.frombuffer(data, dtype=np.uint8)) if data is not None and data.size else _EMPTY, read_only(view))


def read_only(array: Array) -> Array:
    """The same memory, not to be written: kernels are compiled for one kind of array, and this is the one they get."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def to_arrow(text: Text, null: Mask | None = None) -> pa.StringArray:
    """The Arrow string column over the same memory; ``null`` is True where the column has no value.

    The bytes must be valid UTF-8: nothing checks them here.
    """
    validity = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.StringArray.from_buffers(len(text), pa.py_buffer(text.offsets), pa.py_buffer(text.data), validity)
