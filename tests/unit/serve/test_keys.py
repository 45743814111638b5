import json
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import LakeDamaged, LakeNotFound, UsageError
from app.lake import layout
from app.lake.lake import Lake
from app.lake.storage import Storage
from serve.access import Authenticator, CannotAuthenticate, Client, Scope
from serve.keys import KeyRing, KeysInUse, create, key_ring, listed, revoke

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    storage = Storage(str(tmp_path))
    storage.put(layout.IDENTITY, b"{}")
    return Lake(storage, bytes(range(16)))


def test_a_key_is_known_as_its_client_with_its_scopes(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE, Scope.VALIDATE], "ann", NOW)
    assert key_ring(lake).client_of(text) == Client("payments", frozenset({"score", "validate"}))


def test_a_key_authenticates_a_request(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    assert Authenticator(key_ring(lake).client_of).authenticate(f"Bearer {text}").name == "payments"


def test_a_key_says_its_name_and_has_256_random_bits(lake: Lake) -> None:
    texts = [create(lake, f"card-payments-{number}", [Scope.SCORE], "ann", NOW) for number in range(20)]
    for number, text in enumerate(texts):
        assert re.fullmatch(rf"leofric_card-payments-{number}_[A-Za-z0-9_-]{{43}}", text)
    assert len({text[-43:] for text in texts}) == 20


def test_the_lake_keeps_who_made_a_key_when_and_for_what_but_not_the_key(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.VALIDATE, Scope.SCORE, Scope.SCORE], "ann", NOW.astimezone(timezone(timedelta(hours=1))))
    kept = bytes(lake.storage.read("_leofric/api_keys/payments.json")).decode()
    document = json.loads(kept)
    assert re.fullmatch("[0-9a-f]{64}", document.pop("hash"))
    assert document == {
        "name": "payments",
        "scopes": ["score", "validate"],
        "created_at": "2026-03-04T09:00:00+00:00",
        "created_by": "ann",
        "revoked_at": None,
        "revoked_by": None,
    }
    assert text not in kept
    assert text[-43:] not in kept


def test_a_name_is_given_once(lake: Lake) -> None:
    first = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    with pytest.raises(UsageError, match="has a key payments already"):
        create(lake, "payments", [Scope.METRICS], "bob", LATER)
    assert key_ring(lake).client_of(first) == Client("payments", frozenset({"score"}))


def test_the_name_of_a_revoked_key_is_not_given_again(lake: Lake) -> None:
    create(lake, "payments", [Scope.SCORE], "ann", NOW)
    revoke(lake, "payments", "bob", LATER)
    with pytest.raises(UsageError, match="valid or revoked"):
        create(lake, "payments", [Scope.SCORE], "ann", LATER)


@pytest.mark.parametrize(
    "name", ["", "Payments", "pay_ments", "pay ments", "-pay", "pay-", "../lake", "pay/ments", "p" * 41, "pay\n", "zahlungén"]
)
def test_a_name_that_would_make_a_key_ambiguous_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a key's name"):
        create(lake, name, [Scope.SCORE], "ann", NOW)
    assert listed(lake) == []


@pytest.mark.parametrize("name", ["p", "0", "a-b--c", "p" * 40])
def test_names_of_letters_digits_and_hyphens_make_keys_that_work(lake: Lake, name: str) -> None:
    text = create(lake, name, [Scope.SCORE], "ann", NOW)
    assert key_ring(lake).client_of(text) == Client(name, frozenset({"score"}))


def test_a_key_without_scopes_is_refused(lake: Lake) -> None:
    with pytest.raises(UsageError, match="validate, score, metrics"):
        create(lake, "payments", [], "ann", NOW)


def test_a_revoked_key_is_no_longer_valid_and_others_are(lake: Lake) -> None:
    gone, stays = (create(lake, name, [Scope.SCORE], "ann", NOW) for name in ("gone", "stays"))
    revoked = revoke(lake, "gone", "bob", LATER)
    ring = key_ring(lake)
    assert (revoked.revoked_at, revoked.revoked_by, revoked.created_by) == ("2026-03-05T09:00:00+00:00", "bob", "ann")
    assert ring.client_of(gone) is None
    assert ring.client_of(stays) is not None


def test_to_revoke_a_key_again_changes_nothing(lake: Lake) -> None:
    create(lake, "payments", [Scope.SCORE], "ann", NOW)
    first = revoke(lake, "payments", "bob", NOW)
    assert revoke(lake, "payments", "eve", LATER) == first
    assert listed(lake) == [first]


@pytest.mark.parametrize("name", ["payments", "../lake", ""])
def test_to_revoke_a_key_that_is_not_there_is_wrong_usage(lake: Lake, name: str) -> None:
    with pytest.raises(UsageError, match="has no key"):
        revoke(lake, name, "bob", NOW)


