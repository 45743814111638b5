"""Runs on lakes for tests, and what a lake says, in a form that can be compared."""

import tempfile
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.compliance.access import EVERYTHING, Clearance
from app.contracts.lake import AUDIT, BRONZE, DUPLICATES, QUARANTINE, RUNS, SILVER, TABLES
from app.lake.lake import Lake, open_lake
from app.lake.reference import Loaded
from app.lake.storage import Storage
from app.reference.modulus import synthetic_files
from app.settings import Settings
from pipelines import plan, reference
from pipelines.executor import Executor, InProcess
from pipelines.progress import Observer, Silent
from pipelines.query import query
from pipelines.run import run

OF_RUNS = {"run_id", "ingested_at", "ingest_date", "loaded_by", "scored_at", "raised_by", "raised_at", "as_of_date"}

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)


def load(
    landing: Path | str,
    lake: Path | str,
    settings: Settings | None = None,
    executor: Executor | None = None,
    observer: Observer | None = None,
    zones: tuple[str, ...] = (),
    now: datetime = NOW,
    amounts: tuple[str, ...] = (),
) -> dict[str, Any]:
    """One run, in this process."""
    sources = plan.source_files([str(landing)], zones, {}, amounts)
    return run(Storage(str(lake)), sources, settings or Settings(), executor or InProcess(), observer or Silent(), now)


def load_modulus_table(lake: Path | str) -> Loaded:
    """Load the synthetic weight table, in force since long before NOW."""
    with tempfile.TemporaryDirectory() as folder:
        valacdos, scsubtab = (Path(folder) / name for name in ("valacdos.txt", "scsubtab.txt"))
        for path, data in zip((valacdos, scsubtab), synthetic_files(), strict=True):
            path.write_bytes(data)
        return reference.load_modulus(Storage(str(lake)), valacdos, scsubtab, "synthetic", date(2026, 1, 1), bytes(16), NOW)


def opened(lake: Path | str) -> Lake:
    return open_lake(Storage(str(lake)))


def everything(lake: Lake) -> Clearance:
    """What somebody sees who sees everything."""
    return Clearance(EVERYTHING, lake.key)


def asked(lake: Lake, sql: str, as_of: Sequence[str] = ()) -> pa.Table:
    """What a query says to somebody who sees everything."""
    return query(lake, sql, everything(lake), as_of)


def rows(lake: Path | str, contract: Any) -> list[dict[str, Any]]:
    return list(opened(lake).table(contract).to_pyarrow_table().to_pylist())


def content(lake: Path | str, without: Collection[str] = ()) -> dict[str, list[str]]:
    """What every table but control/runs and audit/log holds, in one order, without what differs from run to run, and some columns."""
    return content_of(Storage(str(lake)), without)


def content_of(storage: Storage, without: Collection[str] = ()) -> dict[str, list[str]]:
    """The same of a lake in any storage."""
    result = {}
    for contract in TABLES:
        if contract not in (RUNS, AUDIT):
            lake = open_lake(storage)
            table: pa.Table = lake.opened(lake.table(contract).to_pyarrow_table())
            kept = [name for name in table.schema.names if name not in OF_RUNS and name not in without]
            # How timely records are depends on when the run began.
            held = [row for row in table.select(kept).to_pylist() if row.get("dimension") != "timeliness"]
            result[contract.path] = sorted(repr(row) for row in held)
    return result


def numbers(lake: Path | str) -> dict[str, list[int]]:
    """Where each record number of the only file went."""
    return {
        contract.path: sorted(row["record_number"] for row in rows(lake, contract)) for contract in (BRONZE, SILVER, QUARANTINE, DUPLICATES)
    }


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def files_but_audit(lake: Path) -> set[str]:
    """The files of a lake but those of the audit trail, which has an entry of a run that failed, too."""
    return {path for path in files_in(lake) if "audit" not in path}
