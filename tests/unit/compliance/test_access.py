"""The policy as a table, written out here by hand: what each role may do, and how it sees each class."""

from itertools import combinations

import pytest

from app.compliance import access
from app.compliance.access import (
    EVERYTHING,
    NOBODY,
    AccessDecision,
    Change,
    Denial,
    Grants,
    after,
    allowed,
    check,
    holders,
    sentence_of,
    visible,
)
from app.compliance.masking import Treatment
from app.compliance.roles import Action, Role
from app.contracts.table import Classification
from app.errors import AccessDenied, AccessRefused, UsageError

# Not read from the policy's file: a change there has to be made here, too, by somebody who means it.
MAY = """
                 engineer analyst reviewer approver auditor service
run              yes      -       -        -        -       yes
score            yes      -       -        -        -       yes
train            yes      -       -        -        -       -
evaluate         yes      yes     -        -        -       -
promote          -        -       -        yes      -       -
roll_out         yes      -       -        yes      -       -
query            yes      yes     yes      yes      yes     -
inspect          yes      yes     yes      yes      yes     -
alerts           -        yes     -        yes      yes     -
export           yes      -       -        -        -       -
catalogue        yes      yes     yes      yes      yes     -
validate         yes      -       yes      -        -       yes
reference_load   yes      -       -        -        -       -
feedback_import  -        yes     -        -        -       -
review           -        -       yes      yes      yes     -
propose          -        -       yes      -        -       -
approve          -        -       -        yes      -       -
reject           -        -       yes      yes      -       -
replay           yes      -       -        -        -       yes
subject          -        -       -        yes      -       -
erase            -        -       -        yes      -       -
retention        -        -       -        yes      -       yes
restore          yes      -       -        -        -       -
manage_keys      -        -       -        yes      -       -
manage_access    -        -       -        yes      -       -
see_access       -        -       -        yes      yes     -
audit_read       -        -       -        -        yes     -
audit_verify     yes      -       -        -        yes     -
serve            yes      -       -        -        -       yes
"""
SEES = """
                 engineer  analyst   reviewer approver auditor service
public           clear     clear     clear    clear    clear   clear
internal         clear     clear     clear    clear    clear   clear
confidential     clear     clear     clear    clear    clear   nothing
personal         tokenised tokenised clear    clear    masked  nothing
special_category nothing   nothing   nothing  nothing  nothing nothing
"""


def table(text: str) -> dict[tuple[str, str], str]:
    head, *lines = text.strip().splitlines()
    found: dict[tuple[str, str], str] = {}
    for line in lines:
        name, *cells = line.split()
        found |= {(name, role): cell for role, cell in zip(head.split(), cells, strict=True)}
    return found


def decision(change: Change, person: str, role: Role, by: str = "boss", why: str = "because") -> AccessDecision:
    return AccessDecision(1, change, person, role, why, "2026-03-04T09:00:00+00:00", by)


def held(**roles: str) -> Grants:
    return Grants(len(roles), {person: frozenset(Role(role) for role in names.split()) for person, names in roles.items()})


def test_each_role_may_do_what_the_table_says() -> None:
    expected = table(MAY)
    assert set(expected) == {(action.value, role.value) for action in Action for role in Role}
    for (action, role), cell in expected.items():
        assert allowed({Role(role)}, Action(action)) is (cell == "yes"), (action, role)


def test_each_role_sees_classes_as_the_table_says() -> None:
    expected = table(SEES)
    assert set(expected) == {(one.name.lower(), role.value) for one in Classification for role in Role}
    for (name, role), cell in expected.items():
        assert visible({Role(role)})[Classification[name.upper()]] == cell, (name, role)


def test_role_by_action_by_class_is_what_both_tables_say() -> None:
    may, sees = table(MAY), table(SEES)
    for role in Role:
        grants = held(somebody=role.value)
        for action in Action:
            for one in Classification:
                found = grants.seen_by("somebody")[one] if grants.allow("somebody", action) else None
                expected = sees[one.name.lower(), role.value] if may[action.value, role.value] == "yes" else None
                assert found == expected, (role, action, one)


def test_without_a_role_nothing_is_allowed_and_only_public_is_seen() -> None:
    assert not any(allowed((), action) for action in Action)
    assert visible(()) == dict.fromkeys(Classification, Treatment.NOTHING) | {Classification.PUBLIC: Treatment.CLEAR}


def test_several_roles_may_do_and_see_what_one_of_them_may() -> None:
    order = [Treatment.NOTHING, Treatment.MASKED, Treatment.TOKENISED, Treatment.CLEAR]
    for first, second in combinations(Role, 2):
        for action in Action:
            assert allowed({first, second}, action) is (allowed({first}, action) or allowed({second}, action))
        for one, found in visible({first, second}).items():
            assert found == max(visible({first})[one], visible({second})[one], key=order.index)


