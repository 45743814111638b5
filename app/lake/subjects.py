"""The key store of a sealed lake: the register of its data subjects, outside of the lake and with backups of its own.

It has few objects, each a part of the register, encrypted under a data key of its own that the wrapping key wraps (envelope encryption).
A run adds a part. To destroy subjects, the parts that have them are written anew without them, under new keys, and deleted: what is left
of them is in backups of the key store alone, which must not be kept longer than ``backup_days``.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.exceptions import BaseError

from app import subjects
from app.chacha20 import KEY_BYTES
from app.errors import KeyStoreError, UsageError
from app.lake import layout
from app.lake.key_wrap import NONCE_BYTES, Wrap, wrap_of
from app.lake.storage import Storage
from app.settings import read_subject_settings
from app.subjects import TOKEN_BYTES, Register

FORMAT: Final = 1
_STORE: Final = "store.json"
_PARTS: Final = "parts"
_MOST_PARTS: Final = 8
_ATTEMPTS: Final = 3
_SCHEMA: Final = pa.schema(
    [
        pa.field("high", pa.uint64()),
        pa.field("low", pa.uint64()),
        pa.field("token", pa.binary(TOKEN_BYTES)),
        pa.field("secret", pa.binary(KEY_BYTES)),
        pa.field("identifier", pa.string()),
    ]
)


@dataclass(frozen=True)
class Part:
    """An object of the store, and the key that opens it."""

    name: str
    key: bytes = field(repr=False)
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What a key store says of itself, which needs no key."""

    store_id: str
    wrapped_by: str
    backup_days: int


@dataclass(frozen=True)
class Subjects:
    """A key store as it was when it was opened; pickles with the keys of its parts, so that tasks need no wrapping key."""

    storage: Storage
    store_id: str
    backup_days: int
    key: bytes = field(repr=False)  # of the fingerprints of identifiers
    parts: tuple[Part, ...]

    @cached_property
    def register(self) -> Register:
        """All subjects."""
        return register_of(self.storage, self.key, self.parts)

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("storage", "store_id", "backup_days", "key", "parts")}

    def token(self, identifier: str) -> str | None:
        """How tables write the party with this identifier; None if it is nobody's."""
        place = int(self.register.find(pa.array([identifier], pa.string()))[0])
        if place < 0:
            return None
        one = self.register.taken(np.array([place]))
        return str(subjects.parties(one.identifiers, subjects.written(one.tokens))[0])

    def related(self, identifier: str) -> list[str]:
        """The GB IBANs of the register that are this account's."""
        return subjects.embedding(identifier, self.register.identifiers) if "-" in identifier else []

    def destroy(self, identifiers: Sequence[str]) -> None:
        """Destroy these subjects for good, in the store as it is now; call it only while holding the lake's lock."""
        destroyed(opened(self.storage.root, dict(self.storage.options), self.store_id), identifiers)

    def pseudonym(self, text: str) -> str:
        """A keyed hash of an identifier, for records of what was done about it."""
        return hmac.digest(self.key, b"leofric pseudonym " + text.encode(), hashlib.sha256).hex()[:32]


def create(location: str, options: dict[str, str], backup_days: int) -> Subjects:
    """Make an empty key store; UsageError if there is something at that place."""
    wrap, storage, store_id, key = _wrap(), Storage(location, options), secrets.token_hex(8), secrets.token_bytes(16)
    wrapped = wrap.wrapped(key, _about(store_id, _STORE, backup_days))  # before anything is made: the settings may name no key
    if storage.is_local:
        Path(location).mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(True for _ in storage.entries()):
        raise UsageError(f"{location} is not empty: a key store is made in a place of its own")
    _put_store(storage, Facts(store_id, wrap.name, backup_days), wrapped)
    return Subjects(storage, store_id, backup_days, key, ())


def _put_store(storage: Storage, facts: Facts, wrapped: str) -> None:
    document = {"format": FORMAT, "id": facts.store_id, "wrapped_by": facts.wrapped_by, "key": wrapped, "backup_days": facts.backup_days}
    storage.put(_STORE, json.dumps(document).encode())


