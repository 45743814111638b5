"""The audit trail's key in a real Vault (OpenBao): it signs, its public half checks without it, and it may be rotated."""

from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest

from app.compliance import anchors
from app.compliance.audit_check import verify
from app.errors import AuditError, UsageError
from app.lake.audit import checkers_of, known_heads, open_log
from app.lake.lake import Lake, create
from app.lake.storage import Storage
from app.settings import AuditSettings
from tests.support import bao
from tests.support.audit import event

Vault = tuple[str, str]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with bao.server(tmp_path_factory.mktemp("bao")) as found:
        yield found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return create(Storage(str(tmp_path)), bytes(16))


def settings_for(vault: Vault, name: str, tmp_path: Path) -> AuditSettings:
    token = tmp_path / "token"
    token.write_text(vault[1] + "\n")
    return AuditSettings(vault=f"{vault[0]}/v1/transit/keys/{name}", vault_token_file=token)


def made(vault: Vault, name: str, kind: str = "ed25519") -> hvac.Client:
    client = hvac.Client(url=vault[0], token=vault[1])
    client.secrets.transit.create_key(name=name, key_type=kind)
    return client


def test_vault_signs_and_the_public_half_checks_without_it(vault: Vault, lake: Lake, tmp_path: Path) -> None:
    made(vault, "trail")
    settings = settings_for(vault, "trail", tmp_path)
    log = open_log(lake, settings)
    log.check()
    log.append([event(1), event(2)])
    keys = checkers_of(settings, [])
    found = verify(log.entries(), keys, known_heads(lake))
    assert (found.fault, found.anchored_to) == (None, 2)
    (key,) = keys.values()
    assert isinstance(key, anchors.Ed25519Public)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(key.pem)
    assert verify(log.entries(), checkers_of(AuditSettings(), [trusted])).anchored_to == 2


def test_a_key_that_was_rotated_leaves_old_anchors_good(vault: Vault, lake: Lake, tmp_path: Path) -> None:
    client = made(vault, "rotated")
    settings = settings_for(vault, "rotated", tmp_path)
    before = open_log(lake, settings)
    before.append([event(1)])
    client.secrets.transit.rotate_key(name="rotated")
    before.append([event(2)])  # goes on with the version that it knows
    after = open_log(lake, settings)
    after.append([event(3)])
    ids = [entry.key_id for entry in after.entries()]
    assert ids[0] == ids[1] != ids[2]
    found = verify(after.entries(), checkers_of(settings, []))
    assert (found.fault, found.anchored_to, found.unknown_keys) == (None, 3, set())


def test_what_cannot_sign_is_said(vault: Vault, lake: Lake, tmp_path: Path) -> None:
    made(vault, "aes", "aes256-gcm96")
    with pytest.raises(UsageError, match="one of type ed25519"):
        open_log(lake, settings_for(vault, "aes", tmp_path)).check()
    with pytest.raises(AuditError, match="Vault does not answer"):
        open_log(lake, settings_for((vault[0], "wrong"), "trail", tmp_path)).check()
    with pytest.raises(AuditError, match="Vault does not answer"):
        open_log(lake, settings_for(("http://127.0.0.1:1", "x"), "trail", tmp_path)).append([event(1)])
    with pytest.raises(UsageError, match="write it as"):
        open_log(lake, AuditSettings(vault="https://vault/keys", vault_token_file=tmp_path / "token"))
    with pytest.raises(UsageError, match="TOKEN_FILE"):
        open_log(lake, AuditSettings(vault="https://vault/v1/transit/keys/a"))
    with pytest.raises(UsageError, match="cannot be read"):
        open_log(lake, AuditSettings(vault="https://vault/v1/transit/keys/a", vault_token_file=tmp_path / "none"))
