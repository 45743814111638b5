"""The UK modulus check: can this account number belong to this sort code?

Pay.UK, "Validating account numbers" (Vocalink): section 3 (MOD10, MOD11, DBLAL and their exceptions 1 to 14). Digits are called
as there: u v w x y z are the sort code's, a to h the account number's. A row of the weight table is one check. Two rows are two checks,
and both must pass, except for the pairs of exceptions 2 and 9, 10 and 11, 12 and 13, where the second is made only if the first fails.
"""

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.jit import inlined, kernel
from app.reference.modulus import WeightTable
from app.vector import ZEROS, are_digits, weighted_sum, weighted_tens, word_at

VALID, INVALID, NOT_CHECKED = 0, 1, 2
RESULTS = ("valid", "invalid", "not_checked")

Results = npt.NDArray[np.uint8]

_DBLAL = 2
_A, _B, _C, _G, _H = 0, 1, 2, 6, 7  # places in an account number
# Exception 2 has weights of its own where a is not 0: the first row where g is not 9, the second where it is.
_EXCEPTION_2 = np.array(
    [[0, 0, 1, 2, 5, 3, 0, 0, 6, 4, 8, 7, 10, 9, 3, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 10, 9, 3, 1]], dtype=np.int16
)
_EXCEPTION_8_SORT_CODE = 90126
_EXCEPTION_9_SORT_CODE = 309634

# Fourteen digits are two words of a byte a digit, the first digit lowest: u v w x y z, and a b c d e f g h.
_SIX = 0x0000FFFFFFFFFFFF


def check(sort_code: Text, account_number: Text, table: WeightTable | None) -> Results:
    """VALID, INVALID or NOT_CHECKED for each account.

    NOT_CHECKED, never VALID, is said of an account whose sort code the table does not list, of one in a foreign currency
    (exception 6), of one whose sort code is not six digits or whose number is not eight, and of all if there is no table.
    """
    results: Results = np.full(len(sort_code), NOT_CHECKED, dtype=np.uint8)
    if table is not None:
        _check(
            (sort_code.data, account_number.data),
            (sort_code.offsets, account_number.offsets),
            table.rows,
            table.algorithm,
            table.weights,
            table.exception,
            table.substitute,
            results,
        )
    return results


@kernel
def _check(
    data: tuple[Bytes, Bytes],
    offsets: tuple[Offsets, Offsets],
    rows: npt.NDArray[np.int16],
    algorithm: npt.NDArray[np.int8],
    weights: npt.NDArray[np.int16],
    exception: npt.NDArray[np.int8],
    substitute: npt.NDArray[np.int32],
    results: Results,
) -> None:
    for i in range(results.size):
        begin, number_begin = offsets[0][i], offsets[1][i]
        if offsets[0][i + 1] - begin != 6 or offsets[1][i + 1] - number_begin != 8:
            continue
        branch = _six(data[0], begin) ^ np.uint64(ZEROS & _SIX)
        account = word_at(data[1], number_begin) ^ np.uint64(ZEROS)
        if not are_digits(branch) or not are_digits(account):
            continue
        sort_code = _number(branch)
        first, second = rows[sort_code, 0], rows[sort_code, 1]
        if first < 0:
            continue
        one = exception[first]
        two = exception[second] if second >= 0 else 0
        if (one == 6 or two == 6) and 4 <= _digit(account, _A) <= 8 and _digit(account, _G) == _digit(account, _H):
            continue  # an account in a foreign currency
        passes = _passes(branch, account, sort_code, algorithm[first], weights, first, one, substitute)
        if second >= 0:
            if _either(one, two):
                again = not passes
            else:
                again = passes and not (two == 3 and (_digit(account, _C) == 6 or _digit(account, _C) == 9))
            if again:
                passes = _passes(branch, account, sort_code, algorithm[second], weights, second, two, substitute)
        results[i] = VALID if passes else INVALID


@inlined
def _six(data: Bytes, at: int) -> np.uint64:
    """Six bytes as a word."""
    if at + 8 <= data.size:
        return word_at(data, at) & np.uint64(_SIX)
    word = np.uint64(0)
    for i in range(6):
        word |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return word


@inlined
def _digit(word: np.uint64, place: int) -> int:
    return int((word >> np.uint64(8 * place)) & np.uint64(0xFF))


@inlined
def _number(word: np.uint64) -> int:
    """The six digits as a number: first pairs, then all."""
    pairs = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x000000FF00FF00FF)
    high, middle = pairs & np.uint64(0xFF), (pairs >> np.uint64(16)) & np.uint64(0xFF)
    return int(high * np.uint64(10_000) + middle * np.uint64(100) + (pairs >> np.uint64(32)))


@inlined
def _word_of(sort_code: int) -> np.uint64:
    """A sort code's digits."""
    word = np.uint64(0)
    for _ in range(6):
        word = word << np.uint64(8) | np.uint64(sort_code % 10)
        sort_code //= 10
    return word


@inlined
def _either(first: int, second: int) -> bool:
    """Whether one of two checks is enough."""
    return (first == 2 and second == 9) or (first == 10 and second == 11) or (first == 12 and second == 13)


@inlined
def _passes(
    branch: np.uint64,
    account: np.uint64,
    sort_code: int,
    algorithm: int,
    weights: npt.NDArray[np.int16],
    row: int,
    exception: int,
    substitute: npt.NDArray[np.int32],
) -> bool:
    """One check."""
    if exception == 0:
        return _remainder(_total(branch, account, weights, row, algorithm), algorithm) == 0
    a, b, g, h = _digit(account, _A), _digit(account, _B), _digit(account, _G), _digit(account, _H)
    kept = account
    if exception == 5 and substitute[sort_code] != sort_code:
        branch = _word_of(substitute[sort_code])
    elif exception == 8:
        branch = _word_of(_EXCEPTION_8_SORT_CODE)
    elif exception == 9:
        branch = _word_of(_EXCEPTION_9_SORT_CODE)
    elif g == 9 and (exception == 7 or (exception == 10 and (a == 0 or a == 9) and b == 9)):
        branch = np.uint64(0)  # no weight from u to b counts
        kept = account & ~np.uint64(0xFFFF)
    if exception == 2 and a != 0:
        total = weighted_sum(branch, kept, _EXCEPTION_2, 1 if g == 9 else 0)
    else:
        total = _total(branch, kept, weights, row, algorithm)
    if exception == 1:
        total += 27
    remainder = _remainder(total, algorithm)
    if exception == 4:
        return bool(remainder == 10 * g + h)
    if exception == 5:
        check_digit = h if algorithm == _DBLAL else g
        modulus = 11 if algorithm == 1 else 10
        return bool(check_digit == 0 if remainder == 0 else not (algorithm == 1 and remainder == 1) and modulus - remainder == check_digit)
    if exception == 14 and remainder != 0:
        # The second attempt: h is 0, 1 or 9, and what is left of it is checked behind a 0.
        return (h == 0 or h == 1 or h == 9) and _remainder(_total(branch, account << np.uint64(8), weights, row, algorithm), algorithm) == 0
    return remainder == 0


@inlined
def _total(branch: np.uint64, account: np.uint64, weights: npt.NDArray[np.int16], row: int, algorithm: int) -> int:
    """The sum of the products, or of their digits: tens count once instead of ten times."""
    total = weighted_sum(branch, account, weights, row)
    return total - 9 * weighted_tens(branch, account, weights, row) if algorithm == _DBLAL else total


@inlined
def _remainder(total: int, algorithm: int) -> int:
    # By a constant: division by a variable takes ten times as long.
    return total % 11 if algorithm == 1 else total % 10
