import secrets

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from hypothesis import given
from hypothesis import strategies as st

from app import chacha20


def encrypted(texts: list[bytes], keys: list[bytes], which: list[int], nonces: list[bytes], also: list[int] | None = None) -> list[bytes]:
    """Each text by the column function."""
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    data = np.frombuffer(b"".join(texts) + b"\0", dtype=np.uint8).copy()
    words = np.frombuffer(b"".join(keys), dtype="<u4").reshape(-1, 8)
    one, two = np.array(which, dtype=np.int64), np.array(also or [-1] * len(which), dtype=np.int64)
    chacha20.xor(data, begins, ends, words, one, two, np.frombuffer(b"".join(nonces), "<u4").reshape(-1, 3))
    return [data[begin:end].tobytes() for begin, end in zip(begins, ends, strict=True)]


def by_the_package(text: bytes, key: bytes, nonce: bytes) -> bytes:
    return Cipher(ChaCha20(key, bytes(4) + nonce), None).encryptor().update(text)


def test_the_keystream_is_that_of_the_rfc() -> None:
    """RFC 8439, appendix A.1, test vector 1: key, nonce and counter 0."""
    (stream,) = encrypted([bytes(64)], [bytes(32)], [0], [bytes(12)])
    assert stream.hex() == (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )


@given(st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 2)), min_size=1, max_size=20))
def test_every_text_is_what_the_cryptography_package_makes_of_it(rows: list[tuple[bytes, int]]) -> None:
    keys = [secrets.token_bytes(32) for _ in range(3)]
    nonces = [secrets.token_bytes(12) for _ in rows]
    texts, which = [text for text, _ in rows], [key for _, key in rows]
    expected = [by_the_package(text, keys[key], nonce) for (text, key), nonce in zip(rows, nonces, strict=True)]
    found = encrypted(texts, keys, which, nonces)
    assert found == expected
    assert encrypted(found, keys, which, nonces) == texts


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 1000])
def test_a_text_without_a_key_is_left_as_it_is(length: int) -> None:
    texts = [b"x" * length, b"y" * length]
    found = encrypted(texts, [bytes(32)], [-1, 0], [bytes(12)] * 2)
    assert found[0] == texts[0]
    assert length == 0 or found[1] != texts[1]


def test_two_keys_are_one_exclusive_or_the_other() -> None:
    one, two, nonce = (secrets.token_bytes(size) for size in (32, 32, 12))
    both = bytes(a ^ b for a, b in zip(one, two, strict=True))
    assert encrypted([b"a text"], [one, two], [0], [nonce], [1]) == [by_the_package(b"a text", both, nonce)]
