"""Delta tables: staged Parquet files, committed once a run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from app.contracts.table import Classification, TableContract
from app.lake.storage import Storage

APPLICATION = "leofric"
"""The application id of every run's commit; its version is the sequence number of the run."""

_ROW_GROUP_ROWS = 512 * 1024
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class StagedFile:
    """A Parquet file that lies in its table's folder and is not part of the table yet."""

    path: str  # below the table's root
    size: int
    rows: int
    partition: Mapping[str, str | None]
    statistics: str  # Delta's statistics, as JSON
    created_ms: int

    def action(self, *, data_change: bool) -> AddAction:
        return AddAction(self.path, self.size, self.partition, self.created_ms, data_change, self.statistics)


@dataclass(frozen=True)
class Change:
    """What a run does to one table: files that come, and paths of files that go; or an earlier version that it goes back to."""

    add: tuple[StagedFile, ...] = ()
    remove: tuple[str, ...] = field(default=())
    data_change: bool = True  # False: the files that come hold the very rows of those that go
    restore_to: int | None = None


class FileWriter:
    """Writes one Parquet file of a table, piece by piece; the file is there when it is closed, and not before.

    ``name`` must be unique in the lake: it carries the run's id and the unit's number.
    """

    def __init__(self, storage: Storage, contract: TableContract, name: str, partition: Mapping[str, str | None], now: datetime) -> None:
        folder = "/".join(f"{key}={_NULL_PARTITION if value is None else value}" for key, value in partition.items())
        self._path = f"{folder}/{name}.parquet" if folder else f"{name}.parquet"
        self._storage = storage
        self._contract = contract
        self._partition = dict(partition)
        self._now = now
        self._schema = pa.schema([f for f in contract.schema if f.name not in contract.partition_by])
        self._sink = pa.BufferOutputStream()
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._nulls = dict.fromkeys(self._schema.names, 0)

    def write(self, data: pa.Table) -> None:
        """Add rows as row groups of their own; they have the table's columns without those that it is partitioned by."""
        self._write(data.select(self._schema.names))

    def write_all(self, data: pa.Table) -> StagedFile:
        """Write the only piece and close."""
        return self._store(self._write(data.select(self._schema.names)))

    def _write(self, data: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = self._open(data)
        self._writer.write_table(data.cast(self._writer.schema), row_group_size=_ROW_GROUP_ROWS)
        self._rows += data.num_rows
        for name in self._nulls:
            self._nulls[name] += data[name].null_count
        return self._writer

    def _open(self, data: pa.Table) -> pq.ParquetWriter:
        given = data.schema
        # A dictionary is a way to write a column, not its type: what comes as one is written as one, and not stored as one.
        encoded = [f.with_type(given.field(f.name).type) if pa.types.is_dictionary(given.field(f.name).type) else f for f in self._schema]
        return pq.ParquetWriter(
            self._sink,
            pa.schema(encoded),
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in self._schema.names if name not in _HIGH_CARDINALITY and not _is_sealed(data[name])],
            write_statistics=[name for name in self._schema.names if name in _ranged(self._contract)],
            store_schema=False,
            data_page_version="1.0",
        )

    def close(self) -> StagedFile | None:
        """Store the file; None if nothing was written."""
        return None if self._writer is None else self._store(self._writer)

    def _store(self, writer: pq.ParquetWriter) -> StagedFile:
        writer.close()
        buffer = self._sink.getvalue()
        self._storage.put(f"{self._contract.path}/{self._path}", buffer)
        return StagedFile(self._path, buffer.size, self._rows, self._partition, self._statistics(), _ms(self._now))

    def _statistics(self) -> str:
        """Delta's statistics: how many rows and nulls.

        No least and greatest values: a file that has them for some columns only is left out by delta-rs' PyArrow datasets whenever a filter
        is on one of the others (delta-rs issue 3173), and of people's data they must not be kept. Row groups have them, for some columns.
        """
        nulls = {name: count for name, count in self._nulls.items() if not pa.types.is_nested(self._schema.field(name).type)}
        return json.dumps({"numRecords": self._rows, "nullCount": nulls})


def _is_sealed(column: pa.ChunkedArray) -> bool:
    """Whether a column's first value is a sealed text: no two of them are alike."""
    if not pa.types.is_string(column.type):
        return False
    first = next((value for value in column.slice(0, 100).to_pylist() if value is not None), "")
    return first.startswith(("~.", "~:"))


def stage(
    storage: Storage, contract: TableContract, name: str, data: pa.Table, partition: Mapping[str, str | None], now: datetime
) -> StagedFile:
    """Write all of a file at once."""
    return FileWriter(storage, contract, name, partition, now).write_all(data)


