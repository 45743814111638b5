"""Certificates, recomputed: the chain of hashes, and every total from the tables as they are now."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.compliance import certificate as certificates
from app.compliance.control_totals import Totals
from app.contracts.lake import DUPLICATES, FEEDBACK, QUARANTINE, SCORES, SILVER
from app.contracts.table import TableContract
from app.errors import LakeDamaged, LakeNotFound, UsageError
from app.lake import runs
from app.lake.lake import Lake
from pipelines import deletions, held, reconcile, replay, restore, reviewed
from pipelines.held import NOTHING, Held
from pipelines.reconcile import Tally
from pipelines.reviewed import Reviewed


@dataclass(frozen=True)
class Verdict:
    """What verification found of one run; no fault means that its certificate holds."""

    run_id: str
    faults: tuple[str, ...]


def verify(lake: Lake) -> list[Verdict]:
    """Verify every certificate of the lake, oldest first."""
    rows = runs.runs(lake)
    chain = _chain_faults(rows)
    documents = {row["run_id"]: json.loads(row["certificate"]) for row in rows}
    review = reviewed.read(lake, documents)
    tallies = {run_id: _tally(document, review) for run_id, document in documents.items()}
    reasons: dict[str, Counter[str]] = {run_id: Counter() for run_id in documents}
    silver, scored = (_held(lake, contract, by) for contract, by in ((SILVER, "run_id"), (SCORES, "loaded_by")))
    feedback = Counter(run_id for rows in _pieces(lake, FEEDBACK, ["run_id"]) for run_id in rows["run_id"].to_pylist())
    deleted = deletions.read(documents.values())
    deleted.add_to(tallies, reasons)
    for sums in (silver, scored):
        held.add(sums, deleted.scores)
    feedback += deleted.feedback
    strays = _count(lake, tallies, reasons) | ({*scored, *feedback, *review.replays} - set(documents))
    stand = {row["run_id"] for row in runs.standing(rows)}
    due = {run_id for row in rows if row["run_id"] in stand for run_id in documents[row["run_id"]].get("scored", {})}
    verdicts = [
        Verdict(
            run_id,
            (
                *chain.get(run_id, ()),
                *_restore_faults(document, rows),
                *(
                    _undone_faults(run_id, tallies[run_id], feedback)
                    if run_id not in stand
                    else (
                        *review.faults(document, tallies[run_id], reasons[run_id]),
                        *_total_faults(document, tallies[run_id], reasons[run_id]),
                        *_score_faults(document, scored, silver),
                        *_feedback_faults(document, feedback),
                    )
                ),
                *([] if run_id in due or run_id not in scored else [f"{scored[run_id].totals.records} payments are scored, none is due"]),
                *deleted.faults.get(run_id, ()),
            ),
        )
        for run_id, document in documents.items()
    ]
    verdicts += [Verdict(reviewed.DECISIONS, tuple(review.decision_faults))] if review.decision_faults else []
    return [*verdicts, *(Verdict(run_id, ("the tables hold records of this run, but it has no certificate",)) for run_id in sorted(strays))]


def _tally(document: Mapping[str, Any], review: Reviewed) -> Tally:
    """What is due of each file: of one that was loaded all records, of one that was replayed those that were taken from quarantine."""
    if document["kind"] == replay.KIND:
        return review.tally(document)
    return Tally({file["sha256"]: file["records"] for file in _counted(document)})


def _counted(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [file for file in document["files"] if file["status"] in ("loaded", replay.STATUS)]


def _chain_faults(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """By run: what is wrong with its place in the chain."""
    faults: dict[str, list[str]] = {}
    previous = certificates.GENESIS
    for sequence, row in enumerate(rows, start=1):
        found = faults.setdefault(row["run_id"], [])
        if row["sequence"] != sequence:
            found.append(f"its sequence number is {row['sequence']}, {sequence} was due: a run before it is missing or stands twice")
        if row["previous_hash"] != previous:
            found.append("it does not carry the hash of the certificate before it")
        if row["hash"] != certificates.chain_hash(row["previous_hash"], row["certificate"]):
            found.append("its hash is not that of its text")
        document = json.loads(row["certificate"])
        if (document["run_id"], document["sequence"], document["status"]) != (row["run_id"], row["sequence"], row["status"]):
            found.append("its text is another run's")
        previous = row["hash"]
    return faults


def _count(lake: Lake, tallies: Mapping[str, Tally], reasons: Mapping[str, Counter[str]]) -> set[str]:
    """Count the tables into the tallies; the ids of runs that have rows and no certificate."""
    strays: set[str] = set()
    for contract in (SILVER, QUARANTINE, DUPLICATES):
        columns = [*reconcile.COLUMNS, "run_id", *(["reasons"] if contract is QUARANTINE else [])]
        for rows in _pieces(lake, contract, columns):
            for run_id in pc.unique(rows["run_id"]).to_pylist():
                mine = rows.filter(pc.equal(rows["run_id"], run_id))
                if run_id not in tallies:
                    strays.add(run_id)
                    continue
                tallies[run_id].add(reconcile.count_rows(reconcile.SIDES[contract.path], mine, tallies[run_id].records))
                if contract is QUARANTINE:
                    reasons[run_id].update(pc.list_flatten(mine["reasons"]).to_pylist())
    return strays


def _pieces(lake: Lake, contract: TableContract, columns: list[str]) -> Iterator[pa.Table]:
    """A table, a piece at a time; LakeDamaged if one of its files cannot be read."""
    try:
        for batch in lake.table(contract).to_pyarrow_dataset().to_batches(columns=columns):
            yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise LakeDamaged(
            f"the table {contract.path} cannot be read: {error}; restore the file, nothing in it can be vouched for"
        ) from None


def _held(lake: Lake, contract: TableContract, by: str) -> dict[str, Held]:
    """What a table holds of each run."""
    found: dict[str, Held] = {}
    for rows in _pieces(lake, contract, [*held.COLUMNS, by]):
        held.add(found, held.held(rows, by, lake.key))
    return found


def _score_faults(document: Mapping[str, Any], scored: Mapping[str, Held], silver: Mapping[str, Held]) -> list[str]:
    return [
        f"of run {run_id}: {difference}"
        for run_id, certified in document.get("scored", {}).items()
        for difference in held.differences(scored.get(run_id, NOTHING), silver.get(run_id, NOTHING), certified)
    ]


def _undone_faults(run_id: str, tally: Tally, feedback: Mapping[str, int]) -> list[str]:
    """Of a run that a restore has undone nothing may be there."""
    held = sum(totals.records for sides in tally.sides.values() for totals in sides.values()) + feedback.get(run_id, 0)
    return [f"a restore has undone it, and the tables hold {held} records of it"] if held else []


def _restore_faults(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether a restore names the runs that it undid and brought back."""
    if restore.KIND not in document:
        return []
    said = document[restore.KIND]
    try:
        undone, back = restore.differing(rows[: document["sequence"] - 1], said["to"])
    except (LakeNotFound, UsageError) as error:
        return [f"it cannot have brought the lake back to run {said['to']}: {error}"]
    named = [[row["run_id"] for row in of] for of in (undone, back)]
    return (
        []
        if [sorted(said["undone"]), sorted(said["brought_back"])] == [sorted(of) for of in named]
        else ["it undid other runs than it says"]
    )


