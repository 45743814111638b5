"""IBANs of the counterparty, and whether a GB one names the same account as the columns beside it."""

from functools import cache
from string import ascii_uppercase, digits

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel
from app.reference.ibans import LENGTH_MAX, iban_structures
from app.validation.account_number import Account
from app.vector import CHUNK, ZEROS, are_digits, copy, number_of_digits, word_at

_Words = npt.NDArray[np.uint64]

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
    out = Text(np.empty(len(text.data) + CHUNK, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int32))
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
def _structures() -> tuple[npt.NDArray[np.int16], Bytes, Bytes, _Words]:
    """For each pair of letters its country's row or -1; for each country the length, what each character may be, and, by bit, which
    may be digits."""
    structures = iban_structures()
    rows = np.full(26 * 26, -1, dtype=np.int16)
    lengths = np.array([structure.length for structure in structures], dtype=np.uint8)
    classes = np.zeros((len(structures), LENGTH_MAX), dtype=np.uint8)
    for row, structure in enumerate(structures):
        first, second = (ord(letter) - ord("A") for letter in structure.country)
        rows[first * 26 + second] = row
        classes[row, : structure.length] = [_LETTER, _LETTER, _DIGIT, _DIGIT, *(_CLASSES[kind] for kind in structure.bban)]
    places = np.uint64(1) << np.arange(LENGTH_MAX, dtype=np.uint64)
    return rows, lengths, classes, ((classes & _DIGIT != 0) * places).sum(axis=1, dtype=np.uint64)


@kernel
def _check(
    data: Bytes,
    offsets: Offsets,
    country_rows: npt.NDArray[np.int16],
    lengths: Bytes,
    classes: Bytes,
    may_be_digits: _Words,
    faults: Codes,
    out: Bytes,
    out_offsets: Offsets,
    codes: Codes,
) -> None:
    used = 0
    for row in range(codes.size):
        start, end = offsets[row], offsets[row + 1]
        if start < end:
            if end - start > 4 and data[start + 4] == 32:
                length = _copy_electronic(data, start, end, out, used)
            else:
                length = end - start
                copy(data, start, length, out, used)
            fault = _fault(out, used, length, country_rows, lengths, classes, may_be_digits)
            codes[row] = faults[fault]
            if fault == 0:
                used += length
        out_offsets[row + 1] = used


@inlined
def _copy_electronic(data: Bytes, start: int, end: int, out: Bytes, used: int) -> int:
    """Write the IBAN without the spaces of the paper form; its length, or -1 if spaces stand elsewhere than there."""
    if data[end - 1] == 32:
        return -1
    length = 0
    for at in range(start, end):
        between = (at - start) % 5 == 4
        if between != (data[at] == 32):
            return -1
        if not between:
            out[used + length] = data[at]
            length += 1
    return length


def _tables() -> tuple[Bytes, Bytes]:
    """For each byte, the number that it stands for (A being 10), and its kind (0: neither digit nor capital letter)."""
    value, kind = (np.zeros(256, dtype=np.uint8) for _ in range(2))
    for number, character in enumerate(digits + ascii_uppercase):
        value[ord(character)] = number
        kind[ord(character)] = _DIGIT if number < 10 else _LETTER
    return value, kind


_VALUE, _KIND = _tables()


@inlined
def _fault(
    out: Bytes, start: int, length: int, country_rows: npt.NDArray[np.int16], lengths: Bytes, classes: Bytes, may_be_digits: _Words
) -> int:
    if length < 5 or length > LENGTH_MAX:
        return _FORMAT
    first, second = _KIND[out[start]], _KIND[out[start + 1]]
    wrong = first != _LETTER or second != _LETTER or _KIND[out[start + 2]] != _DIGIT or _KIND[out[start + 3]] != _DIGIT
    row = np.int64(-1)
    if not wrong:
        row = np.int64(country_rows[(int(out[start]) - 65) * 26 + (int(out[start + 1]) - 65)])
    expected = row if row >= 0 else np.int64(0)
    remainder = np.uint64(0)
    strange = False
    i = 4  # the first four characters count last
    while i < length:
        if i + 8 <= length:
            word = word_at(out, start + i) ^ np.uint64(ZEROS)
            if are_digits(word):
                if remainder >= np.uint64(10**9):
                    remainder %= np.uint64(97)
                remainder = remainder * np.uint64(10**8) + number_of_digits(word)
                strange |= (may_be_digits[expected] >> np.uint64(i)) & np.uint64(0xFF) != np.uint64(0xFF)
                i += 8
                continue
        byte = out[start + i]
        kind = _KIND[byte]
        wrong |= kind == 0
        strange |= kind & classes[expected, i] == 0
        remainder = remainder * np.uint64(100 if kind == _LETTER else 10) + np.uint64(_VALUE[byte])
        if remainder >= np.uint64(10**15):
            remainder %= np.uint64(97)
        i += 1
    if wrong:
        return _FORMAT
    if row < 0:
        return _COUNTRY
    if length != lengths[row]:
        return _LENGTH
    if strange:
        return _STRUCTURE
    check_digits = np.uint64(_VALUE[out[start + 2]]) * np.uint64(10) + np.uint64(_VALUE[out[start + 3]])
    country = np.uint64(_VALUE[out[start]]) * np.uint64(100) + np.uint64(_VALUE[out[start + 1]])
    remainder = (remainder % np.uint64(97) * np.uint64(1_000_000) + country * np.uint64(100) + check_digits) % np.uint64(97)
    return 0 if remainder == np.uint64(1) and np.uint64(2) <= check_digits <= np.uint64(98) else _CHECKSUM


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
