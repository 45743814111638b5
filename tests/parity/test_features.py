"""What a batch gives and what the online path gives are the same to the bit."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from app.features import feature_set, outcomes, timeline, vector
from app.features.histories import CONFLICT, NEW, SAME, Histories
from app.features.outcomes import CLEARED, SUSPICIOUS, UNLABELLED
from app.features.payments import payments
from app.features.vector import Vectors
from tests.support.payments import DAY, Payment, arrivals, hub_streams, silver, streams, taken


def batch(stream: Sequence[Payment]) -> dict[str, Vectors]:
    ordered, rows = payments(silver(stream))
    return {stream[row].transaction_id: vector for row, vector in zip(rows.tolist(), vector.vectors(ordered), strict=True)}


@given(streams(60))
def test_a_stream_in_order_gives_the_batch_bit_for_bit(stream: list[Payment]) -> None:
    whole, online = batch(stream), Histories()
    for payment in sorted(stream, key=lambda p: (p.booked_at, p.transaction_id)):
        assert taken(online, [payment]).tobytes() == whole[payment.transaction_id].tobytes()


@given(streams(25))
def test_each_arrival_gives_what_a_batch_of_all_that_arrived_gives(stream: list[Payment]) -> None:
    online = Histories()
    for arrived, payment in enumerate(stream, 1):
        found = taken(online, [payment])
        assert found.tobytes() == batch(stream[:arrived])[payment.transaction_id].tobytes()


@given(streams(40), st.data())
def test_payments_taken_many_at_a_time_are_told_what_they_are_told_one_by_one(stream: list[Payment], data: st.DataObject) -> None:
    single, several = Histories(), Histories()
    cut = data.draw(st.integers(0, len(stream)))
    several.load(arrivals(stream[:cut]))
    single.load(arrivals(stream[:cut]))
    rest = stream[cut:]
    at_once = several.take(arrivals(rest))
    for place, payment in enumerate(rest):
        alone = single.take(arrivals([payment]))
        assert alone.facts.tobytes() == at_once.facts[place : place + 1].tobytes()
        assert alone.booked_at[0] == at_once.booked_at[place]


@given(streams(30), st.data())
def test_in_the_end_every_payment_is_told_what_a_batch_of_all_tells_it(stream: list[Payment], data: st.DataObject) -> None:
    online, cut = Histories(), data.draw(st.integers(0, len(stream)))
    online.load(arrivals(stream[:cut]))
    online.take(arrivals(stream[cut:]))
    judged = {p.transaction_id: data.draw(st.sampled_from([SUSPICIOUS, CLEARED, UNLABELLED])) for p in stream}
    every = arrivals(stream)
    online.judge(every.id_high, every.id_low, np.array([judged[p.transaction_id] for p in stream], np.int8))
    again = online.take(every)
    assert (again.status == SAME).all()
    assert len(online) == len(stream)
    ordered, rows = payments(silver(stream))
    labels = np.array([judged[stream[row].transaction_id] for row in rows.tolist()], dtype=np.int8)
    assert again.facts[rows].tobytes() == timeline.look_back(ordered).tobytes()
    assert again.judged[rows].tobytes() == outcomes.judged_before(ordered, labels).tobytes()
    told = online.told(again.row)
    assert told.facts.tobytes() == again.facts.tobytes()


def agree_in_all_that_is_told(hubs: Histories, walks: Histories, stream: Sequence[Payment]) -> None:
    rows = walks.take(arrivals(stream)).row
    for row in rows.tolist():
        looked_up, walked = (online.told(np.array([row])) for online in (hubs, walks))
        assert looked_up.facts.tobytes() == walked.facts.tobytes()
        assert looked_up.judged.tobytes() == walked.judged.tobytes()


@settings(max_examples=300)
@given(hub_streams(), st.data())
def test_what_is_looked_up_of_hubs_is_what_a_walk_through_their_payments_tells(stream: list[Payment], data: st.DataObject) -> None:
    hubs, walks = Histories(data.draw(st.integers(0, 6), "hub")), Histories()
    judged = arrivals(stream)
    labels = np.array(
        data.draw(st.lists(st.sampled_from([SUSPICIOUS, CLEARED, UNLABELLED]), min_size=len(stream), max_size=len(stream))), np.int8
    )
    rest = list(stream)
    while rest:
        size = data.draw(st.integers(1, min(len(rest), 25)))
        part, rest = rest[:size], rest[size:]
        if data.draw(st.booleans()):
            assert hubs.load(arrivals(part)) == walks.load(arrivals(part))
        else:
            looked_up, walked = hubs.take(arrivals(part)), walks.take(arrivals(part))
            assert looked_up.facts.tobytes() == walked.facts.tobytes()
            assert looked_up.judged.tobytes() == walked.judged.tobytes()
        if data.draw(st.integers(0, 3)) == 0:
            for online in (hubs, walks):
                online.judge(judged.id_high, judged.id_low, labels)
    agree_in_all_that_is_told(hubs, walks, stream)


def test_a_late_leg_that_pairs_others_anew_moves_what_was_decided_of_them_in_a_hubs_ledger_too() -> None:
    """The second leg that is judged stands for another payment when one comes that lies before both."""
    first, second, late = (Payment(f"T{at}", at, sign * 500, "GBP", "hub", "A") for at, sign in ((5, -1), (9, 1), (3, -1)))
    asked = [Payment(f"Z{day}", day * DAY + 4, -7, "GBP", "hub", "B") for day in (30, 31)]
    hubs, walks = Histories(0), Histories()
    for online in (hubs, walks):
        judged = arrivals([second])
        online.take(arrivals([first, second]))
        online.judge(judged.id_high, judged.id_low, np.array([SUSPICIOUS], np.int8))
        online.take(arrivals([late]))
    for payment in asked:
        looked_up, walked = hubs.take(arrivals([payment])), walks.take(arrivals([payment]))
        assert looked_up.judged.tobytes() == walked.judged.tobytes()
        assert walked.judged[0, 0] == 1


def test_an_id_that_comes_with_another_content_is_a_conflict_and_changes_nothing() -> None:
    online = Histories()
    first, other = Payment("1", 5, -100, "GBP", "A", "B"), Payment("1", 5, -101, "GBP", "A", "B")
    told = online.take(arrivals([first, other, first]))
    assert told.status.tolist() == [NEW, CONFLICT, SAME]
    assert len(online) == 1


def test_the_payments_around_one_are_those_of_its_accounts_up_to_it() -> None:
    online = Histories()
    stream = [
        Payment("1", 1, -1, "GBP", "A", "B"),
        Payment("2", 2, 2, "GBP", "C", "B"),
        Payment("3", 3, -3, "EUR", "A", "B"),
        Payment("4", 3, -4, "GBP", "C", None),
        Payment("5", 5, -5, "GBP", "A", "C"),
        Payment("6", 5, -6, "GBP", "A", "B"),
    ]
    rows = online.take(arrivals(stream)).row
    assert online.around(rows[4:5]).transaction_id.to_pylist() == ["1", "2", "4", "5", "6"]
    assert online.around(rows[4:5], 2).transaction_id.to_pylist() == ["4", "5", "6"]
    several = online.around(rows[[0, 3]], 1)
    assert several.transaction_id.to_pylist() == ["1", "2", "4"]
    assert several.asked.tolist() == [True, False, True]
    assert several.parties.take(several.payments.payer).to_pylist() == ["A GBP", "C GBP", "C GBP"]
    assert [mask.tolist() for mask in online.sides(rows[4:5])] == [[True], [True], [True]]


def test_a_first_payment_of_unknown_parties_has_every_feature() -> None:
    payment = Payment("1", 0, -100, "GBP", None, None)
    found = taken(Histories(), [payment])
    assert found.shape == (1, feature_set.COUNT)
    assert np.isfinite(found).all()


def test_a_payment_of_unknown_parties_is_nobodys_even_where_no_account_is_known() -> None:
    online = Histories()
    of_nobody = online.take(arrivals([Payment("1", 0, -100, "GBP", None, None)]))
    assert [mask.tolist() for mask in online.sides(of_nobody.row)] == [[True], [False], [False]]


def many(count: int) -> list[Payment]:
    generator = np.random.default_rng(3)
    accounts = generator.integers(0, 50, (count, 2)).tolist()
    return [Payment(f"T{i}", i * 1000, -int(i % 977), "GBP", f"A{a}", f"A{b}") for i, (a, b) in enumerate(accounts)]


def test_thousands_of_payments_make_every_array_grow() -> None:
    online, stream = Histories(), many(5_000)
    found: list[npt.NDArray[np.float64]] = []
    for begin in range(0, len(stream), 700):
        part = stream[begin : begin + 700]
        found.append(taken(online, part))
    whole = batch(stream)
    assert np.concatenate(found).tobytes() == np.stack([whole[p.transaction_id] for p in stream]).tobytes()
