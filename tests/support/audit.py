"""Events, keys and chains for tests of the audit trail, and every way to tamper with a chain."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.compliance.anchors import Ed25519Key, HmacKey
from app.compliance.audit import Action, ActorKind, Entry, Event, Head, Result, Signer, Who, anchor_text, chained

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
WHO = Who("ada", ActorKind.PERSON, "host-1 process 7")
SECRET = HmacKey(b"0123456789abcdef0123456789abcdef")
OTHER_SECRET = HmacKey(b"another secret, as long as needed")


def ed25519_key() -> Ed25519Key:
    return Ed25519Key(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def event(number: int, **changed: Any) -> Event:
    actions = list(Action)
    usual = Event(
        NOW + timedelta(seconds=number),
        WHO,
        actions[number % len(actions)],
        f"object-{number}",
        Result.SUCCEEDED,
        None if number % 2 else str(number),
        None if number % 3 else "because",
        {"number": number, "naïve": "£"},
        f"event-{number}",
    )
    return replace(usual, **changed)


def chain(sizes: Sequence[int], signer: Signer | None = SECRET) -> list[Entry]:
    """Entries of appends of these sizes: the last one of each is an anchor."""
    entries: list[Entry] = []
    for size in sizes:
        head = Head(entries[-1].sequence, entries[-1].hash) if entries else Head()
        entries += chained(head, [event(len(entries) + number) for number in range(size)], signer)
    return entries


def head_of(entries: Sequence[Entry]) -> Head:
    return Head(entries[-1].sequence, entries[-1].hash)


Tampering = Callable[[list[Entry], random.Random], tuple[list[Entry], int, int]]
"""Gives the changed entries, and between which numbers (both included) the first entry lies that must be named."""

_FIELDS: dict[str, Callable[[Entry], Any]] = {
    "sequence": lambda entry: entry.sequence + 1_000,
    "event_id": lambda entry: entry.event_id + "x",
    "at": lambda entry: entry.at + timedelta(microseconds=1),
    "actor": lambda _: "eve",
    "actor_kind": lambda _: "service",
    "action": lambda entry: entry.action + "x",
    "object": lambda _: "other",
    "object_version": lambda entry: "0" if entry.object_version is None else None,
    "reason": lambda _: "another reason",
    "origin": lambda _: "elsewhere",
    "result": lambda _: "denied",
    "details": lambda _: "{}",
    "classification": lambda _: "public",
    "frameworks": lambda _: (),
    "retention": lambda _: "P1D",
    "key_id": lambda entry: None if entry.key_id else SECRET.key_id,
    "previous_hash": lambda _: "f" * 64,
    "hash": lambda _: "e" * 64,
    "signature": lambda entry: None if entry.signature else "d" * 64,
}


def _changed(entries: list[Entry], place: int, **values: Any) -> list[Entry]:
    return [*entries[:place], replace(entries[place], **values), *entries[place + 1 :]]


def _vouched(entries: list[Entry]) -> int:
    """The last entry that an anchor covers."""
    return max((entry.sequence for entry in entries if entry.key_id is not None), default=0)


def edit(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    at, name = chance.randrange(len(entries)), chance.choice(sorted(_FIELDS))
    return _changed(entries, at, **{name: _FIELDS[name](entries[at])}), at + 1, at + 1


def edit_and_hash_anew(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    """One entry with its hash made anew, and nothing after it."""
    at = chance.randrange(len(entries) - 1)
    edited = replace(entries[at], object="other")
    return _changed(entries, at, object="other", hash=edited.made_hash()), at + 1, at + 1


def remove(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    at = chance.randrange(len(entries) - 1)
    return [*entries[:at], *entries[at + 1 :]], at + 1, at + 1


def swap(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    """Two entries change places: their numbers too, since a table has no other order."""
    first, second = sorted(chance.sample(range(len(entries)), 2))
    moved = list(entries)
    moved[first] = replace(entries[second], sequence=first + 1)
    moved[second] = replace(entries[first], sequence=second + 1)
    return moved, first + 1, first + 1


def duplicate(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    at = chance.randrange(len(entries))
    return [*entries[: at + 1], entries[at], *entries[at + 1 :]], at + 2, at + 2


def insert(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    """A new entry with a hash of its own; all after it are numbered on."""
    at = chance.randrange(len(entries))
    before = Head(at, entries[at - 1].hash) if at else Head()
    (new,) = chained(before, [event(9_999)], None)
    # What stands in the last one's place fits the chain: only the head tells, and what no anchor covers may be any of those before.
    first = at + 1 if at < len(entries) - 1 else _vouched(entries[:at]) + 1
    return [*entries[:at], new, *(replace(entry, sequence=entry.sequence + 1) for entry in entries[at:])], first, at + 2


def cut_the_tail(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    keep = chance.randrange(len(entries))
    return entries[:keep], keep + 1, keep + 1


def _anew(entries: list[Entry], at: int, signer: Signer | None, *, signatures: bool) -> list[Entry]:
    head = Head(at, entries[at - 1].hash) if at else Head()
    made = list(entries[:at])
    for number, entry in enumerate(entries[at:]):
        one = replace(entry, previous_hash=head.hash, object="other" if number == 0 else entry.object)
        if not signatures:
            one = replace(one, key_id=None, signature=None)
        elif one.key_id is not None and signer is not None:
            one = replace(one, key_id=signer.key_id)
        one = replace(one, hash=one.made_hash())
        head = Head(one.sequence, one.hash)
        if signatures and one.key_id is not None and signer is not None:
            one = replace(one, signature=signer.sign(anchor_text(head)))
        made.append(one)
    return made


def rewrite(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    """Every hash from an entry on is made anew, the signatures stay: the first anchor from there on does not hold."""
    at = chance.randrange(len(entries))
    anchor = next(entry.sequence for entry in entries[at:] if entry.key_id is not None)
    return _anew(entries, at, None, signatures=True), at + 1, anchor


def rewrite_without_anchors(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    at = chance.randrange(len(entries))
    return _anew(entries, at, None, signatures=False), _vouched(entries[:at]) + 1, at + 1


def forge_anchors(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    """The chain is made anew and signed with a key that nobody trusts."""
    at = chance.randrange(len(entries))
    return _anew(entries, at, OTHER_SECRET, signatures=True), _vouched(entries[:at]) + 1, at + 1


def add_without_the_key(entries: list[Entry], chance: random.Random) -> tuple[list[Entry], int, int]:
    more = chained(head_of(entries), [event(5_000 + number) for number in range(chance.randint(1, 3))], None)
    return [*entries, *more], len(entries) + 1, len(entries) + 1


TAMPERINGS: dict[str, Tampering] = {
    function.__name__: function
    for function in (
        edit,
        edit_and_hash_anew,
        remove,
        swap,
        duplicate,
        insert,
        cut_the_tail,
        rewrite,
        rewrite_without_anchors,
        forge_anchors,
        add_without_the_key,
    )
}
