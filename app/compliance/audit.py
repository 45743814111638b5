"""The audit trail's entries: who did what, on what, when, why, from where, with what result; each chained by hash to the one before.

A chain shows an entry that was edited, removed or moved. It does not show a chain that was made anew, nor a tail that was cut off: for
the first, the last entry of each append is signed (an anchor); for the second, others note where the chain ended (a known head). What
``app/compliance/audit_check.py`` finds rests on all three.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import uuid4

from app.compliance.certificate import GENESIS, canonical, chain_hash
from app.contracts.table import Classification
from app.errors import AuditError

MOST_DETAILS: Final = 65_536
"""So many bytes of JSON an entry's details may have: an entry names things, it does not hold them."""


class ActorKind(StrEnum):
    """What acts."""

    PERSON = "person"
    SERVICE = "service"
    KEY = "key"


class Result(StrEnum):
    """How it ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"


class Action(StrEnum):
    """Everything that is written down; what an action's entries are, and how long they are kept, is in TERMS."""

    RUN = "run"
    COMMIT = "commit"
    TRAIN = "model.train"
    PROMOTE = "model.promote"
    ROLLBACK = "model.rollback"
    ROLLOUT_START = "rollout.start"
    ROLLOUT_STOP = "rollout.stop"
    REFERENCE_LOAD = "reference.load"
    FEEDBACK_IMPORT = "feedback.import"
    REVIEW = "review.decide"
    REPLAY = "review.replay"
    ERASE = "erasure"
    RETENTION = "retention.apply"
    HOLD = "retention.hold"
    KEY_CREATE = "key.create"
    KEY_REVOKE = "key.revoke"
    KEY_STORE_MAKE = "keystore.make"
    KEY_STORE_REWRAP = "keystore.rewrap"
    EXPORT = "export"
    VIEW = "view"
    DENIED = "requests.denied"
    NOT_ALLOWED = "access.denied"
    GRANT = "access.grant"
    REVOKE = "access.revoke"
    IDENTITY = "access.identity"
    DECISIONS = "decisions"


@dataclass(frozen=True)
class Terms:
    """What the entries of an action are: the frameworks that ask for them, how sensitive they are, how long they are kept at least.

    ``retention`` is an ISO 8601 duration from the entry's instant. Nothing removes an entry by itself.
    """

    meaning: str
    frameworks: tuple[str, ...]
    classification: Classification
    retention: str


# Money Laundering Regulations 2017, regulation 40: five years after the transaction or the end of the relationship, which may be later
# than the entry: one year more. PCI DSS 4.0.1, 10.5.1: twelve months. PRA SS1/23: as long as a model may be asked about.
_MLR, _GDPR, _SYSC, _BCBS, _SS1, _PCI = "MLR 2017 reg. 40", "UK GDPR art. 5(2)", "SYSC 9.1", "BCBS 239", "PRA SS1/23", "PCI DSS 10"
_SIX, _TEN, _TWO = "P6Y", "P10Y", "P2Y"
_INTERNAL, _CONFIDENTIAL = Classification.INTERNAL, Classification.CONFIDENTIAL

