"""The states of a lake: what each run left of all tables, by the versions that its certificate names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.contracts.lake import RUNS
from app.errors import LakeNotFound, UsageError
from app.lake.lake import Lake


@dataclass(frozen=True)
class State:
    """All tables as a run left them; ``versions`` by the table's path."""

    run_id: str
    sequence: int
    versions: Mapping[str, int]


def states(rows: Sequence[Mapping[str, Any]]) -> list[State]:
    """The state after each run; ``rows``: those of control/runs."""
    return [_state(row) for row in rows]


def _state(row: Mapping[str, Any]) -> State:
    tables = json.loads(row["certificate"])["tables"]
    return State(row["run_id"], row["sequence"], {path: int(table["version"]) for path, table in tables.items()})


def published_at(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> dict[int, datetime]:
    """By a run's number, when its certificate was committed: from then on its state was what readers saw.

    Where the table's log does not go back so far, when the run began.
    """
    commits = lake.table(RUNS).history()
    return {int(row["sequence"]): row["started_at"] for row in rows} | {
        int(commit["leofric.sequence"]): datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
        for commit in commits
        if "leofric.sequence" in commit
    }


def state_at(lake: Lake, rows: Sequence[Mapping[str, Any]], when: str) -> State:
    """The state after a run, by its id, or the state that was seen at a time, in ISO 8601 with its zone.

    UsageError if it is neither, LakeNotFound if the lake had no run by then.
    """
    for row in rows:
        if row["run_id"] == when:
            return _state(row)
    try:
        instant = datetime.fromisoformat(when)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise UsageError(
            f"{when} is neither a run of this lake (the table control_runs lists them) nor a time with its zone, such as 2026-03-04T18:00Z"
        )
    published = published_at(lake, rows)
    seen = [row for row in rows if published[row["sequence"]] <= instant]
    if not seen:
        raise LakeNotFound(f"the lake had no run by {instant.isoformat()}; its first was published later")
    return _state(seen[-1])
