"""A run that kills itself with SIGKILL at a chosen moment: ``python -m tests.support.killed_run LANDING LAKE MOMENT``.

LANDING is a folder; or ``score``: then the run scores what was loaded; or ``replay``: then it replays what was approved; or
``retention``: then it deletes what is due. MOMENT is ``begin:STAGE``, ``end:STAGE``, or ``write:N``: right before (N odd) or right after
(N even) write number (N + 1) // 2 to storage or to a Delta log. ``never`` lets the run end and prints how many writes it made.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
from deltalake import DeltaTable

from app.settings import Settings
from pipelines.executor import InProcess
from pipelines.retention_run import apply
from pipelines.score import score
from tests.support.lake import NOW, load, opened
from tests.support.review import replayed

SETTINGS = Settings(
    unit_bytes=4_000, block_bytes=1_500, unit_rows=40, block_rows=25, silver_file_rows=60, key_partition_rows=60, score_shard_rows=90
)
SCORE, REPLAY, RETENTION = "score", "replay", "retention"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DiesAtStage:
    def __init__(self, moment: str) -> None:
        self._moment = moment

    def begun(self, stage: str, tasks: int) -> None:
        if self._moment == f"begin:{stage}":
            _die()

    def advanced(self, stage: str) -> None:
        pass

    def ended(self, stage: str) -> None:
        if self._moment == f"end:{stage}":
            _die()


class Writes:
    """Counts the calls of every function that writes, and dies at one of them."""

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self.count = 0

    def watch(self, owner: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self._fatal == 2 * self.count - 1:
                _die()
            result = function(*args, **kwargs)
            if self._fatal == 2 * self.count:
                _die()
            return result

        setattr(owner, name, counted)


def main(landing: str, lake: str, moment: str) -> None:
    writes = Writes(int(moment.removeprefix("write:")) if moment.startswith("write:") else 0)
    for owner, name in ((obstore, "put"), (obstore, "open_writer"), (obstore, "delete"), (DeltaTable, "create_write_transaction")):
        writes.watch(owner, name)
    if landing == SCORE:
        score(opened(lake).storage, SETTINGS, InProcess(), DiesAtStage(moment), NOW)
    elif landing == REPLAY:
        replayed(Path(lake), SETTINGS, observer=DiesAtStage(moment))
    elif landing == RETENTION:
        apply(opened(lake).storage, SETTINGS, "its time is over", "grace", DiesAtStage(moment), NOW)
    else:
        load(landing, lake, SETTINGS, observer=DiesAtStage(moment))
    sys.stdout.write(f"{writes.count}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
