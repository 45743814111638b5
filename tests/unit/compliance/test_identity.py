"""Tokens by keys that are given; how the service takes them is tests/unit/serve/test_oidc.py, which holds the same functions."""

import json
from typing import Any

import pytest

from app.compliance.identity import LONGEST, Keys, is_here, jwks_of, person_of, public_part, usable
from app.errors import TokenRefused, UsageError
from tests.support.issuer import AUDIENCE, ISSUER, Issuer, now_s

KNOWN = Issuer()


@pytest.fixture(scope="module")
def keys() -> Keys:
    return usable(json.loads(KNOWN.published()))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token_says_who_somebody_is(keys: Keys, algorithm: str) -> None:
    assert person_of(KNOWN.token(algorithm, sub="ada"), keys, ISSUER, AUDIENCE, now_s()) == "oidc:ada"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": 1}, "has expired"),
        ({"nbf": 2**40}, "not valid yet"),
        ({"aud": "other"}, "another audience"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"kid": "unknown"}, "does not publish"),
        ({"sub": "a\nb"}, "cannot be a client's name"),
    ],
)
def test_a_token_that_does_not_hold_is_refused_in_words_of_ours(keys: Keys, changed: dict[str, Any], why: str) -> None:
    token = KNOWN.token(**changed)
    with pytest.raises(TokenRefused, match=why) as caught:
        person_of(token, keys, ISSUER, AUDIENCE, now_s())
    assert token not in str(caught.value)


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c", "é.é.é", "x" * (LONGEST + 1)])
def test_what_is_no_token_is_refused(keys: Keys, text: str) -> None:
    with pytest.raises(TokenRefused):
        person_of(text, keys, ISSUER, AUDIENCE, now_s())


def test_of_a_key_file_only_public_keys_that_are_usable_are_kept() -> None:
    document = json.loads(KNOWN.published())
    private = {"kty": "RSA", "kid": "p", "d": "AQAB", "n": "AQAB", "e": "AQAB"}
    assert public_part({"keys": [private, *document["keys"]], "more": "text"}) == document
    with pytest.raises(ValueError, match="no key for RS256 or ES256"):
        public_part({"keys": [private]})


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b"[" * 100_000, b'{"keys": 1}', b"x" * 1_048_577])
def test_what_is_no_key_file_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="keys.json|no key"):
        usable(jwks_of(data, "keys.json"))


def test_keys_are_fetched_over_https_or_from_this_machine() -> None:
    assert (is_here("https://login.bank.example/jwks"), is_here("http://127.0.0.1:1/jwks")) == (False, True)
    for url in ("http://login.bank.example/jwks", "file:///etc/jwks", "https://"):
        with pytest.raises(UsageError, match="https:// only"):
            is_here(url)
