"""The payments of every account, kept in memory, for payments that come one at a time: the online caller of the batch's own kernels.

Everything lies in arrays that grow, so that one compiled call takes in a thousand payments: the payments as rows, in the order in which
they came; of each party the rows of its payments, in their order, as a stretch of one pool; and a table of hashes by which
a payment is found by its id.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import from_arrow
from app.features import outcomes, timeline
from app.features.outcomes import UNLABELLED, Labels
from app.features.payments import DAY_US, UNKNOWN, Int32s, Int64s, entries_of, in_order, legs, numbered, pair, party
from app.features.timeline import HORIZON_US, UNASKED, State
from app.jit import inlined, kernel

NEW, SAME, CONFLICT = range(3)
"""What a payment is: not seen before; seen with this content; its id was seen with another content."""

_NOBODY: Final = -1
_Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Arrivals:
    """n accepted payments, as they come: ``silver`` has COLUMNS of the book; the rest is their fingerprints (app.fingerprints)."""

    silver: pa.Table
    id_high: Words
    id_low: Words
    content: Words

    def cut(self, begin: int, end: int) -> "Arrivals":
        """Some of them."""
        words = (column[begin:end] for column in (self.id_high, self.id_low, self.content))
        return Arrivals(self.silver.slice(begin, end - begin), *words)


@dataclass(frozen=True)
class Taken:
    """What lay before n payments when they came, and which of them are new."""

    status: Int64s  # NEW, SAME or CONFLICT
    row: Int64s  # in the histories; of a conflict that of the payment that has the id
    booked_at: Int64s  # of the payments that they stand for
    facts: Int64s  # as ``timeline.look_back`` gives them: [n, 25]
    judged: Int64s  # as ``outcomes.judged_before`` gives them: [n, 8]


class _Rows(NamedTuple):
    """Columns of all payments; what lies behind the last one means nothing yet."""

    booked_at: Int64s
    amount: Int64s  # not negative
    signed: Int64s
    log: Int64s
    payer: Int32s
    payee: Int32s
    stands_for: Int64s
    country: Int32s
    label: Labels  # what was decided of the row
    judged: Labels  # of the transfer: of its two legs
    high: Words
    low: Words
    content: Words
    id_begin: Int64s
    id_end: Int64s
    asked: Int64s  # for the kernels: all UNASKED


_TYPES: Final = (*("<i8",) * 4, "<i4", "<i4", "<i8", "<i4", "i1", "i1", "<u8", "<u8", "<u8", "<i8", "<i8", "<i8")


class _Stretches(NamedTuple):
    """Of each party where its rows lie in the pool: from ``at``, so many, with room for so many."""

    at: Int64s
    size: Int64s
    room: Int64s
    coming: Int64s  # for ``_reserve``: all 0
    own: Int64s  # 1 if a payment was booked on it: it is an account of this bank


class _Scratch(NamedTuple):
    """What the kernels work in."""

    entries: Int64s  # this and all to ``judged``: as long as the longest stretch
    waiting: Int64s
    booked_at: Int64s  # one party's payments next to each other: rows lie far apart, and each look at one waits for memory
    amount: Int64s
    log: Int64s
    payer: Int32s
    payee: Int32s
    asked: Int64s
    judged: Labels
    met: npt.NDArray[np.int32]  # [3, parties], all zero
    first: Int64s  # of each party the earliest and the latest row of its that is asked about; NOBODY
    last: Int64s
    begins: Int64s
    state: State


_PLACES: Final = {
    "entries": "<i8", "waiting": "<i8", "booked_at": "<i8", "amount": "<i8", "log": "<i8", "payer": "<i4", "payee": "<i4", "asked": "<i8",
    "judged": "i1",
}  # fmt: skip
"""What ``_Scratch`` has for each payment of a stretch."""


class Histories:
    """What is known of every account. A payment is told what lies before it, and belongs to the histories from then on."""

    def __init__(self) -> None:
        self.count = 0
        self._rows = _Rows(*(np.zeros(0, dtype=kind) for kind in _TYPES))
        self._ids: _Bytes = np.zeros(0, dtype=np.uint8)
        self._id_bytes = 0
        self._pool, self._pooled = np.zeros(0, dtype=np.int64), 0
        self._stretches = _Stretches(*(np.zeros(0, dtype=np.int64) for _ in range(5)))
        self._slots = np.full(1, _NOBODY, dtype=np.int64)  # too short for any payment: it is made anew for the first
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._countries: dict[str, int] = {}
        self._longest = 0
        self._labels = False
        met, nobody = np.zeros((3, 0), dtype=np.int32), np.zeros(0, dtype=np.int64)
        self._scratch = _scratch(0, met, nobody, nobody)

    def __len__(self) -> int:
        return self.count

    @property
    def parties(self) -> int:
        """How many accounts are known, each in one currency."""
        return len(self._names)

    def load(self, arrivals: Arrivals) -> int:
        """Take in payments that nobody asks about; gives how many of them were new."""
        if not self.count:
            return self._load_first(arrivals)
        return int(np.count_nonzero(self.take(arrivals, tell=False).status == NEW))

    def take(self, arrivals: Arrivals, *, tell: bool = True) -> Taken:
        """Take in payments, one after the other; each is told what lies before it, by all that came until then. Late ones are welcome.

        One that is there already is told the same without being taken in again; of one in CONFLICT nothing is told.
        """
        silver, count = arrivals.silver, arrivals.silver.num_rows
        ids = from_arrow(silver["transaction_id"])
        payer, payee = self._parties_of(silver)
        country = np.array([self._countries.setdefault(code, len(self._countries)) for code in silver["country"].to_pylist()], np.int32)
        self._make_room(count, int(ids.offsets[-1] - ids.offsets[0]), payer, payee)
        signed = silver["amount_minor"].to_numpy()
        booked_at = silver["booked_at"].combine_chunks().view(pa.int64()).to_numpy()
        taken = _untold(np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64))
        taken.booked_at[:] = booked_at
        self.count, self._id_bytes = _take(
            (self.count, self._id_bytes, tell, self._labels),
            self._rows, self._ids, self._pool, self._stretches, self._slots, self._scratch,
            (booked_at, signed), (payer, payee, country), (arrivals.id_high, arrivals.id_low, arrivals.content), ids.data, ids.offsets,
            (taken.status, taken.row, taken.booked_at), taken.facts, taken.judged,
        )  # fmt: skip
        return taken

    def status(self, arrivals: Arrivals) -> Int64s:
        """NEW, SAME or CONFLICT: what payments are by what is there already; nothing is taken in."""
        rows = np.empty(len(arrivals.id_high), dtype=np.int64)
        _find_all(arrivals.id_high, arrivals.id_low, self._rows, self._slots, rows)
        there = np.flatnonzero(rows != _NOBODY)
        status = np.full(len(rows), NEW)
        status[there] = np.where(self._rows.content[rows[there]] == arrivals.content[there], SAME, CONFLICT)
        return status

    def told(self, rows: Int64s) -> Taken:
        """What lies before payments that are there."""
        taken = _untold(np.full(len(rows), SAME), rows)
        _tell_all(
            rows, taken.status, self._labels, self._rows, self._ids, self._pool, self._stretches, self._scratch,
            taken.booked_at, taken.facts, taken.judged,
        )  # fmt: skip
        return taken

    def judge(self, id_high: Words, id_low: Words, labels: Labels) -> int:
        """Note what analysts have decided; gives how many of these payments are there."""
        rows = np.empty(len(id_high), dtype=np.int64)
        _find_all(id_high, id_low, self._rows, self._slots, rows)
        there = rows != _NOBODY
        mine = self._rows
        mine.label[: self.count] = UNLABELLED
        mine.label[rows[there]] = labels[there]
        mine.judged[: self.count] = UNLABELLED
        np.maximum.at(mine.judged, mine.stands_for[: self.count], mine.label[: self.count])
        self._labels = bool(there.any())
        return int(np.count_nonzero(there))

    def sides(self, rows: Int64s) -> tuple[list[bool], list[bool], list[bool]]:
        """Of payments: whether each stands for itself (is no second leg), and whether its payer and its payee are accounts of this bank.

        An account is this bank's if payments were booked on it.
        """
        mine, own = self._rows, self._stretches.own
        of_itself = mine.stands_for[rows] == rows
        payer, payee = ((side[rows] != UNKNOWN) & (own[side[rows]] == 1) for side in (mine.payer, mine.payee))
        return of_itself.tolist(), payer.tolist(), payee.tolist()

    def around(self, row: int) -> pa.Table:
        """The payments of both accounts of a payment, up to it, as rows of silver: what scenarios look at."""
        mine, found = self._rows, []
        for side in (mine.payer[row], mine.payee[row]):
            if side != UNKNOWN:
                begin = self._stretches.at[side]
                stretch = self._pool[begin : begin + self._stretches.size[side]]
                found.append(stretch[mine.booked_at[stretch] <= mine.booked_at[row]])
        rows = np.unique(np.concatenate([np.array([row]), *found]))
        me = (int(mine.booked_at[row]), self.id_of(row))
        kept = rows.tolist()
        if (mine.booked_at[rows] == me[0]).sum() > 1:
            kept = [other for other in kept if (int(mine.booked_at[other]), self.id_of(other)) <= me]
        return self._silver(np.array(kept, dtype=np.int64))

    def id_of(self, row: int) -> bytes:
        """A payment's transaction_id."""
        return self._ids[self._rows.id_begin[row] : self._rows.id_end[row]].tobytes()

    def _silver(self, rows: Int64s) -> pa.Table:
        mine = self._rows
        names: list[tuple[str | None, ...]] = [
            tuple(None if number == UNKNOWN else self._names[number] for number in side[rows].tolist()) for side in (mine.payer, mine.payee)
        ]
        currency = [(payer or payee or "   ")[-3:] for payer, payee in zip(*names, strict=True)]
        countries = list(self._countries)
        return pa.table(
            {
                "transaction_id": pa.array([self.id_of(row).decode() for row in rows.tolist()], pa.string()),
                "booked_at": pa.array(mine.booked_at[rows]).cast(pa.timestamp("us", tz="UTC")),
                "amount_minor": pa.array(mine.signed[rows]),
                "currency": pa.array(currency, pa.string()),
                "payer": pa.array([name and name[:-4] for name in names[0]], pa.string()),
                "payee": pa.array([name and name[:-4] for name in names[1]], pa.string()),
                "country": pa.array([countries[number] for number in mine.country[rows].tolist()], pa.string()),
            }
        )

    def _parties_of(self, silver: pa.Table) -> tuple[Int32s, Int32s]:
        numbers, names = self._numbers, self._names
        sides = []
        currencies = silver["currency"].to_pylist()
        for side in ("payer", "payee"):
            found = []
            for account, currency in zip(silver[side].to_pylist(), currencies, strict=True):
                if account is None:
                    found.append(UNKNOWN)
                    continue
                name = party(account, currency)
                number = numbers.setdefault(name, len(names))
                if number == len(names):
                    names.append(name)
                found.append(number)
            sides.append(np.array(found, dtype=np.int32))
        payer, payee = sides
        payee[payee == payer] = UNKNOWN
        return payer, payee

    def _make_room(self, rows: int, id_bytes: int, payer: Int32s, payee: Int32s) -> None:
        """Let every array be long enough for so many payments more, of these parties."""
        needed = self.count + rows
        if needed > len(self._rows.booked_at):
            self._rows = _Rows(*(_longer(column, needed) for column in self._rows))
            self._rows.asked[:] = UNASKED
        if self._id_bytes + id_bytes > len(self._ids):
            self._ids = _longer(self._ids, self._id_bytes + id_bytes)
        if 2 * needed > len(self._slots):
            self._slots = np.full(1 << (4 * needed - 1).bit_length(), _NOBODY, dtype=np.int64)
            _hash(self.count, self._rows, self._slots)
        if self.parties > len(self._stretches.at):
            self._stretches = _Stretches(*(_longer(column, self.parties) for column in self._stretches))
        sides = np.concatenate([payer, payee])
        self._longest = max(self._longest, int(_most(self._stretches.size, sides)) + 2 * rows)
        needed = int(_reserve(self._pool, self._pooled, self._stretches, sides))
        if needed > len(self._pool):
            self._pool = _longer(self._pool, needed)
            needed = int(_reserve(self._pool, self._pooled, self._stretches, sides))
        self._pooled = needed
        scratch = self._scratch
        if self._longest > len(scratch.entries):
            scratch = _scratch(2 * self._longest, scratch.met, scratch.first, scratch.last)
        if self.parties > scratch.met.shape[1]:
            parties = len(self._stretches.at)
            first, last = (np.full(parties, _NOBODY, dtype=np.int64) for _ in range(2))
            scratch = scratch._replace(met=np.zeros((3, parties), dtype=np.int32), first=first, last=last)
        self._scratch = scratch

    def _load_first(self, arrivals: Arrivals) -> int:
        """The same as ``load`` for the first payments, all at once; there is no second one of any id among them."""
        silver, count = arrivals.silver, arrivals.silver.num_rows
        booked_at = silver["booked_at"].combine_chunks().view(pa.int64()).to_numpy()
        identifiers = silver["transaction_id"].combine_chunks()
        order = in_order(booked_at, lambda places: identifiers.take(pa.array(places)))
        payer, payee, names = numbered(silver)
        self._names = names.to_pylist()
        self._numbers = {name: number for number, name in enumerate(self._names)}
        ids = from_arrow(identifiers.take(pa.array(order)))
        codes = silver["country"].combine_chunks().dictionary_encode()
        self._countries = {code: number for number, code in enumerate(codes.dictionary.to_pylist())}
        mine = _Rows(*(np.zeros(count, dtype=kind) for kind in _TYPES))
        mine.booked_at[:], mine.payer[:], mine.payee[:] = booked_at[order], payer[order], payee[order]
        mine.signed[:] = silver["amount_minor"].to_numpy()[order]
        mine.amount[:] = np.abs(mine.signed)
        timeline.logs(mine.amount, mine.log)
        mine.stands_for[:] = legs(mine.booked_at, mine.signed, mine.payer, mine.payee)
        mine.country[:] = codes.indices.to_numpy()[order]
        mine.high[:], mine.low[:], mine.content[:] = arrivals.id_high[order], arrivals.id_low[order], arrivals.content[order]
        mine.label[:], mine.judged[:], mine.asked[:] = UNLABELLED, UNLABELLED, UNASKED
        mine.id_begin[:], mine.id_end[:] = ids.offsets[:-1] - ids.offsets[0], ids.offsets[1:] - ids.offsets[0]
        self._ids = ids.data[ids.offsets[0] : ids.offsets[-1]].copy()
        self._rows, self.count, self._id_bytes = mine, count, len(self._ids)
        entries, begins = entries_of(mine.payer, mine.payee, np.arange(count), self.parties)
        self._pool, self._pooled = entries >> 1, len(entries)
        sizes = np.diff(begins)
        self._stretches = _Stretches(begins[:-1].copy(), sizes, sizes.copy(), np.zeros_like(sizes), np.zeros_like(sizes))
        booked = np.where(mine.signed < 0, mine.payer, mine.payee)
        self._stretches.own[booked[booked != UNKNOWN]] = 1
        self._longest = int(sizes.max(initial=0))
        nobody = np.zeros(0, dtype=np.int32)
        self._make_room(0, 0, nobody, nobody)
        return int(count)


