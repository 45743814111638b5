"""Who may start a service: what `serve run` and `serve deploy` call, without a Ray."""

import json
import sys
import warnings
from pathlib import Path

import pytest

from app.compliance.access import Change
from app.compliance.roles import Role
from app.contracts.lake import AUDIT
from app.errors import AccessDenied
from app.lake import access, identity
from app.lake.lake import create
from app.lake.storage import Storage
from app.settings import operated_by
from tests.support.issuer import AUDIENCE, ISSUER, issuer
from tests.support.lake import rows

AT = "2026-03-04T09:00:00+00:00"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake with an approver and a job that may serve it."""
    monkeypatch.delenv("LEOFRIC_IDENTITY_TOKEN", raising=False)
    storage = create(Storage(str(tmp_path)), bytes(range(16))).storage
    access.decide(storage, Change.GRANT, "boss", Role.APPROVER, "w", AT, "boss")
    access.decide(storage, Change.GRANT, "job", Role.SERVICE, "w", AT, "boss")
    return tmp_path


def builds(lake: Path, person: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, when it is imported first
        from serve.application import build_app
    with operated_by(person):
        return build_app({"lake": str(lake)}) is not None


def denials(lake: Path) -> list[tuple[str, str, str]]:
    return [(row["actor"], row["object"], row["result"]) for row in rows(lake, AUDIT) if row["action"] == "access.denied"]


def test_an_application_is_built_only_for_who_may_serve_the_lake_and_a_denial_is_written_down(lake: Path) -> None:
    with pytest.raises(AccessDenied, match="mallory \\(no role\\) may not serve: that needs the role engineer or service"):
        builds(lake, "mallory")
    assert denials(lake) == [("mallory", "serve", "denied")]
    assert builds(lake, "job")
    assert len(denials(lake)) == 1
    assert not sys.modules["ray"].is_initialized()


def test_of_a_lake_without_roles_everybody_builds_one(tmp_path: Path) -> None:
    create(Storage(str(tmp_path)), bytes(range(16)))
    assert builds(tmp_path, "anybody")


def test_where_a_token_is_demanded_one_is_needed_to_serve(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(lake))
    with issuer() as bank:
        named = identity.issuer_of(ISSUER, AUDIENCE, bank.url, lambda _: b"")
        access.decide(storage, Change.GRANT, "oidc:deployer", Role.SERVICE, "w", AT, "boss")
        access.decide(storage, Change.GRANT, "oidc:ada", Role.APPROVER, "w", AT, "boss")
        by = identity.Decider("oidc:ada", None, lambda _: dict(json.loads(bank.published())), 0.0)
        roles = access.grants(storage)
        identity.decide(storage, identity.Change.TRUST, named, "w", AT, by, roles)
        identity.decide(storage, identity.Change.DEMAND, None, "w", AT, by, roles)
        with pytest.raises(AccessDenied, match="job is not let in: this lake lets in nobody without a signed identity"):
            builds(lake, "job")
        monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", bank.token(sub="deployer"))
        assert builds(lake, "job")
        monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", bank.token(sub="deployer", exp=1))
        with pytest.raises(AccessDenied, match="the token has expired"):
            builds(lake, "job")
    assert [actor for actor, _, _ in denials(lake)] == ["job", "job"]
