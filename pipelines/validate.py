"""A file judged without a lake: by the same readers, rules and comparison of ids as a run, and nothing is kept."""

import secrets
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from app.contracts.reasons import Codes, code_of, reason_of
from app.errors import FileRejected
from app.fingerprints import fingerprints
from app.lake import arrivals, reference
from app.lake.keys import Keys, Words
from app.lake.lake import Lake
from app.lake.storage import Storage
from app.readers.parsed import Numbers, Parsed
from app.reference.modulus import WeightTable
from app.settings import Settings
from app.validation import modulus
from app.validation.transaction import Validated
from pipelines.bronze import blocks, judge
from pipelines.ingest import ingest
from pipelines.silver import CONFLICT_REASON
from pipelines.work import Rejection, Run, SourceFile, Unit

_MOST_EXAMPLE_BYTES = 400


@dataclass
class Findings:
    """What a run would make of a file, if the lake were empty."""

    uri: str
    sha256: str | None = None
    records: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)  # warnings, too
    examples: dict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))  # record number and bytes
    checks: Counter[str] = field(default_factory=Counter)  # what the modulus check said of the accounts of acceptable records
    modulus_table: str | None = None
    rejection: Rejection | None = None

    def document(self) -> dict[str, Any]:
        """The findings as JSON."""
        return {
            "uri": self.uri,
            "sha256": self.sha256,
            "rejected": None if self.rejection is None else {"code": self.rejection.code, "message": self.rejection.message},
            "records": self.records,
            "accepted": self.accepted,
            "quarantined": self.quarantined,
            "duplicates": self.duplicates,
            "by_reason": {code: self._reason(code) for code in sorted(self.by_reason)},
            "modulus": {"table": self.modulus_table, "accounts": {name: count for name, count in sorted(self.checks.items()) if count}},
        }

    def _reason(self, code: str) -> dict[str, Any]:
        reason = reason_of(code)
        shown = [{"record_number": number, "raw": raw.decode(errors="backslashreplace")} for number, raw in self.examples[code]]
        return {"records": self.by_reason[code], "severity": str(reason.severity), "sentence": reason.sentence, "examples": shown}


def validate(source: SourceFile, settings: Settings, lake: Lake | None, examples: int) -> Findings:
    """Judge one file, with up to so many examples of each reason; with a ``lake``, by the weight table that is in force there."""
    now = datetime.now(UTC)
    loaded = None if lake is None else reference.in_force(lake.storage, now.date())
    weights = None if loaded is None or lake is None else reference.weight_table(lake.storage, loaded)
    with tempfile.TemporaryDirectory(prefix="leofric-") as folder:
        room = Run("validate", 1, now, Lake(Storage(folder), secrets.token_bytes(16)), settings)
        ingested = ingest(room, source, frozenset())
        found = Findings(
            source.uri, ingested.sha256, modulus_table=None if loaded is None else loaded.version, rejection=ingested.rejection
        )
        if found.rejection is None:
            try:
                _judge(room, Unit(0, ingested, ingested.parts), weights, found, examples)
            except FileRejected as error:
                return Findings(source.uri, ingested.sha256, rejection=Rejection(error.code, error.message))
    return found


def _judge(room: Run, unit: Unit, weights: WeightTable | None, found: Findings, examples: int) -> None:
    keys, numbers = [], []
    for parsed in blocks(room, unit):
        validated = judge(unit, parsed, weights)
        _count(found, parsed, validated, examples)
        acceptable = np.flatnonzero(~validated.rejected)
        prints = fingerprints(validated.typed, room.lake.key)
        keys.append(Keys(prints.id_high[acceptable], prints.id_low[acceptable], prints.content[acceptable]))
        numbers.append(parsed.record_number[acceptable])
    arrived, _ = arrivals.arrange(keys, numbers)
    _compare(room, unit, arrived, found, examples)


def _count(found: Findings, parsed: Parsed, validated: Validated, examples: int) -> None:
    found.records += parsed.records
    found.quarantined += len(parsed.fault_code) + int(validated.rejected.sum())
    accepted = validated.account_checks[~validated.rejected]
    found.checks.update(dict(zip(modulus.RESULTS, np.bincount(accepted, minlength=len(modulus.RESULTS)).tolist(), strict=True)))
    # One by one: an array of positions would make pyarrow import pandas, a fifth of a second.
    _note(found, parsed.fault_code, parsed.fault_record_number, lambda rows: [parsed.fault_raw[i].as_py() for i in rows.tolist()], examples)
    for codes in validated.codes:
        _note(found, codes, parsed.record_number, lambda rows: parsed.raw.take(rows).to_pylist(), examples)


def _note(found: Findings, codes: Codes, numbers: Numbers, raw: Callable[[Numbers], list[bytes]], examples: int) -> None:
    """Count each reason and keep its first records."""
    rows = np.flatnonzero(codes)
    for number, count in enumerate(np.bincount(codes[rows]).tolist()):
        if not count:
            continue
        code = code_of(number)
        found.by_reason[code] += count
        wanted = rows[codes[rows] == number][: max(examples - len(found.examples[code]), 0)]
        found.examples[code] += zip(numbers[wanted].tolist(), _shortened(raw(wanted)), strict=True)


def _shortened(texts: list[bytes]) -> list[bytes]:
    return [text if len(text) <= _MOST_EXAMPLE_BYTES else text[:_MOST_EXAMPLE_BYTES] + b"..." for text in texts]


def _compare(room: Run, unit: Unit, arrived: Words, found: Findings, examples: int) -> None:
    """Which acceptable records come twice, as a run would settle it."""
    order = arrivals.order(arrived[:, arrivals.HIGH], arrived[:, arrivals.LOW])
    high, low, content = (arrived[order, column] for column in (arrivals.HIGH, arrivals.LOW, arrivals.CONTENT))
    unknown = np.zeros(len(order), dtype=np.bool_)
    verdict = arrivals.judge(high, low, content, unknown, np.zeros(len(order), dtype=np.uint64))
    found.accepted = int((verdict == arrivals.FIRST).sum())
    found.duplicates = int((verdict == arrivals.DUPLICATE).sum())
    conflicts = np.sort(arrived[order[verdict == arrivals.CONFLICT], arrivals.RECORD_NUMBER].astype(np.int64))
    if not len(conflicts):
        return
    found.quarantined += len(conflicts)
    found.by_reason[CONFLICT_REASON] = len(conflicts)
    for parsed in blocks(room, unit):
        rows = np.flatnonzero(np.isin(parsed.record_number, conflicts[:examples]))
        found.examples[CONFLICT_REASON] += zip(
            parsed.record_number[rows].tolist(), _shortened(parsed.raw.take(rows).to_pylist()), strict=True
        )
