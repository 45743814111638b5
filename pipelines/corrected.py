"""Corrected records on their way into a replay: the texts of each, with the number that it has in its file."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from app.contracts.landing import NAMES, SCHEMA, VERSION
from app.lake.storage import Storage
from app.readers.parquet import JsonRows
from app.readers.parsed import Parsed
from pipelines.work import Corrected


def stage(storage: Storage, path: str, rows: pa.Table) -> Corrected:
    """Put down rows (``landing.SCHEMA`` and record_number, ascending) for the tasks to come."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    storage.put(path, sink.getvalue())
    return Corrected(path, rows.num_rows)


def blocks(storage: Storage, part: Corrected, most_rows: int) -> Iterator[Parsed]:
    """The records as a reader gives them, at most ``most_rows`` at a time; none is a fault, since reviewers give whole records."""
    rows = pa.ipc.open_stream(pa.py_buffer(storage.read(part.path))).read_all()
    nothing = np.zeros(0, dtype=np.int64)
    for begin in range(0, rows.num_rows, most_rows):
        piece = rows.slice(begin, most_rows).combine_chunks()
        texts = piece.select(NAMES).cast(SCHEMA)
        raw = JsonRows(texts, np.arange(texts.num_rows))
        no_bytes = pa.array([], pa.binary())
        yield Parsed(texts, piece["record_number"].to_numpy(), raw, nothing, nothing.astype(np.uint8), no_bytes, VERSION)
