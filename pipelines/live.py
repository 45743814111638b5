"""What receivers of lineage are told of a run while it goes on: that it has begun, and, if it fails, that it has failed.

Told beside the run, which neither waits for a receiver nor fails of one: what could not be told is logged, and is told later, from what
the lake remembers.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock, Thread

from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from app.errors import LeofricError
from app.lake.lake import Lake, open_lake
from app.settings import Settings
from pipelines.openlineage import Begun
from pipelines.receivers import Note, Receiver, note, place_of, receivers, tell_all, tell_start

_log = logging.getLogger("leofric.lineage")


class Telling:
    """Of one run. Without receivers all of it does nothing."""

    def __init__(self, lake: Lake, settings: Settings, run: Begun) -> None:
        self._lake = lake
        self._settings = settings
        self._run = run
        self._receivers = receivers(settings)
        self._thread: Thread | None = None
        self._noting = Lock()  # what is noted beside the run never takes the place of what the run notes when it fails
        self._told: set[str] = set()
        self._failed: Note | None = None

    def begin(self) -> None:
        """Note that the run begins, and tell it, beside the run; call it once the journal has the run."""
        if not self._receivers:
            return
        self._logged(lambda: self._note(self._receivers, Note(self._run)))
        self._thread = Thread(target=self._logged, args=(self._start,), name="lineage", daemon=True)
        self._thread.start()

    def fail(self, error: BaseException) -> None:
        """Note that the run has failed, and why; call it before the run is undone."""
        if not self._receivers:
            return
        said = Note(self._run, ended_at=datetime.now(UTC).isoformat(), error=f"{type(error).__name__}: {error}"[:1_000])
        with self._noting:
            self._failed = said
            self._logged(lambda: self._note(self._receivers, said))

    def end(self) -> None:
        """Wait until START is told, or could not be; and tell that the run has failed, if it has. Call it when the lake is free again."""
        if self._thread is not None:
            self._thread.join()
        failed = self._failed
        if failed is not None:
            self._logged(lambda: self._note(self._receivers, failed))  # by now it is known who was told of the start
            self._logged(lambda: tell_all(open_lake(self._lake.storage), self._settings))

    def _start(self) -> list[str]:
        lake = open_lake(self._lake.storage)  # its own: tables that are open are not for two threads
        place, sentences = place_of(lake, self._settings), []
        for receiver in self._receivers:
            missed = tell_start(lake, place, receiver, self._run)
            sentences += missed
            if not missed:
                with self._noting:
                    self._told.add(receiver.name)
                    if self._failed is None:
                        self._note([receiver], Note(self._run))
        return sentences

    def _note(self, of: Sequence[Receiver], said: Note) -> Sequence[str]:
        for receiver in of:
            note(self._lake, receiver, replace(said, told=receiver.name in self._told))
        return ()

    @staticmethod
    def _logged(tell: Callable[[], Sequence[str]]) -> None:
        try:
            for sentence in tell():
                _log.warning(sentence)
        except (LeofricError, OSError, ValueError, BaseError, DeltaError) as error:
            _log.warning("lineage could not be told: %s", error)
