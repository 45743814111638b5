"""Who may do what, and see what: roles, actions, and the classes of columns, as the policy's two tables say (``compliance/data``).

Roles are given and taken by decisions that are never changed; the first of a lake closes it, until then everybody may do everything.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from app.compliance.masking import Treatment, treated
from app.compliance.restriction import IBAN, PAIRS, Restricted
from app.compliance.restriction import NOBODY as NO_RESTRICTION
from app.compliance.roles import Action, Role
from app.contracts.table import Classification, TableContract
from app.errors import AccessDenied, AccessRefused, UsageError

if TYPE_CHECKING:
    from app.subjects import Register


@dataclass(frozen=True)
class Rule:
    """Which roles may do one thing, and why."""

    action: Action
    roles: frozenset[Role]
    why: str


@dataclass(frozen=True)
class View:
    """How each role sees the columns of one class, and why."""

    classification: Classification
    treatments: Mapping[Role, Treatment]
    why: str


_LEAST_FIRST: Final = (Treatment.NOTHING, Treatment.MASKED, Treatment.TOKENISED, Treatment.CLEAR)
EVERYTHING: Final[Mapping[Classification, Treatment]] = MappingProxyType(dict.fromkeys(Classification, Treatment.CLEAR))
"""What everybody sees of a lake that is open."""


@cache
def rules() -> tuple[Rule, ...]:
    """The policy's rules, one an action; ValueError if the file does not say yes or no for each action and role."""
    found = [
        Rule(Action(row["action"]), frozenset(role for role in Role if {"yes": True, "no": False}[row[role]]), row["why"])
        for row in _rows("access_policy.csv")
    ]
    if [rule.action for rule in found] != list(Action):
        raise ValueError("access_policy.csv must name every action once, in order")
    return tuple(found)


@cache
def views() -> tuple[View, ...]:
    """How classes are seen, one a class; ValueError if the file does not say it for each class and role.

    Tokens are for the personal class only: of the others a mask and a token cannot be compared, and several roles must see the most.
    """
    found = [
        View(Classification(row["classification"]), {role: Treatment(row[role]) for role in Role}, row["why"])
        for row in _rows("visibility.csv")
    ]
    if [view.classification for view in found] != list(Classification):
        raise ValueError("visibility.csv must name every class once, in order")
    for view in found:
        if view.classification is not Classification.PERSONAL and Treatment.TOKENISED in view.treatments.values():
            raise ValueError(f"visibility.csv: {view.classification} columns are not made into tokens")
    return tuple(found)


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("app.compliance").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), strict=True))


def holders(action: Action) -> frozenset[Role]:
    """The roles that may do this."""
    return next(rule.roles for rule in rules() if rule.action is action)


def allowed(roles: Iterable[Role], action: Action) -> bool:
    """Whether somebody with these roles may do this: one of them is enough."""
    return not holders(action).isdisjoint(roles)


def visible(roles: Iterable[Role]) -> dict[Classification, Treatment]:
    """How somebody with these roles sees each class: the most that one of them sees; without a role nothing but what is public."""
    least = {view.classification: Treatment.NOTHING for view in views()} | {Classification.PUBLIC: Treatment.CLEAR}
    mine = tuple(roles)
    return {
        view.classification: max((least[view.classification], *(view.treatments[role] for role in mine)), key=_LEAST_FIRST.index)
        for view in views()
    }


class Change(StrEnum):
    """What a decision about somebody's roles does."""

    GRANT = "grant"
    REVOKE = "revoke"


@dataclass(frozen=True)
class AccessDecision:
    """A role that is given to a person, or taken away."""

    number: int  # 1, 2, … over all people
    change: Change
    person: str
    role: Role
    why: str
    at: str
    by: str


@dataclass(frozen=True)
class Grants:
    """Who has which role after some decisions."""

    decided: int  # how many decisions there are
    roles: Mapping[str, frozenset[Role]]

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided anything yet: everybody may do everything."""
        return self.decided == 0

    def of(self, person: str) -> frozenset[Role]:
        """A person's roles."""
        return self.roles.get(person, frozenset())

    def allow(self, person: str, action: Action) -> bool:
        """Whether a person may do this."""
        return self.is_open or allowed(self.of(person), action)

    def seen_by(self, person: str) -> Mapping[Classification, Treatment]:
        """How a person sees each class."""
        return EVERYTHING if self.is_open else visible(self.of(person))

    def who_may(self, action: Action) -> list[str]:
        """The people who may do this, by name; of an open lake nobody is named."""
        return sorted(person for person, roles in self.roles.items() if allowed(roles, action))


