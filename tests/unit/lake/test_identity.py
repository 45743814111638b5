"""Whose tokens a lake takes: decisions, and that none of them locks everybody out."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.compliance.access import NOBODY, Change, Grants
from app.compliance.roles import Role
from app.errors import AccessDenied, AccessRefused, LakeDamaged, TokenRefused, UsageError
from app.lake import access, layout
from app.lake.identity import Change as Identity
from app.lake.identity import Decider, IdentityDecision, Trust, decide, decisions, issuer_of, shown, trust
from app.lake.storage import Storage
from tests.support.issuer import AUDIENCE, ISSUER, Issuer, now_s

AT = "2026-03-04T09:00:00+00:00"
KNOWN = Issuer()
TRUSTED = issuer_of(ISSUER, AUDIENCE, "keys.json", lambda _: KNOWN.published())


def held(**roles: Role) -> Grants:
    return Grants(len(roles), {person.replace("__", ":"): frozenset({role}) for person, role in roles.items()})


BOTH = held(boss=Role.APPROVER, oidc__ada=Role.APPROVER)


def nobody_asks(url: str) -> Mapping[str, object]:
    raise AssertionError(url)


def by(name: str, token: str | None = None) -> Decider:
    return Decider(name, token, nobody_asks, now_s())


def made(storage: Storage, change: Identity, who: Decider, roles: Grants = BOTH) -> IdentityDecision:
    return decide(storage, change, TRUSTED if change is Identity.TRUST else None, "because", AT, who, roles)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def demanding(storage: Storage) -> Storage:
    """A lake that lets in nobody without a token."""
    made(storage, Identity.TRUST, by("boss"))
    made(storage, Identity.DEMAND, by("oidc:ada"))
    return storage


def test_decisions_are_kept_in_order_and_say_what_holds(demanding: Storage) -> None:
    assert trust(demanding) == Trust(2, TRUSTED, demanded=True)
    made(demanding, Identity.FORGET, by("oidc:ada"))
    assert trust(demanding) == Trust(3)
    assert [one.change for one in decisions(demanding)] == [Identity.TRUST, Identity.DEMAND, Identity.FORGET]


def test_a_lake_that_decided_nothing_takes_no_token_and_asks_for_none(tmp_path: Path) -> None:
    known = trust(Storage(str(tmp_path / "nowhere")))
    assert known == Trust()
    assert shown(known, KNOWN.token(), nobody_asks, now_s()) is None


def test_who_asks_is_the_tokens_subject_and_without_one_the_systems_user_unless_one_is_demanded(storage: Storage) -> None:
    made(storage, Identity.TRUST, by("boss"))
    assert shown(trust(storage), KNOWN.token(sub="ada"), nobody_asks, now_s()) == "oidc:ada"
    assert shown(trust(storage), None, nobody_asks, now_s()) is None
    made(storage, Identity.DEMAND, by("oidc:ada"))
    with pytest.raises(TokenRefused, match="nobody without a signed identity"):
        shown(trust(storage), None, nobody_asks, now_s())
    with pytest.raises(TokenRefused, match="no JWT"):
        shown(trust(storage), "", nobody_asks, now_s())


def test_an_issuer_whose_keys_are_not_to_be_had_lets_nobody_in() -> None:
    known = Trust(1, issuer_of(ISSUER, AUDIENCE, "https://login.bank.example/jwks", lambda _: b""))

    def away(_: str) -> Mapping[str, object]:
        raise OSError("away")

    for fetch, why in ((away, "away"), (lambda _: {"keys": []}, "no key")):
        with pytest.raises(TokenRefused, match=f"cannot be verified now.*{why}"):
            shown(known, KNOWN.token(), fetch, now_s())
    assert shown(known, KNOWN.token(), lambda _: json.loads(KNOWN.published()), now_s()) == "oidc:gateway"


def test_only_who_gives_roles_decides_and_says_why(storage: Storage) -> None:
    with pytest.raises(AccessDenied, match="eve may not decide"):
        made(storage, Identity.TRUST, by("eve"))
    with pytest.raises(UsageError, match="--why"):
        decide(storage, Identity.TRUST, TRUSTED, " ", AT, by("boss"), BOTH)
    for change in (Identity.DEMAND, Identity.FORGET):
        with pytest.raises(AccessRefused, match="trusts no issuer"):
            made(storage, change, by("boss"))
    assert decisions(storage) == []


def test_only_who_has_come_by_a_token_can_demand_one_of_all(storage: Storage) -> None:
    made(storage, Identity.TRUST, by("boss"))
    with pytest.raises(AccessRefused, match="come by a token himself"):
        made(storage, Identity.DEMAND, by("boss"))
    assert not trust(storage).demanded


def test_another_issuer_must_let_in_who_names_it_where_tokens_are_demanded(demanding: Storage) -> None:
    other = Issuer()
    with pytest.raises(AccessRefused, match="you could not come in yourself: the token's signature does not hold"):
        made(demanding, Identity.TRUST, by("oidc:ada", other.token(sub="ada")))
    with pytest.raises(AccessRefused, match="you would be oidc:eve, who may not give roles"):
        made(demanding, Identity.TRUST, by("oidc:ada", KNOWN.token(sub="eve")))
    made(demanding, Identity.TRUST, by("oidc:ada", KNOWN.token(sub="ada")))
    assert trust(demanding) == Trust(3, TRUSTED, demanded=True)


def test_the_issuer_is_not_forgotten_while_nobody_else_could_come(demanding: Storage) -> None:
    with pytest.raises(AccessRefused, match="nobody who may give roles could come without a token"):
        made(demanding, Identity.FORGET, by("oidc:ada"), held(oidc__ada=Role.APPROVER))
    made(demanding, Identity.FORGET, by("oidc:ada"))


def test_the_last_approver_who_can_come_keeps_the_role(storage: Storage) -> None:
    """An approver whom the lake does not let in is none."""
    with pytest.raises(AccessRefused, match="does not let oidc:ada in"):
        access.decide(storage, Change.GRANT, "oidc:ada", Role.APPROVER, "w", AT, "boss")
    access.decide(storage, Change.GRANT, "boss", Role.APPROVER, "w", AT, "boss")
    access.decide(storage, Change.GRANT, "oidc:ada", Role.APPROVER, "w", AT, "boss")
    with pytest.raises(AccessRefused, match="boss is the last"):
        access.decide(storage, Change.REVOKE, "boss", Role.APPROVER, "w", AT, "boss")
    made(storage, Identity.TRUST, by("boss"))
    made(storage, Identity.DEMAND, by("oidc:ada"))
    with pytest.raises(AccessRefused, match="oidc:ada is the last"):
        access.decide(storage, Change.REVOKE, "oidc:ada", Role.APPROVER, "w", AT, "boss")
    access.decide(storage, Change.REVOKE, "boss", Role.APPROVER, "w", AT, "oidc:ada")


def test_of_two_who_decide_at_once_one_is_told_to_look_again(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    made(storage, Identity.TRUST, by("boss"))
    monkeypatch.setattr("app.lake.identity.trust", lambda _: Trust())  # what the slower one has read
    with pytest.raises(AccessRefused, match="meanwhile"):
        made(storage, Identity.TRUST, by("boss"))


def test_with_a_decision_missing_or_damaged_nobody_gets_in(demanding: Storage) -> None:
    second = bytes(demanding.read(layout.identity_decision(2)))
    demanding.put(layout.identity_decision(2), b"{}")
    with pytest.raises(LakeDamaged, match="no decision about identities"):
        trust(demanding)
    demanding.put(layout.identity_decision(2), bytes(demanding.read(layout.identity_decision(1))))
    with pytest.raises(LakeDamaged, match="is decision 1"):
        trust(demanding)
    demanding.put(layout.identity_decision(2), second)
    demanding.delete([layout.identity_decision(1)])
    with pytest.raises(LakeDamaged, match="00000001.json is missing"):
        trust(demanding)


def test_an_issuer_is_named_by_what_can_be_one() -> None:
    with pytest.raises(UsageError, match="cannot be an issuer"):
        issuer_of("", AUDIENCE, "https://a/jwks", lambda _: b"")
    with pytest.raises(UsageError, match="https:// only"):
        issuer_of(ISSUER, AUDIENCE, "http://login.bank.example/jwks", lambda _: b"")
    with pytest.raises(UsageError, match="keys.json is no file with an issuer's public keys"):
        issuer_of(ISSUER, AUDIENCE, "keys.json", lambda _: b"{}")
    assert NOBODY.is_open
