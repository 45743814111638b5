"""What runs have left behind: the rows of control/runs."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.contracts.lake import RUNS
from app.lake.lake import Lake


def runs(lake: Lake) -> list[dict[str, Any]]:
    """Every row of control/runs, in the order of the runs."""
    return sorted(lake.table(RUNS).to_pyarrow_table().to_pylist(), key=lambda row: int(row["sequence"]))


def loaded_files(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The hashes of all files that these runs have loaded."""
    return frozenset(file["sha256"] for row in rows for file in json.loads(row["certificate"])["files"] if file["status"] == "loaded")


def files_loaded(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By hash, what the certificates of these runs say of each file that was loaded."""
    files = (file for row in rows for file in json.loads(row["certificate"])["files"])
    return {file["sha256"]: file for file in files if file["status"] == "loaded"}
