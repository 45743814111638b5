"""Rows of a sealed lake as people read them: sealed texts opened, tokens replaced by whom they stand for."""

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import SEALED
from app.contracts.table import holds_text
from app.sealing import is_sealed, opened
from app.subjects import Register, named

_SEALED: Final = re.compile(SEALED)


def unsealed(table: pa.Table, register: Register) -> pa.Table:
    """The table with every text and list of texts, and all bytes, as they were; what has no key any more stays a token, or is erased."""
    for place, field in enumerate(table.schema):
        if holds_text(field.type):
            chunks = [_column(chunk, register) for chunk in table.column(place).chunks]
            table = table.set_column(place, field, pa.chunked_array(chunks, field.type))
    return table


def text(value: str, register: Register) -> str:
    """One text as it was, whatever stands around what is sealed in it."""
    whole = _SEALED.sub(lambda match: str(opened(pa.array([match[0]], pa.string()), register)[0]), value)
    return str(named(pa.array([whole], pa.string()), register)[0])


def _column(values: pa.Array, register: Register) -> pa.Array:
    of = values.type
    if pa.types.is_dictionary(of):
        return pa.DictionaryArray.from_arrays(values.indices, _column(values.dictionary, register))
    if pa.types.is_list(of):
        offsets = values.offsets if values.offset == 0 else pc.subtract(values.offsets, values.offsets[0])
        return pa.ListArray.from_arrays(offsets, _column(values.flatten(), register), type=of, mask=values.is_null())
    if is_sealed(values).any():
        values = opened(values, register)
    return named(values, register) if pa.types.is_string(of) else values
