"""Building-society roll numbers: whose money it is that arrives on a society's collection account."""

from functools import cache

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel
from app.reference.roll_numbers import roll_number_forms

_FORMAT, _SOCIETY = 1, 2
_LONGEST = 18
_DIGIT, _LETTER = 1, 2
_KINDS = {"n": _DIGIT, "a": _LETTER, "e": _DIGIT | _LETTER}


def check(roll_number: Text, sort_code: Text, account_number: Text) -> Codes:
    """The reasons' numbers, warnings all, 0 where there is no roll number; the text itself is the canonical form.

    Any roll number: 1 to 18 of A to Z, 0 to 9, space, full stop, solidus and hyphen (Bacs Standard 18, field 10, which carries it). Where
    the account paid into is the collection account of a society whose forms are known (``reference.roll_numbers``), one of those.
    """
    codes = np.zeros(len(roll_number), dtype=np.uint8)
    _check(
        (roll_number.data, sort_code.data, account_number.data),
        (roll_number.offsets, sort_code.offsets, account_number.offsets),
        *_forms(),
        fault_numbers("roll_number", "format", "society"),
        codes,
    )
    return codes


@cache
def _forms() -> tuple[Bytes, Bytes, npt.NDArray[np.int64]]:
    """Of each form: the account's fourteen digits; what each character may be (a kind; from 128 on, the character itself); its length."""
    forms = roll_number_forms()
    accounts = np.array([list((form.sort_code + form.account_number).encode()) for form in forms], dtype=np.uint8)
    places = np.zeros((len(forms), _LONGEST), dtype=np.uint8)
    for row, form in enumerate(forms):
        places[row, : len(form.pattern)] = [_KINDS.get(character, 128 + ord(character)) for character in form.pattern]
    return accounts, places, np.array([len(form.pattern) for form in forms], dtype=np.int64)


@kernel
def _check(
    data: tuple[Bytes, Bytes, Bytes],
    offsets: tuple[Offsets, Offsets, Offsets],
    accounts: Bytes,
    places: Bytes,
    lengths: npt.NDArray[np.int64],
    faults: Codes,
    codes: Codes,
) -> None:
    for row in range(codes.size):
        begin, end = offsets[0][row], offsets[0][row + 1]
        if begin == end:
            continue
        if not _general(data[0], begin, end):
            codes[row] = faults[_FORMAT]
            continue
        known = False
        fits = False
        for form in range(lengths.size):
            if _same_account(data, offsets, row, accounts, form):
                known = True
                fits |= end - begin == lengths[form] and _fits(data[0], begin, end, places, form)
        if known and not fits:
            codes[row] = faults[_SOCIETY]


@inlined
def _kind(byte: int) -> int:
    if 48 <= byte <= 57:
        return _DIGIT
    return _LETTER if 65 <= byte <= 90 else 0


@inlined
def _general(data: Bytes, begin: int, end: int) -> bool:
    if end - begin > _LONGEST:
        return False
    good = True
    for at in range(begin, end):
        byte = data[at]
        good &= _kind(byte) != 0 or byte == 32 or 45 <= byte <= 47  # the punctuation: space, and - . /
    return good


@inlined
def _same_account(
    data: tuple[Bytes, Bytes, Bytes], offsets: tuple[Offsets, Offsets, Offsets], row: int, accounts: Bytes, form: int
) -> bool:
    branch, number = offsets[1][row], offsets[2][row]
    if offsets[1][row + 1] - branch != 6 or offsets[2][row + 1] - number != 8:
        return False
    same = True
    for i in range(6):
        same &= data[1][branch + i] == accounts[form, i]
    for i in range(8):
        same &= data[2][number + i] == accounts[form, 6 + i]
    return same


@inlined
def _fits(data: Bytes, begin: int, end: int, places: Bytes, form: int) -> bool:
    fits = True
    for i in range(end - begin):
        byte, place = data[begin + i], places[form, i]
        fits &= byte == place - 128 if place >= 128 else _kind(byte) & place != 0
    return fits
