"""The most that a payment through a channel can be, by the rules of its scheme, from a day on.

Faster Payments: Pay.UK, "Faster Payment System transaction limits": £100,000 from 2010, £250,000 from
2015, £1,000,000 from 7 February 2022.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

from app.reference import table


@dataclass(frozen=True)
class ChannelLimit:
    """A limit, inclusive, in minor units of a currency."""

    channel: str
    currency: str
    in_force_from: date
    limit_minor: int


@cache
def channel_limits() -> tuple[ChannelLimit, ...]:
    """Every limit, each channel's oldest first."""
    return tuple(
        ChannelLimit(row["channel"], row["currency"], date.fromisoformat(row["in_force_from"]), int(row["limit_minor"]))
        for row in table.read("channel_limits")
    )
