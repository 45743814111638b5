"""What the service is started with: one frozen object, from the command line or from a Serve config's arguments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import UsageError

MEMORY: Final = "memory://"
_SHARED: Final = ("redis://", "rediss://", "valkey://")


class ServeSettings(BaseModel):
    """One service on one lake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lake: str = Field(description="the lake: a local folder, or s3://bucket/prefix")
    storage_options: dict[str, str] = Field(default={}, description="Delta Lake's storage options, for S3")
    journal: Path | None = Field(default=None, description="a folder on a disk of the service; for a local lake LAKE/journal")
    insecure_local: bool = Field(default=False, description="everybody may do everything; only on 127.0.0.1")
    oidc_issuer: str | None = Field(default=None, description="the issuer of tokens that are taken beside API keys")
    oidc_audience: str | None = Field(default=None, description="the audience that tokens must name")
    oidc_jwks_url: str | None = Field(default=None, description="where the issuer's public keys are")
    rate_limit: str | None = Field(default=None, description="of each client, such as 600/minute")
    rate_limit_storage: str = Field(default="memory://", description="where clients are counted: memory:// or redis://…")
    histories: str = Field(default=MEMORY, description="where accounts' histories are: memory:// of one replica, or redis://… for several")
    replicas: int = Field(default=1, ge=1, description="processes that answer; several only with shared histories")
    max_replicas: int | None = Field(default=None, description="more processes, up to so many, while requests wait")
    trusted_key_file: Path | None = Field(default=None, description="an Ed25519 public key: only models that it signed are used")
    follow_seconds: float = Field(default=5.0, gt=0, description="how often the lake is looked at for a new champion, keys and payments")
    most_ongoing: int = Field(default=256, ge=1, description="requests that are taken in at once; more get 503")
    segment_seconds: float = Field(default=60.0, gt=0, description="when a part of the journal is closed, so that a run can load it")

    @property
    def most_replicas(self) -> int:
        """So many may run at once."""
        return self.max_replicas or self.replicas

    @property
    def journal_folder(self) -> Path:
        """Where the journal lies; UsageError if a lake in S3 was given none."""
        if self.journal is not None:
            return self.journal
        if "://" in self.lake:
            raise UsageError(f"{self.lake} is not on a disk: name a folder for the journal (--journal)")
        return Path(self.lake) / "journal"


def settings_of(arguments: Mapping[str, Any]) -> ServeSettings:
    """The settings; UsageError names each argument that is wrong."""
    try:
        settings = ServeSettings.model_validate(dict(arguments))
    except ValidationError as error:
        raise UsageError("; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())) from None
    oidc = (settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url)
    if any(oidc) and not all(oidc):
        raise UsageError("tokens need all three: oidc_issuer, oidc_audience, oidc_jwks_url")
    _check_replicas(settings)
    return settings


def _check_replicas(settings: ServeSettings) -> None:
    if settings.histories != MEMORY and not settings.histories.startswith(_SHARED):
        # Only the scheme is repeated: the rest may have a password in it.
        raise UsageError(f"histories cannot be kept in {settings.histories.partition('://')[0]!r}: write {MEMORY}, or redis://host:port/0")
    if settings.most_replicas < settings.replicas:
        raise UsageError(f"at most {settings.most_replicas} replicas are fewer than {settings.replicas}")
    if settings.most_replicas > 1 and settings.histories == MEMORY:
        raise UsageError("several replicas need histories that they share: add --histories redis://host:port/0, or start one replica")
