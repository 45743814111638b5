"""Several replicas of `leofric serve` when what they share is lost, stands still, or comes back empty; and while the model changes."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.contracts.lake import SCORES, SILVER
from app.lake import registry
from pipelines import models
from tests.e2e.test_serve import LEOFRIC, Server, make_key, server
from tests.support.champion import NOW, forest
from tests.support.lake import load, opened, rows
from tests.support.ports import free_port
from tests.support.processes import replicas
from tests.support.served import Record, Week, body, load_journal, week
from tests.support.valkey import Valkey, valkey

LATER = 750
SCORE = "/v1/transactions/score"
Answers = dict[str, Any]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return week(tmp_path_factory.mktemp("bank"), 5_000, LATER)


@pytest.fixture
def store() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


def wait_until(true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 120
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.2)


def ask(running: Server, record: Record) -> tuple[int, Any]:
    """The status and the document; one that is no answer says in problem details that it is to be asked again."""
    status, document, headers = running.ask(SCORE, json.dumps(record).encode())
    assert status in (200, 503), document
    if status == 503:
        assert headers["content-type"] == "application/problem+json"
        assert int(headers["retry-after"]) >= 1
        assert document["status"] == 503
    return status, document


def take(running: Server, records: list[Record], answers: Answers) -> int:
    """Ask until each is answered; gives how many requests were refused."""
    refused = 0
    for record in records:
        while (found := ask(running, record))[0] != 200:
            refused += 1
            time.sleep(0.05)
        assert answers.setdefault(record["transaction_id"], found[1]) == found[1]
    return refused


def test_what_happens_to_the_shared_histories_costs_refusals_but_no_answer_is_wrong(bank: Week, store: Valkey) -> None:
    key, answers = make_key(bank.lake, "payments", "score"), dict[str, Any]()
    parts = [bank.later[begin : begin + 150] for begin in range(0, LATER, 150)]
    with server(bank.lake, key, "--replicas", "2", "--histories", store.url) as running:
        take(running, parts[0], answers)
        _stands_still(running, store, parts[1], answers)
        _is_killed_and_comes_back_empty(running, store, parts[0] + parts[1], parts[2], answers)
        _loads_the_journal_meanwhile(running, bank.lake, parts[3], answers)
        _changes_the_model(running, bank.lake, parts[4], answers)
    load_journal(bank.lake)
    written = {row["transaction_id"]: row for row in rows(bank.lake, SCORES)}
    assert len(answers) == LATER
    assert {name: answer["score"].hex() for name, answer in answers.items()} == {name: written[name]["score"].hex() for name in answers}
    assert {name: answer["band"] for name, answer in answers.items()} == {name: written[name]["band"] for name in answers}
    counted = Counter(row["transaction_id"] for row in rows(bank.lake, SILVER))
    assert {counted[name] for name in answers} == {1}


def _stands_still(running: Server, store: Valkey, records: list[Record], answers: Answers) -> None:
    """For two seconds: nobody is answered, then all are, by the same replicas."""
    before = replicas(running.process.pid)
    store.signal(signal.SIGSTOP)
    going_on = threading.Timer(2, store.signal, [signal.SIGCONT])
    going_on.start()
    assert take(running, records, answers) > 0
    going_on.join()
    assert replicas(running.process.pid) == before


def _is_killed_and_comes_back_empty(running: Server, store: Valkey, known: list[Record], new: list[Record], answers: Answers) -> None:
    """Replicas of the old one answer nothing more; those that come know what was answered, from the journals."""
    before = replicas(running.process.pid)
    store.kill()
    for record in known[:5]:
        assert ask(running, record)[0] == 503
    store.start_anew()
    take(running, known, answers)
    wait_until(lambda: not before & replicas(running.process.pid) and len(replicas(running.process.pid)) == 2, "they were not replaced")
    take(running, known + new, answers)


def _loads_the_journal_meanwhile(running: Server, lake: Path, records: list[Record], answers: Answers) -> None:
    """Nobody is refused for it."""
    before, known = replicas(running.process.pid), len(rows(lake, SILVER))
    loading = threading.Thread(target=load, args=[lake / "journal/payments", lake])
    loading.start()
    assert take(running, records, answers) == 0
    loading.join()
    assert len(rows(lake, SILVER)) > known
    assert replicas(running.process.pid) == before


def _changes_the_model(running: Server, lake: Path, records: list[Record], answers: Answers) -> None:
    """Under load: no request fails."""
    changed, (card, data) = opened(lake), forest()
    good = replace(card, model_id="isolation_forest-next")
    take(running, records[:20], answers)
    registry.keep(changed.storage, good, data)
    models.promote(changed, good.model_id, "for tests", "tests", NOW, past_gate=True)
    for record in records[20:]:
        assert take(running, [record], answers) == 0
        time.sleep(0.08)
    used = [answers[record["transaction_id"]]["model_id"] for record in records]
    assert (used[0], used[-1]) == (card.model_id, good.model_id)


def test_replicas_that_may_degrade_say_so_and_share_what_they_took_when_they_can(bank: Week, store: Valkey) -> None:
    key = make_key(bank.lake, "degraded", "score")
    new = [record | {"transaction_id": f"degraded-{number}"} for number, record in enumerate(bank.later[-20:])]
    with server(bank.lake, key, "--replicas", "2", "--histories", store.url, "--histories-lost", "degrade") as running:
        assert "degraded" not in running.score(json.dumps(new[0]).encode())
        store.signal(signal.SIGSTOP)
        said = [running.score(json.dumps(record).encode()) for record in new[1:10]]
        assert all("away" in answer["degraded"] for answer in said)
        store.signal(signal.SIGCONT)
        wait_until(lambda: {record["transaction_id"] for record in new[:10]} <= store.in_log(), "not all of them are in the log")
        others = [record | {"amount": "-1.11"} for record in new[1:10]]
        assert all(_conflict(running, record) for record in others for _ in range(4))  # whichever answers
        assert "degraded" not in running.score(json.dumps(new[11]).encode())
        assert [running.score(json.dumps(record).encode()) for record in new[1:10]] == said
        assert running.score(body(new[1:10]))["transactions"] == said


def _conflict(running: Server, record: Record) -> bool:
    """Whether whoever answers knows a payment of this id with another content."""
    found = running.score(json.dumps(record).encode())
    return [reason["code"] for reason in found["reasons"]] == ["transaction_id_conflict"]


@pytest.mark.parametrize("secret", ["wrong", None])
def test_shared_histories_that_cannot_be_reached_are_told_in_a_sentence_without_the_password(bank: Week, secret: str | None) -> None:
    with valkey() as guarded:
        guarded.demand("right-and-secret")
        port = guarded.port if secret else free_port()
        words = [str(LEOFRIC), "serve", "--lake", str(bank.lake), "--replicas", "2", "--insecure-local"]
        environment = os.environ | {"LEOFRIC_HISTORIES": f"redis://:{secret or 'unused'}-pass@127.0.0.1:{port}/0"}
        found = subprocess.run(words, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert found.returncode == 1
    assert found.stderr.startswith("leofric: the shared histories cannot be reached")
    assert "Traceback" not in found.stderr
    assert "-pass" not in found.stderr + found.stdout
