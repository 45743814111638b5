"""BICs: the business identifier codes of banks and other parties."""

from functools import cache

import numpy as np

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel
from app.reference.countries import countries
from app.validation import letters

_FORMAT, _LENGTH, _COUNTRY, _TEST = 1, 2, 3, 4


def check(text: Text) -> Codes:
    """The reasons' numbers, 0 where there is no BIC; the text itself is the canonical form.

    ISO 9362:2022, section 4: eight characters (party prefix of four, country code of ISO 3166-1 or XK, party suffix of two), or eleven
    (with a branch identifier of three); capital letters and digits, letters in the country code. A suffix that ends in 0 is of a test
    BIC, which no live payment has (a warning). Whether the code was ever given to anybody is not checked.
    """
    codes = np.zeros(len(text), dtype=np.uint8)
    _check(text.data, text.offsets, _countries(), fault_numbers("bic", "format", "length", "country", "test"), codes)
    return codes


@cache
def _countries() -> Bytes:
    return letters.table_of(dict.fromkeys(countries(), letters.KNOWN), 2)


@kernel
def _check(data: Bytes, offsets: Offsets, known: Bytes, faults: Codes, codes: Codes) -> None:
    for row in range(codes.size):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length:
            codes[row] = faults[_fault(data, start, length, known)]


@inlined
def _fault(data: Bytes, start: int, length: int, known: Bytes) -> int:
    for i in range(length):
        byte = data[start + i]
        letter = 65 <= byte <= 90
        if not letter and (i in (4, 5) or not 48 <= byte <= 57):
            return _FORMAT
    if length not in (8, 11):
        return _LENGTH
    if known[(int(data[start + 4]) - 65) * 26 + int(data[start + 5]) - 65]:
        return _COUNTRY
    return _TEST if data[start + 7] == 48 else 0
