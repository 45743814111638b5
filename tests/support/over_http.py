"""A service behind a real HTTP server, in this process."""

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from typing import Any

import uvicorn

from serve.interface import api_of
from serve.service import Service


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    document: Any
    headers: Message


@dataclass(frozen=True)
class Caller:
    """Asks a service."""

    address: str

    def ask(self, route: str, document: Any = None, credentials: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """POST a document (as JSON, or bytes as they are), or GET where there is none."""
        given = {"Content-Type": "application/json"} | ({} if credentials is None else {"Authorization": f"Bearer {credentials}"})
        data = document if document is None or isinstance(document, bytes) else json.dumps(document).encode()
        request = urllib.request.Request(self.address + route, data, given | dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, _read(answer.read()), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _read(error.read()), error.headers)

    def validate(self, credentials: str | None, document: Any = None) -> Answer:
        """Ask about a record, by default an empty one."""
        return self.ask("/v1/transactions/validate", document or {"transaction_id": "x"}, credentials)


def _read(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


@contextmanager
def over_http(service: Service) -> Iterator[Caller]:
    """Serve it, and follow its lake; it is closed at the end."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # who asks before the server runs waits for it
    server = uvicorn.Server(uvicorn.Config(api_of(lambda: service, 256), lifespan="off", access_log=False, log_config=None))

    async def serve() -> None:
        following = asyncio.create_task(service.follow())
        await server.serve(sockets=[listening])
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield Caller(f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        service.close()
