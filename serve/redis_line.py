"""One connection to one run of a Redis or Valkey server; a connection that was lost is made again, but never to another run."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from app.errors import LeofricError, UsageError

SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys")
_PAUSE_SECONDS: Final = 0.5
"""A server that does not answer is asked again after so long: nobody waits for it meanwhile."""


class StoreLost(LeofricError):
    """The shared store does not answer; it may do so later. Nothing is known of what was asked of it."""


class StoreChanged(LeofricError):
    """The shared store began anew since this process began: what it had may be gone, so this process must begin anew, too."""


class Line:
    """Sends commands as one transaction (MULTI, EXEC), in one round trip. One thread at a time.

    redis-py connects again by itself where a connection broke. Here that would be wrong: a server that was started again may have lost what
    it had, and nobody would know. So connections are handled by hand, and each new one is asked whether it leads to the same run.
    """

    def __init__(self, url: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """UsageError if the URL is none; StoreLost if no server answers."""
        self._pool = _pool(url, seconds)
        self._clock = clock
        self._connection: Any = None
        self._run: bytes | None = None
        self._not_before = 0.0
        self._connect()

    def at_once(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The replies to these commands, which are done together and at once, or not at all."""
        connection = self._connected()
        from redis.exceptions import RedisError

        try:
            connection.send_packed_command(connection.pack_commands([("MULTI",), *commands, ("EXEC",)]))
            for _ in range(len(commands) + 1):
                connection.read_response()
            replies: list[Any] = connection.read_response()
            for reply in replies:
                if isinstance(reply, RedisError):
                    raise reply
        except (RedisError, OSError) as error:
            self._lose()
            raise StoreLost(f"the shared histories cannot be reached: {_what(error)}") from None
        return replies

    def check(self) -> None:
        """StoreLost if it is known that the server cannot be reached: one that was lost is tried again."""
        self._connected()

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _connected(self) -> Any:
        if self._connection is None:
            if self._clock() < self._not_before:
                raise StoreLost("the shared histories cannot be reached")
            self._connect()
        return self._connection

    def _connect(self) -> None:
        from redis.exceptions import RedisError

        connection: Any = self._pool.make_connection()
        try:
            connection.connect()
            connection.send_command("INFO", "server")
            run = _run_id(connection.read_response())
        except (RedisError, OSError) as error:
            connection.disconnect()
            self._lose()
            raise StoreLost(f"the shared histories cannot be reached: {_what(error)}") from None
        if self._run not in (None, run):
            connection.disconnect()
            raise StoreChanged("the shared histories began anew: the server was started again, or it is another one")
        self._connection, self._run = connection, run

    def _lose(self) -> None:
        self.close()
        self._not_before = self._clock() + _PAUSE_SECONDS


def check_url(url: str) -> None:
    """UsageError if it is no address of a Redis or Valkey."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        # What follows the scheme may have a password in it.
        raise UsageError(
            f"histories cannot be kept at {parts.scheme or 'that'}: write memory://, or redis://host:port/0 (rediss:// for TLS)"
        )


def _pool(url: str, seconds: float) -> Any:
    from redis.connection import ConnectionPool

    check_url(url)
    address = url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
    try:
        # What comes back stays bytes. No retries: who asks is told at once.
        return ConnectionPool.from_url(
            address, socket_timeout=seconds, socket_connect_timeout=seconds, health_check_interval=0, retry=None, protocol=2
        )
    except ValueError as error:
        raise UsageError(f"the address of the shared histories cannot be read: {error}") from None


def _run_id(info: bytes) -> bytes:
    return next((line[7:].strip() for line in info.splitlines() if line.startswith(b"run_id:")), b"")


def _what(error: Exception) -> str:
    """The kind of error: its text may have the address in it."""
    return type(error).__name__
