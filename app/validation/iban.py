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
from app.vector import CHUNK, ZEROS, copy, weighted_sum, word_at

_Words = npt.NDArray[np.uint64]
_Structures = tuple[npt.NDArray[np.int16], Bytes, _Words, _Words]
_Weights = tuple[npt.NDArray[np.int16], _Words]

_FORMAT = 1
_COUNTRY = 2
_LENGTH = 3
_STRUCTURE = 4
_CHECKSUM = 5
_MISMATCH = 1

_DIGIT = 1
_LETTER = 2
_FORBIDDEN = {"n": (0, 0x80), "a": (0x80, 0), "c": (0, 0)}
"""For a class of the registry, the high bit where a digit, and where a letter, may not stand."""

_WORDS = 4  # of eight characters; a BBAN has at most 30
_HIGH_BITS = 0x8080808080808080
_LOW_BITS = 0x7F7F7F7F7F7F7F7F
_GATHER = 0x0102040810204080


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
    _check(text.data, text.offsets, _structures(), _weights(), faults, out.data, out.offsets, codes)
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
    for row in range(number_codes.size):
        start = offsets[0][row]
        inside = offsets[0][row + 1] - start == 22 and data[0][start] == 71 and data[0][start + 1] == 66
        code_at, number_at = out_offsets[0][row], out_offsets[1][row]
        if offsets[1][row] < offsets[1][row + 1] or offsets[2][row] < offsets[2][row + 1]:
            code_at += _append(data[1], offsets[1][row], offsets[1][row + 1], out[0], code_at)
            if number_codes[row] == 0:
                number_at += _append(data[2], offsets[2][row], offsets[2][row + 1], out[1], number_at)
        elif inside:
            code_at += _append(data[0], start + 8, start + 14, out[0], code_at)
            number_at += _append(data[0], start + 14, start + 22, out[1], number_at)
        out_offsets[0][row + 1] = code_at
        out_offsets[1][row + 1] = number_at


@inlined
def _append(data: Bytes, begin: int, end: int, out: Bytes, to: int) -> int:
    """Copy these bytes; how many they are."""
    for i in range(end - begin):
        out[to + i] = data[begin + i]
    return end - begin


@cache
def _structures() -> _Structures:
    """For each pair of letters its country's row or -1; for each country the length, and in which bytes of its words no digit and no
    letter may stand (``_word`` says how the BBAN is cut into words)."""
    structures = iban_structures()
    rows = np.full(26 * 26, -1, dtype=np.int16)
    lengths = np.array([structure.length for structure in structures], dtype=np.uint8)
    forbidden = np.zeros((2, len(structures), 8 * _WORDS), dtype=np.uint8)
    for row, structure in enumerate(structures):
        first, second = (ord(letter) - ord("A") for letter in structure.country)
        rows[first * 26 + second] = row
        padding = -len(structure.bban) % 8
        for place, kind in enumerate(structure.bban, padding):
            forbidden[:, row, place] = _FORBIDDEN[kind]
    words = forbidden.view(np.uint64)
    return rows, lengths, words[0], words[1]


@cache
def _weights() -> _Weights:
    """For each set of letters among eight characters: what each character counts modulo 97, and by what the ones before them are shifted.

    A letter takes two places of the number (A is 10, Z is 35), a digit one. The set's number is the one that ``_letters_number`` makes.
    """
    weights = np.zeros((256, 16), dtype=np.int16)
    shifts = np.zeros(256, dtype=np.uint64)
    for letters in range(256):
        flags = sum(0x80 << 8 * place for place in range(8) if letters >> place & 1)
        number = (flags >> 7) * _GATHER % 2**64 >> 56
        shift = 1
        for place in range(7, -1, -1):
            weights[number, place] = shift
            shift = shift * (100 if letters >> place & 1 else 10) % 97
        shifts[number] = shift
    return weights, shifts


@kernel
def _check(
    data: Bytes,
    offsets: Offsets,
    structures: _Structures,
    weights: _Weights,
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
            fault = _fault(out, used, length, structures, weights)
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
def _fault(out: Bytes, start: int, length: int, structures: _Structures, weights: _Weights) -> int:
    country_rows, lengths, no_digits, no_letters = structures
    counts, shifts = weights
    if length < 5 or length > LENGTH_MAX:
        return _FORMAT
    first, second = _KIND[out[start]], _KIND[out[start + 1]]
    if first != _LETTER or second != _LETTER or _KIND[out[start + 2]] != _DIGIT or _KIND[out[start + 3]] != _DIGIT:
        return _FORMAT
    row = np.int64(country_rows[(int(out[start]) - 65) * 26 + (int(out[start + 1]) - 65)])
    country_row = row if row >= 0 else np.int64(0)
    remainder = np.uint64(0)
    wrong = strange = np.uint64(0)
    # Which characters are letters differs from one IBAN to the next: no branch depends on it.
    words = (length - 4 + 7) >> 3
    for place in range(words):
        word = _word(out, start + 4, length - 4, place)
        digits, letters = _kinds(word)
        wrong |= (digits | letters) ^ np.uint64(_HIGH_BITS)
        strange |= (digits & no_digits[country_row, place]) | (letters & no_letters[country_row, place])
        values = (word & np.uint64(_LOW_BITS)) - np.uint64(ZEROS) - (letters >> np.uint64(7)) * np.uint64(7)
        number = int(_letters_number(letters))
        counted = np.uint64(weighted_sum(values, np.uint64(0), counts, number))
        remainder = (remainder * shifts[number] + counted) % np.uint64(97)
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
    remainder = (remainder * np.uint64(1_000_000) + country * np.uint64(100) + check_digits) % np.uint64(97)
    return 0 if remainder == np.uint64(1) and np.uint64(2) <= check_digits <= np.uint64(98) else _CHECKSUM


@inlined
def _word(data: Bytes, start: int, length: int, place: int) -> np.uint64:
    """The word at this place of a text that is cut into eight characters from its end: the first word is filled up with zeros in front,
    which count nothing."""
    rest = length & 7
    if place or not rest:
        return word_at(data, start + 8 * place - (8 - rest & 7))
    word = word_at(data, start) << np.uint64(8 * (8 - rest))
    return word | (np.uint64(ZEROS) >> np.uint64(8 * rest))


@inlined
def _kinds(word: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The high bit of each byte that is a digit, and of each that is a capital letter."""
    low = word & np.uint64(_LOW_BITS)
    ascii_bytes = ~word & np.uint64(_HIGH_BITS)
    # Adding 0x50 to a byte sets its high bit from "0" (0x30) on, adding 0x46 from the one behind "9" on; so with A and Z.
    digits = (low + np.uint64(0x5050505050505050)) & ~(low + np.uint64(0x4646464646464646)) & ascii_bytes
    letters = (low + np.uint64(0x3F3F3F3F3F3F3F3F)) & ~(low + np.uint64(0x2525252525252525)) & ascii_bytes
    return digits, letters


@inlined
def _letters_number(letters: np.uint64) -> np.uint64:
    """The high bits of eight bytes gathered into one byte."""
    return ((letters >> np.uint64(7)) * np.uint64(_GATHER)) >> np.uint64(56)


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
