"""LEIs: the legal entity identifiers of companies."""

import numpy as np

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel

_FORMAT, _LENGTH, _CHECKSUM = 1, 2, 3
_LENGTH_DUE = 20


def check(text: Text) -> Codes:
    """The reasons' numbers, 0 where there is no LEI; the text itself is the canonical form.

    ISO 17442-1:2020, section 5: twenty characters, eighteen capital letters or digits and two check digits; annex A: ISO/IEC 7064,
    MOD 97-10. Check digits 00, 01 and 99 cannot come of the calculation (02 to 98 do) and are refused.
    """
    codes = np.zeros(len(text), dtype=np.uint8)
    _check(text.data, text.offsets, fault_numbers("lei", "format", "length", "checksum"), codes)
    return codes


@kernel
def _check(data: Bytes, offsets: Offsets, faults: Codes, codes: Codes) -> None:
    for row in range(codes.size):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length:
            codes[row] = faults[_fault(data, start, length)]


@inlined
def _fault(data: Bytes, start: int, length: int) -> int:
    remainder = 0
    for i in range(length):
        byte = int(data[start + i])
        if 48 <= byte <= 57:
            remainder = (remainder * 10 + byte - 48) % 97
        elif 65 <= byte <= 90 and i < _LENGTH_DUE - 2:
            remainder = (remainder * 100 + byte - 55) % 97
        else:
            return _FORMAT
    if length != _LENGTH_DUE:
        return _LENGTH
    check_digits = (int(data[start + 18]) - 48) * 10 + int(data[start + 19]) - 48
    return 0 if remainder == 1 and 2 <= check_digits <= 98 else _CHECKSUM
