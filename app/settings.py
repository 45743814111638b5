"""Every setting, frozen, with its default. This is the one place that reads the environment."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import UsageError


@dataclass(frozen=True)
class _Operator:
    name: str
    shown_by: str | None


_OPERATOR: ContextVar[_Operator | None] = ContextVar("operator", default=None)


@contextmanager
def operated_by(name: str, shown_by: str | None = None) -> Iterator[None]:
    """In this block this one is the operator. It is for whoever calls commands as functions: nothing outside of the process can say so.

    ``shown_by``: what has shown it, for the audit trail, such as a token of an issuer that the lake trusts; None: the operating system.
    """
    token = _OPERATOR.set(_Operator(name, shown_by))
    try:
        yield
    finally:
        _OPERATOR.reset(token)


def operator() -> str:
    """Who sits at the keyboard, or as whom a job runs, as the operating system knows them: a variable would be anybody's word.

    Where a lake trusts an issuer of tokens and was shown one, it is the token's subject.
    """
    named = _OPERATOR.get()
    if named is not None:
        return named.name
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container's user need not have a name
        return f"uid {number}"


def operator_shown_by() -> str | None:
    """What has shown who the operator is; None: the operating system."""
    named = _OPERATOR.get()
    return None if named is None else named.shown_by


class Settings(BaseSettings):
    """Read from the environment as ``LEOFRIC_<NAME>``; the command line's options win over it."""

    model_config = SettingsConfigDict(env_prefix="LEOFRIC_", frozen=True, extra="forbid")

    unit_bytes: int = Field(default=64 * 1024 * 1024, ge=1, description="how much of a text file one task reads, in bytes")
    unit_rows: int = Field(default=500_000, ge=1, description="how much of a Parquet file one task reads, in rows; row groups stay whole")
    block_bytes: int = Field(default=16 * 1024 * 1024, ge=1, description="how much of a text file a task holds at a time, in bytes")
    block_rows: int = Field(default=128 * 1024, ge=1, description="how much of a Parquet or silver file a task holds at a time, in rows")
    silver_file_rows: int = Field(default=1_000_000, ge=1, description="the most rows that one task writes to one silver file")
    key_partition_rows: int = Field(default=1_000_000, ge=1, description="the most keys that one task holds while it looks for duplicates")
    score_shard_rows: int = Field(default=2_000_000, ge=1, description="about how many payments one task looks back on")
    timely_hours: int = Field(default=48, ge=1, description="a record is timely if it was booked at most this long before the run")
    vacuum_guard_days: int = Field(
        default=30, ge=1, description="a state of the lake that could be seen in so many days before is never vacuumed away"
    )
    signing_key_file: Path | None = Field(
        default=None, description="an Ed25519 private key in PEM: models that are trained are signed with it, and bundles of evidence"
    )
    trusted_key_file: Path | None = Field(
        default=None, description="an Ed25519 public key in PEM: only models signed with its other half are used"
    )
    workers: int | None = Field(default=None, ge=1, description="tasks at a time on one machine; None: one a core")
    ray_address: str | None = Field(
        default=None,
        validation_alias=AliasChoices("LEOFRIC_RAY_ADDRESS", "RAY_ADDRESS"),
        description="a running Ray cluster (a Ray job is given its own); None: start one for the run that nobody else can reach",
    )
    openlineage_file: Path | None = Field(default=None, description="a file to which OpenLineage events are added, a line each")
    openlineage_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]\S*$",
        description="where OpenLineage events are posted; without a path, /api/v1/lineage is added",
    )
    openlineage_api_key: SecretStr | None = Field(default=None, description="sent to that address as a bearer token")
    openlineage_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="how long that address may take to answer")
    openlineage_namespace: str = Field(default="leofric", min_length=1, description="the namespace of jobs in OpenLineage events")
    object_store_bytes: int = Field(default=256 * 1024 * 1024, ge=80 * 1024 * 1024, description="shared memory of a local Ray, in bytes")


def read_settings() -> Settings:
    """The settings of the environment; UsageError names each variable that has no good value."""
    try:
        return Settings()
    except ValidationError as error:
        names = [str(fault["loc"][0]).upper().removeprefix("LEOFRIC_") for fault in error.errors()]
        faults = [f"LEOFRIC_{name}={fault['input']}: {fault['msg']}" for name, fault in zip(names, error.errors(), strict=True)]
        raise UsageError(f"{'; '.join(faults)}; docs/settings.md lists what they may be") from None


