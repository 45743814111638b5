"""The run that deletes what a plan of retention says: from the tables, from the disk, and with a record of it in its certificate.

Files of which all rows go are removed, others are written anew without them. What was replaced, and every older file of the same
partitions, is deleted once the certificate is stored; until then nothing is lost that could not be undone.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.compliance import certificate as certificates
from app.compliance.control_totals import of_rows as totals_of
from app.compliance.retention import Fate
from app.compliance.rules_file import document as rule_document
from app.contracts.lake import DUPLICATES, FEEDBACK, QUARANTINE, SCORES, SILVER, TABLES
from app.contracts.retention_rules import RetentionRule
from app.errors import NotReconciled
from app.lake import delta, layout, runs
from app.lake.delta import StagedFile
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import deletions, publish, reconcile
from pipelines.attempt import Attempt, attempt
from pipelines.deletions import KIND, Deletion
from pipelines.progress import Observer
from pipelines.publish import Publication, changes
from pipelines.retention import Cut, Only, Selection, basis, parts, select
from pipelines.work import Run

_SIDES: Final = (SILVER, QUARANTINE, DUPLICATES)


@dataclass
class _Retention:
    """A run of retention between its stages."""

    attempt: Attempt
    selection: Selection
    staged: dict[str, list[StagedFile]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)
    deleted: list[Deletion] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return self.attempt.run


def apply(
    storage: Storage,
    settings: Settings,
    why: str,
    who: str,
    observer: Observer,
    now: datetime | None = None,
    only: Only | None = None,
    on: date | None = None,
) -> dict[str, Any] | None:
    """Delete what is due today; returns the run's certificate, None where nothing is due and no dead run has left anything.

    ``only``: no more than what is due of this. ``on``: what was due on this day, today at the latest.
    LakeBusy if another run holds the lake; LakeDamaged, and nothing is deleted, if rows are not what certificates say of them.
    """
    lake, started_at = open_lake(storage), now or datetime.now(UTC)
    day = started_at.date() if on is None else min(on, started_at.date())
    left_over = any(True for _ in storage.entries(layout.JOURNAL))
    if not left_over and not select(lake, basis(lake, day), only).cuts:
        return None
    return attempt(KIND, storage, settings, observer, started_at, lambda begun: _prepare(begun, why, who, day, only))


def _prepare(begun: Attempt, why: str, who: str, day: date, only: Only | None) -> Publication:
    with begun.stages.stage("select"):
        lake = begun.run.lake
        doing = _Retention(begun, select(lake, basis(lake, day), only))
    try:
        with begun.stages.stage("rewrite", max(len(doing.selection.cuts), 1)) as watch:
            for _ in watch(_cut(doing, number, cut) for number, cut in enumerate(doing.selection.cuts)):
                pass
        doing.deleted = deleted_of(begun.history, doing.selection)
    except NotReconciled as error:
        publish.undo(begun.run.lake, begun.run.run_id)
        return begun.publication({}, _document(begun, "failed", why) | {"error": str(error)})
    files = files_emptied(begun.history, doing.deleted)
    retired = [*_replaced(doing), *map(layout.kept_file, files), *_segments(doing, files)]
    said = {"retention": _summary(doing, who, files, len(retired)), "deleted": _record(doing)}
    return begun.publication(changes(doing.staged, doing.removed), _document(begun, "succeeded", why) | said, retired)


def _cut(doing: _Retention, number: int, cut: Cut) -> int:
    """Write a file anew without the rows that go, if any stay; returns how many go.

    NotReconciled if what was written and what goes are not what was there.
    """
    table, part = cut.part.contract, cut.part
    doing.removed.setdefault(table.path, []).append(part.path)
    if cut.going.all():
        return cut.rows
    run = doing.run
    with run.lake.storage.arrow_file(f"{table.path}/{part.path}") as file, pq.ParquetFile(file) as parquet:
        rows = parquet.read(use_threads=False)
    for name in table.schema.names:
        if name not in rows.column_names and name not in table.partition_by:  # a column that came after the file was written
            rows = rows.append_column(name, pa.nulls(rows.num_rows, table.schema.field(name).type))
    # Scoring finds files that wait for it by the run in their names, so the old name goes on at the end of the new.
    tail = part.path.rpartition("/")[2].removesuffix(".parquet").rpartition("part-")[2]
    stays = rows.filter(pa.array(~cut.going))
    staged = delta.stage(run.lake.storage, table, f"part-{run.run_id}-{number:05d}-part-{tail}", stays, part.partition, run.started_at)
    _check(run, cut, rows, staged)
    doing.staged.setdefault(table.path, []).append(staged)
    return cut.rows


def _check(run: Run, cut: Cut, before: pa.Table, staged: StagedFile) -> None:
    """Read back what was written: with what goes it must be what was there, by row, and where there are amounts by penny."""
    table = cut.part.contract
    with run.lake.storage.arrow_file(f"{table.path}/{staged.path}") as file, pq.ParquetFile(file) as parquet:
        after = parquet.read(use_threads=False)
    gone = before.filter(pa.array(cut.going))
    same = after.num_rows + cut.rows == before.num_rows == cut.part.rows
    if same and {*reconcile.COLUMNS} <= {*before.column_names}:
        was, left, went = (totals_of(rows) for rows in (before, after, gone))
        added = {
            source: left[source] + went[source] if source in left and source in went else left.get(source, went.get(source))
            for source in was
        }
        same = added == was and {*left, *went} == {*was}
        numbers = [np.asarray(rows["record_number"].to_numpy()) for rows in (after, gone, before)]
        same = same and np.array_equal(np.sort(np.concatenate(numbers[:2])), np.sort(numbers[2]))
    if not same:
        raise NotReconciled(f"{table.path}/{cut.part.path}: what was written anew and what is to go are not what was there")


def deleted_of(history: Sequence[Mapping[str, Any]], selection: Selection) -> list[Deletion]:
    """What goes of the three tables in which records end; LakeDamaged if rows are not what certificates say of them."""
    loaded = runs.files_loaded(history)
    records = {sha256: int(file["records"]) for sha256, file in loaded.items()}
    found: list[Deletion] = []
    for contract in _SIDES:
        keys = [cut.keys for cut in selection.of(contract)]
        if keys:
            found += deletions.of_rows(reconcile.SIDES[contract.path], pa.concat_tables(keys), records)
    return found


def _record(doing: _Retention) -> dict[str, Any]:
    """The deletion record."""
    scores = [cut.keys for cut in doing.selection.of(SCORES)]
    feedback = Counter(run_id for cut in doing.selection.of(FEEDBACK) for run_id in cut.keys["run_id"].to_pylist())
    return {
        "records": [deletion.document() for deletion in doing.deleted],
        "scores": deletions.scores_document(pa.concat_tables(scores), doing.run.lake.key) if scores else {},
        "feedback": dict(sorted(feedback.items())),
    }


def files_emptied(history: Sequence[Mapping[str, Any]], deleted: Sequence[Deletion]) -> list[str]:
    """The hashes of landing files none of whose records is left, after this, of what their loads made of them."""
    loaded_by = {file["sha256"]: run_id for run_id, file in _loads(history)}
    records = {file["sha256"]: int(file["records"]) for _, file in _loads(history)}
    gone = deletions.of_history(history).numbers_gone() + deletions.Deleted(list(deleted)).numbers_gone()
    touched = sorted({deletion.source_sha256 for deletion in deleted})
    return [sha256 for sha256 in touched if gone[loaded_by[sha256], sha256] == records[sha256]]


def _segments(doing: _Retention, files: Sequence[str]) -> list[str]:
    """Those of the landing files that are segments of the service's journal in this lake: nobody else will ever delete them."""
    storage = doing.run.lake.storage
    below = storage.uri(layout.JOURNALLED) + "/"
    uris = {str(file["uri"]) for _, file in _loads(doing.attempt.history) if file["sha256"] in files}
    return sorted(f"{layout.JOURNALLED}/{unquote(uri.removeprefix(below))}" for uri in uris if uri.startswith(below))


