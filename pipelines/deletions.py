"""What runs of retention have deleted, as their certificates say: enough to count it back, and no personal data.

Of each landing file, and of each run that put its records into a table: how many were deleted, how much in each currency, for which reasons
they were quarantined, and which record numbers, as bits. Verification adds this to what the tables hold.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.compliance.control_totals import Marks, Totals
from app.errors import LakeDamaged
from pipelines import held, reconcile
from pipelines.held import NOTHING, Held
from pipelines.reconcile import Counted, Tally

KIND: Final = "retention"


@dataclass(frozen=True)
class Deletion:
    """Records of one landing file that a run had put on one side and that were deleted."""

    run_id: str
    side: str  # accepted, quarantined or duplicates
    source_sha256: str
    totals: Totals
    marks: Marks
    by_reason: Mapping[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As a certificate has it."""
        bits = base64.b64encode(zlib.compress(self.marks.bits.tobytes(), 9)).decode()
        return {
            "run_id": self.run_id,
            "side": self.side,
            "sha256": self.source_sha256,
            "records": self.totals.records,
            "amount_minor": dict(self.totals.amount_minor),
            "numbers": {"first_byte": self.marks.first_byte, "bits": bits},
            "by_reason": dict(self.by_reason),
        }

    @property
    def counted(self) -> Counted:
        """As if the rows were still there."""
        return Counted(self.side, {self.source_sha256: self.totals}, {self.source_sha256: self.marks})


def _of_document(document: Mapping[str, Any]) -> Deletion:
    numbers = document["numbers"]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(numbers["bits"], validate=True)), dtype=np.uint8)
    return Deletion(
        document["run_id"],
        document["side"],
        document["sha256"],
        Totals(document["records"], document["amount_minor"]),
        Marks(numbers["first_byte"], bits),
        document["by_reason"],
    )


def of_rows(side: str, rows: pa.Table, records: Mapping[str, int]) -> list[Deletion]:
    """What it is to delete these rows; ``records``: by hash, how many each landing file has. LakeDamaged if a row is of none.

    Columns: those of ``reconcile.COLUMNS``, run_id, and reasons where the rows are of quarantine.
    """
    found = []
    for run_id in sorted(pc.unique(rows["run_id"]).to_pylist()):
        mine = rows.filter(pc.equal(rows["run_id"], run_id))
        counted = reconcile.count_rows(side, mine, records)
        for sha256, totals in sorted(counted.totals.items()):
            marks = counted.marks.get(sha256)
            if marks is None or marks.twice is not None or marks.stray is not None:
                raise LakeDamaged(
                    f"the {side} records of the file with SHA-256 {sha256} are not those that run {run_id} certified; nothing is deleted:"
                    " `leofric certificate verify` tells more"
                )
            found.append(Deletion(run_id, side, sha256, totals, marks, _reasons(mine, sha256)))
    return found


def _reasons(rows: pa.Table, sha256: str) -> dict[str, int]:
    if "reasons" not in rows.column_names:
        return {}
    mine = rows.filter(pc.equal(rows["source_sha256"], sha256))
    return dict(sorted(Counter(pc.list_flatten(mine["reasons"]).to_pylist()).items()))


def scores_document(rows: pa.Table, key: bytes) -> dict[str, Any]:
    """Deleted scores, by the run that loaded the payments; columns: ``held.COLUMNS`` and loaded_by."""
    found = held.held(rows, "loaded_by", key) if rows.num_rows else {}
    return {
        run_id: {"records": of.totals.records, "amount_minor": dict(of.totals.amount_minor), "ids": of.ids}
        for run_id, of in sorted(found.items())
    }


@dataclass
class Deleted:
    """Everything that the certificates of a lake say was deleted."""

    records: list[Deletion] = field(default_factory=list)
    scores: dict[str, Held] = field(default_factory=dict)  # by the run that loaded the payments
    feedback: Counter[str] = field(default_factory=Counter)  # by the run that imported it
    faults: dict[str, list[str]] = field(default_factory=dict)  # by the run of retention, what cannot be so

    def add_to(self, tallies: Mapping[str, Tally], reasons: Mapping[str, Counter[str]]) -> None:
        """Count what was deleted as if it were still there."""
        for deletion in self.records:
            tallies[deletion.run_id].add(deletion.counted)
            reasons[deletion.run_id].update(deletion.by_reason)

    def numbers_gone(self) -> Counter[tuple[str, str]]:
        """By run and landing file, how many of its records were deleted."""
        found: Counter[tuple[str, str]] = Counter()
        for deletion in self.records:
            found[deletion.run_id, deletion.source_sha256] += deletion.totals.records
        return found


def read(documents: Iterable[Mapping[str, Any]]) -> Deleted:
    """What these certificates, oldest first, say was deleted; a deletion that cannot be so is a fault, and is not counted."""
    found = Deleted()
    before: dict[str, set[str]] = {}
    for document in documents:
        if document["kind"] == KIND and "deleted" in document:
            faults = found.faults.setdefault(document["run_id"], [])
            for one in document["deleted"]["records"]:
                _take(found, faults, one, before)
            for run_id, of in document["deleted"]["scores"].items():
                more = Held(Totals(of["records"], of["amount_minor"]), of["ids"])
                found.scores[run_id] = found.scores.get(run_id, NOTHING) + more
            found.feedback.update(document["deleted"]["feedback"])
        before[document["run_id"]] = {file["sha256"] for file in document["files"] if file["sha256"] is not None}
    return found


def _take(found: Deleted, faults: list[str], one: Mapping[str, Any], before: Mapping[str, set[str]]) -> None:
    try:
        deletion = _of_document(one)
    except (KeyError, TypeError, ValueError, zlib.error):
        faults.append("its deletion record cannot be read")
        return
    if deletion.source_sha256 not in before.get(deletion.run_id, ()):
        faults.append(f"it deleted records of run {deletion.run_id} and file {deletion.source_sha256}, which no certificate before it has")
    elif int(np.unpackbits(deletion.marks.bits).sum()) != deletion.totals.records or deletion.side not in reconcile.SIDES.values():
        faults.append(f"it says that {deletion.totals.records} records of file {deletion.source_sha256} were deleted, and names others")
    else:
        found.records.append(deletion)


def of_history(rows: Sequence[Mapping[str, Any]]) -> Deleted:
    """The same of the rows of control/runs."""
    return read(json.loads(row["certificate"]) for row in rows)


def accepted_left(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By run that loaded payments, what it accepted less what was deleted since; runs of which nothing is left are not in it."""
    documents = [json.loads(row["certificate"]) for row in rows if row["status"] == "succeeded"]
    found = {document["run_id"]: held.accepted(document) for document in documents if document["totals"]["accepted"]}
    for deletion in read(documents).records:
        if deletion.side == "accepted":
            left = found[deletion.run_id]
            left["records"] -= deletion.totals.records
            for currency, amount in deletion.totals.amount_minor.items():
                left["amount_minor"][currency] -= amount
    return {run_id: left for run_id, left in found.items() if left["records"]}
