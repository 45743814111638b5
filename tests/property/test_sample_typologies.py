"""Planted typologies are what their names say, for any seed and any number of days."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sample import accounts, typologies
from pipelines.sample.payments import DAY, HOUR, ordinary

FIRST_DAY = date(2026, 6, 1)
START = (FIRST_DAY - date(1970, 1, 1)).days * DAY
Rows = list[dict[str, Any]]


def account(row: dict[str, Any]) -> tuple[str, str]:
    return row["sort_code"], row["account_number"]


def other(row: dict[str, Any]) -> tuple[str, str]:
    return row["counterparty_sort_code"], row["counterparty_account"]


def span(rows: Rows) -> int:
    """µs from the first to the last."""
    return int(rows[-1]["booked"] - rows[0]["booked"])


def is_structuring(rows: Rows, _: int) -> bool:
    return len(rows) > 3 and all(row["channel"] == "CASH" and 900_000 < row["amount_minor"] < 1_000_000 for row in rows)


def is_velocity(rows: Rows, _: int) -> bool:
    return len(rows) > 10 and span(rows) < 5 * HOUR // 60


def is_fan_in(rows: Rows, _: int) -> bool:
    return len({other(row) for row in rows}) >= 10 and all(row["amount_minor"] > 0 for row in rows) and span(rows) < DAY


def is_fan_out(rows: Rows, days: int) -> bool:
    credit, *debits = rows
    return credit["amount_minor"] > 0 and is_fan_in([row | {"amount_minor": -row["amount_minor"]} for row in debits], days)


def is_cycle(rows: Rows, _: int) -> bool:
    sent, received = ([row for row in rows if (row["amount_minor"] < 0) is negative] for negative in (True, False))
    mirrored = {(account(row), other(row), row["booked"], -row["amount_minor"]) for row in received}
    after = {account(row): other(row) for row in sent}
    begin = here = account(sent[0])
    for _step in sent:
        here = after[here]
    closes = here == begin and len(after) == len(sent) in (3, 4)
    return closes and span(rows) <= 7 * DAY and mirrored == {(other(row), account(row), row["booked"], row["amount_minor"]) for row in sent}


def is_pass_through(rows: Rows, _: int) -> bool:
    credit, *debits = rows
    return span(rows) <= DAY and 0.9 * credit["amount_minor"] <= -sum(row["amount_minor"] for row in debits) <= credit["amount_minor"]


def is_dormant(rows: Rows, days: int) -> bool:
    trickle, *awake = rows
    quiet = awake[0]["booked"] - trickle["booked"] >= (days - 2) * DAY
    return quiet and span(awake) < DAY and all(abs(row["amount_minor"]) > 1_000 * abs(trickle["amount_minor"]) for row in awake)


def is_round_amounts(rows: Rows, _: int) -> bool:
    return len(rows) == 6 and all(row["amount_minor"] < 0 == row["amount_minor"] % 100_000 for row in rows) and span(rows) < 3 * DAY


def is_high_risk_country(rows: Rows, _: int) -> bool:
    return [row["country"] for row in rows] == ["GB", "MM", "MM"] and -sum(row["amount_minor"] for row in rows[1:]) >= 100_000


def is_new_payee(rows: Rows, _: int) -> bool:
    *small, large = rows
    return -large["amount_minor"] >= 100 * max(-row["amount_minor"] for row in small) and other(large) != other(small[0])


DEFINITIONS: dict[str, Callable[[Rows, int], bool]] = {
    "structuring": is_structuring,
    "velocity": is_velocity,
    "fan_in": is_fan_in,
    "fan_out": is_fan_out,
    "cycle": is_cycle,
    "pass_through": is_pass_through,
    "dormant": is_dormant,
    "round_amounts": is_round_amounts,
    "high_risk_country": is_high_risk_country,
    "new_payee": is_new_payee,
}


@given(seed=st.integers(0, 2**32), days=st.integers(typologies.LEAST_DAYS, 31), instances=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_every_instance_is_what_its_name_says_and_lies_within_the_days(seed: int, days: int, instances: int) -> None:
    rng = np.random.default_rng(seed)
    table, members = typologies.plant(rng, accounts.society(rng, 1_000), FIRST_DAY, days, instances)
    rows = {row["transaction_id"]: row for row in table.to_pylist()}
    assert [identifier for identifier, _, _ in members] == list(rows)
    assert all(START <= row["booked"] < START + days * DAY for row in rows.values())
    planted: dict[tuple[str, int], Rows] = defaultdict(list)
    for identifier, typology, instance in members:
        planted[typology, instance].append(rows[identifier])
    assert set(planted) == {(typology, n) for typology in DEFINITIONS for n in range(1, instances + 1)}
    for (typology, instance), found in planted.items():
        assert DEFINITIONS[typology](sorted(found, key=lambda row: int(row["booked"])), days), (typology, instance)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_accounts_with_a_typology_have_no_other_payments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    society = accounts.society(rng, 1_000)
    table, _ = typologies.plant(rng, society, FIRST_DAY, 7, 3)
    everyday = ordinary(rng, society, 1_000, FIRST_DAY, 7)
    assert not {account(row) for row in table.to_pylist()} & {account(row) for row in everyday.to_pylist()}


def test_a_bank_of_any_size_has_account_numbers_for_all() -> None:
    society = accounts.society(np.random.default_rng(1), 50_000_000)
    both = list(zip(society.outside_sort_codes.tolist(), society.outside_numbers.tolist(), strict=True))
    assert len(set(both)) == len(both) == 400_000
