import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.errors import UsageError
from serve.access import Authenticator, CannotAuthenticate, Client, Forbidden, Scope, Unauthenticated, require
from serve.oidc import IssuerKeys, Verifier, fetch_from

ISSUER, AUDIENCE = "https://login.bank.example", "leofric"
NOW = 1_772_614_800.0

RSA_KEY, OTHER_RSA_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
SHORT_RSA_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505  # that it is refused is what is tested
EC_KEY = ec.generate_private_key(ec.SECP256R1())
P384_KEY = ec.generate_private_key(ec.SECP384R1())
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


def public(key: PrivateKey, kid: str | None, **more: str) -> dict[str, Any]:
    data = RSAAlgorithm.to_jwk(key.public_key(), True) if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm.to_jwk(key.public_key(), True)
    data = {name: value for name, value in data.items() if name != "key_ops"}
    return data | ({} if kid is None else {"kid": kid}) | more


@dataclass
class Issuer:
    """What the issuer publishes, how often it was asked, and whether it answers."""

    keys: Any
    calls: int = 0
    fault: Exception | None = None

    def fetch(self) -> Mapping[str, object]:
        self.calls += 1
        if self.fault:
            raise self.fault
        return {"keys": self.keys}


@dataclass
class Setting:
    """An issuer with an RSA key r1 and an EC key e1, and who verifies its tokens."""

    clock: Clock = field(default_factory=Clock)
    issuer: Issuer = field(default_factory=lambda: Issuer([public(RSA_KEY, "r1", alg="RS256", use="sig"), public(EC_KEY, "e1")]))

    def __post_init__(self) -> None:
        self.keys = IssuerKeys(self.issuer.fetch, fresh_seconds=300, oldest_seconds=3600, pause_seconds=30, clock=self.clock)
        self.verifier = Verifier(ISSUER, AUDIENCE, self.keys, self.clock)

    def refuses(self, token: str, why: str) -> None:
        with pytest.raises(Unauthenticated, match=why) as caught:
            self.verifier.client_of(token)
        assert token not in caught.value.why


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims, changed; those that are changed to None are left out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "gateway", "exp": int(NOW) + 600, "scope": "score"}
    return {name: value for name, value in (good | changed).items() if value is not None}


def token(
    key: PrivateKey = RSA_KEY, kid: str | None = "r1", algorithm: str = "RS256", header: Mapping[str, Any] | None = None, **changed: Any
) -> str:
    headers = ({} if kid is None else {"kid": kid}) | dict(header or {})
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers=headers)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: Mapping[str, Any], payload: Mapping[str, Any], secret: bytes | None) -> str:
    """A token as an attacker writes it, whom no library holds back."""
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, payload))
    return f"{signed}.{base64url(hmac.digest(secret, signed.encode(), hashlib.sha256)) if secret is not None else ''}"


def test_a_token_signed_with_rs256_names_its_client() -> None:
    assert Setting().verifier.client_of(token()) == Client("oidc:gateway", frozenset({"score"}))


def test_a_token_signed_with_es256_names_its_client() -> None:
    assert Setting().verifier.client_of(token(EC_KEY, "e1", "ES256")) == Client("oidc:gateway", frozenset({"score"}))


def test_a_token_authenticates_a_request() -> None:
    authenticator = Authenticator(lambda _: None, Setting().verifier.client_of)
    assert authenticator.authenticate(f"Bearer {token()}").name == "oidc:gateway"


def test_a_token_for_many_audiences_is_accepted_if_this_is_one() -> None:
    setting = Setting()
    setting.verifier.client_of(token(aud=["other", AUDIENCE]))
    setting.refuses(token(aud=["other", "another"]), "another audience")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(alg: str) -> None:
    Setting().refuses(by_hand({"alg": alg, "kid": "r1"}, claims(), None), "RS256 or ES256")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_token_signed_with_hs256_and_the_public_key_as_the_secret_is_refused(encoding: Encoding) -> None:
    secret = RSA_KEY.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    Setting().refuses(by_hand({"alg": "HS256", "kid": "r1"}, claims(), secret), "RS256 or ES256")
    Setting().refuses(by_hand({"alg": "RS256", "kid": "r1"}, claims(), secret), "signature does not hold")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_with_the_right_key_are_refused(algorithm: str) -> None:
    Setting().refuses(token(algorithm=algorithm), "RS256 or ES256")


