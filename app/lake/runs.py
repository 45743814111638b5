"""What runs have left behind: the rows of control/runs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.contracts.lake import RUNS
from app.errors import LakeDamaged
from app.lake.lake import Lake


def runs(lake: Lake) -> list[dict[str, Any]]:
    """Every row of control/runs, in the order of the runs."""
    return sorted(lake.table(RUNS).to_pyarrow_table().to_pylist(), key=lambda row: int(row["sequence"]))


def standing(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the runs, in order, whose work the tables hold: all that no restore has undone.

    LakeDamaged if a run is missing to which one of them brought the lake back.
    """
    before: dict[str, Mapping[str, Any] | None] = {}  # by run: the one whose state it went on from
    by_id = {row["run_id"]: row for row in rows}
    last: Mapping[str, Any] | None = None
    for row in rows:
        target = json.loads(row["certificate"]).get("restore", {}).get("to")
        if target is not None and target not in before:
            raise LakeDamaged(f"run {row['run_id']} brought the lake back to run {target}, which control/runs has not; restore the table")
        before[row["run_id"]] = last if target is None else by_id[target]
        last = row
    found = []
    while last is not None:
        found.append(last)
        last = before[last["run_id"]]
    return found[::-1]


def loaded_files(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The hashes of all files that these runs have loaded; of those that stand, what the lake holds."""
    return frozenset(file["sha256"] for row in rows for file in json.loads(row["certificate"])["files"] if file["status"] == "loaded")


def files_loaded(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By hash, what the certificates of these runs say of each file that was loaded."""
    files = (file for row in rows for file in json.loads(row["certificate"])["files"])
    return {file["sha256"]: file for file in files if file["status"] == "loaded"}