def test_whoever_may_look_at_certificates_sees_confidential_values() -> None:
    # `certificate`, `tables` and `models show` mask nothing.
    for role in holders(Action.INSPECT):
        assert visible({role})[Classification.CONFIDENTIAL] is Treatment.CLEAR


def test_who_makes_something_alone_cannot_put_it_into_force() -> None:
    for makes, decides in ((Action.TRAIN, Action.PROMOTE), (Action.PROPOSE, Action.APPROVE)):
        assert holders(makes).isdisjoint(holders(decides))


def test_every_rule_has_a_reason() -> None:
    assert all(rule.why.strip() for rule in access.rules())
    assert all(view.why.strip() for view in access.views())


def test_a_lake_without_decisions_is_open() -> None:
    assert NOBODY.is_open
    assert all(NOBODY.allow("anybody", action) for action in Action)
    assert NOBODY.seen_by("anybody") == EVERYTHING == dict.fromkeys(Classification, Treatment.CLEAR)


def test_after_the_first_decision_the_policy_holds_for_everybody() -> None:
    grants = after(NOBODY, decision(Change.GRANT, "boss", Role.APPROVER))
    assert (grants.decided, grants.roles) == (1, {"boss": frozenset({Role.APPROVER})})
    assert grants.allow("boss", Action.MANAGE_ACCESS)
    assert not grants.allow("boss", Action.RUN)
    assert not any(grants.allow("anybody", action) for action in Action)


def test_roles_add_up_and_are_taken_away_one_by_one() -> None:
    grants = held(alice="reviewer approver", boss="approver")
    taken = after(grants, decision(Change.REVOKE, "alice", Role.REVIEWER))
    assert taken.of("alice") == {Role.APPROVER}
    assert after(taken, decision(Change.GRANT, "alice", Role.ANALYST)).of("alice") == {Role.APPROVER, Role.ANALYST}
    assert "alice" not in after(taken, decision(Change.REVOKE, "alice", Role.APPROVER)).roles


@pytest.mark.parametrize(
    ("before", "made", "sentence"),
    [
        (NOBODY, decision(Change.GRANT, "boss", Role.ENGINEER), "must be one that may give roles (approver)"),
        (NOBODY, decision(Change.REVOKE, "boss", Role.APPROVER), "boss is no approver"),
        (held(boss="approver"), decision(Change.GRANT, "boss", Role.APPROVER), "boss is approver already"),
        (held(boss="approver"), decision(Change.REVOKE, "boss", Role.APPROVER), "boss is the last who may give roles"),
        (held(boss="approver", eve="engineer"), decision(Change.REVOKE, "eve", Role.ANALYST), "eve is no analyst"),
    ],
)
def test_a_decision_that_may_not_be_made_is_refused(before: Grants, made: AccessDecision, sentence: str) -> None:
    with pytest.raises(AccessRefused) as refused:
        check(before, made)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(("others", "ask"), [({}, "somebody who may: there is nobody else yet"), ({"eve": "approver"}, "eve")])
def test_nobody_gives_himself_a_role_once_the_policy_holds(others: dict[str, str], ask: str) -> None:
    with pytest.raises(AccessDenied, match=f"nobody gives himself a role; ask {ask}"):
        check(held(boss="approver", **others), decision(Change.GRANT, "boss", Role.ENGINEER))
    check(NOBODY, decision(Change.GRANT, "boss", Role.APPROVER, by="boss"))


@pytest.mark.parametrize("person", ["", " ", "a b", "-x", "a\n", "a/b", "x" * 65, "é"])
def test_a_name_that_no_user_has_is_wrong(person: str) -> None:
    with pytest.raises(UsageError, match="cannot be a person's name"):
        check(NOBODY, decision(Change.GRANT, person, Role.APPROVER))


def test_a_decision_needs_a_reason() -> None:
    with pytest.raises(UsageError, match="--why"):
        check(NOBODY, decision(Change.GRANT, "boss", Role.APPROVER, why=" "))


@pytest.mark.parametrize("person", ["alice", r"BANK\alice", "alice@bank.example", "uid 1000", "svc-runner", "machine$"])
def test_names_of_users_are_names(person: str) -> None:
    check(NOBODY, decision(Change.GRANT, person, Role.APPROVER))


def test_one_of_two_who_may_give_roles_can_be_revoked() -> None:
    check(held(boss="approver", eve="approver"), decision(Change.REVOKE, "boss", Role.APPROVER))


def test_a_denial_names_who_else_can_grant_the_role() -> None:
    mine = Denial("boss", (Role.APPROVER,), Action.RUN, "run")
    for grants, givers in ((held(boss="approver"), "nobody else yet"), (held(boss="approver", eve="approver"), "eve")):
        assert sentence_of(mine, grants) == f"boss (approver) may not run: that needs the role engineer or service; {givers} can grant it"
