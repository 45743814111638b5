"""Keys that anchor the audit trail: Ed25519 (a public half checks) or HMAC-SHA256 (who checks can also sign).

A key's id is a fingerprint: it says which key it was, and nothing of a secret.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, load_pem_public_key

from app.compliance.audit import Checker
from app.compliance.signature import holds, sign
from app.errors import UsageError

_LEAST_SECRET: Final = 32
_ID_DIGITS: Final = 16


@dataclass(frozen=True)
class HmacKey:
    """A secret of at least 32 bytes."""

    secret: bytes = field(repr=False)

    @cached_property
    def key_id(self) -> str:
        return f"hmac-sha256:{hmac.digest(self.secret, b'leofric audit key', 'sha256').hex()[:_ID_DIGITS]}"

    def sign(self, document: bytes) -> str:
        return hmac.digest(self.secret, document, "sha256").hex()

    def holds(self, document: bytes, signature: str) -> bool:
        return hmac.compare_digest(self.sign(document).encode(), signature.encode(errors="replace"))


@dataclass(frozen=True)
class Ed25519Public:
    """The public half of a key, as PEM."""

    pem: bytes

    @cached_property
    def key_id(self) -> str:
        key = load_pem_public_key(self.pem)
        raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"ed25519:{hashlib.sha256(raw).hexdigest()[:_ID_DIGITS]}"

    def holds(self, document: bytes, signature: str) -> bool:
        return holds(document, signature, self.pem)


@dataclass(frozen=True)
class Ed25519Key:
    """A private key as PEM; it checks, too."""

    pem: bytes = field(repr=False)

    @cached_property
    def public(self) -> Ed25519Public:
        return Ed25519Public(_public_pem(self.pem))

    @property
    def key_id(self) -> str:
        return self.public.key_id

    def sign(self, document: bytes) -> str:
        return sign(document, self.pem)

    def holds(self, document: bytes, signature: str) -> bool:
        return self.public.holds(document, signature)


def _public_pem(private: bytes) -> bytes:
    key = load_pem_private_key(private, None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signing_key(data: bytes, source: str) -> HmacKey | Ed25519Key:
    """The key in a file or a variable: PEM is Ed25519, all else an HMAC secret; UsageError if it is neither.

    White space at a secret's end is not part of it: editors add it.
    """
    if b"-----BEGIN" in data:
        try:
            key = load_pem_private_key(data, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise UsageError(f"{source}: the key cannot be read: {error}; `openssl genpkey -algorithm ed25519` makes one") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError(f"{source}: this is no Ed25519 private key; `openssl genpkey -algorithm ed25519` makes one")
        return Ed25519Key(data)
    secret = data.rstrip()
    if len(secret) < _LEAST_SECRET:
        raise UsageError(f"{source}: a secret has at least {_LEAST_SECRET} bytes, this one {len(secret)}; `openssl rand -hex 32` makes one")
    return HmacKey(secret)


def checking_key(data: bytes, source: str) -> Checker:
    """A key to check with: an Ed25519 public key in PEM, or a key to sign with; UsageError if it is none."""
    if b"-----BEGIN PUBLIC KEY" not in data:
        return signing_key(data, source)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{source}: the key cannot be read: {error}; `openssl pkey -pubout` makes one of the private key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{source}: this is no Ed25519 public key; `openssl pkey -pubout` makes one of the private key")
    return Ed25519Public(data)


def by_id(keys: Iterable[Checker]) -> dict[str, Checker]:
    """Keys by their id."""
    return {key.key_id: key for key in keys}
