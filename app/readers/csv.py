"""CSV as RFC 4180 has it: UTF-8 with or without a byte order mark; LF, CRLF or both; quoted fields may hold line ends.

Every record has one of three fates, decided by its own bytes and never by where the file was cut: it is read; it is faulty
and ends where it should; or a quoted field of it is never properly closed. Then the record ends at the first line end after that
field's opening quote, and reading goes on in the next line. A quoted field is not properly closed if its closing quote does not come
within MAX_QUOTED_BYTES, or if the quote that closes it, in a later line, is followed by text.

Of several faults one is reported: of its form (the first in the record), then NUL, then encoding.
"""

import difflib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import Bytes, read_only
from app.contracts.landing import NAMES, SCHEMA, VERSIONS, version_of, versions_said
from app.contracts.reasons import Codes, number_of
from app.errors import FileRejected
from app.jit import kernel
from app.readers import utf8
from app.readers.gather import MAX_UNIT_BYTES, Bits, Places, Spans, arrow_column
from app.readers.parsed import Parsed
from app.readers.record import EMPTY, FIELD_COUNT, HAS_HIGH, HAS_NUL, INCOMPLETE, next_record
from app.readers.split import Ends, RecordSplitter, line_ends

_BOM = b"\xef\xbb\xbf"
_MAX_HEADER_FIELDS = 256
_NUL = number_of("nul")
_ENCODING = number_of("encoding")


class Splitter(RecordSplitter):
    """Finds the header, then cuts the records into units; a header that is not the landing contract's is FileRejected."""

    def __init__(self, unit_bytes: int) -> None:
        super().__init__(unit_bytes)
        self.names: tuple[str, ...] = ()  # of the columns, as the header orders them

    def _ready(self, *, final: bool) -> bool:
        if self.names:
            return True
        if not final and len(self._pending) < len(_BOM):
            return False
        start = len(_BOM) if self._pending.startswith(_BOM) else 0
        data = np.frombuffer(self._pending + b"\0", dtype=np.uint8)
        begin, stop = (np.zeros(_MAX_HEADER_FIELDS, dtype=np.int32) for _ in range(2))
        code, _, end, fields, _, flags = next_record(data, start, len(self._pending), final, begin, stop, 1)
        if code == INCOMPLETE:
            return False
        self.names = _names(self._pending[start:end], start, code, begin[:fields], stop[:fields], flags)
        self._skip(end)
        return True

    def _record_ends(self, data: Bytes, *, final: bool) -> Ends:
        if b'"' not in self._pending:  # then every line is a record, whatever else is in it
            return line_ends(data, final=final)
        ends = np.empty(int(np.count_nonzero(data == 10)) + 1, dtype=np.int64)
        return ends[: _record_ends(data, final, np.zeros(1, dtype=np.int32), ends)]


def _names(line: bytes, start: int, code: int, begin: Places, stop: Places, flags: int) -> tuple[str, ...]:
    """The header's names, if they are the landing contract's; ``begin`` and ``stop`` count from ``start`` before the line."""
    if not line:
        raise FileRejected("file_empty", "the file has no header; a CSV file without records has at least its header")
    try:
        line.decode()
    except UnicodeDecodeError:
        flags = HAS_NUL
    if flags & HAS_NUL:
        raise FileRejected("not_text", "the first line is not UTF-8 text; write the file as CSV in UTF-8")
    if code not in {0, EMPTY, FIELD_COUNT}:
        raise FileRejected("header_quotes", "the quotes of the header are not as RFC 4180 has them; write the names without quotes")
    fields = [line[b - start : s - start].replace(b'""', b'"') for b, s in zip(begin.tolist(), stop.tolist(), strict=True)]
    names = [field.decode() for field in fields]
    if not set(names) & set(NAMES):
        raise FileRejected("header_missing", f"the first line names none of the columns; begin the file with them: {versions_said()}")
    check_names(names)
    return tuple(names)


