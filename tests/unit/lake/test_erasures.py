"""Decisions about erasures in a lake: numbered, never changed; restrictions that leave nothing when they end."""

from pathlib import Path

import pytest

from app.errors import ErasureRefused, LakeDamaged
from app.lake import erasures, layout
from app.lake.erasures import Decided
from app.lake.storage import Storage
from tests.support.lake import NOW


def decided(number: int, outcome: str, *subject: str, until: str | None = None) -> Decided:
    reasons = ({"law": "MLR", "article": "40", "until": until},)
    return Decided(number, subject, outcome, "2026-03-04", until, reasons, (3,), False, None, "asked", NOW.isoformat(), "ada")


def test_a_decision_is_read_as_it_was_written_and_its_number_is_taken(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert erasures.decisions(storage) == []
    one = erasures.decide(storage, decided(1, "restrict", "a", "b", until="2030-01-01"))
    assert erasures.decisions(storage) == [one]
    with pytest.raises(ErasureRefused, match="somebody else has decided"):
        erasures.decide(storage, decided(1, "erase", "c"))


def test_of_each_person_the_last_decision_counts_by_any_of_the_pseudonyms() -> None:
    every = [decided(1, "restrict", "a"), decided(2, "restrict", "c"), decided(3, "erase", "a", "b")]
    assert [one.number for one in erasures.last_of_each(every)] == [2, 3]
    assert [one.number for one in erasures.about(every, ["b"])] == [3]
    assert [one.number for one in erasures.about(every, ["a", "x"])] == [1, 3]


def test_a_restriction_stands_until_it_ends_and_then_nothing_is_left_of_it(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert not erasures.restricted(storage)
    erasures.restrict(storage, ["tok_a", "tok_b"], [("ab", 2)], NOW.isoformat())
    found = erasures.restricted(storage)
    assert (set(found.tokens), set(found.records)) == ({"tok_a", "tok_b"}, {("ab", 2)})
    erasures.end_restriction(storage, ["tok_a", "tok_b", "tok_never"])
    assert not erasures.restricted(storage)
    assert not list(storage.entries(layout.RESTRICTIONS))


def test_what_cannot_be_read_is_damage_and_not_nobody(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.put(layout.erasure(1), b"{}")
    with pytest.raises(LakeDamaged, match="is no decision about an erasure"):
        erasures.decisions(storage)
    storage.put(layout.restriction("tok_a"), b"no JSON")
    with pytest.raises(LakeDamaged):
        erasures.restricted(storage)
