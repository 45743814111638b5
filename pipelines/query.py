"""SQL over the lake: DuckDB, read-only, at the versions that the last certificate names, and as who asks may see it.

DuckDB has no table that holds more than may be seen (``pipelines.seen_dataset``), no door to files, and no sight of Python's variables.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from app.compliance.access import Clearance
from app.contracts.lake import BETWEEN_RUNS, NOT_OF_RUNS, TABLES
from app.contracts.table import TableContract
from app.errors import UsageError
from app.lake import runs
from app.lake.lake import Lake
from pipelines.seen_dataset import seen


def query(lake: Lake, sql: str, clearance: Clearance) -> pa.Table:
    """Run one statement; tables are called ``<layer>_<name>``. All tables are seen as one run left them, masked by ``clearance``.

    UsageError if the statement cannot be run, or returns no rows.
    """
    with _connection(lake, clearance) as connection:
        try:
            result = connection.sql(sql)
        except duckdb.Error as error:
            raise UsageError(f"the query cannot be run: {error}") from None
        if result is None:
            raise UsageError("the query returns no rows: only select statements are allowed; tables are read-only")
        try:
            return result.to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(f"the query failed: {error}") from None


@contextmanager
def _connection(lake: Lake, clearance: Clearance) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for contract, version in versions(lake):
            connection.register(contract.name, seen(lake.table(contract, version).to_pyarrow_dataset(), contract, clearance))
        # From here on a statement can neither read nor write anything but these tables: no file, and no Arrow table of the process.
        connection.execute("set enable_external_access = false")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set lock_configuration = true")
        yield connection


def versions(lake: Lake) -> list[tuple[TableContract, int | None]]:
    """Each table and the version at which the last run left it; None is the newest."""
    rows = runs.runs(lake)
    tables = json.loads(rows[-1]["certificate"])["tables"] if rows else {}
    newest = (*NOT_OF_RUNS, *BETWEEN_RUNS)
    return [(contract, None if contract in newest else tables.get(contract.path, {}).get("version")) for contract in TABLES]