def facts(location: str, options: dict[str, str], store_id: str) -> Facts:
    """What a lake's key store says of itself, which needs no key; KeyStoreError if it is not there, damaged, or another lake's."""
    return _document(stored_at(location, options), store_id)[0]


def stored_at(location: str, options: dict[str, str]) -> Storage:
    """Where a key store is that was made at ``location``: there, or where the settings say that it was moved to."""
    return Storage(read_subject_settings().keys or location, options)


def _document(storage: Storage, store_id: str) -> tuple[Facts, str]:
    """What the store's own object says, and its wrapped key."""
    try:
        document = json.loads(bytes(storage.read(_STORE)))
        found = Facts(str(document["id"]), str(document["wrapped_by"]), int(document["backup_days"]))
        form, wrapped = document["format"], str(document["key"])
    except FileNotFoundError:
        raise KeyStoreError(
            f"the lake is sealed, and its key store is not at {storage.root}; LEOFRIC_SUBJECT_KEYS says where it is"
        ) from None
    except (OSError, BaseError) as error:
        raise KeyStoreError(f"the key store at {storage.root} cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError):
        raise KeyStoreError(f"{storage.uri(_STORE)} is not what Leofric wrote; bring it back from the key store's backup") from None
    if form != FORMAT or found.store_id != store_id:
        raise KeyStoreError(f"the key store at {storage.root} is {found.store_id}; the lake's is {store_id}")
    return found, wrapped


def opened(location: str, options: dict[str, str], store_id: str) -> Subjects:
    """The key store of a lake; KeyStoreError if it is not there, another lake's, or the wrapping key is another."""
    storage = stored_at(location, options)
    said, wrapped = _document(storage, store_id)
    wrap = _wrap()
    if wrap.name != said.wrapped_by:
        raise KeyStoreError(f"the key store at {storage.root} was wrapped by {said.wrapped_by}, and the settings name {wrap.name}")
    key = wrap.unwrapped(wrapped, _about(store_id, _STORE, said.backup_days))
    return Subjects(storage, store_id, said.backup_days, key, _parts(storage, store_id, wrap))


def newest(store: Subjects) -> Subjects:
    """The store as it is now, its register read; the same one if no part came or went.

    Once the caller lets go of ``store``, whoever was destroyed since is in no memory of this process.
    """
    if {entry.path for entry in store.storage.entries(_PARTS)} == {part.name for part in store.parts}:
        return store
    for attempt in reversed(range(_ATTEMPTS)):
        try:
            found = opened(store.storage.root, dict(store.storage.options), store.store_id)
            if found.parts == store.parts:
                return store
            register_of.cache_clear()
            found.register  # noqa: B018 (parts may be replaced at any time: they are read while they are there)
        except FileNotFoundError:  # one was replaced after it was listed
            if not attempt:
                raise
        else:
            return found
    raise AssertionError("the last attempt returns or raises")


def _wrap() -> Wrap:
    return wrap_of(read_subject_settings())


def _about(store_id: str, name: str, *said: object) -> str:
    """What a wrapped key belongs to: an object of a store, and all that stands in the clear in it."""
    return f"key store {store_id}, {name}{''.join(f', {one}' for one in said)}"


def _parts(storage: Storage, store_id: str, wrap: Wrap) -> tuple[Part, ...]:
    found = [Part(head.name, wrap.unwrapped(_by(head, wrap, storage), head.about(store_id)), head.replaces) for head in _heads(storage)]
    replaced = {name for part in found for name in part.replaces}
    return tuple(part for part in found if part.name not in replaced)


@dataclass(frozen=True)
class _Head:
    """The first line of a part: by name of a wrapping key the data key as it wraps it, two while the wrapping key changes."""

    name: str
    wrapped: Mapping[str, str]
    subjects: int
    replaces: tuple[str, ...]

    def about(self, store_id: str) -> str:
        return _about(store_id, self.name, self.subjects, *self.replaces)

    def line(self) -> bytes:
        return json.dumps({"wrapped": dict(self.wrapped), "subjects": self.subjects, "replaces": list(self.replaces)}).encode() + b"\n"


def _by(head: _Head, wrap: Wrap, storage: Storage) -> str:
    """The data key as this key wraps it."""
    if wrap.name not in head.wrapped:
        raise KeyStoreError(f"{storage.uri(head.name)} is not wrapped by {wrap.name}; bring it back from the key store's backup")
    return head.wrapped[wrap.name]


def _heads(storage: Storage) -> list[_Head]:
    return [_head(storage, path) for path in sorted(entry.path for entry in storage.entries(_PARTS))]


def _head(storage: Storage, path: str) -> _Head:
    begin = bytes(storage.read_range(path, 0, min(storage.size(path), 64 * 1024)))
    try:
        said = json.loads(begin[: begin.index(b"\n")])
        return _Head(path, {str(name): str(text) for name, text in said["wrapped"].items()}, int(said["subjects"]), tuple(said["replaces"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyStoreError(f"{storage.uri(path)} is no part of a key store; it was changed by hand") from None


@lru_cache(maxsize=2)
def register_of(storage: Storage, key: bytes, parts: tuple[Part, ...]) -> Register:
    """All subjects of these parts; read once."""
    found = subjects.empty(key)
    for part in parts:
        found = found.joined(_read(storage, key, part)) if len(found) else _read(storage, key, part)
    return found


def _read(storage: Storage, key: bytes, part: Part) -> Register:
    data = bytes(storage.read(part.name))
    body = data[data.index(b"\n") + 1 :]
    return _unsealed(body, part.key, key, storage.uri(part.name))


def _unsealed(body: bytes, data_key: bytes, key: bytes, name: str) -> Register:
    try:
        plain = AESGCM(data_key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], None)
    except InvalidTag:
        raise KeyStoreError(f"{name} cannot be decrypted: it was changed") from None
    table = pa.ipc.open_stream(plain).read_all().combine_chunks()
    return Register(
        key,
        table["high"].to_numpy(),
        table["low"].to_numpy(),
        _fixed(table["token"], TOKEN_BYTES),
        _fixed(table["secret"], KEY_BYTES).view("<u4"),
        pa.concat_arrays(table["identifier"].chunks or [pa.array([], pa.string())]),
    )


def _fixed(column: pa.ChunkedArray, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    if not len(column):
        return np.zeros((0, width), dtype=np.uint8)
    return np.frombuffer(column.chunk(0).buffers()[1], dtype=np.uint8)[: len(column) * width].reshape(-1, width)


def _sealed(register: Register, data_key: bytes) -> bytes:
    tokens, keys = register.tokens.tobytes(), np.ascontiguousarray(register.secrets).tobytes()
    columns = [
        pa.array(register.high),
        pa.array(register.low),
        pa.Array.from_buffers(pa.binary(TOKEN_BYTES), len(register), [None, pa.py_buffer(tokens)]),
        pa.Array.from_buffers(pa.binary(KEY_BYTES), len(register), [None, pa.py_buffer(keys)]),
        register.identifiers,
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA) as stream:
        stream.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(data_key).encrypt(nonce, sink.getvalue().to_pybytes(), None)


def _put(store: Subjects, register: Register, replaces: Sequence[str]) -> Part:
    """Write a part; once it is there, those that it replaces do not count."""
    data_key = secrets.token_bytes(KEY_BYTES)
    wrap, name = _wrap(), f"{_PARTS}/{_next(store.storage):08d}-{secrets.token_hex(4)}"
    head = _Head(name, {}, len(register), tuple(replaces))
    head = replace(head, wrapped={wrap.name: wrap.wrapped(data_key, head.about(store.store_id))})
    store.storage.put(name, head.line() + _sealed(register, data_key))
    store.storage.delete(replaces)
    return Part(name, data_key, tuple(replaces))


def _next(storage: Storage) -> int:
    return max((int(entry.path.rpartition("/")[2][:8]) for entry in storage.entries(_PARTS)), default=0) + 1


def added(store: Subjects, register: Register) -> Subjects:
    """The store with new subjects, which are on disk when this returns. Call it only while holding the lake's lock."""
    new = register.taken(np.flatnonzero(store.register.find(register.identifiers) < 0))
    if not len(new):
        return store
    if len(store.parts) < _MOST_PARTS:
        return Subjects(store.storage, store.store_id, store.backup_days, store.key, (*store.parts, _put(store, new, ())))
    whole = _put(store, store.register.joined(new), [part.name for part in store.parts])
    return Subjects(store.storage, store.store_id, store.backup_days, store.key, (whole,))


def known(store: Subjects, identifiers: Sequence[str]) -> Subjects:
    """The store with these subjects, new ones where it has none; call it only while holding the lake's lock."""
    return added(store, subjects.minted(pa.array(sorted(set(identifiers)), pa.string()), store.key, secrets.token_bytes(KEY_BYTES)))


def destroyed(store: Subjects, identifiers: Sequence[str]) -> Subjects:
    """The store without these subjects, for good: whatever is sealed by their secrets is noise from now on.

    Call it only while holding the lake's lock. KeyStoreError if one of them is not there.
    """
    sought = pa.array(identifiers, pa.string())
    if (store.register.find(sought) < 0).any():
        raise KeyStoreError("the key store has no such subject; nothing was destroyed")
    _sweep(store)
    left = []
    for part in store.parts:
        register = _read(store.storage, store.key, part)
        left.append(_put(store, register.without(identifiers), [part.name]) if (register.find(sought) >= 0).any() else part)
    return Subjects(store.storage, store.store_id, store.backup_days, store.key, tuple(left))


def _sweep(store: Subjects) -> None:
    """Delete what a process that died left behind: parts that others replace."""
    there = {part.name for part in store.parts}
    store.storage.delete([entry.path for entry in store.storage.entries(_PARTS) if entry.path not in there])


def rewrapped(location: str, options: dict[str, str], store_id: str, new: Wrap) -> Subjects:
    """Let another key wrap all keys of a store. Call it only while holding the lake's lock.

    First each part gets its data key wrapped by both, then the store's own object changes, which is one write; last the old wraps go. So a
    store that was left in the middle opens with one of the two keys, the one that its object names; to do it again finishes it.
    """
    storage = stored_at(location, options)
    said, wrapped = _document(storage, store_id)
    begun = said.wrapped_by == new.name
    old = new if begun else _wrap()
    if old.name != said.wrapped_by:
        raise KeyStoreError(f"the key store at {storage.root} was wrapped by {said.wrapped_by}, and the settings name {old.name}")
    key = old.unwrapped(wrapped, _about(store_id, _STORE, said.backup_days))
    changes = []
    for head in _heads(storage):
        data_key = old.unwrapped(_by(head, old, storage), head.about(store_id))
        changes.append((head, {new.name: new.wrapped(data_key, head.about(store_id))}))
    for head, wraps in changes:
        _change_head(storage, head, {old.name: head.wrapped[old.name]} | wraps)
    _put_store(storage, replace(said, wrapped_by=new.name), new.wrapped(key, _about(store_id, _STORE, said.backup_days)))
    for head, wraps in changes:
        _change_head(storage, head, wraps)
    return Subjects(storage, store_id, said.backup_days, key, _parts(storage, store_id, new))


def _change_head(storage: Storage, head: _Head, wraps: Mapping[str, str]) -> None:
    data = bytes(storage.read(head.name))
    storage.put(head.name, replace(head, wrapped=wraps).line() + data[data.index(b"\n") + 1 :])


def waiting_path(run_id: str, unit: str) -> str:
    """Where new subjects of a run's unit wait until the run keeps them."""
    return f"{layout.staging(run_id)}/subjects-{unit}"


def put_waiting(lake: Storage, run_id: str, unit: str, register: Register, secret: bytes) -> None:
    """Stage a unit's new subjects, sealed by the run's secret."""
    lake.put(waiting_path(run_id, unit), _sealed(register, secret))


def keep_waiting(lake: Storage, run_id: str, store: Subjects, secret: bytes) -> Subjects:
    """The store with all subjects that a run's units staged; what they refer to may be published only after this."""
    found = subjects.empty(store.key)
    for body in _bodies(lake, run_id):
        found = found.joined(_unsealed(body, secret, store.key, run_id))
    return added(store, found)


def _bodies(lake: Storage, run_id: str) -> Iterable[bytes]:
    for entry in lake.entries(layout.staging(run_id)):
        if entry.path.rpartition("/")[2].startswith("subjects-"):
            yield bytes(lake.read(entry.path))
