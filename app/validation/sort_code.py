"""Sort codes: six digits, of the booked account and of the counterparty's."""

import numpy as np

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel

_MISSING = 1
_FORMAT = 2
_PLACEHOLDER = 3
_DIGITS = 6


def check(text: Text, field: str) -> tuple[Text, Codes]:
    """Six digits each, empty where there is none or it is objected to; and the reasons' numbers, as ``field`` has them.

    Pay.UK, "Validating account numbers", section 2: a sort code has six digits, written 123456, 12-34-56 or 12 34 56. Nothing
    is repaired: a lost leading zero stays lost. Only 000000 is taken for a placeholder: Pay.UK allots ranges by bank, and any
    other repeated or running digits may be somebody's branch.
    """
    rows = len(text)
    out = Text(np.empty(rows * _DIGITS + 1, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int32))
    codes = np.zeros(rows, dtype=np.uint8)
    faults = fault_numbers(field, "missing", "format", "placeholder")
    _check(text.data, text.offsets, faults, out.data, out.offsets, codes)
    return out, codes


@kernel
def _check(data: Bytes, offsets: Offsets, faults: Codes, out: Bytes, out_offsets: Offsets, codes: Codes) -> None:
    used = 0
    for row in range(codes.size):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length == 0:
            fault = _MISSING
        elif length == _DIGITS:
            fault = _copy(data, start, 1, out, used)
        elif length == _DIGITS + 2 and data[start + 2] == data[start + 5] and (data[start + 2] == 45 or data[start + 2] == 32):
            fault = _copy(data, start, 0, out, used)
        else:
            fault = _FORMAT
        codes[row] = faults[fault]
        if fault == 0:
            used += _DIGITS
        out_offsets[row + 1] = used


@inlined
def _copy(data: Bytes, start: int, compact: int, out: Bytes, used: int) -> int:
    """Write the six digits at ``used``, stepping over separators unless ``compact``; the fault, or 0."""
    total = 0
    wrong = False
    for i in range(_DIGITS):
        digit = int(data[start + i + (0 if compact else i // 2)]) - 48
        wrong |= digit < 0 or digit > 9
        total += digit
        out[used + i] = digit + 48
    if wrong:
        return _FORMAT
    return _PLACEHOLDER if total == 0 else 0
