"""`leofric serve` as its users meet it: over HTTP, with keys, through a crash and a change of model."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.contracts.lake import SCORES
from app.lake import registry
from pipelines import models
from tests.support.champion import NOW, forest
from tests.support.lake import opened, rows
from tests.support.ports import free_port
from tests.support.served import Record, Week, body, load_journal, week

LEOFRIC = Path(sys.executable).parent / "leofric"
LATER = 600


@dataclass
class Server:
    """A service that runs."""

    port: int
    process: "subprocess.Popen[str]"
    key: str

    def ask(self, route: str, document: bytes | None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """The status, the document, and the headers of an answer."""
        given = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | headers
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{route}", document, given)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, _json(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, _json(error.read()), dict(error.headers)

    def score(self, document: bytes) -> Any:
        """A good answer."""
        status, found, _ = self.ask("/v1/transactions/score", document)
        assert status == 200, found
        return found


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


@contextmanager
def server(lake: Path, key: str, *more: str) -> Iterator[Server]:
    port = free_port()
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    words = [str(LEOFRIC), "serve", "--lake", str(lake), "--port", str(port), "--rate-limit", "100000/minute", *more]
    with (lake.parent / "serve.log").open("a") as log:
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert "ready" in ready, (lake.parent / "serve.log").read_text()[-2000:]
            yield Server(port, process, key)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Week:
    return week(tmp_path_factory.mktemp("bank"), 5_000, LATER)


def make_key(lake: Path, name: str, scope: str) -> str:
    words = [str(LEOFRIC), "keys", "create", "--name", name, "--scope", scope, "--lake", str(lake)]
    return str(subprocess.run(words, check=True, capture_output=True, text=True).stdout).strip()


def test_a_day_with_the_service(bank: Week) -> None:
    key, other = make_key(bank.lake, "payments", "score"), make_key(bank.lake, "forms", "validate")
    answers: dict[str, Any] = {}
    with server(bank.lake, key) as running:
        _refuses_what_is_wrong(running, other, bank.later[0])
        _take(running, bank.later[:200], answers)
        _dies_and_comes_back(running, bank, answers)
        _changes_its_model_under_load(running, bank, answers)
    load_journal(bank.lake)
    written = {row["transaction_id"]: row for row in rows(bank.lake, SCORES)}
    assert len(answers) == LATER
    of_first_model = [answer for answer in answers.values() if answer["model_id"] == forest()[0].model_id]
    assert len(of_first_model) >= 400
    # The lake scores all with the model that is in use when it scores: the two forests are the same but for their names.
    assert all(written[name]["score"].hex() == answer["score"].hex() for name, answer in answers.items())


def _take(running: Server, records: list[Record], answers: dict[str, Any]) -> None:
    for record in records[: len(records) // 2]:
        answer = running.score(json.dumps(record).encode())
        answers[answer["transaction_id"]] = answer
    for answer in running.score(body(records[len(records) // 2 :]))["transactions"]:
        answers[answer["transaction_id"]] = answer


def _refuses_what_is_wrong(running: Server, other: str, record: Record) -> None:
    good = json.dumps(record).encode()
    scoring = "/v1/transactions/score"
    cases = [
        (401, good, {"Authorization": "Bearer leofric_payments_wrong"}),
        (401, good, {"Authorization": ""}),
        (403, good, {"Authorization": f"Bearer {other}"}),
        (415, good, {"Content-Type": "text/csv"}),
        (400, b"{", {}),
        (400, b"\xff\xfe", {}),
        (400, b'{"amount": NaN}', {}),
        (400, b"[" * 100_000, {}),
        (422, b"[]", {}),
        (422, b'{"amout": "1"}', {}),
        (422, b'{"transactions": []}', {}),
        (422, b'{"transactions": [{"sort_code": 123456}]}', {}),
        (413, body([record] * 1001), {}),
        (413, b" " * (1024 * 1024 + 1), {}),
    ]
    for status, document, headers in cases:
        found, problem, _ = running.ask(scoring, document, **headers)
        assert (found, problem["status"]) == (status, status), (document[:80], problem)
        assert problem["detail"]
        assert "Traceback" not in json.dumps(problem)
    status, refused, _ = running.ask(scoring, b'{"transaction_id": "no-1", "amount": 1e400}')
    assert (status, refused["decision"]) == (200, "refused")
    assert {"amount_format", "timestamp_missing"} <= {reason["code"] for reason in refused["reasons"]}
    assert running.ask("/v1/transactions/validate", good, Authorization=f"Bearer {other}")[1]["valid"] is True
    assert running.ask("/readyz", None)[0] == running.ask("/healthz", None)[0] == 200
    assert running.ask("/metrics", None)[0] == 403
    assert "/v1/transactions/score" in running.ask("/openapi.json", None)[1]["paths"]


def _replica_of(running: Server) -> int:
    """The process that answers: it listens on the port."""
    mine = [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and str(running.port) in _listening(int(entry.name))
    ]
    assert len(mine) == 1
    return mine[0]


def _listening(pid: int) -> set[str]:
    """The ports on which a process listens."""
    sockets = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = str(entry.readlink())
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    except OSError:  # not ours, or gone
        return set()
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {str(int(line[1].rpartition(":")[2], 16)) for line in lines if line[3] == "0A" and line[9] in sockets}


def _dies_and_comes_back(running: Server, bank: Week, answers: dict[str, Any]) -> None:
    """A replica that is killed is replaced by one that knows all that was answered."""
    os.kill(_replica_of(running), signal.SIGKILL)
    again = body(bank.later[:200])
    until = time.monotonic() + 90
    while True:
        try:
            status, found, _ = running.ask("/v1/transactions/score", again)
        except OSError:
            status = 0
        if status == 200:
            break
        assert time.monotonic() < until, "the replica did not come back"
        time.sleep(0.5)
    assert found["transactions"] == [answers[record["transaction_id"]] for record in bank.later[:200]]
    _take(running, bank.later[200:400], answers)


def _changes_its_model_under_load(running: Server, bank: Week, answers: dict[str, Any]) -> None:
    """A corrupt champion is not used; a good one answers soon; no request fails meanwhile."""
    rest, failures = bank.later[400:], []

    def load() -> None:
        for record in rest:
            status, answer, _ = running.ask("/v1/transactions/score", json.dumps(record).encode())
            if status != 200:
                failures.append((status, answer))
                continue
            answers[answer["transaction_id"]] = answer
            time.sleep(0.06)

    loading = threading.Thread(target=load)
    loading.start()
    lake, (card, data) = opened(bank.lake), forest()
    corrupt = replace(card, model_id="isolation_forest-corrupt", sha256=sha256(b"another").hexdigest())
    registry.keep(lake.storage, corrupt, data)
    decided = registry.decisions(lake.storage)
    number = len(decided) + 1
    registry.decide(lake.storage, replace(decided[-1], number=number, champion=corrupt.model_id, before=card.model_id))
    time.sleep(6)
    after_corrupt = len(answers)
    good = replace(card, model_id="isolation_forest-next")
    registry.keep(lake.storage, good, data)
    models.promote(lake, good.model_id, "for tests", "tests", NOW, past_gate=True)
    loading.join()
    assert not failures
    assert after_corrupt > 400
    used = [answers[record["transaction_id"]]["model_id"] for record in rest]
    assert set(used) == {card.model_id, good.model_id}
    assert used == sorted(used, key=[card.model_id, good.model_id].index)
