"""The change feed of a table: which rows came, went or were changed by each version, for whoever keeps a copy.

It is found by comparing the files that a version brought with those that it replaced, partition by partition: a row that is in both
is no change. Applied to the table at one version, the feed gives the table at another.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import duckdb
import pyarrow as pa

from app.compliance.access import EVERYTHING, Clearance
from app.contracts.lake import NOT_OF_RUNS
from app.contracts.row_keys import key_of
from app.contracts.table import TableContract
from app.errors import LakeNotFound, UsageError
from app.lake import runs, states
from app.lake.lake import Lake
from pipelines import table_files
from pipelines.query import gone, missing_files

INSERT, DELETE, BEFORE, AFTER = "insert", "delete", "update_preimage", "update_postimage"
_MARKS: Final = (
    pa.field("_change_type", pa.string(), nullable=False),
    pa.field("_commit_version", pa.int64(), nullable=False),
    pa.field("_commit_timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
)
_PIECE_ROWS: Final = 64 * 1024


def schema_of(contract: TableContract) -> pa.Schema:
    """A feed's columns: the table's, the kind of change, and the version and time of the commit that made it."""
    return pa.schema([*(field.with_nullable(True) for field in contract.schema), *_MARKS])


@dataclass(frozen=True)
class Feed:
    """The changes after one version of a table up to another."""

    lake: Lake
    contract: TableContract
    since: int
    until: int
    clearance: Clearance

    def tables(self) -> Iterator[pa.Table]:
        """The changes, commit by commit, in tables of ``schema_of``; what goes stands before what comes.

        Raises LakeNotFound where a file that must be compared is there no more.
        """
        commits = self.lake.table(self.contract).history()
        when = {commit["version"]: datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) for commit in commits}
        before = _files(self.lake, self.contract, self.since)
        for version in range(self.since + 1, self.until + 1):
            after = _files(self.lake, self.contract, version)
            for kind, rows in self._of_commit(version, before, after):
                marks = (pa.repeat(value, rows.num_rows) for value in (kind, version, pa.scalar(when[version], _MARKS[2].type)))
                seen = self.clearance.of(rows, self.contract)
                yield pa.table([*seen.columns, *marks], names=schema_of(self.contract).names).cast(schema_of(self.contract))
            before = after

    def _of_commit(self, version: int, before: "_Files", after: "_Files") -> Iterator[tuple[str, pa.Table]]:
        went, came = _by_partition(before, after), _by_partition(after, before)
        for parts, at in ((went, version - 1), (came, version)):
            self._must_be_there({path for part in parts.values() for path in part.paths}, at)
        for name in sorted({*went, *came}):
            old, new = went.get(name), came.get(name)
            if old is None or new is None:
                kind, of = (INSERT, new) if new is not None else (DELETE, old)
                yield from ((kind, rows) for rows in self._rows(of))
            else:
                old_rows, new_rows = (pa.concat_tables([self.contract.schema.empty_table(), *self._rows(of)]) for of in (old, new))
                yield from compared(self.contract, old_rows, new_rows)

    def _rows(self, of: "_Part | None") -> Iterator[pa.Table]:
        if of is not None:
            yield from table_files.pieces(self.lake.storage, self.contract, of.paths, _PIECE_ROWS, of.values)

    def _must_be_there(self, paths: set[str], version: int) -> None:
        if missing := paths.intersection(missing_files(self.lake, self.contract, version) if paths else ()):
            raise LakeNotFound(gone(self.contract, version, len(missing)))


_Files = dict[str, Mapping[str, Any]]  # by path, what the file's partition is


@dataclass(frozen=True)
class _Part:
    values: Mapping[str, Any]
    paths: list[str]


def _files(lake: Lake, contract: TableContract, version: int) -> _Files:
    actions = pa.table(lake.table(contract, version).get_add_actions()).to_pylist()
    return {action["path"]: action.get("partition") or {} for action in actions}


def _by_partition(files: _Files, without: _Files) -> dict[str, _Part]:
    """The files that are only in the first, by partition."""
    found: dict[str, _Part] = {}
    for path, values in sorted(files.items()):
        if path not in without:
            found.setdefault(str(values), _Part(values, [])).paths.append(path)
    return found


def compared(contract: TableContract, before: pa.Table, after: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """What changed between two sets of rows: by the table's key, rows that went or came, and rows before and after an update."""
    key = key_of(contract)
    same_key = " and ".join(f'a."{name}" is not distinct from b."{name}"' for name in key) or "false"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, rows in (("old_rows", before), ("new_rows", after)):
            connection.register(name, rows)
        connection.execute("create temp table went as select * from old_rows except all select * from new_rows")
        connection.execute("create temp table came as select * from new_rows except all select * from old_rows")
        went, came = connection.table("went").set_alias("a"), connection.table("came").set_alias("b")
        kinds = ((DELETE, went, came, "anti"), (BEFORE, went, came, "semi"), (INSERT, came, went, "anti"), (AFTER, came, went, "semi"))
        for kind, one, other, how in kinds:
            rows = one.join(other, same_key, how=how).to_arrow_table()
            if rows.num_rows:
                yield kind, rows.select(contract.schema.names).cast(contract.schema)


def feed(lake: Lake, contract: TableContract, since: str, until: str | None, clearance: Clearance | None = None) -> Feed:
    """The changes after ``since`` up to ``until`` (None: what the last run left): versions of the table, runs, or times with a zone.

    ``clearance``: as somebody may see them; None: as they are.
    """
    newest = lake.table(contract).version()
    last = newest if contract in NOT_OF_RUNS else _after_the_last_run(lake, contract, newest)
    first, end = _version(lake, contract, since, newest), last if until is None else _version(lake, contract, until, newest)
    if first > end:
        raise UsageError(f"version {first} of {contract.path} is later than version {end}: changes go forward")
    return Feed(lake, contract, first, end, clearance or Clearance(EVERYTHING, lake.key))


def _after_the_last_run(lake: Lake, contract: TableContract, newest: int) -> int:
    found = states.states(runs.runs(lake)[-1:])
    return found[0].versions.get(contract.path, newest) if found else newest


def _version(lake: Lake, contract: TableContract, text: str, newest: int) -> int:
    if text.isdigit():
        if int(text) > newest:
            raise UsageError(f"{contract.path} has the versions 0 to {newest}, and none {text}")
        return int(text)
    if contract in NOT_OF_RUNS:
        raise UsageError(f"{contract.path} is not written by runs; name one of its versions, 0 to {newest}")
    return states.state_at(lake, runs.runs(lake), text).versions.get(contract.path, 0)


def lines(tables: Iterable[pa.Table]) -> Iterator[str]:
    """Changes as NDJSON; bytes are in base64, instants in UTC."""
    for table in tables:
        for row in table.to_pylist():
            yield json.dumps(row, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, date) else str(value)
