"""Why a payment scored high, in words: each feature as a sentence with the accounts' own numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.detection.money import money
from app.features import feature_set, outcomes, timeline
from app.features.payments import DAY_US

NAME: Final = "unusual"

_HOUR_US: Final = 3_600 * 1_000_000


@dataclass(frozen=True)
class Scored:
    """One payment as its reasons are told from."""

    booked_at: int  # µs since 1970, UTC
    amount: int  # minor units
    currency: str
    facts: tuple[int, ...]  # as ``timeline.look_back`` gives them
    judged: tuple[int, ...]  # as ``outcomes.judged_before`` gives them

    def count(self, fact: int, one: str, many: str) -> str:
        """7 payments."""
        return f"{self.facts[fact]:,} {one if self.facts[fact] == 1 else many}"

    def sum(self, fact: int) -> str:
        """£1,234.56."""
        return money(self.facts[fact], self.currency)

    def a_day(self, fact: int, days: int) -> str:
        """0.4."""
        return f"{self.facts[fact] / days:,.1f}"

    def sum_a_day(self, fact: int, days: int) -> str:
        """£12.34."""
        return money(round(self.facts[fact] / days), self.currency)

    def usual(self, count: int, logs: int) -> str:
        """The geometric mean of earlier amounts, from the sum of their logarithms."""
        return money(round(math.expm1(self.facts[logs] / self.facts[count] / 1000.0)), self.currency)


_Teller = Callable[[Scored, float], str]
"""A sentence from a payment and the feature's median over the payments that the model was trained on."""


def sentence(feature: str, payment: Scored, typical: float) -> str:
    """What the analyst reads about one feature of a payment."""
    return _TELLERS[feature](payment, typical)


def code(feature: str) -> str:
    """The reason code of a feature."""
    return f"{NAME}_{feature}"


def _payments(fact: int, where: str, days: int, of: int) -> _Teller:
    def tell(p: Scored, _: float) -> str:
        window = {timeline.PAYER_OUT_1H: "hour"}.get(fact, "24 hours")
        return (
            f"{p.count(fact, 'payment', 'payments')} {where} in the {window} before; {p.a_day(of, days)} a day in the {days} days before."
        )

    return tell


def _many(fact: int, one: str, many: str, days: int) -> _Teller:
    def tell(p: Scored, typical: float) -> str:
        return f"{p.count(fact, one, many)} in the {days} days before; typically {math.expm1(typical):,.0f}."

    return tell


def _sum(fact: int, where: str, days: int) -> _Teller:
    return lambda p, typical: f"{p.sum(fact)} {where} in the {days} days before; typically {money(round(math.expm1(typical)), p.currency)}."


def _since(fact: int, happened: str, never: str) -> _Teller:
    def tell(p: Scored, typical: float) -> str:
        if p.facts[fact] == timeline.NEVER:
            return f"{never}."
        return f"{happened} {_duration(p.facts[fact])} before; typically {_duration(math.expm1(typical) * _HOUR_US)}."

    return tell


def _amount(count: int, logs: int, where: str) -> _Teller:
    def tell(p: Scored, _: float) -> str:
        if p.facts[count] < 2:
            return f"It is {money(p.amount, p.currency)}; hardly a payment {where} before."
        return (
            f"It is {money(p.amount, p.currency)}; the {p.facts[count]:,} payments that {where} before were about {p.usual(count, logs)}."
        )

    return tell


def _pass_through(p: Scored, _: float) -> str:
    left = money(p.facts[timeline.PAYER_OUT_SUM_24H] + p.amount, p.currency)
    return f"With it {left} left the payer in 24 hours; {p.sum(timeline.PAYER_IN_SUM_24H)} had come to it."


def _counterparty(p: Scored, _: float) -> str:
    paid = p.facts[timeline.PAYER_PAID_PAYEE]
    if paid == 0:
        return "The payer has not paid this payee in the 180 days before."
    return f"The payer has paid this payee {'once' if paid == 1 else f'{paid:,} times'} in the 180 days before."


def _time_of_day(p: Scored, _: float) -> str:
    minutes = p.booked_at % DAY_US // 60_000_000
    return f"It was booked at {minutes // 60:02d}:{minutes % 60:02d} UTC."


