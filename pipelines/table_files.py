"""The rows of single files of a table, as the table's contract has them today."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.contracts.table import TableContract
from app.lake.storage import Storage


def pieces(
    storage: Storage, contract: TableContract, paths: Sequence[str], rows: int, partition: Mapping[str, Any] | None = None
) -> Iterator[pa.Table]:
    """The rows of some files, one after the other, in pieces of so many rows; a column that came after a file was written is null in it.

    ``paths`` are below the table. The columns that the table is partitioned by are there where ``partition`` says what they are.
    """
    schema = pa.schema([field for field in contract.schema if partition is not None or field.name not in contract.partition_by])
    waiting = schema.empty_table()
    for path in paths:
        with storage.arrow_file(f"{contract.path}/{path}") as opened, pq.ParquetFile(opened) as parquet:
            for batch in parquet.iter_batches(rows, use_threads=False):
                waiting = pa.concat_tables([waiting, _shaped(pa.Table.from_batches([batch]), schema, partition or {})])
                while waiting.num_rows >= rows:
                    yield waiting.slice(0, rows).combine_chunks()
                    waiting = waiting.slice(rows)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _shaped(rows: pa.Table, schema: pa.Schema, partition: Mapping[str, Any]) -> pa.Table:
    """Rows with the columns of a schema, and in its order."""
    columns = [
        rows[f.name]
        if f.name in rows.column_names
        else pa.repeat(pa.scalar(partition[f.name], f.type), rows.num_rows)
        if f.name in partition
        else pa.nulls(rows.num_rows, f.type)
        for f in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)
