"""The audit trail of a lake: appended to, read, and kept one chain however many processes write.

For callers, three things::

    log = open_log(lake, read_audit_settings())         # the store and the key by settings; AuditError if it cannot be had
    log.append([Event(now, who, Action.REVIEW, "quarantine/transactions", reason="…", details={"records": 3})])
    with acting(log, who, clock, Action.PROMOTE, "model_id", reason="…") as act:   # one entry, succeeded or failed, after the block
        act.details["before"] = …

``append(events, once=True)`` leaves out events whose ``event_id`` the trail has: for what may be told twice, by whoever carries on where
another died. An act is refused while the trail cannot be written (``log.check()``, which ``acting`` calls first).
"""

import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from app.compliance import anchors
from app.compliance.audit import Action, Checker, Entry, Event, Head, Result, Signer, Who, chained, entry_of
from app.compliance.audit_check import KnownHead
from app.contracts.lake import AUDIT
from app.errors import AuditError, LakeNotFound, LeofricError, UsageError
from app.lake import delta, layout, runs
from app.lake.lake import Lake
from app.lake.storage import Storage
from app.settings import AuditSettings

APPLICATION: Final = "leofric-audit"
"""The application id of the trail's commits; its version is the last entry's sequence."""

_PROBE: Final = b"leofric audit probe"
_SMALL_FILES, _SMALL_BYTES = 64, 8 * 1024 * 1024
_PATIENCE_SECONDS: Final = 60.0


class AuditLog(ABC):
    """One chain of entries. Each append is all or nothing, and is in the trail when it returns."""

    def __init__(self, storage: Storage, signer: Signer | None) -> None:
        self._storage = storage
        self._noted: str | None = None
        self.signer = signer

    def append(self, events: Iterable[Event], *, once: bool = False) -> list[Entry]:
        """Chain events to the trail; with ``once`` only those that it does not have. AuditError if it cannot be written."""
        given = list(events)
        entries = self._append(given, once) if given else []
        if entries:
            self._note(Head(entries[-1].sequence, entries[-1].hash))
        return entries

    @abstractmethod
    def _append(self, events: Sequence[Event], once: bool) -> list[Entry]: ...

    @abstractmethod
    def head(self) -> Head:
        """Where the trail ends now."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Every entry, in the order of their numbers; AuditError if one cannot be read."""

    @abstractmethod
    def known(self, event_ids: Collection[str]) -> set[str]:
        """Those of the ids that the trail has."""

    def check(self) -> None:
        """AuditError if an append would fail now: whoever is about to act then does not."""
        if self.signer is not None:
            self.signer.sign(_PROBE)
        self._check()

    @abstractmethod
    def _check(self) -> None: ...

    def close(self) -> None:  # noqa: B027 (only some have something to close)
        """Let go of what is open."""

    def _note(self, head: Head) -> None:
        """Note beside the trail where it ends, so that a tail that is cut off leaves a trace; notes of earlier ends are removed.

        Of two processes that note at once one may leave an earlier note, which is no less true.
        """
        path = layout.audit_head(head.sequence)
        try:
            self._storage.put(path, json.dumps(head.document()).encode())
            earlier = [self._noted] if self._noted else [e.path for e in self._storage.entries(layout.AUDIT_HEADS) if e.path < path]
            self._storage.delete(earlier)
        except (OSError, BaseError) as error:
            raise AuditError(f"the audit trail was written, but not where it ends: {error}") from None
        self._noted = path


