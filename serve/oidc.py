"""Tokens of an OpenID Connect issuer: JWTs (RFC 7519) that are verified by the keys that the issuer publishes (RFC 7517)."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
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

from app.compliance.identity import LARGEST_JWKS, Keys, is_here, jwks_of, name_of, named_key, usable, verified
from app.errors import TokenRefused
from serve.access import CannotAuthenticate, Client, Scope, Unauthenticated

FETCH_SECONDS: Final = 3.0
_SCOPE_CLAIMS = ("scope", "scp", "roles")

_log = logging.getLogger(__name__)

Fetch = Callable[[], Mapping[str, object]]
"""Gets the issuer's JWKS; OSError or ValueError if that fails."""


class IssuerKeys:
    """The issuer's public keys (``app.compliance.identity``), kept fresh.

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
        self._keys: Keys = {}
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
            self._keys = usable(self._fetch())
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
            kid, algorithm = named_key(token)
            claims = verified(token, self.keys.find(kid, algorithm), self.issuer, self.audience, self.clock())
            return Client(name_of(claims), _scopes(claims))
        except TokenRefused as error:
            raise Unauthenticated(str(error)) from None

    def waits(self, token: str) -> bool:
        """Whether ``client_of`` asks the issuer for its keys: seconds, if it does not answer."""
        try:
            kid, algorithm = named_key(token)
        except TokenRefused:
            return False
        return not self.keys.has(kid, algorithm)


def fetch_from(url: str, seconds: float = FETCH_SECONDS) -> Fetch:
    """How to get the JWKS of a URL; UsageError unless it is https, or http to this very machine.

    Redirects are not followed: the keys to the service come from the place that was named, and over the scheme that was named.
    """
    here = is_here(url)
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
            data = answer.read(LARGEST_JWKS + 1)
    except HTTPError as error:
        error.close()
        raise OSError(f"{url} answered {error.code}") from None
    except HTTPException as error:
        raise OSError(f"{url} broke off: {error!r}") from None
    return jwks_of(data, url)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Only the first claim counts: together, a user's roles would widen what an application was allowed to do in his name."""
    granted = next((claims[name] for name in _SCOPE_CLAIMS if name in claims), ())
    words = granted.split(" ") if isinstance(granted, str) else granted if isinstance(granted, list) else ()
    return frozenset(scope.value for scope in Scope if scope.value in words)
