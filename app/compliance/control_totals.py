"""Control totals: how many records, and how many minor units of each currency.

The same totals are made twice, on paths that share no code. ``of_text`` adds up what a file says, digit by digit, from the
texts that the reader gave; ``of_rows`` adds up the typed columns of what lies in the tables. Whether they are equal is
what a certificate is about.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.columns import Text
from app.contracts.amount_form import LEADING, PARENTHESES, TRAILING, AmountForm
from app.jit import kernel

_CODES = 26 * 26 * 26
_SPLIT = 10**9  # sums are kept in two halves: an int64 holds the sum of 9·10^9 of each
MAX_DIGITS = 15


@dataclass(frozen=True)
class Totals:
    """Records, and the signed sum of minor units by currency; a currency whose records sum to 0 is listed with 0."""

    records: int = 0
    amount_minor: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Totals") -> "Totals":
        amounts = dict(self.amount_minor)
        for currency, amount in other.amount_minor.items():
            amounts[currency] = amounts.get(currency, 0) + amount
        return Totals(self.records + other.records, dict(sorted(amounts.items())))


def total(parts: Iterable[Totals]) -> Totals:
    """The sum of many."""
    result = Totals()
    for part in parts:
        result = result + part
    return result


def of_text(records: int, amount: Text, currency: Text, exponents: Mapping[str, int]) -> Totals:
    """The totals of a file's texts.

    ``records`` counts unreadable records too; an amount counts if it is a plain decimal of at most 15 digits in minor units, with
    no more decimals than ``exponents`` gives its currency.
    """
    table = np.full(_CODES, -1, dtype=np.int8)
    for code, exponent in exponents.items():
        table[_position(code)] = exponent
    high = np.zeros(_CODES, dtype=np.int64)
    low = np.zeros(_CODES, dtype=np.int64)
    count = np.zeros(_CODES, dtype=np.int64)
    _add_texts(amount.data, amount.offsets, currency.data, currency.offsets, table, high, low, count)
    sums = {_code(int(i)): int(high[i]) * _SPLIT + int(low[i]) for i in np.flatnonzero(count)}
    return Totals(records, dict(sorted(sums.items())))


def plain_amounts(amounts: pa.StringArray, form: AmountForm) -> pa.StringArray:
    """Amounts of a declared form as plain decimals, null where they are not of it: by regular expressions, unlike validation."""
    separator, point = re.escape(form.separator), re.escape(form.point)
    whole = rf"[0-9]{{1,3}}(?:{separator}[0-9]{{3}})+|[0-9]+" if separator else "[0-9]+"
    number = f"(?:{whole})(?:{point}[0-9]+)?"
    signed = {LEADING: f"[+-]?{number}", TRAILING: f"{number}[+-]?", PARENTHESES: rf"\({number}\)|{number}"}[form.sign]
    fitting = pc.if_else(pc.match_substring_regex(amounts, f"^(?:{signed})$"), amounts, None)
    bare = pc.replace_substring(pc.replace_substring_regex(fitting, rf"[^0-9{point}]", ""), form.point, ".")
    negative = pc.match_substring_regex(fitting, r"[-(]")
    return pc.binary_join_element_wise(pc.if_else(negative, "-", ""), bare, "")


def _position(code: str) -> int:
    a, b, c = (ord(letter) - ord("A") for letter in code)
    return (a * 26 + b) * 26 + c


def _code(position: int) -> str:
    return "".join(chr(ord("A") + position // divisor % 26) for divisor in (676, 26, 1))


@kernel
def _add_texts(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int32],
    code_data: npt.NDArray[np.uint8],
    code_offsets: npt.NDArray[np.int32],
    exponents: npt.NDArray[np.int8],
    high: npt.NDArray[np.int64],
    low: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
) -> None:
    for row in range(offsets.size - 1):
        code_at = code_offsets[row]
        if code_offsets[row + 1] - code_at != 3:
            continue
        position = 0
        for i in range(3):
            letter = int(code_data[code_at + i]) - 65
            if letter < 0 or letter > 25:
                position = -1
                break
            position = position * 26 + letter
        if position < 0 or exponents[position] < 0:
            continue
        at = offsets[row]
        end = offsets[row + 1]
        negative = at < end and data[at] == 45
        if negative or (at < end and data[at] == 43):
            at += 1
        value = np.int64(0)
        decimals = -1  # none seen, no point seen
        digits = 0  # before the point
        readable = at < end
        while at < end:
            byte = data[at]
            if byte == 46 and decimals < 0 and digits > 0:
                decimals = 0
            elif 48 <= byte <= 57 and value < 10**MAX_DIGITS:
                value = value * 10 + (byte - 48)
                if decimals < 0:
                    digits += 1
                else:
                    decimals += 1
            else:
                readable = False
                break
            at += 1
        if not readable or decimals == 0 or decimals > exponents[position]:
            continue
        for _ in range(exponents[position] - max(decimals, 0)):
            value *= 10
        if value >= 10**MAX_DIGITS:
            continue
        if negative:
            value = -value
        high[position] += value // _SPLIT
        low[position] += value % _SPLIT
        count[position] += 1


def of_rows(rows: pa.Table) -> dict[str, Totals]:
    """By source_sha256, the totals of rows that lie in a table.

    Columns: source_sha256, amount_minor (int64), and currency, null where nothing could be read.
    """
    groups = pa.table(
        {"source": rows["source_sha256"], "currency": rows["currency"], "amount": pc.cast(rows["amount_minor"], pa.decimal128(38, 0))}
    )
    sums = groups.group_by(["source", "currency"]).aggregate([([], "count_all"), ("amount", "sum")])
    totals: dict[str, Totals] = {}
    for group in sums.to_pylist():
        amounts = {} if group["currency"] is None else {group["currency"]: int(group["amount_sum"])}
        totals[group["source"]] = totals.get(group["source"], Totals()) + Totals(group["count_all"], amounts)
    return totals


Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Marks:
    """A set of record numbers of one file: number n is bit n % 8 of ``bits[n // 8 - first_byte]``."""

    first_byte: int
    bits: Bits
    twice: int | None = None  # the lowest number that came more than once
    stray: int | None = None  # a number that is not in the file

    def on_bytes(self, count: int) -> Bits:
        """The set as ``count`` bytes from number 0 on."""
        whole = np.zeros(count, dtype=np.uint8)
        whole[self.first_byte : self.first_byte + self.bits.size] = self.bits
        return whole


def marks(record_numbers: npt.NDArray[np.int64], records: int) -> Marks:
    """Mark these 1-based numbers of a file that has ``records`` records."""
    outside = (record_numbers < 1) | (record_numbers > records)
    stray = int(record_numbers[outside][0]) if outside.any() else None
    inside = record_numbers[~outside] if stray is not None else record_numbers
    if not inside.size:
        return Marks(0, np.zeros(0, dtype=np.uint8), stray=stray)
    first_byte = int(inside.min()) // 8
    flags = np.zeros((int(inside.max()) // 8 - first_byte + 1) * 8, dtype=np.bool_)
    flags[inside - 8 * first_byte] = True
    twice = None
    if np.count_nonzero(flags) != inside.size:
        twice = 8 * first_byte + int(np.argmax(np.bincount(inside - 8 * first_byte) > 1))
    return Marks(first_byte, np.packbits(flags, bitorder="little"), twice, stray)


class Coverage:
    """Which records of a file are accounted for: each one exactly once, or the first that is not.

    ``only``: the numbers of those that are due, if not all are; the others count as accounted for elsewhere.
    """

    def __init__(self, records: int, only: npt.NDArray[np.int64] | None = None) -> None:
        self._records = records
        self._seen = np.zeros(records // 8 + 1, dtype=np.uint8)
        self._seen[0] = 1  # there is no record 0
        if only is not None:
            self._seen = ~marks(only, records).on_bytes(len(self._seen))
        self._twice: list[int] = []
        self._stray: int | None = None

    def add(self, part: Marks) -> None:
        """Count these records once more."""
        if part.stray is not None:
            self._stray = part.stray
        window = self._seen[part.first_byte : part.first_byte + part.bits.size]
        again = np.flatnonzero(window & part.bits)
        if again.size:
            byte = int(again[0])
            bit = int(np.flatnonzero(np.unpackbits(window[byte] & part.bits[byte], bitorder="little"))[0])
            self._twice.append((part.first_byte + byte) * 8 + bit)
        if part.twice is not None:
            self._twice.append(part.twice)
        window |= part.bits

    def fault(self) -> str | None:
        """None if every record was counted once; else a sentence on the first that was not."""
        if self._stray is not None:
            return f"record {self._stray} is not in the file"
        missing = np.flatnonzero(np.unpackbits(self._seen, count=self._records + 1, bitorder="little") == 0)
        if missing.size and int(missing[0]) < min(self._twice, default=self._records + 1):
            return f"record {int(missing[0])} is in no table"
        return f"record {min(self._twice)} is in the tables more than once" if self._twice else None
