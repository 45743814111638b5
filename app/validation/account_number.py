"""Account numbers: eight digits, of the booked account and of the counterparty's."""

from dataclasses import dataclass

import numpy as np

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import kernel

_MISSING = 1
_FORMAT = 2
_LENGTH = 3
_PLACEHOLDER = 4
_DIGITS = 8


@dataclass(frozen=True)
class Account:
    """The two columns that name a UK account: canonical sort codes, and account numbers that stand where their code is 0."""

    sort_code: Text
    number: Text
    number_codes: Codes


def check(text: Text, field: str) -> Codes:
    """The reasons' numbers, as ``field`` has them; the text itself is the canonical form.

    Pay.UK, "Validating account numbers", section 2: an account number has eight digits. Shorter ones are not padded, since
    what was lost is not known; a float (``1234567.0``) or an exponent (``1.2E+07``) is not a number of digits at all.
    """
    codes = np.zeros(len(text), dtype=np.uint8)
    _check(text.data, text.offsets, fault_numbers(field, "missing", "format", "length", "placeholder"), codes)
    return codes


@kernel
def _check(data: Bytes, offsets: Offsets, faults: Codes, codes: Codes) -> None:
    for row in range(codes.size):
        total = 0
        wrong = False
        for at in range(offsets[row], offsets[row + 1]):
            digit = int(data[at]) - 48
            wrong |= digit < 0 or digit > 9
            total += digit
        length = offsets[row + 1] - offsets[row]
        fault = 0
        if length == 0:
            fault = _MISSING
        elif wrong:
            fault = _FORMAT
        elif length != _DIGITS:
            fault = _LENGTH
        elif total == 0:
            fault = _PLACEHOLDER
        codes[row] = faults[fault]
