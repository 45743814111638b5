"""Reconciliation: count again what lies in the tables, and compare it with what the readers counted.

Nothing here uses a count that an earlier stage made of its own rows: the Parquet files are read back from storage, and
their rows are counted, summed, and ticked off by record number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.compliance.control_totals import Coverage, Marks, Totals, marks, of_rows
from app.contracts.lake import DUPLICATES, QUARANTINE, SILVER
from app.lake.delta import StagedFile
from app.lake.storage import Storage
from pipelines.work import Run

SIDES = {SILVER.path: "accepted", QUARANTINE.path: "quarantined", DUPLICATES.path: "duplicates"}
COLUMNS = ["source_sha256", "record_number", "currency", "amount_minor"]


@dataclass(frozen=True)
class Placed:
    """Parquet files of one of the three tables in which records end."""

    table: str  # its path
    paths: tuple[str, ...]  # below the table


def placed(staged: Mapping[str, Sequence[StagedFile]], most_rows: int) -> list[Placed]:
    """What one task each counts: files of one table, together at most ``most_rows`` rows or one file."""
    found = []
    for table in SIDES:
        group: list[str] = []
        rows = 0
        for file in staged.get(table, ()):
            if group and rows + file.rows > most_rows:
                found.append(Placed(table, tuple(group)))
                group, rows = [], 0
            group.append(file.path)
            rows += file.rows
        if group:
            found.append(Placed(table, tuple(group)))
    return found


@dataclass(frozen=True)
class Counted:
    """What lies in such files, by the hash of the landing file that it came from."""

    side: str
    totals: Mapping[str, Totals]
    marks: Mapping[str, Marks]  # of the landing files that are known


@dataclass(frozen=True)
class Unreadable:
    """What a task found instead of what the run had staged."""

    why: str


def count(run: Run, records: Mapping[str, int], placed: Placed) -> Counted:
    """Read Parquet files back and count the rows that the run wrote; ``records``: how many each landing file has, by hash."""
    rows = pa.concat_tables([_read(run.lake.storage, f"{placed.table}/{path}") for path in placed.paths]).unify_dictionaries()
    mine = pc.equal(rows["run_id"], run.run_id)
    return count_rows(SIDES[placed.table], rows if pc.all(mine).as_py() else rows.filter(mine), records)


def _read(storage: Storage, path: str) -> pa.Table:
    with storage.arrow_file(path) as file, pq.ParquetFile(file, read_dictionary=["source_sha256", "currency", "run_id"]) as parquet:
        rows = parquet.read(columns=[*COLUMNS, "run_id"], use_threads=False)
    return pa.Table.from_arrays(rows.columns, names=rows.column_names)  # whether a column may be null is not counted


def count_rows(side: str, rows: pa.Table, records: Mapping[str, int]) -> Counted:
    """Count rows that have COLUMNS."""
    encoded = rows["source_sha256"]
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    encoded = encoded.combine_chunks()
    sources, numbers = encoded.dictionary.to_pylist(), rows["record_number"].to_numpy()
    which = encoded.indices.to_numpy()
    order = np.argsort(which.astype(np.uint16) if len(sources) < 2**16 else which, kind="stable")
    cuts = np.searchsorted(which[order], np.arange(len(sources) + 1)).tolist()
    by_source = {source: numbers[order[begin:end]] for source, (begin, end) in zip(sources, pairwise(cuts), strict=True)}
    return Counted(side, of_rows(rows), {s: marks(n, records[s]) for s, n in by_source.items() if s in records})


@dataclass
class Tally:
    """What all three tables hold of each landing file."""

    records: Mapping[str, int]  # by hash: how many records the reader counted
    taken: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)  # by hash: the only ones that are due, where not all are
    sides: dict[str, dict[str, Totals]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._coverage = {source: Coverage(records, self.taken.get(source)) for source, records in self.records.items()}
        self._strays: list[str] = []
        self.sides = {source: {side: Totals() for side in SIDES.values()} for source in self.records}

    def add(self, part: Counted) -> None:
        """Take in what a Parquet file, or a piece of one, holds."""
        for source, totals in part.totals.items():
            if source not in self._coverage:
                self._strays.append(f"the tables hold records of a file with SHA-256 {source}, which this run did not load")
                continue
            self.sides[source][part.side] += totals
            self._coverage[source].add(part.marks[source])

    def object_to(self, part: Unreadable) -> None:
        """Note that something could not be counted at all."""
        self._strays.append(f"what was staged cannot be read back: {part.why}")

    def faults(self) -> list[str]:
        """A sentence for each record that is nowhere, or in two places, and for each file that nobody loaded."""
        return self._strays + [
            f"file {source}: {fault}" for source, coverage in self._coverage.items() if (fault := coverage.fault()) is not None
        ]
