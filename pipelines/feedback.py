"""Feedback: analysts' decisions about payments, kept in the lake. The last decision about a payment counts; the ones before it stay."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import FEEDBACK, SILVER
from app.lake import delta
from app.lake.delta import Change
from app.lake.feedback import last_decisions
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines.attempt import Attempt, attempt
from pipelines.boundary import guard
from pipelines.labels import LabelFile
from pipelines.progress import Observer
from pipelines.publish import Publication
from pipelines.work import Run

KIND: Final = "feedback"


def import_labels(
    storage: Storage, settings: Settings, labels: LabelFile, sha256: str, who: str, observer: Observer, now: datetime | None = None
) -> dict[str, Any]:
    """Keep decisions in the lake at ``storage``; returns the run's certificate. What the lake knows already is not kept twice.

    A payment that the lake does not have is kept all the same, and counted: it may come yet. UsageError if it has none of them.
    """
    open_lake(storage)
    return attempt(KIND, storage, settings, observer, now, lambda begun: _prepare(begun, labels, sha256, who))


def _prepare(begun: Attempt, labels: LabelFile, sha256: str, who: str) -> Publication:
    run = begun.run
    with begun.stages.stage("feedback"):
        silver = run.lake.table(SILVER).to_pyarrow_dataset().to_table(columns=["transaction_id"])["transaction_id"]
        labels.of(silver)
        before = read_feedback(run.lake)
        known = _places(labels.transaction_id, before)
        same = _same(labels, before, known)
        counts = {
            "file": labels.path,
            "sha256": sha256,
            "records": len(labels.transaction_id),
            "new": int((known < 0).sum()),
            "changed": int(((known >= 0) & ~same).sum()),
            "same": int(same.sum()),
            "not_in_the_lake": int((~pc.is_in(labels.transaction_id, silver).to_numpy(zero_copy_only=False)).sum()),
        }
        changes = {FEEDBACK.path: Change((_staged(run, labels, np.flatnonzero(~same), sha256, who),))} if not same.all() else {}
    return begun.publication(changes, _certificate(begun, counts))


def _places(ids: pa.Array, before: LabelFile | None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where each payment is among the known ones; -1 if it is not."""
    if before is None:
        return np.full(len(ids), -1)
    return np.asarray(pc.index_in(ids, before.transaction_id).fill_null(-1).to_numpy()).astype(np.int64)


def _same(
    labels: LabelFile, before: LabelFile | None, known: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where the same was decided before."""
    same = known >= 0
    if before is not None:
        same[same] = (labels.suspicious[same] == before.suspicious[known[same]]) & (
            labels.typology.to_numpy(zero_copy_only=False)[same] == before.typology.to_numpy(zero_copy_only=False)[known[same]]
        )
    return same


def _staged(run: Run, labels: LabelFile, rows: np.ndarray[tuple[int], np.dtype[np.int64]], sha256: str, who: str) -> delta.StagedFile:
    count = len(rows)
    table = pa.table(
        {
            "transaction_id": labels.transaction_id.take(pa.array(rows)),
            "is_suspicious": pa.array(labels.suspicious[rows]),
            "typology": labels.typology.take(pa.array(rows)),
            "source_sha256": pa.repeat(sha256, count),
            "imported_by": pa.repeat(who, count),
            "sequence": pa.repeat(pa.scalar(run.sequence, pa.int64()), count),
            "run_id": pa.repeat(run.run_id, count),
            "imported_at": pa.repeat(pa.scalar(run.started_at, FEEDBACK.schema.field("imported_at").type), count),
        }
    )
    return delta.stage(run.lake.storage, FEEDBACK, f"part-{run.run_id}", guard(FEEDBACK, table), {}, run.started_at)


def _certificate(begun: Attempt, counts: Mapping[str, Any]) -> dict[str, Any]:
    return begun.of_no_load(KIND) | {"feedback": dict(counts)}


def read_feedback(lake: Lake) -> LabelFile | None:
    """The last decision about each payment that was decided about; None if there is none."""
    last = last_decisions(lake)
    if not last.num_rows:
        return None
    ids, typology = (last[name].combine_chunks() for name in ("transaction_id", "typology"))
    return LabelFile("the lake's feedback", ids, last["is_suspicious"].to_numpy(), typology)


def feedback_for(run: Run) -> LabelFile | None:
    """What is known while a run goes on."""
    return _feedback_at(run.lake, run.run_id)


@lru_cache(maxsize=1)  # a process does many tasks of one run
def _feedback_at(lake: Lake, run_id: str) -> LabelFile | None:  # noqa: ARG001 (while a run holds the lake, nothing changes)
    return read_feedback(lake)
