from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.validation import scheme
from tests.support.validation import names, text


def limit(channel: str, currency: str, amount: int, day: date) -> str | None:
    days = np.array([(day - date(1970, 1, 1)).days], dtype=np.int32)
    (reason,) = names(scheme.check_limit(text(channel), text(currency), np.array([amount], dtype=np.int64), days))
    return reason


@pytest.mark.parametrize(
    ("channel", "currency", "amount", "day", "over"),
    [
        ("FPS", "GBP", 100_000_000, date(2026, 1, 2), False), ("FPS", "GBP", 100_000_001, date(2026, 1, 2), True),
        ("FPS", "GBP", -100_000_001, date(2022, 2, 7), True), ("FPS", "GBP", 25_000_001, date(2022, 2, 6), True),
        ("FPS", "GBP", 25_000_000, date(2022, 2, 6), False), ("FPS", "GBP", 10_000_001, date(2015, 11, 11), True),
        ("FPS", "GBP", 10**14, date(2010, 9, 5), False), ("FPS", "EUR", 10**14, date(2026, 1, 2), False),
        ("CHAPS", "GBP", 10**14, date(2026, 1, 2), False), ("", "GBP", 10**14, date(2026, 1, 2), False),
    ],
)  # fmt: skip
def test_the_limit_that_was_in_force_on_the_day_counts(channel: str, currency: str, amount: int, day: date, over: bool) -> None:
    assert limit(channel, currency, amount, day) == ("amount_channel_limit" if over else None)


@given(
    st.lists(st.tuples(st.sampled_from(["BACS", "FPS", "CARD", "", "BACSFPSX9"]), st.text("AZ09.&/- az\u00a3_'", max_size=24)), min_size=1)
)
def test_references_agree_with_the_rule_told_plainly(rows: list[tuple[str, str]]) -> None:
    characters, length = scheme.check_reference(text(*[channel for channel, _ in rows]), text(*[reference for _, reference in rows]))
    good = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.&/- ")
    for (channel, reference), foreign, long in zip(rows, names(characters), names(length), strict=True):
        ruled = channel in {"BACS", "FPS"}
        assert foreign == ("description_reference_characters" if ruled and set(reference) - good else None)
        assert long == ("description_reference_length" if ruled and len(reference.encode()) > 18 else None)
