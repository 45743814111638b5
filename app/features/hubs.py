"""Accounts with many payments: what lies before one of them is known without a walk through all that came before (ADR 0014).

A hub has a ledger beside its stretch of the pool: for each entry what it and all before it come to. What is in a window is the difference
of two places of it. How many different parties are in a window is how many of its entries have none with the same party before them there.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from app.features import timeline
from app.features.outcomes import DELAY_US, SUSPICIOUS, UNLABELLED
from app.features.payments import UNKNOWN, Int32s, Int64s
from app.features.stretches import NOBODY, Bytes, Rows, Scratch, Stretches, place_of
from app.features.timeline import HORIZON_US, NEVER
from app.jit import inlined, kernel

HUB: Final = 1_000
"""An account with more payments is a hub: to walk through fewer is as fast as to look them up."""

_COUNT, _TOTAL, _LOGS, _SQUARES, _BAD, _JUDGED = range(6)
_SUMS: Final = 6
"""What is added up, of what leaves and then of what comes."""
_NO_OTHER: Final = -1
_BEGUN, _ALWAYS = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Ledgers(NamedTuple):
    """By party where its ledger begins, or NOBODY, and its room; by place of a ledger, in the order of the party's stretch, its entries."""

    at: Int64s
    room: Int64s
    sums: Int64s  # [places, 12]: of the entry and all before it; second legs add nothing
    other: Int32s  # 2 · the other party, + 1 if it is paid by it; _NO_OTHER of a second leg, or if there is none
    before: Int64s  # when the entry before with the same ``other`` was booked: _BEGUN if there is none; _ALWAYS without another


def no_ledgers() -> Ledgers:
    """Of no party."""
    none = np.zeros(0, dtype=np.int64)
    return Ledgers(none, none, np.zeros((0, 2 * _SUMS), dtype=np.int64), np.zeros(0, dtype=np.int32), none)


@kernel
def open_ledgers(
    least: int, used: int, sides: Int32s, rows: Rows, pool: Int64s, stretches: Stretches, ledgers: Ledgers, scratch: Scratch
) -> Any:
    """Give each party that has, with its payments among ``sides``, more than ``least`` a ledger with room for them; gives where all end.

    If that is behind the ledgers' places, nothing is done: make them longer, and call again.
    """
    size, coming = stretches.size, stretches.coming
    for side in sides:
        if side != UNKNOWN:
            coming[side] += 1
    needed = used
    for side in sides:
        if side != UNKNOWN and coming[side] > 0:
            count = size[side] + coming[side]
            if count > (least if ledgers.at[side] == NOBODY else ledgers.room[side]):
                needed += count + count // 4
                coming[side] = -coming[side]  # each party once
    end = used
    for side in sides:
        if side != UNKNOWN:
            if coming[side] < 0 and needed <= ledgers.other.size:
                count = size[side] - coming[side]
                if ledgers.at[side] == NOBODY:
                    _fill(side, end, rows, pool, stretches, ledgers, scratch)
                else:
                    for entry in range(size[side]):
                        _copy(ledgers.at[side] + entry, end + entry, ledgers)
                ledgers.at[side] = end
                ledgers.room[side] = count + count // 4
                end += ledgers.room[side]
            coming[side] = 0
    return needed


@kernel
def _fill(side: int, at: int, rows: Rows, pool: Int64s, stretches: Stretches, ledgers: Ledgers, scratch: Scratch) -> None:
    met = (scratch.first, scratch.last)
    begin = stretches.at[side]
    for entry in range(stretches.size[side]):
        row, place = pool[begin + entry], at + entry
        direction = int(rows.payee[row] == side)
        _lay(place, entry == 0, ledgers)
        if rows.stands_for[row] != row:
            continue
        _add(row, direction, place, place + 1, 1, rows.judged[row], rows, ledgers)
        other = rows.payer[row] if direction else rows.payee[row]
        if other != UNKNOWN:
            last = met[direction][other]
            ledgers.other[place] = 2 * other + direction
            ledgers.before[place] = _BEGUN if last == NOBODY else rows.booked_at[pool[begin + last]]
            met[direction][other] = entry
    for entry in range(stretches.size[side]):
        row = pool[begin + entry]
        for other in (rows.payer[row], rows.payee[row]):
            if other != UNKNOWN:
                met[0][other] = NOBODY
                met[1][other] = NOBODY


@inlined
def _lay(place: int, first: bool, ledgers: Ledgers) -> None:
    """An entry that adds nothing to those before it."""
    for column in range(2 * _SUMS):
        ledgers.sums[place, column] = 0 if first else ledgers.sums[place - 1, column]
    ledgers.other[place] = _NO_OTHER
    ledgers.before[place] = _ALWAYS