def test_an_algorithm_that_is_not_that_of_the_key_is_refused() -> None:
    setting = Setting()
    setting.refuses(token(EC_KEY, "r1", "ES256"), "does not publish")
    setting.refuses(token(RSA_KEY, "e1", "RS256"), "does not publish")


def test_a_token_signed_with_somebody_elses_key_is_refused() -> None:
    Setting().refuses(token(OTHER_RSA_KEY), "signature does not hold")


def test_a_token_that_brings_its_own_key_is_refused() -> None:
    own = {"jwk": public(OTHER_RSA_KEY, "r1"), "jku": "http://127.0.0.1:1/jwks", "x5u": "http://127.0.0.1:1/cert"}
    Setting().refuses(token(OTHER_RSA_KEY, header=own), "signature does not hold")


def test_a_token_with_another_payload_than_was_signed_is_refused() -> None:
    header, _, signature = token().split(".")
    payload = base64url(json.dumps(claims(scope="score validate metrics")).encode())
    Setting().refuses(f"{header}.{payload}.{signature}", "signature does not hold")


def test_a_token_with_another_header_than_was_signed_is_refused() -> None:
    _, payload, signature = token().split(".")
    header = base64url(json.dumps({"alg": "RS256", "kid": "r1", "typ": "at+jwt"}).encode())
    Setting().refuses(f"{header}.{payload}.{signature}", "signature does not hold")


def test_a_token_whose_signature_was_cut_off_is_refused() -> None:
    Setting().refuses(token().rpartition(".")[0] + ".", "signature does not hold")


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "...", "é.é.é", "\udcff.a.b", token() + ".more", "." + token(), "W10.W10.W10"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        Setting().verifier.client_of(text)


@pytest.mark.parametrize("header", [{"alg": []}, {"alg": {}}, {"alg": 1}, {}, {"alg": "RS256", "kid": 1}, {"alg": "RS256", "kid": []}])
def test_a_header_of_wrong_types_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        Setting().verifier.client_of(by_hand({"kid": "r1"} | header, claims(), b"x"))


def test_a_token_that_does_not_name_its_key_is_refused() -> None:
    Setting().refuses(token(kid=None), "name its key")


def test_a_token_with_critical_extensions_is_refused() -> None:
    Setting().refuses(token(header={"crit": ["exp"]}), "no JWT|critical")


@pytest.mark.parametrize("issuer", ["https://evil.example", ISSUER + "/", ISSUER.upper(), ""])
def test_a_token_of_another_issuer_is_refused(issuer: str) -> None:
    Setting().refuses(token(iss=issuer), "another issuer")


@pytest.mark.parametrize("audience", ["other", "leofric2", "LEOFRIC", "", []])
def test_a_token_for_another_audience_is_refused(audience: object) -> None:
    Setting().refuses(token(aud=audience), "another audience|has no aud")


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp"])
def test_a_token_that_lacks_a_claim_is_refused(name: str) -> None:
    changed: dict[str, Any] = {name: None}
    Setting().refuses(token(**changed), f"has no {name}")


def test_a_token_is_good_until_30_seconds_after_it_expires() -> None:
    setting = Setting()
    setting.verifier.client_of(token(exp=NOW - 29))
    setting.refuses(token(exp=NOW - 30), "has expired")
    setting.refuses(token(exp=0), "has expired")


def test_a_token_is_good_from_30_seconds_before_its_beginning() -> None:
    setting = Setting()
    setting.verifier.client_of(token(nbf=NOW + 30))
    setting.refuses(token(nbf=NOW + 31), "not valid yet")


def test_a_token_expires_while_its_issuers_keys_do_not() -> None:
    setting = Setting()
    sent = token(exp=NOW + 100)
    setting.verifier.client_of(sent)
    setting.clock.now += 131
    setting.refuses(sent, "has expired")


@pytest.mark.parametrize("wrong", ["soon", str(int(NOW) + 600), True, [], {}, float("nan"), float("inf")])
def test_times_that_are_no_numbers_are_refused(wrong: object) -> None:
    Setting().refuses(token(exp=wrong), "must be numbers")
    Setting().refuses(token(nbf=wrong), "must be numbers")


