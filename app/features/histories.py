"""The payments of every account, kept in memory, for payments that come one at a time: the online caller of the batch's own kernels.

Everything lies in arrays that grow, so that one compiled call takes in a thousand payments: the payments as rows, in the order in which
they came; of each party the rows of its payments, in their order, as a stretch of one pool; and a table of hashes by which
a payment is found by its id.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app.columns import Mask, from_arrow
from app.features import by_id, hubs, outcomes, taking, timeline
from app.features.around import Around, near, numbered_anew
from app.features.outcomes import UNLABELLED, Labels
from app.features.payments import UNKNOWN, Int32s, Int64s, Payments, entries_of, in_order, legs, numbered, party
from app.features.stretches import NOBODY, Bytes, Stretches, Words, longer, longest, more_rows, new_rows, new_scratch, reserve, texts_of
from app.features.taking import CONFLICT, NEW, SAME
from app.features.timeline import HORIZON_US, UNASKED

__all__ = ["CONFLICT", "NEW", "SAME", "Arrivals", "Histories", "Taken", "Words"]


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


class Sorted(NamedTuple):
    """Payments that are to be the first ones of histories, in order; payer and payee are numbers of its parties."""

    booked_at: Int64s
    signed: Int64s
    payer: Int32s
    payee: Int32s
    country: Int32s
    high: Words
    low: Words
    content: Words
    ids: Bytes
    offsets: Int64s


class Histories:
    """What is known of every account. A payment is told what lies before it, and belongs to the histories from then on."""

    def __init__(self, hub: int = hubs.HUB) -> None:
        """With a ledger for each account that has more than ``hub`` payments."""
        self.count = 0
        self._hub = hub
        self._rows = new_rows(0)
        self._ids: Bytes = np.zeros(0, dtype=np.uint8)
        self._id_bytes = 0
        self._pool, self._pooled = np.zeros(0, dtype=np.int64), 0
        self._stretches = Stretches(*(np.zeros(0, dtype=np.int64) for _ in range(5)))
        self._ledgers, self._entered = hubs.no_ledgers(), 0
        self._slots = np.full(1, NOBODY, dtype=np.int64)  # too short for any payment: it is made anew for the first
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._countries: dict[str, int] = {}
        self._longest = 0
        self._labels = False
        self._labelled = np.zeros(0, dtype=np.int64)
        met, nobody = np.zeros((3, 0), dtype=np.int32), np.zeros(0, dtype=np.int64)
        self._scratch = new_scratch(0, met, nobody, nobody)

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
        self.count, self._id_bytes = taking.take(
            (self.count, self._id_bytes, tell, self._labels),
            self._rows, self._ids, self._pool, self._stretches, self._ledgers, self._slots, self._scratch,
            (booked_at, signed), (payer, payee, country), (arrivals.id_high, arrivals.id_low, arrivals.content), ids.data, ids.offsets,
            (taken.status, taken.row, taken.booked_at), taken.facts, taken.judged,
        )  # fmt: skip
        return taken

    def status(self, arrivals: Arrivals) -> Int64s:
        """NEW, SAME or CONFLICT: what payments are by what is there already; nothing is taken in."""
        rows = np.empty(len(arrivals.id_high), dtype=np.int64)
        by_id.find_all(arrivals.id_high, arrivals.id_low, self._rows, self._slots, rows)
        there = np.flatnonzero(rows != NOBODY)
        status = np.full(len(rows), NEW)
        status[there] = np.where(self._rows.content[rows[there]] == arrivals.content[there], SAME, CONFLICT)
        return status

    def told(self, rows: Int64s) -> Taken:
        """What lies before payments that are there."""
        taken = _untold(np.full(len(rows), SAME), rows)
        taking.tell_all(
            rows, taken.status, self._labels, self._rows, self._ids, self._pool, self._stretches, self._ledgers, self._scratch,
            taken.booked_at, taken.facts, taken.judged,
        )  # fmt: skip
        return taken

    def judge(self, id_high: Words, id_low: Words, labels: Labels) -> int:
        """Note what analysts have decided; gives how many of these payments are there."""
        rows = np.empty(len(id_high), dtype=np.int64)
        by_id.find_all(id_high, id_low, self._rows, self._slots, rows)
        there = rows != NOBODY
        mine, known = self._rows, rows[there]
        mine.label[self._labelled] = UNLABELLED
        mine.judged[mine.stands_for[self._labelled]] = UNLABELLED
        mine.label[known] = labels[there]
        np.maximum.at(mine.judged, mine.stands_for[known], mine.label[known])
        self._labelled = known
        hubs.judge(mine, self._pool, self._stretches, self._ledgers)
        self._labels = bool(there.any())
        return int(np.count_nonzero(there))

    def sides(self, rows: Int64s) -> tuple[Mask, Mask, Mask]:
        """Of payments: whether each stands for itself (is no second leg), and whether its payer and its payee are accounts of this bank.

        An account is this bank's if payments were booked on it.
        """
        mine, own = self._rows, self._stretches.own
        of_itself = mine.stands_for[rows] == rows
        payer, payee = (np.zeros(len(rows), dtype=np.bool_) for _ in range(2))
        for is_own, side in ((payer, mine.payer[rows]), (payee, mine.payee[rows])):
            known = side != UNKNOWN  # -1 is no place where no party is known at all
            is_own[known] = own[side[known]] == 1
        return of_itself, payer, payee

    def around(self, rows: Int64s, reach_us: int = HORIZON_US) -> Around:
        """These payments, and those of their accounts that were booked at most so long before: what scenarios look at."""
        mine = self._rows
        found = near(rows, reach_us, mine, self._pool, self._stretches)
        places = (mine.id_begin, mine.id_end)
        found = found[in_order(mine.booked_at[found], lambda at: texts_of(found[at], places, self._ids))]
        payer, payee, used = numbered_anew(mine.payer[found], mine.payee[found])
        stands_for = np.where(mine.stands_for[found] == found, np.arange(len(found)), UNKNOWN)
        payments = Payments(mine.booked_at[found], mine.amount[found], payer, payee, stands_for, len(used))
        parties = pa.array([self._names[party] for party in used.tolist()], pa.string())
        country = pa.array(list(self._countries), pa.string()).take(pa.array(mine.country[found]))
        own = self._stretches.own[used] == 1
        return Around(payments, parties, own, texts_of(found, places, self._ids), country, np.isin(found, rows))

    def id_of(self, row: int) -> bytes:
        """A payment's transaction_id."""
        return self._ids[self._rows.id_begin[row] : self._rows.id_end[row]].tobytes()

    def names(self, id_high: Words, id_low: Words) -> list[tuple[str | None, str | None] | None]:
        """Payer and payee, as silver writes parties, of the payments with these ids (their fingerprints); None of one that is not there."""
        rows = np.empty(len(id_high), dtype=np.int64)
        by_id.find_all(id_high, id_low, self._rows, self._slots, rows)
        there = rows != NOBODY
        silver = self._silver(rows[there])
        found = iter(zip(silver["payer"].to_pylist(), silver["payee"].to_pylist(), strict=True))
        return [next(found) if known else None for known in there.tolist()]

    def booked_at(self) -> Int64s:
        """When each payment that is there was booked, in no order."""
        count = self.count
        return self._rows.booked_at[:count]

    def arrivals(self, rows: Int64s) -> Arrivals:
        """Some payments as they came."""
        mine = self._rows
        return Arrivals(self._silver(rows), mine.high[rows], mine.low[rows], mine.content[rows])

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
            self._rows = more_rows(self._rows, needed)
            self._rows.asked[:] = UNASKED
        if self._id_bytes + id_bytes > len(self._ids):
            self._ids = longer(self._ids, self._id_bytes + id_bytes)
        if 2 * needed > len(self._slots):
            self._slots = np.full(1 << (4 * needed - 1).bit_length(), NOBODY, dtype=np.int64)
            by_id.hash_all(self.count, self._rows, self._slots)
        if self.parties > len(self._stretches.at):
            self._stretches = Stretches(*(longer(column, self.parties) for column in self._stretches))
        sides = np.concatenate([payer, payee])
        among = int(longest(self._stretches.size, sides)) + 2 * rows
        self._longest = max(self._longest, among)
        needed = int(reserve(self._pool, self._pooled, self._stretches, sides))
        if needed > len(self._pool):
            self._pool = longer(self._pool, needed)
            needed = int(reserve(self._pool, self._pooled, self._stretches, sides))
        self._pooled = needed
        scratch = self._scratch
        if self._longest > len(scratch.entries):
            scratch = new_scratch(2 * self._longest, scratch.met, scratch.first, scratch.last)
        if self.parties > scratch.met.shape[1]:
            parties = len(self._stretches.at)
            first, last = (np.full(parties, NOBODY, dtype=np.int64) for _ in range(2))
            scratch = scratch._replace(met=np.zeros((3, parties), dtype=np.int32), first=first, last=last)
        self._scratch = scratch
        if len(self._ledgers.at) < len(self._stretches.at):
            at = np.full(len(self._stretches.at), NOBODY, dtype=np.int64)
            at[: len(self._ledgers.at)] = self._ledgers.at
            self._ledgers = self._ledgers._replace(at=at, room=longer(self._ledgers.room, len(at) // 2))
        if among > self._hub:
            self._open_ledgers(sides)

    def _open_ledgers(self, sides: Int32s) -> None:
        """Let each of these parties that is a hub, or becomes one with these payments, have a ledger with room for them."""
        while True:
            needed = int(
                hubs.open_ledgers(self._hub, self._entered, sides, self._rows, self._pool, self._stretches, self._ledgers, self._scratch)
            )
            if needed <= len(self._ledgers.other):
                self._entered = needed
                return
            columns = (longer(column, needed * 5 // 8) for column in (self._ledgers.sums, self._ledgers.other, self._ledgers.before))
            self._ledgers = hubs.Ledgers(self._ledgers.at, self._ledgers.room, *columns)

    def _load_first(self, arrivals: Arrivals) -> int:
        """The same as ``load`` for the first payments, all at once; there is no second one of any id among them."""
        silver, count = arrivals.silver, arrivals.silver.num_rows
        booked_at = silver["booked_at"].combine_chunks().view(pa.int64()).to_numpy()
        identifiers = silver["transaction_id"].combine_chunks()
        order = in_order(booked_at, lambda places: identifiers.take(pa.array(places)))
        payer, payee, names = numbered(silver)
        self._name(names.to_pylist())
        ids = from_arrow(identifiers.take(pa.array(order)))
        codes = silver["country"].combine_chunks().dictionary_encode()
        self._countries = {code: number for number, code in enumerate(codes.dictionary.to_pylist())}
        sorted_ones = Sorted(
            booked_at[order], silver["amount_minor"].to_numpy()[order], payer[order], payee[order], codes.indices.to_numpy()[order],
            arrivals.id_high[order], arrivals.id_low[order], arrivals.content[order],
            ids.data[ids.offsets[0] :], ids.offsets.astype(np.int64) - ids.offsets[0],
        )  # fmt: skip
        self._fill(sorted_ones)
        return int(count)

    def _name(self, names: list[str]) -> None:
        self._names = names
        self._numbers = {name: number for number, name in enumerate(names)}

    def _fill(self, given: Sorted) -> None:
        """Lay out the first payments, with room for a quarter more."""
        count = len(given.booked_at)
        mine = new_rows(count + count // 4)
        for name in ("booked_at", "signed", "payer", "payee", "country", "high", "low", "content"):
            getattr(mine, name)[:count] = getattr(given, name)
        mine.amount[:count] = np.abs(given.signed)
        timeline.logs(mine.amount[:count], mine.log[:count])
        mine.stands_for[:count] = legs(given.booked_at, given.signed, given.payer, given.payee)
        mine.label[:], mine.judged[:], mine.asked[:] = UNLABELLED, UNLABELLED, UNASKED
        mine.id_begin[:count], mine.id_end[:count] = given.offsets[:-1], given.offsets[1:]
        self._rows, self.count, self._id_bytes = mine, count, int(given.offsets[-1])
        self._ids = np.zeros(self._id_bytes + self._id_bytes // 4, dtype=np.uint8)
        self._ids[: self._id_bytes] = given.ids[: self._id_bytes]
        entries, begins = entries_of(given.payer, given.payee, np.arange(count), self.parties)
        sizes = np.diff(begins)
        room = sizes + sizes // 4 + 1
        at = np.cumsum(room) - room
        self._pooled = int(room.sum())
        self._pool = np.zeros(self._pooled + self._pooled // 4, dtype=np.int64)
        self._pool[np.arange(len(entries)) + np.repeat(at - begins[:-1], sizes)] = entries >> 1
        self._stretches = Stretches(at, sizes, room, np.zeros_like(sizes), np.zeros_like(sizes))
        booked = np.where(given.signed < 0, given.payer, given.payee)
        self._stretches.own[booked[booked != UNKNOWN]] = 1
        self._longest = int(sizes.max(initial=0))
        nobody = np.zeros(0, dtype=np.int32)
        self._make_room(0, 0, nobody, nobody)
        self._open_ledgers(np.arange(self.parties, dtype=np.int32))


def _untold(status: Int64s, row: Int64s) -> Taken:
    count = len(row)
    return Taken(status, row, np.zeros(count, dtype=np.int64), timeline.nothing(count), np.zeros((count, outcomes.COUNT), dtype=np.int64))
