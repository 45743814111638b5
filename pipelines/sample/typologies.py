"""Planted patterns of money laundering, each on accounts that have no other payments, with the ids that belong to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from pipelines.sample.accounts import Society
from pipelines.sample.payments import DAY, HOUR, SCHEMA

MINUTE = HOUR // 60


@dataclass
class Planting:
    """Gathers planted payments; every account that it gives out is used once."""

    rng: np.random.Generator
    society: Society
    first: int  # µs, begin of the first day
    days: int
    rows: list[dict[str, object]] = field(default_factory=list)
    members: list[tuple[str, str, int]] = field(default_factory=list)  # transaction id, typology, instance
    _used: int = 0

    def account(self) -> int:
        self._used += 1
        return int(self.society.reserved[self._used - 1])

    def stranger(self) -> tuple[str, str]:
        at = int(self.rng.integers(0, len(self.society.outside_numbers)))
        return str(self.society.outside_sort_codes[at]), str(self.society.outside_numbers[at])

    def address(self, account: int) -> tuple[str, str]:
        return str(self.society.sort_codes[account]), str(self.society.numbers[account])

    def pay(
        self, label: tuple[str, int], account: int, at: int, pence: int, other: tuple[str, str], channel: str = "FPS", country: str = "GB"
    ) -> None:
        """Book ``pence`` on the account (minus: it pays) and remember that it belongs to the typology."""
        typology, instance = label
        identifier = f"P{len(self.rows):06d}-{typology}"
        sort_code, number = self.address(account)
        self.members.append((identifier, typology, instance))
        self.rows.append(
            {
                "transaction_id": identifier, "booked": at, "sort_code": sort_code, "account_number": number,
                "counterparty_sort_code": other[0], "counterparty_account": other[1], "counterparty_iban": "", "amount_minor": pence,
                "currency": "GBP", "channel": channel,
                "country": country, "description": "",
            }
        )  # fmt: skip

    def day(self, latest: int = 0) -> int:
        """The begin of a day, ``latest`` days before the last at the latest."""
        return self.first + int(self.rng.integers(0, max(self.days - latest, 1))) * DAY


def _structuring(p: Planting, label: tuple[str, int]) -> None:
    """Six cash deposits a little below £10,000 within the week."""
    account = p.account()
    for i in range(6):
        at = p.first + (i % p.days) * DAY + 10 * HOUR + int(p.rng.integers(0, 6 * HOUR))
        p.pay(label, account, at, int(p.rng.integers(910_000, 999_000)), ("", ""), "CASH")


def _velocity(p: Planting, label: tuple[str, int]) -> None:
    """Fifteen payments within five minutes."""
    account, start = p.account(), p.day() + 14 * HOUR
    for i in range(15):
        p.pay(label, account, start + i * 18_000_000, -int(p.rng.integers(20_000, 90_000)), p.stranger())


def _fan_in(p: Planting, label: tuple[str, int]) -> None:
    """Twenty-five payers to one account within a day."""
    account, start = p.account(), p.day()
    for _ in range(25):
        p.pay(label, account, start + 8 * HOUR + int(p.rng.integers(0, 12 * HOUR)), int(p.rng.integers(20_000, 80_000)), p.stranger())


def _fan_out(p: Planting, label: tuple[str, int]) -> None:
    """One large credit, then twenty-five payees within a day."""
    account, start = p.account(), p.day()
    p.pay(label, account, start + 7 * HOUR, 2_500_000, p.stranger())
    for _ in range(25):
        p.pay(label, account, start + 8 * HOUR + int(p.rng.integers(0, 12 * HOUR)), -int(p.rng.integers(60_000, 99_000)), p.stranger())


def _cycle(p: Planting, label: tuple[str, int]) -> None:
    """Money that comes back to where it left within days, over three or four accounts; both legs of each payment."""
    ring = [p.account() for _ in range(3 + label[1] % 2)]
    at, pence = p.first + 9 * HOUR, int(p.rng.integers(300_000, 900_000))
    for payer, payee in zip(ring, [*ring[1:], ring[0]], strict=True):
        p.pay(label, payer, at, -pence, p.address(payee), "INTERNAL")
        p.pay(label, payee, at, pence, p.address(payer), "INTERNAL")
        at, pence = at + int(p.rng.integers(6, 30)) * HOUR, pence - int(p.rng.integers(0, 5_000))


def _pass_through(p: Planting, label: tuple[str, int]) -> None:
    """A credit of which at least nine tenths leave within twenty-four hours."""
    account, start = p.account(), p.day(1) + 11 * HOUR
    pence = int(p.rng.integers(400_000, 1_500_000))
    p.pay(label, account, start, pence, p.stranger())
    for i in range(4):
        p.pay(label, account, start + (2 + 4 * i) * HOUR, -(pence * 23 // 100), p.stranger())


def _dormant(p: Planting, label: tuple[str, int]) -> None:
    """A trickle on the first day, nothing for days, then large sums in and out on the last."""
    account, last = p.account(), p.first + (p.days - 1) * DAY
    p.pay(label, account, p.first + 8 * HOUR, -100, p.stranger())
    for i in range(3):
        p.pay(label, account, last + (9 + i) * HOUR, int(p.rng.integers(500_000, 900_000)), p.stranger())
        p.pay(label, account, last + (9 + i) * HOUR + 30 * MINUTE, -int(p.rng.integers(450_000, 500_000)), p.stranger())


def _round_amounts(p: Planting, label: tuple[str, int]) -> None:
    """Six payments of whole thousands of pounds within three days, to six others."""
    account, start = p.account(), p.day(3)
    for i in range(6):
        p.pay(label, account, start + (9 + 11 * i) * HOUR, -100_000 * int(p.rng.integers(1, 9)), p.stranger())


def _high_risk_country(p: Planting, label: tuple[str, int]) -> None:
    """Two payments to Myanmar, which is on FATF's list since 2022, from an account that only paid at home."""
    account, start = p.account(), p.day(2)
    p.pay(label, account, start + 8 * HOUR, -2_500, p.stranger())
    for i in range(2):
        p.pay(label, account, start + (10 + 20 * i) * HOUR, -int(p.rng.integers(60_000, 300_000)), ("", ""), "SWIFT", "MM")