@inlined
def _copy(place: int, to: int, ledgers: Ledgers) -> None:
    for column in range(2 * _SUMS):
        ledgers.sums[to, column] = ledgers.sums[place, column]
    ledgers.other[to] = ledgers.other[place]
    ledgers.before[to] = ledgers.before[place]


@inlined
def _add(row: int, direction: int, begin: int, end: int, by: int, label: int, rows: Rows, ledgers: Ledgers) -> None:
    """Add a payment, or take it away (-1), at all places from its own to the end."""
    amount, log, first = by * rows.amount[row], rows.log[row], _SUMS * direction
    bad, judged = by * (label == SUSPICIOUS), by * (label != UNLABELLED)
    for place in range(begin, end):
        ledgers.sums[place, first + _COUNT] += by
        ledgers.sums[place, first + _TOTAL] += amount
        ledgers.sums[place, first + _LOGS] += by * log
        ledgers.sums[place, first + _SQUARES] += by * log * log
        ledgers.sums[place, first + _BAD] += bad
        ledgers.sums[place, first + _JUDGED] += judged


@inlined
def _since(instant: int, begin: int, end: int, rows: Rows, pool: Int64s) -> Any:
    """The first place of the pool from ``begin`` on that was booked at an instant or later; ``end`` if there is none."""
    while begin < end:
        middle = (begin + end) // 2
        if rows.booked_at[pool[middle]] < instant:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel
def enter(row: int, side: int, entry: int, rows: Rows, pool: Int64s, stretches: Stretches, ledgers: Ledgers) -> None:
    """Take in a payment that has just been put into the party's stretch, as its ``entry``."""
    at = ledgers.at[side]
    for place in range(at + stretches.size[side] - 1, at + entry, -1):
        _copy(place - 1, place, ledgers)
    _lay(at + entry, entry == 0, ledgers)
    count(row, side, entry, 1, rows.judged[row], rows, pool, stretches, ledgers)


@kernel
def count(row: int, side: int, entry: int, by: int, label: int, rows: Rows, pool: Int64s, stretches: Stretches, ledgers: Ledgers) -> None:
    """Let a payment with this label count from its entry on, or no more (-1)."""
    at, begin, size = ledgers.at[side], stretches.at[side], stretches.size[side]
    direction = int(rows.payee[row] == side)
    _add(row, direction, at + entry, at + size, by, label, rows, ledgers)
    other = rows.payer[row] if direction else rows.payee[row]
    if other == UNKNOWN:
        return
    code = np.int32(2 * other + direction)
    later = entry + 1
    while later < size and ledgers.other[at + later] != code:
        later += 1
    if by > 0:
        oldest = _since(rows.booked_at[row] - timeline.WINDOWS_US[timeline.W7D], begin, begin + entry, rows, pool) - begin
        earlier = entry - 1
        while earlier >= oldest and ledgers.other[at + earlier] != code:  # nobody asks whether one lies before
            earlier -= 1
        there = earlier >= oldest
        ledgers.other[at + entry] = code
        ledgers.before[at + entry] = rows.booked_at[pool[begin + earlier]] if there else _BEGUN
        if later < size:
            ledgers.before[at + later] = rows.booked_at[row]
    else:
        if later < size:
            ledgers.before[at + later] = ledgers.before[at + entry]
        ledgers.other[at + entry] = _NO_OTHER
        ledgers.before[at + entry] = _ALWAYS


@kernel
def judge(rows: Rows, pool: Int64s, stretches: Stretches, ledgers: Ledgers) -> None:
    """Add up anew what was decided."""
    for side in range(ledgers.at.size):
        if ledgers.at[side] == NOBODY:
            continue
        for direction in range(2):
            bad = judged = counted = 0
            for entry in range(stretches.size[side]):
                sums = ledgers.sums[ledgers.at[side] + entry]
                if sums[_SUMS * direction + _COUNT] != counted:
                    counted = sums[_SUMS * direction + _COUNT]
                    label = rows.judged[pool[stretches.at[side] + entry]]
                    bad += label == SUSPICIOUS
                    judged += label != UNLABELLED
                sums[_SUMS * direction + _BAD] = bad
                sums[_SUMS * direction + _JUDGED] = judged


@inlined
def _between(at: int, begin: int, end: int, column: int, ledgers: Ledgers) -> Any:
    """What the entries from ``begin`` to before ``end`` come to."""
    upto = ledgers.sums[at + end - 1, column] if end else 0
    return upto - (ledgers.sums[at + begin - 1, column] if begin else 0)


@inlined
def _reaches(at: int, begin: int, end: int, direction: int, counted: int, ledgers: Ledgers) -> Any:
    """The first entry by which so many have been counted."""
    while begin < end:
        middle = (begin + end) // 2
        if ledgers.sums[at + middle, _SUMS * direction + _COUNT] < counted:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel
