"""The journal: every payment that the service was asked to score, on disk before the answer leaves.

``payments/`` has landing files (NDJSON), which `leofric run` loads as any feed; ``decisions/`` has what was answered, to whom and when. A
segment that is being written has a name that begins with ``_``, which a run leaves out; it is closed by giving it its name.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from app.errors import LakeBusy

PAYMENTS: Final = "payments"
DECISIONS: Final = "decisions"
_OPEN: Final = "_open.ndjson"
_KINDS: Final = (PAYMENTS, DECISIONS)


class Journal:
    """The journal in a folder; one process at a time has it open. LakeBusy if another one has."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        for kind in _KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "_lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise LakeBusy(f"another service writes the journal {folder}; stop it, or name another folder") from None
        self._begun: datetime | None = None
        self._files: dict[str, IO[bytes]] = {}
        for kind in _KINDS:
            _mend(folder / kind / _OPEN)
        self.close_segment(now)

    def write(self, payments: Sequence[bytes], decisions: Sequence[bytes], now: datetime) -> None:
        """Put down lines (without their ends) of payments and of what was decided, and return when they are on the disk."""
        if self._begun is None:
            self._begun = now
            self._files = {kind: (self._folder / kind / _OPEN).open("ab", buffering=0) for kind in _KINDS}
        # The payments first: a decision without its payment would be worse than a payment whose decision is made again.
        for kind, lines in ((PAYMENTS, payments), (DECISIONS, decisions)):
            if lines:
                _write_all(self._files[kind], b"\n".join([*lines, b""]))
                os.fsync(self._files[kind].fileno())

    def segment_age(self, now: datetime) -> float:
        """How many seconds ago the open segment was begun; 0 if there is none."""
        return 0.0 if self._begun is None else (now - self._begun).total_seconds()

    def close_segment(self, now: datetime) -> None:
        """Give the open segment its name."""
        for file in self._files.values():
            file.close()
        self._files, self._begun = {}, None
        for kind in _KINDS:
            path = self._folder / kind / _OPEN
            if path.exists():
                if path.stat().st_size:
                    path.rename(_free(self._folder / kind, now))
                else:
                    path.unlink()
                _sync_folder(self._folder / kind)

    def payments(self) -> Iterator[bytes]:
        """The closed segments, the oldest first, each whole."""
        for path in sorted((self._folder / PAYMENTS).glob("[!_]*.ndjson")):
            yield path.read_bytes()

    def decisions(self, most: int) -> Iterator[dict[str, Any]]:
        """The last decisions, the newest first, at most so many."""
        for path in sorted((self._folder / DECISIONS).glob("[!_]*.ndjson"), reverse=True):
            for line in reversed(path.read_bytes().splitlines()):
                if most <= 0:
                    return
                most -= 1
                yield json.loads(line)

    def close(self, now: datetime) -> None:
        """Close the segment, and let another process have the journal."""
        self.close_segment(now)
        self._lock.close()


def _write_all(file: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _mend(path: Path) -> None:
    """Cut off the line in whose middle the last process died: its answer never left."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())


def _free(folder: Path, now: datetime) -> Path:
    stem = now.strftime("%Y%m%dT%H%M%S.%fZ")
    number = 0
    while (path := folder / f"{folder.name}-{stem}-{number:03d}.ndjson").exists():
        number += 1
    return path


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
