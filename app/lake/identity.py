"""Whose tokens say who somebody is, in a lake: decisions that are never changed, as those about roles are; and who asks, by them.

The lake says it, and not the environment: whoever chose the issuer could be anybody. A lake that has decided nothing takes the operating
system's word, and no token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from app.compliance.access import SIGNED, Grants
from app.compliance.roles import Action
from app.errors import AccessDenied, AccessRefused, LakeDamaged, TokenRefused, UsageError
from app.lake import layout
from app.lake.storage import Storage

if TYPE_CHECKING:
    from app.compliance.identity import Keys

Fetch = Callable[[str], Mapping[str, object]]
"""Gets the JWKS of an address; OSError or ValueError if that fails."""


class Change(StrEnum):
    """What a decision about identities does."""

    TRUST = "trust"  # an issuer's tokens are taken
    DEMAND = "demand"  # and nobody is let in without one
    FORGET = "forget"  # none is taken any more


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are taken, for which audience, and where the keys are: at an address, or here."""

    issuer: str
    audience: str
    jwks_url: str | None
    jwks: dict[str, Any] | None


@dataclass(frozen=True)
class IdentityDecision:
    """One decision; ``issuer`` is the one that is trusted from then on."""

    number: int  # 1, 2, …
    change: Change
    issuer: Issuer | None
    why: str
    at: str
    by: str


@dataclass(frozen=True)
class Trust:
    """What a lake has decided: whose tokens it takes, and whether it lets in nobody without one."""

    decided: int = 0
    issuer: Issuer | None = None
    demanded: bool = False

    def lets_in(self, person: str) -> bool:
        """Whether somebody of this name can come at all."""
        signed = person.startswith(SIGNED)
        return not (self.demanded and not signed) and not (self.issuer is None and signed)


_STORED = TypeAdapter(IdentityDecision)


def decisions(storage: Storage) -> list[IdentityDecision]:
    """Every decision, in order; none where there is no folder. LakeDamaged if one is missing or cannot be read."""
    try:
        paths = sorted(entry.path for entry in storage.entries(layout.IDENTITIES))
    except FileNotFoundError:
        return []
    found = []
    for number, path in enumerate(paths, 1):
        if path != layout.identity_decision(number):
            raise LakeDamaged(f"{storage.uri(layout.identity_decision(number))} is missing: who may come in is not known; restore it")
        found.append(_read(storage, path, number))
    return found


def _read(storage: Storage, path: str, number: int) -> IdentityDecision:
    try:
        decision = _STORED.validate_json(bytes(storage.read(path)))
    except ValidationError:
        raise LakeDamaged(f"{storage.uri(path)} is no decision about identities; restore it") from None
    if decision.number != number:
        raise LakeDamaged(f"{storage.uri(path)} is decision {decision.number}; restore the one that belongs there")
    return decision


def trust(storage: Storage) -> Trust:
    """What the lake has decided by now; LakeDamaged as for ``decisions``."""
    known = Trust()
    for one in decisions(storage):
        known = _after(known, one)
    return known


def _after(before: Trust, decision: IdentityDecision) -> Trust:
    match decision.change:
        case Change.TRUST:
            return Trust(decision.number, decision.issuer, before.demanded)
        case Change.DEMAND:
            return Trust(decision.number, before.issuer, demanded=True)
        case Change.FORGET:
            return Trust(decision.number)


def shown(known: Trust, token: str | None, fetch: Fetch, now: float) -> str | None:
    """Who a token says is asking; None if there is none, or the lake takes none: then it is the operating system's user.

    TokenRefused if the token does not hold, if that cannot be known now, or if there is none and one is demanded. ``now`` is in seconds
    since 1970.
    """
    if known.issuer is None:
        return None
    if token is not None:
        from app.compliance.identity import person_of

        return person_of(token, _keys(known.issuer, fetch), known.issuer.issuer, known.issuer.audience, now)
    if known.demanded:
        raise TokenRefused(
            f"this lake lets in nobody without a signed identity; set LEOFRIC_IDENTITY_TOKEN_FILE or LEOFRIC_IDENTITY_TOKEN to a token "
            f"of {known.issuer.issuer} for {known.issuer.audience}"
        )
    return None


