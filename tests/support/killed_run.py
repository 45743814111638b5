"""A run in a process of its own that kills itself with SIGKILL at a chosen moment."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import obstore
from deltalake import DeltaTable

from app.lake import runs
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import optimize, restore, vacuum
from pipelines.executor import InProcess
from pipelines.progress import Observer
from pipelines.retention_run import apply
from pipelines.score import score
from tests.support.lake import NOW, load, opened
from tests.support.review import replayed

SETTINGS = Settings(
    unit_bytes=4_000, block_bytes=1_500, unit_rows=40, block_rows=25, silver_file_rows=60, key_partition_rows=60, score_shard_rows=90
)
SCORE, REPLAY, RETENTION, OPTIMIZE, VACUUM, RESTORE = "score", "replay", "retention", "optimize", "vacuum", "restore"
ROOMY = SETTINGS.model_copy(update={"silver_file_rows": 1_000})  # small files fit into one
_WHY = ("for tests", "tests")


def _restore(storage: Storage, observer: Observer) -> object:
    first = runs.runs(open_lake(storage))[0]["run_id"]
    return restore.restore(storage, SETTINGS, first, *_WHY, InProcess(), observer, NOW)


ACTS: dict[str, Callable[[Storage, Observer], object]] = {
    SCORE: lambda storage, observer: score(storage, SETTINGS, InProcess(), observer, NOW),
    OPTIMIZE: lambda storage, observer: optimize.optimize(storage, ROOMY, None, *_WHY, InProcess(), observer, NOW),
    VACUUM: lambda storage, observer: vacuum.vacuum(storage, SETTINGS, 30, *_WHY, observer, datetime.now(UTC) + timedelta(days=31)),
    RESTORE: _restore,
    RETENTION: lambda storage, observer: apply(storage, SETTINGS, "its time is over", "grace", observer, NOW),
    REPLAY: lambda storage, observer: replayed(Path(storage.root), SETTINGS, observer=observer),
}
"""What a run may do other than load; ``vacuum`` thinks that it is a month later."""


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


def _run(landing: str, lake: str, moment: str, settings: Settings) -> int:
    writes = Writes(int(moment.removeprefix("write:")) if moment.startswith("write:") else 0)
    for owner, name in (
        (obstore, "put"),
        (obstore, "open_writer"),
        (obstore, "delete"),
        (DeltaTable, "create_write_transaction"),
        (DeltaTable, "restore"),
    ):
        writes.watch(owner, name)
    if landing in ACTS:
        ACTS[landing](opened(lake).storage, DiesAtStage(moment))
    else:
        load(landing, lake, settings, observer=DiesAtStage(moment))
    return writes.count


def _run_and_tell(told: Connection, landing: str, lake: str, moment: str, settings: Settings) -> None:
    with told:
        try:
            told.send((_run(landing, lake, moment, settings), ""))
        except Exception:
            told.send((0, traceback.format_exc()))
            sys.exit(1)


@dataclass(frozen=True)
class Ended:
    """How the run ended: its process's exit code, which is -9 if it was killed; or else how many writes it made, or what went wrong."""

    code: int | None
    writes: int
    error: str


# Each run is forked from a process that has imported all that a run needs and done nothing yet: that takes far longer than a small run.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__, "tests.support.numba_ready"])


def killed(landing: Path | str, lake: Path, moment: str, settings: Settings = SETTINGS) -> Ended:
    """Run, and be killed.

    ``landing`` is a folder, or else the run scores what was loaded (``score``), makes few files of many (``optimize``), lets go of old
    ones (``vacuum``), undoes all runs after the first (``restore``), replays what was approved (``replay``), or deletes what is due
    (``retention``). ``moment`` is ``begin:STAGE``, ``end:STAGE``, or ``write:N``: right before (N odd) or right after (N even) write
    number (N + 1) // 2 to storage or to a Delta log. ``never`` lets the run end.
    """
    hears, tells = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_run_and_tell, args=(tells, str(landing), str(lake), moment, settings))
    with hears:
        process.start()
        tells.close()
        process.join()
        code = process.exitcode
        process.close()
        return Ended(code, *((0, "") if code == -signal.SIGKILL else hears.recv()))
