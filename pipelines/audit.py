"""What the command line and runs write to the audit trail: who acts, and the one way to act so that it is written down."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from app.compliance.access import Denial
from app.compliance.audit import Action, ActorKind, Event, Result, Who
from app.errors import LeofricError
from app.lake.access import entry_of
from app.lake.audit import Act, AuditLog, acting, open_log
from app.lake.lake import Lake, open_lake
from app.lake.storage import Storage
from app.settings import operator, operator_shown_by, read_audit_settings

_OF_KIND: Final = {"feedback": Action.FEEDBACK_IMPORT, "replay": Action.REPLAY, "erasure": Action.ERASE, "retention": Action.RETENTION}
"""Kinds of runs that are an act of their own; all others are runs."""


def who() -> Who:
    """The person at the command line, or as whom a job runs."""
    by = operator_shown_by()
    origin = f"{socket.gethostname()}, process {os.getpid()}"
    return Who(operator(), ActorKind.PERSON, origin if by is None else f"{origin}, by {by}")


def opened(lake: Lake) -> AbstractContextManager[AuditLog]:
    """The lake's trail, for a block."""
    return closing(open_log(lake, read_audit_settings()))


def now() -> datetime:
    """The instant of an entry."""
    return datetime.now(UTC)


@contextmanager
def audited(lake: Lake, action: Action, about: str, reason: str | None = None) -> Iterator[Act]:
    """Do something so that it is written down how it ended; AuditError before it is done if that is not possible."""
    with opened(lake) as log, acting(log, who(), now, action, about, reason) as act:
        yield act


def denied(storage: Storage, denial: Denial) -> None:
    """Write down that somebody was not allowed to do something."""
    with opened(open_lake(storage)) as log:
        log.append([entry_of(denial, who(), now())])


@contextmanager
def viewed(lake: Lake, about: str) -> Iterator[list[dict[str, str]]]:
    """Show data of a person so that it is written down who looked; gives who had before: who, when and in what way."""
    with opened(lake) as log, acting(log, who(), now, Action.VIEW, about):
        yield [{"who": one.actor, "at": one.at.isoformat(), "what": one.action, "result": one.result} for one in log.about(about)]


def said_by() -> dict[str, str]:
    """Who publishes a run, and when: kept in its note, so that the entry is the same whoever carries it out."""
    actor = who()
    return {"name": actor.name, "kind": actor.kind.value, "origin": actor.origin, "at": now().isoformat()}


def of_run(by: Mapping[str, str], certificate: Mapping[str, Any], tables: Mapping[str, Any], changed: Mapping[str, Any]) -> list[Event]:
    """The entries of a run: each table's new version, and then the run itself. ``changed`` is by table path, for the details."""
    actor, at = Who(by["name"], ActorKind(by["kind"]), by["origin"]), datetime.fromisoformat(by["at"])
    run_id, why = certificate["run_id"], _why(certificate)
    commits = [
        Event(
            at,
            actor,
            Action.COMMIT,
            path,
            object_version=str(tables[path]["version"]),
            reason=why,
            details={"run_id": run_id, "rows": tables[path]["rows"]} | said,
            event_id=f"run:{run_id}:{path}",
        )
        for path, said in changed.items()
    ]
    return [*commits, _of_run(at, actor, certificate, tables)]


def _why(certificate: Mapping[str, Any]) -> str | None:
    """The reason that somebody gave for a run: those who look after the lake must."""
    said = certificate.get(certificate["kind"])
    why = said["why"] if isinstance(said, Mapping) and "why" in said else certificate.get("why")
    return None if why is None else str(why)


def _of_run(at: datetime, actor: Who, certificate: Mapping[str, Any], tables: Mapping[str, Any]) -> Event:
    totals = certificate["totals"]
    details = {
        "kind": certificate["kind"],
        "sequence": certificate["sequence"],
        "started_at": certificate["started_at"],
        "files": len(certificate["files"]),
        "tables": {path: said["version"] for path, said in tables.items()},
    } | {name: totals[name] for name in ("records", "accepted", "quarantined", "duplicates")}
    details |= {name: certificate[name] for name in ("feedback", "corrected") if name in certificate}
    if "retention" in certificate:  # not the files, of which there may be more than an entry has room for
        details["retention"] = {name: certificate["retention"][name] for name in ("on", "tables", "objects_deleted")}
    if certificate.get("error"):
        details["error"] = str(certificate["error"])[:1_000]
    if certificate.get("recovered_runs"):
        details["recovered_runs"] = certificate["recovered_runs"][:20]
    result = Result.SUCCEEDED if certificate["status"] == "succeeded" else Result.FAILED
    action, run_id = _OF_KIND.get(certificate["kind"], Action.RUN), certificate["run_id"]
    version = str(certificate["sequence"])
    return Event(at, actor, action, run_id, result, version, _why(certificate), details, f"run:{run_id}")


def run_failed(lake: Lake, run_id: str, sequence: int, error: BaseException) -> None:
    """Write down that a run failed and published nothing; what raised it goes on to be raised, so this raises nothing."""
    details = {"error": f"{type(error).__name__}: {error}"[:1_000]}
    event = Event(now(), who(), Action.RUN, run_id, Result.FAILED, str(sequence), None, details, f"run:{run_id}")
    try:
        with opened(lake) as log:
            log.append([event], once=True)
    except LeofricError as unwritten:
        error.add_note(f"and the audit trail could not be told: {unwritten}")
