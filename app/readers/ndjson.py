"""NDJSON: one JSON object (RFC 8259) a line, UTF-8, lines ended by LF or CRLF.

Values are text or null; a missing key is null; only amount may be a number, whose digits are kept as they stand. A fast path takes
lines that are beyond doubt (a flat object, each key once, no escapes). Every other line is read by Python's own JSON parser,
which decides whether it is a record and what its fault is.
"""

import json
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import Bytes, read_only
from app.contracts.landing import NAMES, SCHEMA, version_of
from app.contracts.reasons import Codes, number_of
from app.errors import FileRejected
from app.jit import inlined, kernel
from app.readers import utf8
from app.readers.gather import MAX_UNIT_BYTES, Bits, Places, Spans, arrow_column
from app.readers.parsed import Parsed
from app.readers.split import Ends, RecordSplitter, line_ends

_BOM = b"\xef\xbb\xbf"
_LOOK_LINES = 1_000
_AMOUNT = NAMES.index("amount")
_OBJECT = re.compile(rb"[ \t\r]*\{")

Line = list[str | None]


class Splitter(RecordSplitter):
    """Cuts lines into units; a file none of whose first lines is a JSON object is FileRejected."""

    def __init__(self, unit_bytes: int) -> None:
        super().__init__(unit_bytes)
        self._begun = False
        self._looked = 0  # lines that were looked at for an object
        self._has_object = False

    def _ready(self, *, final: bool) -> bool:
        if not self._begun:
            if not final and len(self._pending) <= len(_BOM):
                return False
            if not self._pending.removeprefix(_BOM):
                raise FileRejected("file_empty", "the file has no line; an NDJSON file has one JSON object a line")
            self._skip(len(_BOM) if self._pending.startswith(_BOM) else 0)
            self._begun = True
        return True

    def _record_ends(self, data: Bytes, *, final: bool) -> Ends:
        ends = line_ends(data, final=final)
        if not self._has_object and self._looked < _LOOK_LINES:
            self._look(data, ends)
        if final and not self._has_object:
            raise _not_ndjson()
        return ends

    def _look(self, data: Bytes, ends: Ends) -> None:
        begin = 0
        for end in ends[: _LOOK_LINES - self._looked].tolist():
            line = data[begin:end].tobytes()
            begin = end
            if line.strip():
                self._looked += 1
                self._has_object = self._has_object or _OBJECT.match(line) is not None
        if self._looked >= _LOOK_LINES and not self._has_object:
            raise _not_ndjson()


def _not_ndjson() -> FileRejected:
    return FileRejected("not_ndjson", "none of the first lines is a JSON object; write one object a line, or name the file by what it is")


def parse(data: bytes | memoryview, first_record_number: int) -> Parsed:
    """The records of a span's bytes."""
    buffer = read_only(np.frombuffer(data, dtype=np.uint8) if len(data) else np.zeros(0, dtype=np.uint8))
    line_begin, line_stop = _lines(buffer)
    count = len(line_begin)
    begin, stop = (np.zeros((len(NAMES), count), dtype=np.int32) for _ in range(2))
    present = np.zeros(count, dtype=np.uint16)
    fast = np.zeros(count, dtype=np.bool_)
    named = np.zeros(1, dtype=np.uint16)
    _parse(buffer, line_begin, line_stop, _KEYS, _KEY_ENDS, begin, stop, present, fast, named)
    code = np.zeros(count, dtype=np.uint8)
    slow = np.flatnonzero(~fast)
    extended = _read_slowly(buffer, line_begin, line_stop, slow, begin, stop, present, code, named)
    rows = np.flatnonzero(code == 0)
    plain = np.zeros(len(rows), dtype=np.uint16)
    columns = [_column(extended, begin[i, rows], stop[i, rows], plain, present[rows], i) for i in range(len(NAMES))]
    faults = np.flatnonzero(code)
    raw = Spans(buffer, line_begin, line_stop)
    return Parsed(
        pa.table(columns, schema=SCHEMA),
        rows + first_record_number,
        Spans(buffer, line_begin[rows], line_stop[rows]),
        faults + first_record_number,
        code[faults],
        raw.take(faults),
        version_of([name for i, name in enumerate(NAMES) if (int(named[0]) >> i) & 1]),
    )


