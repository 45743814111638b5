"""The audit trail's key in Vault (or OpenBao): the transit engine signs, and the key never leaves it.

Its signatures are plain Ed25519, so that anchors are checked by the public half, without Vault.
"""

import base64
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import hvac
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.compliance.anchors import Ed25519Public
from app.errors import AuditError, UsageError

_ADDRESS: Final = re.compile(r"(https?://[^/]+)/v1/(.+)/keys/([^/]+)")
_SECONDS: Final = 10


class VaultKey:
    """An Ed25519 key of a transit engine; AuditError whenever Vault does not answer."""

    def __init__(self, address: str, token: str) -> None:
        """``address`` is https://host/v1/transit/keys/name; UsageError if it is not that, or the key is of another type."""
        form = _ADDRESS.fullmatch(address)
        if form is None:
            raise UsageError(f"LEOFRIC_AUDIT_VAULT={address}: write it as https://host/v1/transit/keys/name")
        self._mount, self._name = form[2], form[3]
        self._client = hvac.Client(url=form[1], token=token, timeout=_SECONDS)

    @property
    def key_id(self) -> str:
        return self._newest.key_id

    @cached_property
    def _version(self) -> int:
        return max(self.publics)

    @property
    def _newest(self) -> Ed25519Public:
        return self.publics[self._version]

    @cached_property
    def publics(self) -> dict[int, Ed25519Public]:
        """The public half of each version of the key."""
        found = self._ask(self._client.secrets.transit.read_key, name=self._name, mount_point=self._mount)["data"]
        if found["type"] != "ed25519":
            raise UsageError(f"the key {self._name} in Vault is of type {found['type']}; the audit trail needs one of type ed25519")
        return {int(number): _public(version["public_key"]) for number, version in found["keys"].items()}

    def sign(self, document: bytes) -> str:
        """By the version that ``key_id`` names, whatever Vault has made meanwhile."""
        said = self._ask(
            self._client.secrets.transit.sign_data,
            name=self._name,
            hash_input=base64.b64encode(document).decode(),
            key_version=self._version,
            mount_point=self._mount,
        )
        return base64.b64decode(said["data"]["signature"].rpartition(":")[2]).hex()

    def _ask(self, call: Any, **arguments: Any) -> Any:
        try:
            return call(**arguments)
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise AuditError(f"Vault does not answer for the audit trail's key {self._name}: {error}") from None


def vault_key(address: str, token_file: Path | None) -> VaultKey:
    """The key at an address, asked for with the token in a file; UsageError if there is none."""
    if token_file is None:
        raise UsageError("LEOFRIC_AUDIT_VAULT needs LEOFRIC_AUDIT_VAULT_TOKEN_FILE: the file with the token")
    try:
        return VaultKey(address, token_file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise UsageError(f"LEOFRIC_AUDIT_VAULT_TOKEN_FILE={token_file} cannot be read: {error.strerror}") from None


def _public(text: str) -> Ed25519Public:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text))
    return Ed25519Public(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
