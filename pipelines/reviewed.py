"""Decisions about quarantined records and what replays did with them, recomputed for verification."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from app.compliance import corrections
from app.compliance.control_totals import Totals
from app.compliance.corrections import OUTCOMES, Act, Decision, Item
from app.contracts.lake import QUARANTINE
from app.errors import LakeDamaged
from app.lake.lake import Lake
from app.review import corrections as kept
from app.review import quarantine
from pipelines import replay
from pipelines.reconcile import Tally

DECISIONS: Final = "decisions"
"""What verification calls the decisions that are no run's."""


@dataclass(frozen=True)
class Reviewed:
    """Every decision, and of replays what they took; ``records``: by hash, how many each loaded file has."""

    decisions: Sequence[Decision]
    replays: Mapping[str, Sequence[Decision]]  # by run, what it found
    rows: pa.Table  # of quarantine
    items: Mapping[Item, int]  # where each record's row is
    records: Mapping[str, int]
    decision_faults: Sequence[str]

    def tally(self, document: Mapping[str, Any]) -> Tally:
        """What is due of a replay: the records that were approved before it and that it took."""
        numbers: dict[str, list[int]] = {}
        for decision in self.replays.get(document["run_id"], ()):
            if decision.source_sha256 in self.records:
                numbers.setdefault(decision.source_sha256, []).append(decision.record_number)
        taken = {file["sha256"]: np.array(numbers.get(file["sha256"], []), dtype=np.int64) for file in document["files"]}
        return Tally({sha256: self.records.get(sha256, 0) for sha256 in taken}, taken)

    def faults(self, document: Mapping[str, Any], tally: Tally, reasons: Counter[str]) -> list[str]:
        """Count what a replay returned into its tally and reasons; sentences on what is not as its certificate says."""
        found = self.replays.get(document["run_id"], ())
        if document["kind"] != replay.KIND:
            return [f"{len(found)} decisions say that it replayed a record; it is no replay"] if found else []
        said = replay.add_returned(tally, kept.rows_of(found))
        reasons.update(reason for decision in found for reason in decision.reasons)
        return said + self._corrected_faults(document, found)

    def _corrected_faults(self, document: Mapping[str, Any], found: Sequence[Decision]) -> list[str]:
        certified = document.get("corrected")
        if certified is None:
            return [f"it took {len(found)} records, and its certificate says nothing of them"] if found else []
        missing = [str(decision.item) for decision in found if decision.item not in self.items]
        if missing:
            return [f"record {missing[0]} was replayed and is not in quarantine, where what came is kept"]
        rows = self.rows.take(pa.array([self.items[decision.item] for decision in found], pa.int64()))
        after = {code: sides["source"] for code, sides in document["totals"]["amount_minor"].items()}
        before = [decision for decision in self.decisions if decision.sequence <= certified["decisions"]]
        held = replay.corrected_document(rows, Totals(rows.num_rows, after), before)
        return [_SENTENCES[name] for name in certified if held.get(name) != certified[name]]


_SENTENCES: Final = {
    "records": "the records that it took are not those that its decisions name",
    "by_reason": "the records that it took had other reasons in quarantine than it counts",
    "amount_minor": "the records that it took had other amounts in quarantine than it counts",
    "decisions": "the last decision that it knew is not there",
    "digest": "the decisions up to it are not those that it knew: somebody has changed one",
}


def read(lake: Lake, documents: Mapping[str, Mapping[str, Any]]) -> Reviewed:
    """Read every decision and all of quarantine but the bytes."""
    try:
        decisions = kept.decisions(lake)
        rows = quarantine.records(lake) if decisions else QUARANTINE.schema.empty_table()
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(
            f"quarantine or its decisions cannot be read: {error}; restore the file, nothing in it can be vouched for"
        ) from None
    replays: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.act in OUTCOMES:
            replays.setdefault(str(decision.run_id), []).append(decision)
    places = zip(rows["source_sha256"].to_pylist(), rows["record_number"].to_pylist(), strict=True)
    items = {Item(*place): number for number, place in enumerate(places)}
    loaded = {f["sha256"]: f["records"] for document in documents.values() for f in document["files"] if f["status"] == "loaded"}
    faults = corrections.seen(decisions)[1]
    faults += [
        f"decision {decision.sequence}: record {decision.item} is not in {QUARANTINE.path}"
        for decision in decisions
        if decision.act is Act.PROPOSED and decision.item not in items
    ]
    return Reviewed(decisions, replays, rows, items, loaded, faults)
