"""Of the evidence of a period: the audit trail, four eyes on quarantine, and keys to the service. People are counted, not named."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.compliance.audit import Action, ActorKind, Checker, Entry, Result
from app.compliance.corrections import Act, Decision
from app.errors import AuditError
from app.lake import layout
from app.lake.audit import AuditLog
from app.lake.lake import Lake
from app.review import corrections
from pipelines.trail import journal_of, verify_lake

Within = Callable[[datetime], bool]


def trail(lake: Lake, log: AuditLog, keys: Mapping[str, Checker], within: Within) -> tuple[dict[str, Any], list[Entry]]:
    """What verification says of the whole trail, and what was done in the period; the period's entries too.

    Of a trail that does not hold entries are counted as far as they can be read.
    """
    found = verify_lake(lake, log, keys, [], journal_of(lake))
    fault = found.verified.fault
    entries = [entry for entry in _readable(log) if within(entry.at)]
    kept = found.segments  # of the service's decisions; None where its journal is not beside the lake
    counts = Counter((entry.action, entry.actor_kind, entry.result) for entry in entries)
    section = {
        "holds": found.holds,
        "entries": found.verified.entries,
        "head": found.verified.head.document(),
        "anchored_to": found.verified.anchored_to,
        "trusted_keys": list(found.keys),
        "keys": list(found.anchors),
        "heads_known_elsewhere": found.heads,
        "fault": None if fault is None else {"entry": fault.sequence, "kind": fault.kind.value},
        "decisions_of_the_service": None if kept is None else vars(kept) | {"faults": len(kept.faults)},
        "entries_in_period": len(entries),
        "persons_in_period": len({entry.actor for entry in entries if entry.actor_kind == ActorKind.PERSON}),
        "acts": [
            {"action": action, "actor_kind": kind, "result": result, "entries": count}
            for (action, kind, result), count in sorted(counts.items())
        ],
        "denied": [_pointed(entry) for entry in entries if entry.result == Result.DENIED],
        "failed": [_pointed(entry) for entry in entries if entry.result == Result.FAILED],
    }
    return section, entries


def _readable(log: AuditLog) -> Iterator[Entry]:
    try:
        yield from log.entries()
    except AuditError:
        return  # verification names the entry


def _pointed(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.sequence,
        "at": entry.at.isoformat(timespec="seconds"),
        "action": entry.action,
        "actor_kind": entry.actor_kind,
        "result": entry.result,
    }


def failed_runs(entries: Sequence[Entry], certified: set[str]) -> list[dict[str, Any]]:
    """Runs that failed before they had a certificate: they published nothing."""
    runs = (Action.RUN, Action.REPLAY, Action.FEEDBACK_IMPORT)
    return [_pointed(one) for one in entries if one.action in runs and one.result == Result.FAILED and one.object not in certified]


def four_eyes(lake: Lake, entries: Sequence[Entry], within: Within) -> dict[str, Any]:
    """Decisions on quarantined records, and whether who approved was somebody else than who proposed; by decisions, not by rules."""
    every = corrections.decisions(lake)
    proposed = {(one.item, one.proposal): one.who for one in every if one.act is Act.PROPOSED}
    chosen = [one for one in every if within(one.decided_at)]
    approved = [(one, proposed.get((one.item, one.proposal))) for one in chosen if one.act in (Act.APPROVED, Act.CLOSED)]
    same = {one.sequence for one, by in approved if by == one.who}
    unknown = {one.sequence for one, by in approved if by is None}
    denied = sum(entry.action == Action.REVIEW and entry.result == Result.DENIED for entry in entries)
    return {
        "decided": _decided(chosen),
        "proposers": len({one.who for one in chosen if one.act is Act.PROPOSED}),
        "approvers": len({one.who for one, _ in approved}),
        "approved_by_who_proposed": [{"decision": number} for number in sorted(same)],
        "approved_without_a_proposal": [{"decision": number} for number in sorted(unknown)],
        "refused": denied,
    }


def _decided(chosen: Sequence[Decision]) -> list[dict[str, Any]]:
    records = Counter(one.act.value for one in chosen)
    decisions = Counter(act for act, _ in {(one.act.value, one.sequence) for one in chosen})
    return [{"act": act, "decisions": decisions[act], "records": records[act]} for act in sorted(records)]


def keys(lake: Lake, begin: datetime, end: datetime) -> dict[str, Any]:
    """Keys to the service that were made or revoked in the period, and how many were good when it ended."""
    held = [json.loads(bytes(lake.storage.read(entry.path))) for entry in lake.storage.entries(layout.API_KEYS)]
    times = [(datetime.fromisoformat(key["created_at"]), _instant(key.get("revoked_at")), key) for key in held]
    rows = [
        {"name": key["name"], "scopes": ", ".join(key["scopes"]), "act": act, "at": at.isoformat()}
        for made, revoked, key in times
        for act, at in (("created", made), ("revoked", revoked))
        if at is not None and begin <= at < end
    ]
    good = sum(made < end and (revoked is None or revoked >= end) for made, revoked, _ in times)
    return {"changed": sorted(rows, key=lambda row: (row["at"], row["name"])), "good_at_end": good}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
