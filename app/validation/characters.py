"""Which unwelcome characters a text of any kind has."""

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.jit import inlined, kernel

LINE = 1  # tab, line feed or carriage return
CONTROL = 2  # any other control character: general category Cc, that is C0, DEL and C1
BIDIRECTIONAL = 4  # property Bidi_Control: they can make a text look like another one
BLANK_FIRST = 8  # begins with a character of property White_Space
BLANK_LAST = 16  # ends with one
_BLANK = 32


def kinds(text: Text) -> npt.NDArray[np.uint8]:
    """The kinds of unwelcome characters in each text, or-ed. The texts are valid UTF-8.

    The Unicode Standard 16.0: sections 4.6 (general category) and 23.1 (control codes), UAX #9 (Bidi_Control), PropList
    (White_Space).
    """
    found = np.empty(len(text), dtype=np.uint8)
    _scan(text.data, text.offsets, found)
    return found


@kernel
def _scan(data: Bytes, offsets: Offsets, found: Bytes) -> None:
    for row in range(found.size):
        start = offsets[row]
        end = offsets[row + 1]
        kinds_found = 0
        blank_end = -1
        at = start
        while at < end:
            byte = int(data[at])
            # Most bytes are printable ASCII; no character that matters has more than three bytes.
            if 32 < byte < 127 or 0x80 <= byte < 0xC2 or byte > 0xE3:
                at += 1
                continue
            width = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3
            kind = _kind(_point(data, at, width))
            if kind == _BLANK:
                if at == start:
                    kinds_found |= BLANK_FIRST
                blank_end = at + width
            else:
                kinds_found |= kind
            at += width
        if blank_end == end:
            kinds_found |= BLANK_LAST
        found[row] = kinds_found


@inlined
def _point(data: Bytes, at: int, width: int) -> int:
    """The code point of the character of one to three bytes at ``at``."""
    byte = int(data[at])
    if width == 1:
        return byte
    point = byte & (0x1F if width == 2 else 0x0F)
    for i in range(1, width):
        point = point << 6 | (int(data[at + i]) & 0x3F)
    return point


@inlined
def _kind(point: int) -> int:
    """The kind of the character: one of the above, _BLANK, or 0 if it is welcome anywhere."""
    if point < 0x20 or 0x7F <= point < 0xA0:
        return LINE if point in (9, 10, 13) else CONTROL
    if point in (0x20, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000) or 0x2000 <= point <= 0x200A:
        return _BLANK
    if point in (0x061C, 0x200E, 0x200F) or 0x202A <= point <= 0x202E or 0x2066 <= point <= 0x2069:
        return BIDIRECTIONAL
    return 0
