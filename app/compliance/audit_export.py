"""An export of the audit trail: a file of lines that can be checked far from the lake.

Each line is one entry, the last one the closing line: how many entries, the last one's hash, and a signature over both. An export
without its closing line was cut off.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from app.compliance.audit import Checker, Entry, Head, Signer, entry_of
from app.compliance.audit_check import Fault, Kind, KnownHead, Verified, verify
from app.compliance.certificate import canonical
from app.errors import AuditError

FORMAT: Final = "leofric audit export 1"


def lines(entries: Iterable[Entry], now: datetime, signer: Signer | None) -> Iterator[str]:
    """Every line, without its end."""
    head = Head()
    for entry in entries:
        head = Head(entry.sequence, entry.hash)
        yield canonical(entry.document())
    closing = {
        "closing": FORMAT,
        "at": now.astimezone(UTC).isoformat(),
        **head.document(),
        "key_id": None if signer is None else signer.key_id,
    }
    yield canonical({**closing, "signature": None if signer is None else signer.sign(_signed(closing))})


def _signed(closing: dict[str, Any]) -> bytes:
    return canonical({name: value for name, value in closing.items() if name != "signature"}).encode()


def check(text: Iterable[str], keys: dict[str, Checker], heads: Iterable[KnownHead] = ()) -> Verified:
    """Verify an export's lines, against its closing line and the heads that others know."""
    closing: list[dict[str, Any]] = []
    found = verify(_entries(text, closing), keys, heads)
    if found.fault is None or found.fault.kind in {Kind.NOT_ANCHORED, Kind.TRUNCATED}:
        faults = [fault for fault in (_closing_fault(found, closing, keys), found.fault) if fault is not None]
        # A cut explains that the entries before it lack their anchor, which was cut off with the rest; nothing else does.
        found.fault = min(faults, key=lambda fault: (fault.kind is not Kind.TRUNCATED, fault.sequence), default=None)
    return found


def _entries(text: Iterable[str], closing: list[dict[str, Any]]) -> Iterator[Entry]:
    for number, line in enumerate(text, start=1):
        document = _object(line, number)
        if closing:
            raise AuditError(f"line {number} follows the closing line")
        if "closing" in document:
            closing.append(document)
            continue
        entry = entry_of(document)
        if canonical(entry.document()) != line.rstrip("\n"):
            raise AuditError(f"line {number} is not written as an export writes it")
        yield entry


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AuditError(f"line {number} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise AuditError(f"line {number} is no JSON object")
    return document


def _closing_fault(found: Verified, closing: list[dict[str, Any]], keys: dict[str, Checker]) -> Fault | None:
    """What the closing line says against the entries before it."""
    end = found.entries
    if not closing:
        return Fault(end + 1, Kind.TRUNCATED, f"the export breaks off after entry {end}: its closing line is missing")
    said = closing[0]
    key_id, signed = said.get("key_id"), said.get("signature")
    if keys and key_id not in keys:
        return Fault(end + 1, Kind.NOT_ANCHORED, f"the closing line after entry {end} is not signed by a trusted key")
    if keys and not (isinstance(signed, str) and keys[str(key_id)].holds(_signed(said), signed)):
        return Fault(end + 1, Kind.REWRITTEN, f"the signature of the closing line after entry {end} does not hold")
    last = said.get("sequence")
    if isinstance(last, int) and last > end:
        return Fault(end + 1, Kind.TRUNCATED, f"entry {end + 1} is missing: the export ends at {end}, its closing line names entry {last}")
    if (last, said.get("hash")) != (end, found.head.hash):
        return Fault(end, Kind.REWRITTEN, f"entry {end} is not the last one that the closing line names, entry {last}")
    return None
