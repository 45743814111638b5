"""One run at a time on a lake.

On a local disk the operating system holds the lock and lets it go when the process dies, however it dies. In S3 a lease
object does: written by a conditional put, renewed while the run lives, and free again when it was not renewed in time.
"""

import fcntl
import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import LakeBusy
from app.lake import layout
from app.lake.storage import Storage

LEASE_SECONDS = 60.0


@contextmanager
def hold(storage: Storage, holder: str) -> "Iterator[Held]":
    """Hold the lake for the block, or raise LakeBusy at once."""
    held: Held = _LocalLock(storage) if storage.is_local else _Lease(storage, holder)
    held.acquire()
    try:
        yield held
    finally:
        held.release()


class Held(ABC):
    """A lock that this process holds."""

    @abstractmethod
    def acquire(self) -> None:
        """Take the lock, or raise LakeBusy at once."""

    @abstractmethod
    def confirm(self) -> None:
        """Raise LakeBusy if the lock was lost; called right before anything is published."""

    @abstractmethod
    def release(self) -> None:
        """Let the lock go."""


class _LocalLock(Held):
    def __init__(self, storage: Storage) -> None:
        self._path = storage.local_path(layout.LOCK)
        self._file = -1

    def acquire(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise LakeBusy(f"another run holds the lake ({self._path}); start again when it has ended") from None

    def confirm(self) -> None:
        """The operating system takes this lock from nobody who lives."""

    def release(self) -> None:
        os.close(self._file)


class _Lease(Held):
    def __init__(self, storage: Storage, holder: str) -> None:
        self._storage = storage
        self._holder = holder
        self._tag = ""
        self._valid_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def acquire(self) -> None:
        tag = self._storage.put_if(layout.LOCK, self._body(), None)
        if tag is None:
            body, old_tag = self._storage.read_tagged(layout.LOCK)
            lease = json.loads(bytes(body))
            if time.time() < lease["expires_at"]:
                raise LakeBusy(f"run {lease['holder']} holds the lake {self._storage.root}; start again when it has ended")
            tag = self._storage.put_if(layout.LOCK, self._body(), old_tag)
            if tag is None:
                raise LakeBusy(f"another run has just taken the lake {self._storage.root}; start again when it has ended")
        self._taken(tag)
        self._thread.start()

    def confirm(self) -> None:
        if time.monotonic() > self._valid_until - LEASE_SECONDS / 2:
            self._renew_once()
        if time.monotonic() > self._valid_until:
            raise LakeBusy(f"this run lost the lake {self._storage.root}; nothing was published; start again")

    def release(self) -> None:
        self._stop.set()
        self._thread.join()
        if time.monotonic() < self._valid_until:
            self._storage.delete([layout.LOCK])

    def _body(self) -> bytes:
        return json.dumps({"holder": self._holder, "expires_at": time.time() + LEASE_SECONDS}).encode()

    def _taken(self, tag: str) -> None:
        self._tag = tag
        self._valid_until = time.monotonic() + LEASE_SECONDS

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 4):
            self._renew_once()

    def _renew_once(self) -> None:
        tag = self._storage.put_if(layout.LOCK, self._body(), self._tag)
        if tag is not None:
            self._taken(tag)
