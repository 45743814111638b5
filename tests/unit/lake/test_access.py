"""Who has which role in a lake, as it is kept."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.compliance.access import NOBODY, AccessDecision, Change, Denial
from app.compliance.masking import Treatment
from app.compliance.roles import Action, Role
from app.contracts.table import Classification
from app.errors import AccessDenied, AccessRefused, LakeDamaged, LeofricError
from app.lake import access, layout
from app.lake.access import decide, decisions, grants, require
from app.lake.lake import create
from app.lake.storage import Storage

AT = "2026-03-04T09:00:00+00:00"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def grant(storage: Storage, person: str, role: Role, by: str = "boss") -> AccessDecision:
    return decide(storage, Change.GRANT, person, role, "because", AT, by)


def revoke(storage: Storage, person: str, role: Role, by: str = "boss") -> AccessDecision:
    return decide(storage, Change.REVOKE, person, role, "because", AT, by)


def never(_: Storage, denial: Denial) -> None:
    raise AssertionError(denial)


def test_decisions_are_kept_in_order_and_none_is_changed(storage: Storage) -> None:
    made = [grant(storage, "boss", Role.APPROVER), grant(storage, "eve", Role.APPROVER), revoke(storage, "eve", Role.APPROVER)]
    assert [one.number for one in made] == [1, 2, 3]
    assert decisions(storage) == made
    assert grants(storage).roles == {"boss": frozenset({Role.APPROVER})}


def test_a_folder_that_is_not_there_has_no_decisions(tmp_path: Path) -> None:
    assert grants(Storage(str(tmp_path / "nowhere"))) == NOBODY
    require(Storage(str(tmp_path / "nowhere")), "anybody", Action.RUN, "run", never)


def test_of_two_who_decide_at_once_one_is_told_to_look_again(storage: Storage) -> None:
    grant(storage, "boss", Role.APPROVER)

    def one(number: int) -> str:
        try:
            grant(storage, f"person{number}", Role.ANALYST)
        except AccessRefused as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(one, range(16)))
    assert {sentence for sentence in said if sentence} <= {
        "somebody else has given or taken a role meanwhile; look at `leofric access list`, and decide again"
    }
    assert len(decisions(storage)) == 1 + said.count("")
    assert {person for person in grants(storage).roles if person != "boss"} == {f"person{i}" for i, text in enumerate(said) if not text}


def test_a_number_that_somebody_took_meanwhile_is_not_taken_again(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    grant(storage, "boss", Role.APPROVER)
    before = grants(storage)
    grant(storage, "eve", Role.APPROVER)
    monkeypatch.setattr(access, "grants", lambda _: before)  # what the slower one has read
    with pytest.raises(AccessRefused, match="meanwhile"):
        grant(storage, "mallory", Role.APPROVER)
    assert [one.person for one in decisions(storage)] == ["boss", "eve"]


def test_two_who_revoke_each_other_do_not_lock_everybody_out(storage: Storage) -> None:
    grant(storage, "boss", Role.APPROVER)
    grant(storage, "eve", Role.APPROVER)

    def one(pair: tuple[str, str]) -> bool:
        try:
            revoke(storage, pair[0], Role.APPROVER, by=pair[1])
        except LeofricError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(one, [("boss", "eve"), ("eve", "boss")])) == 1
    assert len(grants(storage).who_may(Action.MANAGE_ACCESS)) == 1


def test_whoever_may_not_give_roles_gives_none(storage: Storage) -> None:
    grant(storage, "boss", Role.APPROVER)
    grant(storage, "eve", Role.ENGINEER)
    with pytest.raises(AccessDenied, match="eve \\(engineer\\) may not manage_access: that needs the role approver; boss can grant it"):
        grant(storage, "mallory", Role.APPROVER, by="eve")
    assert len(decisions(storage)) == 2


def test_a_denial_is_told_before_it_is_raised(storage: Storage) -> None:
    grant(storage, "boss", Role.APPROVER)
    grant(storage, "eve", Role.ANALYST)
    told: list[Denial] = []

    def tell(_: Storage, denial: Denial) -> None:
        told.append(denial)

    require(storage, "eve", Action.QUERY, "query", never)
    with pytest.raises(AccessDenied, match="eve \\(analyst\\) may not run: that needs the role engineer or service; boss can grant it"):
        require(storage, "eve", Action.RUN, "run", tell)
    with pytest.raises(AccessDenied, match="mallory \\(no role\\) may not query"):
        require(storage, "mallory", Action.QUERY, "query", tell)
    assert told == [Denial("eve", (Role.ANALYST,), Action.RUN, "run"), Denial("mallory", (), Action.QUERY, "query")]


def test_a_denial_that_cannot_be_written_down_is_still_one(storage: Storage) -> None:
    grant(storage, "boss", Role.APPROVER)

    def broken(_: Storage, __: Denial) -> None:
        raise LakeDamaged("no trail")

    with pytest.raises(LakeDamaged, match="no trail"):
        require(storage, "eve", Action.RUN, "run", broken)


@pytest.mark.parametrize("number", [1, 2])
def test_with_a_decision_missing_nobody_gets_in(storage: Storage, number: int) -> None:
    for person in ("boss", "eve", "mallory"):
        grant(storage, person, Role.APPROVER)
    storage.delete([layout.access_decision(number)])
    with pytest.raises(LakeDamaged, match=f"0000000{number}.json is missing"):
        require(storage, "boss", Action.APPROVE, "approve", never)


def test_a_decision_that_is_none_is_damage(storage: Storage) -> None:
    grant(storage, "boss", Role.APPROVER)
    first = bytes(storage.read(layout.access_decision(1)))
    for data, sentence in ((b"{}", "no decision about a role"), (first.replace(b"approver", b"god"), "no decision"), (first, "decision 1")):
        storage.put(layout.access_decision(2), data)
        with pytest.raises(LakeDamaged, match=sentence):
            grants(storage)


def test_what_a_person_sees_follows_from_the_roles(tmp_path: Path) -> None:
    lake = create(Storage(str(tmp_path)), bytes(range(16)))
    assert access.clearance(lake, "eve").is_clear(Classification.PERSONAL)
    grant(lake.storage, "boss", Role.APPROVER)
    assert access.clearance(lake, "eve").treatments[Classification.INTERNAL] is Treatment.NOTHING
    grant(lake.storage, "eve", Role.ANALYST)
    found = access.clearance(lake, "eve")
    assert (found.is_clear(Classification.CONFIDENTIAL), found.treatments[Classification.PERSONAL]) == (True, Treatment.TOKENISED)
    assert "key" not in repr(found)