NOBODY: Final = Grants(0, {})
"""Before the first decision."""


def after(before: Grants, decision: AccessDecision) -> Grants:
    """Who has which role after one more decision."""
    mine = before.of(decision.person)
    mine = mine | {decision.role} if decision.change is Change.GRANT else mine - {decision.role}
    roles = dict(before.roles) | {decision.person: mine}
    return Grants(before.decided + 1, {person: held for person, held in roles.items() if held})


SIGNED: Final = "oidc:"
"""What the name of somebody with a token begins with: no user of an operating system and no API key can be called so."""

_PERSON = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.@\\$+-]{{0,63}}|uid [0-9]{{1,10}}|{SIGNED}.{{1,255}}")


def check(before: Grants, decision: AccessDecision, can_come: Callable[[str], bool] = lambda _: True) -> None:
    """UsageError if it can be no decision, AccessRefused if it may not be made after these, AccessDenied if somebody else must make it.

    Nobody may be locked out: the first gives somebody a role that may give roles, and the last such person keeps it. ``can_come`` says
    whether the lake lets somebody of a name in at all. Whether ``by`` may decide at all is not asked here.
    """
    if _PERSON.fullmatch(decision.person) is None or not decision.person.isprintable():
        raise UsageError(
            f"{decision.person!r} cannot be a person's name: write the name of the operating system's user, such as alice, "
            "or of a token's subject, such as oidc:alice"
        )
    if not decision.why.strip():
        raise UsageError("a decision about a role needs a reason: --why")
    held = decision.role in before.of(decision.person)
    governs = decision.role in holders(Action.MANAGE_ACCESS)
    if decision.change is Change.GRANT:
        if held:
            raise AccessRefused(f"{decision.person} is {decision.role} already")
        if before.is_open and not governs:
            able = ", ".join(sorted(holders(Action.MANAGE_ACCESS)))
            raise AccessRefused(f"the first role of a lake must be one that may give roles ({able}), or nobody could give another")
        if not before.is_open and decision.person == decision.by:
            raise AccessDenied(f"nobody gives himself a role; ask {_others(before, decision.by)}")
        if before.is_open and not can_come(decision.person):
            raise AccessRefused(f"this lake does not let {decision.person} in, and nobody else could give another role")
        return
    if not held:
        raise AccessRefused(f"{decision.person} is no {decision.role}")
    if not any(map(can_come, after(before, decision).who_may(Action.MANAGE_ACCESS))):
        raise AccessRefused(f"{decision.person} is the last who may give roles; give somebody else the role {decision.role} first")


def _others(grants: Grants, person: str) -> str:
    return ", ".join(one for one in grants.who_may(Action.MANAGE_ACCESS) if one != person) or "somebody who may: there is nobody else yet"


