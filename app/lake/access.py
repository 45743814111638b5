"""Who has which role in a lake: decisions that are never changed, each with the next number; and what follows for who asks.

Two people who decide at once cannot both get a number: one is told, and looks again. Decisions with a gap are no decisions: better nobody
gets in than somebody whose role was taken away.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.compliance import audit
from app.compliance.access import (
    EVERYTHING,
    NOBODY,
    AccessDecision,
    Change,
    Clearance,
    Denial,
    Grants,
    after,
    check,
    sentence_of,
)
from app.compliance.audit import Event, Result, Who
from app.compliance.masking import Treatment
from app.compliance.roles import Action, Role
from app.contracts.table import Classification
from app.errors import AccessDenied, AccessRefused, LakeDamaged
from app.lake import erasures, layout
from app.lake.identity import trust
from app.lake.lake import Lake
from app.lake.storage import Storage

_STORED = TypeAdapter(AccessDecision)

Denied = Callable[[Storage, Denial], None]
"""What is told of a denial, and of which lake, before the one who asked is: the audit trail."""


def decisions(storage: Storage) -> list[AccessDecision]:
    """Every decision, in order; none where there is no folder. LakeDamaged if one is missing or cannot be read."""
    try:
        paths = sorted(entry.path for entry in storage.entries(layout.ACCESS))
    except FileNotFoundError:
        return []
    found = []
    for number, path in enumerate(paths, 1):
        if path != layout.access_decision(number):
            raise LakeDamaged(f"{storage.uri(layout.access_decision(number))} is missing: who has which role is not known; restore it")
        found.append(_read(storage, path, number))
    return found


def grants(storage: Storage) -> Grants:
    """Who has which role now; LakeDamaged as for ``decisions``."""
    known = NOBODY
    for one in decisions(storage):
        known = after(known, one)
    return known


def decide(storage: Storage, change: Change, person: str, role: Role, why: str, at: str, by: str) -> AccessDecision:
    """Give a person a role, or take it away; whether ``by`` may is asked before (``require``), and once more of what is there now.

    UsageError and AccessRefused as ``compliance.access.check`` says; AccessRefused too if somebody else has decided meanwhile.
    """
    before = grants(storage)
    if not before.allow(by, Action.MANAGE_ACCESS):
        raise AccessDenied(sentence_of(Denial(by, tuple(sorted(before.of(by))), Action.MANAGE_ACCESS, "access"), before))
    decision = AccessDecision(before.decided + 1, change, person, role, why, at, by)
    check(before, decision, trust(storage).lets_in)
    if not storage.put_new(layout.access_decision(decision.number), _STORED.dump_json(decision, indent=1)):
        raise AccessRefused("somebody else has given or taken a role meanwhile; look at `leofric access list`, and decide again")
    return decision


def require(storage: Storage, person: str, action: Action, about: str, denied: Denied) -> None:
    """AccessDenied unless the person may do this; ``denied`` is told first, and if it cannot write it down, its error is what is raised.

    ``about`` says what was asked for, such as a command.
    """
    known = grants(storage)
    if known.allow(person, action):
        return
    denial = Denial(person, tuple(sorted(known.of(person))), action, about)
    denied(storage, denial)
    raise AccessDenied(sentence_of(denial, known))


def entry_of(denial: Denial, who: Who, at: datetime) -> Event:
    """What the audit trail is told of a denial; ``who`` is the person, with where from."""
    details: dict[str, Any] = {"action": denial.action, "roles": [role.value for role in denial.roles]}
    if denial.identity is not None:
        details["identity"] = denial.identity
    return Event(at, who, audit.Action.NOT_ALLOWED, denial.about, Result.DENIED, details=details)


def clearance(lake: Lake, person: str) -> Clearance:
    """What the person sees of the lake: as the roles allow, and nothing of people whose data is restricted."""
    return _seen(lake, grants(lake.storage).seen_by(person))


def service(lake: Lake) -> Clearance:
    """What a service sees of the lake for whom its own keys let in: everything but people whose data is restricted."""
    return _seen(lake, EVERYTHING)


def _seen(lake: Lake, treatments: Mapping[Classification, Treatment]) -> Clearance:
    seen = Clearance(treatments, lake.key, erasures.restricted(lake.storage))
    if lake.subjects is None or not seen.is_clear(Classification.PERSONAL):
        return seen
    return replace(seen, register=lake.subjects.register)


def _read(storage: Storage, path: str, number: int) -> AccessDecision:
    try:
        decision = _STORED.validate_json(bytes(storage.read(path)))
    except ValidationError:
        raise LakeDamaged(f"{storage.uri(path)} is no decision about a role; restore it") from None
    if decision.number != number:
        raise LakeDamaged(f"{storage.uri(path)} is decision {decision.number}; restore the one that belongs there")
    return decision
