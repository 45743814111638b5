"""What the scopes of clients are in the words of the policy of roles (``app.compliance.access``)."""

from collections.abc import Mapping
from typing import Final

from app.compliance.access import holders
from app.compliance.roles import Action, Role
from serve.access import Scope

ACTIONS: Final[Mapping[Scope, tuple[Action, ...]]] = {
    Scope.VALIDATE: (Action.VALIDATE,),
    Scope.SCORE: (Action.SCORE,),
    Scope.METRICS: (Action.INSPECT,),
    Scope.REVIEW: (Action.REVIEW, Action.PROPOSE, Action.REJECT),
    Scope.APPROVE: (Action.APPROVE,),
}
"""What a scope allows: a key or a token with it is for people and programs of the roles that may do all of it."""


def roles_of(scope: Scope) -> tuple[Role, ...]:
    """The roles that may do all that a scope allows."""
    return tuple(role for role in Role if all(role in holders(action) for action in ACTIONS[scope]))


def page() -> str:
    """The scopes as a table of Markdown, for docs/access.md."""
    lines = ["| scope | actions | for |", "|---|---|---|"]
    for scope, actions in ACTIONS.items():
        lines.append(f"| `{scope}` | {', '.join(f'`{action}`' for action in actions)} | {', '.join(roles_of(scope))} |")
    return "\n".join([*lines, ""])
