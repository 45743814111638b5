"""The main job as a Ray job: `ray job submit --working-dir . -- python -m pipelines run landing/ --lake lake/`."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.lake.layout import IDENTITY
from tests.support.lake import content, load
from tests.support.landing import records, write_csv

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def _free_port() -> int:
    """A port that nobody uses; Ray keeps those from 10002 to 19999 for its workers."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port >= 20000:
            return port


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """A Ray of one machine that takes jobs; gives the address of its dashboard."""
    dashboard = _free_port()
    words = [
        "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1", f"--port={_free_port()}", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}", f"--temp-dir={folder}", "--disable-usage-stats",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        head = subprocess.Popen([BIN / "ray", "start", *words], env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{dashboard}/api/jobs/", head)
            yield f"http://127.0.0.1:{dashboard}"
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


def test_a_submitted_job_loads_the_landing_folder_of_its_working_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_csv(home / "landing/a.csv", records(1, 300))
    # A short path: Ray puts sockets below it, whose paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder, _cluster(Path(folder)) as address:
        run = ["python", "-m", "pipelines", "run", "landing/", "--lake", str(tmp_path / "lake"), "--json"]
        submit: list[str | Path] = [BIN / "ray", "job", "submit", "--address", address, "--working-dir", str(home), "--", *run]
        submitted = subprocess.run(submit, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "succeeded" in submitted.stdout
    assert json.loads((tmp_path / "lake" / IDENTITY).read_text())["format"] == 1
    load(home / "landing", tmp_path / "expected")
    assert {name: len(held) for name, held in content(tmp_path / "lake").items()} == {
        name: len(held) for name, held in content(tmp_path / "expected").items()
    }