def _untold(status: Int64s, row: Int64s) -> Taken:
    count = len(row)
    return Taken(status, row, np.zeros(count, dtype=np.int64), timeline.nothing(count), np.zeros((count, outcomes.COUNT), dtype=np.int64))


def _scratch(places: int, met: npt.NDArray[np.int32], first: Int64s, last: Int64s) -> _Scratch:
    arrays = {name: np.zeros(places, dtype=kind) for name, kind in _PLACES.items()}
    return _Scratch(**arrays, met=met, first=first, last=last, begins=np.zeros(2, dtype=np.int64), state=timeline.state())


def _longer(column: npt.NDArray[Any], least: int) -> npt.NDArray[Any]:
    """The same column with room for twice as much."""
    out = np.zeros(max(2 * least, 1024), dtype=column.dtype)
    out[: len(column)] = column
    return out


@kernel
def _most(size: Int64s, sides: Int32s) -> Any:
    most = 0
    for side in sides:
        if side != UNKNOWN and size[side] > most:
            most = size[side]
    return most


@kernel
def _reserve(pool: Int64s, pooled: int, stretches: _Stretches, sides: Int32s) -> Any:
    """Give each party room for its payments among ``sides``: what has none is copied to the pool's end. Gives the pool's end.

    If that is behind the pool, nothing is done: make the pool longer, and call again.
    """
    at, size, room, coming, _ = stretches
    for side in sides:
        if side != UNKNOWN:
            coming[side] += 1
    needed = pooled
    for side in sides:
        if side != UNKNOWN and coming[side] > 0 and size[side] + coming[side] > room[side]:
            needed += 2 * (size[side] + coming[side])
            coming[side] = -coming[side]  # each party once
    end = pooled
    for side in sides:
        if side != UNKNOWN:
            if coming[side] < 0 and needed <= pool.size:
                for place in range(size[side]):
                    pool[end + place] = pool[at[side] + place]
                at[side] = end
                room[side] = 2 * (size[side] - coming[side])
                end += room[side]
            coming[side] = 0
    return needed


