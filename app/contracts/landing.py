"""The landing contract: what a bank's feed must look like. Public and stable.

A version only adds optional columns, at the end, so that a record of an older version is one of every later version, too: what it lacks
is empty (docs/adr/0024). Which version a file has is known from the columns that it names.
"""

from collections.abc import Collection, Mapping
from typing import Final

import pyarrow as pa

from app.contracts.table import Classification, Column, Owner, TableContract

CHANNELS = ("FPS", "BACS", "CHAPS", "CARD", "ATM", "CASH", "CHEQUE", "INTERNAL", "SEPA", "SWIFT")


def _text(name: str, meaning: str, classification: Classification, *, required: bool = False) -> Column:
    return Column(name, pa.string(), meaning, classification, nullable=not required)


COLUMNS = (
    _text("transaction_id", "the feed's identifier of the transaction; unique, case-sensitive", Classification.CONFIDENTIAL, required=True),
    _text("timestamp", "when the transaction was booked; ISO 8601 with a zone", Classification.CONFIDENTIAL, required=True),
    _text("sort_code", "sort code of the booked account", Classification.CONFIDENTIAL, required=True),
    _text("account_number", "number of the booked account", Classification.PERSONAL, required=True),
    _text("counterparty_sort_code", "sort code of the other account", Classification.CONFIDENTIAL),
    _text("counterparty_account", "number of the other account", Classification.PERSONAL),
    _text("counterparty_iban", "IBAN of the other account", Classification.PERSONAL),
    _text("amount", "signed decimal; minus is money leaving the booked account", Classification.CONFIDENTIAL, required=True),
    _text("currency", "ISO 4217 code of the amount", Classification.CONFIDENTIAL, required=True),
    _text("channel", "one of " + ", ".join(CHANNELS), Classification.CONFIDENTIAL),
    _text("country", "ISO 3166-1 alpha-2 code of the counterparty's country", Classification.CONFIDENTIAL, required=True),
    _text("description", "free text of the payment, kept byte for byte", Classification.PERSONAL),
    _text("merchant_category", "ISO 18245 code of what the card's merchant sells; since version 2", Classification.CONFIDENTIAL),
)
"""Those of the newest version."""
NAMES = tuple(column.name for column in COLUMNS)
VERSIONS: Final[Mapping[int, tuple[str, ...]]] = {1: NAMES[: NAMES.index("merchant_category")], 2: NAMES}
"""By version, the columns that a CSV header or a Parquet schema of it names, all of them, in any order."""
VERSION = max(VERSIONS)
"""The newest."""
REQUIRED = tuple(column.name for column in COLUMNS if not column.nullable)
SCHEMA = pa.schema([pa.field(name, pa.string()) for name in NAMES])
TABLE = TableContract("landing", "what a bank's feed brings, as text", COLUMNS, owner=Owner.PAYMENTS, retention="payments_of_customers")
"""The contract in the form that the lake's tables have; it is no table of the lake."""


def version_of(names: Collection[str]) -> int:
    """The oldest version that has all of these columns, each of which is one of NAMES."""
    return next(version for version, columns in VERSIONS.items() if set(columns).issuperset(names))


def versions_said() -> str:
    """What the versions are, for messages to people."""
    first, *others = VERSIONS
    since = [f"version {number} has also {', '.join(VERSIONS[number][len(VERSIONS[number - 1]) :])}" for number in others]
    return "; ".join([f"version {first} has {','.join(VERSIONS[first])}", *since])
