"""A run's certificate: what came in, where it went, and the hash that chains it to the run before."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.compliance.control_totals import Totals

GENESIS = "0" * 64


@dataclass(frozen=True)
class FileOutcome:
    """What became of one landing file."""

    uri: str
    sha256: str | None  # None if it could not even be read
    bytes: int
    status: str  # loaded, already_loaded, rejected, or replayed: then the totals are those of its corrected records
    error: tuple[str, str] | None = None  # code and message of a rejection
    source: Totals = field(default_factory=Totals)  # what the reader counted
    accepted: Totals = field(default_factory=Totals)  # what lies in silver
    quarantined: Totals = field(default_factory=Totals)  # what lies in quarantine
    duplicates: Totals = field(default_factory=Totals)  # what lies in control/duplicates
    declared: Mapping[str, Any] = field(default_factory=dict)  # what its source said of how it is written, if anything
    contract_version: int | None = None  # of the landing contract, if it was loaded

    def differences(self) -> Iterator[str]:
        """A sentence for each total that does not add up."""
        out = self.accepted + self.quarantined + self.duplicates
        if self.source.records != out.records:
            yield f"{self.uri}: the reader counted {self.source.records} records, the tables hold {out.records}"
        for currency in sorted({*self.source.amount_minor, *out.amount_minor}):
            read, held = self.source.amount_minor.get(currency, 0), out.amount_minor.get(currency, 0)
            if read != held:
                yield f"{self.uri}: the reader summed {read} minor units of {currency}, the tables hold {held}"

    def document(self) -> dict[str, Any]:
        return {
            "uri": self.uri,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "status": self.status,
            "error": None if self.error is None else {"code": self.error[0], "message": self.error[1]},
            "records": self.source.records,
            "accepted": self.accepted.records,
            "quarantined": self.quarantined.records,
            "duplicates": self.duplicates.records,
            "amount_minor": amounts(self.source, self.accepted, self.quarantined, self.duplicates),
            **({} if self.contract_version is None else {"contract_version": self.contract_version}),
            **({"declared": dict(self.declared)} if self.declared else {}),
        }


def amounts(source: Totals, accepted: Totals, quarantined: Totals, duplicates: Totals) -> dict[str, dict[str, int]]:
    """By currency: what was read, and the three places where it went."""
    sides = {"source": source, "accepted": accepted, "quarantined": quarantined, "duplicates": duplicates}
    currencies = sorted({currency for side in sides.values() for currency in side.amount_minor})
    return {currency: {name: side.amount_minor.get(currency, 0) for name, side in sides.items()} for currency in currencies}


def canonical(document: Mapping[str, Any]) -> str:
    """The one way to write a document: sorted keys, no blanks, so that equal documents have equal hashes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def chain_hash(previous: str, certificate: str) -> str:
    """SHA-256, in hexadecimal, over the hash before and this certificate's canonical text."""
    return hashlib.sha256(f"{previous}\n{certificate}".encode()).hexdigest()


def totals_document(files: Sequence[FileOutcome], by_reason: Mapping[str, int]) -> dict[str, Any]:
    """The sums over all files."""
    sums = [sum((getattr(f, side) for f in files), Totals()) for side in ("source", "accepted", "quarantined", "duplicates")]
    source, accepted, quarantined, duplicates = sums
    return {
        "records": source.records,
        "accepted": accepted.records,
        "quarantined": quarantined.records,
        "duplicates": duplicates.records,
        "by_reason": dict(sorted(by_reason.items())),
        "amount_minor": amounts(source, accepted, quarantined, duplicates),
    }
