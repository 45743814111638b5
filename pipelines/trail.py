"""The audit trail for those who look at it: listed, exported, verified, with the service's decisions that it vouches for."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from app.compliance import audit_export
from app.compliance.audit import Action, Checker, Entry, Head, details_of
from app.compliance.audit_check import KnownHead, Verified, verify
from app.errors import AuditError, UsageError
from app.lake.audit import AuditLog, known_heads
from app.lake.lake import Lake

_SEGMENTS: Final = "decisions"


@dataclass(frozen=True)
class Segments:
    """The service's decisions on the disk, held against the entries that vouch for them."""

    whole: int = 0
    gone: int = 0  # moved to an archive, most likely
    waiting: int = 0  # no entry names them yet
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What verification found, all of it."""

    verified: Verified
    heads: int  # that others know of
    keys: tuple[str, ...]  # that were trusted
    anchors: tuple[str, ...]  # keys that the trail names
    segments: Segments | None = None

    @property
    def holds(self) -> bool:
        return self.verified.fault is None and not (self.segments and self.segments.faults)

    def document(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        fault = self.verified.fault
        return {
            "holds": self.holds,
            "entries": self.verified.entries,
            "head": self.verified.head.document(),
            "anchored_to": self.verified.anchored_to,
            "trusted_keys": list(self.keys),
            "keys": list(self.anchors),
            "heads_known_elsewhere": self.heads,
            "fault": None if fault is None else {"entry": fault.sequence, "kind": fault.kind.value, "what": fault.sentence},
            "segments": None if self.segments is None else vars(self.segments) | {"faults": list(self.segments.faults)},
        }

    def sentences(self) -> Iterator[str]:
        """The same for people, the verdict first."""
        fault, found = self.verified.fault, self.verified
        if fault is None:
            yield f"{found.entries:,} entries; the chain is whole and ends at {found.head.sequence}:{found.head.hash}"
        else:
            yield f"The first bad entry is {fault.sequence}: {fault.sentence}."
        yield self._anchoring()
        yield f"{self.heads:,} heads that are known elsewhere (certificates of runs, notes, --head) were held against it."
        if self.segments is not None:
            said = self.segments
            yield f"The service's decisions: {said.whole:,} segments are as written, {said.gone:,} are elsewhere, {said.waiting:,} wait."
            yield from said.faults

    def _anchoring(self) -> str:
        if self.keys:
            return f"Entries up to {self.verified.anchored_to:,} are vouched for by a trusted key ({', '.join(self.keys)})."
        if self.anchors:
            return f"It is signed ({', '.join(self.anchors)}), but no key was given: signatures were not checked; add --trusted-key."
        return (
            "It is not anchored: a rewrite of the whole log would not be seen; set LEOFRIC_AUDIT_KEY_FILE for what is written from now on."
        )


def journal_of(lake: Lake) -> Path | None:
    """Where the service of a local lake keeps its journal, if it has one."""
    folder = lake.storage.local_path("journal") if lake.storage.is_local else None
    return folder if folder is not None and folder.is_dir() else None


def verify_lake(lake: Lake, log: AuditLog, keys: Mapping[str, Checker], heads: Sequence[KnownHead], journal: Path | None) -> Finding:
    """Verify a lake's trail; ``journal`` is the service's, None if its segments are not at hand."""
    seen: set[str] = set()
    vouched: dict[str, Entry] = {}
    known = [*heads, *known_heads(lake)]
    verified = verify(_watched(log.entries(), seen, vouched), keys, known)
    segments = None if journal is None else _segments(journal, vouched)
    return Finding(verified, len(known), tuple(keys), tuple(sorted(seen)), segments)


def _watched(entries: Iterable[Entry], seen: set[str], vouched: dict[str, Entry]) -> Iterator[Entry]:
    for entry in entries:
        if entry.key_id is not None:
            seen.add(entry.key_id)
        if entry.action == Action.DECISIONS:
            vouched[entry.object] = entry
        yield entry


def _segments(journal: Path, vouched: Mapping[str, Entry]) -> Segments:
    there = {path.name: path for path in (journal / _SEGMENTS).glob("[!_]*.ndjson")}
    faults = []
    for name in sorted(vouched.keys() & there.keys()):
        said = details_of(vouched[name])["sha256"]
        if hashlib.sha256(there[name].read_bytes()).hexdigest() != said:
            faults.append(f"{there[name]} is not what entry {vouched[name].sequence} says was written: it was edited.")
    both = len(vouched.keys() & there.keys())
    return Segments(both - len(faults), len(vouched.keys() - there.keys()), len(there.keys() - vouched.keys()), tuple(faults))


def verify_export(path: Path, keys: Mapping[str, Checker], heads: Sequence[KnownHead]) -> Finding:
    """Verify an export, far from its lake; UsageError if the file cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            verified = audit_export.check(file, dict(keys), heads)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise AuditError(f"{path} is no export of an audit trail: {error}") from None
    return Finding(verified, len(heads), tuple(keys), tuple(sorted(verified.unknown_keys)))


def export(lake: Lake, log: AuditLog, keys: Mapping[str, Checker], path: Path, now: datetime) -> dict[str, Any]:
    """Write the trail to a file that is not there yet, all of it or nothing; returns what was written: head, bytes, SHA-256.

    AuditError if the trail does not hold: its closing line would vouch for entries that nobody vouches for.
    """
    if path.exists():
        raise UsageError(f"{path} is there already; name a file that is not")
    entries = list(log.entries())
    found = verify(entries, keys, known_heads(lake))
    if found.fault is not None:
        raise AuditError(f"the audit trail does not hold, so it is not exported: {found.fault.sentence}")
    digest, size = hashlib.sha256(), 0
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            for line in audit_export.lines(entries, now, log.signer):
                data = line.encode() + b"\n"
                digest.update(data)
                size += file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return {"file": path.name, "entries": found.entries, "bytes": size, "sha256": digest.hexdigest(), "head": found.head.document()}


def head_of(text: str) -> KnownHead:
    """SEQUENCE:HASH, as verification prints it; UsageError if it is not that."""
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise UsageError(f"--head {text}: write it as NUMBER:HASH, as `leofric audit verify` prints it")
    return KnownHead(Head(int(number), digest), f"--head {text[:20]}…")
