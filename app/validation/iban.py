"""IBANs of the counterparty, and whether a GB one names the same account as the columns beside it."""

from functools import cache

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel
from app.reference.ibans import LENGTH_MAX, iban_structures
from app.validation.account_number import Account

_FORMAT = 1
_COUNTRY = 2
_LENGTH = 3
_STRUCTURE = 4
_CHECKSUM = 5
_MISMATCH = 1

_DIGIT = 1
_LETTER = 2
_CLASSES = {"n": _DIGIT, "a": _LETTER, "c": _DIGIT | _LETTER}


def check(text: Text) -> tuple[Text, Codes]:
    """The electronic form of each IBAN, empty where there is none or it is objected to; and the reasons' numbers.

    ISO 13616-1:2020, section 5 (structure, electronic and paper form: groups of four with one space between), SWIFT IBAN
    registry, release 99 (length and structure by country), ISO/IEC 7064, MOD 97-10 (check digits 02 to 98). Capital letters
    and ASCII digits only: no case is folded. National check digits inside the BBAN are no part of ISO 13616 and not checked.
    """
    rows = len(text)
    out = Text(np.empty(len(text.data) + 1, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int32))
    codes = np.zeros(rows, dtype=np.uint8)
    faults = fault_numbers("counterparty_iban", "format", "country", "length", "structure", "checksum")
    _check(text.data, text.offsets, *_structures(), faults, out.data, out.offsets, codes)
    return out, codes


def mismatches(iban: Text, account: Account) -> Codes:
    """The reason's number where a GB IBAN names another sort code or account number than the ones given beside it.

    ``iban`` is canonical. What is not given, or objected to, is not compared. SWIFT IBAN registry, release 99, United Kingdom:
    characters 9 to 14 and 15 to 22.
    """
    codes = np.zeros(len(iban), dtype=np.uint8)
    sort_code, number = account.sort_code, account.number
    faults = fault_numbers("counterparty_iban", "mismatch")
    _compare(
        (iban.data, sort_code.data, number.data),
        (iban.offsets, sort_code.offsets, number.offsets),
        account.number_codes,
        faults,
        codes,
    )
    return codes


def account_named(iban: Text, account: Account) -> tuple[Text, Text]:
    """Sort code and account number of each counterparty: the columns' own, or else those inside a GB IBAN; empty if neither.

    SWIFT IBAN registry, release 99, United Kingdom: characters 9 to 14 and 15 to 22. ``iban`` is canonical.
    """
    rows = len(iban)
    sort_code, number = account.sort_code, account.number
    named = tuple(Text(np.empty(rows * width + 1, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int32)) for width in (6, 8))
    _name(
        (iban.data, sort_code.data, number.data),
        (iban.offsets, sort_code.offsets, number.offsets),
        account.number_codes,
        (named[0].data, named[1].data),
        (named[0].offsets, named[1].offsets),
    )
    return named[0], named[1]


@kernel
def _name(
    data: tuple[Bytes, ...], offsets: tuple[Offsets, ...], number_codes: Codes, out: tuple[Bytes, ...], out_offsets: tuple[Offsets, ...]
) -> None:
    used = np.zeros(2, dtype=np.int64)
    for row in range(number_codes.size):
        start = offsets[0][row]
        inside = offsets[0][row + 1] - start == 22 and data[0][start] == 71 and data[0][start + 1] == 66
        if offsets[1][row] < offsets[1][row + 1] or offsets[2][row] < offsets[2][row + 1]:
            used[0] += _append(data[1], offsets[1][row], offsets[1][row + 1], out[0], used[0])
            if number_codes[row] == 0:
                used[1] += _append(data[2], offsets[2][row], offsets[2][row + 1], out[1], used[1])
        elif inside:
            used[0] += _append(data[0], start + 8, start + 14, out[0], used[0])
            used[1] += _append(data[0], start + 14, start + 22, out[1], used[1])
        out_offsets[0][row + 1] = used[0]
        out_offsets[1][row + 1] = used[1]


@inlined
def _append(data: Bytes, begin: int, end: int, out: Bytes, to: int) -> int:
    """Copy these bytes; how many they are."""
    for i in range(end - begin):
        out[to + i] = data[begin + i]
    return end - begin