TERMS: Final[Mapping[Action, Terms]] = {
    Action.RUN: Terms("a run, with what it counted", (_MLR, _SYSC, _BCBS), _INTERNAL, _SIX),
    Action.COMMIT: Terms("a table's new version, made by a run", (_SYSC, _BCBS), _INTERNAL, _SIX),
    Action.TRAIN: Terms("a model was trained", (_SS1, _BCBS), _INTERNAL, _TEN),
    Action.PROMOTE: Terms("a model became the champion", (_SS1, _MLR), _INTERNAL, _TEN),
    Action.ROLLBACK: Terms("the champion before came back", (_SS1, _MLR), _INTERNAL, _TEN),
    Action.ROLLOUT_START: Terms("a challenger is tried on traffic", (_SS1,), _INTERNAL, _TEN),
    Action.ROLLOUT_STOP: Terms("a challenger is tried no more", (_SS1,), _INTERNAL, _TEN),
    Action.REFERENCE_LOAD: Terms("reference data was loaded", (_SYSC, _BCBS), _INTERNAL, _SIX),
    Action.FEEDBACK_IMPORT: Terms("analysts' decisions were taken in", (_MLR, _SYSC), _CONFIDENTIAL, _SIX),
    Action.REVIEW: Terms("a decision about quarantined records", (_MLR, _SYSC), _CONFIDENTIAL, _SIX),
    Action.REPLAY: Terms("quarantined records were loaded again", (_MLR, _SYSC, _BCBS), _CONFIDENTIAL, _SIX),
    Action.ERASE: Terms("a person's data was erased, or was not", (_GDPR, _MLR), _CONFIDENTIAL, _SIX),
    Action.RETENTION: Terms("records whose time was over were deleted", (_MLR, _GDPR, _SYSC), _INTERNAL, _TEN),
    Action.HOLD: Terms("a legal hold was added or released", (_GDPR, _MLR), _CONFIDENTIAL, _TEN),
    Action.KEY_CREATE: Terms("a key to the service was made", (_PCI, _GDPR), _INTERNAL, _TWO),
    Action.KEY_REVOKE: Terms("a key to the service was revoked", (_PCI, _GDPR), _INTERNAL, _TWO),
    Action.KEY_STORE_MAKE: Terms("a sealed lake and its key store were made", (_PCI, _GDPR), _INTERNAL, _SIX),
    Action.KEY_STORE_REWRAP: Terms("another key wraps the keys of data subjects", (_PCI, _GDPR), _INTERNAL, _SIX),
    Action.EXPORT: Terms("data left the lake", (_GDPR, _PCI), _CONFIDENTIAL, _SIX),
    Action.VIEW: Terms("a person's data was looked at", (_GDPR, _SYSC), _CONFIDENTIAL, _SIX),
    Action.DENIED: Terms("requests to the service were refused, counted", (_PCI, _GDPR), _INTERNAL, _TWO),
    Action.NOT_ALLOWED: Terms("somebody was not allowed to use a command", (_PCI, _GDPR), _INTERNAL, _TWO),
    Action.GRANT: Terms("somebody was given a role", (_PCI, _SYSC, _GDPR), _INTERNAL, _SIX),
    Action.REVOKE: Terms("a role was taken from somebody", (_PCI, _SYSC, _GDPR), _INTERNAL, _SIX),
    Action.IDENTITY: Terms("whose tokens say who somebody is was decided", (_PCI, _SYSC, _GDPR), _INTERNAL, _SIX),
    Action.DECISIONS: Terms("a segment of the service's decisions, by its hash", (_MLR, _GDPR), _CONFIDENTIAL, _SIX),
}


@dataclass(frozen=True)
class Who:
    """Who acts, and from where: a person, the service, or a key's name; a host, an address, a process."""

    name: str
    kind: ActorKind
    origin: str


@dataclass(frozen=True)
class Event:
    """Something that happened, before it has its place in the chain; AuditError if it cannot be one.

    ``event_id`` is the same however often one thing is told: whoever may tell it twice gives it one of its own (``run:<run id>``).
    """

    at: datetime
    who: Who
    action: Action
    object: str
    result: Result = Result.SUCCEEDED
    object_version: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise AuditError(f"an audit entry about {self.object} has an instant without a zone")
        try:
            size = len(canonical(self.details).encode(errors="replace"))
        except (TypeError, ValueError) as error:
            raise AuditError(f"an audit entry about {self.object} has details that JSON cannot say: {error}") from None
        if size > MOST_DETAILS:
            raise AuditError(f"an audit entry about {self.object} has over {MOST_DETAILS} bytes of details; name things, do not list them")


@dataclass(frozen=True)
class Entry:
    """An event in its place. ``key_id`` names the key of the anchor, where the entry has one; all but the signature is in the hash."""

    sequence: int
    event_id: str
    at: datetime
    actor: str
    actor_kind: str
    action: str
    object: str
    object_version: str | None
    reason: str | None
    origin: str
    result: str
    details: str  # canonical JSON
    classification: str
    frameworks: tuple[str, ...]
    retention: str
    key_id: str | None
    previous_hash: str
    hash: str
    signature: str | None

    def text(self) -> str:
        """What is hashed, as canonical JSON."""
        said = {name: value for name, value in self.document().items() if name not in _NOT_HASHED}
        return canonical(said)

    def made_hash(self) -> str:
        """The hash that the entry should have."""
        return chain_hash(self.previous_hash, self.text())

    def document(self) -> dict[str, Any]:
        """The entry as JSON has it."""
        return vars(self) | {"at": self.at.astimezone(UTC).isoformat(timespec="microseconds"), "frameworks": list(self.frameworks)}


