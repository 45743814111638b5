"""The key that wraps keys: a secret of the bank's, or a key of Vault's transit engine that never leaves it."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import hvac
import requests
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import KeyStoreError, UsageError
from app.settings import SubjectSettings, read_subject_settings

NONCE_BYTES: Final = 12
_LEAST_SECRET: Final = 32
_ADDRESS: Final = re.compile(r"(https?://[^/]+)/v1/(.+)/keys/([^/]+)")
_SECONDS: Final = 10


class Wrap(Protocol):
    """Wraps data keys; ``about`` is what a wrapped key belongs to: it can be unwrapped as nothing else."""

    @property
    def name(self) -> str:
        """Which key it is, and nothing of a secret."""
        ...

    def wrapped(self, key: bytes, about: str) -> str: ...

    def unwrapped(self, text: str, about: str) -> bytes: ...


@dataclass(frozen=True)
class SecretWrap:
    """AES-256-GCM (NIST SP 800-38D) by a secret of at least 32 bytes."""

    secret: bytes = field(repr=False)

    @cached_property
    def name(self) -> str:
        return f"secret:{hashlib.blake2b(self._key, person=b'leofric name').hexdigest()[:16]}"

    @cached_property
    def _key(self) -> bytes:
        return hashlib.blake2b(self.secret, digest_size=32, person=b"leofric wrap").digest()

    def wrapped(self, key: bytes, about: str) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.b64encode(nonce + AESGCM(self._key).encrypt(nonce, key, about.encode())).decode()

    def unwrapped(self, text: str, about: str) -> bytes:
        try:
            data = base64.b64decode(text)
            return AESGCM(self._key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError):
            raise KeyStoreError(f"{about} cannot be unwrapped by this secret: it is another one, or the file was changed") from None


class VaultWrap:
    """A key of type aes256-gcm96 of a transit engine of Vault or OpenBao."""

    def __init__(self, address: str, token: str) -> None:
        """``address`` is https://host/v1/transit/keys/name; UsageError if it is not that."""
        form = _ADDRESS.fullmatch(address)
        if form is None:
            raise UsageError(f"{address}: write the address of a key of Vault as https://host/v1/transit/keys/name")
        self._mount, self._name = form[2], form[3]
        self._client = hvac.Client(url=form[1], token=token, timeout=_SECONDS)

    @property
    def name(self) -> str:
        return f"vault:{self._mount}/{self._name}"

    def wrapped(self, key: bytes, about: str) -> str:
        said = self._ask("encrypt_data", plaintext=base64.b64encode(key).decode(), associated_data=_encoded(about))
        return str(said["data"]["ciphertext"])

    def unwrapped(self, text: str, about: str) -> bytes:
        said = self._ask("decrypt_data", ciphertext=text, associated_data=_encoded(about))
        return base64.b64decode(said["data"]["plaintext"])

    def _ask(self, call: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client.secrets.transit, call)(name=self._name, mount_point=self._mount, **arguments)
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise KeyStoreError(f"Vault does not answer for the key {self._name}, which wraps the keys of data subjects: {error}") from None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def wrap_of(settings: SubjectSettings) -> Wrap:
    """The wrapping key that the settings name; UsageError if they name none, or a bad one."""
    if settings.vault is not None:
        return _vault(settings.vault, settings.vault_token_file)
    source, data = "LEOFRIC_SUBJECT_KEY", b""
    if settings.key is not None:
        data = settings.key.get_secret_value().encode()
    elif settings.key_file is not None:
        source = f"LEOFRIC_SUBJECT_KEY_FILE={settings.key_file}"
        data = _file(settings.key_file, source)
    else:
        raise UsageError(
            "the lake is sealed: LEOFRIC_SUBJECT_KEY_FILE, LEOFRIC_SUBJECT_KEY or LEOFRIC_SUBJECT_VAULT must name the key that opens the"
            " keys of its data subjects"
        )
    return _secret(data, source)


def new_wrap(key_file: Path | None, vault: str | None, vault_token_file: Path | None) -> Wrap:
    """A wrapping key that the settings do not name yet: a secret in a file, or a key of Vault; UsageError unless it is one of them.

    The token for Vault is that of the settings if ``vault_token_file`` is None.
    """
    if (key_file is None) == (vault is None):
        raise UsageError("name the new key by --new-key-file or by --new-vault")
    if key_file is not None:
        return _secret(_file(key_file, f"--new-key-file {key_file}"), f"--new-key-file {key_file}")
    return _vault(str(vault), vault_token_file or read_subject_settings().vault_token_file)


def _secret(data: bytes, source: str) -> SecretWrap:
    secret = data.rstrip()
    if len(secret) < _LEAST_SECRET:
        raise UsageError(f"{source}: a secret has at least {_LEAST_SECRET} bytes, this one {len(secret)}; `openssl rand -hex 32` makes one")
    return SecretWrap(secret)


def _vault(address: str, token_file: Path | None) -> VaultWrap:
    if token_file is None:
        raise UsageError(f"the key {address} needs LEOFRIC_SUBJECT_VAULT_TOKEN_FILE: the file with the token for Vault")
    return VaultWrap(address, _file(token_file, f"the file with the token for Vault, {token_file},").decode().strip())


def _file(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from None
