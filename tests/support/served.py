"""A bank's week for the service: most of it in the lake, the rest as records that are asked about one by one."""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.lake import ALERTS, SCORES, SILVER
from app.contracts.landing import NAMES
from app.detection.pack import OF_ACCOUNTS
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import sample
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.champion import put_into_use
from tests.support.lake import load, opened, rows
from tests.support.landing import records, write_csv

Record = dict[str, str]


@dataclass(frozen=True)
class Week:
    """A lake with a champion, and the records that come after what it has, in order."""

    lake: Path
    later: list[Record]


def week(folder: Path, payments: int, later: int) -> Week:
    """A sample bank's week of about so many payments, the last of which are left for the service."""
    sample.write(folder / "sample", rows=payments, seed=11)
    whole = folder / "whole"
    whole.mkdir()
    load(folder / "sample", whole)
    rows = opened(whole).table(SILVER).to_pyarrow_table()
    rows = rows.filter(pc.is_in(rows["currency"], pa.array(["GBP", "EUR", "USD"])))  # of two decimals
    every = [_record(row) for row in rows.sort_by([("booked_at", "ascending"), ("transaction_id", "ascending")]).to_pylist()]
    lake = folder / "lake"
    lake.mkdir()
    _load(folder / "before.ndjson", every[:-later], lake)
    put_into_use(lake)
    score(Storage(str(lake)), Settings(), InProcess(), Silent())
    return Week(lake, every[-later:])


def small_lake(folder: Path) -> Path:
    """A lake with twenty payments and a champion."""
    lake = folder / "lake"
    lake.mkdir()
    write_csv(folder / "landing" / "a.csv", records(1, 20))
    load(folder / "landing", lake)
    put_into_use(lake)
    return lake


def load_journal(lake: Path) -> None:
    """What an operator does when the service has stopped: load the journal, and score."""
    load(lake / "journal/payments", lake)
    score(Storage(str(lake)), Settings(), InProcess(), Silent())


def body(records: list[Record]) -> bytes:
    """A request with many records."""
    return json.dumps({"transactions": records}).encode()


def _load(path: Path, records: list[Record], lake: Path) -> None:
    path.write_bytes(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    load(path, lake)


def _record(row: dict[str, Any]) -> Record:
    minor = abs(row["amount_minor"])
    changed = {
        "timestamp": row["booked_at"].isoformat(),
        "amount": f"{'-' if row['amount_minor'] < 0 else ''}{minor // 100}.{minor % 100:02d}",
    }
    values = {name: changed.get(name, row.get(name)) for name in NAMES}
    return {name: value for name, value in values.items() if value is not None}


def as_scored(lake: Path, names: Container[str]) -> dict[str, Any]:
    """What the batch says of payments, to the bit."""
    found: dict[str, Any] = {}
    for row in rows(lake, SCORES):
        if row["transaction_id"] in names:
            reasons = list(zip(row["reasons"], row["sentences"], strict=True))
            found[row["transaction_id"]] = [row["score"].hex(), row["band"], row["model_id"], reasons, set()]
    scenarios = {scenario.name for scenario in OF_ACCOUNTS}
    for row in rows(lake, ALERTS):
        if row["fired_by"] in names and row["scenario"] in scenarios:
            found[row["fired_by"]][-1].add((row["scenario"], row["account"], row["sentence"], tuple(row["evidence"])))
    return found


def as_answered(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The same of what the service said."""
    return {
        name: [
            answer["score"].hex(),
            answer["band"],
            answer["model_id"],
            [(reason["code"], reason["sentence"]) for reason in answer["reasons"]],
            {(hit["scenario"], hit["account"], hit["sentence"], tuple(hit["evidence"])) for hit in answer["scenarios"]},
        ]
        for name, answer in answers.items()
    }


def decided_by_writer(lake: Path) -> dict[str, list[str]]:
    """Which payments each writer of the closed journal has an answer to."""
    found: dict[str, list[str]] = {}
    for path in sorted((lake / "journal/decisions").glob("decisions-*.ndjson")):
        names = [json.loads(line)["transaction_id"] for line in path.read_bytes().splitlines()]
        found.setdefault(path.stem.split("-")[-2], []).extend(names)
    return found