@pytest.mark.parametrize("subject", ["", "a\nb", "x" * 256])
def test_a_subject_that_would_spoil_a_log_is_refused(subject: str) -> None:
    Setting().refuses(token(sub=subject), "cannot be a client's name")


@pytest.mark.parametrize(
    ("changed", "scopes"),
    [
        ({"scope": "openid score  validate"}, {"score", "validate"}),
        ({"scope": None, "scp": "score metrics"}, {"score", "metrics"}),
        ({"scope": None, "scp": ["score", "other"]}, {"score"}),
        ({"scope": None, "roles": ["validate"]}, {"validate"}),
        ({"scope": "score", "roles": ["metrics"]}, {"score"}),
        ({"scope": "SCORE scores"}, set()),
        ({"scope": ""}, set()),
        ({"scope": 7}, set()),
        ({"scope": None, "roles": [["score"], {"score": 1}, 1]}, set()),
        ({"scope": None, "roles": {"score": True}}, set()),
    ],
)
def test_scopes_are_those_of_the_first_claim_that_has_them(changed: dict[str, Any], scopes: set[str]) -> None:
    assert Setting().verifier.client_of(token(**changed)).scopes == scopes


def test_a_token_without_scopes_names_a_client_that_may_do_nothing() -> None:
    client = Setting().verifier.client_of(token(scope=None))
    for scope in Scope:
        with pytest.raises(Forbidden):
            require(client, scope)


def test_keys_are_fetched_once_while_they_are_fresh() -> None:
    setting = Setting()
    for _ in range(5):
        setting.verifier.client_of(token())
    setting.clock.now += 299
    setting.verifier.client_of(token())
    assert setting.issuer.calls == 1
    setting.clock.now += 1
    setting.verifier.client_of(token())
    assert setting.issuer.calls == 2


def test_a_key_that_the_issuer_has_just_begun_to_use_is_fetched() -> None:
    setting = Setting()
    setting.verifier.client_of(token())
    setting.issuer.keys.append(public(OTHER_RSA_KEY, "r2"))
    setting.clock.now += 60
    assert setting.verifier.client_of(token(OTHER_RSA_KEY, "r2")).name == "oidc:gateway"
    assert setting.issuer.calls == 2


def test_a_key_that_the_issuer_has_withdrawn_is_not_accepted_once_the_keys_are_fetched_anew() -> None:
    setting = Setting()
    sent = token()
    setting.verifier.client_of(sent)
    setting.issuer.keys = [public(OTHER_RSA_KEY, "r2")]
    setting.clock.now += 300
    setting.refuses(sent, "does not publish")


def test_invented_keys_do_not_make_the_service_ask_the_issuer_again_and_again() -> None:
    setting = Setting()
    setting.verifier.client_of(token())
    setting.clock.now += 60
    for number in range(50):
        setting.refuses(token(OTHER_RSA_KEY, f"invented-{number}"), "does not publish")
    assert setting.issuer.calls == 2
    setting.clock.now += 30
    setting.refuses(token(OTHER_RSA_KEY, "invented"), "does not publish")
    assert setting.issuer.calls == 3


