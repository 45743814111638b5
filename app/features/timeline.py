"""What lies before each payment on its two accounts: exact windows over whole numbers, one pass over each account.

A batch, a new day and one request all call ``look_back``. They differ only in which payments they ask about.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from app.features.payments import DAY_US, UNKNOWN, Int32s, Int64s, Payments
from app.jit import inlined, kernel

_HOUR_US: Final = 3_600 * 1_000_000

HORIZON_US: Final = 180 * DAY_US
"""How far anything looks back: what is older changes no number."""

NEVER: Final = -1
"""In place of a time that there is not."""

FACTS: Final = 25
# What is known of a payment's past: the columns of what ``look_back`` gives.
(
    PAYER_OUT_1H,
    PAYER_OUT_24H,
    PAYER_OUT_7D,
    PAYER_OUT_30D,
    PAYER_OUT_SUM_24H,
    PAYER_OUT_SUM_30D,
    PAYER_PAYEES_7D,
    PAYER_SINCE_OUT,
    PAYER_AGE,
    PAYER_IN_SUM_24H,
    PAYER_SINCE_IN,
    PAYER_PAYERS_7D,
    PAYER_PAID_PAYEE,
    PAYER_OUTS,
    PAYER_OUT_LOGS,
    PAYER_OUT_SQUARES,
    PAYEE_IN_24H,
    PAYEE_IN_7D,
    PAYEE_IN_30D,
    PAYEE_IN_SUM_7D,
    PAYEE_PAYERS_7D,
    PAYEE_AGE,
    PAYEE_INS,
    PAYEE_IN_LOGS,
    PAYEE_IN_SQUARES,
) = range(FACTS)

Values = tuple[Int64s, Int64s, Int64s]  # booked_at, amount, its logarithm
Sides = tuple[Int32s, Int32s]  # payer, payee
State = tuple[Int64s, Int64s, Int64s, Int64s]

UNASKED: Final = -1
"""The place of a row whose facts nobody wants."""
_OUT, _IN = 0, 1
_1H, _24H, W7D, _30D, WALL = range(5)
WINDOWS: Final = 5
WINDOWS_US: Final = (_HOUR_US, DAY_US, 7 * DAY_US, 30 * DAY_US, HORIZON_US)
EVER: Final = 2  # the row of ``met`` for payees in the whole horizon; rows 0 and 1 are of the last 7 days, by direction


OF_PAYER: Final = tuple(range(PAYEE_IN_24H))
"""What is known from the payer's payments alone; the rest is known from the payee's."""
OF_PAYEE: Final = tuple(range(PAYEE_IN_24H, FACTS))


def nothing(rows: int) -> Int64s:
    """What is known where nothing is: int64[rows, FACTS]."""
    facts = np.zeros((rows, FACTS), dtype=np.int64)
    facts[:, [PAYER_SINCE_OUT, PAYER_AGE, PAYER_SINCE_IN, PAYEE_AGE]] = NEVER
    return facts


def look_back(payments: Payments, wanted: Int64s | None = None) -> Int64s:
    """For each ``wanted`` row, all if None, the FACTS about the payments strictly before it: int64[wanted, FACTS].

    Counts; sums in minor units; times in µs, or NEVER; sums of logarithms and of their squares, as ``log_units`` makes them. A window of
    length w holds what was booked at most w before. Nothing is known of an unknown party: 0, and NEVER.
    """
    entries, begins = payments.timelines()
    asked = payments.stands_for if wanted is None else payments.stands_for[wanted]
    place = np.full(len(payments), UNASKED, dtype=np.int64)
    place[asked] = 0
    told = np.flatnonzero(place == 0)
    place[told] = np.arange(len(told))
    facts = nothing(len(told))
    log = np.empty(len(payments), dtype=np.int64)
    logs(payments.amount, log)
    tell(
        (payments.booked_at, payments.amount, log),
        (payments.payer, payments.payee),
        entries,
        begins,
        place,
        np.zeros((3, payments.parties), dtype=np.int32),
        state(),
        facts,
    )
    return facts[place[asked]]


@inlined
def log_units(amount: int) -> int:
    """ln(1 + amount) in thousandths, rounded: whole numbers add up to the same sum in any order."""
    return math.floor(math.log1p(float(amount)) * 1000.0 + 0.5)


@kernel
def logs(amount: Int64s, out: Int64s) -> None:
    """``log_units`` of each amount."""
    for i in range(amount.size):
        out[i] = log_units(amount[i])


# What the kernel holds of one party while it walks through its payments. By window: the first place inside (int64[window]). By direction
# and window: how many payments and what sum. By direction: the rest.
DISTINCT, LOGS, SQUARES, LAST = range(4)


def state() -> State:
    """What ``tell`` works in."""
    begun = np.zeros(WINDOWS, dtype=np.int64)
    count, total = (np.zeros((2, WINDOWS), dtype=np.int64) for _ in range(2))
    return begun, count, total, np.zeros((2, 4), dtype=np.int64)


@kernel
def tell(
    values: Values, sides: Sides, entries: Int64s, begins: Int64s, asked: Int64s, met: npt.NDArray[np.int32], state: State, facts: Int64s
) -> None:
    """Walk through each party's entries, and write the facts of the rows that are ``asked`` for (by row its place in ``facts``).

    ``met`` has a column for each party, all zero, and is so again in the end.
    """
    begun, count, total, more = state
    for party in range(begins.size - 1):
        begin, end = begins[party], begins[party + 1]
        while begin < end and asked[entries[end - 1] >> 1] == UNASKED:
            end -= 1  # what comes after the last one asked for changes nothing
        if begin == end:
            continue
        _begin(begin, values, entries, asked, begun)
        count[:] = 0
        total[:] = 0
        more[:] = 0
        more[:, LAST] = NEVER
        for place in range(begin, end):
            row, direction = entries[place] >> 1, entries[place] & 1
            if asked[row] != UNASKED:
                for window in range(WINDOWS):
                    while begun[window] < place and values[0][row] - values[0][entries[begun[window]] >> 1] > WINDOWS_US[window]:
                        _forget(entries[begun[window]], window, values, sides, met, state)
                        begun[window] += 1
                now = int(values[0][row])
                oldest = int(values[0][entries[begun[WALL]] >> 1]) if begun[WALL] < place else NEVER
                if direction == _OUT:
                    tell_of_payer(facts[asked[row]], now, oldest, sides[1][row], met, state)
                else:
                    tell_of_payee(facts[asked[row]], now, oldest, state)
            _remember(place, entries[place], values, sides, met, state)
        for place in range(begin, end):
            other = sides[1 - (entries[place] & 1)][entries[place] >> 1]
            if other != UNKNOWN:
                met[:, other] = 0


@inlined
def _begin(begin: int, values: Values, entries: Int64s, asked: Int64s, begun: Int64s) -> None:
    """Where each window of the first row that is asked for begins: what lies before is never taken into it."""
    first = begin
    while asked[entries[first] >> 1] == UNASKED:
        first += 1
    now, place = values[0][entries[first] >> 1], begin
    for window in range(WALL, -1, -1):
        while place < first and now - values[0][entries[place] >> 1] > WINDOWS_US[window]:
            place += 1
        begun[window] = place


@inlined
def _remember(place: int, entry: int, values: Values, sides: Sides, met: npt.NDArray[np.int32], state: State) -> None:
    """Take a payment into every window that has begun."""
    begun, count, total, more = state
    row, direction = entry >> 1, entry & 1
    if place < begun[WALL]:
        return
    for window in range(WALL, -1, -1):
        if place < begun[window]:
            break
        count[direction, window] += 1
        total[direction, window] += values[1][row]
    more[direction, LOGS] += values[2][row]
    more[direction, SQUARES] += values[2][row] * values[2][row]
    more[direction, LAST] = values[0][row]
    other = sides[1 - direction][row]
    if other != UNKNOWN:
        if place >= begun[W7D]:
            more[direction, DISTINCT] += met[direction, other] == 0
            met[direction, other] += 1
        if direction == _OUT:
            met[EVER, other] += 1


@inlined
def _forget(entry: int, window: int, values: Values, sides: Sides, met: npt.NDArray[np.int32], state: State) -> None:
    """Let a payment fall out of one window."""
    _, count, total, more = state
    row, direction = entry >> 1, entry & 1
    count[direction, window] -= 1
    total[direction, window] -= values[1][row]
    other = sides[1 - direction][row]
    if window == W7D and other != UNKNOWN:
        met[direction, other] -= 1
        more[direction, DISTINCT] -= met[direction, other] == 0
    elif window == WALL:
        more[direction, LOGS] -= values[2][row]
        more[direction, SQUARES] -= values[2][row] * values[2][row]
        if direction == _OUT and other != UNKNOWN:
            met[EVER, other] -= 1


@inlined
def _since(now: int, then: int) -> int:
    return now - then if then != NEVER and now - then <= HORIZON_US else NEVER


@inlined
def tell_of_payer(facts: Int64s, now: int, oldest: int, payee: int, met: npt.NDArray[np.int32], state: State) -> None:
    """Write what the state says of a payment's payer."""
    _, count, total, more = state
    facts[PAYER_OUT_1H] = count[_OUT, _1H]
    facts[PAYER_OUT_24H] = count[_OUT, _24H]
    facts[PAYER_OUT_7D] = count[_OUT, W7D]
    facts[PAYER_OUT_30D] = count[_OUT, _30D]
    facts[PAYER_OUT_SUM_24H] = total[_OUT, _24H]
    facts[PAYER_OUT_SUM_30D] = total[_OUT, _30D]
    facts[PAYER_PAYEES_7D] = more[_OUT, DISTINCT]
    facts[PAYER_SINCE_OUT] = _since(now, more[_OUT, LAST])
    facts[PAYER_AGE] = _since(now, oldest)
    facts[PAYER_IN_SUM_24H] = total[_IN, _24H]
    facts[PAYER_SINCE_IN] = _since(now, more[_IN, LAST])
    facts[PAYER_PAYERS_7D] = more[_IN, DISTINCT]
    facts[PAYER_PAID_PAYEE] = met[EVER, payee] if payee != UNKNOWN else 0
    facts[PAYER_OUTS] = count[_OUT, WALL]
    facts[PAYER_OUT_LOGS] = more[_OUT, LOGS]
    facts[PAYER_OUT_SQUARES] = more[_OUT, SQUARES]


@inlined
def tell_of_payee(facts: Int64s, now: int, oldest: int, state: State) -> None:
    """Write what the state says of a payment's payee."""
    _, count, total, more = state
    facts[PAYEE_IN_24H] = count[_IN, _24H]
    facts[PAYEE_IN_7D] = count[_IN, W7D]
    facts[PAYEE_IN_30D] = count[_IN, _30D]
    facts[PAYEE_IN_SUM_7D] = total[_IN, W7D]
    facts[PAYEE_PAYERS_7D] = more[_IN, DISTINCT]
    facts[PAYEE_AGE] = _since(now, oldest)
    facts[PAYEE_INS] = count[_IN, WALL]
    facts[PAYEE_IN_LOGS] = more[_IN, LOGS]
    facts[PAYEE_IN_SQUARES] = more[_IN, SQUARES]
