"""Which records must still be kept, which may go, and which must: one documented rule over all rules that claim them.

Every rule that claims a record says until when it must be kept, and the latest day wins: a legal duty to keep is a lawful basis against
erasure (UK GDPR Article 6(1)(c), 17(3)(b)). From that day on the record must go if a rule says so or if it is personal data, which is kept
no longer than needed (Article 5(1)(e)); else it may. A legal hold stops everything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from app.contracts.retention_rules import RULES, Clock, Ending, RetentionRule, in_force
from app.contracts.table import Classification, TableContract

CUSTOMERS: Final = "payments_of_customers"
OCCASIONAL: Final = "occasional_transactions"
_PERSONAL: Final = (Classification.PERSONAL, Classification.SPECIAL_CATEGORY)


class Fate(StrEnum):
    """What is to be done with a record on a day."""

    KEPT = "kept"
    MAY_GO = "may go"
    MUST_GO = "must go"
    HELD = "held"  # it could go, and a legal hold stands

    @property
    def goes(self) -> bool:
        return self in (Fate.MAY_GO, Fate.MUST_GO)


@dataclass(frozen=True)
class Known:
    """What is known of a record's time: the UTC day it was made (its transaction complete), and of its customer.

    ``ended``: the day on which the relationship ended, None while it goes on or where nothing is known.
    """

    made: date
    ended: date | None = None


@dataclass(frozen=True)
class Verdict:
    """What is decided of a record: its fate on a day, and the rule that decides; ``until``: the first day on which it need not be kept.

    ``until`` is None where the clock has not begun and nothing bounds it.
    """

    fate: Fate
    until: date | None
    rule: RetentionRule
    holds: tuple[int, ...] = ()


def years_after(day: date, years: int) -> date:
    """The same day so many years later; after 29 February the first of March. A year past 9999 is the calendar's end."""
    if day.year + years > date.max.year:
        return date.max
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def keep_until(rule: RetentionRule, known: Known) -> date | None:
    """The first day on which the rule does not ask for the record any more; None if that cannot be said."""
    if rule.clock in (Clock.RECORD_MADE, Clock.TRANSACTION_COMPLETE):
        return years_after(known.made, rule.years)
    most = None if rule.most_years is None else years_after(known.made, rule.most_years)
    if rule.clock is Clock.AUDIT_CONCLUDED or known.ended is None:
        return most
    ended = years_after(max(known.ended, known.made), rule.years)  # what was booked after the end is kept as long as if it was the end
    return ended if most is None else min(ended, most)


def claims(contract: TableContract) -> tuple[str, ...]:
    """The names of the rules that claim a table's rows: its own, and those of columns that have another."""
    return tuple(dict.fromkeys(name for name in (contract.retention, *map(contract.retention_of, contract.columns)) if name is not None))


def is_personal(contract: TableContract) -> bool:
    """Whether a table holds personal data."""
    return any(column.classification in _PERSONAL for column in contract.columns)


def rules_of(contract: TableContract, on: date, rules: Iterable[RetentionRule] = RULES, *, occasional: bool = False) -> list[RetentionRule]:
    """The rules in force on a day that claim a table's rows; of an occasional customer, those of occasional transactions.

    UsageError if one of them is not in force on that day.
    """
    every = list(rules)
    names = (OCCASIONAL if occasional and name == CUSTOMERS else name for name in claims(contract))
    return [in_force(name, on, every) for name in names]


def decide(rules: Sequence[RetentionRule], known: Known, on: date, *, personal: bool, holds: Sequence[int] = ()) -> Verdict:
    """Decide about a record that these rules (one or more, in force on the day) claim; ``holds``: numbers of legal holds on it."""
    until = {rule: keep_until(rule, known) for rule in rules}
    rule = max(rules, key=lambda one: until[one] or date.max)
    latest = until[rule]
    if latest is None or latest > on:
        return Verdict(Fate.KEPT, latest, rule, tuple(holds))
    if holds:
        return Verdict(Fate.HELD, latest, rule, tuple(holds))
    must = personal or any(one.ending is Ending.MUST_ERASE for one in rules)
    return Verdict(Fate.MUST_GO if must else Fate.MAY_GO, latest, rule)


def soonest(rules: Sequence[RetentionRule], made: date) -> date:
    """The earliest day on which any record made that day could go by these rules, whatever its customer does."""
    found = (keep_until(rule, Known(made, ended=made)) for rule in rules)
    return max(day or date.max for day in found)
