"""Vacuum: files that no state of the lake needs any more, but old ones, are let go. The guard keeps every state that could lately be seen.

It is a run: its certificate says how many files and bytes went and from which run on states are kept. The files are what the run retires,
so that none goes before the certificate is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.contracts.lake import NOT_OF_RUNS, TABLES
from app.contracts.table import TableContract
from app.errors import UsageError
from app.lake import delta, layout, runs, states
from app.lake.lake import Lake, open_lake
from app.lake.states import State
from app.lake.storage import Entry, Storage
from app.settings import Settings
from pipelines.attempt import Attempt, attempt
from pipelines.progress import Observer
from pipelines.publish import Publication

KIND: Final = "vacuum"
OF_RUNS: Final = tuple(contract for contract in TABLES if contract not in NOT_OF_RUNS)
"""The tables that are vacuumed; the service writes into others while nothing holds the lake, and certificates are kept."""


@dataclass(frozen=True)
class Plan:
    """What a vacuum lets go."""

    files: tuple[Entry, ...]
    oldest: State | None  # the oldest state that is kept whole; None if the lake has no run

    def document(self) -> dict[str, Any]:
        """Files and bytes, in all and by table."""
        by_table = {c.path: [file for file in self.files if file.path.startswith(f"{c.path}/")] for c in OF_RUNS}
        return {
            **_counted(self.files),
            "tables": {path: _counted(files) for path, files in by_table.items() if files},
            "oldest_state": None if self.oldest is None else self.oldest.run_id,
        }


def _counted(files: Sequence[Entry]) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(file.size for file in files)}


def days_of(settings: Settings, older_than: int | None) -> int:
    """After how many days a state may go; UsageError if the guard says more."""
    guard = settings.vacuum_guard_days
    if older_than is not None and older_than < guard:
        raise UsageError(
            f"--older-than {older_than}: the guard keeps every state of the last {guard} days; LEOFRIC_VACUUM_GUARD_DAYS is for the lake's"
            " owner to set, and no command passes it"
        )
    return guard if older_than is None else older_than


def plan(lake: Lake, days: int, now: datetime) -> Plan:
    """What a vacuum would let go: files that no state needs which can be seen now or could be in the last ``days`` days."""
    kept = _kept(lake, runs.runs(lake), now - timedelta(days=days))
    at_work = _runs_at_work(lake)
    gone: list[Entry] = []
    for contract in OF_RUNS:
        needed = {f"{contract.path}/{path}" for path in _needed(lake, contract, kept)}
        gone += [e for e in lake.storage.entries(contract.path) if _is_data(e.path) and e.path not in needed and not _of(e.path, at_work)]
    return Plan(tuple(sorted(gone, key=lambda entry: entry.path)), kept[0] if kept else None)


def _kept(lake: Lake, rows: Sequence[Mapping[str, Any]], since: datetime) -> list[State]:
    """The states that could be seen since then: a state is seen until the next is published."""
    every, published = states.states(rows), states.published_at(lake, rows)
    ends = [published[state.sequence] for state in every[1:]]
    return [state for state, end in zip(every, [*ends, None], strict=True) if end is None or end > since]


def _needed(lake: Lake, contract: TableContract, kept: Sequence[State]) -> set[str]:
    versions = {state.versions[contract.path] for state in kept if contract.path in state.versions}
    tables = [lake.table(contract), *(lake.table(contract, version) for version in sorted(versions))]
    return {path for table in tables for path in delta.files_of(table)}


def _is_data(path: str) -> bool:
    """Whether it is a file that Leofric wrote as rows of a table: it touches no other, and not the log."""
    return path.endswith(".parquet") and path.rpartition("/")[2].startswith("part-") and "/_delta_log/" not in path


def _runs_at_work(lake: Lake) -> list[str]:
    """Runs that have begun and not ended: what they have staged is in no table yet."""
    return [entry.path.rpartition("/")[2].removesuffix(".json") for entry in lake.storage.entries(layout.JOURNAL)]


def _of(path: str, run_ids: Sequence[str]) -> bool:
    return any(f"part-{run_id}" in path for run_id in run_ids)


def vacuum(
    storage: Storage, settings: Settings, days: int, why: str, who: str, observer: Observer, now: datetime | None = None
) -> dict[str, Any]:
    """Let go what ``plan`` names; returns the run's certificate. LakeBusy if another run holds the lake."""
    open_lake(storage)
    days_of(settings, days)
    return attempt(KIND, storage, settings, observer, now or datetime.now(UTC), lambda begun: _prepare(begun, days, why, who))


def _prepare(begun: Attempt, days: int, why: str, who: str) -> Publication:
    with begun.stages.stage("vacuum"):
        found = plan(begun.run.lake, days, begun.run.started_at)
    said = {KIND: {"why": why, "by": who, "older_than_days": days} | found.document()}
    return begun.publication({}, begun.of_no_load(KIND) | said, [file.path for file in found.files])
