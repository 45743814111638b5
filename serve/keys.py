"""API keys: text that a client sends, of which the lake keeps a hash only.

A key is ``leofric_<name>_<secret>``. A name has no underscore, so the first one after ``leofric_`` ends it, whatever the secret has.
The secret is 256 random bits: there is nothing to guess, so a fast hash is enough. It is keyed with the lake's own secret and made of
the whole text: it holds for this name in this lake only.
"""

import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError

from app.errors import LakeDamaged, LakeNotFound, UsageError
from app.lake import layout
from app.lake.lake import Lake
from serve.access import KEY_PREFIX, CannotAuthenticate, Client, Scope

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_NAME_FORM = re.compile(_NAME)
_KEY_FORM = re.compile(rf"{KEY_PREFIX}({_NAME})_[A-Za-z0-9_-]{{43}}")
_SECRET_BYTES = 32  # 43 characters of base64
_PURPOSE = b"leofric api key 1\0"  # the lake's secret serves fingerprints too: no hash of theirs is ever one of these
_NOBODY = bytes(32)


@dataclass(frozen=True)
class StoredKey:
    """What the lake keeps of a key, one JSON object each; it stays there when the key is revoked."""

    name: str
    scopes: tuple[str, ...]
    created_at: str
    created_by: str
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    revoked_at: str | None = None
    revoked_by: str | None = None


_STORED = TypeAdapter(StoredKey)


@dataclass(frozen=True)
class KeyRing:
    """The keys of a lake as they were when it was made, in memory: a key that is revoked later works until the next ring."""

    _secret: bytes = field(repr=False)
    _held: Mapping[str, tuple[bytes, Client]] = field(repr=False)

    @classmethod
    def of(cls, secret: bytes, stored: Iterable[StoredKey]) -> "KeyRing":
        """Those of the keys that are not revoked; ``secret`` is the lake's."""
        held = {key.name: (bytes.fromhex(key.hash), Client(key.name, frozenset(key.scopes))) for key in stored if key.revoked_at is None}
        return cls(secret, held)

    def client_of(self, key_text: str) -> Client | None:
        """Whose key this is; None if it is no key, or none that is valid."""
        form = _KEY_FORM.fullmatch(key_text)
        if form is None:
            return None
        # A name that is not there costs what a wrong secret costs.
        expected, client = self._held.get(form[1], (_NOBODY, None))
        return client if hmac.compare_digest(_hash(self._secret, key_text), expected) else None


class KeysInUse:
    """The ring of keys that a service uses, read anew now and then.

    A ring that is older than ``seconds_most`` is used no more: who stands between the service and the lake must not be able to keep a
    key good that was revoked.
    """

    def __init__(self, read: Callable[[], KeyRing], seconds_most: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads the first ring."""
        self._read = read
        self._seconds_most = seconds_most
        self._clock = clock
        self.read()

    def read(self) -> None:
        """Read the ring; whatever reading raises leaves the old one in use."""
        begun = self._clock()
        self._ring, self._read_at = self._read(), begun

    def client_of(self, key_text: str) -> Client | None:
        """Whose key this is, or None; CannotAuthenticate if the ring is too old to say."""
        if self._clock() - self._read_at > self._seconds_most:
            raise CannotAuthenticate(
                "API keys cannot be checked now: the lake, which says which ones were revoked, "
                f"could not be read for {self._seconds_most:.0f} s; try again later"
            )
        return self._ring.client_of(key_text)


def create(lake: Lake, name: str, scopes: Iterable[Scope], who: str, now: datetime) -> str:
    """Make a key and return its text, which is kept nowhere.

    UsageError if the name cannot be one, is taken (revoked keys keep theirs, so that a name in a log is one key for ever), or if there
    is no scope.
    """
    if _NAME_FORM.fullmatch(name) is None:
        raise UsageError(f"{name!r} cannot be a key's name: write 1 to 40 of a-z, 0-9 and -, with no - at either end, such as payments")
    allowed = tuple(sorted({Scope(scope).value for scope in scopes}))
    if not allowed:
        raise UsageError(f"a key needs a scope: {', '.join(Scope)}")
    text = f"{KEY_PREFIX}{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    stored = StoredKey(name, allowed, _instant(now), who, _hash(lake.key, text).hex())
    if not lake.storage.put_new(layout.api_key(name), _document(stored)):
        raise UsageError(f"the lake has a key {name} already, valid or revoked; choose another name, such as {name[:38]}-2")
    return text


def revoke(lake: Lake, name: str, who: str, now: datetime) -> StoredKey:
    """Make a key invalid for ever, and return what is kept of it; one that was revoked before stays as it is.

    UsageError if there is no such key, LakeDamaged if what is kept of it cannot be read.
    """
    unknown = UsageError(f"the lake has no key {name}; `leofric keys list` names those that it has")
    if _NAME_FORM.fullmatch(name) is None:
        raise unknown
    try:
        stored = _read(lake, layout.api_key(name))
    except FileNotFoundError:
        raise unknown from None
    if stored.revoked_at is not None:
        return stored
    revoked = replace(stored, revoked_at=_instant(now), revoked_by=who)
    lake.storage.put(layout.api_key(name), _document(revoked))
    return revoked


def listed(lake: Lake) -> list[StoredKey]:
    """Every key, by name, the revoked ones too; LakeDamaged if one cannot be read."""
    return sorted((_read(lake, entry.path) for entry in lake.storage.entries(layout.API_KEYS)), key=lambda key: key.name)


def key_ring(lake: Lake) -> KeyRing:
    """The keys that are valid now.

    LakeDamaged if one cannot be read: better no ring than one that forgot a revocation. LakeNotFound if the lake is gone, since a folder
    that is not mounted now looks like one without keys.
    """
    stored = listed(lake)
    if not stored and not lake.storage.exists(layout.IDENTITY):
        raise LakeNotFound(f"the lake at {lake.storage.root} is not there any more")
    return KeyRing.of(lake.key, stored)


def _read(lake: Lake, path: str) -> StoredKey:
    data = bytes(lake.storage.read(path))
    try:
        stored = _STORED.validate_json(data)
    except ValidationError:
        raise LakeDamaged(f"{lake.storage.uri(path)} is no API key's object; restore it or remove it") from None
    # A copy below another name would outlive the revocation of the original.
    if path != layout.api_key(stored.name):
        raise LakeDamaged(f"{lake.storage.uri(path)} is the object of the key {stored.name}; remove it")
    return stored


def _document(stored: StoredKey) -> bytes:
    return json.dumps(asdict(stored), indent=1).encode()


def _hash(secret: bytes, text: str) -> bytes:
    return hmac.digest(secret, _PURPOSE + text.encode(), "sha256")


def _instant(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")
