"""Two services on one lake that share histories, in one process: what one does and leaves undone, and what the other says then."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.access import INSECURE_LOCAL
from serve.problems import Problem
from serve.redis_line import StoreLost
from serve.service import Service
from serve.settings import settings_of
from tests.support.lake import load
from tests.support.served import Record, Week, as_answered, as_scored, decided_by_writer, load_journal, week
from tests.support.valkey import Valkey, valkey

LATER = 400


@pytest.fixture
def store() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


@pytest.fixture
def bank(tmp_path: Path) -> Week:
    return week(tmp_path, 2_000, LATER)


def started(bank: Week, store: Valkey) -> Service:
    arguments = {"lake": str(bank.lake), "insecure_local": True, "histories": store.url, "follow_seconds": 0.05, "segment_seconds": 0.3}
    return Service(settings_of(arguments))


async def score(service: Service, record: Record) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await service.score(json.dumps(record).encode(), INSECURE_LOCAL, "r"))
    return answer


def test_the_journal_is_loaded_again_and_again_while_both_serve_and_the_log_shrinks_to_nothing(bank: Week, store: Valkey) -> None:
    services, answers = [started(bank, store) for _ in range(2)], dict[str, Any]()
    done = threading.Event()

    def load_again_and_again() -> None:
        while not done.wait(0.2):
            if list((bank.lake / "journal/payments").glob("payments-*")):
                load(bank.lake / "journal/payments", bank.lake)

    async def both() -> None:
        following = [asyncio.create_task(service.follow()) for service in services]
        for number, record in enumerate(bank.later):
            answers[record["transaction_id"]] = await score(services[number % 2], record)
            if number % 5 == 0:  # the other one says the same
                assert await score(services[(number + 1) % 2], record) == answers[record["transaction_id"]]
            await asyncio.sleep(0.005)
        async with asyncio.timeout(60):
            while store.in_log():
                await asyncio.sleep(0.05)
        for record in bank.later:
            assert await score(services[0], record) == answers[record["transaction_id"]]
        assert [service.broken for service in services] == [None, None]
        for task in following:
            task.cancel()

    loading = threading.Thread(target=load_again_and_again)
    loading.start()
    try:
        asyncio.run(both())
    finally:
        done.set()
        loading.join()
        for service in services:
            service.close()
    load_journal(bank.lake)
    assert as_answered(answers) == as_scored(bank.lake, answers)


@pytest.mark.parametrize("step", ["_engine.histories.take", "_engine._answers.settle", "_journal.write_decisions"])
def test_wherever_a_replica_dies_the_payment_is_answered_counted_and_put_down_by_the_other_and_by_the_next(
    bank: Week, store: Valkey, step: str
) -> None:
    """After the payment is in the journal, after it is in the log, after its answer stands."""
    one, other = started(bank, store), started(bank, store)
    *path, method = step.split(".")
    at: Any = one
    for name in path:
        at = getattr(at, name)
    setattr(at, method, _dies)
    record = bank.later[0]
    with pytest.raises(Problem):
        asyncio.run(score(one, record))
    answer = asyncio.run(score(other, record))
    assert answer["decision"] == "scored"
    following = started(bank, store)
    assert asyncio.run(score(following, record)) == answer
    assert asyncio.run(score(other, record)) == answer
    for service in (one, other, following):
        service.close()
    assert record["transaction_id"] in {name for names in decided_by_writer(bank.lake).values() for name in names}
    load_journal(bank.lake)
    assert as_scored(bank.lake, {record["transaction_id"]}) == as_answered({record["transaction_id"]: answer})


def _dies(*_: object, **__: object) -> None:
    raise StoreLost("here it died")


def test_two_that_start_at_once_know_the_same(bank: Week, store: Valkey) -> None:
    first = started(bank, store)
    answers = [asyncio.run(score(first, record)) for record in bank.later[:50]]
    first._engine.histories._line._connection.disconnect()  # type: ignore[attr-defined]  # killed: its journal stays open
    store.kill()
    store.start_anew()
    found: dict[int, Service] = {}

    def start(number: int) -> None:
        found[number] = started(bank, store)

    _at_once([lambda: start(0), lambda: start(1)])
    for service in found.values():
        assert [asyncio.run(score(service, record)) for record in bank.later[:50]] == answers
        assert len(service._engine.histories) == len(first._engine.histories)
    assert store.in_log() == {record["transaction_id"] for record in bank.later[:50]}
    for service in (first, *found.values()):
        service.close()


def _at_once(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