def look_up(
    row: int, side: int, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches, ledgers: Ledgers, scratch: Scratch,
    facts: Int64s, judged: Int64s,
) -> None:  # fmt: skip
    """Write what lies before a payment (no second leg) of a hub, as ``timeline.tell`` and ``outcomes.tell`` do."""
    at, begin = ledgers.at[side], stretches.at[side]
    here = place_of(row, begin, begin + stretches.size[side], rows, ids, pool) - begin
    begun, now = scratch.state[0], int(rows.booked_at[row])
    end = begin + here
    for window in range(timeline.WINDOWS):
        end = _since(now - timeline.WINDOWS_US[window], begin, end, rows, pool)
        begun[window] = end - begin
    oldest = _stand_at(side, here, rows, pool, stretches, ledgers, scratch)
    _count_different(at, begun[timeline.W7D], here, now - timeline.WINDOWS_US[timeline.W7D], ledgers, scratch)
    if rows.payer[row] == side:
        payee = rows.payee[row]
        if payee != UNKNOWN:
            scratch.met[timeline.EVER, payee] = _paid(row, begun[timeline.WALL], here, rows, ids, pool, stretches, ledgers)
        timeline.tell_of_payer(facts, now, oldest, payee, scratch.met, scratch.state)
        if payee != UNKNOWN:
            scratch.met[timeline.EVER, payee] = 0
    else:
        timeline.tell_of_payee(facts, now, oldest, scratch.state)
    direction = int(rows.payer[row] != side)
    known = _since(now - DELAY_US + 1, begin, begin + here, rows, pool) - begin
    known = max(known, begun[timeline.WALL])
    for way in range(2):
        judged[2 * direction + way] = _between(at, begun[timeline.WALL], known, _SUMS * way + _BAD, ledgers)
        judged[4 + 2 * direction + way] = _between(at, begun[timeline.WALL], known, _SUMS * way + _JUDGED, ledgers)


@inlined
def _stand_at(side: int, here: int, rows: Rows, pool: Int64s, stretches: Stretches, ledgers: Ledgers, scratch: Scratch) -> Any:
    """Let the state be that of a walk that has come to an entry of the hub's; gives when the oldest one in the horizon was booked."""
    begun, number, total, more = scratch.state
    at, begin, first = ledgers.at[side], stretches.at[side], begun[timeline.WALL]
    oldest = NEVER
    for way in range(2):
        column = _SUMS * way
        for window in range(timeline.WINDOWS):
            number[way, window] = _between(at, begun[window], here, column + _COUNT, ledgers)
            total[way, window] = _between(at, begun[window], here, column + _TOTAL, ledgers)
        more[way, timeline.LOGS] = _between(at, first, here, column + _LOGS, ledgers)
        more[way, timeline.SQUARES] = _between(at, first, here, column + _SQUARES, ledgers)
        more[way, timeline.LAST] = NEVER
        if number[way, timeline.WALL]:
            counted = ledgers.sums[at + here - 1, column + _COUNT]
            last = _reaches(at, first, here, way, counted, ledgers)
            more[way, timeline.LAST] = rows.booked_at[pool[begin + last]]
            other = _reaches(at, first, here, way, counted - number[way, timeline.WALL] + 1, ledgers)
            instant = int(rows.booked_at[pool[begin + other]])
            if oldest == NEVER or instant < oldest:
                oldest = instant
    return oldest


@inlined
def _count_different(at: int, begin: int, end: int, since: int, ledgers: Ledgers, scratch: Scratch) -> None:
    """How many different parties the last 7 days' entries are with."""
    both = came = 0
    for place in range(at + begin, at + end):
        fresh = int(ledgers.before[place] < since)
        both += fresh
        came += fresh & (ledgers.other[place] & 1)
    more = scratch.state[3]
    more[0, timeline.DISTINCT] = both - came
    more[1, timeline.DISTINCT] = came


@inlined
def _paid(row: int, begin: int, here: int, rows: Rows, ids: Bytes, pool: Int64s, stretches: Stretches, ledgers: Ledgers) -> Any:
    """How often a payment's payer, a hub, has paid its payee before, in the horizon: by the payee's payments, if they are fewer."""
    payer, payee = rows.payer[row], rows.payee[row]
    if ledgers.at[payee] != NOBODY:
        return _times(ledgers.at[payer] + begin, ledgers.at[payer] + here, 2 * payee, ledgers)
    oldest, times = rows.booked_at[row] - HORIZON_US, 0
    place = place_of(row, stretches.at[payee], stretches.at[payee] + stretches.size[payee], rows, ids, pool) - 1
    while place >= stretches.at[payee] and rows.booked_at[pool[place]] >= oldest:
        other = pool[place]
        times += rows.payer[other] == payer and rows.stands_for[other] == other
        place -= 1
    return times


@inlined
def _times(begin: int, end: int, other: int, ledgers: Ledgers) -> Any:
    code, times = np.int32(other), 0
    for place in range(begin, end):
        times += ledgers.other[place] == code
    return times
