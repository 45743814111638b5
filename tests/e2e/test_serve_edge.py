"""How `leofric serve` begins and ends, and what its process is."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.landing import record
from tests.support.ports import free_port
from tests.support.processes import LOOPBACK, below, listener, listening
from tests.support.served import small_lake

LEOFRIC = Path(sys.executable).parent / "leofric"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return small_lake(tmp_path)


@contextmanager
def serving(lake: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A service that is ready."""
    words = [str(LEOFRIC), "serve", "--lake", str(lake), "--port", str(port), "--insecure-local"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert b"ready" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_all_ports_are_this_machines_own_and_a_request_that_has_begun_is_answered_though_the_service_is_told_to_end(lake: Path) -> None:
    port = free_port()
    payment = {name: value for name, value in record(30).items() if value}
    body = json.dumps(payment).encode()
    head = f"POST /v1/transactions/score HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with serving(lake, port) as process:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as caller:
            caller.sendall(head + body[:10])
            assert os.getpriority(os.PRIO_PROCESS, listener(port)) == os.getpriority(os.PRIO_PROCESS, process.pid)
            addresses = listening(below(process.pid))  # of Ray's processes, too
            assert "0100007F" in addresses
            assert addresses <= LOOPBACK
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(3)
            caller.sendall(body[10:])
            answer = caller.makefile("rb").readline()
        assert process.wait(60) == 0
    assert answer.startswith(b"HTTP/1.1 200")
    (segment,) = (lake / "journal/payments").iterdir()
    assert json.loads(segment.read_bytes())["transaction_id"] == payment["transaction_id"]
    assert not segment.name.startswith("_")  # closed: a run can load it


def test_several_replicas_without_shared_histories_are_refused_at_once(lake: Path) -> None:
    words = [str(LEOFRIC), "serve", "--lake", str(lake), "--insecure-local", "--replicas", "2"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "add --histories redis://host:port/0" in done.stderr
