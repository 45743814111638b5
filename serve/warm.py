"""What the service begins with, and what it hears of later: the lake's payments, decisions, models, keys, and its own journal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from app import fingerprints
from app.contracts.lake import SILVER, TYPED
from app.errors import UsageError
from app.features.histories import Arrivals, Histories
from app.features.outcomes import CLEARED, SUSPICIOUS
from app.features.timeline import HORIZON_US
from app.lake import feedback, reference
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.readers import ndjson
from models import champions
from models.champions import Champions
from serve.engine import Engine, InUse
from serve.journal import Journal
from serve.settings import ServeSettings

_COLUMNS: Final = [column.name for column in TYPED]
_WINDOW: Final = timedelta(microseconds=HORIZON_US) + timedelta(days=2)
"""How far back before the lake's last day payments are read: the horizon, and the day on which a dormant account wakes."""


@dataclass(frozen=True)
class Seen:
    """Which files of silver, and which champions, the service has."""

    files: frozenset[str]
    champions: Champions


def open_for(settings: ServeSettings) -> Lake:
    """The lake of a service."""
    return open_lake(Storage(settings.lake.removeprefix("file://"), settings.storage_options))


def models_of(lake: Lake, trusted: Path | None) -> InUse:
    """The models to answer with; UsageError without a champion, ModelError if one cannot be used."""
    found = champions.in_use(lake.storage)
    if found is None:
        raise UsageError("no isolation forest is in use; `leofric train` makes one, and `leofric models promote` puts it into use")
    return InUse(found, champions.load(lake.storage, found, trusted))


def engine_of(lake: Lake, settings: ServeSettings, journal: Journal, now: datetime) -> tuple[Engine, Seen]:
    """An engine that knows what the lake and the journal know."""
    files = _files(lake)
    last = max((day for _, day in files), default=now.date())
    first = min((day for _, day in files), default=now.date())
    begins = last - _WINDOW
    loaded = reference.in_force(lake.storage, now.date())
    weights = None if loaded is None else reference.weight_table(lake.storage, loaded)
    begins_us = None if first >= begins else int(datetime(begins.year, begins.month, begins.day, tzinfo=UTC).timestamp()) * 1_000_000
    engine = Engine(Histories(), lake.key, weights, begins_us, now.date())
    engine.in_use = models_of(lake, settings.trusted_key_file)
    recent = [path for path, day in files if day >= begins]
    parts = read_all(lake, recent)
    if parts:
        engine.histories.load(_joined(parts))
    for records in replayed(journal):
        engine.load(records)
    for decision in reversed(list(journal.decisions(100_000))):
        if decision["answer"]["decision"] == "scored":
            engine.remember(decision["transaction_id"], orjson.dumps(decision["answer"]))
    judge(lake, engine)
    return engine, Seen(frozenset(path for path, _ in files), engine.in_use.champions)


def read_all(lake: Lake, paths: list[str]) -> list[Arrivals]:
    """The payments of some files of silver."""
    return list(_arrivals(lake, paths))


def _arrivals(lake: Lake, paths: list[str]) -> Iterator[Arrivals]:
    for path in paths:
        with lake.storage.arrow_file(f"{SILVER.path}/{path}") as opened, pq.ParquetFile(opened) as parquet:
            rows = parquet.read(columns=_COLUMNS, use_threads=False).combine_chunks()
        prints = fingerprints.fingerprints(rows, lake.key)
        columns = ["transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee", "country"]
        yield Arrivals(rows.select(columns), prints.id_high, prints.id_low, prints.content)


def new_files(lake: Lake, seen: Seen) -> list[str]:
    """The files of silver that the service has not read."""
    return [path for path, _ in _files(lake) if path not in seen.files]


def judge(lake: Lake, engine: Engine) -> None:
    """Tell the engine what analysts have decided."""
    last = feedback.last_decisions(lake)
    if not last.num_rows:
        return
    nothing = pa.array([""] * last.num_rows, pa.string())
    typed = {column.name: nothing for column in TYPED if pa.types.is_string(column.type)}
    zeros = pa.array(np.zeros(last.num_rows, dtype=np.int64))
    prints = fingerprints.fingerprints(
        pa.table(typed | {"transaction_id": last["transaction_id"], "booked_at": zeros, "amount_minor": zeros}), lake.key
    )
    suspicious = last["is_suspicious"].combine_chunks().to_numpy(zero_copy_only=False)
    engine.histories.judge(prints.id_high, prints.id_low, np.where(suspicious, SUSPICIOUS, CLEARED).astype(np.int8))


def replayed(journal: Journal) -> Iterator[pa.Table]:
    """The records of the journal's closed segments."""
    for data in journal.payments():
        columns = ndjson.parse(data, 1).columns
        if columns.num_rows:
            yield columns


def _joined(parts: list[Arrivals]) -> Arrivals:
    words = (np.concatenate([getattr(part, name) for part in parts]) for name in ("id_high", "id_low", "content"))
    return Arrivals(pa.concat_tables([part.silver for part in parts]).combine_chunks(), *words)


def _files(lake: Lake) -> list[tuple[str, date]]:
    actions = pa.table(lake.table(SILVER).get_add_actions(flatten=True)).select(["path", "partition.booking_date"])
    return sorted(
        (path, date.fromisoformat(str(day))) for path, day in zip(*(column.to_pylist() for column in actions.columns), strict=True)
    )
