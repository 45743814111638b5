"""A thousand random tamperings with a trail of random appends: each is found, and the first entry that is not as it was is named."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from app.compliance import anchors, audit_export
from app.compliance.audit import Entry
from app.compliance.audit_check import Fault, KnownHead, verify
from app.compliance.certificate import canonical
from tests.support.audit import NOW, SECRET, TAMPERINGS, chain, ed25519_key, head_of

_TAMPERINGS = 1_000


def _chains(key: anchors.HmacKey | anchors.Ed25519Key, chance: random.Random) -> list[list[Entry]]:
    return [chain([chance.randint(1, 6) for _ in range(chance.randint(2, 8))], key) for _ in range(20)]


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    """As a table gives them: by their numbers, in no other order."""
    return sorted(entries, key=lambda entry: entry.sequence)


@pytest.mark.parametrize("key", [SECRET, ed25519_key()], ids=["hmac", "ed25519"])
def test_every_tampering_with_a_table_is_found_and_the_first_entry_named(key: anchors.HmacKey | anchors.Ed25519Key) -> None:
    chance = random.Random(16)
    chains, trusted, tried = _chains(key, chance), anchors.by_id([key]), Counter[str]()
    for number in range(_TAMPERINGS):
        entries, name = chance.choice(chains), list(TAMPERINGS)[number % len(TAMPERINGS)]
        tampered, first, last = TAMPERINGS[name](entries, chance)
        found = verify(_sorted(tampered), trusted, [KnownHead(head_of(entries), "the last certificate")])
        _named(found.fault, first, last, name)
        tried[name] += 1
    assert all(verify(entries, trusted).fault is None for entries in chains)
    assert set(tried) == set(TAMPERINGS)
    assert tried.total() == _TAMPERINGS


def test_every_tampering_with_an_export_is_found_without_the_lake_and_the_first_entry_named() -> None:
    """Nothing is known here but the file and the key: the closing line is what a cut tail leaves, or its absence."""
    chance = random.Random(17)
    chains, trusted = _chains(SECRET, chance), anchors.by_id([SECRET])
    for number in range(_TAMPERINGS):
        entries, name = chance.choice(chains), list(TAMPERINGS)[number % len(TAMPERINGS)]
        tampered, first, last = TAMPERINGS[name](entries, chance)
        closing = list(audit_export.lines(entries, NOW, SECRET))[-1]
        lines = [canonical(entry.document()) for entry in tampered] + [closing]
        _named(audit_export.check(lines, trusted).fault, first, last, name)


def test_entries_of_an_export_that_change_places_whole_are_found() -> None:
    chance = random.Random(18)
    for entries in _chains(SECRET, chance):
        lines = list(audit_export.lines(entries, NOW, SECRET))
        first, second = sorted(chance.sample(range(len(entries)), 2))
        lines[first], lines[second] = lines[second], lines[first]
        fault = audit_export.check(lines, anchors.by_id([SECRET])).fault
        assert fault is not None
        assert (fault.sequence, fault.kind) == (first + 1, "reordered")


def test_one_changed_byte_anywhere_in_an_export_is_found() -> None:
    chance = random.Random(19)
    lines = list(audit_export.lines(chain([2, 3, 1]), NOW, SECRET))
    for _ in range(_TAMPERINGS):
        at = chance.randrange(len(lines))
        place = chance.randrange(len(lines[at]))
        other = chance.choice([letter for letter in '0a"}x' if letter != lines[at][place]])
        changed = [*lines[:at], lines[at][:place] + other + lines[at][place + 1 :], *lines[at + 1 :]]
        fault = audit_export.check(changed, anchors.by_id([SECRET])).fault
        assert fault is not None, changed[at]
        assert fault.sequence in {at + 1, at}, (fault, changed[at])


def test_a_tail_that_is_cut_with_its_anchor_leaves_no_trace_in_the_trail_alone() -> None:
    """Why heads are noted elsewhere: this is the one tampering that chain and anchors cannot show."""
    entries = chain([2, 2])
    assert verify(entries[:2], anchors.by_id([SECRET])).fault is None
    fault = verify(entries[:2], anchors.by_id([SECRET]), [KnownHead(head_of(entries), "a certificate")]).fault
    assert fault is not None
    assert (fault.sequence, fault.kind) == (3, "truncated")


def _named(fault: Fault | None, first: int, last: int, how: str) -> None:
    assert fault is not None, how
    assert first <= fault.sequence <= last, (how, fault, first, last)
