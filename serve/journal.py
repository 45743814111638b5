"""The journal: every payment that the service was asked to score, on disk before the answer leaves.

``payments/`` has landing files (NDJSON), which `leofric run` loads as any feed; ``decisions/`` has what was answered, to whom and when. A
segment that is being written has a name that begins with ``_``, which a run leaves out; it is closed by giving it its name.
"""

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from app.errors import LakeBusy

PAYMENTS: Final = "payments"
DECISIONS: Final = "decisions"
_KINDS: Final = (PAYMENTS, DECISIONS)


class Journal:
    """One writer's part of the journal in a folder.

    LakeBusy if another writer is there, unless all are ``shared``: then each has segments of its own.
    """

    def __init__(self, folder: Path, now: datetime, *, shared: bool = False) -> None:
        self._folder = folder
        for kind in _KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "_lock").open("w")
        if not _locked(self._lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            self._lock.close()
            raise LakeBusy(f"another service writes the journal {folder}; stop it, or name another folder") from None
        self._name = uuid.uuid4().hex[:12]
        self._mine = self._writer(self._name).open("w")
        _locked(self._mine, fcntl.LOCK_EX)
        self._begun: datetime | None = None
        self._files: dict[str, IO[bytes]] = {}
        self._close_segments_of_the_dead(now)

    def write_payments(self, lines: Sequence[bytes], now: datetime) -> None:
        """Put down lines (without their ends) of payments, and return when they are on the disk."""
        self._write(PAYMENTS, lines, now)

    def write_decisions(self, lines: Sequence[bytes], now: datetime) -> None:
        """The same of what was decided. The payments come first: a decision without its payment would be worse than the other way."""
        self._write(DECISIONS, lines, now)

    def segment_age(self, now: datetime) -> float:
        """How many seconds ago the open segment was begun; 0 if there is none."""
        return 0.0 if self._begun is None else (now - self._begun).total_seconds()

    def close_segment(self, now: datetime) -> None:
        """Give the open segment its name."""
        for file in self._files.values():
            file.close()
        self._files, self._begun = {}, None
        self._name_segments(self._name, now)

    def payments(self, loaded: Collection[str] = ()) -> Iterator[bytes]:
        """All lines that are on the disk, in pieces; no segment whose SHA-256 is among ``loaded``: the lake has it.

        What other writers have open comes first: what they close meanwhile is then read as closed.
        """
        yield from self._opened_by_others(PAYMENTS)
        for path in self._closed(PAYMENTS):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() not in loaded:
                yield data

    def decisions(self, most: int) -> Iterator[dict[str, Any]]:
        """The last decisions, the newest of each writer first, at most so many: of open segments and of closed ones."""
        opened = list(self._opened_by_others(DECISIONS))
        for data in chain(opened, map(Path.read_bytes, reversed(self._closed(DECISIONS)))):
            for line in reversed(data.splitlines()):
                if most <= 0:
                    return
                most -= 1
                yield json.loads(line)

    def closed_decisions(self) -> list[Path]:
        """The closed segments of decisions of every writer, the oldest first: nobody changes them any more."""
        return self._closed(DECISIONS)

    def _opened_by_others(self, kind: str) -> Iterator[bytes]:
        for path in sorted((self._folder / kind).glob("_open-*.ndjson")):
            if path != self._open(kind, self._name):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                yield data[: data.rfind(b"\n") + 1]

    def close(self, now: datetime) -> None:
        """Close the segment, and let another process have the journal."""
        self.close_segment(now)
        self._writer(self._name).unlink(missing_ok=True)
        self._mine.close()
        self._lock.close()

    def _write(self, kind: str, lines: Sequence[bytes], now: datetime) -> None:
        if not lines:
            return
        if self._begun is None:
            self._begun = now
        if kind not in self._files:
            self._files[kind] = self._open(kind, self._name).open("ab", buffering=0)
        _write_all(self._files[kind], b"\n".join([*lines, b""]))
        os.fsync(self._files[kind].fileno())

    def _close_segments_of_the_dead(self, now: datetime) -> None:
        """Close what writers left that died; a living one holds the lock of its name."""
        for name in sorted({path.stem.removeprefix("_open-") for kind in _KINDS for path in (self._folder / kind).glob("_open-*.ndjson")}):
            with self._writer(name).open("w") as held:
                if name == self._name or not _locked(held, fcntl.LOCK_EX):
                    continue
                for kind in _KINDS:
                    _mend(self._open(kind, name))
                self._name_segments(name, now)
                self._writer(name).unlink(missing_ok=True)

    def _name_segments(self, name: str, now: datetime) -> None:
        stem = f"{now.strftime('%Y%m%dT%H%M%S.%fZ')}-{name}"
        for kind in _KINDS:
            path = self._open(kind, name)
            if path.exists():
                if path.stat().st_size:
                    path.rename(_free(self._folder / kind, stem))
                else:
                    path.unlink()
                _sync_folder(self._folder / kind)

    def _open(self, kind: str, name: str) -> Path:
        return self._folder / kind / f"_open-{name}.ndjson"

    def _writer(self, name: str) -> Path:
        return self._folder / f"_writer-{name}"

    def _closed(self, kind: str) -> list[Path]:
        return sorted((self._folder / kind).glob("[!_]*.ndjson"))


def _locked(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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


def _free(folder: Path, stem: str) -> Path:
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
