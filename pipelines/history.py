"""The history of a table: each version of it, what made it, and what the table then had."""

from datetime import UTC, datetime
from typing import Any

from app.contracts.table import TableContract
from app.lake import delta
from app.lake.lake import Lake


def history(lake: Lake, contract: TableContract, limit: int) -> list[dict[str, Any]]:
    """The last versions of a table, the newest first; rows, bytes and files are those of the whole table at that version.

    Run and sequence are None where no run made the version: at the table's creation, when it got a column that it lacked,
    and when Leofric merged small files of certificates.
    """
    return [_row(lake, contract, commit) for commit in lake.table(contract).history(limit)]


def _row(lake: Lake, contract: TableContract, commit: dict[str, Any]) -> dict[str, Any]:
    table = lake.table(contract, commit["version"])
    rows, size = delta.rows_and_bytes(table)
    sequence = commit.get("leofric.sequence")
    return {
        "version": commit["version"],
        "at": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).isoformat(timespec="milliseconds"),
        "operation": commit["operation"],
        "run_id": commit.get("leofric.run_id"),
        "sequence": None if sequence is None else int(sequence),
        "rows": rows,
        "bytes": size,
        "files": len(delta.files_of(table)),
    }
