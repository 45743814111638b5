"""The work that everybody does, and how each says what came of it.

Read every value as text; check every field; of the rows that pass, keep one a transaction_id; write them typed, and write the
rows that fail with their reasons, both as Parquet with zstd. A row that was left out as a duplicate is only counted.

The rules are those of the landing contract as far as the data can tell them apart. Leofric and the floor check more: the
structure of each country's IBANs, withdrawn currencies, control characters; and they derive payer and payee.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from app.reference.countries import countries
from app.reference.currencies import exponents
from app.reference.ibans import iban_structures

THREADS = 2

# All peers read these with the regular expressions of their own library; none of them uses more than all libraries have.
TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
SORT_CODE = r"^([0-9]{6}|[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{2} [0-9]{2} [0-9]{2})$"
ACCOUNT = r"^[0-9]{8}$"
AMOUNT = r"^[+-]?[0-9]{1,13}(\.[0-9]{1,4})?$"
IBAN = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}$"
NO_SORT_CODE = "000000"
NO_ACCOUNT = "00000000"
ID_LENGTH_MAX = 128

# Under MOD 97-10 a letter stands for a number of two digits, A being 10.
LETTER_VALUES = {chr(ord("A") + i): str(10 + i) for i in range(26)}
# Digits that an int64 takes after a remainder of two digits.
MOD_97_STEP = 16
MOD_97_STEPS = 5  # 34 characters, of which 30 may be letters, are at most 64 digits and four more of the country

CURRENCIES: dict[str, int] = dict(exponents())
COUNTRIES = tuple(sorted(countries()))
IBAN_LENGTHS = {structure.country: structure.length for structure in iban_structures()}


@dataclass(frozen=True)
class Counts:
    """Where the rows went."""

    rows: int
    accepted: int
    quarantined: int
    duplicates: int


Peer = Callable[[list[Path], Path], tuple[Counts, float]]
"""Reads landing files, writes into an empty folder; returns counts, and seconds without the start of any session."""


def main(peer: Peer) -> None:
    """A peer as a program: ``LANDING OUT``; prints one line of JSON."""
    landing, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True)
    counts, seconds = peer(sorted(landing.glob("*.csv")), out)
    sys.stdout.write(json.dumps(asdict(counts) | {"seconds": round(seconds, 3)}) + "\n")


class Watch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = perf_counter()

    def seconds(self) -> float:
        return perf_counter() - self._begun
