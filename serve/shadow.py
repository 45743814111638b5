"""What a rollout finds, on its way to the lake (gold/shadow_scores): kept in memory, written now and then, never while a request waits.

It is evidence of a trial, not of payments: those are in the journal before they are answered. So a lake that cannot be written costs
what does not fit into memory meanwhile, and a process that is killed what it had not written yet; neither may hold up an answer.
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Lock
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from app.contracts.lake import SHADOW_SCORES
from app.lake import delta
from app.lake.delta import Change, StagedFile
from app.lake.lake import Lake
from serve.metrics import Metrics

log = logging.getLogger("leofric.serve")

MOST_ROWS: Final = 50_000
"""So many rows wait for the lake at most, about 20 MB; more are dropped and counted."""
_DUE_ROWS: Final = 10_000
_MOST_FILES: Final = 256
"""A trial of a day leaves a file a minute and replica: when so many have gathered they become one."""


class Row(NamedTuple):
    """A row of gold/shadow_scores, as its contract has it."""

    rollout: int
    transaction_id: str
    booked_at: int
    mode: str
    kind: str
    champion_id: str | None
    champion_score: float | None
    champion_band: str
    challenger_id: str
    challenger_score: float | None
    challenger_band: str | None
    error: str | None
    answered_by: str
    scored_at: datetime


class Outbox:
    """Rows that are not in the lake yet. Whoever answers adds; one thread at a time flushes."""

    def __init__(self, lake: Lake, due_seconds: float, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._lake = lake
        self._due_seconds = due_seconds
        self._clock = clock
        self._metrics = metrics
        self._lock = Lock()
        self._rows: list[Row] = []
        self._writing: list[Row] = []
        """The batch whose commit was begun: it is tried again as it is, so that its number tells whether it is in the table."""
        self._begun: datetime | None = None
        self._writer = f"leofric-serve-{uuid.uuid4().hex}"
        self._sequence = 1

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows for the lake, as many as there is room for."""
        with self._lock:
            room = max(MOST_ROWS - len(self._rows) - len(self._writing), 0)
            self._rows += rows[:room]
            self._begun = self._begun or self._clock()
        self._metrics.dropped.inc(max(len(rows) - room, 0))

    def flush_if_due(self) -> None:
        """Write if rows have waited long enough, or are many."""
        waited = 0.0 if self._begun is None else (self._clock() - self._begun).total_seconds()
        if self._writing or len(self._rows) >= _DUE_ROWS or (self._rows and waited >= self._due_seconds):
            self.flush()
        self._metrics.unwritten.set(len(self._rows) + len(self._writing))

    def flush(self) -> None:
        """Write all that is here; what cannot be written stays."""
        try:
            while self._writing or self._rows:
                if not self._writing:
                    with self._lock:
                        self._writing, self._rows, self._begun = self._rows, [], None
                self._write(self._writing)
                self._writing = []
                self._sequence += 1
        except Exception as error:  # whatever Delta Lake or storage raise: a trial must not hurt the service
            log.warning("%d results of a rollout cannot be written, and are kept: %s", len(self._writing) + len(self._rows), error)

    def _write(self, rows: Sequence[Row]) -> None:
        """One Delta transaction: twice the same batch is once in the table."""
        now, table = self._clock(), self._lake.table(SHADOW_SCORES)
        numbers = sorted({row.rollout for row in rows})
        staged = tuple(self._staged([row for row in rows if row.rollout == number], number, now) for number in numbers)
        delta.commit(table, SHADOW_SCORES, Change(staged), self._sequence, self._writer, now, self._writer)
        for number in numbers:
            self._tidy(number, now)

    def _staged(self, rows: Sequence[Row], rollout: int, now: datetime) -> StagedFile:
        columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
        instants = pa.array(np.array(columns.pop("booked_at"))).cast(SHADOW_SCORES.schema.field("booked_at").type)
        data = pa.table({"booked_at": instants} | columns)
        name = f"part-{self._writer}-{self._sequence:08d}"
        return delta.stage(self._lake.storage, SHADOW_SCORES, name, data, {"rollout": str(rollout)}, now)

    def _tidy(self, rollout: int, now: datetime) -> None:
        storage, table = self._lake.storage, self._lake.table(SHADOW_SCORES)
        try:
            delta.compact_if_scattered(storage, table, SHADOW_SCORES, _MOST_FILES, now, {"rollout": str(rollout)})
        except Exception as error:  # the rows are in the table either way
            log.info("gold/shadow_scores was not tidied: %s", error)
