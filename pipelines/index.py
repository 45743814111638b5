"""The index of transaction ids made anew from silver, where its segments are there no more."""

from collections.abc import Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from app.contracts.lake import SILVER, TYPED
from app.errors import LakeDamaged
from app.fingerprints import fingerprints
from app.lake import arrivals
from app.lake.keys import Keys, Segment
from pipelines import duplicates
from pipelines.attempt import Attempt
from pipelines.bronze import keys_path
from pipelines.executor import Executor
from pipelines.work import Run

_COLUMNS = [column.name for column in TYPED if column.name not in SILVER.partition_by]


def made_anew(begun: Attempt, executor: Executor, paths: Sequence[str]) -> tuple[tuple[Segment, ...], list[str]]:
    """Segments of all rows of some files of silver, by the stages of a load; and objects to remove once the run is published.

    LakeDamaged if silver has a transaction_id twice, or a file that cannot be read.
    """
    run = begun.run
    with begun.stages.stage("read ids", len(paths)) as watch:
        arrived = dict(watch(executor.map(partial(_arrived, run), list(enumerate(sorted(paths))))))
    ranges = duplicates.ranges_of(run, {unit: begins for unit, begins in arrived.items() if begins[-1]}, ())
    with begun.stages.stage("index", len(ranges)) as watch:
        settled = list(watch(executor.map(partial(duplicates.settle, run), ranges)))
    twice = sum(len(part.unit) for part in settled)
    if twice:
        raise LakeDamaged(f"{SILVER.path} has {twice} rows whose transaction_id another row has too; an index cannot be made of it")
    segments = sorted((part.segment for part in settled), key=lambda segment: segment.name)
    return tuple(one for one in segments if one.rows), [one.path for one in segments if not one.rows]


def _arrived(run: Run, item: tuple[int, str]) -> tuple[int, tuple[int, ...]]:
    """Put the keys of a file where a unit's keys wait; the file's number, and where each first byte's keys begin."""
    number, path = item
    parts, numbers, at = [], [], 0
    try:
        with run.lake.storage.arrow_file(f"{SILVER.path}/{path}") as opened, pq.ParquetFile(opened) as parquet:
            for batch in parquet.iter_batches(run.settings.block_rows, columns=[*_COLUMNS, "record_number"], use_threads=False):
                prints = fingerprints(pa.Table.from_batches([batch]), run.lake.key)
                parts.append(Keys(prints.id_high, prints.id_low, prints.content))
                numbers.append(batch["record_number"].to_numpy())
                at += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(f"the table {SILVER.path} cannot be read: {error}; restore the file, nothing in it can be vouched for") from None
    arranged, begins = arrivals.arrange(parts, numbers)
    if at:
        run.lake.storage.put(keys_path(run, number), arranged.data)
    return number, tuple(begins.tolist())
