"""Histories that several replicas share: a log in Redis (or Valkey) that every replica reads in one and the same order.

A replica that takes payments appends them to the log and is told, in the same round trip, what the others appended before. So all
replicas take the same payments in the same order, each into histories of its own (``app.features.histories``), and say what one
replica alone would say. The lake and the journals are the truth: the log holds what the lake has not loaded yet, and whatever a journal
has that neither has is brought to it by the replica that finds it.

Beside the log is a count of all entries that it was ever given. A replica that read fewer has missed some: the server was emptied, or
threw them away, or another replica took them out while this one stood still. It begins anew then, from lake and journals.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from app.columns import Mask
from app.features.around import Around
from app.features.histories import NEW, Arrivals, Histories, Taken, Words
from app.features.outcomes import Labels
from app.features.payments import Int64s
from app.features.timeline import HORIZON_US
from app.features.trimming import Trimming
from serve.redis_line import Line, StoreChanged, StoreLost

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
"""So many entries are read at once when a replica starts, so many are sent and taken out at once, and so many payments are in one."""

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
    count: int = 0  # of entries that were ever appended, as far as this replica knows
    entries: dict[int, list[_Kept]] = field(default_factory=dict)  # by payments that the lake has not
    finished: list[bytes] = field(default_factory=list)  # entries that nobody needs who has read them
    ripe: list[bytes] = field(default_factory=list)  # those of them that were finished a while ago
    gone: deque[bytes] = field(default_factory=deque)  # those that are to be taken out

    def add(self, name: bytes, missing: set[int]) -> None:
        """Note an entry, and which of its payments the lake has not."""
        self.cursor = name
        if not missing:
            self.finished.append(name)
            return
        entry = _Kept(name, missing)
        for word in missing:
            self.entries.setdefault(word, []).append(entry)

    def in_lake(self, words: Sequence[int]) -> None:
        """Note which payments the lake has."""
        for word in words:
            for entry in self.entries.pop(word, ()):
                entry.missing.discard(word)
                if not entry.missing:
                    self.finished.append(entry.name)

    def let_go(self) -> None:
        """Let entries be taken out that were finished when this was called last: idle replicas have read them meanwhile."""
        self.gone.extend(self.ripe)
        self.ripe, self.finished = self.finished, []


@dataclass(frozen=True)
class _Unsent:
    """Payments that are on this replica's disk, and of which it is not known that the log has them."""

    arrivals: Arrivals
    payload: bytes


