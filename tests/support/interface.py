"""The service's HTTP interface in this process, without a server: what it answers to requests of any bytes."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from serve.interface import api_of
from serve.service import Service
from serve.settings import settings_of

_LONGEST_SECONDS = 60
JSON = {"content-type": "application/json"}
VALIDATE, SCORE = "/v1/transactions/validate", "/v1/transactions/score"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@contextmanager
def served(lake: Path, **settings: object) -> Iterator[FastAPI]:
    """The interface of a service on a lake."""
    service = Service(settings_of({"lake": str(lake)} | settings))
    try:
        yield api_of(lambda: service, 256)
    finally:
        service.close()


def ask(
    api: FastAPI,
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: Mapping[str, str] = JSON,
    method: str = "POST",
    cut: bool = False,
    query: str = "",
) -> Answer:
    """One request, whose body comes in one part or several; ``cut``: the client goes away before the last.

    What the interface raises is raised here: nothing may be left to a server's own answer.
    """
    parts = [body] if isinstance(body, bytes) else list(body)
    incoming = [{"type": "http.request", "body": part, "more_body": cut or at + 1 < len(parts)} for at, part in enumerate(parts)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(api(scope, receive, send), _LONGEST_SECONDS))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent[1:]))
