"""Gold: the figures that people read, made anew for the days that a run touched."""

import glob
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from app.contracts.lake import ACCOUNT_DAILY, CHANNEL_DAILY, DATA_QUALITY_DAILY, SILVER
from app.contracts.table import TableContract
from app.lake import delta
from app.lake.delta import StagedFile
from pipelines.boundary import guard
from pipelines.work import Run

# Both read `silver`: the rows of one booking date.
ACCOUNT_DAILY_SQL = """
    select sort_code, account_number, currency,
           count(*) as transactions,
           count(*) filter (amount_minor < 0) as debits,
           count(*) filter (amount_minor >= 0) as credits,
           coalesce(-sum(amount_minor) filter (amount_minor < 0), 0)::bigint as debit_minor,
           coalesce(sum(amount_minor) filter (amount_minor >= 0), 0)::bigint as credit_minor,
           sum(amount_minor)::bigint as net_minor,
           count(distinct case when amount_minor < 0 then payee else payer end) as counterparties
    from silver group by all order by all
"""
CHANNEL_DAILY_SQL = """
    select channel, currency,
           count(*) as transactions,
           sum(abs(amount_minor))::bigint as value_minor,
           sum(amount_minor)::bigint as net_minor,
           sum(abs(amount_minor)) / count(*) as average_minor
    from silver group by all order by all
"""
DAILY = ((ACCOUNT_DAILY, ACCOUNT_DAILY_SQL), (CHANNEL_DAILY, CHANNEL_DAILY_SQL))


@dataclass(frozen=True)
class Day:
    """A booking date that a run touched, and every silver file of it, old and new."""

    number: int
    booking_date: date
    paths: tuple[str, ...]


def gold(run: Run, day: Day) -> dict[str, StagedFile]:
    """Make the day's rows of every daily table; by table path, the staged file."""
    made = {}
    with tempfile.TemporaryDirectory() as cache, duckdb.connect(config={"threads": 1, "temp_directory": ""}) as connection:
        files = [run.lake.storage.on_disk(f"{SILVER.path}/{path}", Path(cache)) for path in day.paths]
        connection.read_parquet([glob.escape(str(file)) for file in files], hive_partitioning=False).create_view("silver")
        for contract, sql in DAILY:
            rows = connection.sql(sql).to_arrow_table()
            name = f"part-{run.run_id}-{day.number:05d}"
            partition = {"booking_date": day.booking_date.isoformat()}
            made[contract.path] = delta.stage(run.lake.storage, contract, name, guard(contract, rows), partition, run.started_at)
    return made


def files_of(table: DeltaTable, partition: str, values: Iterable[str]) -> dict[str, list[str]]:
    """By value of the partition column, the paths of the table's files; only for the values that are asked for."""
    actions = pa.table(table.get_add_actions(flatten=True)).select(["path", f"partition.{partition}"])
    found: dict[str, list[str]] = {value: [] for value in values}
    for path, value in zip(*(column.to_pylist() for column in actions.columns), strict=True):
        if str(value) in found:
            found[str(value)].append(path)
    return found


def quality_rows(counts: Mapping[str, tuple[int, int]]) -> pa.Table:
    """data_quality_daily's rows of one day from numerators and denominators by dimension."""
    return pa.table(
        {
            "dimension": pa.array(list(counts), pa.string()),
            "numerator": pa.array([numerator for numerator, _ in counts.values()], pa.int64()),
            "denominator": pa.array([denominator for _, denominator in counts.values()], pa.int64()),
            "ratio": pa.array([n / d if d else None for n, d in counts.values()], pa.float64()),
        }
    )


def stage_quality(run: Run, certificates: Sequence[Mapping[str, Any]]) -> StagedFile:
    """Make the ingest date's rows of data_quality_daily from the certificates of all its runs, this one included."""
    counts: dict[str, tuple[int, int]] = {}
    for certificate in certificates:
        for dimension, (numerator, denominator) in certificate["quality"].items():
            before = counts.get(dimension, (0, 0))
            counts[dimension] = (before[0] + numerator, before[1] + denominator)
    partition = {"ingest_date": run.ingest_date}
    return delta.stage(
        run.lake.storage,
        DATA_QUALITY_DAILY,
        f"part-{run.run_id}",
        guard(DATA_QUALITY_DAILY, quality_rows(counts)),
        partition,
        run.started_at,
    )


DAILY_TABLES: tuple[TableContract, ...] = tuple(contract for contract, _ in DAILY)