def _keys(issuer: Issuer, fetch: Fetch) -> "Keys":
    from app.compliance.identity import usable

    try:
        return usable(issuer.jwks if issuer.jwks_url is None and issuer.jwks is not None else fetch(str(issuer.jwks_url)))
    except (OSError, ValueError) as error:
        raise TokenRefused(f"tokens cannot be verified now: the issuer's keys are not to be had ({error})") from None


def issuer_of(issuer: str, audience: str, address: str, read: Callable[[str], bytes]) -> Issuer:
    """An issuer as a person names it, with the keys' address, or a file of theirs, of which the public keys are kept; UsageError."""
    from app.compliance.identity import is_here, jwks_of, public_part

    for name, text in (("issuer", issuer), ("audience", audience)):
        if not text or not text.isprintable():
            raise UsageError(f"{text!r} cannot be an {name}")
    if "://" in address:
        is_here(address)
        return Issuer(issuer, audience, address, None)
    try:
        return Issuer(issuer, audience, None, public_part(jwks_of(read(address), address)))
    except (OSError, ValueError) as error:
        raise UsageError(f"{address} is no file with an issuer's public keys (JWKS): {error}") from None


@dataclass(frozen=True)
class Decider:
    """Who decides, with the token that shows who it is, and how keys are fetched; ``now`` is in seconds since 1970."""

    name: str
    token: str | None
    fetch: Fetch
    now: float


def decide(storage: Storage, change: Change, issuer: Issuer | None, why: str, at: str, by: Decider, roles: Grants) -> IdentityDecision:
    """Write down a decision; ``issuer`` only to trust one.

    AccessRefused, and nothing changed, if it would lock out all who may give roles.
    """
    if not why.strip():
        raise UsageError("a decision about identities needs a reason: --why")
    if not roles.allow(by.name, Action.MANAGE_ACCESS):
        raise AccessDenied(f"{by.name} may not decide whose tokens are taken: that needs the role approver")
    before = trust(storage)
    decision = IdentityDecision(before.decided + 1, change, issuer, why, at, by.name)
    if change is Change.TRUST:
        _check_issuer(_after(before, decision), by, roles)
    elif before.issuer is None:
        raise AccessRefused("this lake trusts no issuer of tokens; `leofric access trust-issuer` names one")
    elif change is Change.DEMAND and not by.name.startswith(SIGNED):
        raise AccessRefused(
            "only who has come by a token himself can demand one of all: so the keys are known to be right, and nobody is locked out"
        )
    elif change is Change.FORGET and not roles.is_open and not _anybody(_after(before, decision), roles):
        raise AccessRefused(
            "nobody who may give roles could come without a token; give the role approver to a user of the operating system first"
        )
    if not storage.put_new(layout.identity_decision(decision.number), _STORED.dump_json(decision, indent=1)):
        raise AccessRefused("somebody else has decided about identities meanwhile; look at `leofric access list`, and decide again")
    return decision


def _check_issuer(then: Trust, by: Decider, roles: Grants) -> None:
    """UsageError if the keys cannot be had; where tokens are demanded, whoever decides must be let in by the new ones."""
    if then.issuer is None:
        raise UsageError("there is no issuer to trust")
    try:
        _keys(then.issuer, by.fetch)
        person = shown(then, by.token, by.fetch, by.now) if then.demanded else None
    except TokenRefused as error:
        raise AccessRefused(f"with this issuer, you could not come in yourself: {error}") from None
    if then.demanded and not roles.allow(str(person), Action.MANAGE_ACCESS):
        raise AccessRefused(f"with this issuer, you would be {person}, who may not give roles: nobody could decide anything then")


def _anybody(then: Trust, roles: Grants) -> bool:
    return any(then.lets_in(person) for person in roles.who_may(Action.MANAGE_ACCESS))
