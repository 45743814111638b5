"""What the service begins with, and what it hears of later: the lake's payments, decisions, models, keys, and its own journal."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app import fingerprints
from app.contracts.lake import ACCOUNT_DAILY, FEEDBACK, SILVER, TYPED
from app.detection import book, dormant, pack, thresholds
from app.errors import UsageError
from app.features import feature_set, outcomes
from app.features.histories import Arrivals, Words
from app.features.outcomes import CLEARED, SUSPICIOUS, Labels
from app.fingerprints import KEY_BYTES
from app.lake import feedback, reference, runs
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.readers import ndjson
from models import champions
from models.champions import Champions
from serve import requests
from serve.engine import Engine, InUse
from serve.journal import Journal
from serve.redis_line import Line
from serve.settings import ServeSettings
from serve.shared import SharedAnswers, SharedHistories
from serve.store import Answers, OwnAnswers, OwnHistories, Store
from serve.trim import KEPT_US

_COLUMNS: Final = [column.name for column in TYPED]
_WINDOW: Final = timedelta(microseconds=KEPT_US)
"""How far back before the lake's last day payments are read."""


_REHEARSED: Final = {
    "timestamp": "2026-01-01T00:00:00Z",
    "sort_code": "070246",
    "account_number": "10000001",
    "counterparty_sort_code": "070246",
    "counterparty_account": "10000002",
    "amount": "-1.00",
    "currency": "GBP",
    "country": "GB",
}


@dataclass(frozen=True)
class Seen:
    """Which files of silver, which champions, and which version of the analysts' decisions the service has."""

    files: frozenset[str]
    champions: Champions
    feedback: int


def storage_of(settings: ServeSettings) -> Storage:
    """Where the lake of a service lies."""
    return Storage(settings.lake.removeprefix("file://"), settings.storage_options)


def open_for(settings: ServeSettings) -> Lake:
    """The lake of a service; KeyStoreError or UsageError if it is sealed and its key store cannot be opened."""
    lake = open_lake(storage_of(settings))
    lake.subjects  # noqa: B018 (it says what is wrong)
    return lake


def models_of(lake: Lake, trusted: Path | None) -> InUse:
    """The models to answer with; UsageError without a champion, ModelError if one cannot be used."""
    found = champions.in_use(lake.storage)
    if found is None:
        raise UsageError("no isolation forest is in use; `leofric train` makes one, and `leofric models promote` puts it into use")
    return InUse(found, champions.load(lake.storage, found, trusted))


def engine_of(lake: Lake, settings: ServeSettings, journal: Journal, now: datetime) -> tuple[Engine, Seen]:
    """An engine that knows what the lake, the journals and the other replicas know.

    The order matters: what leaves the log or a journal because the lake has it is found in the lake, which is looked at later.
    """
    histories, answers = store_of(lake, settings)
    loaded = runs.loaded_files(runs.standing(runs.runs(lake)))
    files = _files(lake)
    lake.follow_subjects()  # after the files: their subjects were kept before they were published
    last = max((day for _, day in files), default=now.date())
    first = min((day for _, day in files), default=now.date())
    begins = last - _WINDOW
    in_force = reference.in_force(lake.storage, now.date())
    weights = None if in_force is None else reference.weight_table(lake.storage, in_force)
    begins_us = None if first >= begins else _instant(begins)
    engine = Engine(histories, answers, lake.key, weights, begins_us, now.date())
    engine.in_use = models_of(lake, settings.trusted_key_file)
    engine.names_nobody = lake.sealed is not None
    recent = [path for path, day in files if day >= begins]
    parts = read_all(lake, recent)
    if parts:
        histories.load_from_lake(_joined(parts))
    if begins_us is not None:
        engine.earlier = earlier(lake, begins, timedelta(seconds=thresholds.in_force(dormant.NAME, now.date())["silence"]))
    histories.begin()
    for records in replayed(journal, loaded):
        engine.load(records)
    seen = Seen(frozenset(path for path, _ in files), engine.in_use.champions, feedback_version(lake))
    seen = replace(seen, files=seen.files.union(load_new(engine, lake, seen)))
    histories.catch_up()
    said = [decision["answer"] for decision in journal.decisions(100_000)]
    engine.recall([answer for answer in reversed(said) if answer["decision"] == "scored"])
    engine.judge(*judgements(lake))
    return engine, seen


def load_new(engine: Engine, lake: Lake, seen: Seen) -> list[str]:
    """Take in what a run has published since; what left the journal meanwhile, because a run had loaded it, is there."""
    paths = new_files(lake, seen)
    for part in read_all(lake, paths):
        engine.histories.load_from_lake(part)
    return paths


