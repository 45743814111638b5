"""Legal holds: what must not be deleted while proceedings or inquiries go on, whatever the clocks say.

A hold is on an account (as payer or payee), on what a run loaded, or on a period of days. It stands from when it was added until it is
released; both are decisions with a number, never changed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from app.contracts.lake import TOKEN
from app.errors import UsageError

_ACCOUNT: Final = re.compile(rf"[0-9]{{6}}-(?:[0-9]{{8}}|{TOKEN})|[A-Z]{{2}}[0-9]{{2}}[0-9A-Z]{{11,30}}|{TOKEN}")


class Act(StrEnum):
    """What a decision does."""

    ADDED = "added"
    RELEASED = "released"


class Kind(StrEnum):
    """What a hold is on."""

    ACCOUNT = "account"
    RUN = "run"
    PERIOD = "period"


@dataclass(frozen=True)
class Decision:
    """A decision on a hold; ``hold`` is the number of the decision that added it."""

    number: int  # 1, 2, … over all holds
    act: str
    hold: int
    kind: str
    about: str  # an account, a run's id, or FROM/TO in ISO days
    why: str
    at: str
    by: str


@dataclass(frozen=True)
class Hold:
    """A hold that stands."""

    number: int
    kind: Kind
    about: str
    why: str

    def covers(self, day: date, *, at_latest: bool = False) -> bool:
        """Whether a hold on a period is on this day; ``at_latest``: the record is of this day or any day before."""
        if self.kind is not Kind.PERIOD:
            return False
        first, last = period(self.about)
        return first <= day and (at_latest or day <= last)


def period(about: str) -> tuple[date, date]:
    """First and last day of FROM/TO; UsageError if it is no period."""
    begin, _, end = about.partition("/")
    try:
        first, last = date.fromisoformat(begin), date.fromisoformat(end)
    except ValueError:
        raise UsageError(f"the period {about} is not FROM/TO in days, such as 2016-01-01/2016-12-31") from None
    if last < first:
        raise UsageError(f"the period {about} ends before it begins")
    return first, last


def checked(kind: Kind, about: str) -> str:
    """What a hold is on, if it can be that; UsageError if not."""
    if kind is Kind.ACCOUNT and not _ACCOUNT.fullmatch(about):
        raise UsageError(f"{about} is no account as the lake writes it: SSSSSS-AAAAAAAA, or an IBAN without blanks")
    if kind is Kind.PERIOD:
        period(about)
    return about


def standing(decisions: Iterable[Decision]) -> list[Hold]:
    """The holds that stand after these decisions, in order."""
    found: dict[int, Hold] = {}
    for decision in decisions:
        if decision.act == Act.RELEASED:
            found.pop(decision.hold, None)
        else:
            found[decision.hold] = Hold(decision.hold, Kind(decision.kind), decision.about, decision.why)
    return list(found.values())


def of_kind(holds: Sequence[Hold], kind: Kind) -> dict[str, tuple[int, ...]]:
    """By what they are on, the numbers of the holds of a kind."""
    found: dict[str, tuple[int, ...]] = {}
    for hold in holds:
        if hold.kind is kind:
            found[hold.about] = (*found.get(hold.about, ()), hold.number)
    return found