@dataclass(frozen=True)
class Clearance:
    """What somebody sees of a lake; ``key`` is the lake's; ``register`` that of a sealed lake, for whoever may see people's data.

    Of people whose data is ``restricted`` nobody sees it, whatever the role.
    """

    treatments: Mapping[Classification, Treatment]
    key: bytes = field(repr=False)
    restricted: Restricted = NO_RESTRICTION
    register: "Register | None" = field(default=None, repr=False)

    def is_clear(self, classification: Classification) -> bool:
        """Whether columns of this class are seen as they are."""
        return classification is Classification.PUBLIC or self.treatments.get(classification) is Treatment.CLEAR

    def sees_all_of(self, contract: TableContract) -> bool:
        """Whether nothing of a table has to be changed."""
        return not self.restricted.concerns(contract) and self._is_clear(contract)

    def _is_clear(self, contract: TableContract) -> bool:
        return all(self.is_clear(column.classification) for column in contract.columns)

    def leaves(self, contract: TableContract) -> bool:
        """Whether rows of a table are seen as they lie there."""
        return self.register is None and self.sees_all_of(contract)

    def opened(self, text: str) -> str:
        """A text that may be sealed, for whoever may see all of it."""
        if self.register is None:
            return text
        from app.unsealing import text as unsealed_text

        return unsealed_text(text, self.register)

    def hides(self, row: Mapping[str, Any]) -> bool:
        """Whether a row, with the columns that say whose it is, is a restricted person's."""
        if not self.restricted:
            return False
        named = {name: value for name, value in row.items() if value is None or isinstance(value, str | int)}
        every = [named] if self.register is None else [named, {**named, **_tokens(named, self.register)}]
        return any(bool(self.restricted.rows(_one_row(one), self.key)[0]) for one in every)

    def of(self, table: pa.Table, contract: TableContract) -> pa.Table:
        """Rows of a table, some of its columns or all, as they may be seen; UsageError for a column that the contract has not.

        Whose data is restricted is told by the columns that ``restricted.needs``, as the table has them: rows without them are nobody's.
        """
        seen = self._unsealed(table)
        seen = seen if self._is_clear(contract) else treated(seen, contract, self.key, self.treatments)
        return self.restricted.hide(seen, table, contract, self.key) if self.restricted.concerns(contract) else seen

    def _unsealed(self, table: pa.Table) -> pa.Table:
        if self.register is None:
            return table
        from app.unsealing import unsealed  # numba, which no command needs on a lake that is not sealed

        return unsealed(table, self.register)

    def of_rows(self, rows: Sequence[Mapping[str, Any]], contract: TableContract) -> list[dict[str, Any]]:
        """The same of rows that are values by column's name, all with the same columns."""
        if not rows:
            return []
        schema = pa.schema([one for one in contract.schema if one.name in rows[0]])
        unknown = set(rows[0]) - set(schema.names)
        if unknown:
            raise UsageError(f"{contract.path} has no column {min(unknown)}: its class is not known, so it can be shown to nobody")
        return list(self.of(pa.Table.from_pylist([dict(row) for row in rows], schema), contract).to_pylist())


def _one_row(named: Mapping[str, Any]) -> pa.Table:
    return pa.table({name: pa.array([value], None if value is not None else pa.string()) for name, value in named.items()})


def _tokens(row: Mapping[str, Any], register: "Register") -> dict[str, str]:
    """The numbers of a row that was opened, as its table has them."""
    sought = {number: f"{re.sub('[ -]', '', str(row.get(code)))}-{row.get(number)}" for code, number in PAIRS if row.get(number)}
    sought |= {IBAN: str(row[IBAN]).replace(" ", "")} if row.get(IBAN) else {}
    places = register.find(pa.array(list(sought.values()), pa.string()))
    return {name: register.written[int(place)].as_py() for name, place in zip(sought, places, strict=True) if place >= 0}


@dataclass(frozen=True)
class Denial:
    """What somebody wanted, and was not allowed to do; for the audit trail."""

    person: str
    roles: tuple[Role, ...]
    action: Action | None  # None: a command that needs no role
    about: str  # the command, as it is called
    identity: str | None = None  # what is wrong with the token that was to show who it is, or that there is none


def sentence_of(denial: Denial, grants: Grants) -> str:
    """The denial for who was denied: what the identity lacks; or the role that is missing, and who can give it."""
    if denial.identity is not None or denial.action is None:
        return f"{denial.person} is not let in: {denial.identity}"
    have = ", ".join(denial.roles) if denial.roles else "no role"
    need = " or ".join(sorted(holders(denial.action)))
    givers = ", ".join(one for one in grants.who_may(Action.MANAGE_ACCESS) if one != denial.person) or "nobody else yet"
    return f"{denial.person} ({have}) may not {denial.action}: that needs the role {need}; {givers} can grant it"


def page() -> str:
    """The policy as two tables of Markdown, for docs/access.md."""
    head = " | ".join(Role)
    line = "|---" * (len(Role) + 2) + "|"
    may = [f"| `{rule.action}` | {' | '.join('yes' if role in rule.roles else '' for role in Role)} | {rule.why} |" for rule in rules()]
    see = [f"| {view.classification} | {' | '.join(view.treatments[role] for role in Role)} | {view.why} |" for view in views()]
    return "\n".join([f"| action | {head} | why |", line, *may, "", f"| class | {head} | why |", line, *see, ""])
