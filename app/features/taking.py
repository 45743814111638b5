"""The kernels that take payments in, one by one, and tell what lies before them."""

from typing import Final

from app.features import hubs, outcomes, timeline
from app.features.by_id import find, put
from app.features.hubs import Ledgers
from app.features.outcomes import UNLABELLED
from app.features.payments import DAY_US, UNKNOWN, Int32s, Int64s, pair
from app.features.stretches import NOBODY, Bytes, Rows, Scratch, Stretches, Words, comes_last, insert, place_of, precedes
from app.features.timeline import HORIZON_US, UNASKED
from app.jit import inlined, kernel

NEW, SAME, CONFLICT = range(3)
"""What a payment is: not seen before; seen with this content; its id was seen with another content."""

_FEW: Final = 16
_AS_MUCH: Final = 64
"""To look one payment of a hub up costs at most as much as to walk through so many."""


@kernel
def _find_legs(row: int, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches, ledgers: Ledgers, scratch: Scratch) -> None:
    """Which payments of the row's day stand for which, now that the row is there; no other day is touched (``payments.legs``)."""
    payer, payee = rows.payer[row], rows.payee[row]
    at, size = stretches.at, stretches.size
    side = payer if size[payer] <= size[payee] else payee
    day = rows.booked_at[row] // DAY_US
    here = place_of(row, at[side], at[side] + size[side], rows, ids, pool)
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
        other = scratch.entries[place]
        scratch.stood_for[place], scratch.were_judged[place] = rows.stands_for[other], rows.judged[other]
        rows.stands_for[other] = other
        rows.judged[other] = UNLABELLED
    pair(scratch.entries[:alike], rows.booked_at, rows.signed, rows.payer, rows.payee, scratch.waiting, rows.stands_for)
    for place in range(alike):
        other = scratch.entries[place]
        first = rows.stands_for[other]
        rows.judged[first] = max(rows.judged[first], rows.label[other])
    for side in (payer, payee):
        if ledgers.at[side] != NOBODY:
            for place in range(alike):
                _count_again(place, side, rows, ids, pool, stretches, ledgers, scratch)


@inlined
def _count_again(
    place: int, side: int, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches, ledgers: Ledgers, scratch: Scratch
) -> None:
    """Tell a hub's ledger whether one of the payments that are alike counts now, and as what, if that has changed."""
    row = scratch.entries[place]
    counted, counts = scratch.stood_for[place] == row, rows.stands_for[row] == row
    if counted == counts and scratch.were_judged[place] == rows.judged[row]:
        return
    begin = stretches.at[side]
    entry = place_of(row, begin, begin + stretches.size[side], rows, ids, pool) - begin
    if counted:
        hubs.count(row, side, entry, -1, scratch.were_judged[place], rows, pool, stretches, ledgers)
    if counts:
        hubs.count(row, side, entry, 1, rows.judged[row], rows, pool, stretches, ledgers)


