"""HAProxy before small servers that stand for replicas."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from app.errors import UsageError
from serve.balancer import Balancer, BalancerFailed
from serve.requests import MOST_BYTES
from tests.support import backend
from tests.support.ports import free_port

Answer = tuple[int, str | None, bytes]


@contextmanager
def replica(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A server that answers there."""
    process = subprocess.Popen([sys.executable, backend.__file__, str(port)])
    try:
        wait_until(lambda: reachable(port))
        yield process
    finally:
        process.kill()
        process.wait()


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def ask(connection: HTTPConnection, body: bytes, milliseconds: int = 0) -> Answer:
    connection.request("POST", f"/{milliseconds}", body)
    with connection.getresponse() as response:
        return response.status, response.headers["x-from"], response.read()


def ask_once(port: int, body: bytes = b"x", milliseconds: int = 0) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        return ask(connection, body, milliseconds)
    finally:
        connection.close()


def test_a_replica_that_is_killed_under_load_costs_no_request_whatever_its_size() -> None:
    first, second, port = free_port(), free_port(), free_port()
    asking = threading.Event()
    asking.set()

    def load(size: int) -> list[Answer]:
        connection, answers = HTTPConnection("127.0.0.1", port, timeout=60), []
        while asking.is_set():
            answers.append(ask(connection, b"x" * size, 20))
        connection.close()
        return answers

    sizes = [1, 1, 1, 1, 100_000, MOST_BYTES]
    with replica(first) as victim, replica(second), Balancer("127.0.0.1", port, [first, second], 100), ThreadPoolExecutor(6) as pool:
        wait_until(lambda: {ask_once(port)[1] for _ in range(4)} == {str(first), str(second)})
        running = [pool.submit(load, size) for size in sizes]
        time.sleep(1)
        victim.kill()
        time.sleep(1)
        asking.clear()
        found = [(size, one.result()) for size, one in zip(sizes, running, strict=True)]
    assert all((status, body) == (200, b"%d" % size) for size, answers in found for status, _, body in answers)
    by = Counter(who for _, answers in found for _, who, _ in answers)
    assert set(by) == {str(first), str(second)}
    assert all(answers[-1][1] == str(second) for _, answers in found)


def test_it_listens_on_the_one_address_that_it_was_given_and_on_nothing_else() -> None:
    port = free_port()
    with Balancer("127.0.0.1", port, [free_port()], 10) as balancer:
        assert ask_once(port)[0] == 503
        assert listeners(balancer.pid) == [f"0100007F:{port:04X}"]


def listeners(pid: int) -> list[str]:
    """The addresses on which a process listens for connections or waits for datagrams, as the kernel writes them."""
    sockets = {str(entry.readlink())[8:-1] for entry in Path(f"/proc/{pid}/fd").iterdir() if str(entry.readlink()).startswith("socket:[")}
    found = []
    for kind, listening in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        rows = [line.split() for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]]
        found += [row[1] for row in rows if row[3] == listening and row[9] in sockets]
    return found


def test_without_a_replica_callers_are_told_to_ask_again_in_problem_details_and_one_that_comes_answers() -> None:
    first, port = free_port(), free_port()
    with Balancer("127.0.0.1", port, [first], 10):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/0", b"x")
        with connection.getresponse() as response:
            assert (response.status, response.headers["content-type"]) == (503, "application/problem+json")
            assert response.headers["retry-after"] == "1"
            assert json.loads(response.read())["status"] == 503
        connection.close()
        with replica(first):
            wait_until(lambda: ask_once(port)[0] == 200)


def test_more_requests_than_the_replicas_take_wait_a_second_and_are_told_to_ask_again() -> None:
    first, port = free_port(), free_port()
    with replica(first), Balancer("127.0.0.1", port, [first], 2), ThreadPoolExecutor(4) as pool:
        wait_until(lambda: ask_once(port)[0] == 200)
        answers = [one.result() for one in [pool.submit(ask_once, port, b"x", 3000) for _ in range(4)]]
    assert sorted(status for status, _, _ in answers) == [200, 200, 503, 503]


def test_a_client_that_does_not_send_its_request_is_told_so_and_no_replica_waits_for_it() -> None:
    first, port = free_port(), free_port()
    with replica(first), Balancer("127.0.0.1", port, [first], 1):
        wait_until(lambda: ask_once(port)[0] == 200)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
            slow.sendall(b"POST /0 HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
            assert ask_once(port)[0] == 200  # the one place at the replica is free
            said = slow.recv(65536)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in said


def test_what_is_under_way_when_it_stops_is_answered_and_nothing_new_is_taken() -> None:
    first, port = free_port(), free_port()
    with replica(first), ThreadPoolExecutor(1) as pool, Balancer("127.0.0.1", port, [first], 10) as balancer:
        wait_until(lambda: ask_once(port)[0] == 200)
        idle = HTTPConnection("127.0.0.1", port, timeout=60)
        assert ask(idle, b"x")[0] == 200
        under_way = pool.submit(ask_once, port, b"x", 1500)
        time.sleep(0.5)
        balancer.stop()
        assert under_way.result()[0] == 200
        assert not reachable(port)
        idle.close()


def test_its_death_is_told() -> None:
    with Balancer("127.0.0.1", free_port(), [free_port()], 10) as balancer:
        balancer.check()
        os.kill(balancer.pid, signal.SIGKILL)
        wait_until(lambda: ended(balancer))
        with pytest.raises(BalancerFailed, match="HAProxy has ended with code -9"):
            balancer.check()


def ended(balancer: Balancer) -> bool:
    try:
        balancer.check()
    except BalancerFailed:
        return True
    return False


def test_an_address_that_is_taken_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1, port {port}: Address already in use"):
            Balancer("127.0.0.1", port, [free_port()], 10)
