"""Scopes of the API and roles of the policy say the same."""

from pathlib import Path

from app.compliance.access import visible
from app.compliance.masking import Treatment
from app.compliance.roles import Role
from app.contracts.table import Classification
from serve.access import Scope
from serve.scopes import ACTIONS, page, roles_of

DOCS = Path(__file__).parents[3] / "docs/access.md"


def test_each_scope_is_for_the_roles_of_this_table() -> None:
    assert set(ACTIONS) == set(Scope)
    assert {scope.value: [role.value for role in roles_of(scope)] for scope in Scope} == {
        "validate": ["engineer", "reviewer", "service"],
        "score": ["engineer", "service"],
        "metrics": ["engineer", "analyst", "reviewer", "approver", "auditor"],
        "review": ["reviewer"],
        "approve": ["approver"],
    }


def test_scopes_that_show_people_s_data_are_for_roles_that_see_it() -> None:
    for scope in (Scope.REVIEW, Scope.APPROVE):
        for role in roles_of(scope):
            assert visible({role})[Classification.PERSONAL] is Treatment.CLEAR


def test_no_role_has_both_scopes_of_four_eyes() -> None:
    assert set(roles_of(Scope.REVIEW)).isdisjoint(roles_of(Scope.APPROVE))
    assert Role.REVIEWER in roles_of(Scope.REVIEW)


def test_the_documented_scopes_are_the_scopes() -> None:
    assert page() in DOCS.read_text(), "put what serve.scopes.page() gives into docs/access.md"
