"""`leofric serve` and clients that are slow, many, gone, or talk nonsense: others are answered meanwhile, and all are afterwards."""

import gzip
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.test_serve import Server, make_key, server
from tests.support.interface import SCORE
from tests.support.landing import record
from tests.support.processes import listener
from tests.support.served import small_lake

MOST = 16
"""So many requests are taken in at once here."""


def payment(number: int) -> bytes:
    return json.dumps({name: value for name, value in record(number).items() if value}).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    lake = small_lake(tmp_path_factory.mktemp("faults"))
    with server(lake, make_key(lake, "payments", "score"), "--most-ongoing", str(MOST)) as one:
        yield one


@pytest.fixture(autouse=True)
def goes_on(running: Server) -> Iterator[None]:
    """After every test the service answers as it did before, from the same process."""
    replica, before = listener(running.port), running.score(payment(5))
    yield
    assert running.score(payment(5)) == before
    assert listener(running.port) == replica


@dataclass
class Raw:
    """A connection whose bytes a test writes itself."""

    socket: socket.socket

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The status, headers and body of the next answer; b"" where there is none before the connection ends."""
        with self.socket.makefile("rb") as file:
            line = file.readline()
            headers = {}
            while (header := file.readline().strip()) != b"":
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            return int(line.split()[1]) if line else 0, headers, file.read(int(headers.get("content-length", 0)))


def connect(running: Server, stack: ExitStack) -> Raw:
    return Raw(stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=60)))


def head(running: Server, length: int | str) -> bytes:
    lines = [f"POST {SCORE} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {running.key}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode()


def all_are_scored(running: Server, first: int, count: int) -> None:
    for number in range(first, first + count):
        assert running.score(payment(number))["decision"] == "scored"


def test_slow_clients_hold_up_nobody(running: Server) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            connect(running, stack).send(head(running, 500))  # and never a body
            connect(running, stack).send(head(running, 500)[:60])  # and never the rest of the headers
        slow = connect(running, stack)
        body, ended = payment(100), threading.Event()
        slow.send(head(running, len(body)))

        def trickle() -> None:
            for byte in body:
                if ended.wait(0.02):
                    break
                slow.send(bytes([byte]))

        trickling = threading.Thread(target=trickle)
        trickling.start()
        all_are_scored(running, 101, 50)
        trickling.join()  # less than the time that a body has
        status, _, document = slow.answer()
        assert (status, json.loads(document)["transaction_id"]) == (200, "T000100")


def test_a_body_that_does_not_come_is_given_up_after_a_while_and_its_place_is_free(running: Server) -> None:
    with ExitStack() as stack:
        silent = [connect(running, stack) for _ in range(MOST)]
        for one in silent:
            one.send(head(running, 500))
        assert until_refused(running, payment(200))[0] == 503
        for one in silent:
            status, headers, document = one.answer()
            assert (status, headers["content-type"]) == (408, "application/problem+json")
            assert "within" in json.loads(document)["detail"]
            assert one.socket.recv(1) == b""  # and it is closed: what comes now would be no request
    all_are_scored(running, 200, 5)


def until_refused(running: Server, document: bytes) -> tuple[int, Any, dict[str, str]]:
    """What is answered when all places are taken; those who take them may take a moment to do so."""
    for _ in range(200):
        found = running.ask(SCORE, document)
        if found[0] != 200:
            break
        time.sleep(0.02)
    return found


def test_more_requests_than_there_are_places_are_told_at_once_to_come_again_and_are_answered_when_they_do(running: Server) -> None:
    body = payment(300)
    with ExitStack() as stack:
        held = [connect(running, stack) for _ in range(MOST)]
        for one in held:
            one.send(head(running, len(body)) + body[:-1])
        until_refused(running, body)
        with ThreadPoolExecutor(64) as pool:  # all of these are answered while the places are held: nothing piles up
            answers = list(pool.map(lambda _: running.ask(SCORE, body), range(400)))
        for status, problem, headers in answers:
            assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/problem+json")
            assert (problem["status"], problem["title"]) == (503, "Service Unavailable")
        for one in held:
            one.send(body[-1:])
        documents = [one.answer() for one in held]
    assert {status for status, _, _ in documents} == {200}
    assert len({document for _, _, document in documents}) == 1  # one payment, asked about by many: one answer
    with ThreadPoolExecutor(MOST) as pool:
        assert {status for status, _, _ in pool.map(lambda _: running.ask(SCORE, body), range(200))} == {200}


def test_clients_that_go_away_midway_leave_no_trace(running: Server) -> None:
    for number in range(3 * MOST):  # more than there are places
        with ExitStack() as stack:
            gone = connect(running, stack)
            gone.send(head(running, 500) + b"{" * (number % 40))
    for _ in range(MOST):  # asked in full, gone before the answer
        with ExitStack() as stack:
            connect(running, stack).send(head(running, len(payment(400))) + payment(400))
    assert running.score(payment(400))["decision"] == "scored"
    all_are_scored(running, 401, 5)


def test_one_that_does_not_read_its_answer_holds_up_nobody(running: Server) -> None:
    many = json.dumps({"transactions": [json.loads(payment(number)) for number in range(1_000, 2_000)]}).encode()
    with ExitStack() as stack:
        for _ in range(MOST // 2):
            lazy = connect(running, stack)
            lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            lazy.send(head(running, len(many)) + many)
        all_are_scored(running, 501, 30)
        status, _, document = lazy.answer()  # slowly, and in the end
        assert (status, len(json.loads(document)["transactions"])) == (200, 1_000)


def test_many_idle_connections_hold_up_nobody(running: Server) -> None:
    with ExitStack() as stack:
        idle = [connect(running, stack) for _ in range(500)]
        all_are_scored(running, 601, 20)
        idle[-1].send(head(running, len(payment(621))) + payment(621))
        assert idle[-1].answer()[0] == 200


def test_what_is_no_http_is_told_so_or_cut_off(running: Server) -> None:
    body = payment(700)
    cases = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64),  # TLS
        b"\x00" * 1_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST " + SCORE.encode() + b" HTTP/1.1\r\n" + b"A: " + b"x" * 200_000 + b"\r\n\r\n",
        head(running, "abc") + body,
        head(running, -1) + body,
        head(running, len(body) - 5) + body,  # the rest is taken for a request, and is none
        head(running, f"{len(body)}\r\nContent-Length: 3") + body,
        head(running, f"{len(body)}\r\nTransfer-Encoding: chunked") + b"zz\r\n" + body,
    ]
    for data in cases:
        with ExitStack() as stack:
            raw = connect(running, stack)
            with suppress(ConnectionError):
                raw.send(data)
                raw.socket.shutdown(socket.SHUT_WR)
            received = b""
            with suppress(ConnectionError):
                while part := raw.socket.recv(65_536):
                    received += part
        assert b"Traceback" not in received
        assert not any(line.startswith(b"HTTP/1.1 5") for line in received.split(b"\r\n")), (data[:120], received[:300])


@pytest.mark.parametrize(
    "name",
    [
        "X-Request-ID",
        "X-Request-Timeout-Seconds",
        "X-Request-Disconnect-Disabled",
        "Serve-Multiplexed-Model-ID",
        "X-Session-ID",
        "Accept",
        "traceparent",
    ],
)
def test_a_header_that_is_no_text_is_no_failure(running: Server, name: str) -> None:
    with ExitStack() as stack:
        raw = connect(running, stack)
        raw.send(head(running, 2)[:-2] + name.encode() + b": \xff\xfe\xe9\r\n\r\n{}")
        status, _, document = raw.answer()
        assert (status, json.loads(document)["decision"]) == (200, "refused")


def test_a_bomb_in_gzip_is_not_opened(running: Server) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    status, problem, _ = running.ask(SCORE, bomb, **{"Content-Encoding": "gzip"})
    assert (status, problem["title"]) == (415, "Unsupported Media Type")


def test_a_service_that_stood_still_for_a_while_answers_those_who_waited(running: Server) -> None:
    replica = listener(running.port)
    os.kill(replica, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(running.ask, SCORE, payment(800 + number)) for number in range(8)]
            time.sleep(8)
            assert not any(one.done() for one in waiting)
            os.kill(replica, signal.SIGCONT)
            assert {one.result()[0] for one in waiting} == {200}
    finally:
        with suppress(ProcessLookupError):
            os.kill(replica, signal.SIGCONT)


def test_the_document_and_its_page_are_there(running: Server) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/docs", timeout=30) as page:
        assert b"/v1/transactions/score" in page.read()
    assert "bearer" in running.ask("/openapi.json", None)[1]["components"]["securitySchemes"]
    status, problem, headers = running.ask("/nothing", None)
    assert (status, problem["status"], headers["content-type"]) == (404, 404, "application/problem+json")