def check_names(names: list[str]) -> None:
    """Raise FileRejected unless these are the columns of a version of the landing contract, each once, in any order."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileRejected("header_column_duplicate", f"the header names {', '.join(twice)} twice; every column stands once")
    known = VERSIONS[version_of(set(names).intersection(NAMES))]
    missing = [name for name in known if name not in names]
    unknown = [name for name in names if name not in NAMES]
    near = {name: difflib.get_close_matches(name, missing or set(NAMES).difference(names), 1) for name in unknown}
    hints = [f"{name!r}" + "".join(f" (is it {one}?)" for one in near[name]) for name in unknown]
    if missing:
        also = f"; it has {', '.join(hints)} instead" if hints else ""
        raise FileRejected(
            "header_column_missing", f"the header lacks {', '.join(missing)}{also}; all columns are needed, empty or not: {versions_said()}"
        )
    if unknown:
        raise FileRejected(
            "header_column_unknown",
            f"the header has {', '.join(hints)}, which no version of the landing contract knows; leave it out: {versions_said()}",
        )


def parse(data: bytes | memoryview, names: tuple[str, ...], first_record_number: int) -> Parsed:
    """The records of a span's bytes; ``names`` are the header's, in its order."""
    if len(data) > MAX_UNIT_BYTES:
        raise ValueError(f"a unit of {len(data)} bytes is too large for 32-bit offsets")
    buffer = read_only(np.frombuffer(data, dtype=np.uint8) if len(data) else np.zeros(0, dtype=np.uint8))
    most = int(np.count_nonzero(buffer == 10)) + 1
    begin, stop = (np.empty((len(names), most), dtype=np.int32) for _ in range(2))
    row_begin, row_stop, fault_begin, fault_stop = (np.empty(most, dtype=np.int32) for _ in range(4))
    escaped = np.zeros(most, dtype=np.uint16)
    row_number, fault_number = (np.empty(most, dtype=np.int64) for _ in range(2))
    fault_code = np.empty(most, dtype=np.uint8)
    field_begin, field_stop = (np.empty(len(names), dtype=np.int32) for _ in range(2))
    good = (begin, stop, escaped, row_begin, row_stop, row_number)
    rows, faults = _parse(buffer, field_begin, field_stop, *good, fault_begin, fault_stop, fault_number, fault_code)
    columns = {name: arrow_column(buffer, begin[i, :rows], stop[i, :rows], escaped[:rows], i) for i, name in enumerate(names)}
    bad = Spans(buffer, fault_begin[:faults], fault_stop[:faults])
    return Parsed(
        pa.table([columns[name] if name in columns else pa.nulls(rows, pa.string()) for name in NAMES], schema=SCHEMA),
        row_number[:rows] + first_record_number,
        Spans(buffer, row_begin[:rows].copy(), row_stop[:rows].copy()),
        fault_number[:faults] + first_record_number,
        fault_code[:faults].copy(),
        bad.take(np.arange(faults)),
        version_of(names),
    )


@kernel
def _record_ends(data: Bytes, final: bool, nowhere: Places, ends: Ends) -> int:
    count = 0
    at = 0
    while at < data.size:
        code, _, after, _, _, _ = next_record(data, at, data.size, final, nowhere, nowhere, 1)
        if code == INCOMPLETE:
            break
        ends[count] = after
        count += 1
        at = after
    return count


@kernel
def _parse(
    data: Bytes,
    field_begin: Places,
    field_stop: Places,
    begin: npt.NDArray[np.int32],
    stop: npt.NDArray[np.int32],
    escaped: Bits,
    row_begin: Places,
    row_stop: Places,
    row_number: npt.NDArray[np.int64],
    fault_begin: Places,
    fault_stop: Places,
    fault_number: npt.NDArray[np.int64],
    fault_code: Codes,
) -> tuple[int, int]:
    names = begin.shape[0]
    rows = 0
    faults = 0
    at = 0
    while at < data.size:
        code, content, after, _, quotes, flags = next_record(data, at, data.size, True, field_begin, field_stop, names)
        if code == 0 and flags & HAS_NUL:
            code = _NUL
        if code == 0 and flags & HAS_HIGH and not utf8.valid(data, at, content):
            code = _ENCODING
        if code == 0:
            for i in range(names):
                begin[i, rows] = field_begin[i]
                stop[i, rows] = field_stop[i]
            escaped[rows] = quotes
            row_begin[rows] = at
            row_stop[rows] = content
            row_number[rows] = rows + faults
            rows += 1
        else:
            fault_begin[faults] = at
            fault_stop[faults] = content
            fault_code[faults] = code
            fault_number[faults] = rows + faults
            faults += 1
        at = after
    return rows, faults
