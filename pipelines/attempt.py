"""A run's frame: it holds the lake, finishes or undoes what dead runs left, prepares what it will publish, and publishes that."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.compliance import certificate as certificates
from app.lake import lock, reference, runs
from app.lake import subjects as key_store
from app.lake.delta import Change
from app.lake.lake import create
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import audit, live, publish
from pipelines.openlineage import Begun
from pipelines.progress import Observer, Stages
from pipelines.publish import Publication
from pipelines.work import Run


@dataclass(frozen=True)
class Attempt:
    """What a run knows once it holds the lake."""

    run: Run
    stages: Stages
    history: list[dict[str, Any]]  # rows of control/runs, oldest first
    recovered: Sequence[str]  # runs that had died and were finished

    def document(self, kind: str, status: str) -> dict[str, Any]:
        """What every certificate says."""
        return {
            "kind": kind,
            "run_id": self.run.run_id,
            "sequence": self.run.sequence,
            "started_at": self.run.started_at.isoformat(),
            "status": status,
            "reconciled": status == "succeeded",
            "recovered_runs": list(self.recovered),
            "seconds": dict(self.stages.seconds),
        }

    def of_no_load(self, kind: str) -> dict[str, Any]:
        """What the certificate of a run that loads nothing says, when it succeeds."""
        totals = certificates.totals_document([], {})
        return self.document(kind, "succeeded") | {"files": [], "totals": totals, "quality": {}, "keys": publish.last_keys(self.history)}

    def publication(
        self, changes: dict[str, Change], document: dict[str, Any], retired: Sequence[str] = (), retired_keys: Sequence[str] = ()
    ) -> Publication:
        """What is to be published: changes of tables, by path, the certificate, and objects and keys that nobody needs afterwards."""
        previous = self.history[-1]["hash"] if self.history else certificates.GENESIS
        return Publication(
            self.run.run_id,
            self.run.sequence,
            self.run.started_at,
            changes,
            document,
            previous,
            tuple(retired),
            audit.said_by(),
            tuple(retired_keys),
        )


def attempt(
    kind: str, storage: Storage, settings: Settings, observer: Observer, now: datetime | None, prepare: Callable[[Attempt], Publication]
) -> dict[str, Any]:
    """Do one run; returns the certificate that it stored.

    ``kind`` is what its certificate will say, ``prepare`` does every stage up to the point of no return. Raises LakeBusy if another run
    holds the lake, AuditError if the audit trail cannot be written.
    """
    with ExitStack() as afterwards:  # when the lake is free again
        return _attempt(kind, storage, settings, observer, now or datetime.now(UTC), prepare, afterwards)


def _attempt(
    kind: str,
    storage: Storage,
    settings: Settings,
    observer: Observer,
    started_at: datetime,
    prepare: Callable[[Attempt], Publication],
    afterwards: ExitStack,
) -> dict[str, Any]:
    run_id = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    stages = Stages(observer)
    with lock.hold(storage, run_id) as held:
        with stages.stage("open"):
            lake = create(storage, secrets.token_bytes(16))
            with audit.opened(lake) as log:
                log.check()  # a run that could not be written down is none
            recovered = publish.recover(lake)
            history = runs.runs(lake)
            weights = reference.in_force(storage, started_at.date())
        sequence = history[-1]["sequence"] + 1 if history else 1
        run = Run(run_id, sequence, started_at, lake, settings, weights, b"" if lake.subjects is None else secrets.token_bytes(32))
        publish.begin(lake, run_id)
        telling = live.Telling(lake, settings, Begun(run_id, kind, run.sequence, started_at.isoformat(), tuple(recovered)))
        telling.begin()
        afterwards.callback(telling.end)
        try:
            publication = prepare(Attempt(run, stages, history, recovered))
            held.confirm()
            if lake.subjects is not None:
                lake.now_with(key_store.keep_waiting(storage, run_id, lake.subjects, run.secret))
        except BaseException as error:
            telling.fail(error)
            publish.undo(lake, run_id)
            audit.run_failed(lake, run_id, run.sequence, error)
            raise
        with stages.stage("publish"):
            return publish.publish(lake, publication)
