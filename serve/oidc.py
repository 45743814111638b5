"""Tokens of an OpenID Connect issuer: JWTs (RFC 7519) that are verified by the keys that the issuer publishes (RFC 7517)."""

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.errors import UsageError
from serve.access import CannotAuthenticate, Client, Scope, Unauthenticated

LEEWAY_SECONDS: Final = 30
FETCH_SECONDS: Final = 3.0
_LARGEST_JWKS = 1024 * 1024
_RSA_BITS = 2048  # RFC 7518, section 3.3: at least
_LONGEST_SUBJECT = 255  # OpenID Connect Core, section 2
_SCOPE_CLAIMS = ("scope", "scp", "roles")
_HERE = frozenset({"127.0.0.1", "localhost"})

_log = logging.getLogger(__name__)

Fetch = Callable[[], Mapping[str, object]]
"""Gets the issuer's JWKS; OSError or ValueError if that fails."""


class IssuerKeys:
    """The issuer's public keys, by ``kid`` and algorithm: an RSA key verifies RS256, one on P-256 ES256, and no other key anything.

    They are fetched anew after ``fresh_seconds``, and when a token names a key that is not there, since the issuer may just have
    changed it; but at most once in ``pause_seconds``, so that nobody can make the service call the issuer for each token he invents.
    While fetching fails, the old keys serve until they are ``oldest_seconds`` old.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        fresh_seconds: float = 300.0,
        oldest_seconds: float = 86_400.0,
        pause_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._fresh_seconds = fresh_seconds
        self._oldest_seconds = oldest_seconds
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._keys: Mapping[tuple[str, str], jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -math.inf
        self._fetching = threading.Lock()

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key, or None if the issuer has none such; CannotAuthenticate if its keys are not to be had."""
        now = self._clock()
        if now - self._fetched_at >= self._fresh_seconds:
            # Who has usable keys need not wait while another thread gets newer ones.
            self._refresh(now, wait=now - self._fetched_at >= self._oldest_seconds)
        if (kid, algorithm) not in self._keys:
            self._refresh(now, wait=True)
        if now - self._fetched_at >= self._oldest_seconds:
            raise CannotAuthenticate(
                "tokens cannot be verified now: the issuer's keys cannot be fetched; try again later, or use an API key"
            )
        return self._keys.get((kid, algorithm))

    def has(self, kid: str, algorithm: str) -> bool:
        """Whether ``find`` has the key at hand, and asks nobody."""
        return self._clock() - self._fetched_at < self._fresh_seconds and (kid, algorithm) in self._keys

    def keep_fresh(self) -> None:
        """Fetch the keys well before they are needed anew, so that no token has to wait for it; call it now and then."""
        now = self._clock()
        if now - self._fetched_at >= self._fresh_seconds / 2:
            self._refresh(now, wait=False)

    def _refresh(self, now: float, *, wait: bool) -> None:
        if not self._fetching.acquire(blocking=wait):
            return
        try:
            if now - self._tried_at < self._pause_seconds:  # the thread that was waited for has tried
                return
            self._tried_at = now
            self._keys = _usable(self._fetch())
            self._fetched_at = now
        except (OSError, ValueError) as error:
            _log.warning("the issuer's keys could not be fetched: %s", error)
        finally:
            self._fetching.release()


