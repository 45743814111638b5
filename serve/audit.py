"""What the service and the commands of its keys write to the audit trail. Nothing of it is on a request's path but a count.

A replica writes what waits from the thread that looks at the lake: requests that were denied, counted; what it did by itself; and one entry
for each closed segment of decisions, with the SHA-256 of its bytes: each decision in it is vouched for. What cannot be written waits.
"""

import hashlib
import json
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Final

from app.compliance import access
from app.compliance.audit import Action, ActorKind, Event, Result, Who
from app.lake.access import entry_of
from app.lake.audit import Act, AuditLog, acting, open_log
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.settings import operator, operator_shown_by, read_audit_settings
from serve.logs import Exchange
from serve.metrics import Metrics

SERVICE: Final = "service"
_MOST_KINDS: Final = 1_000  # of denied requests between two entries: whoever sends many others cannot fill the memory
_MOST_NAMED: Final = 40  # of them in an entry
_MOST_SEGMENTS: Final = 200
_OTHERS: Final = ("others", "", "", "")

Denial = tuple[str, str, str, str]
"""Status, route, client, address."""


def _origin() -> str:
    return f"{socket.gethostname()}, process {os.getpid()}"


def _who() -> Who:
    by = operator_shown_by()
    return Who(operator(), ActorKind.PERSON, _origin() if by is None else f"{_origin()}, by {by}")


@contextmanager
def audited(lake: Lake, action: Action, about: str, reason: str | None = None, client: str | None = None) -> Iterator[Act]:
    """Do something so that it is written down how it ended; AuditError before it is done if that is not possible.

    ``client``: for whom the service does it; None: the person at the keyboard does it.
    """
    who = _who() if client is None else Who(client, ActorKind.KEY, _origin())
    with closing(open_log(lake, read_audit_settings())) as log, acting(log, who, lambda: datetime.now(UTC), action, about, reason) as act:
        yield act


def denied(storage: Storage, denial: access.Denial) -> None:
    """Write down that somebody was not allowed to use a command."""
    with closing(open_log(open_lake(storage), read_audit_settings())) as log:
        log.append([entry_of(denial, _who(), datetime.now(UTC))])


class Trail:
    """What a replica has to write down. ``denied`` is called on the event loop, all else by one thread at a time."""

    def __init__(self, lake: Lake, due_seconds: float, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._lake = lake
        self._due_seconds = due_seconds
        self._clock = clock
        self._metrics = metrics
        self._who = Who(SERVICE, ActorKind.SERVICE, _origin())
        self._lock = Lock()
        self._denied: Counter[Denial] = Counter()
        self._since: datetime | None = None
        self._waiting: list[Event] = []
        self._sealed: set[str] = set()
        self._log: AuditLog | None = None

    def denied(self, status: HTTPStatus, exchange: Exchange | None) -> None:
        """Count a request that was refused."""
        kind = _OTHERS
        if exchange is not None:
            kind = (str(status.value), exchange.route, exchange.client or "", exchange.peer or "")
        with self._lock:
            self._since = self._since or self._clock()
            self._denied[kind if kind in self._denied or len(self._denied) < _MOST_KINDS else _OTHERS] += 1

    def happened(self, action: Action, about: str, version: str, reason: str) -> None:
        """Something that the service did by itself."""
        self._waiting.append(Event(self._clock(), self._who, action, about, Result.SUCCEEDED, version, reason))

    def write_if_due(self, segments: Sequence[Path]) -> None:
        """Write what has waited long enough, and the closed segments that the trail does not have."""
        since = self._since
        if since is not None and (self._clock() - since).total_seconds() >= self._due_seconds:
            self._gather()
        new = [path for path in segments if path.name not in self._sealed]
        self._metrics.unaudited.set(self._counted() + len(self._waiting) + len(new))
        if self._waiting or new:
            self._write(new)
            self._metrics.unaudited.set(self._counted())

    def _counted(self) -> int:
        with self._lock:
            return self._denied.total()

    def close(self, segments: Sequence[Path]) -> None:
        """Write all that waits, and let the trail go."""
        self._gather()
        try:
            self._write([path for path in segments if path.name not in self._sealed])
        finally:
            if self._log is not None:
                self._log.close()
                self._log = None

    def _write(self, segments: Sequence[Path]) -> None:
        """Once each, however often a write that failed is tried again."""
        if self._log is None:
            self._log = open_log(self._lake, read_audit_settings())
        while self._waiting or segments:
            some, segments = segments[:_MOST_SEGMENTS], segments[_MOST_SEGMENTS:]
            events = [*self._waiting, *(self._sealing(path) for path in some if path.exists())]
            self._log.append(events, once=True)
            self._waiting = []
            self._sealed.update(path.name for path in some)

    def _gather(self) -> None:
        with self._lock:
            counts, since, self._denied, self._since = self._denied, self._since, Counter(), None
        if since is None:
            return
        named = counts.most_common(_MOST_NAMED)
        details = {
            "from": since.isoformat(),
            "requests": counts.total(),
            "not_named": counts.total() - sum(count for _, count in named),
            "denied": [
                {"status": status, "route": route, "client": client[:100], "address": address[:60], "requests": count}
                for (status, route, client, address), count in named
            ],
        }
        self._waiting.append(Event(self._clock(), self._who, Action.DENIED, SERVICE, Result.DENIED, None, None, details))

    def _sealing(self, path: Path) -> Event:
        """The entry that vouches for a segment."""
        data = path.read_bytes()
        lines = data.splitlines()
        details = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "decisions": len(lines),
            "first": json.loads(lines[0])["at"] if lines else None,
            "last": json.loads(lines[-1])["at"] if lines else None,
        }
        return Event(self._clock(), self._who, Action.DECISIONS, path.name, Result.SUCCEEDED, None, None, details, f"decisions:{path.name}")
