"""People whose data is kept and not used: their values are hidden from everybody who looks at tables, whatever their role.

A restriction knows nobody's number: it has the tokens of parties as the tables write them, which are compared with the tokens of what is
read. In a row of theirs the person's own numbers are hidden, and every text that may tell about them; the other side is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.masking import STARS, token, token_key
from app.contracts.party import account_in
from app.contracts.table import Classification, TableContract

Mask = npt.NDArray[np.bool_]

PAIRS: Final = (("sort_code", "account_number"), ("counterparty_sort_code", "counterparty_account"))
_PARTIES: Final = ("payer", "payee", "account")
IBAN: Final = "counterparty_iban"
_PLACE: Final = ("source_sha256", "record_number")
_PERSONAL: Final = (Classification.PERSONAL, Classification.SPECIAL_CATEGORY)
_NUMBERS: Final = frozenset({number for _, number in PAIRS} | {*_PARTIES, IBAN})


@dataclass(frozen=True)
class Restricted:
    """Whose data is hidden: tokens of parties, and records (the file's SHA-256 and the number) that no account can be read of."""

    tokens: frozenset[str] = frozenset()
    records: frozenset[tuple[str, int]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.tokens or self.records)

    def concerns(self, contract: TableContract) -> bool:
        """Whether rows of this table may have to be hidden: it has personal columns, and says whose they are."""
        return bool(self) and bool(self.needs(contract)) and any(column.classification in _PERSONAL for column in contract.columns)

    def needs(self, contract: TableContract) -> tuple[str, ...]:
        """The columns that say whose a row is."""
        names = {name for pair in PAIRS for name in pair} | {*_PARTIES, IBAN, *_PLACE}
        return tuple(name for name in contract.schema.names if name in names)

    def rows(self, table: pa.Table, key: bytes) -> Mask:
        """The rows that are a restricted person's on either side, by the columns that the table has; ``key`` is the lake's."""
        hidden, placed = self._found(table, key)
        return _any([placed, *hidden.values()])

    def hide(self, seen: pa.Table, table: pa.Table, contract: TableContract, key: bytes) -> pa.Table:
        """``seen`` without their values: texts are stars, all else is null, for which every column may be null afterwards.

        ``table`` has the same rows as they are.
        """
        hidden, placed = self._found(table, key)
        every = _any([placed, *hidden.values()])
        classes = {column.name: column.classification for column in contract.columns}
        columns = []
        for name in seen.column_names:
            mask = hidden.get(name, placed) | placed if name in _NUMBERS else every
            columns.append(_hidden(seen[name], mask) if classes[name] in _PERSONAL and mask.any() else seen[name])
        return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in seen.schema], seen.schema.metadata))

    def _found(self, table: pa.Table, key: bytes) -> tuple[Mapping[str, Mask], Mask]:
        """By column of numbers, the rows whose value is a restricted person's; and the rows of records that are."""
        names, own_key = set(table.column_names), token_key(key)
        hidden = {name: self._are(table[name], own_key) for name in _PARTIES if name in names}
        for code, number in PAIRS:
            if {code, number} <= names:
                plain = pc.replace_substring_regex(table[code], "[ -]", "")
                hidden[number] = self._are(pc.binary_join_element_wise(plain, table[number], "-"), own_key)
        if IBAN in names:
            mask = self._are(pc.replace_substring(table[IBAN], " ", ""), own_key)
            hidden[IBAN] = mask | hidden.get("counterparty_account", mask)
        placed = np.zeros(table.num_rows, np.bool_)
        if self.records and set(_PLACE) <= names:
            places = zip(table[_PLACE[0]].to_pylist(), table[_PLACE[1]].to_pylist(), strict=True)
            placed = np.array([place in self.records for place in places], np.bool_)
        return hidden, placed

    def _are(self, values: pa.ChunkedArray, own_key: bytes) -> Mask:
        encoded = values.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        theirs = [place for place, value in enumerate(encoded.dictionary.to_pylist()) if value is not None and self._is(value, own_key)]
        return np.isin(np.asarray(pc.fill_null(encoded.indices, -1)), theirs)

    def _is(self, value: str, own_key: bytes) -> bool:
        inside = account_in(value)
        return token(value.encode(), own_key) in self.tokens or (inside is not None and token(inside.encode(), own_key) in self.tokens)


def _any(masks: Sequence[Mask]) -> Mask:
    found: Mask = np.logical_or.reduce(masks)
    return found


def _hidden(column: pa.ChunkedArray, mask: Mask) -> pa.ChunkedArray:
    of = column.type
    text = pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of)
    plain = column.cast(pa.string()) if text else column
    shown = pc.if_else(pa.array(mask), pa.scalar(STARS if text else None, plain.type), plain)
    return pc.if_else(column.is_valid(), shown, pa.scalar(None, plain.type)).cast(of)


NOBODY: Final = Restricted()