@kernel
def _tell(
    begin: int, stop: int, wanted: Int64s, status: Int64s, labels: bool, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches,
    ledgers: Ledgers, scratch: Scratch, facts: Int64s, judged: Int64s,
) -> None:  # fmt: skip
    """Write what lies before ``wanted[begin:stop]`` to the same places of ``facts`` and ``judged``; each party is walked through once.

    What lies before a few payments of a hub is looked up.
    """
    first, last, coming = scratch.first, scratch.last, stretches.coming
    for i in range(begin, stop):
        asked = rows.stands_for[wanted[i]]
        if status[i] == CONFLICT or rows.asked[asked] != UNASKED:
            continue
        rows.asked[asked] = i
        for side in (rows.payer[asked], rows.payee[asked]):
            if side != UNKNOWN:
                coming[side] += 1
                if first[side] == NOBODY or precedes(asked, first[side], rows, ids):
                    first[side] = asked
                if last[side] == NOBODY or precedes(last[side], asked, rows, ids):
                    last[side] = asked
    for i in range(begin, stop):
        asked = rows.stands_for[wanted[i]]
        if status[i] == CONFLICT or rows.asked[asked] != i:
            continue
        for side in (rows.payer[asked], rows.payee[asked]):
            if side != UNKNOWN and ledgers.at[side] != NOBODY and coming[side] <= max(_FEW, stretches.size[side] // _AS_MUCH):
                hubs.look_up(asked, side, rows, ids, pool, stretches, ledgers, scratch, facts[i], judged[i])
            elif side != UNKNOWN and first[side] != NOBODY:
                _walk(side, labels, rows, ids, pool, stretches, scratch, facts, judged)
                first[side] = NOBODY
                last[side] = NOBODY
    for i in range(begin, stop):
        asked = rows.stands_for[wanted[i]]
        for side in (rows.payer[asked], rows.payee[asked]):
            if side != UNKNOWN:
                first[side] = last[side] = NOBODY
                coming[side] = 0
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
    side: int,
    labels: bool,
    rows: Rows,
    ids: Bytes,
    pool: Int64s,
    stretches: Stretches,
    scratch: Scratch,
    facts: Int64s,
    judged: Int64s,
) -> None:
    """Walk through a party's payments, from a horizon before the first that is asked about to the last one."""
    begin, end = stretches.at[side], stretches.at[side] + stretches.size[side]
    here = place_of(scratch.last[side], begin, end, rows, ids, pool)
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
def tell_all(
    wanted: Int64s, status: Int64s, labels: bool, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches, ledgers: Ledgers,
    scratch: Scratch, booked_at: Int64s, facts: Int64s, judged: Int64s,
) -> None:  # fmt: skip
    """The same for all of ``wanted``."""
    for i in range(wanted.size):
        booked_at[i] = rows.booked_at[rows.stands_for[wanted[i]]]
    _tell(0, wanted.size, wanted, status, labels, rows, ids, pool, stretches, ledgers, scratch, facts, judged)


@kernel
def take(
    now: tuple[int, int, bool, bool], rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches, ledgers: Ledgers,
    slots: Int64s, scratch: Scratch, numbers: tuple[Int64s, Int64s], parties: tuple[Int32s, Int32s, Int32s],
    prints: tuple[Words, Words, Words], texts: Bytes, offsets: Int32s, out: tuple[Int64s, Int64s, Int64s], facts: Int64s, judged: Int64s,
) -> tuple[int, int]:  # fmt: skip
    """Take in payments one by one; gives how many rows and how many bytes of ids there are then.

    What lies before them is told later, together, unless one comes that lies before others: those before it are told first.
    """
    count, id_bytes, tell, labels = now
    status, place, booked_at = out
    untold = 0
    for i in range(status.size):
        row = find(prints[0][i], prints[1][i], rows, slots)
        status[i] = NEW if row == NOBODY else SAME if rows.content[row] == prints[2][i] else CONFLICT
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
            put(row, rows, slots)
            if tell and untold < i and not comes_last(row, rows, ids, pool, stretches):
                _tell(untold, i, place, status, labels, rows, ids, pool, stretches, ledgers, scratch, facts, judged)
                untold = i
            for side in (rows.payer[row], rows.payee[row]):
                if side != UNKNOWN:
                    entry = insert(row, side, rows, ids, pool, stretches)
                    if ledgers.at[side] != NOBODY:
                        hubs.enter(row, side, entry, rows, pool, stretches, ledgers)
            booked = rows.payer[row] if rows.signed[row] < 0 else rows.payee[row]
            if booked != UNKNOWN:
                stretches.own[booked] = 1
            if rows.payer[row] != UNKNOWN and rows.payee[row] != UNKNOWN:
                _find_legs(row, rows, ids, pool, stretches, ledgers, scratch)
        place[i] = row
        if status[i] != CONFLICT:
            booked_at[i] = rows.booked_at[rows.stands_for[row]]
    if tell:
        _tell(untold, status.size, place, status, labels, rows, ids, pool, stretches, ledgers, scratch, facts, judged)
    return count, id_bytes
