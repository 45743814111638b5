"""Bronze: parse a unit, write it as it came, validate it, set aside what is not accepted."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from app import columns, fingerprints
from app.compliance import control_totals
from app.contracts import landing, reasons
from app.contracts.lake import BRONZE, QUARANTINE, TYPED_SCHEMA
from app.contracts.table import TableContract
from app.errors import FileRejected
from app.lake import delta, keys, layout
from app.lake.delta import StagedFile
from app.readers import csv, ndjson, parquet
from app.readers.formats import Format
from app.readers.parsed import Numbers, Parsed, Span
from app.reference import currencies
from app.validation import transaction
from app.validation.transaction import Validated
from pipelines.work import Batch, Bronzed, Quality, Rejection, Run, Unit

OPEN = "open"


def bronze(run: Run, unit: Unit) -> Bronzed:
    """Take one unit from bytes to bronze, quarantine and the typed rows that may become silver."""
    try:
        parsed = read(run, unit)
    except FileRejected as error:
        return Bronzed(unit, rejection=Rejection(error.code, error.message))
    validated = transaction.validate(parsed.columns, unit.ingested.file.zone)
    source = control_totals.of_text(
        parsed.records,
        columns.from_arrow(parsed.columns["amount"]),
        columns.from_arrow(parsed.columns["currency"]),
        currencies.exponents(),
    )
    quarantined, by_reason = _quarantined(parsed, validated)
    batches, begins = _accepted(run, unit, parsed, validated)
    return Bronzed(
        unit,
        source,
        stage_rows(run, unit, BRONZE, parsed.columns, parsed.record_number),
        _stage_quarantine(run, unit, quarantined, ""),
        batches,
        begins,
        by_reason,
        _quality(run, parsed, validated),
    )


def read(run: Run, unit: Unit) -> Parsed:
    """The records of a unit."""
    ingested, part = unit.ingested, unit.part
    storage = run.lake.storage
    if not isinstance(part, Span):
        with storage.arrow_file(ingested.content_path) as content:
            return parquet.parse(content, part)
    data = storage.read_range(ingested.content_path, part.offset, part.length)
    if ingested.format is Format.CSV:
        return csv.parse(data, ingested.names, part.first_record_number)
    return ndjson.parse(data, part.first_record_number)


def with_source(run: Run, unit: Unit, rows: pa.Table, record_number: Numbers) -> pa.Table:
    """``rows`` with the columns that say where each came from."""
    constant = {
        "source_uri": pa.scalar(unit.ingested.file.uri),
        "source_sha256": pa.scalar(unit.ingested.sha256),
        "run_id": pa.scalar(run.run_id),
        "ingested_at": pa.scalar(run.started_at, pa.timestamp("us", tz="UTC")),
    }
    places = pa.array(np.zeros(rows.num_rows, dtype=np.int32))
    for name, value in constant.items():
        # One value and many references to it: nothing is copied a row, and Parquet writes it as it is.
        rows = rows.append_column(name, pa.DictionaryArray.from_arrays(places, pa.array([value.as_py()], value.type)))
    return rows.append_column("record_number", pa.array(record_number, pa.int64()))


def stage_rows(run: Run, unit: Unit, contract: TableContract, rows: pa.Table, record_number: Numbers, mark: str = "") -> StagedFile | None:
    """Stage rows of a unit in a table that is partitioned by ingest date; None where there are none."""
    if not rows.num_rows:
        return None
    data = with_source(run, unit, rows, record_number)
    name = f"part-{run.run_id}-{unit.number:05d}{mark}"
    return delta.stage(run.lake.storage, contract, name, data, {"ingest_date": run.ingest_date}, run.started_at)


def _quarantined(parsed: Parsed, validated: Validated) -> tuple[tuple[pa.Table, Numbers], dict[str, int]]:
    """The records that cannot be accepted, unreadable ones first, with every reason; and how often each reason applies."""
    rows = np.flatnonzero(validated.rejected)
    rejected = quarantine_rows(parsed, validated, rows, transaction.reasons(validated, rows))
    faults = len(parsed.fault_record_number)
    unreadable = pa.table(
        {
            "raw_record": parsed.fault_raw,
            "reasons": pa.array([[reasons.code_of(int(code))] for code in parsed.fault_code], pa.list_(pa.string())),
            "status": pa.repeat(OPEN, faults),
            "transaction_id": pa.nulls(faults, pa.string()),
            "amount_minor": pa.nulls(faults, pa.int64()),
            "currency": pa.nulls(faults, pa.string()),
        }
    )
    table = pa.concat_tables([unreadable, rejected.cast(unreadable.schema)])
    counts = Counter(pc.list_flatten(table["reasons"]).to_pylist())
    return (table, np.concatenate([parsed.fault_record_number, parsed.record_number[rows]])), dict(counts)


def quarantine_rows(parsed: Parsed, validated: Validated, rows: Numbers, why: pa.ListArray) -> pa.Table:
    """Readable records of a unit as quarantine holds them, without the columns of their source."""
    at = pa.array(rows)
    unreadable = pa.array(~validated.readable[rows])
    return pa.table(
        {
            "raw_record": parsed.raw.take(rows),
            "reasons": why,
            "status": pa.repeat(OPEN, len(rows)),
            "transaction_id": parsed.columns["transaction_id"].take(at),
            "amount_minor": pc.if_else(unreadable, None, validated.typed["amount_minor"].take(at)),
            "currency": pc.if_else(unreadable, None, validated.typed["currency"].take(at)),
        }
    )


def _stage_quarantine(run: Run, unit: Unit, quarantined: tuple[pa.Table, Numbers], mark: str) -> StagedFile | None:
    table, record_number = quarantined
    return stage_rows(run, unit, QUARANTINE, table, record_number, mark)


def typed_path(run: Run, unit_number: int) -> str:
    """Where a unit's accepted rows wait for silver: an Arrow file with one record batch a booking date."""
    return f"{layout.staging(run.run_id)}/typed-{unit_number:05d}.arrow"


