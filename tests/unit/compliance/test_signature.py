import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.compliance.signature import holds, sign
from app.errors import UsageError

Keys = tuple[bytes, bytes]


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> Keys:
    """The private key and the public one."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


# RFC 8032, section 7.1, test 2: the message of one byte.
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_published_case_is_signed_as_published() -> None:
    private, public = pem(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)))
    assert sign(b"\x72", private) == SIGNATURE
    assert holds(b"\x72", SIGNATURE, public)


def test_another_document_another_key_and_no_signature_do_not_hold() -> None:
    private, public = pem(Ed25519PrivateKey.generate())
    signature = sign(b"card", private)
    assert holds(b"card", signature, public)
    for document, given, key in (
        (b"cart", signature, public), (b"card", None, public), (b"card", "", public), (b"card", "zz", public),
        (b"card", signature[:-2], public), (b"card", signature, pem(Ed25519PrivateKey.generate())[1]),
    ):  # fmt: skip
        assert not holds(document, given, key)


def test_what_is_no_ed25519_key_is_wrong_usage() -> None:
    other_private, other_public = pem(ec.generate_private_key(ec.SECP256R1()))
    for key in (b"", b"no key", other_private, pem(Ed25519PrivateKey.generate())[1]):
        with pytest.raises(UsageError, match="signing key"):
            sign(b"card", key)
    for key in (b"", b"no key", other_public, other_private):
        with pytest.raises(UsageError, match="trusted key"):
            holds(b"card", "", key)