def _loads(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Each landing file that was loaded, and by which run."""
    documents = [json.loads(row["certificate"]) for row in history]
    return [(document["run_id"], file) for document in documents for file in document["files"] if file["status"] == "loaded"]


def _replaced(doing: _Retention) -> list[str]:
    """Every file, of the partitions from which rows go, that the tables do not name after this run: they hold what is deleted."""
    found = []
    for contract in TABLES:
        cuts = doing.selection.of(contract)
        if not cuts:
            continue
        folders = {cut.part.path.rpartition("/")[0] for cut in cuts}
        stay = {part.path for part in parts(doing.run.lake, contract)} - set(doing.removed[contract.path])
        stay |= {staged.path for staged in doing.staged.get(contract.path, ())}
        for entry in doing.run.lake.storage.entries(contract.path):
            folder, _, name = entry.path.removeprefix(f"{contract.path}/").rpartition("/")
            ours = name.startswith("part-") and name.endswith(".parquet")
            if ours and folder in folders and entry.path.removeprefix(f"{contract.path}/") not in stay:
                found.append(entry.path)
    return sorted(found)


def _summary(doing: _Retention, who: str, files: Sequence[str], objects: int) -> dict[str, Any]:
    on = doing.selection.basis
    going = [group for group in doing.selection.groups if group.verdict.fate.goes and not group.note]
    tables: dict[str, Counter[str]] = {}
    rules: dict[str, RetentionRule] = {}
    for group in going:
        rule = group.verdict.rule
        rules[rule.name] = rule
        counts = tables.setdefault(group.part.contract.path, Counter())
        counts.update({"rows": group.rows, rule.name: group.rows, "must" if group.verdict.fate is Fate.MUST_GO else "may": group.rows})
    return {
        "by": who,
        "subject": [] if doing.selection.only is None else list(doing.selection.only.subject),
        "on": on.on.isoformat(),
        "tables": {path: dict(sorted(counts.items())) for path, counts in sorted(tables.items())},
        "rules": [rule_document(rule) for _, rule in sorted(rules.items())],
        "holds": [hold.number for hold in on.holds],
        "relationships": on.relationships.sha256,
        "kept_files": list(files),
        "objects_deleted": objects,
    }


def _document(begun: Attempt, status: str, why: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"files": [], "totals": certificates.totals_document([], {}), "quality": {}}
    return begun.document(KIND, status) | nothing | {"keys": publish.last_keys(begun.history), "why": why}