class SharedHistories:
    """``Histories`` with the same methods, shared by all replicas of one lake.

    ``take`` raises StoreLost if Redis does not answer, and this replica's histories have not changed then; with ``degrade`` it takes
    payments into them alone, and says so by ``degraded``. Either way it brings the payments to the log as soon as there is one.
    StoreChanged if something is gone from the log that this replica had not read: one that starts now finds it in the journals.
    """

    def __init__(self, line: Line, prefix: str, *, degrade: bool = False) -> None:
        self._line = line
        self._key, self._counter = f"{prefix}:log", f"{prefix}:count"
        self._degrade = degrade
        self._own = Histories()
        self._log = _Log()
        self._unsent: list[_Unsent] = []
        self._unsent_words: set[int] = set()
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
        """Take in what the log had when this replica began; to be called when the lake's payments are loaded, before the journals'.

        Of two payments with one id the log knows which one came first; journals of several writers do not.
        """
        for arrivals in self._waiting:
            self._own.take(arrivals, tell=False)
        self._waiting.clear()

    def take(self, arrivals: Arrivals) -> Taken:
        """As ``Histories.take``: what other replicas took before comes before."""
        if arrivals.silver.num_rows:
            self._share(arrivals)
        return self._own.take(arrivals)

    def load(self, arrivals: Arrivals) -> int:
        """As ``Histories.load``, of payments in a journal; those that the log does not have go there by ``catch_up``.

        Their replica died before it had appended them, or the log was lost.
        """
        new = self._to_send(arrivals)
        for begin in range(0, new.silver.num_rows, _PART):
            self._keep_unsent(new.cut(begin, begin + _PART))
        return int(np.count_nonzero(self._own.take(arrivals, tell=False).status == NEW))

    def catch_up(self) -> None:
        """Take in what others have taken since, send what is unsent, and take out of the log what nobody needs, though nobody asks."""
        self._exchange_if_there()
        if not self.degraded:
            self._log.let_go()

    def load_from_lake(self, arrivals: Arrivals) -> int:
        """The same for payments that the lake has: the log need not keep them."""
        self._log.in_lake(arrivals.id_high.tolist())
        return self._own.load(arrivals)

    def status(self, arrivals: Arrivals) -> Int64s:
        """As ``Histories.status``, by what this replica has read. StoreLost if ``take`` would raise it, as far as can be known."""
        if not self._degrade:
            self._line.check()
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

    def around(self, rows: Int64s, reach_us: int = HORIZON_US) -> Around:
        """As ``Histories.around``."""
        return self._own.around(rows, reach_us)

    def id_of(self, row: int) -> bytes:
        """As ``Histories.id_of``."""
        return self._own.id_of(row)

    def names(self, id_high: Words, id_low: Words) -> list[tuple[str | None, str | None] | None]:
        """As ``Histories.names``."""
        return self._own.names(id_high, id_low)

    def booked_at(self) -> Int64s:
        """As ``Histories.booked_at``."""
        return self._own.booked_at()

    def trimming(self, before_us: int) -> Trimming:
        """Begin to let go of what was booked before a day: each replica does so by itself, and the log keeps what the lake has not."""
        return Trimming(self._own, before_us)

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _share(self, arrivals: Arrivals) -> None:
        new = self._to_send(arrivals)
        if new.silver.num_rows:
            self._keep_unsent(new)
        self._exchange_if_there(new)

    def _exchange_if_there(self, asked: Arrivals | None = None) -> None:
        """``_exchange``; if there is no log to exchange with, StoreLost, or ``degraded`` where that is allowed."""
        try:
            self._exchange(asked)
        except StoreLost:
            if not self._degrade:
                raise
            self.degraded = True
        else:
            self.degraded = False

    def _to_send(self, arrivals: Arrivals) -> Arrivals:
        """Those that are known neither from the lake nor from the log, nor wait to be sent."""
        new = self._own.status(arrivals) == NEW
        if self._unsent_words:
            new &= [word not in self._unsent_words for word in arrivals.id_high.tolist()]
        if new.all():
            return arrivals
        words = (column[new] for column in (arrivals.id_high, arrivals.id_low, arrivals.content))
        return Arrivals(arrivals.silver.filter(pa.array(new)), *words)

    def _keep_unsent(self, arrivals: Arrivals) -> None:
        self._unsent.append(_Unsent(arrivals, encoded(arrivals)))
        self._unsent_words.update(arrivals.id_high.tolist())

    def _exchange(self, asked: Arrivals | None = None) -> None:
        """Send what is unsent, and take in what has come since; but what is ``asked`` about, and comes last, is the caller's to take."""
        while True:
            sent = self._unsent[:_PART]
            found = self._at_once([one.payload for one in sent])
            mine = [one.arrivals for one in sent]
            others = [decoded(payload) for _, payload in found[: len(found) - len(mine)]]
            for (name, _), arrivals in zip(found, others + mine, strict=True):
                self._log.add(name, self._missing(arrivals))
                if arrivals is not asked:
                    self._own.take(arrivals, tell=False)
            del self._unsent[: len(sent)]
            if not self._unsent:
                self._unsent_words.clear()
                return

    def _missing(self, arrivals: Arrivals) -> set[int]:
        """Which of these the lake has not: what is known, and is neither in the log nor on its way there, is known from the lake."""
        known, words = self._own.status(arrivals) != NEW, arrivals.id_high.tolist()
        held = (self._log.entries, self._unsent_words)
        return {word for word, there in zip(words, known.tolist(), strict=True) if not there or any(word in one for one in held)}

    def _at_once(self, payloads: Sequence[bytes]) -> list[_Entry]:
        """Append, take out what nobody needs, and read what has come since: one round trip, at one moment for all replicas."""
        gone = [self._log.gone[place] for place in range(min(_PART, len(self._log.gone)))]
        commands: list[tuple[Any, ...]] = [("XADD", self._key, "*", "d", payload) for payload in payloads]
        if gone:
            commands.append(("XDEL", self._key, *gone))
        commands.append(("INCRBY", self._counter, len(payloads)))
        commands.append(("XRANGE", self._key, b"(" + self._log.cursor, "+"))
        *_, count, found = self._line.at_once(commands)
        for _ in gone:
            self._log.gone.popleft()
        if count != self._log.count + len(found):
            raise StoreChanged("the shared histories lost payments that this replica had not read yet")
        self._log.count = count
        return [(name, fields[1]) for name, fields in found]

    def _read_from_begin(self) -> None:
        # Counted from one: who has read nothing yet sees that the server was emptied, too.
        counting = [("SET", self._counter, 1, "NX"), ("INCRBY", self._counter, 0)]
        found: list[Any] = [None] * _PART
        while len(found) == _PART:
            *_, count, found = self._line.at_once([*counting, ("XRANGE", self._key, b"(" + self._log.cursor, "+", "COUNT", _PART)])
            for name, fields in found:
                arrivals = decoded(fields[1])
                self._waiting.append(arrivals)
                self._log.add(name, set(arrivals.id_high.tolist()))
            self._log.count = count


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
        self._unsettled: dict[str, bytes] = {}

    def settle(self, answers: Mapping[str, bytes]) -> dict[str, bytes]:
        """By transaction_id the answers that stand: these, or those that other replicas gave before. One round trip.

        Those that were given while there was no store are settled at the next call, too.
        """
        asked, standing = [*(self._unsettled | dict(answers)).items()], dict[str, bytes]()
        try:
            for begin in range(0, len(asked), _PART):
                part = asked[begin : begin + _PART]
                setting = [("SET", f"{self._prefix}:answer:{name}", answer, "NX", "GET", "EX", self._seconds) for name, answer in part]
                for (name, answer), before in zip(part, self._line.at_once(setting), strict=True):
                    standing[name] = answer if before is None else before
        except StoreLost:
            if not self._degrade:
                raise
            self._unsettled = dict(asked)
            return dict(answers)
        self._unsettled.clear()
        return {name: standing[name] for name in answers}