@pytest.mark.parametrize("fault", [OSError("away"), TimeoutError(), ValueError("no JSON")])
def test_while_the_issuer_is_away_its_old_keys_serve_until_they_are_too_old(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.verifier.client_of(token())
    setting.issuer.fault = fault
    setting.clock.now += 3599
    setting.verifier.client_of(token(exp=NOW + 9000))
    assert "could not be fetched" in caplog.text
    setting.clock.now += 1
    with pytest.raises(CannotAuthenticate):
        setting.verifier.client_of(token(exp=NOW + 9000))


def test_an_issuer_that_is_away_is_asked_once_in_30_seconds() -> None:
    setting = Setting()
    setting.issuer.fault = OSError("away")
    for _ in range(10):
        with pytest.raises(CannotAuthenticate):
            setting.verifier.client_of(token())
    assert setting.issuer.calls == 1


def test_an_issuer_that_is_back_is_believed_again() -> None:
    setting = Setting()
    setting.issuer.fault = OSError("away")
    with pytest.raises(CannotAuthenticate):
        setting.verifier.client_of(token())
    setting.issuer.fault = None
    setting.clock.now += 30
    assert setting.verifier.client_of(token()).name == "oidc:gateway"


@pytest.mark.parametrize(
    "keys",
    [
        [],
        None,
        "keys",
        {"r1": {}},
        ["x", 1, None, []],
        [{}],
        [{"kid": "r1"}],
        [{"kid": "r1", "kty": "RSA"}],
        [{"kid": "r1", "kty": "RSA", "n": "!", "e": 1}],
        [{"kid": "r1", "kty": "RSA", "n": "AQAB", "e": "AQAB"}],
        [{"kid": "r1", "kty": "EC"}],
        [{"kid": "r1", "kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"}],
        [{"kid": "r1", "kty": []}],
    ],
)
def test_an_answer_without_a_usable_key_does_not_replace_the_keys(keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.verifier.client_of(token())
    setting.issuer.keys = keys
    setting.clock.now += 300
    assert setting.verifier.client_of(token()).name == "oidc:gateway"
    assert "no key for RS256 or ES256" in caplog.text
    assert setting.issuer.calls == 2


@pytest.mark.parametrize(
    ("published", "sent"),
    [
        (public(SHORT_RSA_KEY, "k"), None),
        (public(P384_KEY, "k"), token(P384_KEY, "k", "ES384")),
        (public(RSA_KEY, "k", use="enc"), token(kid="k")),
        (public(RSA_KEY, "k", alg="RS512"), token(kid="k")),
        (public(RSA_KEY, "k", alg="HS256"), token(kid="k")),
        (public(RSA_KEY, None), token(kid="k")),
        ({"kty": "oct", "kid": "k", "alg": "HS256", "k": base64url(b"s" * 32)}, by_hand({"alg": "HS256", "kid": "k"}, claims(), b"s" * 32)),
        (json.loads(RSAAlgorithm.to_jwk(RSA_KEY)) | {"kid": "k"}, token(kid="k")),
    ],
    ids=["short RSA", "P-384", "for encryption", "RS512", "HS256", "no kid", "a shared secret", "a private key"],
)
def test_keys_that_are_not_for_rs256_or_es256_verify_nothing(published: dict[str, Any], sent: str | None) -> None:
    setting = Setting(issuer=Issuer([public(EC_KEY, "e1"), published]))
    setting.verifier.client_of(token(EC_KEY, "e1", "ES256"))
    assert setting.keys.find("k", "RS256") is None
    if sent is not None:
        setting.refuses(sent, "does not publish|RS256 or ES256")


def test_two_keys_of_one_kid_and_different_kinds_are_told_apart() -> None:
    setting = Setting(issuer=Issuer([public(RSA_KEY, "k"), public(EC_KEY, "k")]))
    setting.verifier.client_of(token(kid="k"))
    setting.verifier.client_of(token(EC_KEY, "k", "ES256"))


def test_threads_that_need_the_first_keys_wait_for_one_fetch() -> None:
    setting = Setting()
    began, go_on = threading.Event(), threading.Event()

    def slow() -> Mapping[str, object]:
        began.set()
        assert go_on.wait(10)
        return setting.issuer.fetch()

    verifier = Verifier(ISSUER, AUDIENCE, IssuerKeys(slow, clock=setting.clock), setting.clock)
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(verifier.client_of(token()).name)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert began.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert (names, setting.issuer.calls) == (["oidc:gateway"] * 4, 1)


def test_nobody_with_usable_keys_waits_while_newer_ones_are_fetched() -> None:
    setting = Setting()
    began, go_on = threading.Event(), threading.Event()
    go_on.set()

    def slow() -> Mapping[str, object]:
        began.set()
        assert go_on.wait(10)
        return setting.issuer.fetch()

    verifier = Verifier(ISSUER, AUDIENCE, IssuerKeys(slow, fresh_seconds=60, clock=setting.clock), setting.clock)
    verifier.client_of(token())
    began.clear()
    go_on.clear()
    setting.clock.now += 60
    refreshing = threading.Thread(target=lambda: verifier.client_of(token()))
    refreshing.start()
    assert began.wait(10)
    assert verifier.client_of(token()).name == "oidc:gateway"
    go_on.set()
    refreshing.join(10)
    assert setting.issuer.calls == 2


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        answers = {
            "/jwks": json.dumps({"keys": [public(RSA_KEY, "r1")]}).encode(),
            "/list": b"[]",
            "/html": b"<html>",
            "/deep": b"[" * 200_000,
            "/large": b" " * (1024 * 1024 + 1),
        }
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/jwks")
            self.end_headers()
        elif self.path == "/slow":
            self.server.released.wait(10)  # type: ignore[attr-defined]  # set by the fixture
        elif self.path == "/garbage":
            self.wfile.write(b"garbage\r\n")
        elif self.path in answers:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answers[self.path])))
            self.end_headers()
            self.wfile.write(answers[self.path])
        else:
            self.send_error(500)

    def log_message(self, *args: object) -> None:
        """Tests print nothing."""


