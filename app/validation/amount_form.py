"""Amounts that a source writes otherwise than the landing contract, made into plain decimals by the form that it declared."""

import numpy as np

from app.columns import Bytes, Offsets, Text
from app.contracts.amount_form import LEADING, PARENTHESES, TRAILING, AmountForm
from app.jit import inlined, kernel

_UNREADABLE = ord("?")  # no plain decimal: the amount is objected to by its usual reason


def plain(text: Text, form: AmountForm) -> Text:
    """Each amount as the landing contract writes it, ``[+-]?[0-9]+(.[0-9]+)?``; what is not of the form becomes ``?``, which is refused.

    Separators stand before every three digits or nowhere; never behind the point. Nothing else is understood: with ``1.234,56``
    declared, ``1.234`` is one thousand two hundred and thirty-four, and ``12.34`` is refused.
    """
    out = Text(np.empty(len(text.data) + 1, dtype=np.uint8), np.zeros(len(text) + 1, dtype=np.int32))
    separator = ord(form.separator) if form.separator else 0
    _plain(text.data, text.offsets, separator, ord(form.point), form.sign, out.data, out.offsets)
    return out


@kernel
def _plain(data: Bytes, offsets: Offsets, separator: int, point: int, sign: int, out: Bytes, out_offsets: Offsets) -> None:
    used = 0
    for row in range(offsets.size - 1):
        start, end = offsets[row], offsets[row + 1]
        if start < end:
            mark = _sign(data, start, end, sign)
            begin = start + (1 if mark and sign != TRAILING else 0)
            stop = end - (1 if mark and sign != LEADING else 0)
            length = 0
            if mark:
                out[used] = mark
                length = 1
            written = _digits(data, begin, stop, separator, point, out, used + length)
            if written == 0:
                out[used] = _UNREADABLE
                length = 1
            used += length + written
        out_offsets[row + 1] = used


@inlined
def _sign(data: Bytes, start: int, end: int, sign: int) -> int:
    """The sign that is written where this form has it: ``+``, ``-`` or 0."""
    if sign == PARENTHESES:
        return 45 if end - start > 2 and data[start] == 40 and data[end - 1] == 41 else 0
    byte = int(data[start if sign == LEADING else end - 1])
    return byte if byte in (43, 45) else 0


@inlined
def _digits(data: Bytes, begin: int, end: int, separator: int, point: int, out: Bytes, at: int) -> int:
    """Write the plain decimal of ``data[begin:end]``; how many characters it has, 0 if that is not of the form."""
    written = 0
    group = 0  # digits since the last separator
    separated = False
    whole = True  # before the point
    for i in range(begin, end):
        byte = int(data[i])
        if 48 <= byte <= 57:
            out[at + written] = byte
            written += 1
            group += 1
        elif whole and byte == point and group > 0 and (group == 3 or not separated):
            out[at + written] = 46
            written += 1
            whole = False
            group = 0
        elif whole and separator and byte == separator and (group == 3 if separated else 0 < group <= 3):
            separated = True
            group = 0
        else:
            return 0
    complete = group > 0 and (group == 3 or not (whole and separated))
    return written if complete else 0
