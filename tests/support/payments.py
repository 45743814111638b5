"""Streams of payments for tests, and what lies before a payment told plainly: every window by looking at all payments."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from app import fingerprints
from app.features import timeline, vector
from app.features.histories import Arrivals, Histories
from app.features.vector import Vectors

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR


@dataclass(frozen=True)
class Payment:
    """One accepted payment, with the parties as silver writes them; None where the feed names none."""

    transaction_id: str
    booked_at: int  # µs since 1970, UTC
    amount_minor: int  # signed
    currency: str
    payer: str | None
    payee: str | None


def arrivals(payments: Sequence[Payment]) -> Arrivals:
    """The payments as histories take them in; their content is all that they say."""
    rows = silver(payments)
    nothing = pa.array([""] * len(payments), pa.string())
    texts = {"sort_code": rows["payer"], "account_number": rows["payee"], "currency": rows["currency"]}
    others = ("counterparty_sort_code", "counterparty_account", "counterparty_iban", "channel", "country", "description")
    typed = pa.table({n: rows[n] for n in ("transaction_id", "booked_at", "amount_minor")} | texts | dict.fromkeys(others, nothing))
    prints = fingerprints.fingerprints(typed, bytes(16))
    return Arrivals(rows, prints.id_high, prints.id_low, prints.content)


def taken(online: Histories, payments: Sequence[Payment]) -> Vectors:
    """The features of payments that histories take in."""
    told = online.take(arrivals(payments))
    return vector.of_facts(told.booked_at, np.array([abs(p.amount_minor) for p in payments], dtype=np.int64), told.facts)


def silver(payments: Sequence[Payment]) -> pa.Table:
    """The payments as rows of silver, as far as features and scenarios look at them; all within the country."""
    return pa.table(
        {
            "transaction_id": pa.array([p.transaction_id for p in payments], pa.string()),
            "booked_at": pa.array([p.booked_at for p in payments], pa.timestamp("us", tz="UTC")),
            "amount_minor": pa.array([p.amount_minor for p in payments], pa.int64()),
            "currency": pa.array([p.currency for p in payments], pa.string()),
            "payer": pa.array([p.payer for p in payments], pa.string()),
            "payee": pa.array([p.payee for p in payments], pa.string()),
            "country": pa.array(["GB"] * len(payments), pa.string()),
        }
    )


def streams(most: int = 40) -> st.SearchStrategy[list[Payment]]:
    """Payments in order of arrival: few accounts and few instants, so that ties, both legs, hubs and late ones are common."""
    accounts = st.sampled_from(["A", "B", "C", "hub", None])
    instants = st.one_of(
        st.sampled_from([0, 1, HOUR, HOUR + 1, DAY - 1, DAY, DAY + 1, 7 * DAY, 7 * DAY + 1, 30 * DAY, 30 * DAY + 1, timeline.HORIZON_US]),
        st.integers(0, 200 * DAY),
    )
    payment = st.tuples(
        instants, st.sampled_from([-500, 500, -1, 100_000, -99, 99]), st.sampled_from(["GBP", "GBP", "EUR"]), accounts, accounts
    )
    return st.lists(payment, max_size=most).flatmap(_named)


def hub_streams(most: int = 60) -> st.SearchStrategy[list[Payment]]:
    """The same with most payments of one account, often in order, often alike on the same day, often both legs."""
    accounts = st.sampled_from(["A", "B", "C", None])
    near = st.builds(
        lambda day, at: day * DAY + at, st.sampled_from([0, 1, 3, 7, 8, 30, 31, 37, 180, 181]), st.sampled_from([0, 1, HOUR, 5 * HOUR])
    )
    sides = st.one_of(accounts.map(lambda a: ("hub", a)), accounts.map(lambda a: (a, "hub")), st.tuples(accounts, accounts))
    payment = st.builds(
        lambda at, amount, currency, sides: (at, amount, currency, *sides),
        near, st.sampled_from([-500, 500, -500, 500, -7, 100_000]), st.sampled_from(["GBP", "GBP", "GBP", "EUR"]), sides,
    )  # fmt: skip
    alike = st.builds(
        lambda day, at, amount, sides: (day * DAY + at, amount, "GBP", *sides),
        st.sampled_from([0, 7, 31]),
        st.sampled_from([0, 1, HOUR]),
        st.sampled_from([-500, 500]),
        st.sampled_from([("hub", "A"), ("A", "hub")]),
    )
    all_alike = st.lists(alike, min_size=6, max_size=most)
    streams = st.one_of(st.lists(payment, max_size=most), all_alike, st.lists(payment | alike, max_size=most))
    return st.one_of(streams, streams.map(lambda values: sorted(values, key=lambda value: value[0]))).flatmap(_named)


def _named(values: list[tuple[int, int, str, str | None, str | None]]) -> st.SearchStrategy[list[Payment]]:
    """Ids in an order that is not the one of arrival."""
    return st.permutations([f"T{i:03d}" for i in range(len(values))]).map(
        lambda ids: [Payment(identifier, *value) for identifier, value in zip(ids, values, strict=True)]
    )


def facts_told_plainly(payments: Sequence[Payment]) -> dict[str, list[int]]:
    """By transaction_id what ``timeline.look_back`` gives."""
    ordered = sorted(payments, key=lambda p: (p.booked_at, p.transaction_id.encode()))
    first = _first_legs(ordered)
    counted = [p for p in ordered if first[p.transaction_id] is p]
    return {p.transaction_id: _facts(first[p.transaction_id], counted) for p in ordered}


def _first_legs(ordered: list[Payment]) -> dict[str, Payment]:
    def edge(p: Payment) -> tuple[str, ...]:
        return (str(p.payer), str(p.payee), p.currency, str(abs(p.amount_minor)), str(p.booked_at // DAY))

    first = {p.transaction_id: p for p in ordered}
    of_two = [p for p in ordered if p.payer is not None and p.payee is not None and p.payer != p.payee]
    for _, group in groupby(sorted(of_two, key=edge), key=edge):
        legs = list(group)
        left = [p for p in legs if p.amount_minor < 0]
        came = [p for p in legs if p.amount_minor >= 0]
        for one, other in zip(left, came, strict=False):
            earlier, later = sorted((one, other), key=ordered.index)
            first[later.transaction_id] = earlier
    return first


def _facts(me: Payment, counted: list[Payment]) -> list[int]:
    before = counted[: counted.index(me)]

    def party(name: str | None, *, out: bool, within: int) -> list[Payment]:
        near = [p for p in before if me.booked_at - p.booked_at <= within and p.currency == me.currency and name is not None]
        return [p for p in near if (p.payer if out else _payee(p)) == name]

    def total(chosen: list[Payment]) -> int:
        return sum(abs(p.amount_minor) for p in chosen)

    def logs(chosen: list[Payment], power: int) -> int:
        return sum(math.floor(math.log1p(abs(p.amount_minor)) * 1000 + 0.5) ** power for p in chosen)

    def ago(chosen: list[Payment], *, last: bool) -> int:
        return me.booked_at - chosen[-1 if last else 0].booked_at if chosen else timeline.NEVER

    def parties(chosen: list[Payment], *, payees: bool) -> int:
        return len({_payee(p) if payees else p.payer for p in chosen} - {None})

    ever, payer, payee = timeline.HORIZON_US, me.payer, _payee(me)
    out, came = party(payer, out=True, within=ever), party(payer, out=False, within=ever)
    to, by = party(payee, out=False, within=ever), party(payee, out=True, within=ever)
    paid_payee = [p for p in out if _payee(p) == payee and payee is not None]
    return [
        *(len(party(payer, out=True, within=w)) for w in (HOUR, DAY, 7 * DAY, 30 * DAY)),
        *(total(party(payer, out=True, within=w)) for w in (DAY, 30 * DAY)),
        parties(party(payer, out=True, within=7 * DAY), payees=True),
        ago(out, last=True),
        ago(sorted(out + came, key=lambda p: p.booked_at), last=False),
        total(party(payer, out=False, within=DAY)),
        ago(came, last=True),
        parties(party(payer, out=False, within=7 * DAY), payees=False),
        len(paid_payee),
        *(len(out), logs(out, 1), logs(out, 2)),
        *(len(party(payee, out=False, within=w)) for w in (DAY, 7 * DAY, 30 * DAY)),
        total(party(payee, out=False, within=7 * DAY)),
        parties(party(payee, out=False, within=7 * DAY), payees=False),
        ago(sorted(to + by, key=lambda p: p.booked_at), last=False),
        *(len(to), logs(to, 1), logs(to, 2)),
    ]


def _payee(payment: Payment) -> str | None:
    return None if payment.payee == payment.payer else payment.payee
