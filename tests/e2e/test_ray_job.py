"""The main job as a Ray job: `ray job submit --working-dir . -- python -m pipelines run landing/ --lake lake/`."""

import json
import subprocess
import tempfile
from pathlib import Path

from app.lake.layout import IDENTITY
from app.settings import Settings
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from tests.support.champion import put_into_use
from tests.support.cluster import BIN, ENVIRONMENT, cluster
from tests.support.lake import content, load, opened
from tests.support.landing import records, write_csv


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
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder, cluster(Path(folder)) as ray:
        loaded = _submitted(ray.dashboard, home, "run", "landing/", "--lake", str(tmp_path / "lake"), "--json")
        trained = _submitted(ray.dashboard, home, "train", "--lake", str(tmp_path / "lake"))
        put_into_use(tmp_path / "lake")
        scored = _submitted(ray.dashboard, home, "score", "--lake", str(tmp_path / "lake"))
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
