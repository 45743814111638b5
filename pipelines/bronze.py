"""Bronze: read a unit, keep it as it came, validate it, set aside what is not accepted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from app import columns, fingerprints
from app.columns import Text
from app.compliance import control_totals
from app.compliance.control_totals import Totals
from app.contracts import landing, reasons
from app.contracts.lake import BRONZE, QUARANTINE
from app.contracts.table import TableContract
from app.errors import FileRejected
from app.lake import arrivals, delta, layout, reference
from app.lake.keys import Keys
from app.readers import csv, ndjson, parquet
from app.readers.formats import Format
from app.readers.parsed import Numbers, Parsed, Span
from app.reference import currencies
from app.reference.modulus import WeightTable
from app.validation import modulus, transaction
from app.validation.transaction import Validated
from pipelines import corrected, sealing
from pipelines.boundary import guard
from pipelines.work import Batch, Bronzed, Corrected, Quality, Rejection, Run, Unit

OPEN = "open"


def bronze(run: Run, unit: Unit) -> Bronzed:
    """Take one unit from bytes to bronze, quarantine and the typed rows that may become silver."""
    ledger = _Ledger(run, unit)
    try:
        run.lake.storage.put_stream(typed_path(run, unit.number), ledger.typed(blocks(run, unit)))
    except FileRejected as error:
        return Bronzed(unit, rejection=Rejection(error.code, error.message))
    return ledger.close()


def blocks(run: Run, unit: Unit) -> Iterator[Parsed]:
    """The records of a unit, a block at a time: a unit of any size takes the memory of a block."""
    ingested, storage = unit.ingested, run.lake.storage
    for part in unit.parts:
        if isinstance(part, Corrected):
            yield from corrected.blocks(storage, part, run.settings.block_rows)
            continue
        if not isinstance(part, Span):
            with storage.arrow_file(ingested.content_path) as content:
                yield from parquet.parse(content, part, run.settings.block_rows)
            continue
        data = memoryview(storage.view(ingested.content_path, part.offset, part.length))
        if ingested.format is Format.CSV:
            yield csv.parse(data, ingested.names, part.first_record_number)
        else:
            yield ndjson.parse(data, part.first_record_number)


class _Ledger:
    """Takes in a unit's blocks: writes what is written at once, and counts."""

    def __init__(self, run: Run, unit: Unit) -> None:
        self._run = run
        self._unit = unit
        self._bronze = writer(run, unit, BRONZE)
        self._quarantine = writer(run, unit, QUARANTINE)
        self._sealer = sealing.sealer(run, unit)
        self._source = Totals()
        self._by_reason: Counter[str] = Counter()
        self._quality = Quality()
        self._checks: Counter[str] = Counter()
        self._contract_version = 1
        self._keys: list[Keys] = []
        self._numbers: list[Numbers] = []
        self._batches: list[Batch] = []
        # Staged rows are read once and thrown away. LZ4 halves them: worth it over a network, not on a disk, from which they are mapped.
        self._options = pa.ipc.IpcWriteOptions(compression=None if run.lake.storage.is_local else "lz4", use_threads=False)

    def typed(self, parts: Iterable[Parsed]) -> Iterator[pa.Buffer]:
        """Take in each block; give its accepted rows, an Arrow stream a booking date."""
        offset = 0
        for parsed in parts:
            for day, rows, buffer in self._take(parsed):
                self._batches.append(Batch(day, offset, buffer.size, rows))
                offset += buffer.size
                yield buffer

    def _take(self, parsed: Parsed) -> Iterator[tuple[date, int, pa.Buffer]]:
        validated = validated_block(self._run, self._unit, parsed)
        self._source += control_totals.of_text(
            parsed.records,
            columns.from_arrow(self._amounts(parsed)),
            columns.from_arrow(parsed.columns["currency"]),
            currencies.readable_exponents(),
        )
        self._quality += _quality(self._run, parsed, validated)
        parsed, validated, texts = self._sealed(parsed, validated)
        self._contract_version = max(self._contract_version, parsed.contract_version)
        if parsed.columns.num_rows:
            self._bronze.write(guard(BRONZE, with_source(self._run, self._unit, parsed.columns, parsed.record_number)))
        self._set_aside(parsed, validated)
        accepted = np.flatnonzero(~validated.rejected)
        prints = fingerprints.of_columns(texts, validated.booked_at, validated.amount_minor, self._run.lake.key)
        self._keys.append(Keys(prints.id_high[accepted], prints.id_low[accepted], prints.content[accepted]))
        self._numbers.append(parsed.record_number[accepted])
        counts = np.bincount(validated.account_checks[accepted], minlength=len(modulus.RESULTS)).tolist()
        self._checks.update(dict(zip(modulus.RESULTS, counts, strict=True)))
        yield from _by_date(checked(self._run, parsed, validated), accepted, self._options)

    def _sealed(self, parsed: Parsed, validated: Validated) -> tuple[Parsed, Validated, Mapping[str, Text]]:
        """What may be written of a block, and the texts that its content fingerprints are made of."""
        if self._sealer is None:
            return parsed, validated, validated.canonical
        sealed = self._sealer.block(parsed, validated)
        return sealed.parsed, sealed.validated, sealing.fingerprinted(sealed, validated)

    def _amounts(self, parsed: Parsed) -> pa.ChunkedArray:
        form, written = self._unit.ingested.file.amounts, parsed.columns["amount"]
        return written if form is None else control_totals.plain_amounts(written, form)

    def _set_aside(self, parsed: Parsed, validated: Validated) -> None:
        table, record_number = _quarantined(parsed, validated)
        if table.num_rows:
            self._quarantine.write(guard(QUARANTINE, with_source(self._run, self._unit, table, record_number)))
            self._by_reason.update(pc.list_flatten(table["reasons"]).to_pylist())

    def close(self) -> Bronzed:
        """The unit is complete: stage its files."""
        if self._sealer is not None:
            self._sealer.close()
        keys, begins = arrivals.arrange(self._keys, self._numbers)
        if len(keys):
            self._run.lake.storage.put(keys_path(self._run, self._unit.number), keys.data)
        return Bronzed(
            self._unit,
            self._source,
            self._bronze.close(),
            self._quarantine.close(),
            tuple(self._batches),
            tuple(begins.tolist()) if len(keys) else (),
            dict(self._by_reason),
            self._quality,
            {result: count for result, count in self._checks.items() if count},
            contract_version=self._contract_version,
        )


