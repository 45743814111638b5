"""Merchant category codes: what a card's merchant sells."""

from functools import cache

import numpy as np

from app.columns import Bytes, Mask, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import kernel
from app.reference.merchant_categories import merchant_categories

_FORMAT, _UNKNOWN = 1, 2
_DIGITS = 4


def check(text: Text) -> Codes:
    """The reasons' numbers, 0 where there is no code; the text itself is the canonical form. ISO 18245:2023, section 5: four digits."""
    codes = np.zeros(len(text), dtype=np.uint8)
    if text.offsets[0] == text.offsets[-1]:
        return codes
    _check(text.data, text.offsets, _known(), fault_numbers("mcc", "format", "unknown"), codes)
    return codes


@cache
def _known() -> Mask:
    known = np.zeros(10**_DIGITS, dtype=np.bool_)
    known[[int(code) for code in merchant_categories()]] = True
    known.flags.writeable = False
    return known


@kernel
def _check(data: Bytes, offsets: Offsets, known: Mask, faults: Codes, codes: Codes) -> None:
    for row in range(codes.size):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length == 0:
            continue
        number = 0
        wrong = length != _DIGITS
        for i in range(min(length, _DIGITS)):
            digit = int(data[start + i]) - 48
            wrong |= not 0 <= digit <= 9
            number = number * 10 + digit
        if wrong:
            codes[row] = faults[_FORMAT]
        elif not known[number]:
            codes[row] = faults[_UNKNOWN]
