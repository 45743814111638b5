"""Signed identities: whether a JWT (RFC 7519) of an OpenID Connect issuer holds, by keys that are given (RFC 7517).

The one place that judges a token, for the service and for commands: who fetches the keys is elsewhere, and so is the clock.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.compliance.access import SIGNED
from app.errors import TokenRefused, UsageError

LEEWAY_SECONDS: Final = 30
LARGEST_JWKS: Final = 1024 * 1024
LONGEST: Final = 16 * 1024
"""Tokens of real issuers are 1-4 KiB; nothing longer is worth an RSA operation."""

_RSA_BITS: Final = 2048  # RFC 7518, section 3.3: at least
_LONGEST_SUBJECT: Final = 255  # OpenID Connect Core, section 2
_HERE: Final = frozenset({"127.0.0.1", "localhost"})

Keys = Mapping[tuple[str, str], jwt.PyJWK]
"""An issuer's public keys, by ``kid`` and algorithm: an RSA key verifies RS256, one on P-256 ES256, and no other key anything."""


def named_key(token: str) -> tuple[str, str]:
    """The kid and algorithm in a token's header. It only chooses among the issuer's keys; which algorithm goes with a key is the key's.

    TokenRefused if it names none that can be, or is no token.
    """
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefused(_sentence(error)) from None
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(algorithm, str) or algorithm not in _ALGORITHMS or "crit" in header:
        raise TokenRefused("the token must be signed with RS256 or ES256 and name its key (kid), without critical extensions")
    return kid, algorithm


def verified(token: str, key: jwt.PyJWK | None, issuer: str, audience: str, now: float) -> dict[str, Any]:
    """The claims of a token that holds; ``key`` is the one that it names, None if the issuer has none such; ``now`` in seconds since 1970.

    It must have ``iss``, ``aud``, ``sub`` and ``exp``. TokenRefused says what is wrong, and never has anything of the token in it.
    """
    if key is None:
        raise TokenRefused("the token is signed with a key that the issuer does not publish")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            issuer=issuer,
            # The library reads the computer's clock; times are checked by ours below.
            options={"require": ["iss", "aud", "sub", "exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefused(_sentence(error)) from None
    if now >= _instant(claims["exp"]) + LEEWAY_SECONDS:
        raise TokenRefused("the token has expired")
    if "nbf" in claims and now < _instant(claims["nbf"]) - LEEWAY_SECONDS:
        raise TokenRefused("the token is not valid yet")
    return claims


def name_of(claims: Mapping[str, Any]) -> str:
    """What the subject of a token is called here; TokenRefused if it would spoil a log."""
    subject = claims["sub"]
    if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise TokenRefused("the token's sub cannot be a client's name")
    return SIGNED + str(subject)


def person_of(token: str, keys: Keys, issuer: str, audience: str, now: float) -> str:
    """Who a token says somebody is, by all of an issuer's keys; TokenRefused as for ``verified``."""
    if len(token) > LONGEST or not token.isascii():
        raise TokenRefused("the token is too long, or not ASCII")
    return name_of(verified(token, keys.get(named_key(token)), issuer, audience, now))


def usable(document: Mapping[str, object]) -> Keys:
    """The keys of a JWKS that can verify a token here; ValueError if there is none: an issuer without keys has made a mistake."""
    listed = document.get("keys")
    keys = {}
    for data in listed if isinstance(listed, list) else ():
        key = _usable_key(data)
        if key is not None:
            keys[data["kid"], key.algorithm_name] = key
    if not keys:
        raise ValueError("there is no key for RS256 or ES256 with a kid")
    return keys


def public_part(document: Mapping[str, object]) -> dict[str, object]:
    """A JWKS with nothing but the keys that can verify a token here; ValueError if there is none."""
    usable(document)
    listed = document["keys"]
    return {"keys": [data for data in listed if _usable_key(data) is not None] if isinstance(listed, list) else []}


def jwks_of(data: bytes, place: str) -> dict[str, object]:
    """A JWKS as an issuer's address or a file gives it; ValueError, which names the place, if it is none."""
    if len(data) > LARGEST_JWKS:
        raise ValueError(f"{place} has more than {LARGEST_JWKS} bytes")
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError(f"{place} has JSON that is nested too deep") from None
    except ValueError:
        raise ValueError(f"{place} has no JSON") from None
    if not isinstance(document, dict):
        raise ValueError(f"{place} has no JSON object")  # noqa: TRY004  # the data is wrong, not a caller's argument
    return document


def is_here(url: str) -> bool:
    """Whether an issuer's keys are on this very machine; UsageError unless the address is https, or http to this machine."""
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in _HERE
    if not (here or (parts.scheme == "https" and parts.hostname)):
        raise UsageError(f"{url}: the issuer's keys are fetched by https:// only, or by http:// from 127.0.0.1 or localhost")
    return here


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


def _instant(value: object) -> float:
    # JSON as Python reads it has NaN, which is before and after nothing, and Infinity, which never comes.
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise TokenRefused("the token's exp and nbf must be numbers")
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