def validated_block(run: Run, unit: Unit, parsed: Parsed) -> Validated:
    """Judge a block by the run's rules."""
    weights = None if run.modulus is None else reference.weight_table(run.lake.storage, run.modulus)
    return judge(unit, parsed, weights)


def judge(unit: Unit, parsed: Parsed, weights: WeightTable | None) -> Validated:
    """Judge a block by what its source declared, and this weight table."""
    source = unit.ingested.file
    return transaction.validate(parsed.columns, source.zone, weights, source.amounts)


def checked(run: Run, parsed: Parsed, validated: Validated) -> pa.Table:
    """The typed rows with what the modulus check said, and their record numbers."""
    rows = validated.typed
    words = pa.array(modulus.RESULTS, pa.string())
    for name, results in (("account_check", validated.account_checks), ("counterparty_check", validated.counterparty_checks)):
        rows = rows.append_column(name, pa.DictionaryArray.from_arrays(pa.array(results.view(np.int8)), words))
    version = pa.nulls(rows.num_rows, pa.string()) if run.modulus is None else pa.repeat(run.modulus.version, rows.num_rows)
    rows = rows.append_column("modulus_table", version)
    return rows.append_column("record_number", pa.array(parsed.record_number))


def typed_path(run: Run, unit_number: int) -> str:
    """Where a unit's accepted rows wait for silver: Arrow streams, one after the other, each of one booking date."""
    return f"{layout.staging(run.run_id)}/typed-{unit_number:05d}"


def keys_path(run: Run, unit_number: int) -> str:
    """Where a unit's keys wait, as ``app.lake.arrivals`` arranges them."""
    return f"{layout.staging(run.run_id)}/keys-{unit_number:05d}"


def writer(run: Run, unit: Unit, contract: TableContract, mark: str = "") -> delta.FileWriter:
    """Writes a unit's rows to a table that is partitioned by ingest date."""
    name = f"part-{run.run_id}-{unit.number:05d}{mark}"
    return delta.FileWriter(run.lake.storage, contract, name, {"ingest_date": run.ingest_date}, run.started_at)


def with_source(run: Run, unit: Unit, rows: pa.Table, record_number: Numbers) -> pa.Table:
    """``rows`` with the columns that say where each came from."""
    return with_sources(run, [unit], np.zeros(rows.num_rows, dtype=np.int32), rows.append_column("record_number", pa.array(record_number)))


def with_sources(run: Run, units: list[Unit], unit_of: npt.NDArray[np.int32], rows: pa.Table) -> pa.Table:
    """``rows``, which have their record number, with the other source columns; row i is of ``units[unit_of[i]]``."""
    values = {
        "source_uri": pa.array([unit.ingested.file.uri for unit in units], pa.string()),
        "source_sha256": pa.array([unit.ingested.sha256 for unit in units], pa.string()),
        "run_id": pa.array([run.run_id] * len(units), pa.string()),
        "ingested_at": pa.array([run.started_at] * len(units), pa.timestamp("us", tz="UTC")),
    }
    places = pa.array(unit_of)
    for name, dictionary in values.items():
        # A value a unit and many references to it: nothing is copied a row, and Parquet writes it as it is.
        rows = rows.append_column(name, pa.DictionaryArray.from_arrays(places, dictionary))
    return rows


def _quarantined(parsed: Parsed, validated: Validated) -> tuple[pa.Table, Numbers]:
    """The records that cannot be accepted, unreadable ones first, with every reason; and their record numbers."""
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
    return table, np.concatenate([parsed.fault_record_number, parsed.record_number[rows]])


def quarantine_rows(parsed: Parsed, validated: Validated, rows: Numbers, why: pa.ListArray) -> pa.Table:
    """Readable records of a block as quarantine holds them, without the columns of their source."""
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


def _by_date(rows: pa.Table, chosen: Numbers, options: pa.ipc.IpcWriteOptions) -> Iterator[tuple[date, int, pa.Buffer]]:
    """The chosen rows of each booking date, in their order: date, count, Arrow stream of one record batch."""
    days = rows["booking_date"].combine_chunks().view(pa.int32()).to_numpy()[chosen]
    found, which = np.unique(days, return_inverse=True)
    order = chosen[np.argsort(which.astype(np.uint16) if len(found) < 2**16 else which, kind="stable")]
    cuts = np.cumsum(np.concatenate([[0], np.bincount(which, minlength=len(found))])).tolist()
    for day, (begin, end) in zip(found.tolist(), pairwise(cuts), strict=True):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema, options=options) as stream:
            stream.write_table(rows.take(pa.array(order[begin:end])))
        yield date(1970, 1, 1) + timedelta(days=day), end - begin, sink.getvalue()


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
