"""The currency of an amount: ISO 4217:2015, alphabetic code in force, of a kind that people are paid in."""

from functools import cache

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Text
from app.contracts.reasons import Codes, fault_numbers
from app.reference.currencies import Status, currencies
from app.validation import letters

_WITHDRAWN = letters.UNKNOWN + 1
_NOT_MONEY = letters.UNKNOWN + 2
_ACTIVE = letters.UNKNOWN + 3  # and then one entry an exponent

Exponents = npt.NDArray[np.int8]
UNKNOWN_EXPONENT = -1


def check(text: Text) -> tuple[Exponents, Codes]:
    """The exponent of each currency's minor unit, -1 where the currency is objected to; and the reasons' numbers.

    The text itself is the canonical form. ISO 4217:2015, section 5 (codes), table A.1 (minor units), table A.3 (withdrawn).
    """
    entries = letters.look_up(text, 3, _table())
    active = entries >= _ACTIVE
    exponents = np.where(active, entries.astype(np.int8) - _ACTIVE, UNKNOWN_EXPONENT).astype(np.int8)
    faults = fault_numbers("currency", "missing", "format", "unknown", "withdrawn", "not_money")
    return exponents, faults[np.where(active, letters.KNOWN, entries)]


@cache
def _table() -> Bytes:
    entries = {}
    for currency in currencies():
        if currency.status is Status.ACTIVE and currency.exponent is not None:
            entries[currency.code] = _ACTIVE + currency.exponent
        else:
            entries[currency.code] = _WITHDRAWN if currency.status is Status.WITHDRAWN else _NOT_MONEY
    return letters.table_of(entries, 3)