_NOT_HASHED: Final = frozenset({"previous_hash", "hash", "signature"})


def entry_of(document: Mapping[str, Any]) -> Entry:
    """An entry from its JSON or its row; AuditError if it is none."""
    try:
        at = document["at"] if isinstance(document["at"], datetime) else datetime.fromisoformat(document["at"])
        entry = Entry(**{**document, "at": at.astimezone(UTC), "frameworks": tuple(document["frameworks"])})
        texts = [value for name, value in vars(entry).items() if name not in _NO_TEXTS and (value is not None or name not in _MAY_BE_NULL)]
        "".join((*texts, *entry.frameworks)).encode()  # TypeError if one is no text, ValueError if it has a lone surrogate
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise AuditError(f"this is no audit entry ({type(error).__name__}: {error})") from None
    if type(entry.sequence) is not int:
        raise AuditError(f"this is no audit entry (its sequence is {entry.sequence!r})")
    return entry


_NO_TEXTS: Final = frozenset({"sequence", "at", "frameworks"})
_MAY_BE_NULL: Final = frozenset({"object_version", "reason", "key_id", "signature"})


@dataclass(frozen=True)
class Head:
    """Where a chain ends: the last entry's number and hash."""

    sequence: int = 0
    hash: str = GENESIS

    def document(self) -> dict[str, Any]:
        return {"sequence": self.sequence, "hash": self.hash}


class Signer(Protocol):
    """A key that anchors are made with."""

    @property
    def key_id(self) -> str:
        """Which key it is; not secret."""

    def sign(self, document: bytes) -> str:
        """A signature in hexadecimal; AuditError if the key does not answer."""


class Checker(Protocol):
    """A key that anchors are checked with."""

    @property
    def key_id(self) -> str: ...

    def holds(self, document: bytes, signature: str) -> bool: ...


def anchor_text(head: Head) -> bytes:
    """What an anchor signs: the head covers all entries before it."""
    return f"leofric audit anchor 1\n{head.sequence}\n{head.hash}".encode()


def chained(head: Head, events: Iterable[Event], signer: Signer | None) -> list[Entry]:
    """The events as entries after ``head``; the last one is the anchor, if there is a key."""
    given = list(events)
    entries = []
    for place, event in enumerate(given):
        last = signer is not None and place == len(given) - 1
        entry = _entry(head, event, signer.key_id if signer is not None and last else None)
        head = Head(entry.sequence, entry.hash)
        entries.append(entry)
    if signer is not None and entries:
        entries[-1] = replace(entries[-1], signature=signer.sign(anchor_text(head)))
    return entries


def _entry(head: Head, event: Event, key_id: str | None) -> Entry:
    terms = TERMS[event.action]
    unsealed = Entry(
        head.sequence + 1,
        _clean(event.event_id),
        event.at.astimezone(UTC),
        _clean(event.who.name),
        event.who.kind.value,
        event.action.value,
        _clean(event.object),
        _clean_if(event.object_version),
        _clean_if(event.reason),
        _clean(event.who.origin),
        event.result.value,
        _clean(canonical(event.details)),
        terms.classification.value,
        terms.frameworks,
        terms.retention,
        key_id,
        head.hash,
        "",
        None,
    )
    return replace(unsealed, hash=unsealed.made_hash())


def _clean(text: str) -> str:
    """Text that every store keeps as it is: no lone surrogates (of names of files that are no UTF-8), no NUL."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def _clean_if(text: str | None) -> str | None:
    return None if text is None else _clean(text)


def details_of(entry: Entry) -> dict[str, Any]:
    """An entry's details as a mapping."""
    return dict(json.loads(entry.details))


def select(
    entries: Iterable[Entry],
    *,
    since: datetime | None = None,
    action: str | None = None,
    actor: str | None = None,
    about: str | None = None,
) -> Sequence[Entry]:
    """The entries from an instant on, of an action (or a family of them: ``model``), by an actor, whose object begins with ``about``."""
    return [
        entry
        for entry in entries
        if (since is None or entry.at >= since)
        and (action is None or entry.action == action or entry.action.startswith(f"{action}."))
        and (actor is None or entry.actor == actor)
        and (about is None or entry.object.startswith(about))
    ]
