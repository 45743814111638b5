"""Cutting a file's bytes, which come in any pieces, into units of whole records."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from app.columns import Bytes
from app.errors import FileRejected
from app.readers.parsed import Span

MAX_RECORD_BYTES = 16 * 1024 * 1024
# As long as a record is open, how it ends may depend on what follows it by this much (a quoted field's limit, and a line end).
_UNDECIDED_BYTES = 1024 * 1024 + 2

Ends = npt.NDArray[np.int64]


def line_ends(data: Bytes, *, final: bool) -> Ends:
    """Where each line ends, line end included; the last may have none if the file ends there."""
    ends = np.flatnonzero(data == 10) + 1
    if final and len(data) and (not len(ends) or ends[-1] < len(data)):
        ends = np.append(ends, len(data))
    return ends


class RecordSplitter(ABC):
    """Feed it a file's bytes in order; it gives spans of about ``unit_bytes`` that tile the file's records.

    It holds the bytes of the record that is open, and no others. Where the pieces and the units are cut changes no record.
    """

    def __init__(self, unit_bytes: int) -> None:
        self._unit_bytes = unit_bytes
        self._pending = b""  # from the begin of the open record
        self._offset = 0  # of the pending bytes in the file
        self._unit_offset = 0
        self._unit_records = 0
        self._records = 0  # in all units that were closed

    def feed(self, data: bytes) -> Iterator[Span]:
        """Take the next bytes; give the units that are complete."""
        self._pending += data
        yield from self._advance(final=False)

    def finish(self) -> Iterator[Span]:
        """The file has ended: give the last unit."""
        yield from self._advance(final=True)
        if self._unit_records:
            yield self._close(self._offset)

    def _advance(self, *, final: bool) -> Iterator[Span]:
        if not self._ready(final=final):
            return
        data = np.frombuffer(self._pending, dtype=np.uint8)
        ends = self._record_ends(data, final=final)
        lengths = np.diff(ends, prepend=0)
        consumed = int(ends[-1]) if len(ends) else 0
        long = np.flatnonzero(lengths > MAX_RECORD_BYTES)
        if len(long) or len(data) - consumed > MAX_RECORD_BYTES + _UNDECIDED_BYTES:
            number = self._records + self._unit_records + int(long[0] if len(long) else len(ends)) + 1
            message = f"record {number} is longer than {MAX_RECORD_BYTES} bytes; check that the file is text and has line ends"
            raise FileRejected("record_too_long", message)
        yield from self._units(ends)
        self._pending = self._pending[consumed:]
        self._offset += consumed

    def _units(self, ends: Ends) -> Iterator[Span]:
        taken = 0
        while taken < len(ends):
            due = self._unit_offset - self._offset + self._unit_bytes
            last = int(np.searchsorted(ends, due))
            if last >= len(ends):
                self._unit_records += len(ends) - taken
                return
            self._unit_records += last + 1 - taken
            taken = last + 1
            yield self._close(self._offset + int(ends[last]))

    def _close(self, end: int) -> Span:
        span = Span(self._unit_offset, end - self._unit_offset, self._records + 1, self._unit_records)
        self._records += self._unit_records
        self._unit_offset, self._unit_records = end, 0
        return span

    def _skip(self, length: int) -> None:
        """Leave out the next bytes: they are no record."""
        self._pending = self._pending[length:]
        self._offset += length
        self._unit_offset = self._offset

    @abstractmethod
    def _ready(self, *, final: bool) -> bool:
        """Whether what comes before the first record is dealt with."""

    @abstractmethod
    def _record_ends(self, data: Bytes, *, final: bool) -> Ends:
        """Where each record that is complete ends, line end included; ``data`` begins with a record."""