class DeltaAuditLog(AuditLog):
    """The trail as the Delta table audit/log."""

    def __init__(self, lake: Lake, signer: Signer | None) -> None:
        super().__init__(lake.storage, signer)
        table = delta.open_table(lake.storage, AUDIT)
        if table is None:
            raise LakeNotFound(f"the lake has no table {AUDIT.path}, which a version before this made it without; `leofric run` adds it")
        self._table = table
        self._last = Head()

    def _append(self, events: Sequence[Event], once: bool) -> list[Entry]:
        try:
            patient_until = time.monotonic() + _PATIENCE_SECONDS
            self._table.update_incremental()
            while True:
                head = self._head()
                had = self._known([event.event_id for event in events]) if once else set()
                new = [event for event in events if event.event_id not in had]
                if not new:
                    return []
                entries = chained(head, new, self.signer)
                if self._commit(entries):
                    break
                if time.monotonic() > patient_until:
                    raise AuditError(f"the audit trail could not be written for {_PATIENCE_SECONDS:.0f} s: others write it all the time")
                time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 (so that those who wait do not all come back at once)
            delta.compact_small_files(self._table, _SMALL_FILES, _SMALL_BYTES)
        except (OSError, BaseError, DeltaError, pa.ArrowException) as error:
            raise AuditError(f"the audit trail {self._storage.uri(AUDIT.path)} cannot be written: {error}") from None
        return entries

    def _commit(self, entries: Sequence[Entry]) -> bool:
        """Make entries the table's next version; False if somebody else was faster."""
        last = entries[-1]
        # The name tells whose entry is the last one; and whoever is killed here and carries on writes the same file again.
        name = f"part-{last.sequence:012d}-{last.hash[:16]}"
        rows = pa.Table.from_pylist([row_of(entry) for entry in entries], AUDIT.schema)
        staged = delta.stage(self._storage, AUDIT, name, rows, {}, last.at)
        if delta.commit_next(self._table, AUDIT, [staged], last.sequence, APPLICATION) or staged.path in self._paths():
            self._last = Head(last.sequence, last.hash)
            return True
        self._storage.delete([f"{AUDIT.path}/{staged.path}"])
        return False

    def _paths(self) -> list[str]:
        return list(pa.table(self._table.get_add_actions())["path"].to_pylist())

    def head(self) -> Head:
        self._table.update_incremental()
        return self._head()

    def _head(self) -> Head:
        sequence = self._table.transaction_version(APPLICATION) or 0
        if sequence in {0, self._last.sequence}:
            return self._last if sequence else Head()
        named = [path for path in self._paths() if path.startswith(f"part-{sequence:012d}-")]
        if named:
            with self._storage.arrow_file(f"{AUDIT.path}/{named[0]}") as file:
                rows = pq.read_table(file, columns=["sequence", "hash"])
        else:  # compacted
            rows = self._table.to_pyarrow_dataset().to_table(columns=["sequence", "hash"], filter=pc.field("sequence") == sequence)
        rows = rows.filter(pc.equal(rows["sequence"], sequence))
        if rows.num_rows != 1:
            raise AuditError(
                f"the audit trail {self._storage.uri(AUDIT.path)} has lost its last entry, {sequence}: nothing is added to it until it is"
                " restored; `leofric audit verify` tells more"
            )
        self._last = Head(sequence, rows["hash"][0].as_py())
        return self._last

    def entries(self) -> Iterator[Entry]:
        self._table.update_incremental()
        try:
            rows = self._table.to_pyarrow_dataset().to_table().sort_by("sequence")
        except (OSError, pa.ArrowException) as error:
            raise AuditError(f"the audit trail {self._storage.uri(AUDIT.path)} cannot be read: {error}; restore the file") from None
        for batch in rows.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                yield entry_of(row)

    def known(self, event_ids: Collection[str]) -> set[str]:
        self._table.update_incremental()
        return self._known(event_ids)

    def _known(self, event_ids: Collection[str]) -> set[str]:
        found = self._table.to_pyarrow_dataset().to_table(columns=["event_id"], filter=pc.field("event_id").isin(list(event_ids)))
        return set(found["event_id"].to_pylist())

    def _check(self) -> None:
        probe = f"{AUDIT.path}/_probe"
        try:
            self._storage.put(probe, _PROBE)
            self._storage.delete([probe])
            self.head()
        except (OSError, BaseError, DeltaError) as error:
            raise AuditError(f"the audit trail {self._storage.uri(AUDIT.path)} cannot be written: {error}; nothing was done") from None


def row_of(entry: Entry) -> dict[str, Any]:
    """An entry as a row of audit/log."""
    return vars(entry) | {"frameworks": list(entry.frameworks)}


def open_log(lake: Lake, settings: AuditSettings) -> AuditLog:
    """The trail of a lake, where the settings say that it is kept; LakeNotFound, UsageError or AuditError if it cannot be had."""
    return DeltaAuditLog(lake, signer_of(settings))


def signer_of(settings: AuditSettings) -> Signer | None:
    """The key that anchors, None if none is named; UsageError if it is no key."""
    if settings.key_file is not None:
        return anchors.signing_key(_read_key(settings.key_file), str(settings.key_file))
    if settings.key is not None:
        return anchors.signing_key(settings.key.get_secret_value().encode(), "LEOFRIC_AUDIT_KEY")
    return None


def checkers_of(settings: AuditSettings, trusted: Iterable[Path]) -> dict[str, Checker]:
    """Keys to check with, by id: those in files, or else what the settings name."""
    keys: list[Checker] = [anchors.checking_key(_read_key(path), str(path)) for path in trusted]
    if not keys and settings.key_file is not None:
        keys.append(anchors.checking_key(_read_key(settings.key_file), str(settings.key_file)))
    if not keys and settings.key is not None:
        keys.append(anchors.checking_key(settings.key.get_secret_value().encode(), "LEOFRIC_AUDIT_KEY"))
    return anchors.by_id(keys)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"the audit trail's key {path} cannot be read: {error.strerror}") from None


def known_heads(lake: Lake) -> list[KnownHead]:
    """Where the trail once ended, by the lake's own word: the note beside it, and every run's certificate."""
    found = []
    for entry in lake.storage.entries(layout.AUDIT_HEADS):
        said = json.loads(bytes(lake.storage.read(entry.path)))
        found.append(KnownHead(Head(said["sequence"], said["hash"]), f"the lake's note {entry.path}"))
    for row in runs.runs(lake):
        said = json.loads(row["certificate"]).get("audit")
        if said is not None:
            found.append(KnownHead(Head(said["sequence"], said["hash"]), f"the certificate of run {row['run_id']}"))
    return found


@dataclass
class Act:
    """What is done while it is done: what its entry will say."""

    object: str
    object_version: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@contextmanager
def acting(log: AuditLog, who: Who, clock: Callable[[], datetime], action: Action, about: str, reason: str | None = None) -> Iterator[Act]:
    """Do something and write it down: succeeded, or failed if it raises. AuditError before the act if it could not be written down."""
    log.check()
    act = Act(about)
    try:
        yield act
    except LeofricError as error:
        failed = {**act.details, "error": str(error)[:1_000]}
        log.append([Event(clock(), who, action, act.object, Result.FAILED, act.object_version, reason, failed)])
        raise
    log.append([Event(clock(), who, action, act.object, Result.SUCCEEDED, act.object_version, reason, act.details)])
