"""A table as somebody may see it, for DuckDB: its scanner masks what it has read before it hands it on, and filters afterwards.

DuckDB asks an Arrow dataset for a scanner of some columns and a filter. Ours reads these columns alone, so that only what a query touches
is masked, and holds the filter against masked values: no comparison, no join and no error message ever has a raw one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from app.compliance.access import Clearance
from app.contracts.table import Classification, TableContract, holds_text

_PERSONAL: Final = (Classification.PERSONAL, Classification.SPECIAL_CATEGORY)


class SeenDataset(ds.Dataset):  # type: ignore[misc]  # pyarrow has no types
    """What DuckDB uses of a dataset: its schema, and scanners.

    Arrow cannot make a dataset of Python functions, so this one is a dataset in name only: nothing but what is here may be asked of it.
    """

    def __init__(self, raw: ds.Dataset, contract: TableContract, clearance: Clearance) -> None:
        """Not Arrow's own __init__, which refuses to be called."""
        self._raw = raw
        self._contract = contract
        self._clearance = clearance
        self._schema = clearance.of(raw.schema.empty_table(), contract).schema
        # Whose data is restricted is told by columns that are read beside those that are wanted.
        self._beside = clearance.restricted.needs(contract) if clearance.restricted.concerns(contract) else ()
        self._clear = pa.schema([one for one in self._schema if self._is_whole(one.name) and not self._hides(one)])

    def _hides(self, of: pa.Field) -> bool:
        """Whether values of a column may be sealed, or tokens: what a filter says is about what they stand for."""
        return self._clearance.register is not None and holds_text(of.type)

    @property
    def schema(self) -> pa.Schema:
        """The table's columns; those that are masked may be null."""
        return self._schema

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 (Arrow's name for it, by which DuckDB gives it)
        **options: Any,
    ) -> "_Scan":
        """A scanner of masked rows, once. ``options`` are Arrow's, about batches and threads."""
        names = self._schema.names if columns is None else list(columns)
        if filter is not None:
            # Not every column of a filter is one that is wanted. Whatever the filter's text mentions is read; more does no harm.
            text = str(filter)
            names = [*names, *(name for name in self._schema.names if name not in names and name in text)]
        if any(_class_of(self._contract, name) in _PERSONAL for name in names):
            names = [*names, *(name for name in self._beside if name not in names)]
        read = self._raw.scanner(columns=names, filter=filter if self._is_about_clear_columns(filter) else None, **options)
        wanted = self._schema.names if columns is None else list(columns)
        return _Scan(read, pa.schema([self._schema.field(name) for name in wanted]), filter, self._contract, self._clearance)

    def _is_whole(self, name: str) -> bool:
        """Whether every value of a column is seen as it is."""
        classification = _class_of(self._contract, name)
        return self._clearance.is_clear(classification) and not (self._beside and classification in _PERSONAL)

    def _is_about_clear_columns(self, condition: pc.Expression | None) -> bool:
        """Whether a filter means the same before masking; then whole files need not be read."""
        if condition is None:
            return False
        try:
            ds.Scanner.from_batches(iter(()), schema=self._clear, filter=condition)
        except pa.ArrowInvalid:  # there is no such column
            return False
        return True


@dataclass(frozen=True)
class _Scan:
    """What DuckDB uses of a scanner: a reader of its batches.

    No Arrow scanner, since that would call Python on Arrow's threads, ahead of what is asked for: after a limit they are still at it, and
    an interpreter that ends meanwhile is aborted. This one works on the thread that asks.
    """

    read: ds.Scanner
    schema: pa.Schema
    condition: pc.Expression | None
    contract: TableContract
    clearance: Clearance

    def to_reader(self) -> pa.RecordBatchReader:
        """A reader of masked batches, once."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self.read.to_batches():
            seen = self.clearance.of(pa.Table.from_batches([batch]), self.contract)
            if self.condition is not None:
                seen = seen.filter(self.condition)
            yield from seen.select(self.schema.names).cast(self.schema).to_batches()


def seen(raw: ds.Dataset, contract: TableContract, clearance: Clearance) -> ds.Dataset:
    """The dataset for somebody: itself where nothing of it has to be changed."""
    return raw if clearance.leaves(contract) else SeenDataset(raw, contract, clearance)


def _class_of(contract: TableContract, name: str) -> Classification:
    return next(column.classification for column in contract.columns if column.name == name)
