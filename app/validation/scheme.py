"""What the rules of a payment's scheme say beyond its fields: how large it may be, and how its reference is written.

All are warnings. A payment that was booked has happened, whatever its scheme says: it must be looked at, and never be left out.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes, number_of
from app.jit import inlined, kernel
from app.reference.channel_limits import channel_limits

_EPOCH = date(1970, 1, 1)
_REFERENCE_CHANNELS = ("BACS", "FPS")
_REFERENCE_LENGTH = 18
_REFERENCE_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.&/- "

_Numbers = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class _Limits:
    channel: _Words  # bytes as one word
    currency: _Words
    day: _Numbers  # since 1970
    most: _Numbers  # minor units


def check_limit(channel: Text, currency: Text, amount_minor: _Numbers, booking_date: npt.NDArray[np.int32]) -> Codes:
    """amount_channel_limit where an amount is larger than its channel could carry on its booking date."""
    codes = np.zeros(len(channel), dtype=np.uint8)
    limits = _limits()
    _check_limit(
        (channel.data, currency.data),
        (channel.offsets, currency.offsets),
        amount_minor,
        booking_date,
        (limits.channel, limits.currency, limits.day, limits.most),
        int(limits.most.min()),
        number_of("amount_channel_limit"),
        codes,
    )
    return codes


def check_reference(channel: Text, description: Text) -> tuple[Codes, Codes]:
    """description_reference_characters and description_reference_length of payments through Bacs and Faster Payments.

    Pay.UK, "Bacs electronic funds transfer: file structures" (Standard 18), field 10, which Faster Payments took over: 18 characters, of
    capital letters, digits, full stop, ampersand, solidus, hyphen and space.
    """
    characters, length = (np.zeros(len(channel), dtype=np.uint8) for _ in range(2))
    _check_reference(
        (channel.data, description.data),
        (channel.offsets, description.offsets),
        *_reference(),
        (number_of("description_reference_characters"), number_of("description_reference_length")),
        (characters, length),
    )
    return characters, length


def _word(text: str) -> int:
    """At most eight bytes as one word, first byte highest."""
    return int.from_bytes(text.encode("ascii"), "big")


@cache
def _limits() -> _Limits:
    rows = channel_limits()
    return _Limits(
        np.array([_word(row.channel) for row in rows], dtype=np.uint64),
        np.array([_word(row.currency) for row in rows], dtype=np.uint64),
        np.array([(row.in_force_from - _EPOCH).days for row in rows], dtype=np.int64),
        np.array([row.limit_minor for row in rows], dtype=np.int64),
    )


@cache
def _reference() -> tuple[_Words, Bytes]:
    """The channels whose references have rules, and for each byte whether it may stand in one."""
    allowed = np.zeros(256, dtype=np.uint8)
    allowed[list(_REFERENCE_CHARACTERS)] = 1
    return np.array([_word(name) for name in _REFERENCE_CHANNELS], dtype=np.uint64), allowed


@inlined
def _read_word(data: Bytes, begin: int, end: int) -> np.uint64:
    """The bytes as one word; 0 if there are none or more than eight."""
    word = np.uint64(0)
    if end - begin <= 8:
        for at in range(begin, end):
            word = word << np.uint64(8) | np.uint64(data[at])
    return word


@kernel
def _check_limit(
    data: tuple[Bytes, Bytes],
    offsets: tuple[Offsets, Offsets],
    amount_minor: _Numbers,
    booking_date: npt.NDArray[np.int32],
    limits: tuple[_Words, _Words, _Numbers, _Numbers],
    least: int,
    reason: int,
    codes: Codes,
) -> None:
    channels, currencies, days, most = limits
    for row in range(codes.size):
        if abs(amount_minor[row]) <= least:
            continue
        channel = _read_word(data[0], offsets[0][row], offsets[0][row + 1])
        currency = _read_word(data[1], offsets[1][row], offsets[1][row + 1])
        over = False
        for i in range(channels.size):
            if channels[i] == channel and currencies[i] == currency and days[i] <= booking_date[row]:
                over = abs(amount_minor[row]) > most[i]  # the last one that is in force counts
        if over:
            codes[row] = reason


@kernel
def _check_reference(
    data: tuple[Bytes, Bytes],
    offsets: tuple[Offsets, Offsets],
    channels: _Words,
    allowed: Bytes,
    reasons: tuple[int, int],
    codes: tuple[Codes, Codes],
) -> None:
    for row in range(codes[0].size):
        channel = _read_word(data[0], offsets[0][row], offsets[0][row + 1])
        ruled = False
        for i in range(channels.size):
            ruled |= channels[i] == channel
        if not ruled:
            continue
        begin, end = offsets[1][row], offsets[1][row + 1]
        foreign = False
        for at in range(begin, end):
            foreign |= allowed[data[1][at]] == 0
        if foreign:
            codes[0][row] = reasons[0]
        if end - begin > _REFERENCE_LENGTH:
            codes[1][row] = reasons[1]
