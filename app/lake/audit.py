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
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError
from deltalake.transaction import Transaction
from obstore.exceptions import BaseError

from app.compliance import anchors
from app.compliance.audit import Action, Checker, Entry, Event, Head, Result, Signer, Who, chained, entry_of
from app.compliance.audit_check import KnownHead
from app.contracts.lake import AUDIT
from app.errors import AccessDenied, AuditError, FourEyesNeeded, LakeDamaged, LakeNotFound, LeofricError, UsageError
from app.lake import delta, layout, runs
from app.lake.delta import Change
from app.lake.lake import Lake
from app.lake.storage import Storage
from app.settings import AuditSettings

if TYPE_CHECKING:
    from app.lake.audit_vault import VaultKey

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
        """Every entry, in the order of their numbers; AuditError if one is none, LakeDamaged if a file cannot be read."""

    @abstractmethod
    def known(self, event_ids: Collection[str]) -> set[str]:
        """Those of the ids that the trail has."""

    @abstractmethod
    def about(self, about: str) -> list[Entry]:
        """The entries whose object is this, in the order of their numbers."""

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
            self._tidy(entries[-1])
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
        transaction = Transaction(APPLICATION, last.sequence)
        # A commit may be done and be reported as failed, where a network is between: what is in the table is in the table.
        if delta.commit_next(self._table, AUDIT, Change((staged,)), last.at, transaction) or staged.path in self._sizes():
            self._last = Head(last.sequence, last.hash)
            return True
        self._storage.delete([f"{AUDIT.path}/{staged.path}"])
        return False

    def _tidy(self, last: Entry) -> None:
        """Once there are many small files, put them together: as the next version, or not at all if somebody else was faster."""
        small = sorted(path for path, size in self._sizes().items() if size < _SMALL_BYTES)
        if len(small) < _SMALL_FILES:
            return
        rows = self._rows(small).sort_by("sequence")
        if rows["sequence"][-1].as_py() != last.sequence:
            return  # somebody appended meanwhile, and tidies, too
        staged = delta.stage(self._storage, AUDIT, f"part-{last.sequence:012d}-{uuid4().hex[:16]}", rows, {}, last.at)
        if (
            not delta.commit_next(self._table, AUDIT, Change((staged,), tuple(small), data_change=False), last.at)
            and staged.path not in self._sizes()
        ):
            self._storage.delete([f"{AUDIT.path}/{staged.path}"])

    def _rows(self, paths: Iterable[str], columns: Sequence[str] = tuple(AUDIT.schema.names)) -> pa.Table:
        """The rows of files of the table, as they are now; LakeDamaged if one cannot be read.

        Not by the table's dataset, which trusts the size that the log has of a file: of one that was edited since the rows are wanted, too.
        """
        schema, parts = pa.schema([AUDIT.schema.field(name) for name in columns]), [AUDIT.schema.empty_table().select(columns)]
        for path in paths:
            try:
                with self._storage.arrow_file(f"{AUDIT.path}/{path}") as file:
                    parts.append(pq.ParquetFile(file).read(columns=list(columns), use_threads=False).select(columns).cast(schema))
            except (OSError, BaseError, pa.ArrowException, KeyError) as error:
                where = self._storage.uri(f"{AUDIT.path}/{path}")
                raise LakeDamaged(f"{where} of the audit trail cannot be read: {error}; nothing in it can be vouched for") from None
        return pa.concat_tables(parts)

    def _sizes(self) -> dict[str, int]:
        """The table's files and how many bytes they have."""
        actions = pa.table(self._table.get_add_actions())
        return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))

    def head(self) -> Head:
        self._table.update_incremental()
        return self._head()

    def _head(self) -> Head:
        sequence = self._table.transaction_version(APPLICATION) or 0
        if sequence in {0, self._last.sequence}:
            return self._last if sequence else Head()
        named = [path for path in self._sizes() if path.startswith(f"part-{sequence:012d}-")]
        rows = self._rows(named or self._sizes(), ["sequence", "hash"])  # all only if another tool has put files together
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
        rows = self._rows(self._sizes()).sort_by("sequence")
        for batch in rows.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                yield entry_of(row)

    def known(self, event_ids: Collection[str]) -> set[str]:
        self._table.update_incremental()
        return self._known(event_ids)

    def about(self, about: str) -> list[Entry]:
        self._table.update_incremental()
        rows = self._rows(self._sizes())
        return [entry_of(row) for row in rows.filter(pc.equal(rows["object"], about)).sort_by("sequence").to_pylist()]

    def _known(self, event_ids: Collection[str]) -> set[str]:
        held = self._rows(self._sizes(), ["event_id"])["event_id"]
        return set(held.filter(pc.is_in(held, pa.array(list(event_ids), pa.string()))).to_pylist())

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
    signer = signer_of(settings)
    if settings.store is None:
        return DeltaAuditLog(lake, signer)
    address = settings.store.get_secret_value()
    if not address.startswith(("postgresql://", "postgres://")):
        raise UsageError("LEOFRIC_AUDIT_STORE is postgresql://user@host/database, or not set: then the trail is in the lake")
    from app.lake.audit_postgres import PostgresAuditLog  # loads libpq: only for those who use it

    return PostgresAuditLog(lake.storage, signer, address)


def signer_of(settings: AuditSettings) -> Signer | None:
    """The key that anchors, None if none is named; UsageError if it is no key."""
    if settings.key_file is not None:
        return anchors.signing_key(_read_key(settings.key_file), str(settings.key_file))
    if settings.key is not None:
        return anchors.signing_key(settings.key.get_secret_value().encode(), "LEOFRIC_AUDIT_KEY")
    return None if settings.vault is None else _vault(settings.vault, settings.vault_token_file)


def _vault(address: str, token_file: Path | None) -> "VaultKey":
    from app.lake.audit_vault import vault_key  # loads an HTTP client: only for those who use it

    return vault_key(address, token_file)


def checkers_of(settings: AuditSettings, trusted: Iterable[Path]) -> dict[str, Checker]:
    """Keys to check with, by id: those in files, or else what the settings name."""
    keys: list[Checker] = [anchors.checking_key(_read_key(path), str(path)) for path in trusted]
    if not keys and settings.key_file is not None:
        keys.append(anchors.checking_key(_read_key(settings.key_file), str(settings.key_file)))
    if not keys and settings.key is not None:
        keys.append(anchors.checking_key(settings.key.get_secret_value().encode(), "LEOFRIC_AUDIT_KEY"))
    if not keys and settings.vault is not None:
        keys += _vault(settings.vault, settings.vault_token_file).publics.values()
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
    """Do something and write it down: succeeded, denied if somebody may not, or failed if it raises otherwise.

    AuditError before the act if it could not be written down.
    """
    log.check()
    act = Act(about)
    try:
        yield act
    except LeofricError as error:
        failed = {**act.details, "error": str(error)[:1_000]}
        result = Result.DENIED if isinstance(error, FourEyesNeeded | AccessDenied) else Result.FAILED
        log.append([Event(clock(), who, action, act.object, result, act.object_version, reason, failed)])
        raise
    log.append([Event(clock(), who, action, act.object, Result.SUCCEEDED, act.object_version, reason, act.details)])