def _judged(side: str, there: str, place: int) -> _Teller:
    def tell(p: Scored, _: float) -> str:
        suspicious, judged = p.judged[place], p.judged[place + 4]
        return f"Of {judged:,} judged payments that {there} the {side}, {suspicious:,} {'was' if suspicious == 1 else 'were'} suspicious."

    return tell


def _duration(us: float) -> str:
    for length, unit in ((DAY_US, "days"), (_HOUR_US, "hours"), (60_000_000, "minutes")):
        if us >= 2 * length:
            return f"{us / length:,.0f} {unit}"
    return f"{us / 1_000_000:,.0f} seconds"


_TELLERS: Final[dict[str, _Teller]] = {
    "log_amount": lambda p, typical: f"It is {money(p.amount, p.currency)}; typically {money(round(math.expm1(typical)), p.currency)}.",
    "hour_sin": _time_of_day,
    "hour_cos": _time_of_day,
    "payer_out_1h": _payments(timeline.PAYER_OUT_1H, "left the payer", 7, timeline.PAYER_OUT_7D),
    "payer_out_24h": _payments(timeline.PAYER_OUT_24H, "left the payer", 30, timeline.PAYER_OUT_30D),
    "payer_out_30d": _many(timeline.PAYER_OUT_30D, "payment left the payer", "payments left the payer", 30),
    "payer_out_sum_24h": lambda p, _: (
        f"{p.sum(timeline.PAYER_OUT_SUM_24H)} left the payer in the 24 hours before;"
        f" {p.sum_a_day(timeline.PAYER_OUT_SUM_30D, 30)} a day in the 30 days before."
    ),
    "payer_out_sum_30d": _sum(timeline.PAYER_OUT_SUM_30D, "left the payer", 30),
    "payer_payees_7d": _many(timeline.PAYER_PAYEES_7D, "account was paid by the payer", "accounts were paid by the payer", 7),
    "payer_since_out": _since(timeline.PAYER_SINCE_OUT, "The payer last paid", "The payer had not paid for 180 days or more"),
    "payer_age": _since(timeline.PAYER_AGE, "The payer's first payment was", "It is the payer's first payment in 180 days"),
    "payer_burst": _payments(timeline.PAYER_OUT_24H, "left the payer", 7, timeline.PAYER_OUT_7D),
    "payee_in_24h": _payments(timeline.PAYEE_IN_24H, "reached the payee", 30, timeline.PAYEE_IN_30D),
    "payee_in_7d": _many(timeline.PAYEE_IN_7D, "payment reached the payee", "payments reached the payee", 7),
    "payee_in_sum_7d": _sum(timeline.PAYEE_IN_SUM_7D, "reached the payee", 7),
    "payee_payers_7d": _many(timeline.PAYEE_PAYERS_7D, "account paid the payee", "accounts paid the payee", 7),
    "payee_age": _since(timeline.PAYEE_AGE, "The payee's first payment was", "It is the payee's first payment in 180 days"),
    "payee_burst": _payments(timeline.PAYEE_IN_24H, "reached the payee", 30, timeline.PAYEE_IN_30D),
    "payer_pass_through": _pass_through,
    "payer_since_in": _since(timeline.PAYER_SINCE_IN, "The payer was last paid", "The payer had not been paid for 180 days or more"),
    "payer_payers_7d": _many(timeline.PAYER_PAYERS_7D, "account paid the payer", "accounts paid the payer", 7),
    "new_counterparty": _counterparty,
    "payer_amount_z": _amount(timeline.PAYER_OUTS, timeline.PAYER_OUT_LOGS, "left the payer"),
    "payee_amount_z": _amount(timeline.PAYEE_INS, timeline.PAYEE_IN_LOGS, "reached the payee"),
} | {
    name: _judged(side, there, place)
    for place, (side, there) in enumerate((s, t) for s in ("payer", "payee") for t in ("left", "reached"))
    for name in (outcomes.NAMES[place], outcomes.NAMES[place + 4])
}

NAMES: Final = (*feature_set.NAMES, *outcomes.NAMES)
"""The features of a ranker; a forest takes the first of them."""
