"""The HTTP interface, called as a server calls it, before a service that only waits and fails."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from starlette.types import Message

from serve.access import INSECURE_LOCAL, Client, Scope
from serve.interface import api_of
from serve.metrics import Metrics
from serve.service import Service

SCORE = "/v1/transactions/score"


@dataclass
class Waiting:
    """Answers when it is told to."""

    metrics: Metrics = field(default_factory=Metrics)
    broken: str | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self, authorization: str | None, scope: Scope) -> Client:
        return INSECURE_LOCAL

    async def score(self, body: bytes, client: Client, request_id: str) -> bytes:
        if body == b"fail":
            raise RuntimeError("a secret")
        await self.go.wait()
        return body + request_id.encode()


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


async def ask(api: Any, path: str, method: str = "POST", *, sent: tuple[Message | None, ...] = ()) -> Got:
    """One request; None in what is sent stands for a client that says nothing more."""
    parts, got = list(sent), []

    async def receive() -> Message:
        part = parts.pop(0) if parts else None
        return part if part is not None else await asyncio.Future()

    async def send(message: Message) -> None:
        got.append(message)

    headers = [(b"content-type", b"application/json"), (b"x-request-id", b"-mine")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", "root_path": ""}
    await api(scope, receive, send)
    start, *rest = got
    return Got(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, b"".join(one.get("body", b"") for one in rest))


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


def api_before(service: Waiting) -> Any:
    return api_of(lambda: cast(Service, service), most_ongoing=2)


def test_more_requests_than_may_be_worked_on_are_told_when_to_ask_again_and_the_others_are_answered() -> None:
    async def run() -> None:
        service = Waiting()
        api = api_before(service)
        taken = [asyncio.create_task(ask(api, SCORE, sent=(body(b"%d" % number),))) for number in range(2)]
        await asyncio.sleep(0)
        refused = await ask(api, SCORE, sent=(body(b"2"),))
        assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
        assert refused.headers["retry-after"] == "1"
        assert "2 requests" in refused.document["detail"]
        assert b"leofric_requests_waiting 2.0" in (await ask(api, "/metrics", "GET")).body
        service.go.set()
        assert [got.body for got in await asyncio.gather(*taken)] == [b"0-mine", b"1-mine"]
        assert (await ask(api, SCORE, sent=(body(b"2"),))).status == 200
        assert b"leofric_requests_waiting 0.0" in (await ask(api, "/metrics", "GET")).body

    asyncio.run(run())


def test_a_body_that_does_not_come_in_time_gives_its_place_back() -> None:
    async def run() -> None:
        service = Waiting()
        service.go.set()
        api = api_of(lambda: cast(Service, service), most_ongoing=1, body_seconds=0.05)
        slow = await ask(api, SCORE, sent=(body(b"{", more=True), None))
        assert (slow.status, slow.document["title"]) == (408, "Request Timeout")
        assert (await ask(api, SCORE, sent=(body(b"x"),))).status == 200

    asyncio.run(run())


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_failure_of_the_service(caplog: pytest.LogCaptureFixture) -> None:
    got = asyncio.run(ask(api_before(Waiting()), SCORE, sent=(body(b"{", more=True), {"type": "http.disconnect"})))
    assert got.status == 400
    assert not caplog.records


def test_a_failure_is_told_by_the_requests_id_and_nothing_else() -> None:
    got = asyncio.run(ask(api_before(Waiting()), SCORE, sent=(body(b"fail"),)))
    assert got.status == 500
    assert "-mine" in got.document["detail"]
    assert b"secret" not in got.body


def test_a_service_that_is_being_replaced_is_not_ready() -> None:
    service = Waiting()
    assert asyncio.run(ask(api_before(service), "/readyz", "GET")).status == 200
    service.broken = "the journal cannot be written"
    got = asyncio.run(ask(api_before(service), "/readyz", "GET"))
    assert (got.status, got.headers["content-type"]) == (503, "application/problem+json")


def test_what_is_answered_before_fastapi_is_described_by_it() -> None:
    api = api_before(Waiting())
    got = asyncio.run(ask(api, "/openapi.json", "GET"))
    assert {SCORE, "/v1/transactions/validate"} < set(got.document["paths"])
    assert set(got.document["paths"][SCORE]) == {"post"}
    assert {"200", "408", "422", "503"} <= set(got.document["paths"][SCORE]["post"]["responses"])
    assert asyncio.run(ask(api, SCORE, "GET")).status == 405
