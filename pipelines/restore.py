"""Restore: the whole lake as a run left it, by a new run. What later runs did is undone; they keep their certificates.

What is taken out and brought back is counted in the files themselves, and must be what the certificates of those runs say; then files that
they loaded count as not loaded, and `leofric run` takes them again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from app.compliance.control_totals import Totals, of_rows, total
from app.contracts.lake import BETWEEN_RUNS, DUPLICATES, FEEDBACK, QUARANTINE, SCORES, SILVER
from app.contracts.table import TableContract
from app.errors import LakeDamaged, LakeNotFound, NotReconciled, UsageError
from app.lake import delta, runs, states
from app.lake.delta import Change
from app.lake.keys import Segment
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.review import corrections
from app.settings import Settings
from pipelines import feedback, index, publish
from pipelines.attempt import Attempt, attempt
from pipelines.executor import Executor
from pipelines.progress import Observer
from pipelines.publish import Publication
from pipelines.query import gone, missing_files
from pipelines.reconcile import SIDES
from pipelines.vacuum import OF_RUNS
from pipelines.work import Run

KIND: Final = "restore"
_RUN_OF: Final = {SILVER: "run_id", QUARANTINE: "run_id", DUPLICATES: "run_id", SCORES: "loaded_by", FEEDBACK: "run_id"}
"""The tables whose rows certificates count, and the column that names the run."""

Row = Mapping[str, Any]
Counts = dict[tuple[str, str], Totals]
"""By table and run: what there is."""


def restore(
    storage: Storage,
    settings: Settings,
    run_id: str,
    why: str,
    who: str,
    executor: Executor,
    observer: Observer,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Bring the lake back to the state after a run; returns the new run's certificate.

    LakeNotFound if there is no such run or files of that state are gone, UsageError if the lake is in that state, NotReconciled if what
    would go is not what the certificates say; nothing is published then. LakeBusy if another run holds the lake.
    """
    open_lake(storage)
    return attempt(KIND, storage, settings, observer, now, lambda begun: _prepare(begun, run_id, why, who, executor))


def _prepare(begun: Attempt, run_id: str, why: str, who: str, executor: Executor) -> Publication:
    lake, history = begun.run.lake, begun.history
    undone, back = differing(history, run_id)
    _check_that_it_may_be_undone(begun, run_id, undone)
    versions = states.state_at(lake, history, run_id).versions
    changes: dict[str, Change] = {}
    files: dict[str, tuple[list[str], list[str]]] = {}  # by table, paths that go and paths that come back
    for contract in OF_RUNS:
        if contract in BETWEEN_RUNS:
            continue  # nobody decided since: it is as it was
        version = versions.get(contract.path, 0)  # a table that came later was empty
        if missing := missing_files(lake, contract, version):
            raise LakeNotFound(f"the lake cannot go back to run {run_id}: {gone(contract, version, len(missing))}")
        is_, was = (delta.files_of(lake.table(contract, at)).keys() for at in (None, version))
        if is_ != was:
            changes[contract.path] = Change(restore_to=version)
            files[contract.path] = (sorted(is_ - was), sorted(was - is_))
    _reconcile(begun, files, undone, back, executor)
    keys, retired = _keys(begun, executor, run_id, versions)
    said = {"to": run_id, "why": why, "by": who, "undone": _summaries(undone), "brought_back": _summaries(back)}
    document = begun.of_no_load(KIND) | {KIND: said, "keys": [asdict(segment) for segment in keys]}
    return begun.publication(changes, document, retired)


def differing(history: Sequence[Row], run_id: str) -> tuple[list[Row], list[Row]]:
    """Which runs stand and do not in the state after a run, and which do there and not now.

    LakeNotFound if there is no such run, UsageError if it was the last one.
    """
    at = next((at for at, row in enumerate(history) if row["run_id"] == run_id), None)
    if at is None:
        raise LakeNotFound(f"the lake has no run {run_id}; the table control_runs lists them")
    if at == len(history) - 1:
        raise UsageError(f"the lake is as run {run_id} left it: there is nothing to undo")
    now, then = runs.standing(history), runs.standing(history[: at + 1])
    ids_now, ids_then = ({row["run_id"] for row in rows} for rows in (now, then))
    return [row for row in now if row["run_id"] not in ids_then], [row for row in then if row["run_id"] not in ids_now]


def _check_that_it_may_be_undone(begun: Attempt, run_id: str, undone: Sequence[Row]) -> None:
    """UsageError if a retention run would be undone, or reviewers decided since: decisions stay, and would be about what is gone."""
    began = next(row["started_at"] for row in begun.history if row["run_id"] == run_id)
    if any(json.loads(row["certificate"])["kind"] == "retention" for row in undone):
        raise UsageError(f"since run {run_id} a retention run has deleted what was due; what a law took is not brought back")
    since = [one for one in corrections.decisions(begun.run.lake) if one.decided_at > began]
    if since:
        raise UsageError(
            f"since run {run_id} {since[0].who} and others decided about {len(since)} quarantined records, first about {since[0].item};"
            " decisions are evidence and are not undone: restore a run after the last of them"
        )


