"""Histories that let go of old payments while others are taken in."""

from threading import Event, Thread

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.features.histories import Histories
from app.features.outcomes import CLEARED, SUSPICIOUS
from app.features.trimming import Trimming
from tests.support.payments import DAY, HOUR, Payment, arrivals, hub_streams


@given(hub_streams(40), st.data())
def test_histories_with_hubs_that_were_trimmed_are_told_what_those_that_never_had_the_old_ones_are(
    stream: list[Payment], data: st.DataObject
) -> None:
    cut, hub = data.draw(st.integers(0, len(stream))), data.draw(st.integers(0, 5))
    before = data.draw(st.sampled_from([1, 7, 8, 30, 180])) * DAY
    trimmed, never = Histories(hub), Histories()
    trimmed.take(arrivals(stream[:cut]))
    never.load(arrivals([p for p in stream[:cut] if p.booked_at >= before]))
    for online in (trimmed, never):
        every = arrivals(stream)
        online.judge(every.id_high, every.id_low, np.where(np.arange(len(stream)) % 2, CLEARED, SUSPICIOUS).astype(np.int8))
    Trimming(trimmed, before).finish()
    for payment in stream[cut:]:
        one, other = trimmed.take(arrivals([payment])), never.take(arrivals([payment]))
        assert one.facts.tobytes() == other.facts.tobytes()
        assert one.judged.tobytes() == other.judged.tobytes()


def test_what_is_taken_in_by_the_thousand_while_another_thread_trims_is_there_afterwards() -> None:
    stream = [Payment(f"T{i}", i * HOUR, -i, "GBP", f"A{i % 7}", f"A{i % 5}") for i in range(9_000)]
    online, done, begun = Histories(50), Event(), []
    online.load(arrivals(stream[:3_000]))

    def trim() -> None:
        begun.append(Trimming(online, 100 * DAY))
        done.set()

    thread, at = Thread(target=trim), 3_000
    thread.start()
    while not done.is_set() and at < 8_000:
        online.take(arrivals(stream[at : at + 10]))
        at += 10
    thread.join()
    online.take(arrivals(stream[at:]))
    begun[0].finish()
    never = Histories()
    never.load(arrivals(stream[2_400:]))
    assert (len(online), online.parties) == (len(never), never.parties)
    assert online.take(arrivals(stream[2_400:])).facts.tobytes() == never.take(arrivals(stream[2_400:])).facts.tobytes()


def test_of_accounts_whose_payments_go_the_last_day_is_told_and_which_have_payments_soon_after() -> None:
    online = Histories()
    online.take(
        arrivals(
            [
                Payment("1", HOUR, -5, "GBP", "A", "B"),
                Payment("2", 2 * DAY + HOUR, 5, "GBP", "C", "A"),
                Payment("3", 3 * DAY, -5, "EUR", "A", "B"),
                Payment("4", 4 * DAY, -5, "GBP", None, "B"),
                Payment("5", 10 * DAY, 5, "GBP", "A", "D"),
                Payment("6", 20 * DAY, -5, "GBP", "E", "A"),
            ]
        )
    )
    trimming = Trimming(online, 10 * DAY)
    assert trimming.last_days("GBP") == {"A": 2}
    assert trimming.awake("GBP", 20 * DAY) == {"D"}
    assert trimming.last_days("EUR") == {"A": 3}
