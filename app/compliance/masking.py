"""Tables without what somebody may not see: columns are masked by their class, or turned into tokens that still join.

What is masked keeps its column's name and type, so that a query that runs on a table runs on the masked one, too. Nulls stay nulls.
Tokens are pseudonyms, and pseudonyms are still personal data (UK GDPR Article 4(5)): whoever has the lake's key can try all account
numbers.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.table import Classification, TableContract
from app.errors import UsageError

STARS = "****"
_LEFT, _LEAST_LENGTH = 2, 6  # a text of six characters and more keeps its last two; the last two of a shorter one tell too much

TOKEN_PREFIX = "tok_"  # noqa: S105 (no secret: what tokens begin with)
_PURPOSE = b"leofric tokens, version 1"
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")

_Change = Callable[[pa.Array], pa.Array]


class Treatment(StrEnum):
    """What is done with a column before somebody sees it, the most first."""

    CLEAR = "clear"
    TOKENISED = "tokenised"
    MASKED = "masked"
    NOTHING = "nothing"


def masked(table: pa.Table, contract: TableContract, may_see: Collection[Classification]) -> pa.Table:
    """The table for somebody who may see columns of these classes; public ones are for everybody.

    Of internal and confidential columns a part stays: the last two characters of a text of six or more, the first figure of a number of
    two or more, the month of a day or an instant. Of personal columns texts become stars and all else null; of special category all is
    null. UsageError names a column that the contract does not have: nobody knows its class.
    """
    return _changed(table, contract, dict.fromkeys(may_see, Treatment.CLEAR), b"")


def tokenised(
    table: pa.Table,
    contract: TableContract,
    key: bytes,
    may_see: Collection[Classification],
    tokens_for: Collection[Classification] = (Classification.PERSONAL,),
) -> pa.Table:
    """The table, masked, but texts and bytes of the classes ``tokens_for`` are tokens: one value has one token wherever it stands.

    ``key`` is the lake's key: tables of one lake join by tokens, those of two lakes do not. A token is ``tok_`` and 32 letters, the first
    128 bits of HMAC-SHA256; it has no digit, so that it is not taken for an account. A column whose type cannot hold a token (a number, a
    day) is masked. Special category is never made a token.
    """
    treatments = dict.fromkeys(tokens_for, Treatment.TOKENISED) | dict.fromkeys(may_see, Treatment.CLEAR)
    if Classification.SPECIAL_CATEGORY in tokens_for:
        treatments[Classification.SPECIAL_CATEGORY] = Treatment.TOKENISED  # which is refused, whatever else is wanted
    return treated(table, contract, key, treatments)


def treated(table: pa.Table, contract: TableContract, key: bytes, treatments: Mapping[Classification, Treatment]) -> pa.Table:
    """The table with each class of columns as ``treatments`` says; a class that it does not name is masked, public is clear.

    ``key`` is the lake's key, as for ``tokenised``; nothing leaves of a column nulls only. UsageError for a key under 16 bytes, for tokens
    of special category, and for a column that the contract does not have.
    """
    if treatments.get(Classification.SPECIAL_CATEGORY) is Treatment.TOKENISED:
        raise UsageError("special category data is not made into tokens: a token still says which records are of one person")
    if len(key) < 16:
        raise UsageError(f"the key of tokens has {len(key)} bytes; it needs 16 or more")
    return _changed(table, contract, treatments, token_key(key))


def token_key(key: bytes) -> bytes:
    """The key of tokens, made of the lake's key, which has other uses."""
    return hmac.digest(key, _PURPOSE, hashlib.sha256)


def _changed(table: pa.Table, contract: TableContract, treatments: Mapping[Classification, Treatment], own_key: bytes) -> pa.Table:
    classes = {column.name: column.classification for column in contract.columns}
    unknown = [name for name in table.column_names if name not in classes]
    if unknown:
        raise UsageError(f"{contract.path} has no column {unknown[0]}: its class is not known, so it can be shown to nobody")
    columns = []
    for name in table.column_names:
        classification, column = classes[name], table[name]
        treatment = treatments.get(classification, Treatment.MASKED)
        if classification is not Classification.PUBLIC and treatment is not Treatment.CLEAR:
            column = _column(column, _change(classification, treatment, own_key))
        columns.append(column)
    return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in table.schema], table.schema.metadata))


def _column(column: pa.ChunkedArray, change: _Change) -> pa.ChunkedArray:
    chunks = [_typed(change(_plain(chunk)), column.type) for chunk in column.chunks]
    return pa.chunked_array(chunks, column.type)


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _typed(values: pa.Array, of: pa.DataType) -> pa.Array:
    return values.dictionary_encode().cast(of) if pa.types.is_dictionary(of) else values.cast(of)