# Columns whose values hardly repeat: a dictionary only costs time there.
_HIGH_CARDINALITY = frozenset({"transaction_id", "timestamp", "booked_at", "amount", "amount_minor", "record_number", "raw_record"})


def _ranged(contract: TableContract) -> set[str]:
    """Columns whose least and greatest value Parquet notes, so that readers can leave out row groups.

    Never a person's data. And no text: rows are not sorted by it, so that its range leaves out nothing, but finding it costs a fifth
    of the writing.
    """
    personal = (Classification.PERSONAL, Classification.SPECIAL_CATEGORY)
    return {c.name for c in contract.columns if c.classification not in personal and not pa.types.is_string(c.type)}


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def open_table(storage: Storage, contract: TableContract, version: int | None = None) -> DeltaTable | None:
    """The table, or None where it was never made."""
    try:
        return _open(storage, contract, version)
    except TableNotFoundError:
        return None


def _open(storage: Storage, contract: TableContract, version: int | None = None) -> DeltaTable:
    return DeltaTable(_address(storage, contract), version=version, storage_options=_options(storage))


# Certificates name versions of tables: their log is kept. (To look for expired entries would also cost more with each commit.)
_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
# Whoever opens a table reads its log from the last checkpoint on: a short way, however many runs there were.
_APPEND_ONLY = "delta.appendOnly"
_CHECKPOINTS = {"delta.checkpointInterval": "10"}
# The same said in the table: delta-rs' compaction takes no notice of the hooks (1.6.6), and lets go of entries older than 30 days.
_LOG_KEPT = {"delta.enableExpiredLogCleanup": "false"}


def create_if_missing(storage: Storage, contract: TableContract) -> None:
    """Make the table, empty, at version 0; nothing happens where there is one."""
    if open_table(storage, contract) is None:
        DeltaTable.create(
            _address(storage, contract),
            Schema.from_arrow(contract.schema),
            mode="ignore",
            partition_by=list(contract.partition_by),
            name=contract.name,
            description=contract.meaning,
            configuration=_CHECKPOINTS | _LOG_KEPT | ({_APPEND_ONLY: "true"} if contract.append_only else {}),
            storage_options=_options(storage),
        )


def evolve(table: DeltaTable, contract: TableContract) -> bool:
    """Give a table the columns that its contract has and it has not; whether it lacked one. What lies in its files is null there.

    One commit that changes no row, made only while holding the lake's lock. A column that may not be null cannot come so.
    """
    there = {field.name for field in table.schema().fields}
    missing = [field for field in contract.schema if field.name not in there]
    if missing:
        table.alter.add_columns(list(Schema.from_arrow(pa.schema(missing)).fields), post_commithook_properties=_HOOKS)
        table.update_incremental()
    return bool(missing)


def dataset(table: DeltaTable, contract: TableContract) -> ds.Dataset:
    """The table's rows with the columns of its contract today, though no run has given them to it yet: they are null then."""
    return table.to_pyarrow_dataset().replace_schema(contract.schema)


def commit(
    table: DeltaTable, contract: TableContract, change: Change, sequence: int, run_id: str, now: datetime, application: str = APPLICATION
) -> None:
    """Make ``change`` part of the table, which is up to date, in one Delta transaction, exactly once for a run.

    A run that was killed after this commit and is carried on finds its own transaction id in the table and commits nothing. Whoever is no
    run writes as an ``application`` of its own, whose sequence numbers are its own.
    """
    properties = CommitProperties(
        custom_metadata={"leofric.run_id": run_id, "leofric.sequence": str(sequence)},
        app_transactions=[Transaction(application, sequence)],
    )
    done = table.transaction_version(application)
    if done is None or done < sequence:
        if change.restore_to is not None:
            # Also where a table is append-only: Delta lets that be restored, though nothing may be removed from it otherwise.
            table.restore(change.restore_to, commit_properties=properties, post_commithook_properties=_HOOKS)
        else:
            _write(table, contract, change, now, properties)
        table.update_incremental()
    if change.restore_to is not None:
        evolve(table, contract)  # an earlier version may have had fewer columns, and is restored with those
    if contract.append_only:
        _set_append_only(table, True)


