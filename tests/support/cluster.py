"""A Ray that tests start by `ray start`, and end without touching another."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class Cluster:
    """Where a Ray is reached."""

    dashboard: str
    address: str


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A Ray of one machine, all of whose files lie in a folder.

    The folder's path has to be short: Ray puts sockets below it, whose paths have at most 107 bytes.
    """
    dashboard, port = free_port(), free_port()
    words = [
        "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1", f"--port={port}", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}", f"--temp-dir={folder}", "--disable-usage-stats",
        f"--dashboard-agent-listen-port={free_port()}",  # of another Ray's on this machine it would wait for ever
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        head = subprocess.Popen([BIN / "ray", "start", *words], env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{dashboard}/api/jobs/", head)
            yield Cluster(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{port}")
        finally:
            head.terminate()
            head.wait(60)
            _end_all_in(folder)


def _wait_for(address: str, head: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert head.poll() is None, "ray start has ended"
        try:
            with urllib.request.urlopen(address) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError(address)


def _end_all_in(folder: Path) -> None:
    """Ray's own agents outlive it for a while: end those that work in ``folder``."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and str(folder).encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue
