"""Histories that several replicas share: a log in Redis (or Valkey) that every replica reads in one and the same order.

A replica that takes payments appends them to the log and is told, in the same round trip, what the others appended before. So all
replicas take the same payments in the same order, each into histories of its own (``app.features.histories``), and say what one
replica alone would say. The lake and the journals are the truth: the log holds what the lake has not loaded yet.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from app.columns import Mask
from app.features.histories import Arrivals, Histories, Taken, Words
from app.features.outcomes import Labels
from app.features.payments import Int64s
from app.features.trimming import Trimming
from serve.redis_line import Line, StoreLost

_SCHEMA: Final = pa.schema(
    [
        ("transaction_id", pa.string()),
        ("booked_at", pa.timestamp("us", tz="UTC")),
        ("amount_minor", pa.int64()),
        ("currency", pa.string()),
        ("payer", pa.string()),
        ("payee", pa.string()),
        ("country", pa.string()),
    ]
)
_PART: Final = 1_000
"""So many entries are read at once when a replica starts, and so many are taken out of the log at once."""


_Entry = tuple[bytes, bytes]  # its id in the log, and its payload


@dataclass
class _Kept:
    """An entry of the log that is there for the sake of these payments (by the first words of their ids)."""

    name: bytes
    missing: set[int]


@dataclass
class _Log:
    """What this replica knows of the log."""

    cursor: bytes = b"0-0"
    entries: dict[int, _Kept] = field(default_factory=dict)  # by payments that the lake has not
    finished: deque[bytes] = field(default_factory=deque)  # entries whose payments the lake has: they go

    def add(self, name: bytes, arrivals: Arrivals) -> None:
        entry = _Kept(name, set(arrivals.id_high.tolist()))
        for word in entry.missing:
            self.entries.setdefault(word, entry)
        self.cursor = name

    def in_lake(self, words: Sequence[int]) -> None:
        for word in words:
            entry = self.entries.pop(word, None)
            if entry is not None:
                entry.missing.discard(word)
                if not entry.missing:
                    self.finished.append(entry.name)


class SharedHistories:
    """``Histories`` with the same methods, shared by all replicas of one lake.

    ``take`` raises StoreLost if Redis does not answer, and nothing has changed then; with ``degrade`` it takes payments into this replica's
    histories alone, says so by ``degraded``, and brings them to the log as soon as there is one. StoreChanged if Redis began anew: what
    it had may be gone, and a replica that starts now reads it from the journals.
    """

    def __init__(self, line: Line, prefix: str, *, degrade: bool = False) -> None:
        self._line = line
        self._key = f"{prefix}:log"
        self._degrade = degrade
        self._own = Histories()
        self._log = _Log()
        self._unsent: list[bytes] = []
        self._waiting: list[Arrivals] = []
        self.degraded = False
        self._read_from_begin()

    def __len__(self) -> int:
        return len(self._own)

    @property
    def parties(self) -> int:
        """How many accounts are known, each in one currency."""
        return self._own.parties

    def begin(self) -> None:
        """Take in what the log had when this replica began; to be called when the lake's payments and the journals' are loaded."""
        for arrivals in self._waiting:
            self._own.load(arrivals)
        self._waiting.clear()

    def take(self, arrivals: Arrivals) -> Taken:
        """As ``Histories.take``: what other replicas took before comes before."""
        if arrivals.silver.num_rows:
            self._append(arrivals)
        return self._own.take(arrivals)

    def load(self, arrivals: Arrivals) -> int:
        """As ``Histories.load``."""
        return self._own.load(arrivals)

    def catch_up(self) -> None:
        """Take in what others have taken since, though nobody asks.

        To be called before the lake is looked at: what the lake has by then is among the log's entries that this replica knows.
        """
        while found := self._since(_PART):
            self._take_in(found)

    def load_from_lake(self, arrivals: Arrivals) -> int:
        """The same for payments that the lake has: the log need not keep them."""
        self._log.in_lake(arrivals.id_high.tolist())
        return self._own.load(arrivals)

    def status(self, arrivals: Arrivals) -> Int64s:
        """As ``Histories.status``, by what this replica has read."""
        return self._own.status(arrivals)

    def judge(self, id_high: Words, id_low: Words, labels: Labels) -> int:
        """As ``Histories.judge``."""
        return self._own.judge(id_high, id_low, labels)

    def told(self, rows: Int64s) -> Taken:
        """As ``Histories.told``."""
        return self._own.told(rows)

    def sides(self, rows: Int64s) -> tuple[Mask, Mask, Mask]:
        """As ``Histories.sides``."""
        return self._own.sides(rows)

    def around(self, row: int) -> pa.Table:
        """As ``Histories.around``."""
        return self._own.around(row)

    def id_of(self, row: int) -> bytes:
        """As ``Histories.id_of``."""
        return self._own.id_of(row)

    def booked_at(self) -> Int64s:
        """As ``Histories.booked_at``."""
        return self._own.booked_at()

    def trimming(self, before_us: int) -> Trimming:
        """Begin to let go of what was booked before a day: each replica does so by itself, and the log keeps what the lake has not."""
        return Trimming(self._own, before_us)

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _append(self, arrivals: Arrivals) -> None:
        payloads = [*self._unsent, encoded(arrivals)]
        try:
            found = self._exchange(payloads)
        except StoreLost:
            if not self._degrade:
                raise
            self._unsent = payloads
            self.degraded = True
            return
        self._unsent, self.degraded = [], False
        self._take_in(found[:-1])
        self._log.add(found[-1][0], arrivals)

    def _take_in(self, entries: Sequence[_Entry]) -> None:
        for name, payload in entries:
            theirs = decoded(payload)
            self._own.load(theirs)
            self._log.add(name, theirs)

    def _exchange(self, payloads: Sequence[bytes]) -> list[_Entry]:
        """Append, take out what the lake has, and read what has come since: one round trip, at one moment for all replicas."""
        gone = [self._log.finished[place] for place in range(min(_PART, len(self._log.finished)))]
        commands: list[tuple[Any, ...]] = [("XADD", self._key, "*", "d", payload) for payload in payloads]
        if gone:
            commands.append(("XDEL", self._key, *gone))
        commands.append(("XRANGE", self._key, b"(" + self._log.cursor, "+"))
        found = self._line.at_once(commands)[-1]
        for _ in gone:
            self._log.finished.popleft()
        return [(name, fields[1]) for name, fields in found]

    def _since(self, most: int) -> list[_Entry]:
        (found,) = self._line.at_once([("XRANGE", self._key, b"(" + self._log.cursor, "+", "COUNT", most)])
        return [(name, fields[1]) for name, fields in found]

    def _read_from_begin(self) -> None:
        while found := self._since(_PART):
            for name, payload in found:
                arrivals = decoded(payload)
                self._waiting.append(arrivals)
                self._log.add(name, arrivals)


def encoded(arrivals: Arrivals) -> bytes:
    """Payments as an entry of the log has them: rows of their columns and fingerprints."""
    silver = arrivals.silver
    columns = [
        silver["transaction_id"].to_pylist(),
        silver["booked_at"].combine_chunks().view(pa.int64()).to_pylist(),
        *(silver[name].to_pylist() for name in _SCHEMA.names[2:]),
        *(words.tolist() for words in (arrivals.id_high, arrivals.id_low, arrivals.content)),
    ]
    return orjson.dumps(columns)


def decoded(payload: bytes) -> Arrivals:
    """The payments of an entry."""
    *columns, high, low, content = orjson.loads(payload)
    arrays = [
        pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)
        for values, kind in zip(columns, _SCHEMA.types, strict=True)
    ]
    words = (np.array(column, dtype=np.uint64) for column in (high, low, content))
    return Arrivals(pa.Table.from_arrays(arrays, schema=_SCHEMA), *words)


class SharedAnswers:
    """The answers that stand, for all replicas: who is asked again, or at the same time as another, says what was said first."""

    def __init__(self, line: Line, prefix: str, seconds: int, *, degrade: bool = False) -> None:
        self._line = line
        self._prefix = prefix
        self._seconds = seconds
        self._degrade = degrade

    def settle(self, answers: Mapping[str, bytes]) -> dict[str, bytes]:
        """By transaction_id the answers that stand: these, or those that other replicas gave before. One round trip."""
        commands = [("SET", f"{self._prefix}:answer:{name}", answer, "NX", "GET", "EX", self._seconds) for name, answer in answers.items()]
        try:
            found = self._line.at_once(commands) if commands else []
        except StoreLost:
            if not self._degrade:
                raise
            return dict(answers)
        return {name: answer if before is None else before for (name, answer), before in zip(answers.items(), found, strict=True)}
