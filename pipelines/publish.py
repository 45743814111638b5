"""Publication: from staged files to tables that readers see, exactly once.

The journal has a note for every run that has begun. While a run stages files the note only says so: a run that dies then is
undone by removing its files. Once all is staged and reconciled the note is replaced by the list of all that is to be
committed. From that moment the run will be published, if need be by the next run, which finds the note and carries on: each
table's commit has the run's sequence number, so none is made twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from app.compliance import certificate as certificates
from app.contracts.lake import NOT_OF_RUNS, RUNS, TABLES
from app.lake import delta, layout, runs
from app.lake.delta import Change, StagedFile
from app.lake.lake import Lake
from pipelines import audit

_DATA_TABLES = tuple(contract for contract in TABLES if contract not in NOT_OF_RUNS)
_MOST_RUN_FILES = 16  # every run reads all certificates: they must not lie in a file each for ever
_STAGING, _PUBLISHING = "staging", "publishing"


@dataclass(frozen=True)
class Publication:
    """All that a run is about to publish."""

    run_id: str
    sequence: int
    started_at: datetime
    changes: Mapping[str, Change]  # by table path
    certificate: Mapping[str, Any]  # without the tables' versions, which are known when they are committed
    previous_hash: str  # of the certificate before
    retired: tuple[str, ...]  # objects that nobody needs once this run is published
    by: Mapping[str, str]  # who publishes it, when and from where, for the audit trail
    retired_keys: tuple[str, ...] = ()  # of segments of a journal that are loaded, in a sealed lake's key store

    def note(self) -> bytes:
        document = asdict(self) | {"phase": _PUBLISHING, "started_at": self.started_at.isoformat()}
        return json.dumps(document).encode()


def _from_note(document: Mapping[str, Any]) -> Publication:
    return Publication(
        document["run_id"],
        document["sequence"],
        datetime.fromisoformat(document["started_at"]),
        {
            path: Change(**change | {"add": tuple(StagedFile(**file) for file in change["add"]), "remove": tuple(change["remove"])})
            for path, change in document["changes"].items()
        },
        document["certificate"],
        document["previous_hash"],
        tuple(document["retired"]),
        document.get("by") or audit.said_by(),  # a note of a version before has nobody
        tuple(document.get("retired_keys", ())),
    )


def changes(staged: Mapping[str, Sequence[StagedFile]], removed: Mapping[str, Sequence[str]]) -> dict[str, Change]:
    """By table path, what a run does: files that it has staged, and paths of files that they replace."""
    return {path: Change(tuple(staged.get(path, ())), tuple(removed.get(path, ()))) for path in sorted({*staged, *removed})}


def begin(lake: Lake, run_id: str) -> None:
    """Note that a run has begun, before it writes anything."""
    lake.storage.put(layout.journal(run_id), json.dumps({"phase": _STAGING, "run_id": run_id}).encode())


def publish(lake: Lake, publication: Publication) -> dict[str, Any]:
    """Write the note and carry it out; returns the certificate as it was stored."""
    lake.storage.put(layout.journal(publication.run_id), publication.note())
    return _carry_out(lake, publication)


def _carry_out(lake: Lake, publication: Publication) -> dict[str, Any]:
    tables = {}
    for contract in _DATA_TABLES:
        change = publication.changes.get(contract.path, Change())
        table = lake.table(contract)
        if change != Change():
            delta.commit(table, contract, change, publication.sequence, publication.run_id, publication.started_at)
        tables[contract.path] = {"version": table.version(), "rows": delta.rows_and_bytes(table)[0]}
    stored = _store(lake, publication, tables, _audit(lake, publication, tables))
    lake.storage.delete(list(publication.retired))
    if publication.retired_keys and lake.subjects is not None:
        from app.lake import segments  # numba, which no command needs on a lake that is not sealed

        segments.destroy(lake.subjects, publication.retired_keys)  # last: who finds a segment finds its key
    end(lake, publication.run_id)
    return stored


def _added(changes: Mapping[str, Change]) -> dict[str, dict[str, int]]:
    """By path of each table that a run did something to, how much it put there."""
    return {
        path: {"files": len(of.add), "rows": sum(file.rows for file in of.add), "bytes": sum(file.size for file in of.add)}
        for path, of in changes.items()
        if of.add or of.remove
    }


def _audit(lake: Lake, publication: Publication, tables: Mapping[str, Any]) -> dict[str, Any]:
    """Write the run to the audit trail, once; where the trail then ends, which the certificate keeps: a trail that is cut shows."""
    changed = {path: {"files": len(change.add), "removed": len(change.remove)} for path, change in publication.changes.items()}
    with audit.opened(lake) as log:
        log.append(audit.of_run(publication.by, publication.certificate, tables, changed), once=True)
        return log.head().document()


def _store(lake: Lake, publication: Publication, tables: Mapping[str, Any], trail: Mapping[str, Any]) -> dict[str, Any]:
    runs = lake.table(RUNS)
    if (runs.transaction_version(delta.APPLICATION) or 0) >= publication.sequence:
        return certificate_of(lake, publication.run_id)
    document = dict(publication.certificate) | {"tables": tables, "added": _added(publication.changes), "audit": trail}
    text = certificates.canonical(document)
    row = {
        "sequence": publication.sequence,
        "run_id": publication.run_id,
        "status": document["status"],
        "started_at": publication.started_at,
        "certificate": text,
        "previous_hash": publication.previous_hash,
        "hash": certificates.chain_hash(publication.previous_hash, text),
    }
    rows = pa.Table.from_pylist([row], RUNS.schema)
    staged = delta.stage(lake.storage, RUNS, f"part-{publication.run_id}", rows, {}, publication.started_at)
    delta.commit(runs, RUNS, Change((staged,)), publication.sequence, publication.run_id, publication.started_at)
    delta.compact_if_scattered(lake.storage, runs, RUNS, _MOST_RUN_FILES, publication.started_at)
    return document


def end(lake: Lake, run_id: str) -> None:
    """Remove what only the run itself needed, the note last."""
    lake.storage.delete_below(layout.staging(run_id))
    lake.storage.delete([layout.journal(run_id)])


def undo(lake: Lake, run_id: str) -> None:
    """Remove every file that an unpublished run staged."""
    for contract in TABLES:
        prefix = contract.path
        lake.storage.delete([e.path for e in lake.storage.entries(prefix) if f"part-{run_id}" in e.path.rpartition("/")[2]])
    lake.storage.delete([e.path for e in lake.storage.entries(layout.KEYS) if f"-{run_id}-" in e.path])
    loaded = runs.loaded_files(runs.runs(lake))
    lake.storage.delete([e.path for e in lake.storage.entries(layout.KEPT_FILES) if e.path.rpartition("/")[2] not in loaded])
    end(lake, run_id)


def recover(lake: Lake) -> list[str]:
    """Finish or undo what dead runs left; the ids of those that were finished. Call it only while holding the lake's lock."""
    notes = [json.loads(bytes(lake.storage.read(entry.path))) for entry in lake.storage.entries(layout.JOURNAL)]
    finished = []
    for note in notes:
        if note["phase"] == _PUBLISHING:
            _carry_out(lake, _from_note(note))
            finished.append(note["run_id"])
    for note in notes:
        if note["phase"] == _STAGING:
            undo(lake, note["run_id"])
    return finished


def certificate_of(lake: Lake, run_id: str) -> dict[str, Any]:
    """The certificate of a run that was published."""
    return next(dict(json.loads(row["certificate"])) for row in runs.runs(lake) if row["run_id"] == run_id)


def last_keys(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The index of transaction ids as the last of these runs left it."""
    return list(json.loads(rows[-1]["certificate"])["keys"]) if rows else []
