"""The main job as a Ray job: `ray job submit --working-dir . -- python -m pipelines run landing/ --lake lake/`."""

import json
import os
import signal
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
from app.settings import Settings
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.champion import put_into_use
from tests.support.lake import content, load, opened
from tests.support.landing import records, write_csv
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """A Ray of one machine that takes jobs; gives the address of its dashboard."""
    dashboard = free_port()
    words = [
        "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1", f"--port={free_port()}", "--dashboard-host=127.0.0.1",
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


def _submitted(address: str, home: Path, *words: str) -> str:
    """What a job printed."""
    submit: list[str | Path] = [BIN / "ray", "job", "submit", "--address", address, "--working-dir", str(home), "--"]
    command = [*submit, "python", "-m", "pipelines", *words]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_submitted_jobs_load_train_and_score_by_their_working_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_csv(home / "landing/a.csv", records(1, 300))
    # A short path: Ray puts sockets below it, whose paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder, _cluster(Path(folder)) as address:
        loaded = _submitted(address, home, "run", "landing/", "--lake", str(tmp_path / "lake"), "--json")
        trained = _submitted(address, home, "train", "--lake", str(tmp_path / "lake"))
        put_into_use(tmp_path / "lake")
        scored = _submitted(address, home, "score", "--lake", str(tmp_path / "lake"))
    assert "succeeded" in loaded
    assert "a challenger now" in trained
    assert "300 accepted payments = 300 scored" in scored
    assert json.loads((tmp_path / "lake" / IDENTITY).read_text())["format"] == 1
    load(home / "landing", tmp_path / "expected")
    put_into_use(tmp_path / "expected")
    score(opened(tmp_path / "expected").storage, Settings(), InProcess(), Silent())
    assert {name: len(held) for name, held in content(tmp_path / "lake").items()} == {
        name: len(held) for name, held in content(tmp_path / "expected").items()
    }
