"""Silver: the accepted rows, one file a booking date; and the rows that turned out to be duplicates or conflicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from app.contracts.lake import DUPLICATES, QUARANTINE, SILVER
from app.contracts.table import TableContract
from app.lake import delta
from app.lake.arrivals import CONFLICT, DUPLICATE, FIRST
from app.lake.delta import StagedFile
from pipelines import sealing
from pipelines.boundary import guard
from pipelines.bronze import blocks, quarantine_rows, typed_path, validated_block, with_source, with_sources, writer
from pipelines.duplicates import Settled
from pipelines.work import Batch, Bronzed, Run, Unit

CONFLICT_REASON = "transaction_id_conflict"


@dataclass(frozen=True)
class Losers:
    """The records of one unit that are not the first of their transaction_id; both arrays ascend by record number."""

    record_number: npt.NDArray[np.int64]
    verdict: npt.NDArray[np.uint8]

    def of(self, verdict: int) -> npt.NDArray[np.int64]:
        chosen: npt.NDArray[np.int64] = self.record_number[self.verdict == verdict]
        return chosen


@dataclass(frozen=True)
class Piece:
    """The accepted rows of one booking date in some units: what one task makes one silver file of."""

    number: int
    booking_date: date
    sources: tuple[tuple[Unit, Batch, Losers | None], ...]  # unit, some of its rows, which records of it to leave out


@dataclass(frozen=True)
class Conflicts:
    """A unit that has records which contradict a transaction that is there already."""

    unit: Unit
    lost: Losers


def losers(settled: Sequence[Settled]) -> dict[int, Losers]:
    """By unit number, what the ranges settled."""
    if not any(len(part.unit) for part in settled):
        return {}
    unit = np.concatenate([part.unit for part in settled])
    number = np.concatenate([part.record_number for part in settled])
    verdict = np.concatenate([part.verdict for part in settled])
    order = np.lexsort((number, unit))
    unit, number, verdict = unit[order], number[order], verdict[order]
    found, begins = np.unique(unit, return_index=True)
    ends = [*begins[1:].tolist(), len(unit)]
    return {int(u): Losers(number[b:e], verdict[b:e]) for u, b, e in zip(found, begins.tolist(), ends, strict=True)}


def pieces(run: Run, units: Sequence[Bronzed], lost: Mapping[int, Losers]) -> list[Piece]:
    """Cut the accepted rows into files of at most settings.silver_file_rows, each of one booking date."""
    by_date: dict[date, list[tuple[Unit, Batch]]] = {}
    for bronzed in units:
        for batch in bronzed.batches:
            by_date.setdefault(batch.booking_date, []).append((bronzed.unit, batch))
    return [
        Piece(number, day, tuple((unit, batch, lost.get(unit.number)) for unit, batch in group))
        for number, (day, group) in enumerate(_groups(by_date, run.settings.silver_file_rows))
    ]


def _groups(by_date: Mapping[date, list[tuple[Unit, Batch]]], most: int) -> Iterator[tuple[date, list[tuple[Unit, Batch]]]]:
    for day in sorted(by_date):
        group: list[tuple[Unit, Batch]] = []
        rows = 0
        for unit, batch in by_date[day]:
            if group and rows + batch.rows > most:
                yield day, group
                group, rows = [], 0
            group.append((unit, batch))
            rows += batch.rows
        yield day, group


@dataclass(frozen=True)
class Made:
    """The files that came of a piece, or of a unit's conflicts."""

    silver: StagedFile | None = None
    duplicates: StagedFile | None = None
    quarantine: StagedFile | None = None


def made(run: Run, item: Piece | Conflicts) -> Made:
    """Do one task of the stage."""
    return silver(run, item) if isinstance(item, Piece) else set_aside(run, item)