def rehearse(engine: Engine) -> None:
    """Let the machine code of all that a request may need be there before the first one comes: to compile it takes seconds."""
    if engine.in_use is None:
        raise RuntimeError("no model is in use")
    lines = [orjson.dumps(_REHEARSED | {"transaction_id": name}) for name in ("1", "2")]
    one, two = requests.read(lines[0]).columns, requests.read(b'{"transactions": [' + b", ".join(lines) + b"]}").columns
    engine.validate(two)  # with the modulus check, which may find fault with what is rehearsed: so it is scored without
    stage = Engine(OwnHistories(), OwnAnswers(), bytes(KEY_BYTES), None, None, engine.thresholds_on)
    stage.in_use = engine.in_use
    for records in (one, two):
        if not all(one.answer is None or one.answer["decision"] == "scored" for one in stage.score(records, lambda _: None)):
            raise AssertionError("what is rehearsed must be scored, or nothing is shown")
    pack.find_all(book.opened(stage.histories.around(np.zeros(1, dtype=np.int64)), {}), engine.thresholds_on, pack.OF_ACCOUNTS)
    stage.histories.trimming(0).finish()
    every = np.zeros(1, dtype=np.uint64)
    stage.judge(every, every, np.zeros(1, dtype=np.int8))
    detectors = engine.in_use.detectors
    detectors.forest.contributions(np.zeros((1, feature_set.COUNT)))
    if detectors.ranker is not None:
        detectors.ranker.contributions(np.zeros((1, feature_set.COUNT + outcomes.COUNT)))


def store_of(lake: Lake, settings: ServeSettings) -> tuple[Store, Answers]:
    """Where the histories are, and the answers."""
    if not settings.shared:
        return OwnHistories(), OwnAnswers()
    line = Line(settings.histories.get_secret_value(), settings.histories_seconds)
    prefix, degrade = f"leofric:{sha256(lake.key).hexdigest()[:16]}", settings.histories_lost == "degrade"
    return SharedHistories(line, prefix, degrade=degrade), SharedAnswers(line, prefix, settings.answers_seconds, degrade=degrade)


def earlier(lake: Lake, begins: date, silence: timedelta) -> dict[str, int]:
    """When accounts last paid or were paid in sterling before a day, by the days of gold/account_daily (µs since 1970: the last one's end).

    Only of accounts that have no payment in the ``silence`` after that day: no other can have been dormant across it.
    """
    columns = ["sort_code", "account_number", "booking_date"]
    days = lake.table(ACCOUNT_DAILY).to_pyarrow_dataset().to_table(columns, filter=pc.field("currency") == "GBP")
    days = lake.opened(days)
    before = pc.less(days["booking_date"], pa.scalar(begins))
    awake = pc.and_(pc.invert(before), pc.less(days["booking_date"], pa.scalar(begins + silence)))
    named = [f"{code}-{number}" for code, number in zip(*(days.filter(awake)[name].to_pylist() for name in columns[:2]), strict=True)]
    found = days.filter(before).group_by(columns[:2]).aggregate([("booking_date", "max")])
    of_account = {}
    for row in found.to_pylist():
        of_account[f"{row['sort_code']}-{row['account_number']}"] = _instant(row["booking_date_max"] + timedelta(days=1)) - 1
    for name in named:
        of_account.pop(name, None)
    return of_account


def _instant(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def read_all(lake: Lake, paths: list[str]) -> list[Arrivals]:
    """The payments of some files of silver."""
    return list(_arrivals(lake, paths))


def _arrivals(lake: Lake, paths: list[str]) -> Iterator[Arrivals]:
    for path in paths:
        with lake.storage.arrow_file(f"{SILVER.path}/{path}") as opened, pq.ParquetFile(opened) as parquet:
            rows = parquet.read(columns=_COLUMNS, use_threads=False).combine_chunks()
        rows = lake.opened(rows).combine_chunks()
        prints = fingerprints.fingerprints(rows, lake.key)
        columns = ["transaction_id", "booked_at", "amount_minor", "currency", "payer", "payee", "country"]
        yield Arrivals(rows.select(columns), prints.id_high, prints.id_low, prints.content)


def new_files(lake: Lake, seen: Seen) -> list[str]:
    """The files of silver that the service has not read; whom they name is known when this returns."""
    paths = [path for path, _ in _files(lake) if path not in seen.files]
    lake.follow_subjects()
    return paths


def judgements(lake: Lake) -> tuple[Words, Words, Labels]:
    """What analysts have decided, as the histories take it."""
    last = feedback.last_decisions(lake)
    nothing = pa.array([""] * last.num_rows, pa.string())
    typed = {column.name: nothing for column in TYPED if pa.types.is_string(column.type)}
    zeros = pa.array(np.zeros(last.num_rows, dtype=np.int64))
    prints = fingerprints.fingerprints(
        pa.table(typed | {"transaction_id": last["transaction_id"], "booked_at": zeros, "amount_minor": zeros}), lake.key
    )
    suspicious = last["is_suspicious"].combine_chunks().to_numpy(zero_copy_only=False)
    return prints.id_high, prints.id_low, np.where(suspicious, SUSPICIOUS, CLEARED).astype(np.int8)


def feedback_version(lake: Lake) -> int:
    """Grows with each import of decisions."""
    return lake.table(FEEDBACK).version()


def replayed(journal: Journal, loaded: Collection[str]) -> Iterator[pa.Table]:
    """The records of the journal that the lake has not loaded."""
    for data in journal.payments(loaded):
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
