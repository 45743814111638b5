"""Sealed segments of the service's journal."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import KeyStoreError
from app.lake import key_wrap, segments
from app.lake import subjects as key_store
from app.lake.subjects import Subjects
from tests.support.sealed import opening, secret_file

NAME = "payments-1.ndjson.sealed"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Subjects]:
    with opening(key_file=secret_file(tmp_path / "secret")):
        yield key_store.create(str(tmp_path / "keys"), {}, 30)


def test_what_is_sealed_is_opened_again_and_names_nobody_before(store: Subjects) -> None:
    key = segments.new_key(store)
    data = key.head() + key.line(0, b"one 83619274\n") + key.line(1, b"two\n")
    assert b"83619274" not in data
    assert segments.text_of(store, data, NAME) == b"one 83619274\ntwo\n"
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    assert list(key.opened(pieces, NAME)) == [b"one 83619274\n", b"two\n"]


def test_a_line_that_was_not_written_to_its_end_is_left_out(store: Subjects) -> None:
    key = segments.new_key(store)
    data = key.head() + key.line(0, b"one\n") + key.line(1, b"two\n")
    assert segments.text_of(store, data[:-1], NAME) == b"one\n"


@pytest.mark.parametrize("fault", ["changed", "gone", "moved"])
def test_a_line_that_was_changed_taken_out_or_moved_shows(store: Subjects, fault: str) -> None:
    key = segments.new_key(store)
    head, lines = key.head(), [key.line(number, b"text\n") for number in range(3)]
    if fault == "changed":
        lines[1] = (b"B" if lines[1].startswith(b"A") else b"A") + lines[1][1:]
    elif fault == "gone":
        del lines[1]
    else:
        lines[0], lines[1] = lines[1], lines[0]
    with pytest.raises(KeyStoreError, match=r"cannot be opened: line [23] was changed, or one before it is gone"):
        segments.text_of(store, head + b"".join(lines), NAME)


def test_without_its_key_a_segment_is_noise_for_good(store: Subjects) -> None:
    key = segments.new_key(store)
    segments.destroy(store, [key.name])
    assert segments.text_of(store, key.head() + key.line(0, b"one\n"), NAME) is None
    segments.destroy(store, [key.name])


def test_another_lakes_segment_and_what_is_none_are_told_apart(store: Subjects, tmp_path: Path) -> None:
    other = key_store.create(str(tmp_path / "others"), {}, 30)
    key = segments.new_key(other)
    with pytest.raises(KeyStoreError, match=f"was sealed for the key store {other.store_id}; the lake's is {store.store_id}"):
        segments.text_of(store, key.head(), NAME)
    for text in (b'{"transaction_id": "1"}\n', b"noise", b'{"sealed": 1, "store": "x", "key": "store.json"}\n', b"[]\n"):
        with pytest.raises(KeyStoreError, match="is no sealed segment"):
            segments.text_of(store, text, NAME)


def test_a_key_that_was_changed_in_the_store_is_no_key(store: Subjects) -> None:
    key = segments.new_key(store)
    store.storage.put(key.name, secrets.token_bytes(60))
    with pytest.raises(KeyStoreError, match="cannot be decrypted: it was changed"):
        segments.text_of(store, key.head(), NAME)


def test_keys_of_segments_need_no_wrapping_key_so_another_one_does_not_shut_them(store: Subjects, monkeypatch: pytest.MonkeyPatch) -> None:
    key = segments.new_key(store)

    def refused(*_: object) -> None:
        raise AssertionError("the wrapping key was asked for")

    monkeypatch.setattr(key_wrap.SecretWrap, "unwrapped", refused)
    assert segments.text_of(store, key.head() + key.line(0, b"one\n"), NAME) == b"one\n"
