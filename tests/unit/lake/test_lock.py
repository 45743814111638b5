import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import LakeBusy
from app.lake import lock
from app.lake.storage import Storage

HOLD_AND_DIE = """
import os, signal, sys
from app.lake import lock
from app.lake.storage import Storage
with lock.hold(Storage(sys.argv[1]), "dying"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_only_one_holds_a_lake(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with lock.hold(storage, "one"), pytest.raises(LakeBusy, match="another run holds the lake"), lock.hold(storage, "two"):
        pass


def test_a_lake_that_was_let_go_can_be_held_again(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with lock.hold(storage, "one") as held:
        held.confirm()
    with lock.hold(storage, "two") as held:
        held.confirm()


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", HOLD_AND_DIE, str(tmp_path)], check=False)
    with lock.hold(Storage(str(tmp_path)), "next") as held:
        held.confirm()
