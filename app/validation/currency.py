"""The currency of an amount: ISO 4217:2015, alphabetic code in force, of a kind that people are paid in."""

from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Text
from app.contracts.reasons import Codes, fault_numbers
from app.reference.currencies import Status, currencies, readable_exponents
from app.validation import letters

_WITHDRAWN = letters.UNKNOWN + 1
_NOT_MONEY = letters.UNKNOWN + 2
_READABLE = letters.UNKNOWN + 3  # and then one entry a currency whose exponent is known

Exponents = npt.NDArray[np.int8]
Days = npt.NDArray[np.int32]
UNKNOWN_EXPONENT = -1
_EPOCH = date(1970, 1, 1)
_FOR_EVER = np.iinfo(np.int32).max


def check(text: Text, booking_date: Days) -> tuple[Exponents, Codes]:
    """The exponent of each currency's minor unit, -1 where the amount cannot be read; and the reasons' numbers.

    ``booking_date`` is in days since 1970: a withdrawn currency may stand in records of its time, as far as its minor unit is known. The
    text itself is the canonical form. ISO 4217:2015, section 5 (codes), table A.1 (minor units), table A.3 (withdrawn).
    """
    entries = letters.look_up(text, 3, _table())
    exponents, last_days = _readable()
    place = np.maximum(entries.astype(np.int64) - _READABLE, 0)
    readable = entries >= _READABLE
    judged = np.where(readable, np.where(booking_date <= last_days[place], letters.KNOWN, _WITHDRAWN), entries)
    faults = fault_numbers("currency", "missing", "format", "unknown", "withdrawn", "not_money")
    return np.where(readable, exponents[place], UNKNOWN_EXPONENT).astype(np.int8), faults[judged]


@cache
def _readable() -> tuple[Exponents, Days]:
    """Exponent and last day of each currency whose exponent is known, in alphabetical order."""
    known = [currency for currency in currencies() if currency.code in readable_exponents()]
    days = [_FOR_EVER if currency.last_day is None else (currency.last_day - _EPOCH).days for currency in known]
    return np.array([currency.exponent for currency in known], dtype=np.int8), np.array(days, dtype=np.int32)


@cache
def _table() -> Bytes:
    places = {code: _READABLE + place for place, code in enumerate(readable_exponents())}
    others = {Status.WITHDRAWN: _WITHDRAWN, Status.NOT_MONEY: _NOT_MONEY}
    return letters.table_of({c.code: places[c.code] if c.code in places else others[c.status] for c in currencies()}, 3)