@inlined
def _slot(high: np.uint64, slots: Int64s) -> Any:
    return np.int64(high & np.uint64(slots.size - 1))


@inlined
def _find(high: np.uint64, low: np.uint64, rows: _Rows, slots: Int64s) -> Any:
    slot = _slot(high, slots)
    while slots[slot] != _NOBODY:
        row = slots[slot]
        if rows.high[row] == high and rows.low[row] == low:
            return row
        slot = (slot + 1) & (slots.size - 1)
    return np.int64(_NOBODY)


@inlined
def _put(row: int, rows: _Rows, slots: Int64s) -> None:
    slot = _slot(rows.high[row], slots)
    while slots[slot] != _NOBODY:
        slot = (slot + 1) & (slots.size - 1)
    slots[slot] = row


@kernel
def _hash(count: int, rows: _Rows, slots: Int64s) -> None:
    for row in range(count):
        _put(row, rows, slots)


@kernel
def _find_all(high: Words, low: Words, rows: _Rows, slots: Int64s, out: Int64s) -> None:
    for i in range(high.size):
        out[i] = _find(high[i], low[i], rows, slots)


@inlined
def _precedes(one: int, other: int, rows: _Rows, ids: _Bytes) -> bool:
    """(booked_at, transaction_id) of one row is less than the other's."""
    if rows.booked_at[one] != rows.booked_at[other]:
        return bool(rows.booked_at[one] < rows.booked_at[other])
    a, b = rows.id_begin[one], rows.id_begin[other]
    while a < rows.id_end[one] and b < rows.id_end[other]:
        if ids[a] != ids[b]:
            return bool(ids[a] < ids[b])
        a += 1
        b += 1
    return bool(a == rows.id_end[one] and b < rows.id_end[other])


