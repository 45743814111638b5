"""The certificate that the service shows; what is wrong with it is said before anything starts."""

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509

from app.errors import UsageError


def check(certificate: Path, key: Path, now: datetime) -> None:
    """UsageError unless the two files can be used together, now."""
    for what, path in (("certificate", certificate), ("key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise UsageError(f"the TLS {what} {path} cannot be read: {error.strerror}") from None
    first = _first(certificate)
    if now >= first.not_valid_after_utc:
        raise UsageError(f"the TLS certificate {certificate} has expired, at {first.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; get a new one")
    if now < first.not_valid_before_utc:
        raise UsageError(f"the TLS certificate {certificate} is valid only from {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    _load(certificate, key)


def _first(certificate: Path) -> x509.Certificate:
    """The server's own certificate, which stands first; those of its issuers follow."""
    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except ValueError:
        raise UsageError(f"{certificate} is no certificate in PEM (-----BEGIN CERTIFICATE-----)") from None


def _load(certificate: Path, key: Path) -> None:
    def asked_for_password() -> str:
        raise UsageError(f"the TLS key {key} is encrypted; give one that is not, in a file that only the service can read")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, asked_for_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"the TLS key {key} does not belong to the certificate {certificate}") from None
        raise UsageError(
            f"the TLS key {key} and certificate {certificate} cannot be used: {error.reason or 'no private key in PEM'}"
        ) from None
