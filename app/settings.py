"""Every setting, frozen, with its default. This is the one place that reads the environment."""

import os
import pwd
from pathlib import Path

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import UsageError


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
    signing_key_file: Path | None = Field(
        default=None, description="an Ed25519 private key in PEM: models that are trained are signed with it"
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
    object_store_bytes: int = Field(default=256 * 1024 * 1024, ge=80 * 1024 * 1024, description="shared memory of a local Ray, in bytes")


def read_settings() -> Settings:
    """The settings of the environment; UsageError names each variable that has no good value."""
    try:
        return Settings()
    except ValidationError as error:
        names = [str(fault["loc"][0]).upper().removeprefix("LEOFRIC_") for fault in error.errors()]
        faults = [f"LEOFRIC_{name}={fault['input']}: {fault['msg']}" for name, fault in zip(names, error.errors(), strict=True)]
        raise UsageError(f"{'; '.join(faults)}; docs/settings.md lists what they may be") from None


def operating_system_user() -> str:
    """Who runs this, as the operating system knows: not what LOGNAME or USER say, which anybody sets. ``uid:N`` if N has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid:{os.getuid()}"
