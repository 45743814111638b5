"""The counterparty's country: ISO 3166-1 alpha-2."""

from functools import cache

from app.columns import Bytes, Text
from app.contracts.reasons import Codes, fault_numbers
from app.reference.countries import countries
from app.validation import letters


def check(text: Text) -> Codes:
    """The reasons' numbers; the text itself is the canonical form. ISO 3166-1, section 5.2 (alpha-2), and XK by policy.

    No word is special: ``NA`` is Namibia.
    """
    return fault_numbers("country", "missing", "format", "unknown")[letters.look_up(text, 2, _table())]


@cache
def _table() -> Bytes:
    return letters.table_of(dict.fromkeys(countries(), letters.KNOWN), 2)
