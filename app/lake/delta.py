"""Delta tables: staged Parquet files, committed once a run."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from app.contracts.table import Classification, TableContract
from app.lake.storage import Storage

APPLICATION = "leofric"
"""The application id of every commit; its version is the sequence number of the run."""

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

    def action(self) -> AddAction:
        return AddAction(self.path, self.size, self.partition, self.created_ms, True, self.statistics)


@dataclass(frozen=True)
class Change:
    """What a run does to one table: files that come, and paths of files that go."""

    add: tuple[StagedFile, ...] = ()
    remove: tuple[str, ...] = field(default=())


def stage(
    storage: Storage, contract: TableContract, name: str, data: pa.Table, partition: Mapping[str, str | None], now: datetime
) -> StagedFile:
    """Write ``data`` (without its partition columns) as a Parquet file in the table's folder, with full statistics.

    ``name`` must be unique in the lake: it carries the run's id and the unit's number.
    """
    folder = "/".join(f"{key}={_NULL_PARTITION if value is None else value}" for key, value in partition.items())
    path = f"{folder}/{name}.parquet" if folder else f"{name}.parquet"
    schema = pa.schema([f for f in contract.schema if f.name not in contract.partition_by])
    data = data.select(schema.names)
    encoded = pa.schema([f.with_type(data[f.name].type) if pa.types.is_dictionary(data[f.name].type) else f for f in schema])
    data = data.cast(encoded)
    sink = pa.BufferOutputStream()
    plain = [f.name for f in schema if f.name in _HIGH_CARDINALITY]
    with pq.ParquetWriter(
        sink,
        encoded,
        compression="zstd",
        compression_level=1,
        use_dictionary=[f.name for f in schema if f.name not in plain],
        write_statistics=True,
        store_schema=False,  # a dictionary is a way to write a column, not its type
        data_page_version="1.0",
    ) as writer:
        writer.write_table(data, row_group_size=_ROW_GROUP_ROWS)
    buffer = sink.getvalue()
    storage.put(f"{contract.path}/{path}", buffer)
    metadata = pq.read_metadata(pa.BufferReader(buffer))
    return StagedFile(path, buffer.size, data.num_rows, dict(partition), _statistics(metadata, contract), _ms(now))


# Columns whose values hardly repeat: a dictionary only costs time there.
_HIGH_CARDINALITY = frozenset({"transaction_id", "record_number", "counterparty_iban", "raw_record"})


def _statistics(metadata: pq.FileMetaData, contract: TableContract) -> str:
    """Delta's statistics from Parquet's own.

    Personal columns get a count of nulls and no minimum or maximum: the transaction log outlives a row, and must not
    hold a person's data.
    """
    public = {c.name for c in contract.columns if c.classification not in (Classification.PERSONAL, Classification.SPECIAL_CATEGORY)}
    minimum: dict[str, object] = {}
    maximum: dict[str, object] = {}
    nulls: dict[str, int] = {}
    for index in range(metadata.num_columns):
        name = metadata.schema.column(index).path
        if "." in name:
            continue
        parts = [metadata.row_group(group).column(index).statistics for group in range(metadata.num_row_groups)]
        if any(part is None or not part.has_null_count for part in parts):
            continue
        nulls[name] = sum(part.null_count for part in parts)
        if name in public and parts and all(part.has_min_max for part in parts):
            minimum[name] = _json_value(min(part.min for part in parts))
            maximum[name] = _json_value(max(part.max for part in parts))
    return json.dumps({"numRecords": metadata.num_rows, "minValues": minimum, "maxValues": maximum, "nullCount": nulls})


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value


def open_table(storage: Storage, contract: TableContract, version: int | None = None) -> DeltaTable | None:
    """The table, or None where it was never made."""
    try:
        return _open(storage, contract, version)
    except TableNotFoundError:
        return None


def _open(storage: Storage, contract: TableContract, version: int | None = None) -> DeltaTable:
    return DeltaTable(_address(storage, contract), version=version, storage_options=_options(storage))


# Whoever opens a table reads its log from the last checkpoint on: a short way, however many runs there were.
_CHECKPOINTS = {"delta.checkpointInterval": "10"}


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
            configuration=_CHECKPOINTS | ({"delta.appendOnly": "true"} if contract.append_only else {}),
            storage_options=_options(storage),
        )


def commit(storage: Storage, contract: TableContract, change: Change, sequence: int, run_id: str, now: datetime) -> DeltaTable:
    """Make ``change`` part of the table in one Delta transaction, exactly once for a run; return the table as it is then.

    A run that was killed after this commit and is carried on finds its own transaction id in the table and commits nothing.
    """
    table = _open(storage, contract)
    properties = CommitProperties(
        custom_metadata={"leofric.run_id": run_id, "leofric.sequence": str(sequence)},
        app_transactions=[Transaction(APPLICATION, sequence)],
    )
    done = table.transaction_version(APPLICATION)
    if done is not None and done >= sequence:
        return table
    gone = _remove_actions(table, change.remove, now)
    table.create_write_transaction(
        [*(file.action() for file in change.add), *gone],
        mode="append",
        schema=contract.schema,
        partition_by=list(contract.partition_by),
        commit_properties=properties,
    )
    table.update_incremental()
    return table


def _remove_actions(table: DeltaTable, paths: Iterable[str], now: datetime) -> list[RemoveAction]:
    wanted = set(paths)
    if not wanted:
        return []
    actions = pa.table(table.get_add_actions()).to_pylist()
    return [
        RemoveAction(
            row["path"],
            data_change=True,
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


def _address(storage: Storage, contract: TableContract) -> str:
    return str(storage.local_path(contract.path)) if storage.is_local else f"{storage.root.rstrip('/')}/{contract.path}"


def _options(storage: Storage) -> dict[str, str]:
    if storage.is_local:
        return {}
    # Two writers must not both win: commits are conditional puts, which every S3 that Leofric supports has.
    return {"aws_conditional_put": "etag", **storage.options}


def compact_if_scattered(table: DeltaTable, most_files: int) -> None:
    """Rewrite a table of many small files as few, without changing a row."""
    if len(table.file_uris()) >= most_files:
        table.optimize.compact()
