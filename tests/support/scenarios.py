"""Streams of payments in which scenarios fire often, with thresholds that are low enough for them."""

from collections.abc import Sequence
from datetime import date

from hypothesis import strategies as st

from tests.support.payments import DAY, HOUR, Payment

TODAY = date(2026, 6, 1)
NEW_YEAR = (date(2025, 1, 1) - date(1970, 1, 1)).days * DAY
LOWER = {
    "velocity": {"payments": 1, "sum": 90_000},
    "structuring": {"payments": 2},
    "pass_through": {"least_sum": 10_000},
    "dormant": {"least_sum": 10_000},
    "fan_in": {"parties": 2},
    "fan_out": {"parties": 2},
    "round_amounts": {"payments": 2},
    "high_risk_country": {"least_sum": 10_000},
    "new_payee": {"payments": 1, "times": 2, "least_amount": 100_000},
}

Value = tuple[int, int, str, str | None, str | None]

amounts = st.sampled_from([-950_000, -999_900, 950_000, 100_000, -100_000, -50_000, -600_000, 600_000, -12_345])
instants = st.one_of(
    st.integers(0, 400 * DAY), st.sampled_from([0, 1, HOUR, DAY, 7 * DAY, 180 * DAY, 181 * DAY, 360 * DAY]), st.integers(0, HOUR)
)
stream = st.lists(
    st.tuples(instants, amounts, st.sampled_from(["GBP", "GBP", "GBP", "EUR"]), *(2 * [st.sampled_from(["A", "B", "C", "D", None])])),
    max_size=30,
)


def payments_of(values: Sequence[Value]) -> list[Payment]:
    """The payments of such a stream."""
    return [Payment(f"T{i:02d}", NEW_YEAR + value[0], *value[1:]) for i, value in enumerate(values)]