@contextmanager
def serving() -> Iterator[str]:
    released = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.released = released  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            released.set()
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


def test_keys_come_from_the_issuers_address(server: str) -> None:
    clock = Clock()
    verifier = Verifier(ISSUER, AUDIENCE, IssuerKeys(fetch_from(f"{server}/jwks"), clock=clock), clock)
    assert verifier.client_of(token()).name == "oidc:gateway"


def test_an_address_on_this_machine_is_reached_past_the_proxies_of_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch_from(f"{server}/jwks")()["keys"]


@pytest.mark.parametrize(
    ("path", "error", "why"),
    [
        ("missing", OSError, "answered 500"),
        ("redirect", OSError, "answered 302"),
        ("garbage", OSError, "broke off"),
        ("html", ValueError, "has no JSON$"),
        ("list", ValueError, "no JSON object"),
        ("deep", ValueError, "nested too deep"),
        ("large", ValueError, "more than 1048576 bytes"),
    ],
)
def test_an_answer_that_is_no_jwks_is_a_failed_fetch(server: str, path: str, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        fetch_from(f"{server}/{path}")()


def test_an_issuer_that_does_not_answer_in_time_is_a_failed_fetch(server: str) -> None:
    with pytest.raises(OSError, match="timed out"):
        fetch_from(f"{server}/slow", seconds=0.1)()


def test_an_issuer_that_is_not_there_is_a_failed_fetch() -> None:
    with pytest.raises(OSError, match="refused"):
        fetch_from("http://127.0.0.1:1/jwks")()


@pytest.mark.parametrize(
    "url", ["https://login.bank.example/jwks", "http://localhost:8080/jwks", "http://127.0.0.1/jwks", "HTTPS://login.bank.example"]
)
def test_addresses_by_https_or_on_this_machine_are_accepted(url: str) -> None:
    assert callable(fetch_from(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://login.bank.example/jwks",
        "http://127.0.0.1@login.bank.example/jwks",
        "http://localhost.bank.example/jwks",
        "file:///etc/passwd",
        "ftp://127.0.0.1/jwks",
        "https://",
        "login.bank.example/jwks",
        "",
    ],
)
def test_other_addresses_are_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError, match="https:// only"):
        fetch_from(url)


def test_a_token_waits_only_if_the_issuer_has_to_be_asked_for_its_key() -> None:
    setting = Setting()
    assert setting.verifier.waits(token())
    setting.keys.keep_fresh()
    assert not setting.verifier.waits(token())
    assert setting.verifier.waits(token(kid="r2"))
    setting.clock.now += 300
    assert setting.verifier.waits(token())


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", by_hand({"alg": "none", "kid": "r1"}, {}, None), token(kid=None), token(algorithm="PS256")]
)
def test_what_is_no_good_token_is_refused_at_once(text: str) -> None:
    setting = Setting()
    assert not setting.verifier.waits(text)
    assert setting.issuer.calls == 0


def test_keys_that_are_kept_fresh_are_fetched_before_a_token_would_have_to_wait() -> None:
    setting = Setting()
    for _ in range(400):
        setting.keys.keep_fresh()
        assert not setting.verifier.waits(token())
        setting.clock.now += 5
    assert setting.issuer.calls == 14


def test_keeping_fresh_asks_an_issuer_that_is_away_once_a_pause_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.issuer.fault = OSError("away")
    for _ in range(12):
        setting.keys.keep_fresh()
        setting.clock.now += 5
    assert setting.issuer.calls == 2
    assert [record.message for record in caplog.records] == ["the issuer's keys could not be fetched: away"] * 2
