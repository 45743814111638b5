"""One CSV record: the state machine behind the CSV reader."""

from app.columns import Bytes
from app.contracts.reasons import number_of
from app.jit import inlined
from app.readers.gather import Places
from app.vector import WIDTH, lowest_bit, text_marks

MAX_QUOTED_BYTES = 1024 * 1024
INCOMPLETE = 255  # what the record is depends on bytes that are not there yet
HAS_HIGH, HAS_NUL = 1, 2

EMPTY = number_of("record_empty")
FIELD_COUNT = number_of("field_count")
UNCLOSED = number_of("quote_unclosed")
MISPLACED = number_of("quote_misplaced")
BARE_RETURN = number_of("carriage_return_bare")

_LF, _CR, _QUOTE, _COMMA = 10, 13, 34, 44


@inlined
def next_record(
    data: Bytes, at: int, end: int, final: bool, begin: Places, stop: Places, names: int
) -> tuple[int, int, int, int, int, int]:
    """Read the record that begins at ``at`` in ``data[:end]``; ``final``: the file ends at ``end``.

    Returns its code (0, a fault's number, or INCOMPLETE), where its content ends, where the next record begins, how many fields
    it has, which of them (by bit) have doubled quotes, and HAS_HIGH, HAS_NUL. The places of the fields go to ``begin`` and
    ``stop`` as far as there is room; a record with another number of fields than ``names`` has the fault field_count.
    """
    field = 0
    quotes = 0
    flags = 0
    i = at
    while True:
        if i < end and data[i] == _QUOTE:
            close, doubled, seen, line_ends = _closing_quote(data, i, end)
            flags |= seen
            undecided = not final and (close + 1 >= end if close >= 0 else end - i - 1 < MAX_QUOTED_BYTES)
            if undecided:
                return INCOMPLETE, 0, 0, 0, 0, 0
            if close < 0:
                return _to_line_end(data, at, i, end, final, UNCLOSED, flags)
            if field < begin.size:
                begin[field] = i + 1
                stop[field] = close
            if doubled and field < 16:
                quotes |= 1 << field
            i = close + 1
            if i < end and data[i] == _CR and i + 1 >= end and not final:
                return INCOMPLETE, 0, 0, 0, 0, 0
            if i < end and data[i] != _COMMA and data[i] != _LF and not (data[i] == _CR and i + 1 < end and data[i + 1] == _LF):
                code = UNCLOSED if line_ends else BARE_RETURN if data[i] == _CR else MISPLACED
                return _to_line_end(data, at, close - line_ends, end, final, code, flags)
        else:
            from_here = i
            while i < end:
                if i + WIDTH <= end:
                    marks = text_marks(data, i)
                    if marks == 0:
                        i += WIDTH
                        continue
                    i += lowest_bit(marks)
                byte = data[i]
                if byte == _COMMA or byte == _LF or byte == _CR or byte == _QUOTE:
                    break
                if byte >= 128:
                    flags |= HAS_HIGH
                elif byte == 0:
                    flags |= HAS_NUL
                i += 1
            if field < begin.size:
                begin[field] = from_here
                stop[field] = i
            if i < end and data[i] == _QUOTE:
                return _to_line_end(data, at, i, end, final, MISPLACED, flags)
            if i < end and data[i] == _CR:
                if i + 1 >= end and not final:
                    return INCOMPLETE, 0, 0, 0, 0, 0
                if i + 1 >= end or data[i + 1] != _LF:
                    return _to_line_end(data, at, i, end, final, BARE_RETURN, flags)
        if i >= end and not final:
            return INCOMPLETE, 0, 0, 0, 0, 0
        field += 1
        if i < end and data[i] == _COMMA:
            i += 1
            continue
        content = i
        if i < end:
            i += 2 if data[i] == _CR else 1
        code = 0
        if content == at:
            code = EMPTY
        elif field != names:
            code = FIELD_COUNT
        return code, content, i, field, quotes, flags


@inlined
def _closing_quote(data: Bytes, opening: int, end: int) -> tuple[int, bool, int, int]:
    """Where the quoted field is closed (-1: not within its limit), whether it has doubled quotes, its flags, and how far back
    from its closing quote its first line end lies (0: it has none)."""
    limit = min(end, opening + 1 + MAX_QUOTED_BYTES)
    doubled = False
    flags = 0
    first_line_end = -1
    i = opening + 1
    while i < limit:
        byte = data[i]
        if byte == _QUOTE:
            if i + 1 < end and data[i + 1] == _QUOTE:
                doubled = True
                i += 2
                continue
            return i, doubled, flags, i - first_line_end if first_line_end >= 0 else 0
        if byte == _LF and first_line_end < 0:
            first_line_end = i
        if byte >= 128:
            flags |= HAS_HIGH
        elif byte == 0:
            flags |= HAS_NUL
        i += 1
    return -1, doubled, flags, 0


@inlined
def _to_line_end(data: Bytes, at: int, start: int, end: int, final: bool, code: int, flags: int) -> tuple[int, int, int, int, int, int]:
    """The faulty record ends at the first line end from ``start`` on."""
    i = start
    while i < end and data[i] != _LF:
        i += 1
    if i >= end:
        if not final:
            return INCOMPLETE, 0, 0, 0, 0, 0
        return code, end, end, 0, 0, flags
    content = i - 1 if i > at and data[i - 1] == _CR else i
    return code, content, i + 1, 0, 0, flags
