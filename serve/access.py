"""Who calls, and what they may do: the credentials of a request as a client with scopes.

What a key or a token is worth is decided elsewhere (``serve.keys``, ``serve.oidc``); here is what both of them give.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from app.errors import LeofricError

KEY_PREFIX = "leofric_"
_LONGEST = 16 * 1024  # tokens of real issuers are 1-4 KiB; nothing longer is worth an RSA operation


class Scope(StrEnum):
    """What a client may do."""

    VALIDATE = "validate"
    SCORE = "score"
    METRICS = "metrics"
    REVIEW = "review"  # see quarantined records, people's data too; propose corrections, and reject proposals
    APPROVE = "approve"  # approve what others proposed


@dataclass(frozen=True)
class Client:
    """Who calls. ``name`` goes into logs and is what rates are counted by; tokens' names begin with ``oidc:``, no key's name can."""

    name: str
    scopes: frozenset[str]


INSECURE_LOCAL = Client("insecure_local", frozenset(Scope))
"""Everybody, where the service was started with --insecure-local; no key's name has an underscore."""


class Unauthenticated(LeofricError):
    """It is not known who calls (HTTP 401); ``why`` is for the caller, and says nothing that the caller did not know."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Forbidden(LeofricError):
    """The client is known, and lacks this scope (HTTP 403)."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope

    def __str__(self) -> str:
        return f"this needs the scope {self.scope}, which the client does not have"


class CannotAuthenticate(LeofricError):
    """The credentials may be good, but cannot be judged now: the issuer's keys are not to be had (HTTP 503)."""


@dataclass(frozen=True)
class Authenticator:
    """``client_of_key`` gives the client of an API key, or None; ``client_of_token`` that of a JWT, or raises what it is.

    Functions, so that a service can exchange its keys while it runs. Without ``client_of_token`` no JWT is accepted. ``token_waits``
    says whether the issuer has to be asked for its keys before a JWT is verified.
    """

    client_of_key: Callable[[str], Client | None]
    client_of_token: Callable[[str], Client] | None = None
    token_waits: Callable[[str], bool] = lambda _: False

    def waits(self, authorization: str | None) -> bool:
        """Whether ``authenticate`` may take seconds, and is no work for an event loop."""
        if self.client_of_token is None:
            return False
        try:
            token = _bearer(authorization)
        except Unauthenticated:
            return False
        return not token.startswith(KEY_PREFIX) and self.token_waits(token)

    def authenticate(self, authorization: str | None) -> Client:
        """The client that an Authorization header names.

        Unauthenticated if it names none; CannotAuthenticate if that cannot be known now.
        """
        token = _bearer(authorization)
        if token.startswith(KEY_PREFIX):
            client = self.client_of_key(token)
            if client is None:
                # One sentence for a wrong, an unknown and a revoked key: which names there are is nobody's business.
                raise Unauthenticated("the API key is not valid")
            return client
        if self.client_of_token is None:
            raise Unauthenticated("the token is no API key, and this service accepts nothing else")
        return self.client_of_token(token)


def require(client: Client, scope: Scope) -> None:
    """Forbidden unless the client has the scope."""
    if scope not in client.scopes:
        raise Forbidden(scope.value)


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unauthenticated("there are no credentials; send the header Authorization: Bearer <API key or token>")
    scheme, _, token = authorization.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("the header Authorization must be: Bearer <API key or token>")
    if len(token) > _LONGEST or not token.isascii():
        raise Unauthenticated("the credentials are too long, or not ASCII")
    return token