def _summaries(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """By run, what its certificate says that it did."""
    return {row["run_id"]: _summary(json.loads(row["certificate"])) for row in rows}


def _summary(document: Mapping[str, Any]) -> dict[str, Any]:
    totals, decided = document["totals"], document.get(feedback.KIND, {"new": 0, "changed": 0})
    return {
        "kind": document["kind"],
        "records": totals["records"],
        "accepted": totals["accepted"],
        "quarantined": totals["quarantined"],
        "duplicates": totals["duplicates"],
        "amount_minor": {currency: sides["accepted"] for currency, sides in totals["amount_minor"].items()},
        "scored": sum(of["records"] for of in document.get("scored", {}).values()),
        "decisions": decided["new"] + decided["changed"],
    }


def certified(rows: Iterable[Row]) -> Counts:
    """What the certificates of some runs say that the tables hold of them."""
    counts: Counts = {}

    def add(contract: TableContract, run_id: str, totals: Totals) -> None:
        counts[contract.path, run_id] = counts.get((contract.path, run_id), Totals()) + totals

    for row in rows:
        document = json.loads(row["certificate"])
        for contract in (SILVER, QUARANTINE, DUPLICATES):
            side = SIDES[contract.path]
            amounts = {currency: sides[side] for currency, sides in document["totals"]["amount_minor"].items()}
            add(contract, row["run_id"], Totals(document["totals"][side], amounts))
        for run_id, of in document.get("scored", {}).items():
            add(SCORES, run_id, Totals(of["records"], of["amount_minor"]))
        decided = document.get(feedback.KIND, {"new": 0, "changed": 0})
        add(FEEDBACK, row["run_id"], Totals(decided["new"] + decided["changed"]))
    return counts


def _reconcile(
    begun: Attempt, files: Mapping[str, tuple[list[str], list[str]]], undone: Sequence[Row], back: Sequence[Row], executor: Executor
) -> None:
    """Raise NotReconciled unless what goes, less what comes back, is what the certificates say: run by run, to the penny."""
    contracts = [contract for contract in _RUN_OF if contract.path in files]
    items = [(contract, side, path) for contract in contracts for side in (0, 1) for path in files[contract.path][side]]
    sides: tuple[list[Counts], list[Counts]] = ([certified(back)], [certified(undone)])
    with begun.stages.stage("reconcile", len(items)) as watch:
        for side, counts in watch(executor.map(partial(_count, begun.run), items)):
            sides[side].append(counts)
    # What goes and what was certified of runs that come back, against what comes back and what was certified of runs that go.
    out, into = ({key: total(part[key] for part in parts if key in part) for key in {k for p in parts for k in p}} for parts in sides)
    faults = [
        f"{table}: run {run_id}: {found.records} records and {dict(found.amount_minor)} would go, {due.records} and"
        f" {dict(due.amount_minor)} are due"
        for table, run_id in sorted({*out, *into})
        if not _equal(found := out.get((table, run_id), Totals()), due := into.get((table, run_id), Totals()))
    ]
    if faults:
        raise NotReconciled(
            "; ".join(faults[:10]) + "; nothing was restored: `leofric certificate verify` says which certificate does not hold"
        )


def _equal(one: Totals, other: Totals) -> bool:
    currencies = {*one.amount_minor, *other.amount_minor}
    return one.records == other.records and all(one.amount_minor.get(c, 0) == other.amount_minor.get(c, 0) for c in currencies)


def _count(run: Run, item: tuple[TableContract, int, str]) -> tuple[int, Counts]:
    """What a file holds, by run."""
    contract, side, path = item
    by = _RUN_OF[contract]
    amounts = [] if contract == FEEDBACK else ["currency", "amount_minor"]
    try:
        with run.lake.storage.arrow_file(f"{contract.path}/{path}") as opened, pq.ParquetFile(opened) as parquet:
            rows = parquet.read(columns=[by, *amounts], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(
            f"the table {contract.path} cannot be read: {error}; restore the file, nothing in it can be vouched for"
        ) from None
    nothing = {"currency": pa.nulls(rows.num_rows, pa.string()), "amount_minor": pa.nulls(rows.num_rows, pa.int64())}
    named = {name: rows[name] if name in rows.column_names else nothing[name] for name in nothing}
    found = of_rows(pa.table({"source_sha256": rows[by], **named}))
    return side, {(contract.path, run_id): totals for run_id, totals in found.items()}


def _keys(begun: Attempt, executor: Executor, run_id: str, versions: Mapping[str, int]) -> tuple[tuple[Segment, ...], list[str]]:
    """The index of transaction ids as the run left it, made anew if a segment is gone; and objects that nobody needs afterwards."""
    lake = begun.run.lake
    document = next(json.loads(row["certificate"]) for row in begun.history if row["run_id"] == run_id)
    segments = tuple(Segment(**entry) for entry in document["keys"])
    retired: list[str] = []
    if not all(lake.storage.exists(segment.path) for segment in segments):
        silver = lake.table(SILVER, versions.get(SILVER.path, 0))
        segments, retired = index.made_anew(begun, executor, list(delta.files_of(silver)))
        rows = delta.rows_and_bytes(silver)[0]
        if sum(segment.rows for segment in segments) != rows:
            raise LakeDamaged(f"the index made of {SILVER.path} does not have the {rows} rows that the table's log says it has")
    kept = {segment.path for segment in segments}
    last = (Segment(**entry).path for entry in publish.last_keys(begun.history))
    return segments, [*retired, *(path for path in last if path not in kept)]
