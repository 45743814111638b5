import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.outcomes import CLEARED, DELAY_US, NAMES, SUSPICIOUS, UNLABELLED, outcomes
from app.features.payments import payments
from app.features.timeline import HORIZON_US
from tests.support.payments import DAY, Payment, silver, streams


def found(stream: list[Payment], labels: list[int]) -> list[dict[str, float]]:
    """By payment, in the order of the stream."""
    ordered, rows = payments(silver(stream))
    values = outcomes(ordered, np.array(labels, dtype=np.int8)[rows])
    return [dict(zip(NAMES, values[np.flatnonzero(rows == i)[0]].tolist(), strict=True)) for i in range(len(stream))]


@pytest.mark.parametrize(("later", "expected"), [(DELAY_US, 1.0), (DELAY_US - 1, 0.0), (HORIZON_US, 1.0), (HORIZON_US + 1, 0.0)])
def test_a_label_is_known_a_stated_delay_after_its_payment_and_to_the_horizon(later: int, expected: float) -> None:
    stream = [Payment("1", 0, -5, "GBP", "A", "B"), Payment("2", later, -5, "GBP", "A", "C")]
    assert found(stream, [SUSPICIOUS, UNLABELLED])[1]["payer_suspicious_out"] == expected


def test_shares_count_what_was_judged_and_each_role_apart() -> None:
    stream = [
        Payment("1", 0, -5, "GBP", "A", "B"), Payment("2", 1, -5, "GBP", "A", "C"), Payment("3", 2, -5, "GBP", "D", "A"),
        Payment("4", DELAY_US + 9, -5, "GBP", "A", "B"),
    ]  # fmt: skip
    last = found(stream, [SUSPICIOUS, CLEARED, UNLABELLED, UNLABELLED])[3]
    assert last["payer_suspicious_out"] == 1.0
    assert last["payer_suspicious_out_share"] == pytest.approx(1.02 / 4)
    assert last["payer_suspicious_in"] == 0.0
    assert last["payer_suspicious_in_share"] == pytest.approx(0.02 / 2)
    assert last["payee_suspicious_in"] == 1.0
    assert last["payee_suspicious_in_share"] == pytest.approx(1.02 / 3)


def test_a_label_of_either_leg_is_the_transfers() -> None:
    stream = [Payment("1", 0, -5, "GBP", "A", "B"), Payment("2", 0, 5, "GBP", "A", "B"), Payment("3", DELAY_US, -5, "GBP", "A", "B")]
    assert found(stream, [UNLABELLED, SUSPICIOUS, UNLABELLED])[2]["payer_suspicious_out"] == 1.0


@given(streams(20), st.data())
def test_no_label_of_the_future_changes_a_number(stream: list[Payment], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.sampled_from([SUSPICIOUS, CLEARED, UNLABELLED]), min_size=len(stream), max_size=len(stream)))
    before = found(stream, labels)
    for i, me in enumerate(stream):
        # A second leg, with its label, may be a day younger than its transfer.
        known = [p.booked_at - DAY + DELAY_US <= me.booked_at for p in stream]
        visible = [label if there else UNLABELLED for label, there in zip(labels, known, strict=True)]
        assert found(stream, visible)[i] == before[i]