def silver(run: Run, piece: Piece) -> Made:
    """Write one silver file, and list the piece's duplicates."""
    name = f"part-{run.run_id}-{piece.number:05d}"
    files = _Files(
        delta.FileWriter(run.lake.storage, SILVER, name, {"booking_date": piece.booking_date.isoformat()}, run.started_at),
        delta.FileWriter(run.lake.storage, DUPLICATES, name, {"ingest_date": run.ingest_date}, run.started_at),
    )
    block = _Block(run, files)
    for unit, batch, lost in piece.sources:
        data = run.lake.storage.view(typed_path(run, unit.number), batch.offset, batch.length)
        rows = pa.ipc.open_stream(data).read_all()
        if block.rows + rows.num_rows > run.settings.block_rows:
            block.write()
            block = _Block(run, files)
        block.add(unit, rows, lost)
    block.write()
    return Made(files.silver.close(), files.duplicates.close())


@dataclass(frozen=True)
class _Files:
    silver: delta.FileWriter
    duplicates: delta.FileWriter


@dataclass
class _Block:
    """Rows that are written together: what a task holds of its piece."""

    run: Run
    files: _Files
    units: list[Unit] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    lost: list[npt.NDArray[np.uint8]] = field(default_factory=list)  # of each row: FIRST, or why it is left out
    rows: int = 0

    def add(self, unit: Unit, rows: pa.Table, lost: Losers | None) -> None:
        self.units.append(unit)
        self.tables.append(rows)
        self.lost.append(_verdicts(rows["record_number"].to_numpy(), lost))
        self.rows += rows.num_rows

    def write(self) -> None:
        if not self.rows:
            return
        unit_of = np.repeat(np.arange(len(self.units), dtype=np.int32), [table.num_rows for table in self.tables])
        rows = with_sources(self.run, self.units, unit_of, pa.concat_tables(self.tables))
        lost = np.concatenate(self.lost)
        if not lost.any():
            self.files.silver.write(_silver_rows(rows))
            return
        kept, twice = rows.filter(pa.array(lost == FIRST)), rows.filter(pa.array(lost == DUPLICATE))
        if kept.num_rows:
            self.files.silver.write(_silver_rows(kept))
        if twice.num_rows:
            self.files.duplicates.write(guard(DUPLICATES, _columns_of(DUPLICATES, twice)))


def _columns_of(contract: TableContract, rows: pa.Table) -> pa.Table:
    return rows.select([field.name for field in contract.schema if field.name in rows.column_names])


def _silver_rows(rows: pa.Table) -> pa.Table:
    return guard(SILVER, _columns_of(SILVER, rows))


def _verdicts(record_number: npt.NDArray[np.int64], lost: Losers | None) -> npt.NDArray[np.uint8]:
    """FIRST, DUPLICATE or CONFLICT for each of these rows, which ascend by record number."""
    verdicts = np.zeros(len(record_number), dtype=np.uint8)
    if lost is not None:
        at = np.minimum(np.searchsorted(record_number, lost.record_number), len(record_number) - 1)
        here = record_number[at] == lost.record_number
        verdicts[at[here]] = lost.verdict[here]
    return verdicts


def set_aside(run: Run, conflicts: Conflicts) -> Made:
    """Write a unit's conflicts to quarantine; their raw bytes come from the unit, read once more."""
    unit, numbers = conflicts.unit, conflicts.lost.of(CONFLICT)
    quarantine, sealer = writer(run, unit, QUARANTINE, "-conflicts"), sealing.sealer(run, unit)
    for parsed in blocks(run, unit):
        conflict = np.flatnonzero(np.isin(parsed.record_number, numbers))
        if not len(conflict):
            continue
        validated = validated_block(run, unit, parsed)
        if sealer is not None:
            sealed = sealer.block(parsed, validated)
            parsed, validated = sealed.parsed, sealed.validated  # noqa: PLW2901 (what is written from here on)
        why = pa.array([[CONFLICT_REASON]] * len(conflict), pa.list_(pa.string()))
        rows = quarantine_rows(parsed, validated, conflict, why)
        quarantine.write(guard(QUARANTINE, with_source(run, unit, rows, parsed.record_number[conflict])))
    return Made(quarantine=quarantine.close())