@dataclass(frozen=True)
class Listed:
    """The records of a JSON list: landing texts, and each one's own bytes."""

    columns: pa.Table
    lines: list[bytes]


def read_list(data: bytes, begin: int, most: int) -> Listed | None:
    """The records of ``[{…}, {…}]}``, of which ``data[begin:]`` is what follows the first bracket; at most so many.

    None if a list or one of its records is not beyond doubt: read it by ``read_json``, which says what its fault is.
    """
    buffer = read_only(np.frombuffer(data, dtype=np.uint8))
    ends = np.empty((2, most), dtype=np.int32)
    count = _cut_list(buffer, begin, ends[0], ends[1])
    if count <= 0:
        return None
    record_begin, record_stop = ends[0, :count], ends[1, :count]
    field_begin, field_stop = (np.zeros((len(NAMES), count), dtype=np.int32) for _ in range(2))
    present, fast = np.zeros(count, dtype=np.uint16), np.zeros(count, dtype=np.bool_)
    _parse(buffer, record_begin, record_stop, _KEYS, _KEY_ENDS, field_begin, field_stop, present, fast, np.zeros(1, dtype=np.uint16))
    if not fast.all():
        return None
    plain = np.zeros(count, dtype=np.uint16)
    columns = [_column(buffer, field_begin[i], field_stop[i], plain, present, i) for i in range(len(NAMES))]
    places = zip(record_begin.tolist(), record_stop.tolist(), strict=True)
    return Listed(pa.table(columns, schema=SCHEMA), [data[first:last] for first, last in places])


def _column(data: Bytes, begin: Places, stop: Places, escaped: Bits, present: Bits, i: int) -> pa.StringArray:
    """The values of the contract's column ``i``; null where ``present`` has not its bit."""
    null: npt.NDArray[np.bool_] = (present >> np.uint16(i)) & np.uint16(1) == 0
    if null.all():  # a column of a later version, in a file of an older one
        return pa.nulls(len(null), pa.string())
    return arrow_column(data, begin, stop, escaped, 0, null if null.any() else None)


def _lines(buffer: Bytes) -> tuple[Places, Places]:
    """Where each line's content begins and stops, without its line end."""
    feeds = np.flatnonzero(buffer == 10).astype(np.int32)
    stop = feeds if len(feeds) and feeds[-1] == len(buffer) - 1 else np.append(feeds, np.int32(len(buffer)))
    if not len(buffer):
        stop = stop[:0]
    begin = np.concatenate([np.zeros(min(1, len(stop)), dtype=np.int32), stop[:-1] + np.int32(1)])
    returns = (stop > begin) & (buffer[np.maximum(stop - 1, 0)] == 13) if len(stop) else np.zeros(0, dtype=np.bool_)
    return begin, (stop - returns).astype(np.int32)


def _read_slowly(
    buffer: Bytes,
    line_begin: Places,
    line_stop: Places,
    rows: npt.NDArray[np.int64],
    begin: Places,
    stop: Places,
    present: Bits,
    code: Codes,
    named: Bits,
) -> Bytes:
    """Read the odd lines; their texts go behind the unit's bytes, and their places and keys to where the fast path puts its own."""
    texts: list[bytes] = []
    at = len(buffer)
    for row in rows.tolist():
        found = _object_of(buffer[line_begin[row] : line_stop[row]].tobytes())
        present[row] = 0
        if isinstance(found, str):
            code[row] = number_of(found)
            continue
        for key, _ in found:
            named[0] |= 1 << NAMES.index(key)
        for i, value in enumerate(_line_of(found)):
            if value is not None:
                texts.append(value.encode())
                begin[i, row], stop[i, row] = at, at + len(texts[-1])
                at += len(texts[-1])
                present[row] |= 1 << i
    if at > MAX_UNIT_BYTES:
        raise ValueError(f"a unit of {at} bytes is too large for 32-bit offsets")
    return read_only(np.concatenate([buffer, np.frombuffer(b"".join(texts), dtype=np.uint8)])) if texts else buffer


