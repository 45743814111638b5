"""IBAN structures: how each country writes its BBAN, from SWIFT's IBAN registry, release 99."""

import re
from dataclasses import dataclass
from functools import cache

from app.reference import table

LENGTH_MAX = 34  # ISO 13616-1: two letters, two digits, at most 30 characters


@dataclass(frozen=True)
class IbanStructure:
    """A country's IBAN: ``length`` counts all of it; ``bban`` has a letter for each character after the fourth.

    The letters are the registry's: ``n`` a digit, ``a`` a capital letter, ``c`` either.
    """

    country: str
    length: int
    bban: str


@cache
def iban_structures() -> tuple[IbanStructure, ...]:
    """The structure of every country in the registry."""
    return tuple(IbanStructure(row["country"], int(row["length"]), _expand(row["structure"])) for row in table.read("ibans"))


def _expand(structure: str) -> str:
    return "".join(letter * int(count) for count, letter in re.findall(r"([0-9]+)([nac])", structure))
