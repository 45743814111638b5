import pickle

import pytest

from app.errors import LeofricError
from serve.access import (
    INSECURE_LOCAL,
    Authenticator,
    CannotAuthenticate,
    Client,
    Forbidden,
    Scope,
    Unauthenticated,
    require,
)

PAYMENTS = Client("payments", frozenset({Scope.SCORE}))
KEY = "leofric_payments_" + "x" * 43


def client_of_key(text: str) -> Client | None:
    return PAYMENTS if text == KEY else None


def client_of_token(token: str) -> Client:
    return Client(f"oidc:{token}", frozenset())


ONLY_KEYS = Authenticator(client_of_key)
BOTH = Authenticator(client_of_key, client_of_token)


def test_a_key_names_its_client() -> None:
    assert ONLY_KEYS.authenticate(f"Bearer {KEY}") == PAYMENTS


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case_and_followed_by_spaces(scheme: str) -> None:
    assert ONLY_KEYS.authenticate(f"{scheme} {KEY}") == PAYMENTS


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer{KEY}", f"Bearer {KEY} {KEY}", f"Bearer {KEY},"]
)
def test_a_header_that_is_no_bearer_with_one_key_names_nobody(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        ONLY_KEYS.authenticate(header)


@pytest.mark.parametrize("token", ["a" * 20_000, "leofric_é", "leofric_\udcff"])
def test_credentials_that_are_too_long_or_not_ascii_are_refused_unread(token: str) -> None:
    with pytest.raises(Unauthenticated, match="too long, or not ASCII"):
        BOTH.authenticate(f"Bearer {token}")


def test_what_does_not_begin_as_a_key_is_a_token_where_tokens_are_accepted() -> None:
    assert BOTH.authenticate("Bearer a.b.c").name == "oidc:a.b.c"


def test_what_begins_as_a_key_is_never_tried_as_a_token() -> None:
    with pytest.raises(Unauthenticated, match="API key is not valid"):
        BOTH.authenticate("Bearer leofric_a.b.c")


def test_a_token_is_refused_where_none_are_accepted() -> None:
    with pytest.raises(Unauthenticated, match="no API key"):
        ONLY_KEYS.authenticate("Bearer a.b.c")


def test_why_somebody_is_not_known_repeats_nothing_of_the_credentials() -> None:
    with pytest.raises(Unauthenticated) as caught:
        ONLY_KEYS.authenticate("Bearer leofric_payments_secret")
    assert "secret" not in caught.value.why


def test_a_client_may_do_what_its_scopes_say_and_nothing_else() -> None:
    require(PAYMENTS, Scope.SCORE)
    with pytest.raises(Forbidden, match="needs the scope metrics") as caught:
        require(PAYMENTS, Scope.METRICS)
    assert caught.value.scope == "metrics"


def test_the_insecure_local_client_may_do_everything() -> None:
    for scope in Scope:
        require(INSECURE_LOCAL, scope)


@pytest.mark.parametrize("error", [Unauthenticated("why"), Forbidden("score"), CannotAuthenticate("why")])
def test_errors_are_leofrics_and_pickle(error: LeofricError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize("authorization", [None, "", "Basic x", "Bearer", "Bearer leofric_payments_x", "Bearer " + "x" * 20_000])
def test_only_tokens_wait(authorization: str | None) -> None:
    client = Client("x", frozenset())
    authenticator = Authenticator(lambda _: client, lambda _: client, lambda _: True)
    assert not authenticator.waits(authorization)
    assert authenticator.waits("Bearer token")
    assert not Authenticator(lambda _: client).waits("Bearer token")