def _change(classification: Classification, treatment: Treatment, own_key: bytes) -> _Change:
    if treatment is Treatment.TOKENISED:
        return lambda values: _tokens(values, own_key)
    if treatment is Treatment.NOTHING or classification is Classification.SPECIAL_CATEGORY:
        return _nothing
    return _stars if classification is Classification.PERSONAL else _part


def _nothing(values: pa.Array) -> pa.Array:
    return pa.nulls(len(values), values.type)


def _is_text(of: pa.DataType) -> bool:
    return bool(pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of))


def _is_bytes(of: pa.DataType) -> bool:
    return bool(pa.types.is_binary(of) or pa.types.is_large_binary(of))


def _is_list(of: pa.DataType) -> bool:
    return bool(pa.types.is_list(of) or pa.types.is_large_list(of))


def _in_lists(values: pa.Array, change: _Change) -> pa.Array:
    """The same lists of changed elements."""
    lengths = pc.fill_null(pc.list_value_length(values), 0)
    ends = np.concatenate(([0], np.cumsum(lengths.to_numpy(zero_copy_only=False)))).astype(np.int64)
    offsets = pa.array(ends, pa.int64() if pa.types.is_large_list(values.type) else pa.int32())
    made = (pa.LargeListArray if pa.types.is_large_list(values.type) else pa.ListArray).from_arrays
    return made(offsets, change(values.flatten()), mask=values.is_null()).cast(values.type)


def _stars(values: pa.Array) -> pa.Array:
    """Texts as stars, in lists too; of other types nothing."""
    if _is_list(values.type):
        return _in_lists(values, _stars)
    if not _is_text(values.type):
        return _nothing(values)
    return pc.if_else(values.is_valid(), pa.scalar(STARS, values.type), pa.scalar(None, values.type))


def _part(values: pa.Array) -> pa.Array:
    """What is left of internal and confidential values."""
    of = values.type
    if _is_list(of):
        return _in_lists(values, _part)
    if _is_text(of):
        plain, no_text = values.cast(pa.large_string()), pa.scalar("", pa.large_string())
        left = pc.if_else(pc.greater_equal(pc.utf8_length(plain), _LEAST_LENGTH), pc.utf8_slice_codeunits(plain, -_LEFT), no_text)
        return pc.binary_join_element_wise(pa.scalar(STARS, pa.large_string()), left, no_text).cast(of)
    if pa.types.is_integer(of) or pa.types.is_floating(of):
        return _first_figure(values)
    if pa.types.is_date(of) or pa.types.is_timestamp(of):
        return pc.floor_temporal(values, unit="month").cast(of)
    return _nothing(values)


def _first_figure(values: pa.Array) -> pa.Array:
    """The first figure and zeros: -12,550 is -10,000. Whole numbers of one figure are 0; what is no finite number is null."""
    of = values.type
    if pa.types.is_integer(of):
        # In whole numbers of Python's: floats have not all of 64 bits, and the least of them has no absolute value among them.
        distinct = values.dictionary_encode()
        rounded = [_whole(value) for value in distinct.dictionary.to_pylist()]
        return pa.array(rounded, of).take(distinct.indices)
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    usable = values.is_valid().to_numpy(zero_copy_only=False) & np.isfinite(numbers)
    size = np.abs(np.where(usable & (numbers != 0.0), numbers, 1.0))
    unit = 10.0 ** np.floor(np.log10(size))
    first = np.where(numbers == 0.0, 0.0, np.copysign(np.floor(size / unit) * unit, numbers))
    return pa.array(first, pa.float64(), mask=~usable).cast(of, safe=False)


def _whole(value: int) -> int:
    figures = str(abs(value))
    kept = 0 if len(figures) == 1 else int(figures[0]) * 10 ** (len(figures) - 1)
    return -kept if value < 0 else kept


def _tokens(values: pa.Array, key: bytes) -> pa.Array:
    """A token a value, made once for each distinct one; what cannot hold one is masked as personal data is."""
    of = values.type
    if _is_list(of):
        return _in_lists(values, lambda elements: _tokens(elements, key))
    if not (_is_text(of) or _is_bytes(of)):
        return _nothing(values)
    distinct = values.cast(pa.large_binary()).dictionary_encode()
    made = [token(value, key) for value in distinct.dictionary.to_pylist()]
    return pa.array(made, pa.string()).take(distinct.indices).cast(of)


def token(value: bytes, key: bytes) -> str:
    """The token of one value; ``key`` is the key of tokens, which is made of the lake's."""
    return TOKEN_PREFIX + hmac.digest(key, value, hashlib.sha256)[:16].hex().translate(_LETTERS)
