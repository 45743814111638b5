"""Whether an audit trail is as it was written: the chain, the anchors, and where others say that it ended."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from app.compliance.audit import Checker, Entry, Head, anchor_text
from app.errors import AuditError


class Kind(StrEnum):
    """What is wrong with an entry."""

    EDITED = "edited"
    REMOVED = "removed"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    NOT_ANCHORED = "not anchored"


@dataclass(frozen=True)
class Fault:
    """The first entry that is not as it was written, and a sentence on it."""

    sequence: int
    kind: Kind
    sentence: str


@dataclass(frozen=True)
class KnownHead:
    """Where the chain once ended, by somebody's word: a run's certificate, a note, an auditor."""

    head: Head
    source: str


@dataclass
class Verified:
    """What verification found. ``anchored_to`` is the last entry that a trusted key vouches for, 0 if none is."""

    entries: int = 0
    head: Head = field(default_factory=Head)
    anchored_to: int = 0
    fault: Fault | None = None
    unknown_keys: set[str] = field(default_factory=set)


def verify(entries: Iterable[Entry], keys: Mapping[str, Checker], heads: Iterable[KnownHead] = ()) -> Verified:
    """Go through entries in the order in which they are given, up to the first fault. ``keys`` are those that are trusted, by their id.

    With keys, the last entry must be vouched for by an anchor: else entries were added by somebody who has no key.
    """
    known: dict[int, list[KnownHead]] = {}
    for one in heads:
        known.setdefault(one.head.sequence, []).append(one)
    found, rest = Verified(), iter(entries)
    try:
        for entry in rest:
            found.fault = (
                _chain_fault(entry, found.head, rest)
                or _anchor_fault(entry, found, keys)
                or _head_fault(entry, known.get(entry.sequence, ()), found.anchored_to + 1 if keys else entry.sequence)
            )
            if found.fault is not None:
                return found
            found.entries, found.head = entry.sequence, Head(entry.sequence, entry.hash)
    except AuditError as error:
        found.fault = Fault(found.entries + 1, Kind.EDITED, f"entry {found.entries + 1} was edited: {error}")
        return found
    found.fault = _tail_fault(found, known, bool(keys))
    return found


def _chain_fault(entry: Entry, before: Head, rest: Iterator[Entry]) -> Fault | None:
    due = before.sequence + 1
    if entry.sequence != due:
        return _misplaced(entry, before, rest)
    if entry.made_hash() != entry.hash:
        part = "its previous_hash was" if replace(entry, previous_hash=before.hash).made_hash() == entry.hash else "it was"
        return Fault(due, Kind.EDITED, f"entry {due} ({entry.action}, {entry.object}) is not what was written: {part} edited")
    if entry.previous_hash == before.hash:
        return None
    # This entry and its hash fit each other, but not the one before: either may have been made anew. The next one tells.
    following = next(rest, None)
    if due == 1 or (following is not None and following.previous_hash != entry.hash):
        return Fault(due, Kind.REWRITTEN, f"entry {due} does not carry on from entry {before.sequence}: it was made anew")
    return Fault(due - 1, Kind.REWRITTEN, f"entry {due - 1} was made anew: entry {due} carries the hash of another one")


def _misplaced(entry: Entry, before: Head, rest: Iterator[Entry]) -> Fault:
    due = before.sequence + 1
    if replace(entry, sequence=due, previous_hash=before.hash).made_hash() == entry.hash:
        return Fault(due, Kind.EDITED, f"entry {due} says that it is number {entry.sequence}: its sequence was edited")
    if entry.sequence < due:
        return Fault(due, Kind.INSERTED, f"where entry {due} was due stands a second entry {entry.sequence}")
    if any(later.sequence == due for later in rest):
        return Fault(due, Kind.REORDERED, f"where entry {due} was due stands entry {entry.sequence}; entry {due} comes later")
    return Fault(due, Kind.REMOVED, f"entry {due} is missing; the next one that is there is {entry.sequence}")


def _anchor_fault(entry: Entry, found: Verified, keys: Mapping[str, Checker]) -> Fault | None:
    at = entry.sequence
    if entry.key_id is None:
        return None if entry.signature is None else Fault(at, Kind.EDITED, f"entry {at} was given a signature that it did not have")
    if entry.signature is None:
        return Fault(at, Kind.EDITED, f"the signature of entry {at} was removed")
    if entry.key_id not in keys:
        found.unknown_keys.add(entry.key_id)
        return None
    if not keys[entry.key_id].holds(anchor_text(Head(at, entry.hash)), entry.signature):
        since = found.anchored_to + 1
        which = f"entry {at}" if since == at else f"an entry from {since} to {at}"
        return Fault(at, Kind.REWRITTEN, f"the signature of entry {at} does not hold: it, or {which}, was made anew without the key")
    found.anchored_to = at
    return None


def _head_fault(entry: Entry, known: Iterable[KnownHead], since: int) -> Fault | None:
    """``since``: the first entry that no trusted key vouches for, or this one where no key is known."""
    for one in known:
        if one.head.hash != entry.hash:
            at = entry.sequence
            which = "it" if since == at else f"an entry from {since} to {at}"
            return Fault(since, Kind.REWRITTEN, f"entry {at} is not the one that {one.source} names: {which}, or one before, was made anew")
    return None


def _tail_fault(found: Verified, known: Mapping[int, list[KnownHead]], has_keys: bool) -> Fault | None:
    end = found.entries
    longest = max(known, default=0)
    if longest > end:
        source = known[longest][0].source
        return Fault(end + 1, Kind.TRUNCATED, f"entry {end + 1} is missing: the log ends at {end}, but {source} names entry {longest}")
    if has_keys and found.anchored_to < end:
        since = found.anchored_to + 1
        return Fault(since, Kind.NOT_ANCHORED, f"no trusted key vouches for entry {since} and what follows: it was added without the key")
    return None
