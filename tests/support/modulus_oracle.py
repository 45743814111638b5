"""The modulus check once more, for one account at a time, as the specification tells it: slow, plain, and sharing nothing with the kernel.

It reads the published files itself, keeps digits in a dictionary by the specification's letters, and follows its steps.
"""

from dataclasses import dataclass

LETTERS = "uvwxyzabcdefgh"
TOGETHER = ({2, 9}, {10, 11}, {12, 13})


@dataclass(frozen=True)
class Row:
    first: str
    last: str
    algorithm: str
    weights: dict[str, int]
    exception: int


class Oracle:
    def __init__(self, valacdos: str, scsubtab: str) -> None:
        self.rows = [self._row(line.split()) for line in valacdos.splitlines() if line.strip()]
        self.substitutes = dict(line.split() for line in scsubtab.splitlines() if line.strip())

    @staticmethod
    def _row(words: list[str]) -> Row:
        numbers = [int(word) for word in words[3:]]
        return Row(words[0], words[1], words[2], dict(zip(LETTERS, numbers, strict=False)), numbers[14] if len(numbers) > 14 else 0)

    def check(self, sort_code: str, account: str) -> str:
        checks = [row for row in self.rows if row.first <= sort_code <= row.last]
        if not checks:
            return "not_checked"
        digit = dict(zip(LETTERS, map(int, sort_code + account), strict=True))
        if any(row.exception == 6 for row in checks) and digit["a"] in {4, 5, 6, 7, 8} and digit["g"] == digit["h"]:
            return "not_checked"
        if len(checks) == 1:
            return self._verdict(self._one(checks[0], sort_code, account))
        one, two = checks
        if {one.exception, two.exception} in TOGETHER:
            return self._verdict(self._one(one, sort_code, account) or self._one(two, sort_code, account))
        if two.exception == 3 and digit["c"] in {6, 9}:
            return self._verdict(self._one(one, sort_code, account))
        return self._verdict(self._one(one, sort_code, account) and self._one(two, sort_code, account))

    @staticmethod
    def _verdict(passes: bool) -> str:
        return "valid" if passes else "invalid"

    def _one(self, row: Row, sort_code: str, account: str) -> bool:
        weights = dict(row.weights)
        a, b, g, h = account[0], account[1], account[6], account[7]
        match row.exception:
            case 2 if a != "0":
                numbers = [0, 0, 1, 2, 5, 3, 6, 4, 8, 7, 10, 9, 3, 1] if g != "9" else [0] * 8 + [8, 7, 10, 9, 3, 1]
                weights = dict(zip(LETTERS, numbers, strict=True))
            case 7 if g == "9":
                weights |= dict.fromkeys("uvwxyzab", 0)
            case 10 if a + b in {"09", "99"} and g == "9":
                weights |= dict.fromkeys("uvwxyzab", 0)
            case 5:
                sort_code = self.substitutes.get(sort_code, sort_code)
            case 8:
                sort_code = "090126"
            case 9:
                sort_code = "309634"
        total = self._total(row.algorithm, weights, sort_code + account)
        if row.exception == 1:
            total += 27
        divisor = 11 if row.algorithm == "MOD11" else 10
        remainder = total % divisor
        match row.exception:
            case 4:
                return f"{remainder:02d}" == g + h
            case 5 if row.algorithm == "MOD11":
                return g == "0" if remainder == 0 else remainder != 1 and str(11 - remainder) == g
            case 5:
                return h == "0" if remainder == 0 else str(10 - remainder) == h
            case 14 if remainder:
                return h in "019" and self._total(row.algorithm, weights, sort_code + "0" + account[:7]) % divisor == 0
        return remainder == 0

    @staticmethod
    def _total(algorithm: str, weights: dict[str, int], digits: str) -> int:
        products = [int(digit) * weights[letter] for letter, digit in zip(LETTERS, digits, strict=True)]
        return sum(int(digit) for product in products for digit in str(product)) if algorithm == "DBLAL" else sum(products)