def keys_path(run: Run, unit_number: int) -> str:
    """Where a unit's keys wait: rows of (id high, id low, content, record number), sorted by id."""
    return f"{layout.staging(run.run_id)}/keys-{unit_number:05d}"


KEY_TYPE = np.dtype([("high", "<u8"), ("low", "<u8"), ("content", "<u8"), ("record_number", "<i8")])


def _accepted(run: Run, unit: Unit, parsed: Parsed, validated: Validated) -> tuple[tuple[Batch, ...], tuple[int, ...]]:
    rows = validated.typed.append_column("record_number", pa.array(parsed.record_number))
    if validated.rejected.any():
        rows = rows.filter(pa.array(~validated.rejected))
    if not rows.num_rows:
        return (), ()
    begins = _write_keys(run, unit, rows)
    return _write_typed(run, unit, rows), begins


def _write_typed(run: Run, unit: Unit, rows: pa.Table) -> tuple[Batch, ...]:
    days = rows["booking_date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    if (days[1:] < days[:-1]).any():
        order = np.argsort(days, kind="stable")
        rows, days = rows.take(pa.array(order)), days[order]
    cuts = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist(), len(days)]
    rows = rows.combine_chunks()
    batches = []
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        for index, (begin, end) in enumerate(pairwise(cuts)):
            writer.write_table(rows.slice(begin, end - begin))
            batches.append(Batch(date(1970, 1, 1) + timedelta(days=int(days[begin])), index, end - begin))
    run.lake.storage.put(typed_path(run, unit.number), sink.getvalue())
    return tuple(batches)


def _write_keys(run: Run, unit: Unit, rows: pa.Table) -> tuple[int, ...]:
    prints = fingerprints.fingerprints(rows.select(TYPED_SCHEMA.names), run.lake.key)
    order = np.argsort(prints.id_high, kind="stable")
    table: npt.NDArray[np.void] = np.empty(len(order), KEY_TYPE)
    table["high"] = prints.id_high[order]
    table["low"] = prints.id_low[order]
    table["content"] = prints.content[order]
    table["record_number"] = rows["record_number"].to_numpy()[order]
    run.lake.storage.put(keys_path(run, unit.number), table.tobytes())
    first_bytes = (table["high"] >> np.uint64(56)).astype(np.int64)
    return tuple(np.searchsorted(first_bytes, np.arange(keys.PREFIXES + 1)).tolist())


def _quality(run: Run, parsed: Parsed, validated: Validated) -> Quality:
    oldest = pa.scalar(run.started_at - timedelta(hours=run.settings.timely_hours), pa.timestamp("us", tz="UTC"))
    newest = pa.scalar(run.started_at, pa.timestamp("us", tz="UTC"))
    booked = validated.typed["booked_at"].filter(pa.array(~validated.rejected))
    return Quality(
        readable=len(parsed.record_number),
        filled=sum(validated.filled[name] for name in landing.REQUIRED),
        consistent=len(parsed.record_number) - int(transaction.inconsistent(validated).sum()),
        valid=int((~validated.rejected).sum()),
        timely=pc.sum(pc.and_(pc.greater_equal(booked, oldest), pc.less_equal(booked, newest))).as_py() or 0,
    )
