"""Reconciliation: count again what lies in the tables, and compare it with what the readers counted.

Nothing here uses a count that an earlier stage made of its own rows: the Parquet files are read back from storage, and
their rows are counted, summed, and ticked off by record number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.compliance.control_totals import Coverage, Totals, of_rows
from app.contracts.lake import DUPLICATES, QUARANTINE, SILVER
from app.lake.storage import Storage

SIDES = {SILVER.path: "accepted", QUARANTINE.path: "quarantined", DUPLICATES.path: "duplicates"}
COLUMNS = ["source_sha256", "record_number", "currency", "amount_minor"]


@dataclass(frozen=True)
class Placed:
    """A Parquet file of one of the three tables in which records end."""

    table: str  # its path
    path: str  # below the table


@dataclass(frozen=True)
class Counted:
    """What lies in one Parquet file, by the hash of the landing file that it came from."""

    side: str
    totals: Mapping[str, Totals]
    record_numbers: Mapping[str, npt.NDArray[np.int64]]


def count(storage: Storage, placed: Placed, run_id: str) -> Counted:
    """Read a Parquet file back and count the rows that the run wrote."""
    with (
        storage.arrow_file(f"{placed.table}/{placed.path}") as file,
        pq.ParquetFile(file, read_dictionary=["source_sha256", "run_id"]) as parquet,
    ):
        rows = parquet.read(columns=[*COLUMNS, "run_id"])
    return count_rows(SIDES[placed.table], rows.filter(pc.equal(rows["run_id"].cast(pa.string()), run_id)))


def count_rows(side: str, rows: pa.Table) -> Counted:
    """Count rows that have COLUMNS."""
    sources = rows["source_sha256"].cast(pa.string())
    totals, numbers = {}, {}
    for source in pc.unique(sources).to_pylist():
        mine = rows.filter(pc.equal(sources, source))
        totals[source] = of_rows(mine)
        numbers[source] = mine["record_number"].to_numpy()
    return Counted(side, totals, numbers)


@dataclass
class Tally:
    """What all three tables hold of each landing file."""

    records: Mapping[str, int]  # by hash: how many records the reader counted
    sides: dict[str, dict[str, Totals]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._coverage = {source: Coverage(records) for source, records in self.records.items()}
        self._strays: list[str] = []
        self.sides = {source: {side: Totals() for side in SIDES.values()} for source in self.records}

    def add(self, counted: Iterable[Counted]) -> None:
        """Take in what one or more Parquet files hold."""
        for part in counted:
            for source, totals in part.totals.items():
                if source not in self._coverage:
                    self._strays.append(f"the tables hold records of a file with SHA-256 {source}, which this run did not load")
                    continue
                self.sides[source][part.side] += totals
                self._coverage[source].add(part.record_numbers[source])

    def faults(self) -> list[str]:
        """A sentence for each record that is nowhere, or in two places, and for each file that nobody loaded."""
        return self._strays + [
            f"file {source}: {fault}" for source, coverage in self._coverage.items() if (fault := coverage.fault()) is not None
        ]
