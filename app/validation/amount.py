"""Amounts: plain decimals, made into whole minor units without ever being a float."""

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel

Minor = npt.NDArray[np.int64]

_MISSING = 1
_FORMAT = 2
_PRECISION = 3
_RANGE = 4
_LIMIT = 10**15  # minor units: the sum of nine thousand of the greatest amounts is still an int64


def check(text: Text, exponents: npt.NDArray[np.int8]) -> tuple[Minor, Codes]:
    """Signed minor units, 0 where the amount is objected to; and the reasons' numbers.

    ``exponents`` has the decimals of each row's currency (ISO 4217:2015, table A.1), or -1 where the currency is not known: then
    decimals cannot be judged, and the amount is not read. Landing contract v1, amount: ``[+-]?[0-9]+(.[0-9]+)?`` in ASCII, so
    that ``.5``, ``5.``, ``1,000``, ``1E5``, ``NaN`` and blanks are refused. ``1.000`` GBP has three decimals and is refused too:
    a feed that writes them means another currency, or another unit. ``-0.00`` is 0.
    """
    rows = len(text)
    minor = np.zeros(rows, dtype=np.int64)
    codes = np.zeros(rows, dtype=np.uint8)
    faults = fault_numbers("amount", "missing", "format", "precision", "range")
    _check(text.data, text.offsets, exponents, faults, minor, codes)
    return minor, codes


@kernel
def _check(data: Bytes, offsets: Offsets, exponents: npt.NDArray[np.int8], faults: Codes, minor: Minor, codes: Codes) -> None:
    for row in range(codes.size):
        start = offsets[row]
        end = offsets[row + 1]
        exponent = int(exponents[row])
        signed = 1 if start < end and data[start] in (43, 45) else 0
        value, decimals = _read(data, start + signed, end, exponent)
        for _ in range(exponent - decimals if decimals >= 0 else 0):
            if value < _LIMIT:  # else it is out of range already, and might overflow
                value *= 10
        fault = 0
        if start == end:
            fault = _MISSING
        elif decimals < 0:
            fault = _FORMAT
        elif exponent >= 0 and decimals > exponent:
            fault = _PRECISION
        elif value >= _LIMIT:
            fault = _RANGE
        elif exponent >= 0:
            minor[row] = -value if data[start] == 45 else value
        codes[row] = faults[fault]


@inlined
def _read(data: Bytes, at: int, end: int, exponent: int) -> tuple[int, int]:
    """The digits as one number, and how many of them stand after the point: -1 if it is no plain decimal.

    Beyond the limit the number says only that it is beyond; without an exponent it has only the digits before the point.
    """
    value = 0
    whole = 0  # digits before the point
    decimals = -1  # digits after the point; -1 until there is a point
    while at < end:
        digit = int(data[at]) - 48
        if 0 <= digit <= 9:
            if value < _LIMIT and (decimals < 0 or exponent >= 0):
                value = value * 10 + digit
            if decimals < 0:
                whole += 1
            else:
                decimals += 1
        elif digit == -2 and decimals < 0 and whole > 0:
            decimals = 0
        else:
            return 0, -1
        at += 1
    if whole == 0 or decimals == 0:
        return 0, -1
    return value, (decimals if decimals > 0 else 0)
