"""The service's log: JSON lines, in a file, on stderr, or over a socket on the stderr of `leofric serve`; and what they say of requests.

A replica is a process of Ray's, whose stderr Ray keeps in its session's folder: `leofric serve` listens on a socket in a folder that only
its user can enter, and prints the lines that its replicas send.
"""

import contextlib
import logging
import shutil
import socket
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from logging.handlers import MemoryHandler, SocketHandler, WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.errors import UsageError
from serve.masking import JsonLines

if TYPE_CHECKING:
    from typing_extensions import Buffer

LEVELS: Final = ("debug", "info", "warning", "error")
_OURS: Final = ("leofric", "serve")
_OF_RAY: Final = ("ray", "ray.serve")
_SEND_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 1.0
_MOST_THREADS: Final = 200
_WARNED_OF: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

_log = logging.getLogger("leofric.requests")


@dataclass
class Exchange:
    """A request while it is being answered, as the log tells it: never its body, never its credentials."""

    route: str
    request_id: str
    peer: str | None = None
    client: str | None = None
    records: int | None = None


_current: Final[ContextVar[Exchange | None]] = ContextVar("exchange", default=None)


def begin(exchange: Exchange) -> Exchange:
    """From here on, the lines of this task have this request's id."""
    _current.set(exchange)
    return exchange


def note(*, client: str | None = None, records: int | None = None) -> None:
    """Say of the request that is being answered who asks, or for how many records."""
    exchange = _current.get()
    if exchange is not None:
        exchange.client = client or exchange.client
        exchange.records = records or exchange.records


def current() -> Exchange | None:
    """The request that is being answered, if one is."""
    return _current.get()


def answered(exchange: Exchange, status: HTTPStatus, seconds: float, why: str | None = None) -> None:
    """A line of a request: a warning if it was refused for who asks, how often, or the service's state; else for those who want to know."""
    level = logging.WARNING if status in _WARNED_OF else logging.INFO
    if not _log.isEnabledFor(level):
        return
    fields = {
        "request_id": exchange.request_id,
        "route": exchange.route,
        "status": status.value,
        "seconds": round(seconds, 6),
        "client": exchange.client,
        "peer": exchange.peer,
        "records": exchange.records,
    }
    _log.log(level, why or "answered", extra=fields)


def check(log_file: Path) -> None:
    """UsageError unless the file can be written to."""
    try:
        log_file.open("a").close()
    except OSError as error:
        raise UsageError(f"the log {log_file} cannot be written: {error.strerror}") from None


def set_up(level: str, log_file: Path | None = None, log_socket: Path | None = None) -> None:
    """Let this process log JSON lines, Ray's and other libraries' warnings too: to the file, else to the socket, else to stderr."""
    handler = _handler(log_file, log_socket)
    handler.setFormatter(JsonLines())
    handler.addFilter(_with_request_id)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    for name in _OF_RAY:
        _add_to(logging.getLogger(name), handler)


def _add_to(logger: logging.Logger, handler: logging.Handler) -> None:
    """Ray's loggers have handlers of their own. Files stay, masked as all else; what is written to stderr as text does not."""
    files = [one for one in logger.handlers if isinstance(one, MemoryHandler)]
    for file in files:
        if file.target is not None:
            file.target.setFormatter(JsonLines())
    logger.handlers = [*files, _Warnings(handler)]
    logger.propagate = False


class _Warnings(logging.Handler):
    """Passes on warnings, and what is worse, to another handler."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__(logging.WARNING)
        self._handler = handler

    def emit(self, record: logging.LogRecord) -> None:
        self._handler.handle(record)


def _with_request_id(record: logging.LogRecord) -> bool:
    exchange = _current.get()
    if exchange is not None and not hasattr(record, "request_id"):
        record.request_id = exchange.request_id
    return True


def _handler(log_file: Path | None, log_socket: Path | None) -> logging.Handler:
    if log_file is not None:
        return WatchedFileHandler(log_file)  # opens it anew when logrotate has moved it
    if log_socket is not None:
        return _ToSocket(log_socket)
    return logging.StreamHandler(sys.__stderr__)  # Serve has put a logger of its own in the place of sys.stderr


class _ToSocket(SocketHandler):
    """Sends lines. Who logs waits for nobody long: while the other end does not read, lines are lost."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), None)
        self.retryPeriod = self.retryStart

    def makeSocket(self, timeout: float = _SEND_SECONDS) -> socket.socket:  # noqa: N802  # the library's name
        return super().makeSocket(timeout)

    def makePickle(self, record: logging.LogRecord) -> bytes:  # noqa: N802
        return self.format(record).encode() + b"\n"

    def send(self, s: "Buffer") -> None:
        super().send(s)
        if self.sock is None and self.retryTime is None:
            self.retryTime = time.time() + _PAUSE_SECONDS


class _Printer(socketserver.StreamRequestHandler):
    """Prints the lines of one replica; one in whose middle it died is left out."""

    def handle(self) -> None:
        for line in self.rfile:
            if line.endswith(b"\n"):
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()


class _Printers(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def verify_request(self, *_: object) -> bool:
        return threading.active_count() < _MOST_THREADS  # while stderr takes nothing, those who send connect again and again


@contextlib.contextmanager
def printed() -> Iterator[Path]:
    """A socket; the lines that are sent to it are on stderr."""
    folder = Path(tempfile.mkdtemp(prefix="leofric-"))
    try:
        with _Printers(str(folder / "log"), _Printer) as server:
            threading.Thread(target=server.serve_forever, daemon=True, name="log").start()
            yield folder / "log"
            server.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