@inlined
def _place(row: int, begin: int, end: int, rows: _Rows, ids: _Bytes, pool: Int64s) -> int:
    """Where in a stretch the row is, or belongs."""
    if begin < end and _precedes(pool[end - 1], row, rows, ids):  # most payments come last
        return end
    while begin < end:
        middle = (begin + end) // 2
        if _precedes(pool[middle], row, rows, ids):
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel
def _insert(row: int, side: int, rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches) -> None:
    at, size = stretches.at, stretches.size
    place = _place(row, at[side], at[side] + size[side], rows, ids, pool)
    for later in range(at[side] + size[side], place, -1):
        pool[later] = pool[later - 1]
    pool[place] = row
    size[side] += 1


@kernel
def _find_legs(row: int, rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches, scratch: _Scratch) -> None:
    """Which payments of the row's day stand for which, now that the row is there; no other day is touched (``payments.legs``)."""
    payer, payee = rows.payer[row], rows.payee[row]
    at, size = stretches.at, stretches.size
    side = payer if size[payer] <= size[payee] else payee
    day = rows.booked_at[row] // DAY_US
    here = _place(row, at[side], at[side] + size[side], rows, ids, pool)
    begin = here
    while begin > at[side] and rows.booked_at[pool[begin - 1]] // DAY_US == day:
        begin -= 1
    alike = 0
    while begin < at[side] + size[side] and rows.booked_at[pool[begin]] // DAY_US == day:
        other = pool[begin]
        if rows.payer[other] == payer and rows.payee[other] == payee and rows.amount[other] == rows.amount[row]:
            scratch.entries[alike] = other
            alike += 1
        begin += 1
    if alike < 2:
        return
    for place in range(alike):
        rows.stands_for[scratch.entries[place]] = scratch.entries[place]
        rows.judged[scratch.entries[place]] = UNLABELLED
    pair(scratch.entries[:alike], rows.booked_at, rows.signed, rows.payer, rows.payee, scratch.waiting, rows.stands_for)
    for place in range(alike):
        other = scratch.entries[place]
        first = rows.stands_for[other]
        rows.judged[first] = max(rows.judged[first], rows.label[other])


