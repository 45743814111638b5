"""What a batch gives and what the online path gives are the same to the bit."""

import numpy as np
from hypothesis import given

from app.features import feature_set
from app.features.histories import Histories, Payment
from app.features.payments import payments
from app.features.vector import Vectors, vectors
from tests.support.payments import silver, streams


def batch(stream: list[Payment]) -> dict[str, Vectors]:
    ordered, rows = payments(silver(stream))
    return {stream[row].transaction_id: vector for row, vector in zip(rows.tolist(), vectors(ordered), strict=True)}


@given(streams(60))
def test_a_stream_in_order_gives_the_batch_bit_for_bit(stream: list[Payment]) -> None:
    whole, online = batch(stream), Histories()
    for payment in sorted(stream, key=lambda p: (p.booked_at, p.transaction_id)):
        assert online.take(payment).tobytes() == whole[payment.transaction_id].tobytes()


@given(streams(25))
def test_each_arrival_gives_what_a_batch_of_all_that_arrived_gives(stream: list[Payment]) -> None:
    online = Histories()
    for arrived, payment in enumerate(stream, 1):
        assert online.take(payment).tobytes() == batch(stream[:arrived])[payment.transaction_id].tobytes()


def test_a_first_payment_of_unknown_parties_has_every_feature() -> None:
    vector = Histories().take(Payment("1", 0, -100, "GBP", None, None))
    assert vector.shape == (feature_set.COUNT,)
    assert np.isfinite(vector).all()
