"""SQL over the lake: DuckDB, read-only, at the versions that a certificate names, and as who asks may see it.

The certificate is the last one, or that of an earlier state. DuckDB has no table that holds more than may be seen
(``pipelines.seen_dataset``), no door to files, and no sight of Python's variables.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from app.compliance.access import Clearance
from app.contracts.lake import BETWEEN_RUNS, NOT_OF_RUNS, RUNS, TABLES
from app.contracts.table import TableContract
from app.errors import LakeNotFound, UsageError
from app.lake import delta, runs, states
from app.lake.lake import Lake
from app.lake.states import State
from pipelines.catalog import contract_named
from pipelines.seen_dataset import seen

_Versions = list[tuple[TableContract, int | None]]


@dataclass(frozen=True)
class View:
    """What a query sees: tables at versions (None is the newest), and tables that are in memory already."""

    versions: _Versions
    known: Mapping[str, pa.Table] = field(default_factory=dict)  # by the name in SQL
    said: str = ""  # which state it is, for people; empty for the newest


def query(lake: Lake, sql: str, clearance: Clearance, as_of: Sequence[str] = ()) -> pa.Table:
    """Run one statement; tables are called ``<layer>_<name>``. All tables are seen as one run left them, masked by ``clearance``.

    ``as_of``: a run's id or a time, or else TABLE=VERSION pairs; then only those tables are seen. LakeNotFound if files of the state
    are gone.
    """
    view = _view(lake, as_of)
    with _connection(lake, view, clearance) as connection:
        try:
            result = connection.sql(sql)
        except duckdb.Error as error:
            raise _unless_gone(lake, view, sql, UsageError(f"the query cannot be run{_of(view)}: {error}")) from None
        if result is None:
            raise UsageError("the query returns no rows: only select statements are allowed; tables are read-only")
        try:
            return result.to_arrow_table()
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            raise _unless_gone(lake, view, sql, UsageError(f"the query failed: {error}")) from None


def _of(view: View) -> str:
    return f" {view.said}, when there were {', '.join(_names(view))}" if view.said else ""


def _names(view: View) -> list[str]:
    return sorted([*(contract.name for contract, _ in view.versions), *view.known])


def _view(lake: Lake, as_of: Sequence[str]) -> View:
    if not as_of:
        return View(versions(lake))
    pairs = [text.partition("=") for text in as_of]
    if all(equals for _, equals, _ in pairs):
        return View([_pair(lake, name, version) for name, _, version in pairs], said=f"as of {', '.join(as_of)}")
    if len(as_of) > 1:
        raise UsageError("--as-of takes one run or time, or else only TABLE=VERSION pairs: all tables are then seen as one run left them")
    (when,) = as_of
    if when.isdigit():
        raise UsageError(
            f"--as-of {when}: a version is one table's; write TABLE={when}, or name a run or a time, which are states of all tables"
        )
    rows = runs.runs(lake)
    state = states.state_at(lake, rows, when)
    history = pa.Table.from_pylist([dict(row) for row in rows if row["sequence"] <= state.sequence], RUNS.schema)
    return View(of_state(state), {RUNS.name: history}, f"as of run {state.run_id}")


def _pair(lake: Lake, name: str, version: str) -> tuple[TableContract, int]:
    contract = contract_named(name, TABLES)
    newest = lake.table(contract).version()
    if not version.isdigit() or int(version) > newest:
        raise UsageError(f"--as-of {name}={version}: {contract.path} has the versions 0 to {newest}")
    return contract, int(version)


def of_state(state: State) -> _Versions:
    """Each table that a state has, and its version; those that came later are not there."""
    return [(contract, state.versions[contract.path]) for contract in TABLES if contract.path in state.versions]


def _unless_gone(lake: Lake, view: View, sql: str, error: UsageError) -> Exception:
    """The error; or, where a file is gone that the statement's tables need, that."""
    if not view.said:
        return error
    try:
        used = duckdb.get_table_names(sql)
    except duckdb.Error:
        return error
    for contract, version in view.versions:
        if contract.name in used and (missing := missing_files(lake, contract, version)):
            return LakeNotFound(gone(contract, version, len(missing)))
    return error


def missing_files(lake: Lake, contract: TableContract, version: int | None) -> list[str]:
    """The files of a table's version that are not there any more."""
    there = {entry.path for entry in lake.storage.entries(contract.path)}
    return [path for path in delta.files_of(lake.table(contract, version)) if f"{contract.path}/{path}" not in there]


def gone(contract: TableContract, version: int | None, files: int) -> str:
    """A sentence on files that are not there."""
    return (
        f"{contract.path} cannot be read at version {version}: {files} of its files are not there any more; `leofric vacuum` lets go of"
        " states that are older than its guard, and its certificates say from which run on states are kept"
    )


@contextmanager
def _connection(lake: Lake, view: View, clearance: Clearance) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for contract, version in view.versions:
            connection.register(contract.name, seen(lake.table(contract, version).to_pyarrow_dataset(), contract, clearance))
        for name, table in view.known.items():
            connection.register(name, seen(ds.dataset(table), contract_named(name, TABLES), clearance))
        # From here on a statement can neither read nor write anything but these tables: no file, and no Arrow table of the process.
        connection.execute("set enable_external_access = false")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set lock_configuration = true")
        yield connection


def versions(lake: Lake) -> list[tuple[TableContract, int | None]]:
    """Each table and the version at which the last run left it; None is the newest."""
    found = states.states(runs.runs(lake)[-1:])
    named = found[0].versions if found else {}
    return [(contract, None if contract in (*NOT_OF_RUNS, *BETWEEN_RUNS) else named.get(contract.path)) for contract in TABLES]