@cache
def _structures() -> tuple[npt.NDArray[np.int16], Bytes, Bytes]:
    """For each pair of letters its country's row or -1; and for each country the length, and what each character may be."""
    structures = iban_structures()
    rows = np.full(26 * 26, -1, dtype=np.int16)
    lengths = np.array([structure.length for structure in structures], dtype=np.uint8)
    classes = np.zeros((len(structures), LENGTH_MAX), dtype=np.uint8)
    for row, structure in enumerate(structures):
        first, second = (ord(letter) - ord("A") for letter in structure.country)
        rows[first * 26 + second] = row
        classes[row, : structure.length] = [_LETTER, _LETTER, _DIGIT, _DIGIT, *(_CLASSES[kind] for kind in structure.bban)]
    return rows, lengths, classes


@kernel
def _check(
    data: Bytes,
    offsets: Offsets,
    country_rows: npt.NDArray[np.int16],
    lengths: Bytes,
    classes: Bytes,
    faults: Codes,
    out: Bytes,
    out_offsets: Offsets,
    codes: Codes,
) -> None:
    used = 0
    for row in range(codes.size):
        if offsets[row] < offsets[row + 1]:
            length = _copy_electronic(data, offsets[row], offsets[row + 1], out, used)
            fault = _fault(out, used, length, country_rows, lengths, classes)
            codes[row] = faults[fault]
            if fault == 0:
                used += length
        out_offsets[row + 1] = used


@inlined
def _copy_electronic(data: Bytes, start: int, end: int, out: Bytes, used: int) -> int:
    """Write the IBAN without the spaces of the paper form; its length, or -1 if spaces stand elsewhere than there."""
    paper = end - start > 4 and data[start + 4] == 32
    if paper and data[end - 1] == 32:
        return -1
    length = 0
    for at in range(start, end):
        between = paper and (at - start) % 5 == 4
        if between != (data[at] == 32):
            return -1
        if not between:
            out[used + length] = data[at]
            length += 1
    return length


@inlined
def _fault(out: Bytes, start: int, length: int, country_rows: npt.NDArray[np.int16], lengths: Bytes, classes: Bytes) -> int:
    if length < 5 or length > LENGTH_MAX:
        return _FORMAT
    remainder = 0
    wrong = False
    # The first four characters count last: start with the fifth, and go round.
    for i in range(length):
        position = i + 4 if i + 4 < length else i + 4 - length
        value, kind = _value(out[start + position])
        wrong |= kind == 0 or (position < 2 and kind != _LETTER) or (2 <= position < 4 and kind != _DIGIT)
        remainder = remainder * (100 if kind == _LETTER else 10) + value
        if remainder > 10**15:
            remainder %= 97
    if wrong:
        return _FORMAT
    row = country_rows[(int(out[start]) - 65) * 26 + (int(out[start + 1]) - 65)]
    if row < 0:
        return _COUNTRY
    if length != lengths[row]:
        return _LENGTH
    for i in range(4, length):
        if _value(out[start + i])[1] & classes[row, i] == 0:
            return _STRUCTURE
    check_digits = (int(out[start + 2]) - 48) * 10 + (int(out[start + 3]) - 48)
    return 0 if remainder % 97 == 1 and 2 <= check_digits <= 98 else _CHECKSUM


@inlined
def _value(byte: int) -> tuple[int, int]:
    """The number that a character stands for, A being 10, and its kind (0: neither digit nor capital letter)."""
    if 48 <= byte <= 57:
        return int(byte) - 48, _DIGIT
    if 65 <= byte <= 90:
        return int(byte) - 55, _LETTER
    return 0, 0


@kernel
def _compare(data: tuple[Bytes, ...], offsets: tuple[Offsets, ...], number_codes: Codes, faults: Codes, codes: Codes) -> None:
    iban, sort_code, number = data
    iban_offsets, sort_code_offsets, number_offsets = offsets
    for row in range(codes.size):
        start = iban_offsets[row]
        if iban_offsets[row + 1] - start != 22 or iban[start] != 71 or iban[start + 1] != 66:
            continue
        differs = False
        at = sort_code_offsets[row]
        for i in range(sort_code_offsets[row + 1] - at):
            differs |= sort_code[at + i] != iban[start + 8 + i]
        if number_codes[row] == 0:
            at = number_offsets[row]
            for i in range(number_offsets[row + 1] - at):
                differs |= number[at + i] != iban[start + 14 + i]
        if differs:
            codes[row] = faults[_MISMATCH]