class _Digits(str):
    """A JSON number as it stands."""

    __slots__ = ()


class Pairs(list[tuple[str, object]]):
    """A JSON object as it stands."""


def _constant(name: str) -> object:
    raise ValueError(name)


def read_line(raw: bytes) -> Line | str:
    """One line, slowly and exactly: a value or None of each of the contract's columns, or the code of its fault."""
    found = _object_of(raw)
    return found if isinstance(found, str) else _line_of(found)


def _object_of(raw: bytes) -> Pairs | str:
    if not raw:
        return "record_empty"
    if b"\0" in raw:
        return "nul"
    try:
        found = read_json(raw)
    except UnicodeDecodeError:
        return "encoding"
    except (ValueError, RecursionError):
        return "json_syntax"
    return _checked(found)


def read_json(raw: bytes) -> object:
    """JSON for ``record_of``: numbers keep their digits, objects every key, as often as it comes. ValueError if it is none."""
    return json.loads(raw.decode(), object_pairs_hook=Pairs, parse_float=_Digits, parse_int=_Digits, parse_constant=_constant)


def record_of(found: object) -> Line | str:
    """What ``read_json`` gave, as a record: a value or None of each of the contract's columns, or the code of its fault."""
    checked = _checked(found)
    return checked if isinstance(checked, str) else _line_of(checked)


def _line_of(pairs: Pairs) -> Line:
    values = dict(pairs)
    return [value if isinstance(value := values.get(name), str) else None for name in NAMES]


def _checked(pairs: object) -> Pairs | str:
    """An object that is a record, or the code of its fault."""
    if not isinstance(pairs, Pairs):
        return "json_not_object"
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        return "json_key_duplicate"
    if not set(keys) <= set(NAMES):
        return "json_key_unknown"
    if not all(_fits(key, value) for key, value in pairs):
        return "json_type"
    every = "".join(value for _, value in pairs if isinstance(value, str))
    if "\0" in every:
        return "nul"
    try:
        every.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, written as \ud800
        return "encoding"
    return pairs


def _fits(key: str, value: object) -> bool:
    return value is None or (isinstance(value, str) and (key == "amount" or not isinstance(value, _Digits)))


_KEYS = np.frombuffer("".join(NAMES).encode(), dtype=np.uint8)
_KEY_ENDS = np.cumsum([len(name) for name in NAMES])


@kernel
def _parse(
    data: Bytes,
    line_begin: Places,
    line_stop: Places,
    keys: Bytes,
    key_ends: npt.NDArray[np.int64],
    begin: npt.NDArray[np.int32],
    stop: npt.NDArray[np.int32],
    present: Bits,
    fast: npt.NDArray[np.bool_],
    named: Bits,
) -> None:
    """``named``: which keys the lines have, by bit, whether with a value or with null."""
    for row in range(line_begin.size):
        fast[row], seen = _read_fast(data, line_begin[row], line_stop[row], keys, key_ends, begin[:, row], stop[:, row], present, row)
        if fast[row]:
            named[0] |= np.uint16(seen)


