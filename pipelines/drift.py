"""Drift: how far each day's features and scores are from those of the model's training window."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import DRIFT_DAILY
from app.features.payments import Int64s
from app.lake import delta, registry
from app.lake.delta import StagedFile
from models import profile
from models.profile import Profile
from pipelines import gold
from pipelines.boundary import guard
from pipelines.scores import SCORE, ScoredPart
from pipelines.work import Run

Counts = dict[tuple[str, str], Int64s]
"""By model and subject: payments in each bin."""


def stage(run: Run, parts: Sequence[ScoredPart]) -> tuple[list[StagedFile], list[str]]:
    """The rows of the days that were scored: the staged files, and the files that they replace.

    A payment counts once, as it was when it was scored first.
    """
    days: dict[date, Counts] = {}
    for part in parts:
        counts = days.setdefault(part.part.booking_date, {})
        for model_id, subjects in part.spreads.items():
            for subject, more in subjects.items():
                _add(counts, (model_id, subject), more)
    days = {day: counts for day, counts in days.items() if counts}
    table = run.lake.table(DRIFT_DAILY)
    old = gold.files_of(table, "booking_date", [day.isoformat() for day in days])
    profiles: dict[str, Profile] = {}
    staged = []
    for number, (day, counts) in enumerate(sorted(days.items())):
        if old[day.isoformat()]:
            for row in table.to_pyarrow_dataset().to_table(filter=pc.field("booking_date") == day).to_pylist():
                _add(counts, (row["model_id"], row["subject"]), np.array(row["counts"]))
        for model_id in {model_id for model_id, _ in counts} - set(profiles):
            profiles[model_id] = profile.from_document(registry.card_of(run.lake.storage, model_id).profile)
        rows = pa.Table.from_pylist(_rows(run, day, counts, profiles), DRIFT_DAILY.schema)
        name, partition = f"part-{run.run_id}-{number:05d}", {"booking_date": day.isoformat()}
        staged.append(delta.stage(run.lake.storage, DRIFT_DAILY, name, guard(DRIFT_DAILY, rows), partition, run.started_at))
    return staged, [path for paths in old.values() for path in paths]


def _add(counts: Counts, key: tuple[str, str], more: Int64s) -> None:
    counts[key] = counts[key] + more if key in counts else more


def _rows(run: Run, day: date, counts: Counts, profiles: Mapping[str, Profile]) -> list[dict[str, Any]]:
    rows = []
    for (model_id, subject), found in sorted(counts.items(), key=lambda item: item[0]):
        of = profiles[model_id]
        spread = of.score if subject == SCORE else of.features[subject]
        known = {"booking_date": day, "model_id": model_id, "subject": subject, "payments": int(found.sum())}
        rows.append(known | {"psi": profile.psi(spread, found), "counts": found.tolist(), "run_id": run.run_id})
    return rows
