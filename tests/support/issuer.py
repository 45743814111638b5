"""An OpenID issuer for tests: it publishes keys over HTTP, and signs tokens."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://login.bank.example", "leofric"


def now_s() -> float:
    """Seconds since 1970."""
    return time.time()


@dataclass
class Issuer:
    """Publishes an RSA key r1 and a P-256 key e1; answers only while ``answers`` is set."""

    rsa_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ec_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    answers: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def token(self, algorithm: str = "RS256", **changed: Any) -> str:
        """A good token, changed; ``kid`` is in its header."""
        key, kid = (self.rsa_key, "r1") if algorithm == "RS256" else (self.ec_key, "e1")
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "gateway", "exp": int(time.time()) + 600, "scope": "validate score"} | changed
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": claims.pop("kid", kid)})

    def settings(self) -> dict[str, str]:
        """What a service that takes its tokens is started with."""
        return {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": self.url}

    def published(self) -> bytes:
        listed = [
            RSAAlgorithm.to_jwk(self.rsa_key.public_key(), as_dict=True) | {"kid": "r1"},
            ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True) | {"kid": "e1"},
        ]
        return json.dumps({"keys": [{name: value for name, value in key.items() if name != "key_ops"} for key in listed]}).encode()


@contextmanager
def issuer() -> Iterator[Issuer]:
    """An issuer that answers."""
    found = Issuer()
    found.answers.set()

    class Publishes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.set()
            found.answers.wait(60)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(found.published())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Publishes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}/jwks"
        try:
            yield found
        finally:
            found.answers.set()
            server.shutdown()
            thread.join()
