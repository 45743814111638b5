"""Some rows of a table, fast: DuckDB reads the columns of a condition first, in all files at once, and others only where it holds."""

import glob
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date

import duckdb
import pyarrow as pa

from app.contracts.lake import BETWEEN_RUNS, NOT_OF_RUNS, RUNS
from app.contracts.table import TableContract
from app.errors import LakeDamaged
from app.lake import delta
from app.lake.lake import Lake

Days = tuple[date | None, date | None]
"""From and to, both included; None is without end."""


@dataclass(frozen=True)
class Finder:
    """Looks for rows in the tables of a lake as the last run left them."""

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    versions: dict[str, int] = field(default_factory=dict)

    def beside(self) -> "Finder":
        """One for another thread."""
        return replace(self, connection=self.connection.cursor())

    def rows(
        self, contract: TableContract, condition: duckdb.Expression, days: Days = (None, None), columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows for which the condition holds, all columns if none are named; ``days`` are of the first partition column."""
        names = list(columns or contract.schema.names)
        table = self.lake.table(contract, None if contract in (*NOT_OF_RUNS, *BETWEEN_RUNS) else self.versions.get(contract.path))
        actions = pa.table(table.get_add_actions(flatten=True))
        paths = [path for path, day in _files(actions, contract) if _within(day, days)]
        if not paths:
            return contract.schema.empty_table().select(names)
        try:
            if self.lake.storage.is_local:
                root = self.lake.storage.local_path(contract.path)
                files = [glob.escape(str(root / path)) for path in paths]
                # To put files of unlike columns together DuckDB opens every one of them first: three times the work, where most need none.
                unlike = _lacks_columns(actions, contract)
                relation = self.connection.read_parquet(files, hive_partitioning=bool(contract.partition_by), union_by_name=unlike)
                relation = _with_columns(relation, contract) if unlike else relation
            else:
                relation = self.connection.from_arrow(delta.dataset(table, contract))
                condition = _of_days(contract, condition, days)
            found = relation.filter(condition).select(*(duckdb.ColumnExpression(name) for name in names)).to_arrow_table()
        except (duckdb.Error, OSError) as error:
            raise LakeDamaged(f"{contract.path} cannot be read: {error}") from None
        return found.cast(pa.schema([contract.schema.field(name).with_nullable(True) for name in names]))


@contextmanager
def finder(lake: Lake) -> Iterator[Finder]:
    """Open one."""
    # Only the newest certificate names the versions; the file that has it is the newest of control/runs.
    runs = lake.table(RUNS).to_pyarrow_dataset().to_table(columns=["sequence", "certificate"]).sort_by([("sequence", "descending")])
    tables = json.loads(runs["certificate"][0].as_py())["tables"] if runs.num_rows else {}
    with duckdb.connect() as connection:
        yield Finder(lake, connection, {path: one["version"] for path, one in tables.items()})


def equal(column: str, value: object) -> duckdb.Expression:
    """That a column has a value; None is equal to None."""
    named = duckdb.ColumnExpression(column)
    return named.isnull() if value is None else named == duckdb.ConstantExpression(value)


def _lacks_columns(actions: pa.Table, contract: TableContract) -> bool:
    """Whether a file may lack a column that came after it was written: the log has a count of nulls for each column that a file has."""
    flat = (column for column in contract.columns if column.name not in contract.partition_by and not pa.types.is_nested(column.type))
    counted = [f"null_count.{column.name}" for column in flat if column.nullable]
    return any(name not in actions.column_names or actions[name].null_count for name in counted)


def _with_columns(relation: duckdb.DuckDBPyRelation, contract: TableContract) -> duckdb.DuckDBPyRelation:
    """The same with those of the contract's columns that none of its files has: null."""
    missing = [name for name in contract.schema.names if name not in relation.columns]
    if not missing:
        return relation
    nothing = duckdb.ConstantExpression(None)
    return relation.select(duckdb.StarExpression(), *(nothing.alias(name) for name in missing))


def _files(actions: pa.Table, contract: TableContract) -> Iterator[tuple[str, date | None]]:
    days = actions[f"partition.{contract.partition_by[0]}"].to_pylist() if contract.partition_by else [None] * actions.num_rows
    for path, day in zip(actions["path"].to_pylist(), days, strict=True):
        yield path, date.fromisoformat(str(day)) if day is not None and not isinstance(day, int) else None


def _of_days(contract: TableContract, condition: duckdb.Expression, days: Days) -> duckdb.Expression:
    """The same condition for rows of these days only: of a dataset no file was left out."""
    for limit, least in zip(days, (True, False), strict=True):
        if limit is not None:
            day, held = duckdb.ColumnExpression(contract.partition_by[0]), duckdb.ConstantExpression(limit)
            condition &= day >= held if least else day <= held
    return condition


def _within(day: date | None, days: Days) -> bool:
    begins, ends = days
    return day is None or ((begins is None or begins <= day) and (ends is None or day <= ends))
