"""The journal: every payment that the service was asked to score, on disk before the answer leaves.

``payments/`` has landing files (NDJSON), which `leofric run` loads as any feed; ``decisions/`` has what was answered, to whom and when. A
segment that is being written has a name that begins with ``_``, which a run leaves out; it is closed by giving it its name.

On a sealed lake segments of payments are sealed, each by a key of its own (``app.lake.segments``); the run that loads one takes it away.
"""

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from app.errors import KeyStoreError, LakeBusy
from app.lake import segments
from app.lake.segments import SegmentKey
from app.lake.subjects import Subjects

PAYMENTS: Final = "payments"
DECISIONS: Final = "decisions"
_KINDS: Final = (PAYMENTS, DECISIONS)
_PLAIN: Final = ".ndjson"
_SEALED: Final = _PLAIN + segments.ENDING


class Journal:
    """One writer's part of the journal in a folder.

    LakeBusy if another writer is there, unless all are ``shared``: then each has segments of its own. ``subjects``: of a sealed lake.
    """

    def __init__(self, folder: Path, now: datetime, *, shared: bool = False, subjects: Subjects | None = None) -> None:
        self._folder = folder
        self._subjects = subjects and replace(subjects, parts=())  # its own key is all that is needed: nobody is remembered here
        self._keys: list[SegmentKey] = []  # that wait for their segments
        self._seal: SegmentKey | None = None  # of the open segment of payments
        self._written = 0  # lines of it
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

    def prepare(self) -> None:
        """Have a key at hand for the next segment: no payment waits for the key store. Another thread than the writer's may do it."""
        if self._subjects is not None and not self._keys:
            self._keys.append(segments.new_key(self._subjects))

    @property
    def is_ready(self) -> bool:
        """Whether the next segment could be begun: where the key store is away, the open one goes on."""
        return self._subjects is None or bool(self._keys)

    def close_segment(self, now: datetime) -> None:
        """Give the open segment its name."""
        for file in self._files.values():
            file.close()
        self._files, self._begun, self._seal = {}, None, None
        self._name_segments(self._name, now)

    def payments(self, loaded: Collection[str] = ()) -> Iterator[bytes]:
        """All lines that are on the disk, in pieces; no segment whose SHA-256 is among ``loaded``: the lake has it.

        What other writers have open comes first: what they close meanwhile is then read as closed.
        """
        yield from self._opened_by_others(PAYMENTS)
        for path in self._closed(PAYMENTS):
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # a run has loaded it since
                continue
            if hashlib.sha256(data).hexdigest() not in loaded:
                yield self._plain(path, data)

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
        for path in sorted((self._folder / kind).glob("_open-*")):
            if _writer_of(path) != self._name:
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                yield self._plain(path, data[: data.rfind(b"\n") + 1])

    def _plain(self, path: Path, data: bytes) -> bytes:
        """What was written to a segment; nothing if a run has loaded it since. KeyStoreError if it cannot be opened."""
        if not path.name.endswith(_SEALED) or not data:
            return data
        if self._subjects is None:
            raise KeyStoreError(f"{path} is a segment of a sealed lake's journal; name another folder for this lake's (--journal)")
        text = segments.text_of(self._subjects, data, str(path))
        if text is None and path.exists():
            raise KeyStoreError(f"{path} cannot be opened: its key is gone from the key store, as if a run had loaded it; load it no more")
        return text or b""

    def close(self, now: datetime) -> None:
        """Close the segment, and let another process have the journal."""
        self.close_segment(now)
        if self._subjects is not None and self._keys:
            segments.destroy(self._subjects, [key.name for key in self._keys])
        self._writer(self._name).unlink(missing_ok=True)
        self._mine.close()
        self._lock.close()

    def _write(self, kind: str, lines: Sequence[bytes], now: datetime) -> None:
        if not lines:
            return
        if self._begun is None:
            self._begun = now
        data = b"\n".join([*lines, b""])
        if kind == PAYMENTS and self._subjects is not None:
            data = self._sealed(data)
        if kind not in self._files:
            self._files[kind] = self._open(kind, self._name).open("ab", buffering=0)
        _write_all(self._files[kind], data)
        os.fsync(self._files[kind].fileno())

    def _sealed(self, data: bytes) -> bytes:
        head = b""
        if self._seal is None:
            self.prepare()
            self._seal, self._written = self._keys.pop(), 0
            head = self._seal.head()
        self._written += 1  # before it is written: no number may ever seal two texts
        return head + self._seal.line(self._written - 1, data)

    def _close_segments_of_the_dead(self, now: datetime) -> None:
        """Close what writers left that died; a living one holds the lock of its name."""
        for name in sorted({_writer_of(path) for kind in _KINDS for path in (self._folder / kind).glob("_open-*")}):
            with self._writer(name).open("w") as held:
                if name == self._name or not _locked(held, fcntl.LOCK_EX):
                    continue
                for path in self._opened_by(name):
                    _mend(path)
                self._name_segments(name, now)
                self._writer(name).unlink(missing_ok=True)

    def _name_segments(self, name: str, now: datetime) -> None:
        stem = f"{now.strftime('%Y%m%dT%H%M%S.%fZ')}-{name}"
        for path in self._opened_by(name):
            if path.stat().st_size:
                path.rename(_free(path.parent, stem, path.name.partition(".")[2]))
            else:
                path.unlink()
            _sync_folder(path.parent)

    def _open(self, kind: str, name: str) -> Path:
        sealed = kind == PAYMENTS and self._subjects is not None
        return self._folder / kind / f"_open-{name}{_SEALED if sealed else _PLAIN}"

    def _opened_by(self, name: str) -> list[Path]:
        return [path for kind in _KINDS for path in (self._folder / kind).glob(f"_open-{name}.*")]

    def _writer(self, name: str) -> Path:
        return self._folder / f"_writer-{name}"

    def _closed(self, kind: str) -> list[Path]:
        folder = self._folder / kind
        return sorted(path for ending in (_PLAIN, _SEALED) for path in folder.glob(f"[!_]*{ending}"))


def _writer_of(path: Path) -> str:
    """Who has this segment open."""
    return path.name.removeprefix("_open-").partition(".")[0]


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


def _free(folder: Path, stem: str, ending: str) -> Path:
    number = 0
    while (path := folder / f"{folder.name}-{stem}-{number:03d}.{ending}").exists():
        number += 1
    return path


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
