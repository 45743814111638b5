"""Who banks with the sample society, and whom they pay."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app import columns
from app.reference.modulus import synthetic
from app.validation.modulus import INVALID, check

Strings = npt.NDArray[np.str_]
Numbers = npt.NDArray[np.int64]

# Structures that leave room for digits only after the bank code, so that an IBAN is its country, check digits and a body.
_IBAN_BODIES = {"DE": ("", 18), "FR": ("", 23), "ES": ("", 20), "NL": ("INGB", 10), "IE": ("AIBK", 14), "PL": ("", 24)}
_SPACING = 200  # between two account numbers, before each is moved to the next valid one
_MOST = 400_000  # accounts of a side: there is room for a few more at this spacing
_RESERVED = 400  # accounts without ordinary payments: typologies are planted there


@dataclass(frozen=True)
class Society:
    """The society's accounts and the outside world, as arrays."""

    sort_codes: Strings
    numbers: Strings
    weights: npt.NDArray[np.float64]  # how busy each ordinary account is; sums to 1
    savings: Numbers  # positions of savings accounts; each belongs to the current account of the same rank
    current: Numbers
    business: Numbers
    reserved: Numbers
    outside_sort_codes: Strings
    outside_numbers: Strings
    ibans: Strings
    iban_countries: Strings


def society(rng: np.random.Generator, rows: int) -> Society:
    """A society of a size that makes about forty payments an account and week; more of them where it would have over 400,000 accounts."""
    count = min(max(rows // 40, 200), _MOST) + _RESERVED
    sort_codes = np.array(["990101", "990102", "990203", "990304"])[rng.integers(0, 4, count)]
    ordinary = count - _RESERVED
    busy = np.minimum(rng.pareto(1.6, ordinary) + 0.2, 12.0)  # the busiest has some twenty times the typical
    savings_count = ordinary // 5
    outside = min(max(rows // 20, 400), _MOST)
    outside_sort_codes = np.array(["995001", "995002", "996010", "997020", "998030"])[rng.integers(0, 5, outside)]
    ibans, countries = _ibans(rng, max(rows // 400, 60))
    return Society(
        sort_codes,
        _numbers(rng, sort_codes),
        busy / busy.sum(),
        np.arange(savings_count),
        np.arange(savings_count, ordinary - ordinary // 12),
        np.arange(ordinary - ordinary // 12, ordinary),
        np.arange(ordinary, count),
        outside_sort_codes,
        _numbers(rng, outside_sort_codes),
        ibans,
        countries,
    )


def _numbers(rng: np.random.Generator, sort_codes: Strings) -> Strings:
    """Account numbers, all different, that pass the modulus check of the synthetic table; some have leading zeros."""
    return valid_numbers(sort_codes, (rng.choice(90_000_000 // _SPACING, len(sort_codes), replace=False) + 5) * _SPACING)


def valid_numbers(sort_codes: Strings, from_here: Numbers) -> Strings:
    """The next number of each account that the synthetic weight table does not object to."""
    numbers = from_here.copy()
    wrong = np.arange(len(numbers))
    while len(wrong):
        codes, tried = (columns.from_arrow(pa.array(values, pa.string())) for values in (sort_codes[wrong], _digits(numbers[wrong], 8)))
        wrong = wrong[check(codes, tried, synthetic()) == INVALID]
        numbers[wrong] += 1
    return _digits(numbers, 8)


def _digits(values: Numbers, width: int) -> Strings:
    return np.char.zfill(values.astype(np.str_), width)


def _ibans(rng: np.random.Generator, count: int) -> tuple[Strings, Strings]:
    """Valid IBANs of several countries (ISO 13616, mod 97-10)."""
    countries = np.array(sorted(_IBAN_BODIES))[rng.integers(0, len(_IBAN_BODIES), count)]
    return np.array([iban(country, rng) for country in countries.tolist()]), countries


def iban(country: str, rng: np.random.Generator) -> str:
    """One valid IBAN."""
    bank, digits = _IBAN_BODIES[country]
    body = bank + "".join(rng.integers(0, 10, digits).astype(str))
    return with_check_digits(country, body)


def with_check_digits(country: str, body: str) -> str:
    """Country, check digits, body."""
    number = int("".join(str(int(character, 36)) for character in f"{body}{country}00"))
    return f"{country}{98 - number % 97:02d}{body}"
