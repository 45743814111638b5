"""Sealed segments of the service's journal: payments that wait to be loaded into a sealed lake.

Each segment has a key of its own in the key store, which a run destroys when the lake has the segment's payments: so no copy of it, in no
backup of the journal, can be opened from then on. The store's own key encrypts the segments' keys: it stays when another key wraps it.

A segment is lines of text, so that it is appended to and mended as a plain one is: the first names the key, each other one is what was
written at once, under AES-256-GCM (NIST SP 800-38D), as base64. The number of the line is its nonce: a key seals one segment, whose lines
are written once, and a line that is gone or moved shows.
"""

import base64
import binascii
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.chacha20 import KEY_BYTES
from app.errors import KeyStoreError
from app.lake.key_wrap import NONCE_BYTES
from app.lake.storage import Storage
from app.lake.subjects import Subjects

ENDING: Final = ".sealed"
"""What a sealed segment's name ends with, after its format's ending."""
MOST_HEAD_BYTES: Final = 1024
_FORMAT: Final = 1
_FOLDER: Final = "segments"


@dataclass(frozen=True)
class SegmentKey:
    """A segment's key: the object of the key store that has it wrapped, and itself."""

    store_id: str
    name: str
    key: bytes = field(repr=False)

    def head(self) -> bytes:
        """A segment's first line."""
        return json.dumps({"sealed": _FORMAT, "store": self.store_id, "key": self.name}).encode() + b"\n"

    def line(self, number: int, data: bytes) -> bytes:
        """A segment's line: ``data``, sealed. The first after the head has the number 0; no number may be used twice."""
        return base64.b64encode(AESGCM(self.key).encrypt(_nonce(number), data, self.name.encode())) + b"\n"

    def opened(self, pieces: Iterable[bytes | memoryview], called: str) -> Iterator[bytes]:
        """What was written, line by line, of a segment whose bytes come in any pieces.

        KeyStoreError if it was changed. A line without its end was never written to its end, and is left out.
        """
        cipher, about, held, number = AESGCM(self.key), self.name.encode(), b"", -1
        for piece in pieces:
            *lines, held = (held + bytes(piece)).split(b"\n")
            for line in lines:
                if number >= 0:
                    try:
                        yield cipher.decrypt(_nonce(number), base64.b64decode(line, validate=True), about)
                    except (InvalidTag, binascii.Error, ValueError):
                        raise KeyStoreError(f"{called} cannot be opened: line {number + 2} was changed, or one before it is gone") from None
                number += 1


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def new_key(store: Subjects) -> SegmentKey:
    """A key for one segment; it is on the disk of the key store when this returns."""
    name, key = f"{_FOLDER}/{secrets.token_hex(12)}", secrets.token_bytes(KEY_BYTES)
    nonce = secrets.token_bytes(NONCE_BYTES)
    store.storage.put(name, nonce + _of_store(store).encrypt(nonce, key, name.encode()))
    if store.storage.is_local:
        _sync(store.storage, name)
    return SegmentKey(store.store_id, name, key)


def key_of(store: Subjects, head: bytes, called: str) -> SegmentKey | None:
    """The key of the segment that begins with ``head``; None if it was destroyed. KeyStoreError if it is another lake's, or no segment."""
    try:
        said = json.loads(head[: head.index(b"\n")])
        store_id, name = str(said["store"]), str(said["key"])
        known = said["sealed"] == _FORMAT and name.startswith(f"{_FOLDER}/")
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise KeyStoreError(f"{called} is no sealed segment of a journal")
    if store_id != store.store_id:
        raise KeyStoreError(f"{called} was sealed for the key store {store_id}; the lake's is {store.store_id}")
    try:
        data = bytes(store.storage.read(name))
    except FileNotFoundError:
        return None
    try:
        key = _of_store(store).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError):
        raise KeyStoreError(f"{store.storage.uri(name)} cannot be decrypted: it was changed") from None
    return SegmentKey(store_id, name, key)


def text_of(store: Subjects, data: bytes, called: str) -> bytes | None:
    """What was written to the sealed segment with these bytes; None if its key was destroyed. KeyStoreError if it cannot be opened."""
    key = key_of(store, data[:MOST_HEAD_BYTES], called)
    return None if key is None else b"".join(key.opened([data], called))


def destroy(store: Subjects, names: Iterable[str]) -> None:
    """Destroy the keys with these names; one that is not there is no error."""
    store.storage.delete(names)


def _of_store(store: Subjects) -> AESGCM:
    """Encrypts keys of segments: made of the store's own key, for this alone."""
    return AESGCM(hashlib.blake2b(store.store_id.encode(), key=store.key, digest_size=KEY_BYTES, person=b"leofric segment").digest())


def _sync(storage: Storage, name: str) -> None:
    """Object stores keep what was put; a disk may not yet have what was written to it."""
    for path in (storage.local_path(name), storage.local_path(_FOLDER), storage.local_path("")):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