class AuditSettings(BaseSettings):
    """Where the audit trail is kept and what anchors it; read from the environment as ``LEOFRIC_AUDIT_<NAME>``.

    Apart from Settings, which travel to every task: these hold secrets, and no task needs them.
    """

    model_config = SettingsConfigDict(env_prefix="LEOFRIC_AUDIT_", frozen=True, extra="forbid")

    store: SecretStr | None = Field(default=None, description="postgresql://…: the trail is kept there; None: in the lake's audit/log")
    key_file: Path | None = Field(
        default=None, description="a file with the key of its anchors: an Ed25519 private key in PEM, or a secret"
    )
    key: SecretStr | None = Field(default=None, description="the same key, as the variable's value")
    vault: str | None = Field(default=None, description="https://host/v1/transit/keys/name: an Ed25519 key that Vault keeps and signs with")
    vault_token_file: Path | None = Field(default=None, description="a file with the token for Vault")


def read_audit_settings() -> AuditSettings:
    """The audit trail's settings of the environment; UsageError if keys are given in more than one way."""
    try:
        settings = AuditSettings()
    except ValidationError as error:
        names = ", ".join(f"LEOFRIC_AUDIT_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors(include_input=False))
        raise UsageError(f"{names}; docs/settings.md lists what they may be") from None
    if sum(key is not None for key in (settings.key_file, settings.key, settings.vault)) > 1:
        raise UsageError(
            "LEOFRIC_AUDIT_KEY_FILE, LEOFRIC_AUDIT_KEY and LEOFRIC_AUDIT_VAULT are three ways to name one key: set one of them"
        )
    return settings


class SubjectSettings(BaseSettings):
    """The key store of a sealed lake and what opens it; read from the environment as ``LEOFRIC_SUBJECT_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="LEOFRIC_SUBJECT_", frozen=True, extra="forbid")

    keys: str | None = Field(default=None, description="where the key store is, if not where it was made: a folder or s3://bucket/prefix")
    key_file: Path | None = Field(default=None, description="a file with the secret that wraps its keys, at least 32 bytes")
    key: SecretStr | None = Field(default=None, description="the same secret, as the variable's value")
    vault: str | None = Field(
        default=None, description="https://host/v1/transit/keys/name: an aes256-gcm96 key of Vault that wraps its keys"
    )
    vault_token_file: Path | None = Field(default=None, description="a file with the token for Vault")


def read_subject_settings() -> SubjectSettings:
    """The settings of the environment; UsageError if the wrapping key is named in more than one way."""
    try:
        settings = SubjectSettings()
    except ValidationError as error:
        names = ", ".join(f"LEOFRIC_SUBJECT_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors(include_input=False))
        raise UsageError(f"{names}; docs/settings.md lists what they may be") from None
    if sum(key is not None for key in (settings.key_file, settings.key, settings.vault)) > 1:
        raise UsageError(
            "LEOFRIC_SUBJECT_KEY_FILE, LEOFRIC_SUBJECT_KEY and LEOFRIC_SUBJECT_VAULT are three ways to name one key: set one of them"
        )
    return settings


class IdentitySettings(BaseSettings):
    """The token that says who acts; read from the environment as ``LEOFRIC_IDENTITY_<NAME>``.

    Whose tokens count is no setting: each lake says it (``app/lake/identity.py``), or everybody could be his own issuer.
    """

    model_config = SettingsConfigDict(env_prefix="LEOFRIC_IDENTITY_", frozen=True, extra="forbid")

    token: SecretStr | None = Field(default=None, description="a JWT of the issuer that the lake trusts")
    token_file: Path | None = Field(default=None, description="a file that has it")


def read_identity_token() -> str | None:
    """The token of the environment; None without one, UsageError if it is given in two ways or its file cannot be read."""
    settings = IdentitySettings()
    if settings.token_file is None:
        return None if settings.token is None else settings.token.get_secret_value().strip()
    if settings.token is not None:
        raise UsageError("LEOFRIC_IDENTITY_TOKEN and LEOFRIC_IDENTITY_TOKEN_FILE are two ways to give one token: set one of them")
    try:
        return settings.token_file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise UsageError(f"LEOFRIC_IDENTITY_TOKEN_FILE={settings.token_file} cannot be read: {error.strerror}") from None
