"""The UK modulus weight table: what Pay.UK publishes as valacdos.txt and scsubtab.txt, read exactly.

Pay.UK, "Validating account numbers": a line of valacdos.txt has the first and last sort code of a range, the algorithm, fourteen
weights (for the digits u v w x y z of the sort code and a b c d e f g h of the account number) and, where there is one, the number of
an exception. A sort code has at most two rows; the one that stands first is checked first. A line of scsubtab.txt has a sort code and
the one that takes its place in exception 5. Both files are Pay.UK's and are not part of Leofric.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from app.errors import UsageError
from app.reference import table

ALGORITHMS = ("MOD10", "MOD11", "DBLAL")
EXCEPTIONS = range(1, 15)
WEIGHTS = 14
MOST_WEIGHT = 999  # products fit sixteen bits
MOST_DBLAL_WEIGHT = 11  # products have two digits
_SORT_CODES = 1_000_000
_LINE = re.compile(r"(\d{6}) +(\d{6}) +(\w+) +(.*?) *$", re.ASCII)
_PAIR = re.compile(r"(\d{6}) +(\d{6}) *", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,4}", re.ASCII)


@dataclass(frozen=True)
class WeightTable:
    """The rows in the file's order, and for each sort code which of them are its own. No array may be written to."""

    version: str  # what its owner calls it
    sha256: str  # of both files, one after the other
    algorithm: npt.NDArray[np.int8]  # of each row, a place in ALGORITHMS
    weights: npt.NDArray[np.int16]  # of each row sixteen: u to z, two zeros, a to h, as the digits lie in two words of eight bytes
    exception: npt.NDArray[np.int8]  # of each row; 0 is none
    rows: npt.NDArray[np.int16]  # of each sort code (1,000,000 x 2), the first and second row, or -1
    substitute: npt.NDArray[np.int32]  # of each sort code, the one that takes its place in exception 5; else itself

    @property
    def size(self) -> int:
        """How many rows it has."""
        return len(self.algorithm)


@dataclass(frozen=True)
class Case:
    """A published test case: what a right implementation with the published table says of an account."""

    sort_code: str
    account_number: str
    passes: bool
    what: str


def parse(valacdos: bytes, scsubtab: bytes, version: str) -> WeightTable:
    """Read both files; UsageError names the file and the line that is not in the published form."""
    algorithm: list[int] = []
    weights: list[list[int]] = []
    exception: list[int] = []
    rows = np.full((_SORT_CODES, 2), -1, dtype=np.int16)
    for number, line in _lines(valacdos, "valacdos"):
        first, last, algorithm_name, numbers = _row(line, number)
        span = rows[int(first) : int(last) + 1]
        if (span[:, 1] >= 0).any():
            full = int(first) + int(np.argmax(span[:, 1] >= 0))
            raise _wrong("valacdos", number, f"is the third row for sort code {full:06d}; a sort code has at most two")
        span[np.arange(len(span)), (span[:, 0] >= 0).astype(np.int64)] = len(algorithm)
        algorithm.append(ALGORITHMS.index(algorithm_name))
        weights.append([*numbers[:6], 0, 0, *numbers[6:WEIGHTS]])
        exception.append(numbers[WEIGHTS] if len(numbers) > WEIGHTS else 0)
    if not algorithm:
        raise UsageError("valacdos: the file has no rows; download it again from Pay.UK")
    result = WeightTable(
        version,
        hashlib.sha256(valacdos + scsubtab).hexdigest(),
        np.array(algorithm, dtype=np.int8),
        np.array(weights, dtype=np.int16),
        np.array(exception, dtype=np.int8),
        rows,
        _substitutes(scsubtab),
    )
    for array in (result.algorithm, result.weights, result.exception, result.rows, result.substitute):
        array.flags.writeable = False
    return result


def _lines(data: bytes, name: str) -> list[tuple[int, str]]:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: byte {error.start} is not ASCII; this is not the file that Pay.UK publishes") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _wrong(name: str, number: int, what: str) -> UsageError:
    return UsageError(f"{name}: line {number} {what}; this is not the file that Pay.UK publishes")


def _row(line: str, number: int) -> tuple[str, str, str, list[int]]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _wrong("valacdos", number, "is not two sort codes, an algorithm and fourteen weights")
    first, last, algorithm, rest = match.groups()
    words = rest.split()
    if algorithm not in ALGORITHMS:
        raise _wrong("valacdos", number, f"has the algorithm {algorithm}, which is none of {', '.join(ALGORITHMS)}")
    if first > last:
        raise _wrong("valacdos", number, f"has a range that ends ({last}) before it begins ({first})")
    if len(words) not in {WEIGHTS, WEIGHTS + 1} or not all(_NUMBER.fullmatch(word) for word in words):
        raise _wrong("valacdos", number, f"has {len(words)} words after the algorithm; fourteen weights and perhaps an exception are due")
    numbers = [int(word) for word in words]
    if len(numbers) > WEIGHTS and numbers[WEIGHTS] not in EXCEPTIONS:
        raise _wrong("valacdos", number, f"has exception {numbers[WEIGHTS]}; this version knows 1 to 14: get a newer Leofric")
    if algorithm == "DBLAL" and not 0 <= min(numbers[:WEIGHTS]) <= max(numbers[:WEIGHTS]) <= MOST_DBLAL_WEIGHT:
        raise _wrong("valacdos", number, f"has a weight that is not 0 to {MOST_DBLAL_WEIGHT}, as those of DBLAL are")
    if max(map(abs, numbers[:WEIGHTS])) > MOST_WEIGHT:
        raise _wrong("valacdos", number, f"has a weight beyond {MOST_WEIGHT}")
    return first, last, algorithm, numbers


def _substitutes(scsubtab: bytes) -> npt.NDArray[np.int32]:
    substitute = np.arange(_SORT_CODES, dtype=np.int32)
    for number, line in _lines(scsubtab, "scsubtab"):
        match = _PAIR.fullmatch(line)
        if match is None:
            raise _wrong("scsubtab", number, "is not two sort codes")
        substitute[int(match[1])] = int(match[2])
    return substitute


@cache
def published_cases() -> tuple[Case, ...]:
    """The 34 test cases of the specification, section 4."""
    return tuple(Case(row["sort_code"], row["account_number"], row["passes"] == "true", row["what"]) for row in table.read("modulus_cases"))


@cache
def synthetic() -> WeightTable:
    """A table of our own in the published form, for tests and demonstrations; it says nothing of any real account.

    It has every algorithm and exception, and its weights were drawn so that the published cases come out right.
    """
    return parse(*synthetic_files(), "synthetic")


def synthetic_files() -> tuple[bytes, bytes]:
    """Its two files."""
    folder = resources.files("app.reference").joinpath("data")
    return folder.joinpath("synthetic_valacdos.txt").read_bytes(), folder.joinpath("synthetic_scsubtab.txt").read_bytes()
