"""What the peers' scripts check, as data: the lists that Leofric's own rules use, and the patterns of the fields."""

from app.contracts.landing import CHANNELS
from app.reference.countries import countries as _countries
from app.reference.currencies import exponents as _exponents
from app.reference.ibans import iban_structures

TIMESTAMP = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$"
SORT_CODE = r"^\d{6}$"
ACCOUNT = r"^\d{8}$"
AMOUNT = r"^[+-]?\d+(\.\d+)?$"
IBAN = r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$"
# ISO 7064: a letter stands for two digits, A for 10 to Z for 35.
LETTERS = {chr(ord("A") + i): str(10 + i) for i in range(26)}
# Where the digits of an IBAN are cut so that each piece, behind the remainder of the pieces before, fits 64 bits.
PIECES = ((1, 16), (17, 16), (33, 16), (49, 16))


def countries() -> list[str]:
    """ISO 3166-1 codes."""
    return sorted(_countries())


def channels() -> list[str]:
    """The landing contract's channels."""
    return list(CHANNELS)


def exponents() -> dict[str, int]:
    """Decimals of each currency."""
    return dict(_exponents())


def iban_lengths() -> dict[str, int]:
    """Length of each country's IBANs."""
    return {structure.country: structure.length for structure in iban_structures()}
