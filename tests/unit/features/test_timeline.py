from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features import timeline
from app.features.payments import payments
from tests.support.payments import DAY, HOUR, Payment, facts_told_plainly, silver, streams


@given(streams())
def test_every_fact_is_what_looking_at_all_payments_before_gives(stream: list[Payment]) -> None:
    ordered, rows = payments(silver(stream))
    expected = facts_told_plainly(stream)
    for row, facts in zip(rows.tolist(), timeline.look_back(ordered).tolist(), strict=True):
        assert facts == expected[stream[row].transaction_id]


@given(streams(), st.randoms(use_true_random=False))
def test_asking_for_some_rows_gives_the_same_as_asking_for_all(stream: list[Payment], random: Random) -> None:
    ordered, _ = payments(silver(stream))
    whole = timeline.look_back(ordered)
    for wanted in (random.sample(range(len(stream)), k) for k in range(len(stream) + 1)):
        rows = np.array(wanted, dtype=np.int64)
        assert np.array_equal(timeline.look_back(ordered, rows), whole[rows])


def fact(stream: list[Payment], number: int) -> int:
    ordered, _ = payments(silver(stream))
    return int(timeline.look_back(ordered)[-1, number])


@pytest.mark.parametrize(("ago", "expected"), [(HOUR, 1), (HOUR + 1, 0)])
def test_a_window_holds_what_was_booked_at_most_its_length_before(ago: int, expected: int) -> None:
    stream = [Payment("1", DAY - ago, -5, "GBP", "A", "B"), Payment("2", DAY, -5, "GBP", "A", "C")]
    assert fact(stream, timeline.PAYER_OUT_1H) == expected


def test_a_tie_is_before_if_its_id_is_less() -> None:
    stream = [Payment("b", 5, -5, "GBP", "A", "B"), Payment("a", 5, -7, "GBP", "A", "C")]
    assert fact(stream, timeline.PAYER_OUT_SUM_24H) == 7


def test_the_second_leg_of_a_transfer_sees_what_the_first_saw_and_counts_not_again() -> None:
    stream = [
        Payment("1", 0, -5, "GBP", "A", "B"), Payment("2", 0, 5, "GBP", "A", "B"),
        Payment("3", 9, 5, "GBP", "A", "B"), Payment("4", 10, -8, "GBP", "A", "C"),
    ]  # fmt: skip
    ordered, _ = payments(silver(stream))
    assert timeline.look_back(ordered)[:, timeline.PAYER_OUT_24H].tolist() == [0, 0, 1, 2]


def test_pounds_and_euros_of_an_account_are_never_added() -> None:
    stream = [Payment("1", 0, -5, "EUR", "A", "B"), Payment("2", 1, -7, "GBP", "A", "B"), Payment("3", 2, -1, "GBP", "A", "B")]
    assert fact(stream, timeline.PAYER_OUT_SUM_24H) == 7


def test_a_payment_to_oneself_has_no_payee() -> None:
    stream = [Payment("1", 0, -5, "GBP", "A", "A"), Payment("2", 1, -7, "GBP", "A", "B")]
    assert fact(stream, timeline.PAYER_OUT_24H) == 1
    assert fact(stream, timeline.PAYER_IN_SUM_24H) == 0
