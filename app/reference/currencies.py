"""Currencies: ISO 4217, list one (in force) with minor units, and list three (withdrawn) with the date of withdrawal.

Three kinds of code are told apart. ``active`` is money. ``withdrawn`` was money. ``not_money`` is in force, but nobody is
paid in it: metals, bond units, units of account (XDR, XSU, XUA, XAD), funds codes (BOV, CHE, CHW, CLF, COU, MXV, USN, UYI,
UYW), the test code XTS and XXX. A withdrawal date is a month, or a year where ISO gives no month.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from app.reference import table


class Status(StrEnum):
    """What kind of code it is."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    NOT_MONEY = "not_money"


@dataclass(frozen=True)
class Currency:
    """One code; ``exponent`` is how many decimals its minor unit has, None where ISO gives none.

    Of withdrawn currencies, ISO no longer gives it; where it is known from the list that was in force, it stands here.
    """

    code: str
    exponent: int | None
    status: Status
    withdrawn: str | None

    @property
    def last_day(self) -> date | None:
        """The end of the month (or year) of withdrawal; None while it is in force."""
        if self.withdrawn is None:
            return None
        year, month = (int(part) for part in (self.withdrawn + "-12").split("-")[:2])
        return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


@cache
def currencies() -> tuple[Currency, ...]:
    """Every code that ISO 4217 has or had, in alphabetical order."""
    return tuple(
        Currency(row["code"], int(row["exponent"]) if row["exponent"] else None, Status(row["status"]), row["withdrawn"] or None)
        for row in table.read("currencies")
    )


@cache
def readable_exponents() -> Mapping[str, int]:
    """The decimals of each currency in which an amount can be read, today's and those of old records."""
    known = {c.code: c.exponent for c in currencies() if c.status is not Status.NOT_MONEY and c.exponent is not None}
    return MappingProxyType(known)


@cache
def exponents() -> Mapping[str, int]:
    """The decimals of each currency that is in force."""
    return MappingProxyType({c.code: c.exponent for c in currencies() if c.status is Status.ACTIVE and c.exponent is not None})
