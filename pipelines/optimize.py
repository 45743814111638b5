"""Optimize: many small files of a table become few, and no row changes.

It is a run, and writes by Leofric's own writer: delta-rs' would put least and greatest values of people's data into the log. What it wrote
is read back and compared with what it replaces, row by row, before anything is published.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Any, Final

import pyarrow as pa

from app.contracts.lake import SILVER
from app.contracts.table import TableContract
from app.errors import LakeDamaged, NotReconciled, UsageError
from app.lake import delta, runs
from app.lake.delta import Change, StagedFile
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import score, table_files
from pipelines.attempt import Attempt, attempt
from pipelines.executor import Executor
from pipelines.progress import Observer
from pipelines.publish import Publication
from pipelines.vacuum import OF_RUNS
from pipelines.work import Run

KIND: Final = "optimize"


@dataclass(frozen=True)
class Group:
    """Small files of one partition, in order, that become one."""

    number: int
    contract: TableContract
    partition: Mapping[str, str | None]
    paths: tuple[str, ...]  # below the table
    rows: int
    size: int  # bytes
    mark: str = ""  # at the end of the new file's name


def groups(lake: Lake, contracts: Iterable[TableContract], most_rows: int) -> list[Group]:
    """What is scattered: files that are less than half full, two or more of which fit into one of ``most_rows`` rows.

    Payments that wait for a score lie in files of their own, also afterwards: scoring finds them by the files' names.
    """
    waiting = score.writers(runs.runs(lake))
    found: list[Group] = []
    for contract in contracts:
        kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for action in sorted(pa.table(lake.table(contract).get_add_actions()).to_pylist(), key=lambda one: str(one["path"])):
            unscored = contract is SILVER and any(f"part-{writer}" in action["path"] for writer in waiting)
            if 2 * action["num_records"] <= most_rows:
                kinds.setdefault((str(action.get("partition")), score.UNSCORED if unscored else ""), []).append(action)
        for (_, mark), actions in kinds.items():
            for together in _packed(actions, most_rows):
                found.append(_group(len(found), contract, together, mark))
    return found


def _packed(actions: Sequence[dict[str, Any]], most_rows: int) -> Iterator[list[dict[str, Any]]]:
    together: list[dict[str, Any]] = []
    for action in actions:
        if together and sum(one["num_records"] for one in together) + action["num_records"] > most_rows:
            yield from [together] if len(together) > 1 else []
            together = []
        together.append(action)
    yield from [together] if len(together) > 1 else []


def _group(number: int, contract: TableContract, actions: Sequence[dict[str, Any]], mark: str) -> Group:
    values = actions[0].get("partition") or {}
    partition = {name: None if value is None else str(value) for name, value in values.items()}
    rows, size = (sum(one[name] for one in actions) for name in ("num_records", "size_bytes"))
    return Group(number, contract, partition, tuple(one["path"] for one in actions), rows, size, mark)


def contracts_of(contract: TableContract | None) -> tuple[TableContract, ...]:
    """The tables to look at: the one that was named, or all that runs write; UsageError for one that is not of runs."""
    if contract is not None and contract not in OF_RUNS:
        raise UsageError(f"{contract.path} is not written by runs: its files are left as they are")
    return OF_RUNS if contract is None else (contract,)


def optimize(
    storage: Storage,
    settings: Settings,
    contract: TableContract | None,
    why: str,
    who: str,
    executor: Executor,
    observer: Observer,
    now: datetime | None = None,
) -> dict[str, Any] | None:
    """Make few files of many, in one table or in all; returns the run's certificate, None where nothing is scattered.

    LakeBusy if another run holds the lake; NotReconciled if what was written is not what was read: nothing is published then.
    """
    contracts = contracts_of(contract)
    if not groups(open_lake(storage), contracts, settings.silver_file_rows):
        return None
    return attempt(KIND, storage, settings, observer, now, lambda begun: _prepare(begun, contracts, why, who, executor))


def _prepare(begun: Attempt, contracts: Sequence[TableContract], why: str, who: str, executor: Executor) -> Publication:
    run = begun.run
    found = groups(run.lake, contracts, run.settings.silver_file_rows)
    with begun.stages.stage("optimize", len(found)) as watch:
        made = sorted(watch(executor.map(partial(_rewritten, run), found)), key=lambda one: one[0].number)
    changes, tables = {}, {}
    for contract in contracts:
        mine = [(group, staged) for group, staged in made if group.contract == contract]
        if mine:
            gone = tuple(path for group, _ in mine for path in group.paths)
            changes[contract.path] = Change(tuple(staged for _, staged in mine), gone, data_change=False)
            tables[contract.path] = {
                "files_before": len(gone),
                "files_after": len(mine),
                "rows": sum(staged.rows for _, staged in mine),
                "bytes_before": sum(group.size for group, _ in mine),
                "bytes_after": sum(staged.size for _, staged in mine),
            }
    unscored = sorted(score.pending(begun.history)) if any(group.mark for group in found) else []
    said = {KIND: {"why": why, "by": who, "tables": tables, score.UNSCORED: unscored}}
    return begun.publication(changes, begun.of_no_load(KIND) | said)


def _rewritten(run: Run, group: Group) -> tuple[Group, StagedFile]:
    """Write a group's rows to one file, and compare the two."""
    try:
        staged = _written(run, group)
        both = (_pieces(run, group, paths) for paths in (group.paths, (staged.path,)))
        same = all(before is not None and before.equals(after) for before, after in zip_longest(*both))
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(
            f"the table {group.contract.path} cannot be read: {error}; restore the file, nothing in it can be vouched for"
        ) from None
    if staged.rows != group.rows or not same:
        raise NotReconciled(
            f"{group.contract.path}: {staged.path} does not hold the rows of the {len(group.paths)} files that it is made of"
        )
    return group, staged


def _written(run: Run, group: Group) -> StagedFile:
    name = f"part-{run.run_id}{group.mark and '-'}{group.mark}-{group.number:05d}"
    writer = delta.FileWriter(run.lake.storage, group.contract, name, group.partition, run.started_at)
    for piece in _pieces(run, group, group.paths):
        writer.write(piece)
    staged = writer.close()
    if staged is None:
        raise NotReconciled(f"the files of {group.contract.path} have no rows, and the log says {group.rows}: {', '.join(group.paths)}")
    return staged


def _pieces(run: Run, group: Group, paths: Sequence[str]) -> Iterator[pa.Table]:
    return table_files.pieces(run.lake.storage, group.contract, paths, run.settings.block_rows)