@dataclass(frozen=True)
class Verifier:
    """Verifies the tokens of one issuer for one audience; ``clock`` gives seconds since 1970."""

    issuer: str
    audience: str
    keys: IssuerKeys
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def client_of(self, token: str) -> Client:
        """The client that a token names, with those of its scopes that are known here.

        A token must name its key (``kid``) and have ``iss``, ``aud``, ``sub`` and ``exp``. Scopes are those of the first of ``scope``,
        ``scp`` and ``roles`` that it has, as a list or separated by spaces. Unauthenticated says what is wrong with a token;
        CannotAuthenticate that the issuer's keys are not to be had.
        """
        try:
            claims = self._verified(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated(_sentence(error)) from None
        self._check_times(claims)
        subject = claims["sub"]
        if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            raise Unauthenticated("the token's sub cannot be a client's name")
        return Client(f"oidc:{subject}", _scopes(claims))

    def waits(self, token: str) -> bool:
        """Whether ``client_of`` asks the issuer for its keys: seconds, if it does not answer."""
        try:
            kid, algorithm = _named_key(token)
        except (jwt.PyJWTError, ValueError, Unauthenticated):
            return False
        return not self.keys.has(kid, algorithm)

    def _verified(self, token: str) -> dict[str, Any]:
        kid, algorithm = _named_key(token)
        key = self.keys.find(kid, algorithm)
        if key is None:
            raise Unauthenticated("the token is signed with a key that the issuer does not publish")
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self.audience,
            issuer=self.issuer,
            # The library reads the computer's clock; times are checked by ours below.
            options={"require": ["iss", "aud", "sub", "exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self.clock()
        if now >= _instant(claims["exp"]) + LEEWAY_SECONDS:
            raise Unauthenticated("the token has expired")
        if "nbf" in claims and now < _instant(claims["nbf"]) - LEEWAY_SECONDS:
            raise Unauthenticated("the token is not valid yet")


def _named_key(token: str) -> tuple[str, str]:
    """The kid and algorithm in a token's header. It only chooses among the issuer's keys; which algorithm goes with a key is the key's."""
    header = jwt.get_unverified_header(token)
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(algorithm, str) or algorithm not in _ALGORITHMS or "crit" in header:
        raise Unauthenticated("the token must be signed with RS256 or ES256 and name its key (kid), without critical extensions")
    return kid, algorithm


def fetch_from(url: str, seconds: float = FETCH_SECONDS) -> Fetch:
    """How to get the JWKS of a URL; UsageError unless it is https, or http to this very machine.

    Redirects are not followed: the keys to the service come from the place that was named, and over the scheme that was named.
    """
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in _HERE
    if not (here or (parts.scheme == "https" and parts.hostname)):
        raise UsageError(f"{url}: the issuer's keys are fetched by https:// only, or by http:// from 127.0.0.1 or localhost")
    opener = OpenerDirector()
    # The proxies of the environment are for what is outside.
    for handler in (
        ProxyHandler({} if here else None),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
        UnknownHandler(),
    ):
        opener.add_handler(handler)
    return lambda: _fetched(opener, url, seconds)


def _fetched(opener: OpenerDirector, url: str, seconds: float) -> Mapping[str, object]:
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310  # fetch_from has checked the scheme
    try:
        with opener.open(request, timeout=seconds) as answer:
            data = answer.read(_LARGEST_JWKS + 1)
    except HTTPError as error:
        error.close()
        raise OSError(f"{url} answered {error.code}") from None
    except HTTPException as error:
        raise OSError(f"{url} broke off: {error!r}") from None
    if len(data) > _LARGEST_JWKS:
        raise ValueError(f"{url} answered with more than {_LARGEST_JWKS} bytes")
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError(f"{url} answered with JSON that is nested too deep") from None
    if not isinstance(document, dict):
        raise ValueError(f"{url} answered with no JSON object")  # noqa: TRY004  # the data is wrong, not a caller's argument
    return document


def _usable(document: Mapping[str, object]) -> Mapping[tuple[str, str], jwt.PyJWK]:
    """The keys that can verify a token here; ValueError if there is none: an issuer without keys has made a mistake."""
    listed = document.get("keys")
    keys = {}
    for data in listed if isinstance(listed, list) else ():
        key = _usable_key(data)
        if key is not None:
            keys[data["kid"], key.algorithm_name] = key
    if not keys:
        raise ValueError("there is no key for RS256 or ES256 with a kid")
    return keys


def _usable_key(data: object) -> jwt.PyJWK | None:
    if not isinstance(data, dict) or not isinstance(data.get("kid"), str) or data.get("use", "sig") != "sig":
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(data.get("kty")))
    if algorithm is None or data.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(data, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return key if _ALGORITHMS[algorithm](key.key) else None


def _is_rsa(key: object) -> bool:
    return isinstance(key, RSAPublicKey) and key.key_size >= _RSA_BITS


def _is_p256(key: object) -> bool:
    return isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1"


_ALGORITHMS: Final[Mapping[str, Callable[[object], bool]]] = {"RS256": _is_rsa, "ES256": _is_p256}


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Only the first claim counts: together, a user's roles would widen what an application was allowed to do in his name."""
    granted = next((claims[name] for name in _SCOPE_CLAIMS if name in claims), ())
    words = granted.split(" ") if isinstance(granted, str) else granted if isinstance(granted, list) else ()
    return frozenset(scope.value for scope in Scope if scope.value in words)


def _instant(value: object) -> float:
    # JSON as Python reads it has NaN, which is before and after nothing, and Infinity, which never comes.
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise Unauthenticated("the token's exp and nbf must be numbers")
    return value


def _sentence(error: Exception) -> str:
    """What is wrong, in words of ours: the library's may have the token's in them."""
    match error:
        case jwt.MissingRequiredClaimError():
            return f"the token has no {error.claim}"
        case jwt.InvalidIssuerError():
            return "the token is of another issuer"
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.InvalidSignatureError():
            return "the token's signature does not hold"
        case _:
            return "the token is no JWT that can be read"
