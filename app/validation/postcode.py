"""UK postcodes."""

from functools import cache
from string import ascii_uppercase

import numpy as np

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel

_FORMAT = 1
_INWARD = 3  # characters behind the space
_LONGEST = 7
# Which letters may stand where: in the first two places, behind one letter and a digit (W1A), behind two and a digit (EC1A), inward.
_FIRST = "ABCDEFGHIJKLMNOPRSTUWYZ"
_SECOND = "ABCDEFGHKLMNOPQRSTUVWXY"
_BEHIND_A9 = "ABCDEFGHJKPSTUW"
_BEHIND_AA9 = "ABEHMNPRVWXY"
_INWARD_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"
# Outside the rule: the Girobank's, and those of territories that Royal Mail serves.
_SINGLE = ("GIR0AA", "ASCN1ZZ", "BBND1ZZ", "BIQQ1ZZ", "FIQQ1ZZ", "GX111AA", "PCRN1ZZ", "SIQQ1ZZ", "STHL1ZZ", "TDCU1ZZ", "TKCA1ZZ")


def check(text: Text) -> tuple[Text, Codes]:
    """Each postcode with one space before its inward code, empty where there is none or it is objected to; and the reasons' numbers.

    BS 7666-0:2006, annex C: an outward code A9, A99, AA9, AA99, A9A or AA9A, in which not every letter may stand everywhere, and an inward
    code 9AA. Capital letters; the space may be left out. Whether the postcode is in use is not checked.
    """
    rows = len(text)
    out = Text(np.empty(rows * (_LONGEST + 1) + 1, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int32))
    codes = np.zeros(rows, dtype=np.uint8)
    compact = np.empty(_LONGEST, dtype=np.uint8)
    _check(text.data, text.offsets, *_tables(), fault_numbers("postcode", "format"), compact, out.data, out.offsets, codes)
    return out, codes


@cache
def _tables() -> tuple[Bytes, Bytes]:
    """Which letters may stand in each of the five kinds of place; and the single postcodes, padded with zeros."""
    places = (_FIRST, _SECOND, _BEHIND_A9, _BEHIND_AA9, _INWARD_LETTERS)
    allowed = np.array([[letter in place for letter in ascii_uppercase] for place in places], dtype=np.uint8)
    single = np.array([list(one.encode().ljust(_LONGEST, b"\0")) for one in _SINGLE], dtype=np.uint8)
    for array in (allowed, single):
        array.flags.writeable = False
    return allowed, single


@kernel
def _check(
    data: Bytes,
    offsets: Offsets,
    allowed: Bytes,
    single: Bytes,
    faults: Codes,
    compact: Bytes,
    out: Bytes,
    out_offsets: Offsets,
    codes: Codes,
) -> None:
    used = 0
    for row in range(codes.size):
        length = offsets[row + 1] - offsets[row]
        if length:
            count = _compact(data, offsets[row], length, compact)
            if count and (_regular(compact, count, allowed) or _is_single(compact, count, single)):
                for i in range(count):
                    if i == count - _INWARD:
                        out[used] = 32
                        used += 1
                    out[used] = compact[i]
                    used += 1
            else:
                codes[row] = faults[_FORMAT]
        out_offsets[row + 1] = used


@inlined
def _compact(data: Bytes, start: int, length: int, compact: Bytes) -> int:
    """The postcode without its space; how many characters are left, 0 if they are too few or too many."""
    spaced = length > _INWARD and data[start + length - _INWARD - 1] == 32
    count = length - 1 if spaced else length
    if count < 5 or count > _LONGEST:
        return 0
    for i in range(count):
        compact[i] = data[start + i + (1 if spaced and i >= count - _INWARD else 0)]
    return count


@inlined
def _is(compact: Bytes, at: int, allowed: Bytes, place: int) -> bool:
    letter = int(compact[at]) - 65
    return 0 <= letter < 26 and allowed[place, letter] == 1


@inlined
def _digit(compact: Bytes, at: int) -> bool:
    return bool(48 <= compact[at] <= 57)


@inlined
def _regular(compact: Bytes, count: int, allowed: Bytes) -> bool:
    inward = count - _INWARD
    if not (_digit(compact, inward) and _is(compact, inward + 1, allowed, 4) and _is(compact, inward + 2, allowed, 4)):
        return False
    if not _is(compact, 0, allowed, 0):
        return False
    digits_from = 1
    if not _digit(compact, 1):
        if not _is(compact, 1, allowed, 1):
            return False
        digits_from = 2
    more = inward - digits_from
    if more < 1 or more > 2 or not _digit(compact, digits_from):
        return False
    return more == 1 or _digit(compact, digits_from + 1) or _is(compact, digits_from + 1, allowed, digits_from + 1)


@inlined
def _is_single(compact: Bytes, count: int, single: Bytes) -> bool:
    for one in range(single.shape[0]):
        same = True
        for i in range(_LONGEST):
            same &= single[one, i] == (compact[i] if i < count else 0)
        if same:
            return True
    return False
