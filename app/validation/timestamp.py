"""Instants of booking: ISO 8601 texts made into microseconds since 1970 in UTC."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, fault_numbers
from app.jit import inlined, kernel
from app.reference.zones import Zone

_MISSING = 1
_FORMAT = 2
_IMPOSSIBLE = 3
_PRECISION = 4
_NO_ZONE = 5
_RANGE = 6
_NONEXISTENT = 7
_AMBIGUOUS = 8

_SECOND = 1_000_000  # µs
_DAY = 86_400 * _SECOND
_END = 47_482 * _DAY  # 2100-01-01
_OFFSET_MAX = 14 * 60  # minutes: no zone on earth is further from UTC than Kiribati


@dataclass(frozen=True)
class Instants:
    """``booked_at``: µs since 1970-01-01T00:00Z; ``booking_date``: days since then; both 0 where the text is objected to."""

    booked_at: npt.NDArray[np.int64]
    booking_date: npt.NDArray[np.int32]


def check(text: Text, zone: Zone | None) -> tuple[Instants, Codes]:
    """The instants, and the reasons' numbers. ``zone`` is the one that texts without a zone are in.

    ISO 8601-1:2019, section 5.4.2.1, and RFC 3339, section 5.6: ``YYYY-MM-DDThh:mm[:ss[.f]]`` and ``Z``, ``±hh:mm``, ``±hhmm`` or
    ``±hh``. T may be t or one space, Z may be z, the decimal sign may be a comma; f has 1 to 9 digits, of which those after
    the sixth are zeros. Days and months are never guessed. The calendar is the proleptic Gregorian one (ISO 8601-1, 4.2.1).
    RFC 3339 has no hour 24, and a leap second (:60) has no instant of its own among microseconds since 1970: both are
    impossible here. A local time that the clocks skipped, or showed twice, is refused, since any choice would be a guess.
    """
    rows = len(text)
    instants = Instants(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int32))
    codes = np.zeros(rows, dtype=np.uint8)
    faults = fault_numbers(
        "timestamp", "missing", "format", "impossible", "precision", "no_zone", "range", "nonexistent_local", "ambiguous_local"
    )
    zone = Zone(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)) if zone is None else zone
    _check(text.data, text.offsets, zone.starts, zone.offsets, faults, instants.booked_at, instants.booking_date, codes)
    return instants, codes


@kernel
def _check(
    data: Bytes,
    offsets: Offsets,
    zone_starts: npt.NDArray[np.int64],
    zone_offsets: npt.NDArray[np.int64],
    faults: Codes,
    booked_at: npt.NDArray[np.int64],
    booking_date: npt.NDArray[np.int32],
    codes: Codes,
) -> None:
    for row in range(codes.size):
        fault, instant = _read(data, offsets[row], offsets[row + 1])
        if fault == _NO_ZONE and zone_starts.size > 0:
            fault, instant = _from_local(instant, zone_starts, zone_offsets)
        if fault == 0 and (instant < 0 or instant >= _END):
            fault = _RANGE
        if fault == 0:
            booked_at[row] = instant
            booking_date[row] = instant // _DAY
        codes[row] = faults[fault]


@inlined
def _read(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The fault and the instant; with _NO_ZONE the local time, as if it were UTC."""
    if at == end:
        return _MISSING, 0
    if end - at < 16:  # YYYY-MM-DDThh:mm
        return _FORMAT, 0
    between = data[at + 10]
    written = data[at + 4] == 45 and data[at + 7] == 45 and between in (32, 84, 116) and data[at + 13] == 58
    year = _number(data, at, 4)
    month = _number(data, at + 5, 2)
    day = _number(data, at + 8, 2)
    hour = _number(data, at + 11, 2)
    minute = _number(data, at + 14, 2)
    at += 16
    second = 0
    fraction = 0  # in 10^-9 s
    if at < end and data[at] == 58:
        second = _number(data, at + 1, 2) if end - at >= 3 else -1
        at += 3
        if at < end and (data[at] == 46 or data[at] == 44):
            fraction, at = _fraction(data, at + 1, end)
    fault, offset = _offset(data, at, end)
    if not written or (year | month | day | hour | minute | second | fraction) < 0:
        return _FORMAT, 0
    if fault in (0, _NO_ZONE):
        if month < 1 or month > 12 or day < 1 or day > _days_in(year, month) or hour > 23 or minute > 59 or second > 59:
            fault = _IMPOSSIBLE
        elif fraction % 1000 != 0:
            fault = _PRECISION
    if fault not in (0, _NO_ZONE):
        return fault, 0
    seconds = _days(year, month, day) * 86_400 + (hour * 60 + minute - offset) * 60 + second
    return fault, seconds * _SECOND + fraction // 1000


@inlined
def _number(data: Bytes, at: int, digits: int) -> int:
    """The number that the digits at ``at`` write, or -1."""
    value = 0
    wrong = False
    for i in range(digits):
        digit = int(data[at + i]) - 48
        wrong |= digit < 0 or digit > 9
        value = value * 10 + digit
    return -1 if wrong else value


@inlined
def _fraction(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The fraction of a second at ``at`` in 10^-9 s, or -1; and where it ends."""
    value = 0
    digits = 0
    while at < end and 48 <= data[at] <= 57 and digits < 9:
        value = value * 10 + (int(data[at]) - 48)
        digits += 1
        at += 1
    if digits == 0:
        return -1, at
    for _ in range(9 - digits):
        value *= 10
    return value, at


@inlined
def _offset(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The fault and the zone's minutes east of UTC that the rest of the text writes."""
    length = end - at
    if length == 0:
        return _NO_ZONE, 0
    if length == 1 and (data[at] == 90 or data[at] == 122):
        return 0, 0
    colon = 1 if length == 6 else 0
    if length not in (3, 5, 6) or data[at] not in (43, 45) or (colon and data[at + 3] != 58):
        return _FORMAT, 0
    hours = _number(data, at + 1, 2)
    minutes = 0 if length == 3 else _number(data, at + 3 + colon, 2)
    if hours < 0 or minutes < 0:
        return _FORMAT, 0
    offset = hours * 60 + minutes
    if minutes > 59 or offset > _OFFSET_MAX:
        return _IMPOSSIBLE, 0
    return 0, -offset if data[at] == 45 else offset


@inlined
def _days_in(year: int, month: int) -> int:
    """How many days the month has."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@inlined
def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01; a year that begins in March has its leap day last."""
    since_march = (month + 9) % 12
    year -= since_march // 10
    return year * 365 + year // 4 - year // 100 + year // 400 + (since_march * 306 + 5) // 10 + day - 719_469


@inlined
def _from_local(local: int, starts: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> tuple[int, int]:
    """The fault and the instant at which clocks of the zone showed ``local``: it must be one, and only one."""
    near = int(np.searchsorted(starts, local))
    matches = 0
    instant = 0
    # Offsets are less than a day and periods longer, so only the neighbours of the period that has ``local`` as UTC matter.
    for period in range(max(near - 2, 0), min(near + 2, starts.size)):
        candidate = local - offsets[period]
        if candidate >= starts[period] and (period + 1 == starts.size or candidate < starts[period + 1]):
            matches += 1
            instant = candidate
    if matches == 1:
        return 0, instant
    return (_NONEXISTENT if matches == 0 else _AMBIGUOUS), 0