def _feedback_faults(document: Mapping[str, Any], feedback: Mapping[str, int]) -> list[str]:
    counts = document.get("feedback", {"new": 0, "changed": 0})
    kept, held = counts["new"] + counts["changed"], feedback.get(document["run_id"], 0)
    return [] if kept == held else [f"{kept} decisions were kept, the tables hold {held}"]


def _total_faults(document: Mapping[str, Any], tally: Tally, reasons: Counter[str]) -> list[str]:
    faults = tally.faults()
    totals = {side: Totals() for side in reconcile.SIDES.values()}
    for file in _counted(document):
        held = tally.sides[file["sha256"]]
        for side, counted in held.items():
            totals[side] += counted
            if counted.records != file[side]:
                faults.append(f"{file['uri']}: {file[side]} records were {side}, the tables hold {counted.records}")
        for currency, amounts in file["amount_minor"].items():
            for side, counted in held.items():
                amount = counted.amount_minor.get(currency, 0)
                if amount != amounts[side]:
                    faults.append(f"{file['uri']}: {amounts[side]} minor units of {currency} were {side}, the tables hold {amount}")
    for side, counted in totals.items():
        if counted.records != document["totals"][side]:
            faults.append(f"{document['totals'][side]} records were {side} in total, the tables hold {counted.records}")
    if dict(reasons) != document["totals"]["by_reason"]:
        faults.append("the reasons in quarantine are not those that it counts")
    return faults
