"""Signatures: who made a document, shown by Ed25519 (RFC 8032). Keys are PEM files, such as `openssl genpkey -algorithm ed25519` makes."""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from app.errors import UsageError


def sign(document: bytes, private_key: bytes) -> str:
    """The signature of a document, in hexadecimal; UsageError if the key is no Ed25519 private key without a password."""
    try:
        key = load_pem_private_key(private_key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the signing key cannot be read: {error}; it must be an Ed25519 private key in PEM, without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("the signing key is no Ed25519 private key; `openssl genpkey -algorithm ed25519` makes one")
    return key.sign(document).hex()


def holds(document: bytes, signature: str | None, public_key: bytes) -> bool:
    """Whether the document was signed with the private half of this key; UsageError if it is no Ed25519 public key."""
    try:
        key = load_pem_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the trusted key cannot be read: {error}; it must be an Ed25519 public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("the trusted key is no Ed25519 public key; `openssl pkey -pubout` makes one of the private key")
    try:
        key.verify(bytes.fromhex(signature or ""), document)
    except (InvalidSignature, ValueError):
        return False
    return True