@inlined
def _comes_last(row: int, rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches) -> bool:
    """Whether nothing of its parties lies behind a row: then it changes nothing that was to be said of the others."""
    for side in (rows.payer[row], rows.payee[row]):
        if side != UNKNOWN and stretches.size[side] and not _precedes(pool[stretches.at[side] + stretches.size[side] - 1], row, rows, ids):
            return False
    return True


@kernel
def _tell(
    begin: int, stop: int, wanted: Int64s, status: Int64s, labels: bool, rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches,
    scratch: _Scratch, facts: Int64s, judged: Int64s,
) -> None:  # fmt: skip
    """Write what lies before ``wanted[begin:stop]`` to the same places of ``facts`` and ``judged``; each party is walked through once."""
    first, last = scratch.first, scratch.last
    for i in range(begin, stop):
        asked = rows.stands_for[wanted[i]]
        if status[i] == CONFLICT or rows.asked[asked] != UNASKED:
            continue
        rows.asked[asked] = i
        for side in (rows.payer[asked], rows.payee[asked]):
            if side != UNKNOWN:
                if first[side] == _NOBODY or _precedes(asked, first[side], rows, ids):
                    first[side] = asked
                if last[side] == _NOBODY or _precedes(last[side], asked, rows, ids):
                    last[side] = asked
    for i in range(begin, stop):
        asked = rows.stands_for[wanted[i]]
        for side in (rows.payer[asked], rows.payee[asked]):
            if side != UNKNOWN and first[side] != _NOBODY:
                _walk(side, labels, rows, ids, pool, stretches, scratch, facts, judged)
                first[side] = _NOBODY
                last[side] = _NOBODY
    for i in range(begin, stop):
        told = rows.asked[rows.stands_for[wanted[i]]]
        if status[i] != CONFLICT and told != i:  # the same payment again, or its other leg
            for fact in range(facts.shape[1]):
                facts[i, fact] = facts[told, fact]
            for count in range(judged.shape[1]):
                judged[i, count] = judged[told, count]
    for i in range(begin, stop):
        rows.asked[rows.stands_for[wanted[i]]] = UNASKED


