"""Landing files for tests: plain records, and ways to write them."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.contracts.landing import VERSIONS, version_of

Record = dict[str, str]


def record(number: int = 1, **changes: str) -> Record:
    """A valid record; ``number`` makes it unlike others."""
    return {
        "transaction_id": f"T{number:06d}",
        "timestamp": f"2026-03-{1 + number % 3:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
        "sort_code": "990001",
        "account_number": f"{10_000_000 + number % 50:08d}",
        "counterparty_sort_code": "990002",
        "counterparty_account": f"{20_000_000 + number % 70:08d}",
        "counterparty_iban": "",
        "amount": f"{(-1) ** number * (number % 1000)}.{number % 100:02d}",
        "currency": "GBP",
        "channel": "FPS",
        "country": "GB",
        "description": f"payment {number}",
    } | changes


def records(first: int, last: int) -> list[Record]:
    return [record(number) for number in range(first, last + 1)]


def names_of(rows: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The columns of the oldest version of the contract that has all that the records have."""
    return VERSIONS[version_of({name for row in rows for name in row})]


def csv_bytes(rows: Iterable[Mapping[str, str]], newline: str = "\n") -> bytes:
    out, rows = io.StringIO(), list(rows)
    writer = csv.DictWriter(out, names_of(rows), lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def ndjson_bytes(rows: Iterable[Mapping[str, str]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def write_csv(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(csv_bytes(rows))
    return path


def write_parquet(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = [dict(row) for row in rows]
    pq.write_table(pa.Table.from_pylist(held, pa.schema([(name, pa.string()) for name in names_of(held)])), path)
    return path