def test_keys_are_listed_by_name_the_revoked_ones_too(lake: Lake) -> None:
    for name in ("c", "a", "b"):
        create(lake, name, [Scope.SCORE], "ann", NOW)
    revoke(lake, "b", "bob", LATER)
    assert [(key.name, key.revoked_by) for key in listed(lake)] == [("a", None), ("b", "bob"), ("c", None)]


def test_a_lake_without_keys_has_an_empty_ring(lake: Lake) -> None:
    assert listed(lake) == []
    assert key_ring(lake).client_of("leofric_payments_" + "A" * 43) is None


def test_a_lake_that_is_gone_is_not_one_without_keys(lake: Lake, tmp_path: Path) -> None:
    create(lake, "payments", [Scope.SCORE], "ann", NOW)
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(LakeNotFound, match="is not there any more"):
        key_ring(lake)


def test_a_secret_is_good_for_its_own_name_only(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    create(lake, "metrics", [Scope.METRICS], "ann", NOW)
    assert key_ring(lake).client_of(text.replace("payments", "metrics")) is None


def test_a_key_is_good_for_its_own_lake_only(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    assert KeyRing.of(bytes(16), listed(lake)).client_of(text) is None


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        str.lower,
        lambda text: text + "A",
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[8:],
    ],
)
def test_a_key_is_valid_to_the_letter_only(lake: Lake, change: Callable[[str], str]) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    changed = change(text)
    assert changed != text
    assert key_ring(lake).client_of(changed) is None


@given(st.text(max_size=80) | st.from_regex(r"leofric_[a-z0-9-]{1,10}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_no_other_text_is_a_key(text: str) -> None:
    assert KeyRing.of(bytes(16), []).client_of(text) is None


def test_an_object_that_is_no_key_stops_the_ring_rather_than_be_passed_over(lake: Lake) -> None:
    create(lake, "payments", [Scope.SCORE], "ann", NOW)
    lake.storage.put(layout.api_key("other"), b"{}")
    with pytest.raises(LakeDamaged, match="other.json is no API key's object"):
        key_ring(lake)


def test_a_copy_of_a_key_below_another_name_cannot_outlive_its_revocation(lake: Lake) -> None:
    create(lake, "payments", [Scope.SCORE], "ann", NOW)
    lake.storage.put(layout.api_key("z-copy"), bytes(lake.storage.read(layout.api_key("payments"))))
    revoke(lake, "payments", "bob", LATER)
    with pytest.raises(LakeDamaged, match="is the object of the key payments"):
        key_ring(lake)


def test_what_a_later_version_adds_to_a_key_is_passed_over(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    document = json.loads(bytes(lake.storage.read(layout.api_key("payments"))))
    lake.storage.put(layout.api_key("payments"), json.dumps(document | {"note": "new"}).encode())
    assert key_ring(lake).client_of(text) is not None


def test_a_ring_pickles_and_shows_no_secret(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    ring = key_ring(lake)
    assert pickle.loads(pickle.dumps(ring)).client_of(text) == ring.client_of(text)
    assert repr(ring) == "KeyRing()"


@dataclass
class Reading:
    """A lake that is read for its keys, a clock, and whether reading fails."""

    ring: KeyRing
    now: float = 1000.0
    fault: Exception | None = None
    seconds: float = 0.0

    def __call__(self) -> KeyRing:
        self.now += self.seconds
        if self.fault:
            raise self.fault
        return self.ring


def test_keys_are_those_of_the_last_reading_and_a_failed_one_leaves_them(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    reading = Reading(key_ring(lake))
    in_use = KeysInUse(reading, 300, lambda: reading.now)
    assert in_use.client_of(text) is not None
    reading.fault = OSError("away")
    with pytest.raises(OSError, match="away"):
        in_use.read()
    assert in_use.client_of(text) is not None
    revoke(lake, "payments", "bob", LATER)
    reading.ring, reading.fault = key_ring(lake), None
    in_use.read()
    assert in_use.client_of(text) is None


def test_a_ring_that_could_not_be_read_anew_for_too_long_is_good_for_nobody_until_it_is_read(lake: Lake) -> None:
    text = create(lake, "payments", [Scope.SCORE], "ann", NOW)
    reading = Reading(key_ring(lake))
    in_use = KeysInUse(reading, 300, lambda: reading.now)
    reading.now += 300
    assert in_use.client_of(text) is not None
    reading.now += 1
    for key in (text, "leofric_payments_wrong"):
        with pytest.raises(CannotAuthenticate, match="could not be read for 300 s; try again later"):
            in_use.client_of(key)
    in_use.read()
    assert in_use.client_of(text) is not None


def test_a_ring_is_as_old_as_the_beginning_of_its_reading(lake: Lake) -> None:
    reading = Reading(key_ring(lake), seconds=200)
    in_use = KeysInUse(reading, 300, lambda: reading.now)
    reading.now += 101
    with pytest.raises(CannotAuthenticate):
        in_use.client_of("leofric_payments_wrong")
