"""What the service answers over HTTP is what the batch writes when it has loaded the service's journal: to the bit."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.contracts.lake import SILVER
from tests.e2e.test_serve import Server, make_key, server
from tests.support.in_order import Answer, Clients
from tests.support.lake import rows
from tests.support.processes import replicas
from tests.support.served import Week, as_answered, as_scored, decided_by_writer, load_journal, week
from tests.support.valkey import valkey

LATER, ALONE = 10_000, 2_000


@dataclass(frozen=True)
class Served:
    """A lake that has loaded the journal, and what the service had answered."""

    lake: Path
    answers: dict[str, Answer]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return week(tmp_path_factory.mktemp("bank"), 20_000, LATER)


@pytest.fixture(scope="module", params=["one replica", "two that share histories"])
def served(request: pytest.FixtureRequest, bank: Week, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same ten thousand payments asked about, some again, by several clients; then in the lake."""
    lake = tmp_path_factory.mktemp("served") / "lake"
    shutil.copytree(bank.lake, lake)
    answers = _one_replica(lake, bank) if request.param == "one replica" else _two_replicas(lake, bank)
    load_journal(lake)
    yield Served(lake, answers)


def _one_replica(lake: Path, bank: Week) -> dict[str, Answer]:
    key = make_key(lake, "parity", "score")
    with server(lake, key) as running:
        clients = Clients(running.port, key=key)
        clients.ask_alone(bank.later[:ALONE])
        clients.ask_by(100, bank.later[ALONE:])
    return clients.answers


def _two_replicas(lake: Path, bank: Week) -> dict[str, Answer]:
    """One of them is killed midway; in the end the service starts anew, and gives the same answers."""
    key = make_key(lake, "parity", "score")
    with valkey() as store:
        shared = ("--replicas", "2", "--histories", store.url)
        with server(lake, key, *shared) as running:
            clients = Clients(running.port, key=key)
            killing = threading.Thread(target=_kill_one, args=[running, clients])
            killing.start()
            clients.ask_alone(bank.later[:ALONE])
            killing.join()
            _wait_for_two(running)
            clients.ask_by(100, bank.later[ALONE:])
        with server(lake, key, *shared) as running:
            again = Clients(running.port, key=key, answers=clients.answers)
            again.ask_alone(bank.later[-200:])
            again.ask_by(1_000, bank.later)
    return clients.answers


def _kill_one(running: Server, clients: Clients) -> None:
    while len(clients.answers) < ALONE // 3:
        time.sleep(0.01)
    os.kill(min(replicas(running.process.pid)), signal.SIGKILL)


def _wait_for_two(running: Server) -> None:
    until = time.monotonic() + 120
    while len(replicas(running.process.pid)) < 2:
        assert time.monotonic() < until, "the replica did not come back"
        time.sleep(0.2)


def test_scores_bands_reasons_and_scenarios_are_the_batchs(served: Served) -> None:
    assert len(served.answers) == LATER
    told = as_answered(served.answers)
    assert len({band for _, band, *_ in told.values()}) == 3
    assert any(scenarios for *_, scenarios in told.values())
    assert told == as_scored(served.lake, served.answers)


def test_what_the_service_saw_is_in_the_lake_once(served: Served) -> None:
    counted = Counter(row["transaction_id"] for row in rows(served.lake, SILVER))
    assert {name: counted[name] for name in served.answers} == dict.fromkeys(served.answers, 1)


def test_every_answer_is_in_the_journal_and_replicas_gave_a_fair_share_of_them(served: Served) -> None:
    by_writer = decided_by_writer(served.lake)
    assert {name for names in by_writer.values() for name in names} == set(served.answers)
    assert len(by_writer) in (1, 3, 5)  # one alone; two, and one that came for the one that was killed, and two that said it all again
    most = sorted(map(len, by_writer.values()), reverse=True)
    if len(most) > 1:
        assert sum(most[1:]) > LATER / 5
