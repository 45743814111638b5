"""Short ways to say what validation is asked and what it answers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pyarrow as pa

from app.columns import Text, from_arrow
from app.contracts.landing import SCHEMA
from app.contracts.reasons import Codes, code_of
from app.reference.modulus import WeightTable
from app.validation import modulus


def text(*values: str | None) -> Text:
    return from_arrow(pa.array(values, pa.string()))


def modulus_results(sort_codes: Sequence[str], accounts: Sequence[str], table: WeightTable | None) -> list[str]:
    """What the modulus check says of each account, as a word."""
    return [modulus.RESULTS[result] for result in modulus.check(text(*sort_codes), text(*accounts), table).tolist()]


def strings(column: Text) -> list[str]:
    ends = column.offsets.tolist()
    return [bytes(column.data[start:end]).decode() for start, end in pairwise(ends)]


def names(codes: Codes) -> list[str | None]:
    """The code behind each number; None for "nothing to object"."""
    return [code_of(int(number)) if number else None for number in codes]


def landing_table(rows: Sequence[Mapping[str, str | None]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], SCHEMA)
