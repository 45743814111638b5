from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

from app.errors import UsageError
from serve import tls

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key."""
    issued = authority.issue_cert("127.0.0.1", not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=1))
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for blob in (*issued.cert_chain_pems, authority.cert_pem):
        blob.write_to_path(str(certificate), append=True)
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


def refuses(certificate: Path, key: Path, why: str, now: datetime = NOW) -> None:
    with pytest.raises(UsageError, match=why):
        tls.check(certificate, key, now)


def test_a_certificate_and_its_key_are_good(files: tuple[Path, Path]) -> None:
    tls.check(*files, NOW)


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    refuses(tmp_path / "none.pem", key, "the TLS certificate .*none.pem cannot be read: No such file")
    refuses(certificate, tmp_path / "none.pem", "the TLS key .*none.pem cannot be read: No such file")
    refuses(certificate, tmp_path, "the TLS key .* cannot be read: Is a directory")


def test_a_key_of_another_certificate_is_refused(files: tuple[Path, Path], authority: trustme.CA, tmp_path: Path) -> None:
    authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    refuses(files[0], tmp_path / "other.pem", "other.pem does not belong to the certificate")


def test_a_certificate_is_refused_before_and_after_its_time(files: tuple[Path, Path]) -> None:
    refuses(*files, "has expired, at .* UTC; get a new one", NOW + timedelta(days=1))
    refuses(*files, "is valid only from .* UTC on", NOW - timedelta(days=2))


def test_files_that_are_no_pem_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    (tmp_path / "text.pem").write_text("no PEM")
    refuses(tmp_path / "text.pem", key, "text.pem is no certificate in PEM")
    refuses(key, key, "key.pem is no certificate in PEM")
    refuses(certificate, tmp_path / "text.pem", "text.pem and certificate .* cannot be used")
    refuses(certificate, certificate, "cannot be used")


def test_an_encrypted_key_is_refused_without_asking_for_its_password(files: tuple[Path, Path]) -> None:
    certificate, key = files
    opened = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")))
    refuses(certificate, key, "key.pem is encrypted")
