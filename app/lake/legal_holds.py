"""The legal holds of a lake: each decision an object of its own, numbered, never changed; of two who decide at once one is refused."""

import json
from dataclasses import asdict, replace

from app.compliance.legal_holds import Act, Decision, Kind, checked, standing
from app.errors import HoldRefused
from app.lake import layout
from app.lake.storage import Storage


def decisions(storage: Storage) -> list[Decision]:
    """Every decision, in order."""
    paths = sorted(entry.path for entry in storage.entries(layout.HOLDS))
    return [Decision(**json.loads(bytes(storage.read(path)))) for path in paths]


def add(storage: Storage, kind: Kind, about: str, why: str, at: str, by: str) -> Decision:
    """Put a hold on something; UsageError if it can be none, HoldRefused if somebody else decided meanwhile."""
    number = len(decisions(storage)) + 1
    return _write(storage, Decision(number, Act.ADDED.value, number, kind.value, checked(kind, about), why, at, by))


def release(storage: Storage, hold: int, why: str, at: str, by: str) -> Decision:
    """Release a hold; HoldRefused if it does not stand, or somebody else decided meanwhile."""
    before = decisions(storage)
    if hold not in {one.number for one in standing(before)}:
        raise HoldRefused(f"there is no hold {hold} that stands; `leofric retention hold list` shows those that do")
    added = next(one for one in before if one.hold == hold)
    return _write(storage, replace(added, number=len(before) + 1, act=Act.RELEASED.value, why=why, at=at, by=by))


def _write(storage: Storage, decision: Decision) -> Decision:
    if not storage.put_new(layout.legal_hold(decision.number), json.dumps(asdict(decision), indent=1).encode()):
        raise HoldRefused("somebody else has decided about a hold meanwhile; look at `leofric retention hold list`, and decide again")
    return decision