@inlined
def _read_fast(
    data: Bytes, at: int, end: int, keys: Bytes, key_ends: npt.NDArray[np.int64], begin: Places, stop: Places, present: Bits, row: int
) -> tuple[bool, int]:
    """Read a line that is beyond doubt: True, and its keys by bit; False if it is not."""
    high = np.uint8(0)
    seen = 0
    i = _blanks(data, at, end)
    if i >= end or data[i] != 123:  # {
        return False, 0
    while True:
        i = _blanks(data, i + 1, end)
        if i >= end or data[i] != 34:
            return False, 0
        key_begin = i + 1
        i = _text_end(data, key_begin, end)
        key = -1 if i < 0 else _key_of(data, key_begin, i, keys, key_ends)
        if key < 0 or (seen >> key) & 1:
            return False, 0
        seen |= 1 << key
        i = _blanks(data, i + 1, end)
        if i >= end or data[i] != 58:  # :
            return False, 0
        i = _blanks(data, i + 1, end)
        if i >= end:
            return False, 0
        if data[i] == 34:
            close = _text_end(data, i + 1, end)
            if close < 0:
                return False, 0
            begin[key] = i + 1
            stop[key] = close
            present[row] |= np.uint16(1 << key)
            for k in range(i + 1, close):
                high |= data[k]
            i = close + 1
        elif data[i] == 110:  # null
            if i + 4 > end or data[i + 1] != 117 or data[i + 2] != 108 or data[i + 3] != 108:
                return False, 0
            i += 4
        else:
            close = _number_end(data, i, end) if key == _AMOUNT else -1
            if close < 0:
                return False, 0
            begin[key] = i
            stop[key] = close
            present[row] |= np.uint16(1 << key)
            i = close
        i = _blanks(data, i, end)
        if i >= end:
            return False, 0
        if data[i] == 125:  # }
            break
        if data[i] != 44:  # ,
            return False, 0
    if high >= 128 and not utf8.valid(data, at, end):
        return False, 0
    return _blanks(data, i + 1, end) == end, seen


@kernel
def _cut_list(data: Bytes, at: int, begin: Places, stop: Places) -> int:
    """Where each flat object of a list begins and stops; gives how many there are, or -1 if the rest is not ``{…}, …, {…}]}``."""
    end = data.size
    count = 0
    while True:
        at = _white(data, at, end)
        if at >= end or data[at] != 123 or count == begin.size:  # {
            return -1
        begin[count] = at
        while at < end and data[at] != 125:  # }
            if data[at] == 34:
                at = _text_end(data, at + 1, end)
                if at < 0:
                    return -1
            at += 1
        at += 1
        stop[count] = at
        count += 1
        at = _white(data, at, end)
        if at >= end:
            return -1
        if data[at] == 93:  # ]
            break
        if data[at] != 44:  # ,
            return -1
        at += 1
    at = _white(data, at + 1, end)
    return count if at < end and data[at] == 125 and _white(data, at + 1, end) == end else -1


@inlined
def _white(data: Bytes, i: int, end: int) -> int:
    while i < end and (data[i] == 32 or data[i] == 10 or data[i] == 9 or data[i] == 13):
        i += 1
    return i


@inlined
def _blanks(data: Bytes, i: int, end: int) -> int:
    while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 13):
        i += 1
    return i


@inlined
def _text_end(data: Bytes, i: int, end: int) -> int:
    """Where a string's closing quote is; -1 if there is none, or a backslash or a control character comes first."""
    while i < end:
        byte = data[i]
        if byte == 34:
            return i
        if byte == 92 or byte < 32:
            return -1
        i += 1
    return -1


@inlined
def _key_of(data: Bytes, begin: int, end: int, keys: Bytes, key_ends: npt.NDArray[np.int64]) -> int:
    at = 0
    for key in range(key_ends.size):
        length = key_ends[key] - at
        if length == end - begin:
            same = True
            for k in range(length):
                if data[begin + k] != keys[at + k]:
                    same = False
                    break
            if same:
                return key
        at = key_ends[key]
    return -1


@inlined
def _number_end(data: Bytes, i: int, end: int) -> int:
    """Where a JSON number ends (RFC 8259, section 6); -1 if there is none."""
    if i < end and data[i] == 45:
        i += 1
    if i >= end or data[i] < 48 or data[i] > 57:
        return -1
    if data[i] == 48:
        i += 1
    else:
        i = _digits_end(data, i, end)
    if i < end and data[i] == 46:
        after = _digits_end(data, i + 1, end)
        if after == i + 1:
            return -1
        i = after
    if i < end and (data[i] == 101 or data[i] == 69):
        i += 1
        if i < end and (data[i] == 43 or data[i] == 45):
            i += 1
        after = _digits_end(data, i, end)
        if after == i:
            return -1
        i = after
    return i


@inlined
def _digits_end(data: Bytes, i: int, end: int) -> int:
    while i < end and 48 <= data[i] <= 57:
        i += 1
    return i
