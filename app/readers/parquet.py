"""Parquet files whose columns are text. A column of another type has been interpreted by somebody already: it is refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.columns import Bytes, Offsets, from_arrow
from app.contracts.landing import NAMES, SCHEMA, version_of
from app.contracts.reasons import Codes, number_of
from app.errors import FileRejected
from app.jit import kernel
from app.readers import utf8
from app.readers.csv import check_names
from app.readers.parsed import Numbers, Parsed

_NUL = number_of("nul")
_ENCODING = number_of("encoding")


@dataclass(frozen=True)
class RowGroups:
    """A unit: the row groups ``[first, end)`` of a file."""

    first: int
    end: int
    first_record_number: int
    records: int


def columns(file: pa.NativeFile) -> tuple[str, ...]:
    """The names of a file's columns, as its schema orders them; FileRejected if they are of no version of the landing contract."""
    with _rejecting(), pq.ParquetFile(file) as parquet:
        _check_schema(parquet.schema_arrow)
        return tuple(parquet.schema_arrow.names)


def plan(file: pa.NativeFile, unit_rows: int) -> list[RowGroups]:
    """Check a file's schema and cut it into units of about ``unit_rows``, each of whole row groups."""
    with _rejecting(), pq.ParquetFile(file) as parquet:
        _check_schema(parquet.schema_arrow)
        sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
    units: list[RowGroups] = []
    first = rows = total = 0
    for i, size in enumerate(sizes):
        rows += size
        if rows >= unit_rows or i == len(sizes) - 1:
            units.append(RowGroups(first, i + 1, total + 1, rows))
            total += rows
            first, rows = i + 1, 0
    return [unit for unit in units if unit.records]


def _check_schema(schema: pa.Schema) -> None:
    check_names(list(schema.names))
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            raise FileRejected(
                "column_type", f"column {field.name} is {field.type}; the landing contract reads text: write all columns as strings"
            )


@contextmanager
def _rejecting() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise FileRejected("parquet_corrupt", f"the file cannot be read as Parquet ({error}); have it delivered again, complete") from None


def parse(file: pa.NativeFile, unit: RowGroups, most_rows: int) -> Iterator[Parsed]:
    """The records of a unit, at most ``most_rows`` at a time; FileRejected if its pages are damaged."""
    number = unit.first_record_number
    with _rejecting(), pq.ParquetFile(file) as parquet:
        names = [name for name in NAMES if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(most_rows, list(range(unit.first, unit.end)), names, use_threads=False):
            yield _parsed(pa.table([_as_strings(batch[name]) for name in names], names=names), number)
            number += batch.num_rows


def _parsed(whole: pa.Table, first_record_number: int) -> Parsed:
    """Records of the columns that the file has."""
    code = np.zeros(whole.num_rows, dtype=np.uint8)
    for column in whole.columns:
        text = from_arrow(column)
        _check(text.data, text.offsets, code)
    rows, faults = np.flatnonzero(code == 0), np.flatnonzero(code)
    return Parsed(
        with_every_column(whole.take(pa.array(rows)) if len(faults) else whole),
        rows + first_record_number,
        JsonRows(whole, rows),
        faults + first_record_number,
        code[faults],
        JsonRows(whole, faults).take(np.arange(len(faults))),
        version_of(whole.column_names),
    )


def with_every_column(texts: pa.Table) -> pa.Table:
    """Texts of a version of the landing contract as ``contracts.landing.SCHEMA``: what an older version has not is null."""
    return pa.table([texts[n] if n in texts.column_names else pa.nulls(texts.num_rows, pa.string()) for n in NAMES], schema=SCHEMA)


def _as_strings(column: pa.Array) -> pa.StringArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())


@dataclass(frozen=True)
class JsonRows:
    """Rows of a table of texts as JSON objects; bytes that are not UTF-8 are written as ``\\xNN``."""

    table: pa.Table
    rows: Numbers

    def take(self, rows: Numbers) -> pa.BinaryArray:
        """Those of the rows, each as one object with all its values."""
        chosen = self.table.take(pa.array(self.rows[rows]))
        columns = [_texts(column) for column in chosen.columns]
        objects = [dict(zip(self.table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]
        return pa.array([json.dumps(each, ensure_ascii=False).encode() for each in objects], pa.binary())


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    return [None if value is None else value.decode(errors="backslashreplace") for value in column.cast(pa.binary()).to_pylist()]


@kernel
def _check(data: Bytes, offsets: Offsets, code: Codes) -> None:
    for row in range(offsets.size - 1):
        high = np.uint8(0)
        nul = False
        for i in range(offsets[row], offsets[row + 1]):
            high |= data[i]
            nul |= data[i] == 0
        if nul:
            code[row] = _NUL
        elif high >= 128 and code[row] == 0 and not utf8.valid(data, offsets[row], offsets[row + 1]):
            code[row] = _ENCODING