@kernel
def _walk(
    side: int, labels: bool, rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches, scratch: _Scratch, facts: Int64s, judged: Int64s
) -> None:
    """Walk through a party's payments, from a horizon before the first that is asked about to the last one."""
    begin, end = stretches.at[side], stretches.at[side] + stretches.size[side]
    here = _place(scratch.last[side], begin, end, rows, ids, pool)
    least = (rows.booked_at[scratch.first[side]] - HORIZON_US) // DAY_US * DAY_US
    high = here
    while begin < high:
        middle = (begin + high) // 2
        if rows.booked_at[pool[middle]] < least:
            begin = middle + 1
        else:
            high = middle
    count = 0
    for place in range(begin, here + 1):
        other = pool[place]
        if rows.stands_for[other] == other:
            scratch.booked_at[count], scratch.amount[count], scratch.log[count] = rows.booked_at[other], rows.amount[other], rows.log[other]
            scratch.payer[count], scratch.payee[count] = rows.payer[other], rows.payee[other]
            scratch.asked[count], scratch.judged[count] = rows.asked[other], rows.judged[other]
            scratch.entries[count] = 2 * count + (rows.payee[other] == side)
            count += 1
    scratch.begins[0] = 0
    scratch.begins[1] = count
    timeline.tell(
        (scratch.booked_at, scratch.amount, scratch.log), (scratch.payer, scratch.payee), scratch.entries[:count], scratch.begins,
        scratch.asked, scratch.met, scratch.state, facts,
    )  # fmt: skip
    if labels:
        outcomes.tell(scratch.booked_at, scratch.judged, scratch.entries[:count], scratch.begins, scratch.asked, judged)


