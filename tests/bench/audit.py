"""``make bench-audit``: entries a second in appends of a thousand, to both stores, and how fast a trail is verified.

Ed25519 anchors, one an append; the time is that of a clock on the wall, with what the disk takes.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from app.compliance import anchors
from app.compliance.audit_check import verify
from app.lake.audit import AuditLog, DeltaAuditLog
from app.lake.audit_postgres import PostgresAuditLog
from app.lake.lake import create
from app.lake.storage import Storage
from tests.bench.main import say
from tests.support import postgres
from tests.support.audit import ed25519_key, event

_APPENDS, _EVENTS = 50, 1_000
_KEY = ed25519_key()


@contextmanager
def _delta() -> Iterator[AuditLog]:
    with tempfile.TemporaryDirectory() as folder:
        yield DeltaAuditLog(create(Storage(folder), bytes(16)), _KEY)


@contextmanager
def _postgres() -> Iterator[AuditLog]:
    with tempfile.TemporaryDirectory() as folder, postgres.server() as uri:
        Path(folder, "lake").mkdir()
        yield PostgresAuditLog(Storage(str(Path(folder, "lake"))), _KEY, postgres.database(uri))


def main() -> None:
    """Measure, print."""
    for name, store in (("Delta", _delta), ("PostgreSQL", _postgres)):
        with store() as log:
            events = [[event(append * _EVENTS + place) for place in range(_EVENTS)] for append in range(_APPENDS)]
            begun = perf_counter()
            for some in events:
                log.append(some)
            appended = perf_counter()
            found = verify(log.entries(), anchors.by_id([_KEY]))
            verified = perf_counter()
            if found.fault is not None or found.entries != _APPENDS * _EVENTS:
                raise SystemExit(f"the trail does not hold: {found.fault}")
            count = _APPENDS * _EVENTS
            say(f"{name}: {count / (appended - begun):,.0f} entries/s appended, {count / (verified - appended):,.0f} entries/s verified")
            log.close()


if __name__ == "__main__":
    main()
