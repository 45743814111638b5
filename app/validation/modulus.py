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

VALID, INVALID, NOT_CHECKED = 0, 1, 2
RESULTS = ("valid", "invalid", "not_checked")

Results = npt.NDArray[np.uint8]
_Digits = npt.NDArray[np.int64]

_DBLAL = 2
_DIGITS = 14
_A, _B, _C, _G, _H = 6, 7, 8, 12, 13
_TO_B = 8  # u to b: the first eight digits

# Exception 2 has weights of its own where a is not 0: these where g is not 9 …
_EXCEPTION_2 = np.array([0, 0, 1, 2, 5, 3, 6, 4, 8, 7, 10, 9, 3, 1], dtype=np.int16)
# … and these where it is.
_EXCEPTION_2_G_9 = np.array([0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 10, 9, 3, 1], dtype=np.int16)
_EXCEPTION_8_SORT_CODE = 90126
_EXCEPTION_9_SORT_CODE = 309634


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
    digits = np.empty(_DIGITS, dtype=np.int64)
    scratch = np.empty(_DIGITS, dtype=np.int64)
    for i in range(results.size):
        if not _read(data, offsets, i, digits):
            continue
        sort_code = _number(digits)
        first = rows[sort_code, 0]
        if first < 0:
            continue
        second = rows[sort_code, 1]
        if _foreign_currency(digits, exception[first], exception[second] if second >= 0 else 0):
            continue
        passes = _passes(digits, scratch, sort_code, algorithm[first], weights[first], exception[first], substitute)
        if second >= 0:
            if _either(exception[first], exception[second]):
                again = not passes
            else:
                again = passes and not (exception[second] == 3 and (digits[_C] == 6 or digits[_C] == 9))
            if again:
                passes = _passes(digits, scratch, sort_code, algorithm[second], weights[second], exception[second], substitute)
        results[i] = VALID if passes else INVALID


@inlined
def _read(data: tuple[Bytes, Bytes], offsets: tuple[Offsets, Offsets], row: int, digits: _Digits) -> bool:
    """The fourteen digits of a row; False if they are not six and eight."""
    sort_code, number = data
    sort_code_at, number_at = offsets[0][row], offsets[1][row]
    if offsets[0][row + 1] - sort_code_at != 6 or offsets[1][row + 1] - number_at != 8:
        return False
    good = True
    for i in range(6):
        digits[i] = int(sort_code[sort_code_at + i]) - 48
        good &= 0 <= digits[i] <= 9
    for i in range(8):
        digits[6 + i] = int(number[number_at + i]) - 48
        good &= 0 <= digits[6 + i] <= 9
    return good


@inlined
def _number(digits: _Digits) -> int:
    """The sort code as a number."""
    number = 0
    for i in range(6):
        number = number * 10 + digits[i]
    return number


@inlined
def _foreign_currency(digits: _Digits, first: int, second: int) -> bool:
    """Exception 6: a is 4 to 8 and g equals h."""
    return (first == 6 or second == 6) and 4 <= digits[_A] <= 8 and digits[_G] == digits[_H]


@inlined
def _either(first: int, second: int) -> bool:
    """Whether one of two checks is enough."""
    return (first == 2 and second == 9) or (first == 10 and second == 11) or (first == 12 and second == 13)


@inlined
def _passes(
    given: _Digits,
    digits: _Digits,
    sort_code: int,
    algorithm: int,
    weights: npt.NDArray[np.int16],
    exception: int,
    substitute: npt.NDArray[np.int32],
) -> bool:
    """One check: ``digits`` is room for the digits as the exception changes them."""
    for i in range(_DIGITS):
        digits[i] = given[i]
    if exception == 5:
        _put(digits, substitute[sort_code])
    elif exception == 8:
        _put(digits, _EXCEPTION_8_SORT_CODE)
    elif exception == 9:
        _put(digits, _EXCEPTION_9_SORT_CODE)
    begin = 0
    if digits[_G] == 9 and (exception == 7 or (exception == 10 and (digits[_A] == 0 or digits[_A] == 9) and digits[_B] == 9)):
        begin = _TO_B
    used = weights
    if exception == 2 and digits[_A] != 0:
        used = _EXCEPTION_2_G_9 if digits[_G] == 9 else _EXCEPTION_2
    total = _total(digits, used, begin, algorithm == _DBLAL)
    modulus = 11 if algorithm == 1 else 10
    if exception == 1:
        total += 27
    remainder = total % modulus
    if exception == 4:
        return bool(remainder == 10 * digits[_G] + digits[_H])
    if exception == 5:
        check_digit = digits[_H] if algorithm == _DBLAL else digits[_G]
        if remainder == 0:
            return bool(check_digit == 0)
        return not (algorithm == 1 and remainder == 1) and modulus - remainder == check_digit
    if exception == 14 and remainder != 0:
        return _passes_14(digits, used, modulus)
    return remainder == 0


@inlined
def _put(digits: _Digits, sort_code: int) -> None:
    """Replace the sort code."""
    for i in range(6):
        digits[5 - i] = sort_code % 10
        sort_code //= 10


@inlined
def _total(digits: _Digits, weights: npt.NDArray[np.int16], begin: int, alternate: bool) -> int:
    """The sum of the products, or of their digits."""
    total = 0
    for i in range(begin, _DIGITS):
        product = digits[i] * np.int64(weights[i])
        if alternate:
            while product >= 10:
                total += product % 10
                product //= 10
        total += product
    return total


@inlined
def _passes_14(digits: _Digits, weights: npt.NDArray[np.int16], modulus: int) -> bool:
    """Exception 14, second attempt: h is 0, 1 or 9, and what is left of it is checked behind a 0."""
    if digits[_H] != 0 and digits[_H] != 1 and digits[_H] != 9:
        return False
    for i in range(_H, _A, -1):
        digits[i] = digits[i - 1]
    digits[_A] = 0
    return _total(digits, weights, 0, False) % modulus == 0