@kernel
def _tell_all(
    wanted: Int64s, status: Int64s, labels: bool, rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches, scratch: _Scratch,
    booked_at: Int64s, facts: Int64s, judged: Int64s,
) -> None:  # fmt: skip
    for i in range(wanted.size):
        booked_at[i] = rows.booked_at[rows.stands_for[wanted[i]]]
    _tell(0, wanted.size, wanted, status, labels, rows, ids, pool, stretches, scratch, facts, judged)


@kernel
def _take(
    now: tuple[int, int, bool, bool], rows: _Rows, ids: _Bytes, pool: Int64s, stretches: _Stretches, slots: Int64s, scratch: _Scratch,
    numbers: tuple[Int64s, Int64s], parties: tuple[Int32s, Int32s, Int32s], prints: tuple[Words, Words, Words],
    texts: _Bytes, offsets: Int32s, out: tuple[Int64s, Int64s, Int64s], facts: Int64s, judged: Int64s,
) -> tuple[int, int]:  # fmt: skip
    """Take in payments one by one; gives how many rows and how many bytes of ids there are then.

    What lies before them is told later, together, unless one comes that lies before others: those before it are told first.
    """
    count, id_bytes, tell, labels = now
    status, place, booked_at = out
    untold = 0
    for i in range(status.size):
        row = _find(prints[0][i], prints[1][i], rows, slots)
        status[i] = NEW if row == _NOBODY else SAME if rows.content[row] == prints[2][i] else CONFLICT
        if status[i] == NEW:
            row = count
            count += 1
            rows.booked_at[row], rows.signed[row], rows.amount[row] = numbers[0][i], numbers[1][i], abs(numbers[1][i])
            rows.log[row] = timeline.log_units(abs(numbers[1][i]))
            rows.payer[row], rows.payee[row], rows.country[row] = parties[0][i], parties[1][i], parties[2][i]
            rows.high[row], rows.low[row], rows.content[row] = prints[0][i], prints[1][i], prints[2][i]
            rows.stands_for[row] = row
            rows.label[row] = UNLABELLED
            rows.judged[row] = UNLABELLED
            rows.asked[row] = UNASKED
            rows.id_begin[row] = id_bytes
            for at in range(offsets[i], offsets[i + 1]):
                ids[id_bytes] = texts[at]
                id_bytes += 1
            rows.id_end[row] = id_bytes
            _put(row, rows, slots)
            if tell and untold < i and not _comes_last(row, rows, ids, pool, stretches):
                _tell(untold, i, place, status, labels, rows, ids, pool, stretches, scratch, facts, judged)
                untold = i
            for side in (rows.payer[row], rows.payee[row]):
                if side != UNKNOWN:
                    _insert(row, side, rows, ids, pool, stretches)
            booked = rows.payer[row] if rows.signed[row] < 0 else rows.payee[row]
            if booked != UNKNOWN:
                stretches.own[booked] = 1
            if rows.payer[row] != UNKNOWN and rows.payee[row] != UNKNOWN:
                _find_legs(row, rows, ids, pool, stretches, scratch)
        place[i] = row
        if status[i] != CONFLICT:
            booked_at[i] = rows.booked_at[rows.stands_for[row]]
    if tell:
        _tell(untold, status.size, place, status, labels, rows, ids, pool, stretches, scratch, facts, judged)
    return count, id_bytes
