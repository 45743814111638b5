"""Silver: the accepted rows, one file a booking date; and the rows that turned out to be duplicates or conflicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from app.contracts.lake import DUPLICATES, QUARANTINE, SILVER
from app.contracts.table import TableContract
from app.lake import delta
from app.lake.delta import StagedFile
from app.validation import transaction
from pipelines.bronze import quarantine_rows, read, stage_rows, typed_path, with_source
from pipelines.duplicates import CONFLICT, DUPLICATE, Settled
from pipelines.work import Bronzed, Run, Unit

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
    sources: tuple[tuple[Unit, int, Losers | None], ...]  # unit, index of its record batch, rows to leave out


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
    by_date: dict[date, list[tuple[Unit, int, int]]] = {}
    for bronzed in units:
        for batch in bronzed.batches:
            by_date.setdefault(batch.booking_date, []).append((bronzed.unit, batch.index, batch.rows))
    return [
        Piece(number, day, tuple((unit, index, lost.get(unit.number)) for unit, index, _ in group))
        for number, (day, group) in enumerate(_groups(by_date, run.settings.silver_file_rows))
    ]


def _groups(by_date: Mapping[date, list[tuple[Unit, int, int]]], most: int) -> Iterator[tuple[date, list[tuple[Unit, int, int]]]]:
    for day in sorted(by_date):
        group: list[tuple[Unit, int, int]] = []
        for source in by_date[day]:
            if group and sum(rows for _, _, rows in group) + source[2] > most:
                yield day, group
                group = []
            group.append(source)
        yield day, group


@dataclass(frozen=True)
class Made:
    """The files that came of a piece, or of a unit's conflicts."""

    silver: StagedFile | None = None
    duplicates: StagedFile | None = None
    quarantine: StagedFile | None = None


def silver(run: Run, piece: Piece) -> Made:
    """Write one silver file, and list the piece's duplicates."""
    kept, listed = [], []
    for unit, index, lost in piece.sources:
        with run.lake.storage.arrow_file(typed_path(run, unit.number)) as file:
            rows = pa.Table.from_batches([pa.ipc.open_file(file).get_batch(index)])
        if lost is not None:
            numbers = rows["record_number"].to_numpy()
            twice = rows.filter(pa.array(np.isin(numbers, lost.of(DUPLICATE))))
            listed.append(_sourced(run, unit, twice).select([f.name for f in DUPLICATES.schema if f.name != "ingest_date"]))
            rows = rows.filter(pa.array(~np.isin(numbers, lost.record_number)))
        kept.append(_sourced(run, unit, rows))
    name = f"part-{run.run_id}-{piece.number:05d}"
    return Made(
        _stage(run, SILVER, name, kept, {"booking_date": piece.booking_date.isoformat()}),
        _stage(run, DUPLICATES, name, listed, {"ingest_date": run.ingest_date}),
    )


def _sourced(run: Run, unit: Unit, rows: pa.Table) -> pa.Table:
    return with_source(run, unit, rows.drop_columns("record_number"), rows["record_number"].to_numpy())


def _stage(run: Run, contract: TableContract, name: str, tables: Sequence[pa.Table], partition: Mapping[str, str]) -> StagedFile | None:
    if not sum(table.num_rows for table in tables):
        return None
    return delta.stage(run.lake.storage, contract, name, pa.concat_tables(tables), partition, run.started_at)


def set_aside(run: Run, unit: Unit, lost: Losers) -> Made:
    """Write a unit's conflicts to quarantine; their raw bytes come from the unit, read once more."""
    parsed = read(run, unit)
    validated = transaction.validate(parsed.columns, unit.ingested.file.zone)
    conflict = np.flatnonzero(np.isin(parsed.record_number, lost.of(CONFLICT)))
    why = pa.array([[CONFLICT_REASON]] * len(conflict), pa.list_(pa.string()))
    rows = quarantine_rows(parsed, validated, conflict, why)
    return Made(quarantine=stage_rows(run, unit, QUARANTINE, rows, parsed.record_number[conflict], "-conflicts"))
