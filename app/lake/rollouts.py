"""Rollouts: which challenger is tried on the service's traffic, and how. The last one that was written down counts.

Nothing is ever changed: to stop a rollout is a new object with the next number, and two who write at once cannot both get it.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Final

from app.errors import ModelError
from app.lake import layout
from app.lake.storage import Storage

SHADOW: Final = "shadow"
"""The challenger scores its share, and the champion answers."""
CANARY: Final = "canary"
"""The challenger answers its share."""
NONE: Final = "none"
"""The rollout before this one has ended."""


@dataclass(frozen=True)
class Rollout:
    """What is tried from now on, or that nothing is any more."""

    number: int  # 1, 2, … over all kinds
    kind: str
    model_id: str  # the challenger
    mode: str
    share: float  # of the payments, over 0 to 1
    most_errors: float  # the share of the challenger's payments on which it may fail
    most_drift: float  # how far its scores may be from its training window (PSI)
    least: int  # payments before the limits are held against it
    why: str
    at: str
    by: str


def past(storage: Storage) -> list[Rollout]:
    """Every rollout, and every end of one, in order."""
    return [_read(storage, path) for path in _paths(storage)]


def last(storage: Storage) -> Rollout | None:
    """The one that counts; None if there never was one."""
    paths = _paths(storage)
    return _read(storage, paths[-1]) if paths else None


def goes_on(rollout: Rollout | None) -> bool:
    """Whether a challenger is tried after this last rollout."""
    return rollout is not None and rollout.mode != NONE


def write(storage: Storage, rollout: Rollout) -> None:
    """Write a rollout down; ModelError if somebody else has written one meanwhile."""
    if not storage.put_new(layout.rollout(rollout.number), json.dumps(asdict(rollout), indent=1).encode()):
        raise ModelError("somebody else has started or stopped a rollout meanwhile; look at `leofric models rollout show`, decide again")


def end(storage: Storage, rollout: Rollout, why: str, at: str, by: str) -> Rollout:
    """Write down that this rollout, which is the last one, has ended; ModelError if somebody else has."""
    ended = replace(rollout, number=rollout.number + 1, mode=NONE, why=why, at=at, by=by)
    write(storage, ended)
    return ended


def _paths(storage: Storage) -> list[str]:
    return sorted(entry.path for entry in storage.entries(layout.ROLLOUTS))


def _read(storage: Storage, path: str) -> Rollout:
    return Rollout(**json.loads(bytes(storage.read(path))))
