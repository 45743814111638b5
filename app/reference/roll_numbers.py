"""How single building societies write their roll numbers, by the collection account into which their members are paid.

Only societies whose form is published are listed. A pattern has a letter for each character: ``n`` a digit, ``a`` a capital letter,
``e`` either;
any other character stands for itself. A society may have several.
"""

from dataclasses import dataclass
from functools import cache

from app.reference import table


@dataclass(frozen=True)
class RollNumberForm:
    """One form of one society's roll numbers."""

    society: str
    sort_code: str
    account_number: str
    pattern: str
    source: str


@cache
def roll_number_forms() -> tuple[RollNumberForm, ...]:
    """Every form that is known."""
    names = ("society", "sort_code", "account_number", "pattern", "source")
    return tuple(RollNumberForm(*(row[name] for name in names)) for row in table.read("roll_numbers"))
