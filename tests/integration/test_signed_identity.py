"""Who acts, by a token: on the command line and as a job that is given nothing but its environment."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

from app.contracts.lake import AUDIT
from app.lake.lake import create
from app.lake.storage import Storage
from app.settings import operated_by, operator
from pipelines.cli import app
from tests.support.issuer import AUDIENCE, ISSUER, Issuer, issuer, now_s
from tests.support.lake import load, rows
from tests.support.landing import records, write_csv

ROOT = Path(__file__).parents[2]
THIEF = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def bank() -> Iterator[Issuer]:
    """The bank's OpenID provider."""
    with issuer() as found:
        yield found


@pytest.fixture(scope="module")
def closed(bank: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that boss has closed, which takes the bank's tokens by a file of its keys."""
    folder, me = tmp_path_factory.mktemp("identity"), operator()
    (folder / "lake").mkdir()
    create(Storage(str(folder / "lake")), bytes(range(16)))
    (folder / "jwks.json").write_bytes(bank.published())
    with operated_by("boss"):
        for words in (
            ("grant", "boss", "approver"),
            ("trust-issuer", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", folder / "jwks.json"),
            *(("grant", person, role) for person, role in (("oidc:ada", "approver"), ("oidc:eve", "auditor"), ("oidc:job", "analyst"))),
            ("grant", me, "auditor"),
        ):
            done(leofric("access", *words, "--why", "w", "--lake", folder / "lake"))
    return folder / "lake"


@pytest.fixture
def lake(closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    for name in ("LEOFRIC_IDENTITY_TOKEN", "LEOFRIC_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Path(shutil.copytree(closed, tmp_path / "lake"))


@pytest.fixture
def demanding(lake: Path, bank: Issuer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lake, where ada has demanded tokens of all."""
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", bank.token(sub="ada"))
    done(leofric("access", "require-token", "--why", "jobs run as one user", "--lake", lake))
    monkeypatch.delenv("LEOFRIC_IDENTITY_TOKEN")
    return lake


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def done(ran: Any) -> Any:
    assert ran.exit_code == 0, ran.output
    return ran


def last(lake: Path) -> dict[str, Any]:
    """The last entry of the audit trail."""
    return max(rows(lake, AUDIT), key=lambda row: int(row["sequence"]))


def unsigned() -> str:
    parts = ({"alg": "none", "kid": "r1"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now_s() + 600})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def test_who_shows_a_token_is_its_subject_for_the_roles_and_in_the_trail(lake: Path, bank: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", bank.token("ES256", sub="ada"))
    said = json.loads(done(leofric("access", "whoami", "--json", "--lake", lake)).stdout)
    assert (said["person"], said["roles"], said["by"]) == ("oidc:ada", ["approver"], f"a token of {ISSUER} that {operator()} had")
    done(leofric("access", "grant", "oidc:bob", "analyst", "--why", "new here", "--lake", lake))
    entry = last(lake)
    assert (entry["actor"], entry["actor_kind"], entry["action"]) == ("oidc:ada", "person", "access.grant")
    assert entry["origin"].endswith(f", by a token of {ISSUER} that {operator()} had")
    denied = leofric("access", "grant", "oidc:ada", "reviewer", "--why", "w", "--lake", lake)
    assert (denied.exit_code, "nobody gives himself a role" in denied.stderr) == (3, True)


def test_a_token_may_be_in_a_file_and_the_keys_at_an_address(
    lake: Path, bank: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with operated_by("boss"):
        words = ("--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", bank.url, "--why", "keys change", "--lake", lake)
        done(leofric("access", "trust-issuer", *words))
    (tmp_path / "token").write_text(bank.token(sub="eve") + "\n")
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    assert done(leofric("access", "whoami", "--lake", lake)).stdout.startswith("oidc:eve: auditor\nby a token of")
    listed = json.loads(done(leofric("access", "list", "--json", "--lake", lake)).stdout)["tokens"]
    assert (listed["issuer"], listed["demanded"], listed["decisions"][-1]["issuer"]["jwks_url"]) == (ISSUER, False, bank.url)
    assert f"Tokens of {ISSUER} for {AUDIENCE} are taken." in done(leofric("access", "list", "--lake", lake)).stdout
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", "x")
    assert leofric("access", "whoami", "--lake", lake).exit_code == 2
    monkeypatch.delenv("LEOFRIC_IDENTITY_TOKEN")
    (tmp_path / "token").unlink()
    assert leofric("access", "whoami", "--lake", lake).exit_code == 2


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("expired", "the token has expired"),
        ("audience", "the token is for another audience"),
        ("issuer", "the token is of another issuer"),
        ("key", "the token's signature does not hold"),
        ("unsigned", "must be signed with RS256 or ES256"),
        ("garbage", "no JWT that can be read"),
        ("empty", "no JWT that can be read"),
    ],
)
def test_a_token_that_does_not_hold_is_denied_and_written_down_but_never_told(
    lake: Path, bank: Issuer, monkeypatch: pytest.MonkeyPatch, fault: str, why: str
) -> None:
    """Though the operating system's user alone would be let in: who shows a bad token is nobody."""
    token = {
        "expired": bank.token(sub="ada", exp=1),
        "audience": bank.token(sub="ada", aud="other"),
        "issuer": bank.token(sub="ada", iss="https://evil.example"),
        "key": Issuer(rsa_key=THIEF).token(sub="ada"),
        "unsigned": unsigned(),
        "garbage": "this-is-no-token",
        "empty": "",
    }[fault]
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", token)
    told = [leofric(*words, "--lake", lake) for words in (("access", "list"), ("access", "whoami"), ("tables",))]
    assert [ran.exit_code for ran in told] == [3, 3, 3]
    assert why in told[0].stderr.replace("\n", " ")
    entry = last(lake)
    assert (entry["actor"], entry["action"], entry["result"]) == (operator(), "access.denied", "denied")
    assert why in json.loads(entry["details"])["identity"]
    if token:
        assert all(token not in ran.output for ran in told)
        assert not [path for path in lake.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


def test_where_a_token_is_demanded_the_systems_user_alone_is_refused_whatever_the_environment_says(
    demanding: Path, bank: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LEOFRIC_IDENTITY_ISSUER", "x"), ("LEOFRIC_IDENTITY_REQUIRED", "false"), ("LEOFRIC_OPERATOR", "oidc:ada")):
        monkeypatch.setenv(name, value)
    with operated_by("boss"):
        ran = leofric("access", "list", "--lake", demanding)
    assert ran.exit_code == 3
    said = ran.stderr.replace("\n", " ")
    assert "boss is not let in: this lake lets in nobody without a signed identity" in said
    assert f"LEOFRIC_IDENTITY_TOKEN to a token of {ISSUER} for {AUDIENCE}" in said
    entry = last(demanding)
    assert (entry["actor"], entry["object"], entry["result"]) == ("boss", "list_grants", "denied")
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", bank.token(sub="ada"))
    assert "are demanded" in done(leofric("access", "list", "--lake", demanding)).stdout
    done(leofric("access", "forget-issuer", "--why", "it is over", "--lake", demanding))
    assert (last(demanding)["action"], last(demanding)["object_version"]) == ("access.identity", "3")
    monkeypatch.delenv("LEOFRIC_IDENTITY_TOKEN")
    with operated_by("boss"):
        done(leofric("access", "list", "--lake", demanding))


def test_a_lake_that_takes_no_tokens_goes_by_the_systems_user(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with operated_by("boss"):
        done(leofric("access", "forget-issuer", "--why", "w", "--lake", lake))
    monkeypatch.setenv("LEOFRIC_IDENTITY_TOKEN", "anything")
    assert done(leofric("access", "whoami", "--lake", lake)).stdout.startswith(f"{operator()}: auditor\nmay:")


def test_a_job_is_whom_the_token_in_its_environment_names(demanding: Path, bank: Issuer, tmp_path: Path) -> None:
    """What `ray job submit --runtime-env-json` gives a job: variables, and a user who is the same for all."""
    write_csv(tmp_path / "landing/a.csv", records(1, 3))
    load(tmp_path / "landing", demanding)
    (tmp_path / "labels.csv").write_text("transaction_id,is_suspicious\nT000001,1\n")
    runtime_env = {"env_vars": {"LEOFRIC_IDENTITY_TOKEN": bank.token(sub="job")}}

    def job(variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEOFRIC_")} | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pipelines", *words, "--lake", str(demanding)]
        return subprocess.run(command, env=inherited | variables, cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = job({}, "feedback", "import", "labels.csv")
    assert (refused.returncode, "nobody without a signed identity" in refused.stderr.replace("\n", " ")) == (3, True)
    ran = job(runtime_env["env_vars"], "feedback", "import", "labels.csv")
    assert ran.returncode == 0, ran.stderr
    entry = last(demanding)
    assert (entry["actor"], entry["action"], entry["result"]) == ("oidc:job", "feedback.import", "succeeded")
    assert f"by a token of {ISSUER}" in entry["origin"]