def _write(table: DeltaTable, contract: TableContract, change: Change, now: datetime, properties: CommitProperties) -> None:
    if contract.append_only and change.remove and change.data_change:
        _set_append_only(table, False)
    gone = _remove_actions(table, change, now)
    table.create_write_transaction(
        [*(file.action(data_change=change.data_change) for file in change.add), *gone],
        mode="append",
        schema=contract.schema,
        partition_by=list(contract.partition_by),
        commit_properties=properties,
        post_commithook_properties=_HOOKS,
    )


def _set_append_only(table: DeltaTable, wanted: bool) -> None:
    """Let rows be removed from a table that is only added to, while a law asks for that; or not any more."""
    if table.metadata().configuration.get(_APPEND_ONLY, "false") != str(wanted).lower():
        table.alter.set_table_properties({_APPEND_ONLY: str(wanted).lower()}, raise_if_not_exists=False, post_commithook_properties=_HOOKS)
        table.update_incremental()


def commit_next(table: DeltaTable, contract: TableContract, change: Change, now: datetime, transaction: Transaction | None = None) -> bool:
    """Make a change the very next version of the table as it is known; False if somebody else has made that version meanwhile.

    Delta lets two writers that only add both win, one after the other. Who adds what follows from what was there must not be the second.
    Without ``data_change`` the same rows lie in other files from then on, which an append-only table allows.
    """
    removed = _remove_actions(table, change, now)
    transactions = [] if transaction is None else [transaction]
    try:
        table.create_write_transaction(
            [*(file.action(data_change=change.data_change) for file in change.add), *removed],
            mode="append",
            schema=contract.schema,
            partition_by=list(contract.partition_by),
            commit_properties=CommitProperties(app_transactions=transactions, max_commit_retries=0),
            post_commithook_properties=_HOOKS,
        )
    except CommitFailedError:
        return False
    finally:
        table.update_incremental()
    return True


def _remove_actions(table: DeltaTable, change: Change, now: datetime) -> list[RemoveAction]:
    wanted = set(change.remove)
    if not wanted:
        return []
    actions = pa.table(table.get_add_actions()).to_pylist()
    return [
        RemoveAction(
            row["path"],
            data_change=change.data_change,
            deletion_timestamp=_ms(now),
            size=row["size_bytes"],
            partition_values={key: None if value is None else str(value) for key, value in (row.get("partition") or {}).items()},
        )
        for row in actions
        if row["path"] in wanted
    ]


def rows_and_bytes(table: DeltaTable) -> tuple[int, int]:
    """How many rows and bytes the table's files have, from the transaction log alone."""
    actions = pa.table(table.get_add_actions())
    return sum(actions["num_records"].to_pylist()), sum(actions["size_bytes"].to_pylist())


def files_of(table: DeltaTable) -> dict[str, int]:
    """The paths of the table's files, below its root, and their bytes."""
    actions = pa.table(table.get_add_actions())
    return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))


def _address(storage: Storage, contract: TableContract) -> str:
    return str(storage.local_path(contract.path)) if storage.is_local else f"{storage.root.rstrip('/')}/{contract.path}"


def _options(storage: Storage) -> dict[str, str]:
    if storage.is_local:
        return {}
    # Two writers must not both win: commits are conditional puts, which every S3 that Leofric supports has.
    return {"aws_conditional_put": "etag", **storage.options}


def compact_if_scattered(
    storage: Storage, table: DeltaTable, contract: TableContract, most_files: int, now: datetime, partition: Mapping[str, str] | None = None
) -> None:
    """Rewrite a table of a few rows, or of one that has partitions one partition, of many small files as one, without changing a row.

    As the very next version or not at all: of two that do this at once, delta-rs 1.6's own compaction lets both win, and every row is there
    twice; and it would write least and greatest values of people's data.
    """
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    wanted = (partition or {}).items()
    paths = sorted(action["path"] for action in actions if all(str(action[f"partition.{name}"]) == value for name, value in wanted))
    if len(paths) < most_files:
        return
    parts = []
    for path in paths:
        with storage.arrow_file(f"{contract.path}/{path}") as file, pq.ParquetFile(file) as parquet:
            parts.append(parquet.read(use_threads=False))
    staged = stage(storage, contract, f"part-{uuid4().hex}", pa.concat_tables(parts), partition or {}, now)
    _keep_log(table)
    if not commit_next(table, contract, Change((staged,), tuple(paths), data_change=False), now):
        storage.delete([f"{contract.path}/{staged.path}"])


def _keep_log(table: DeltaTable) -> None:
    """Certificates name versions: a table that an older version of Leofric made must be told not to let go of its log."""
    if not _LOG_KEPT.items() <= table.metadata().configuration.items():
        table.alter.set_table_properties(_LOG_KEPT, post_commithook_properties=_HOOKS)