def _new_payee(p: Planting, label: tuple[str, int]) -> None:
    """Six small payments, and then a hundred times as much to somebody else."""
    account, start = p.account(), p.day(1)
    shop = other = p.stranger()
    while other == shop:
        other = p.stranger()
    for i in range(6):
        p.pay(label, account, start + (8 + i) * HOUR, -int(p.rng.integers(2_000, 9_000)), shop)
    p.pay(label, account, start + 20 * HOUR, -int(p.rng.integers(900_000, 4_000_000)), other)


LEAST_DAYS = 5  # the longest cycle ends on the fifth day
TYPOLOGIES: dict[str, Callable[[Planting, tuple[str, int]], None]] = {
    "structuring": _structuring,
    "velocity": _velocity,
    "fan_in": _fan_in,
    "fan_out": _fan_out,
    "cycle": _cycle,
    "pass_through": _pass_through,
    "dormant": _dormant,
    "round_amounts": _round_amounts,
    "high_risk_country": _high_risk_country,
    "new_payee": _new_payee,
}


def plant(
    rng: np.random.Generator, society: Society, first_day: date, days: int, instances: int
) -> tuple[pa.Table, list[tuple[str, str, int]]]:
    """``instances`` of every typology: the payments, and (transaction id, typology, instance) of each."""
    planting = Planting(rng, society, (first_day - date(1970, 1, 1)).days * DAY, days)
    for typology, make in TYPOLOGIES.items():
        for instance in range(1, instances + 1):
            make(planting, (typology, instance))
    return pa.Table.from_pylist(planting.rows, SCHEMA), planting.members
